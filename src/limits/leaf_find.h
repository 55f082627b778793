/* leaf_find: where leaves can be made. leaf_find_place is leaf_find_in with this host's own files; tests
 * bring theirs. */
#ifndef LIMITS_LEAF_FIND_H
#define LIMITS_LEAF_FIND_H

#include "limits/leaf.h"
#include "limits/leaf_parse.h"

struct leaf_host {
    const char *member_file; /* /proc/self/cgroup */
    const char *mount_file;  /* /proc/self/mountinfo */
    bool root;               /* effective uid 0 */
    bool usual;              /* look at the usual mount points first: saves reading the whole mount table */
    bool any_fs;             /* tests only: the trees are simulated, do not ask for the file system's type */
};

void leaf_find_in(const struct leaf_host *host, struct leaf_place *ret);

/* One of our cgroups: what /proc/self/cgroup says of it, and where its hierarchy is mounted. */
struct leaf_home {
    unsigned controllers;
    bool mounted; /* point and below are known */
    int fd;       /* the mount point, O_PATH, already open and looked at; -1 */
    char path[LEAF_PATH_MAX];
    char point[LEAF_PATH_MAX];
    const char *below; /* in path: our cgroup relative to the mount point, "" for itself */
};

/* Opens a mount point and checks that it really is a cgroup file system of this version. O_PATH fd or -errno.
 */
int leaf_find_open(const struct leaf_host *host, const char *point, enum leaf_version version);

/* Says why there is no place, or what a place lacks. The first reason stays. */
void leaf_find_why(struct leaf_place *p, const char *text, const char *object, int code);

/* Unified hierarchy: fills p->parent_fd[0], controllers[0], limits. */
void leaf_find_unified(const struct leaf_host *host, struct leaf_home *home, struct leaf_place *p);

/* Moves us back out of p->sup and removes it, when nobody else uses the place. */
void leaf_unified_leave(struct leaf_place *p);

#define LEAF_CONTROLLERS (LEAF_HAS_MEMORY | LEAF_HAS_PIDS | LEAF_HAS_CPU)

#endif
