/* hunks_fuzz: two texts (a byte 0xff between them) → hunks; the hunks must make the second of the first.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "tree/diff.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    char *bytes;
    size_t size, room;
};

static void keep(void *ctx, const char *bytes, size_t size)
{
    struct seen *s = ctx;

    CHECK(size <= s->room - s->size);
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
}

/* Both texts again, from hunks and, where no hunk is, from the first. */
static void replay(const struct seen *s, struct diff_text a, struct diff_text b, char *out)
{
    size_t at = 0, used = 0, read = 0, line = 1;

    while (at < s->size) {
        const char *p = s->bytes + at, *end = memchr(p, '\n', s->size - at);
        CHECK(end != NULL);
        const size_t n = (size_t)(end - p) + 1;
        const char *next = p + n;
        const bool open = next < s->bytes + s->size && *next == '\\';
        const size_t text = n - 1 - open;
        at += n;
        if (*p == '@') {
            char *more;
            size_t from = strtoul(p + 4, &more, 10); /* allowed: our own digits */
            const size_t first = from + (*more == ',' && more[1] == '0' && more[2] == ' ');
            while (line < first) {
                const char *stop = memchr(a.bytes + read, '\n', a.size - read);
                CHECK(stop != NULL);
                const size_t len = (size_t)(stop - a.bytes) + 1 - read;
                memcpy(out + used, a.bytes + read, len);
                used += len;
                read += len;
                line++;
            }
        } else if (*p != '\\') {
            if (*p != '+') {
                CHECK(text <= a.size - read && memcmp(a.bytes + read, p + 1, text) == 0);
                read += text;
                line++;
            }
            if (*p != '-') {
                memcpy(out + used, p + 1, text);
                used += text;
            }
        }
    }
    memcpy(out + used, a.bytes + read, a.size - read);
    used += a.size - read;
    CHECK(used == b.size && memcmp(out, b.bytes, used) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *middle = size ? memchr(data, 0xff, size) : NULL;
    long gone, come;

    if (!middle)
        return 0;
    const struct diff_text a = {(const char *)data, (size_t)(middle - data)};
    const struct diff_text b = {(const char *)middle + 1, size - a.size - 1};
    struct seen s = {.room = 64 + 64 * size};
    char *out = malloc(2 * size + 1);
    s.bytes = malloc(s.room);
    CHECK(out && s.bytes);
    (void)diff_hunks(a, b, keep, &s, &gone, &come);
    replay(&s, a, b, out);
    free(out);
    free(s.bytes);
    return 0;
}
