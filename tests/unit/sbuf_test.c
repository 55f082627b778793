/* sbuf_test: the edges of the memory, and what is escaped.
 *
 * Lives in: a test program. May: compute. */
#include "base/sbuf.h"
#include "unit.h"
#include <limits.h>
#include <string.h>

static void starts_empty(void **state)
{
    char text[4] = "xyz";
    struct sbuf b = SBUF(text);
    (void)state;
    assert_string_equal(b.text, "");
    assert_int_equal(b.size, 4);
    assert_false(b.full);
}

static void fits_exactly(void **state)
{
    char text[6];
    struct sbuf b = SBUF(text);
    (void)state;
    sbuf_text(&b, "ab");
    sbuf_char(&b, 'c');
    sbuf_bytes(&b, "dexyz", 2);
    assert_string_equal(text, "abcde");
    assert_int_equal(b.len, 5);
    assert_false(b.full);
    sbuf_text(&b, "");
    sbuf_bytes(&b, NULL, 0);
    sbuf_fmt(&b, "%s", "");
    assert_false(b.full);
    sbuf_char(&b, 'f');
    assert_true(b.full);
    assert_string_equal(text, "abcde");
}

/* The part that fits stays; afterwards nothing comes in, not even what would fit. */
static void too_long(void **state)
{
    char text[7] = {[6] = '#'};
    struct sbuf b = {.text = text, .size = 6}, none = {.text = text, .size = 1};
    (void)state;
    sbuf_text(&b, "abc");
    sbuf_text(&b, "defg");
    assert_string_equal(text, "abcde");
    assert_true(b.full);
    b.size = 7;
    sbuf_char(&b, 'x');
    sbuf_text(&b, "x");
    sbuf_fmt(&b, "x");
    sbuf_escaped(&b, "x");
    assert_string_equal(text, "abcde");
    assert_int_equal(text[6], '#');
    sbuf_char(&none, 'x');
    assert_true(none.full);
    assert_int_equal(none.len, 0);
    assert_int_equal(text[1], 'b');
}

static void formats(void **state)
{
    char text[9];
    struct sbuf b = SBUF(text);
    (void)state;
    sbuf_fmt(&b, "%d-%s", 12, "abcde");
    assert_string_equal(text, "12-abcde");
    assert_false(b.full);
    b = SBUF(text);
    sbuf_fmt(&b, "%d-%s", 123, "abcde");
    assert_string_equal(text, "123-abcd");
    assert_int_equal(b.len, 8);
    assert_true(b.full);
}

/* A conversion that vsnprintf refuses: the result would be longer than an int can say. */
static void format_fails(void **state)
{
    char text[9];
    struct sbuf b = SBUF(text);
    volatile int width = INT_MAX; /* out of the compiler's sight, which would warn */
    (void)state;
    sbuf_text(&b, "ab");
    sbuf_fmt(&b, "x%*d", width, 1);
    assert_true(b.full);
    assert_int_equal(strlen(text), b.len);
    assert_memory_equal(text, "ab", 2);
}

static void escapes(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain text ~", "plain text ~"},
        {"a\nb\tc\rd", "a\\nb\\tc\\rd"},
        {"\x1b[31m\x7f\x01", "\\x1b[31m\\x7f\\x01"},
        {"back\\slash", "back\\\\slash"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc0\xaf", "\\xc0\\xaf"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"cut \xe2\x82", "cut \\xe2\\x82"},
        {"\xe2\x80\xae"
         "fdp.exe",
         "\\xe2\\x80\\xae"
         "fdp.exe"},
        {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},
        {"\xe2\x81\xa9", "\\xe2\\x81\\xa9"},
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},
        {"", ""},
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sbuf b = SBUF(text);
        sbuf_escaped(&b, rows[i].in);
        assert_string_equal(text, rows[i].out);
        assert_false(b.full);
    }
}

/* Whatever the size of the memory, an escape or a character is there as a whole or not at all. */
static void escapes_whole(void **state)
{
    static const char in[] = "a\n\xe2\x82\xac\x1b\xe2\x80\xae\\z";
    static const size_t ends[] = {0, 1, 3, 6, 10, 22, 24, 25};
    char text[32];
    (void)state;
    for (size_t size = 1; size <= 26; size++) {
        struct sbuf b = {.text = text, .size = size};
        size_t want = 0;

        text[0] = '\0';
        for (size_t i = 0; i < COUNT(ends); i++)
            if (ends[i] < size)
                want = ends[i];
        sbuf_escaped(&b, in);
        assert_int_equal(b.len, want);
        assert_int_equal(strlen(text), want);
        assert_int_equal(b.full, want != 25);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),  cmocka_unit_test(fits_exactly), cmocka_unit_test(too_long),
        cmocka_unit_test(formats),       cmocka_unit_test(format_fails), cmocka_unit_test(escapes),
        cmocka_unit_test(escapes_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
