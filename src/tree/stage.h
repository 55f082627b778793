/* stage: the folder .strongroom-ID in the workspace, in which an apply gets ready, and in which what it took away
 * lies until it is moved to the entry (old/). */
#ifndef TREE_STAGE_H
#define TREE_STAGE_H

#include "tree/beneath.h"
#include "tree/journal.h"
#include "tree/store.h"

#define STAGE_NAME_MAX (sizeof STORE_STAGE + STORE_ID_SIZE)
#define STAGE_SHELF    64 /* files side by side: each one more makes finding and adding a name dearer */
#define STAGE_PATH_MAX 24

/* Where in the stage the file of an operation lies: sM/N, on shelf N / STAGE_SHELF, or N (flat). */
void stage_path(bool flat, uint32_t number, char ret[STAGE_PATH_MAX]);

struct stage {
    char name[STAGE_NAME_MAX];
    int fd;           /* -1: none */
    struct stat root; /* of the workspace, before */
    struct beneath_parent upper;
    struct stage_links *links;
    uint32_t shelves; /* that were made */
};

/* -EEXIST: one is there already. */
int stage_create(struct stage *s, const char *id);
int stage_open(struct stage *s, const char *id); /* -ENOENT: there is none */
void stage_close(struct stage *s);

/* The shelf on which `number` will lie, and those before it. */
int stage_shelf(struct stage *s, uint32_t number);

/* Puts the layer's file, link or folder of a row there, as `op->number`, and fills op->made. `like`: whose owner and
 * attributes it takes over; NULL: a new one. */
int stage_fill(struct stage *s, const struct index_row *row, const char *path, struct journal_op *op,
               const struct stat *like, int like_fd);

/* What was taken away goes to entry/old, for undo; and back. */
int stage_keep(struct stage *s);
int stage_bring_back(struct stage *s, const char *id);

/* Removes it with what is in it and on its shelves. -ENOTEMPTY: a folder in it is not empty, and stays. */
int stage_remove(struct stage *s);

/* The folder's content and then itself. 0 when it is not there. */
int remove_tree(int dir, const char *name);

#endif
