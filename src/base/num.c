/* num: numbers, sizes and durations from outside, and back into text.
 *
 * Lives in: every process. Trusts: nothing of the text but its NUL.
 * May: compute. Must not: allocate, use floating point or the locale.
 *
 * Theory: a text is first split into digits, digits behind the point and unit (form: -EINVAL), then valued
 * (range: -ERANGE), so that a text that is both malformed and too large is malformed. */
#include "base/num.h"
#include "base/sbuf.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct unit {
    const char *name;
    uint64_t value;
};

struct number {
    const char *whole, *fraction; /* digits; not terminated */
    size_t whole_len, fraction_len;
    const char *unit; /* what follows */
};

static size_t digits(const char *s)
{
    const char *end = s;

    while (*end >= '0' && *end <= '9')
        end++;
    return (size_t)(end - s);
}

/* "12", "1.5" and ".5" are numbers; ".", "5." and "" are not. */
static int split(const char *s, struct number *ret)
{
    struct number n = {.whole = s, .whole_len = digits(s)};

    n.unit = s + n.whole_len;
    if (*n.unit == '.') {
        n.fraction = n.unit + 1;
        n.fraction_len = digits(n.fraction);
        n.unit = n.fraction + n.fraction_len;
    }
    if (n.fraction ? n.fraction_len == 0 : n.whole_len == 0)
        return -EINVAL;
    *ret = n;
    return 0;
}

static int whole_value(const struct number *n, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n->whole_len; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(n->whole[i] - '0'), &value))
            return -ERANGE;
    *ret = value;
    return 0;
}

/* The number times `unit` (at most 2^60), rounded down or up. From the last digit forward,
 * floor((d * unit + floor(rest)) / 10) equals floor((d * unit + rest) / 10), so no digit is lost however
 * many. */
static int times_unit(const struct number *n, uint64_t unit, bool up, uint64_t *ret)
{
    uint64_t value, part = 0;
    bool remainder = false;
    int r = whole_value(n, &value);

    if (r < 0)
        return r;
    for (size_t i = n->fraction_len; i-- > 0;) {
        part += (uint64_t)(n->fraction[i] - '0') * unit;
        remainder |= part % 10 != 0;
        part /= 10;
    }
    if (up && remainder)
        part++;
    if (__builtin_mul_overflow(value, unit, &value) || __builtin_add_overflow(value, part, &value))
        return -ERANGE;
    *ret = value;
    return 0;
}

int num_u64(const char *s, uint64_t *ret)
{
    size_t len = digits(s);
    struct number n = {.whole = s, .whole_len = len, .unit = s + len};

    return len == 0 || *n.unit ? -EINVAL : whole_value(&n, ret);
}

/* "", "b", and each letter alone, with "b" or with "ib" behind; either case. 0 when it is none of these. */
static uint64_t size_unit(const char *s)
{
    static const char letters[] = "kmgtp";
    size_t len = strlen(s);
    char low[4] = "";
    const char *at;

    if (len > 3)
        return 0;
    for (size_t i = 0; i < len; i++)
        low[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] - 'A' + 'a') : s[i];
    if (len == 0 || strcmp(low, "b") == 0)
        return 1;
    at = strchr(letters, low[0]);
    if (!at || (len > 1 && strcmp(low + 1, "b") != 0 && strcmp(low + 1, "ib") != 0))
        return 0;
    return (uint64_t)1 << 10 * (at - letters + 1);
}

int num_size(const char *s, uint64_t *ret_bytes)
{
    struct number n;
    int r = split(s, &n);
    uint64_t unit;

    if (r < 0)
        return r;
    unit = size_unit(n.unit);
    return unit ? times_unit(&n, unit, false, ret_bytes) : -EINVAL;
}

static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000},
};

int num_duration(const char *s, uint64_t *ret_ms)
{
    struct number n;
    int r = split(s, &n);

    if (r < 0)
        return r;
    for (size_t i = 0; i < COUNT(durations); i++)
        if (strcmp(n.unit, durations[i].name) == 0)
            return times_unit(&n, durations[i].value, true, ret_ms);
    return -EINVAL;
}

int num_milli(const char *s, uint64_t *ret_milli)
{
    struct number n;
    int r = split(s, &n);

    if (r < 0)
        return r;
    return n.unit[0] ? -EINVAL : times_unit(&n, 1000, false, ret_milli);
}

/* value / unit with as many decimals as it takes, when `step` (a part of the unit) divides the rest and the
 * whole is below `most` (7200000 bytes are better read so than as 7031.25K); else false. */
static bool write_exact(uint64_t value, const struct unit *unit, uint64_t step, uint64_t most, char *buf)
{
    struct sbuf b = {.text = buf, .size = NUM_TEXT_MAX};
    uint64_t rest = value % unit->value;

    if (value < unit->value || rest % step != 0 || (rest && value / unit->value >= most))
        return false;
    sbuf_fmt(&b, "%llu", (unsigned long long)(value / unit->value));
    if (rest)
        sbuf_char(&b, '.');
    while (rest) {
        sbuf_char(&b, (char)('0' + rest * 10 / unit->value));
        rest = rest * 10 % unit->value;
    }
    sbuf_text(&b, unit->name);
    return true;
}

char *num_size_text(uint64_t bytes, char *buf)
{
    static const struct unit sizes[] = {
        {"P", 1ull << 50}, {"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10},
    };
    struct sbuf b = {.text = buf, .size = NUM_TEXT_MAX};

    for (size_t i = 0; i < COUNT(sizes); i++)
        if (write_exact(bytes, &sizes[i], sizes[i].value / 4, 1024, buf))
            return buf;
    sbuf_fmt(&b, "%llu", (unsigned long long)bytes);
    return buf;
}

char *num_duration_text(uint64_t ms, char *buf)
{
    struct sbuf b = {.text = buf, .size = NUM_TEXT_MAX};

    for (size_t i = 0; i < 3; i++)
        if (write_exact(ms, &durations[i], durations[i].value / 2, 1000, buf))
            return buf;
    if (!write_exact(ms, &durations[3], 1, UINT64_MAX, buf))
        sbuf_fmt(&b, ms ? "%llums" : "%llus", (unsigned long long)ms);
    return buf;
}

int num_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
