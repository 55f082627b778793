/* handoff_fuzz: any bytes as a path, a link, a git configuration and a package.json.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "tree/handoff.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        unsigned alarm;
        const char *path;
    } rows[] = {
        {ALARM_GIT_CONFIG, ".git/config"}, {ALARM_PACKAGE_SCRIPT, "package.json"}, {ALARM_BUILD, "Makefile"}};
    char path[256], text[4096];
    const size_t n = size < sizeof path ? size : sizeof path - 1;
    const struct handoff_text all = {(const char *)data, size}, none = {"", 0};

    memcpy(path, data, n);
    path[n] = '\0';
    CHECK(handoff_path(path) < ALARM_COUNT);
    (void)handoff_leaves("a/b", path);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sbuf b = SBUF(text);
        (void)handoff_line(rows[i].alarm, rows[i].path, none, all, &b);
        CHECK(strchr(text, '\n') == NULL && strchr(text, '\033') == NULL);
        b = SBUF(text);
        if (rows[i].alarm != ALARM_BUILD) /* what was there before is no news */
            CHECK(!handoff_line(rows[i].alarm, rows[i].path, all, all, &b) || size > 4096);
    }
    return 0;
}
