/* record: what the records of index and journal have in common. Pure. */
#ifndef TREE_RECORD_H
#define TREE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether a path of a record leads below the workspace and nowhere else: no "", ".", "..", no slash too many. */
static inline bool record_good_path(const char *path, size_t len)
{
    if (len == 0 || path[0] == '/' || path[len - 1] == '/' || memchr(path, '\0', len))
        return false;
    for (const char *at = path; at < path + len;) {
        const char *slash = memchr(at, '/', (size_t)(path + len - at));
        size_t n = slash ? (size_t)(slash - at) : (size_t)(path + len - at);
        if (n == 0 || n > 255 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += n + 1;
    }
    return true;
}

#endif
