/* leaf_parse_fuzz: any bytes as lines of /proc/self/cgroup and /proc/self/mountinfo.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "limits/leaf_parse.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_line(const char *line, size_t len)
{
    struct leaf_member member;
    struct leaf_mount mount;
    bool is_member = leaf_parse_member(line, len, &member) == 0;

    if (is_member)
        CHECK(member.path[0] == '/' && memchr(member.path, '\0', sizeof member.path));
    if (leaf_parse_mount(line, len, &mount) == 0) {
        CHECK(mount.root[0] == '/' && mount.point[0] == '/' && mount.version != LEAF_NONE);
        if (is_member) {
            const char *below = leaf_parse_below(member.path, mount.root);

            CHECK(!below || (*below != '/' && strlen(below) <= strlen(member.path)));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;

    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        if (!stop)
            stop = end;
        one_line(p, (size_t)(stop - p));
        p = stop + (stop < end);
    }
    return 0;
}
