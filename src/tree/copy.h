/* copy: bytes, files and whole trees from one place to another, without following and without making anything
 * special. */
#ifndef TREE_COPY_H
#define TREE_COPY_H

#include <stdint.h>
#include <sys/stat.h>

/* What `from` held when `s` was taken, into the empty file `to`: shared blocks where the file system can, holes
 * kept. */
int copy_bytes(int from, int to, const struct stat *s);

/* Sets the mode of a name without following it. */
int copy_mode(int dir, const char *name, mode_t mode);

enum copy_kind {
    COPY_STORE, /* a layer: markers kept, folders stay open to us, no set-id bits */
    COPY_OUT,   /* results for people: no markers, no set-id bits, existing files are not replaced */
    COPY_STRICT, /* the same, without what could run outside or lead astray: links out, control characters, … */
    COPY_BACKUP, /* all that a file is: owner, mode, times, extended attributes */
};

struct copy_count {
    uint64_t files, bytes, left_out; /* left_out: special files */
    char failed[512];                /* escaped: where it came to an end */
};

/* The content of folder `from` into the folder `to`, or with `only` that one name. As root what is made belongs to
 * the owner of the folder `owner` (-1: to root; a backup keeps each owner). */
/* Each thing that is left out. */
typedef void copy_tell(const char *path, const char *why);
int copy_tree(int from, int to, const char *only, enum copy_kind kind, int owner, copy_tell *tell,
              struct copy_count *ret);

/* Extended attributes of people and access lists. The rest belongs to the system and is made by it. */
int copy_xattrs(int from, int to);

#endif
