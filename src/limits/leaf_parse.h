/* leaf_parse: the lines of /proc/self/cgroup and /proc/self/mountinfo that tell where our cgroups are. Pure:
 * a line in (its bytes, without the newline), a struct out. */
#ifndef LIMITS_LEAF_PARSE_H
#define LIMITS_LEAF_PARSE_H

#include "limits/leaf.h"

#include <stddef.h>

/* "4:cpu,cpuacct:/path" or "0::/path". */
struct leaf_member {
    enum leaf_version version;
    unsigned controllers; /* v1: LEAF_HAS_*, others are left out */
    char path[LEAF_PATH_MAX];
};

/* A mounted cgroup file system: `root` is the cgroup that `point` shows. */
struct leaf_mount {
    enum leaf_version version;
    unsigned controllers;
    char root[LEAF_PATH_MAX];
    char point[LEAF_PATH_MAX];
};

/* Each returns 0, -ENOENT for a line of another kind, -EINVAL for one that is not of the form, -ENAMETOOLONG.
 */
int leaf_parse_member(const char *line, size_t len, struct leaf_member *ret);
int leaf_parse_mount(const char *line, size_t len, struct leaf_mount *ret);

/* The LEAF_HAS_* bits in a list of words separated by blanks or commas. */
unsigned leaf_parse_controllers(const char *text, size_t len);

/* `path` relative to `root`: "" when they are the same, else without a leading slash; NULL when it is not
 * below. */
const char *leaf_parse_below(const char *path, const char *root);

/* Whether `name` is LEAF_PREFIX + digits (a room's leaf). */
bool leaf_parse_leaf_name(const char *name);

#endif
