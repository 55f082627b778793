/* beneath: opening things below a root descriptor, and nowhere else: no link followed, no other file system entered.
 * Names and paths come from hostile trees. Results: >= 0 a descriptor (close-on-exec), or -errno. */
#ifndef TREE_BENEATH_H
#define TREE_BENEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* One name in `dir`. With O_DIRECTORY the way into a mount point is refused (-EXDEV). */
int beneath_open(int dir, const char *name, int flags);

/* The same in a layer or another tree of our own: where only the mode stands in the way, it gives way (and a file's
 * is put back). Never for a tree of the host's. */
int beneath_open_ours(int dir, const char *name, int flags);

/* As many bytes as the file has, up to `size`, from its beginning; retries EINTR. How many, or -errno. */
ssize_t beneath_read(int fd, void *to, size_t size);

/* When what `name` is was made; -ENODATA: the file system does not keep it. */
int beneath_born(int dir, const char *name, struct timespec *ret);

/* A path of any length below `root` (the last component is opened with `flags`); "" is the root itself. */
int beneath_open_path(int root, const char *path, size_t len, int flags);

/* The folder that holds what `path` names, remembered from call to call: neighbours in a walk share it, and from deep
 * in a tree the way to a folder that was passed before leads up ("..", and it must be that folder by device and
 * inode) rather than down from the root. *ret_name is the last component, in `path`. The descriptor belongs to the
 * cache. */
struct beneath_parent {
    int root, fd;
    char *path; /* of fd, without a slash at its end */
    size_t len;
    struct beneath_seen *seen; /* folders around fd, and it: a stack */
    size_t seen_count;
};
int beneath_parent(struct beneath_parent *p, const char *path, const char **ret_name);
void beneath_parent_close(struct beneath_parent *p);

/* How many entries the folder `path` has; counting may end beyond `enough`. 0: also where it cannot be told. */
uint64_t beneath_entries(struct beneath_parent *p, const char *path, uint64_t enough);

#endif
