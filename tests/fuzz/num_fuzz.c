/* num_fuzz: whatever the text, the parsers of numbers agree with each other and with their inverses.
 *
 * Lives in: a fuzzer or replay. Trusts: nothing. May: compute. */
#include "base/err.h"
#include "base/num.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inverse(int (*parse)(const char *, uint64_t *), char *(*text)(uint64_t, char *),
                          const char *s)
{
    uint64_t value = 4711, back;
    char buf[NUM_TEXT_MAX];
    int r = parse(s, &value);

    CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
    CHECK(r == 0 || value == 4711);
    if (r == 0) {
        CHECK(parse(text(value, buf), &back) == 0);
        CHECK(back == value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    uint64_t plain, bytes, milli;

    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_inverse(num_size, num_size_text, text);
    check_inverse(num_duration, num_duration_text, text);
    if (num_u64(text, &plain) == 0) {
        CHECK(num_size(text, &bytes) == 0 && bytes == plain);
        CHECK(num_milli(text, &milli) == (plain > UINT64_MAX / 1000 ? -ERANGE : 0));
    }
    return 0;
}
