/* sha256_test: the example messages of the standard, and every way of cutting one in two.
 *
 * Lives in: a test program. May: compute. */
#include "base/sha256.h"
#include "unit.h"
#include <stdio.h>
#include <string.h>

static void standard_vectors(void **state)
{
    static const struct {
        const char *message, *sum;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmno"
         "pqrstnopqr"
         "stu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[SHA256_HEX_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        sha256_hex(rows[i].message, strlen(rows[i].message), hex);
        assert_string_equal(hex, rows[i].sum);
    }
}

static void million_a(void **state)
{
    static const uint8_t want[SHA256_BYTES] = {
        0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7, 0x3e, 0x67,
        0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0};
    uint8_t sum[SHA256_BYTES];
    struct sha256 h;
    char a[1000];
    (void)state;
    memset(a, 'a', sizeof a);
    sha256_init(&h);
    for (size_t i = 0; i < 1000; i++)
        sha256_add(&h, a, sizeof a);
    sha256_end(&h, sum);
    assert_memory_equal(sum, want, sizeof want);
}

/* Lengths 0..199 cross three block edges; the sum of their sums was made with coreutils' sha256sum. */
static void every_length(void **state)
{
    char text[200], hex[SHA256_HEX_SIZE], all[SHA256_HEX_SIZE];
    struct sha256 h;
    uint8_t sum[SHA256_BYTES];
    (void)state;
    memset(text, 'x', sizeof text);
    sha256_init(&h);
    for (size_t n = 0; n < sizeof text; n++) {
        sha256_hex(text, n, hex);
        sha256_add(&h, hex, strlen(hex));
    }
    sha256_end(&h, sum);
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(all + 2 * i, 3, "%02x", sum[i]);
    assert_string_equal(all, "f61ffcc417e1f0e59eba2da7fa32fbe05b64e478b68c6bacf990455f00248b98");
}

static void cut_in_two(void **state)
{
    char text[150], whole[SHA256_HEX_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 37);
    sha256_hex(text, sizeof text, whole);
    for (size_t at = 0; at <= sizeof text; at++) {
        uint8_t sum[SHA256_BYTES];
        char hex[SHA256_HEX_SIZE];
        struct sha256 h;

        sha256_init(&h);
        sha256_add(&h, text, at);
        sha256_add(&h, text + at, sizeof text - at);
        sha256_end(&h, sum);
        for (size_t i = 0; i < sizeof sum; i++)
            snprintf(hex + 2 * i, 3, "%02x", sum[i]);
        assert_string_equal(hex, whole);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_vectors),
        cmocka_unit_test(million_a),
        cmocka_unit_test(every_length),
        cmocka_unit_test(cut_in_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
