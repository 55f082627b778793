/* restored: what an undo could only bring back as a copy, kept beside the list of changes: the list names files by
 * their inodes, and these have others now. Needed where the store is on another file system than the workspace.
 *
 *   header, then per file a struct restored_row, sorted by what the list has */
#ifndef TREE_RESTORED_H
#define TREE_RESTORED_H

#include "tree/journal.h"

#define RESTORED_MAGIC 0x31545352u /* "RST1" */

struct restored_row {
    uint64_t dev, ino;         /* as in the list */
    uint64_t now_dev, now_ino; /* since the last undo */
};

struct restored {
    struct restored_row *row;
    size_t count, room;
};

/* None where nothing is kept. -EBADMSG. */
int restored_load(int entry, struct restored *ret);
void restored_free(struct restored *r);

/* `f` as it is now, if `s` is what came back in the place of it; else as it was. */
struct fingerprint restored_as(const struct restored *r, const struct fingerprint *f, const struct stat *s);

/* After the operations of `j` were taken back in the workspace `lower`: notes what is another inode; durable, but valid
 * only when restored_take has been called, after the undo came to its end. Until then what was noted before holds: the
 * undo may still become an apply again. */
int restored_keep(int entry, int lower, struct journal *j);
int restored_take(int entry);
void restored_drop(int entry); /* what was kept and not taken */

/* Pure. */
int restored_check(const void *bytes, size_t size);

#endif
