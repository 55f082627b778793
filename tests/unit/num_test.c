/* num_test: tables of what numbers, sizes and durations are, and are not.
 *
 * Lives in: a test program. May: compute. */
#include "base/num.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

#define UNTOUCHED 0xdeadbeefu

struct row {
    const char *text;
    int result;
    uint64_t value;
};

static void check_rows(int (*parse)(const char *, uint64_t *), const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        int r = parse(rows[i].text, &value);
        uint64_t want = rows[i].result ? UNTOUCHED : rows[i].value;

        if (r != rows[i].result || value != want)
            fail_msg("\"%s\": got %d and %llu, want %d and %llu", rows[i].text, r, (unsigned long long)value,
                     rows[i].result, (unsigned long long)want);
    }
}

static void u64_table(void **state)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"7", 0, 7},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551620", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"00000000000000000000000000000001", 0, 1},
        {"", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1\n", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
        {"1e3", -EINVAL, 0},
        {"1k", -EINVAL, 0},
        {"\xd9\xa1", -EINVAL, 0}, /* an Arabic-Indic one */
        {"99999999999999999999999x", -EINVAL, 0},
    };
    (void)state;
    check_rows(num_u64, rows, COUNT(rows));
}

static void hex_digits(void **state)
{
    static const char digits[] = "0123456789abcdef";

    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        assert_int_equal(num_hex((char)c), at ? at - digits : -1);
    }
}

static void size_table(void **state)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"10b", 0, 10},
        {"64k", 0, 65536},
        {"64K", 0, 65536},
        {"64kb", 0, 65536},
        {"64KiB", 0, 65536},
        {"512M", 0, 512ull << 20},
        {"512mB", 0, 512ull << 20},
        {"1.5G", 0, 3ull << 29},
        {".5G", 0, 1ull << 29},
        {"0.5", 0, 0},
        {"1.999", 0, 1},
        {"2T", 0, 2ull << 40},
        {"1P", 0, 1ull << 50},
        {"0.1k", 0, 102},
        {"0.9999k", 0, 1023},
        {"0.00000000000000088817841970012523233890533447265625P", 0, 1}, /* 2^-50 to the last digit */
        {"0.00000000000000088817841970012523233890533447265624P", 0, 0},
        {"1.99999999999999999999999999999999999999999999999999999P", 0, (2ull << 50) - 1},
        {"18446744073709551615", 0, UINT64_MAX},
        {"16383.99P", 0, 18446732814710483189ull},
        {"16384P", -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"18014398509481984k", -ERANGE, 0},
        {"18014398509481983k", 0, 18446744073709550592ull},
        {"18446744073709551615.9", 0, UINT64_MAX},
        {"", -EINVAL, 0},
        {".", -EINVAL, 0},
        {"5.", -EINVAL, 0},
        {"5.k", -EINVAL, 0},
        {"k", -EINVAL, 0},
        {"-1k", -EINVAL, 0},
        {"+1k", -EINVAL, 0},
        {"1 k", -EINVAL, 0},
        {"1k ", -EINVAL, 0},
        {"1i", -EINVAL, 0},
        {"1iB", -EINVAL, 0},
        {"1kibb", -EINVAL, 0},
        {"1ki", -EINVAL, 0},
        {"1bb", -EINVAL, 0},
        {"1kk", -EINVAL, 0},
        {"1E", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"1,5G", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"infinity", -EINVAL, 0},
        {"99999999999999999999999q", -EINVAL, 0},
        {"1\xff", -EINVAL, 0},
    };
    (void)state;
    check_rows(num_size, rows, COUNT(rows));
}

