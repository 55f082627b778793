/* ops: the operations of a journal, done and undone.
 *
 * Each can tell from the tree and the stage whether it has been done:
 *   ADD      done when stage/N (stage_path) is gone       (a rename that replaces nothing)
 *   DELETE   done when stage/N is there      (the same, the other way)
 *   REPLACE  done when path is what was staged, by inode (an exchange)
 *   MODE, SETTLE  can be done twice
 * so that "all forward" after a crash finishes, "all backward" restores, and either may be interrupted again. */
#ifndef TREE_OPS_H
#define TREE_OPS_H

#include "tree/beneath.h"
#include "tree/journal.h"

struct ops {
    struct beneath_parent tree;
    int stage;
    bool
        fresh; /* forward for the first time: nothing of it was done before, and what an operation takes away must
                 * be what the journal says */
    const char *failed; /* the path of the operation that failed; in the journal */
    const char *why;    /* NULL: the errno says it */
    bool flat;          /* the stage has no shelves (journal_flat) */
    uint64_t kept;      /* folders that stay because somebody put something into them */
    /* Set: somebody may have written to the tree since. What is not as this journal left it stays, and is told;
     * what it would have been given back lies beside it, as NAME.before-ID. */
    void (*tell)(const char *path, const char *why);
    const char *path, *id; /* of the operation; of the entry */
    /* Whether the file `name` in `dir` means what `path` meant when it was made, though it is another one. NULL: no
     * file does. */
    bool (*same)(const char *path, int dir, const char *name);
};

/* 0, or -errno with `failed`; what was done before stays done. */
int ops_forward(struct ops *o, struct journal *j);
int ops_backward(struct ops *o, struct journal *j);
/* The folders around get the times back that they had. */
int ops_restore_times(struct ops *o, struct journal *j);

/* All of it on the disk: up to `few` operations folder by folder, more with their file system. */
int ops_sync(struct ops *o, struct journal *j, uint64_t few);

/* Whether everything is still as it was left by the last of them; -EBUSY with `failed` and `why` when not. */
int ops_untouched(struct ops *o, struct journal *j, void (*tell)(const char *path, const char *why));

#endif
