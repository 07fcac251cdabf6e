/* The parts of a state as bytes: MessagePack as msgspec writes it, each number and length in the fewest bytes.
 *
 * A `reader` reads nothing outside its bytes. Once something is not as msgspec writes it, `failed` is set for good and all
 * that is read after it is 0. The writers need room: MOST bytes, and the content's.
 */
#include <math.h>

#include "_event.h"

#define MOST 9 /* bytes before a content */

typedef struct {
    const byte *at, *end;
    int failed;
} reader;

static uint64_t big_endian(reader *from, int size)
{
    uint64_t number = 0;
    if (from->end - from->at < size) {
        from->failed = 1;
        from->at = from->end;
        return 0;
    }
    while (size--)
        number = number << 8 | *from->at++;
    return number;
}

static double read_double(reader *from)
{
    uint64_t bits = big_endian(from, 8);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static double read_float(reader *from)
{
    if (big_endian(from, 1) != 0xCB)
        from->failed = 1;
    return read_double(from);
}

/* From 0 to 2^62. */
static int64_t read_number(reader *from)
{
    uint64_t first = big_endian(from, 1);
    if (first < 0x80)
        return (int64_t)first;
    if (first < 0xCC || first > 0xCF) {
        from->failed = 1;
        return 0;
    }
    first = big_endian(from, 1 << (first - 0xCC));
    if (first >> 62) {
        from->failed = 1;
        return 0;
    }
    return (int64_t)first;
}

/* How many follow, if a `small` | count or one of `codes` (for lengths of 1, 2 and 4 bytes; 0: there is none) comes next. */
static int64_t read_count(reader *from, byte small, byte most, const byte codes[3])
{
    byte first = (byte)big_endian(from, 1);
    if (most && first >= small && first <= small + most)
        return first - small;
    for (int n = 0; n < 3; n++)
        if (codes[n] && first == codes[n])
            return (int64_t)big_endian(from, 1 << n);
    from->failed = 1;
    return 0;
}

static const byte STRING[] = {0xD9, 0xDA, 0xDB}, BINARY[] = {0xC4, 0xC5, 0xC6}, ARRAY[] = {0, 0xDC, 0xDD}, MAP[] = {0, 0xDE, 0xDF};

static text read_content(reader *from, int64_t size)
{
    text found = {from->at, 0};
    if (from->failed || from->end - from->at < size) {
        from->failed = 1;
        return found;
    }
    found.size = (ptrdiff_t)size;
    from->at += size;
    return found;
}

static byte *put_big_endian(byte *to, uint64_t number, int size)
{
    while (size--)
        *to++ = (byte)(number >> 8 * size);
    return to;
}

static byte *put_double(byte *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return put_big_endian(to, bits, 8);
}

static byte *put_float(byte *to, double number)
{
    *to++ = 0xCB;
    return put_double(to, number);
}

static byte *put_number(byte *to, int64_t number)
{
    int width = number <= 0xFF ? 0 : number <= 0xFFFF ? 1 : number <= 0xFFFFFFFF ? 2 : 3;
    if (number >= 0x80)
        *to++ = (byte)(0xCC + width);
    return put_big_endian(to, (uint64_t)number, 1 << width);
}

static byte *put_count(byte *to, int64_t count, byte small, byte most, const byte codes[3])
{
    int width = count <= 0xFF && codes[0] ? 0 : count <= 0xFFFF ? 1 : 2;
    if (most && count <= most) {
        *to++ = (byte)(small + count);
        return to;
    }
    *to++ = codes[width];
    return put_big_endian(to, (uint64_t)count, 1 << width);
}

static byte *put_content(byte *to, const void *content, ptrdiff_t size)
{
    memcpy(to, content, (size_t)size);
    return to + size;
}

/* CRC-32 as zlib has it. */
static uint32_t crc32_of(const byte *at, ptrdiff_t size)
{
    static uint32_t table[256];
    uint32_t sum = 0xFFFFFFFF;
    if (!table[1])
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t rest = n;
            for (int bit = 0; bit < 8; bit++)
                rest = rest & 1 ? 0xEDB88320 ^ rest >> 1 : rest >> 1;
            table[n] = rest;
        }
    while (size--)
        sum = table[(sum ^ *at++) & 0xFF] ^ sum >> 8;
    return ~sum;
}