static void duration_table(void **state)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"10", 0, 10000},
        {"0.25", 0, 250},
        {"250ms", 0, 250},
        {"10s", 0, 10000},
        {"1.5m", 0, 90000},
        {"2h", 0, 7200000},
        {"1d", 0, 86400000},
        {".5s", 0, 500},
        {"0.0000001s", 0, 1},
        {"1.0000s", 0, 1000},
        {"1.2ms", 0, 2},
        {"0ms", 0, 0},
        {"0.000", 0, 0},
        {"213503982334d", 0, 18446744073657600000ull},
        {"213503982335d", -ERANGE, 0},
        {"18446744073709551615ms", 0, UINT64_MAX},
        {"18446744073709551615.1ms", -ERANGE, 0},
        {"18446744073709551616ms", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {"-1s", -EINVAL, 0},
        {"1S", -EINVAL, 0},
        {"1M", -EINVAL, 0},
        {"1w", -EINVAL, 0},
        {"1sec", -EINVAL, 0},
        {"1 s", -EINVAL, 0},
        {"1.s", -EINVAL, 0},
        {"1m30s", -EINVAL, 0},
    };
    (void)state;
    check_rows(num_duration, rows, COUNT(rows));
}

static void milli_table(void **state)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"0.5", 0, 500},
        {"2", 0, 2000},
        {".25", 0, 250},
        {"1.2345", 0, 1234},
        {"0.0009", 0, 0},
        {"1.9999", 0, 1999},
        {"18446744073709551.615", 0, UINT64_MAX},
        {"18446744073709551.616", -ERANGE, 0},
        {"18446744073709552", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1.", -EINVAL, 0},
        {"1k", -EINVAL, 0},
        {"1.5x", -EINVAL, 0},
        {"nan", -EINVAL, 0},
    };
    (void)state;
    check_rows(num_milli, rows, COUNT(rows));
}

static void texts(void **state)
{
    static const struct {
        uint64_t value;
        const char *size, *duration;
    } rows[] = {
        {0, "0", "0s"},
        {1, "1", "1ms"},
        {1000, "1000", "1s"},
        {1023, "1023", "1.023s"},
        {1024, "1K", "1.024s"},
        {1025, "1025", "1.025s"},
        {1280, "1.25K", "1.28s"},
        {1047552, "1023K", "1047.552s"},
        {1048064, "1023.5K", "1048.064s"},
        {1049088, "1049088", "1049.088s"},
        {10000, "10000", "10s"},
        {61000, "61000", "61s"},
        {90000, "90000", "1.5m"},
        {7200000, "7200000", "2h"},
        {129600000, "129600000", "1.5d"},
        {512ull << 20, "512M", "536870.912s"},
        {3ull << 29, "1.5G", "1610612.736s"},
        {1ull << 63, "8192P", "9223372036854775.808s"},
        {UINT64_MAX, "18446744073709551615", "18446744073709551.615s"},
    };
    char buf[NUM_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(num_size_text(rows[i].value, buf), rows[i].size);
        assert_string_equal(num_duration_text(rows[i].value, buf), rows[i].duration);
    }
}

static void check_round_trip(uint64_t value)
{
    char buf[NUM_TEXT_MAX];
    uint64_t back = ~value;

    assert_int_equal(num_size(num_size_text(value, buf), &back), 0);
    assert_true(back == value);
    back = ~value;
    assert_int_equal(num_duration(num_duration_text(value, buf), &back), 0);
    assert_true(back == value);
}

/* Around each power of two, and a walk with multiplicative steps. */
static void texts_read_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t off = 0; off < 3; off++)
            check_round_trip(((uint64_t)1 << bit) - 1 + off);
    for (uint64_t i = 1, x = 1; i < 20000; i++, x = x * 6364136223846793005u + 1442695040888963407u) {
        check_round_trip(x >> i % 64);
        check_round_trip((x >> 40) * 256);
        check_round_trip((x >> 44) * 500);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_digits),      cmocka_unit_test(u64_table),   cmocka_unit_test(size_table),
        cmocka_unit_test(duration_table),  cmocka_unit_test(milli_table), cmocka_unit_test(texts),
        cmocka_unit_test(texts_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
