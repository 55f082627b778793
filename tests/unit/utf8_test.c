/* utf8_test: well-formed, malformed, cut off.
 *
 * Lives in: a test program. May: compute. */
#include "base/utf8.h"
#include "unit.h"
#include <string.h>

static void table(void **state)
{
    static const struct {
        const char *bytes;
        unsigned len;
        uint32_t code;
    } rows[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\x80", 0, 0}, /* a continuation alone */
        {"\xbf", 0, 0},
        {"\xc0\x80", 0, 0}, /* overlong */
        {"\xc1\xbf", 0, 0},
        {"\xe0\x9f\xbf", 0, 0},
        {"\xf0\x8f\xbf\xbf", 0, 0},
        {"\xed\xa0\x80", 0, 0}, /* surrogates */
        {"\xed\xbf\xbf", 0, 0},
        {"\xf4\x90\x80\x80", 0, 0}, /* too large */
        {"\xf5\x80\x80\x80", 0, 0},
        {"\xf8\x88\x80\x80\x80", 0, 0},
        {"\xfe", 0, 0},
        {"\xff", 0, 0},
        {"\xc3(", 0, 0}, /* a continuation missing */
        {"\xe2\x82(", 0, 0},
        {"\xe2(\xac", 0, 0},
        {"\xf0\x9f\x98(", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t code = 0;
        unsigned len = utf8_next(rows[i].bytes, strlen(rows[i].bytes), &code);

        if (len != rows[i].len || code != rows[i].code)
            fail_msg("row %zu: got %u bytes, U+%04X", i, len, code);
    }
}

/* One byte short, with the missing byte outside of what may be read. */
static void cut_off(void **state)
{
    static const char *const whole[] = {"\xc2\x80", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    uint32_t code;
    (void)state;
    assert_int_equal(utf8_next("", 0, &code), 0);
    for (size_t i = 0; i < COUNT(whole); i++)
        for (size_t n = 0; n < strlen(whole[i]); n++)
            assert_int_equal(utf8_next(whole[i], n, &code), 0);
}

static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c <= 0x10ffff; c++) {
        unsigned len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        char s[4];
        uint32_t rest = c, code = 0;

        for (unsigned i = len; i-- > 1; rest >>= 6)
            s[i] = (char)(0x80 | (rest & 0x3f));
        s[0] = (char)((0xf00u >> len & 0xff) | rest);
        if (c >= 0xd800 && c <= 0xdfff)
            len = 0;
        if (utf8_next(s, sizeof s, &code) != len || (len && code != c))
            fail_msg("U+%04X: read as U+%04X", c, code);
    }
}

static void unsafe(void **state)
{
    static const uint32_t bad[] = {0,      '\n',   0x1b,   0x1f,   0x7f,   0x80,   0x9b,   0x9f,  0x61c,
                                   0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069};
    static const uint32_t good[] = {' ',    '~',    0xa0,   0xe9,   0x61b,  0x61d,   0x200d,
                                    0x2010, 0x2027, 0x202f, 0x2065, 0x206a, 0x1f600, 0x10ffff};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (!utf8_unsafe(bad[i]))
            fail_msg("U+%04X is called safe", bad[i]);
    for (size_t i = 0; i < COUNT(good); i++)
        if (utf8_unsafe(good[i]))
            fail_msg("U+%04X is called unsafe", good[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(unsafe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
