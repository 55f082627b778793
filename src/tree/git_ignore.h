/* git_ignore: the lines of a .gitignore, and whether they name a path. Pure. */
#ifndef TREE_GIT_IGNORE_H
#define TREE_GIT_IGNORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GIT_IGNORE_BYTES_MAX ((size_t)256 << 10) /* of one such file; a longer one counts as empty */

struct git_ignore_rule {
    const char *pattern; /* in the file's bytes */
    uint32_t len;
    bool negated; /* "!": what it names is not ignored */
    bool folders; /* "/" at its end: only folders */
    bool
        anchored; /* a slash elsewhere: it is about the whole path below the file's folder, else about a name */
};

/* At most `max` rules; returns how many. The bytes must stay. */
size_t git_ignore_read(const char *bytes, size_t size, struct git_ignore_rule *ret, size_t max);

/* What the last rule that names `path` (relative to the folder of the file) says: 1 ignored, 0 not, -1: none names
 * it. */
int git_ignore_says(const struct git_ignore_rule *rules, size_t count, const char *path, size_t len,
                    bool folder);

#endif
