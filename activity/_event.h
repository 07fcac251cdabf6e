/* An event at a glance: what decides in it, read from its bytes without making an object.
 *
 * It takes an event only if it understands every byte, and is stricter than activity/events.py. What it does not take
 * is looked at there, which alone says what is wrong. Whatever it takes, `decode` takes too, with the same id, source, user
 * and sequence (tests/activity/test_compiled.py). It reads only raw[0] to raw[size - 1], and keeps nothing.
 */
#include "_json.h"

#define MAX_EVENT (256 * 1024) /* as in events.py */
#define MAX_TEXT 128 /* bytes here; events.py counts characters, and bytes up to 512 */
#define MAX_DIGITS 18

typedef struct {
    const byte *at;
    ptrdiff_t size;
} text;

typedef struct {
    text id, source, user;
    int64_t sequence; /* 0: it has none */
} glance;

enum { ID = 1, SOURCE = 2, TYPE = 4, SPECVERSION = 8, SUBJECT = 16, TIME = 32, SEQUENCE = 64, TRACEPARENT = 128, OURS = 256 };
#define NEEDED (ID | SOURCE | TYPE | SPECVERSION | SUBJECT)

static int two(const byte *p)
{
    return is_digit(p[0]) && is_digit(p[1]) ? (p[0] - '0') * 10 + (p[1] - '0') : -1;
}

/* `2026-01-31T09:30:00.125Z` or with +05:00 at the end; years from 1000 to 2999, no leap seconds, six decimals at most. */
static int is_time(text given)
{
    static const byte last[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const byte *p = given.at, *end = p + given.size;
    int century, year, month, day;
    if (given.size < 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':')
        return 0;
    century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
    if (century < 10 || century > 29 || year < 0 || month < 1 || month > 12 || day < 1)
        return 0;
    if (day > last[month - 1] && !(month == 2 && day == 29 && (year ? year % 4 == 0 : century % 4 == 0)))
        return 0;
    if (two(p + 11) < 0 || two(p + 11) > 23 || two(p + 14) < 0 || two(p + 14) > 59 || two(p + 17) < 0 || two(p + 17) > 59)
        return 0;
    p += 19;
    if (*p == '.') {
        const byte *point = p;
        p = digits(p + 1, end);
        if (!p || p - point > 7)
            return 0;
    }
    if (end - p == 1)
        return *p == 'Z';
    return end - p == 6 && (*p == '+' || *p == '-') && p[3] == ':' && two(p + 1) >= 0 && two(p + 1) <= 23 && two(p + 4) >= 0 &&
           two(p + 4) <= 59;
}

static int64_t sequence_of(text given)
{
    int64_t number = 0;
    if (given.size < 1 || given.size > MAX_DIGITS || given.at[0] == '0')
        return 0;
    for (ptrdiff_t n = 0; n < given.size; n++) {
        if (!is_digit(given.at[n]))
            return 0;
        number = number * 10 + (given.at[n] - '0');
    }
    return number;
}

static inline int is(text given, const char *expected)
{
    return memcmp(given.at, expected, (size_t)given.size) == 0;
}

/* Which attribute decides under this name; 0: none, it is passed over. */
static int attribute(text name)
{
    switch (name.size) {
    case 2:
        return is(name, "id") ? ID : 0;
    case 4:
        return is(name, "type") ? TYPE : is(name, "time") ? TIME : 0;
    case 6:
        return is(name, "source") ? SOURCE : 0;
    case 7:
        return is(name, "subject") ? SUBJECT : is(name, "verdict") ? OURS : 0;
    case 8:
        return is(name, "sequence") ? SEQUENCE : is(name, "position") || is(name, "received") ? OURS : 0;
    case 11:
        return is(name, "specversion") ? SPECVERSION : is(name, "traceparent") ? TRACEPARENT : 0;
    default:
        return 0;
    }
}

/* Whether attribute `which` may be `value`; what decides is put down. */
static int put_down(int which, text value, glance *found)
{
    switch (which) {
    case SPECVERSION:
        return value.size == 3 && is(value, "1.0");
    case TIME:
        return is_time(value);
    case SEQUENCE:
        return (found->sequence = sequence_of(value)) != 0;
    case TRACEPARENT:
        return 1;
    case ID:
        found->id = value;
        break;
    case SOURCE:
        found->source = value;
        break;
    case SUBJECT:
        found->user = value;
        break;
    }
    return value.size >= 1 && value.size <= MAX_TEXT;
}

/* Whether the event is as events mostly are; what decides is then in `found`, and points into `raw`. */
static int look(const byte *raw, ptrdiff_t size, glance *found)
{
    const byte *p = raw, *end = raw + size;
    int seen = 0;
    found->sequence = 0;
    if (size < 2 || size > MAX_EVENT || *p != '{')
        return 0;
    do {
        text given;
        int which;
        p = blanks(p + 1, end);
        if (p == end || *p != '"')
            return 0;
        given.at = p + 1;
        if (!(p = plain(p + 1, end)))
            return 0;
        given.size = p - 1 - given.at;
        which = attribute(given);
        p = blanks(p, end);
        if (p == end || *p != ':' || which == OURS || seen & which)
            return 0;
        seen |= which;
        p = blanks(p + 1, end);
        if (which) {
            if (p == end || *p != '"')
                return 0;
            given.at = p + 1;
            if (!(p = plain(p + 1, end)))
                return 0;
            given.size = p - 1 - given.at;
            if (!put_down(which, given, found))
                return 0;
        } else if (!(p = any(p, end)))
            return 0;
        p = blanks(p, end);
    } while (p < end && *p == ',');
    return p + 1 == end && *p == '}' && (seen & NEEDED) == NEEDED;
}
