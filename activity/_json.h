/* Strict JSON (RFC 8259) in UTF-8, read without making an object. What is in doubt is not taken: NULL.
 *
 * Each function takes where to begin and where the bytes end, gives where it stopped, and reads nothing outside.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAX_DEPTH 128 /* how deep an event may be; as in events.py */

typedef unsigned char byte;

static inline const byte *blanks(const byte *p, const byte *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static inline int is_digit(byte c)
{
    return c >= '0' && c <= '9';
}

static inline int is_tail(byte c)
{
    return (c & 0xC0) == 0x80;
}

/* One character that is not ASCII, as RFC 3629 has it: not overlong, no surrogate, not above U+10FFFF. */
static const byte *wide(const byte *p, const byte *end)
{
    ptrdiff_t left = end - p;
    byte a = p[0];
    if (a < 0xC2 || a > 0xF4 || left < 2 || !is_tail(p[1]))
        return NULL;
    if (a < 0xE0)
        return p + 2;
    if (left < 3 || !is_tail(p[2]) || (a == 0xE0 && p[1] < 0xA0) || (a == 0xED && p[1] > 0x9F))
        return NULL;
    if (a < 0xF0)
        return p + 3;
    if (left < 4 || !is_tail(p[3]) || (a == 0xF0 && p[1] < 0x90) || (a == 0xF4 && p[1] > 0x8F))
        return NULL;
    return p + 4;
}

/* A string without escapes and control characters, from behind its quote to behind its other quote. */
static const byte *plain(const byte *p, const byte *end)
{
    while (p && p < end) {
        byte c = *p;
        if (c == '"')
            return p + 1;
        if (c >= 0x80)
            p = c == 0xC2 && end - p > 1 && p[1] < 0xA0 ? NULL : wide(p, end); /* U+0080 to U+009F are controls */
        else if (c < 0x20 || c == 0x7F || c == '\\')
            return NULL;
        else
            p++;
    }
    return NULL;
}

static int hex(const byte *p, const byte *end)
{
    int number = 0;
    if (end - p < 4)
        return -1;
    for (int n = 0; n < 4; n++) {
        byte c = p[n], low = c | 0x20;
        if (!is_digit(c) && (low < 'a' || low > 'f'))
            return -1;
        number = number * 16 + (is_digit(c) ? c - '0' : low - 'a' + 10);
    }
    return number;
}

/* What follows a backslash; a surrogate only with its other half. */
static const byte *escape(const byte *p, const byte *end)
{
    int number;
    if (p == end)
        return NULL;
    if (*p != 'u')
        return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
    number = hex(p + 1, end);
    if (number < 0 || (number >= 0xDC00 && number <= 0xDFFF))
        return NULL;
    p += 5;
    if (number < 0xD800 || number > 0xDBFF)
        return p;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return NULL;
    number = hex(p + 2, end);
    return number >= 0xDC00 && number <= 0xDFFF ? p + 6 : NULL;
}

static const byte *string(const byte *p, const byte *end)
{
    while (p && p < end) {
        byte c = *p;
        if (c == '"')
            return p + 1;
        if (c == '\\')
            p = escape(p + 1, end);
        else if (c >= 0x80)
            p = wide(p, end);
        else if (c < 0x20)
            return NULL;
        else
            p++;
    }
    return NULL;
}

static const byte *digits(const byte *p, const byte *end)
{
    const byte *begin = p;
    while (p < end && is_digit(*p))
        p++;
    return p > begin ? p : NULL;
}

static const byte *number(const byte *p, const byte *end)
{
    if (p < end && *p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else if (!(p = digits(p, end)))
        return NULL;
    if (p < end && *p == '.' && !(p = digits(p + 1, end)))
        return NULL;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = digits(p, end);
    }
    return p;
}

static const byte *word(const byte *p, const byte *end, const char *expected, ptrdiff_t size)
{
    return end - p >= size && memcmp(p, expected, (size_t)size) == 0 ? p + size : NULL;
}

static const byte *scalar(const byte *p, const byte *end)
{
    switch (*p) {
    case '"':
        return string(p + 1, end);
    case 't':
        return word(p, end, "true", 4);
    case 'f':
        return word(p, end, "false", 5);
    case 'n':
        return word(p, end, "null", 4);
    default:
        return number(p, end);
    }
}

static const byte *name(const byte *p, const byte *end)
{
    p = blanks(p, end);
    if (p == end || *p != '"' || !(p = string(p + 1, end)))
        return NULL;
    p = blanks(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* Any JSON, not deeper than an event may be. Its own stack: a C stack is not to be run out of by what was sent. */
static const byte *any(const byte *p, const byte *end)
{
    byte closing[MAX_DEPTH - 1]; /* the event itself is one */
    int depth = 0;
    for (;;) {
        p = blanks(p, end);
        if (p == end)
            return NULL;
        if (*p == '{' || *p == '[') {
            if (depth == MAX_DEPTH - 1)
                return NULL;
            closing[depth++] = *p + 2; /* so are [ and ], { and } apart */
            p = blanks(p + 1, end);
            if (p == end)
                return NULL;
            if (*p != closing[depth - 1]) {
                if (closing[depth - 1] == '}' && !(p = name(p, end)))
                    return NULL;
                continue;
            }
        } else if (!(p = scalar(p, end)))
            return NULL;
        else if (depth == 0)
            return p;
        for (p = blanks(p, end); p < end && *p == closing[depth - 1]; p = blanks(p, end)) {
            p++;
            if (--depth == 0)
                return p;
        }
        if (p == end || *p != ',')
            return NULL;
        p++;
        if (closing[depth - 1] == '}' && !(p = name(p, end)))
            return NULL;
    }
}
