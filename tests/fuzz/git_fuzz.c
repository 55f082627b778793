/* git_fuzz: any bytes as the index of a repository, as a .gitignore, as packed refs and as something that zlib packed.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "tree/git_ignore.h"
#include "tree/git_index.h"
#include "tree/git_view.h"
#include "tree/git_words.h"
#include "tree/inflate.h"
#include "tree/record.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    char last[GIT_INDEX_PATH_MAX + 1];
    size_t count;
};

/* Each path leads below the workspace, and they come in order. */
static int see(void *ctx, const char *path, size_t len, int folder)
{
    struct seen *s = ctx;

    CHECK(len <= GIT_INDEX_PATH_MAX && path[len] == '\0' && record_good_path(path, len));
    CHECK(folder == 0 || folder == 1);
    CHECK(strcmp(s->last, path) <= 0 || s->count == 0 || folder); /* a sparse folder has lost its slash */
    memcpy(s->last, path, len + 1);
    s->count++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct git_ignore_rule rules[256];
    static struct seen seen;
    static uint8_t out[1 << 16];
    const char *text = (const char *)data;
    size_t len = 0;

    seen = (struct seen){.count = 0};
    const int r = git_index_each(data, size, see, &seen);
    CHECK(r == 0 || seen.count == 0);
    CHECK(git_index_same(data, size, data, size) == (r == 0));
    const size_t half = size / 2, n = git_ignore_read(text, half, rules, 256);
    CHECK(n <= 256);
    for (size_t i = 0; i < n; i++)
        CHECK(rules[i].len > 0 && rules[i].pattern >= text && rules[i].pattern + rules[i].len <= text + half);
    if (size > half) {
        const int says = git_ignore_says(rules, n, text + half, size - half, size & 1);
        CHECK(says >= -1 && says <= 1 && (n || says == -1));
    }
    const char *value = git_packed_ref(text, size, "refs/heads/a", &len);
    CHECK(!value || ((len == 40 || len == 64) && value >= text && value + len <= text + size));
    const long unpacked = inflate_bytes(data, size, out, sizeof out);
    CHECK(unpacked <= (long)sizeof out);
    char path[512];
    const size_t p = size < sizeof path ? size : sizeof path - 1;
    memcpy(path, data, p);
    path[p] = '\0';
    CHECK(git_internal(path) <= strlen(path));
    (void)git_known(path);
    return 0;
}
