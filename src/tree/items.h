/* items: what a reader decides about in one go: a change, or a folder that comes or goes whole. */
#ifndef TREE_ITEMS_H
#define TREE_ITEMS_H

#include "tree/decisions.h"
#include "tree/index.h"

/* Of a folder's row: what is below it. */
struct inside {
    uint64_t
        count; /* 0: it does not come or go as one: there is an alarm, a conflict, or something of another kind */
    uint64_t bytes;
    uint64_t unkept;         /* files that git has no copy of */
    enum tree_decision said; /* about all of it, the folder too; UNDECIDED: about some nothing was said */
    bool agreed;             /* the same about each */
};
/* `at`: behind the folder's record, which is row `n`; `chosen`: NULL, or what all of it must be in. */
void folder_inside(const struct index *x, size_t at, size_t n, const struct index_row *folder,
                   const char *path, const uint8_t *chosen, const struct decisions *d, struct inside *ret);

struct item {
    size_t n; /* the row's number */
    const struct index_row *row;
    const char *path, *detail;
    struct inside inside; /* count 0: it is by itself */
    bool git;             /* the row stands for all that is summed up of a .git */
};
typedef int item_fn(void *ctx, const struct item *i);

/* In the order of the review, of the paths that the session names; `opened`: 0, or 1 more than the row of a folder:
 * what is in it, or TREE_SUM: what is summed up. git_view_load() comes before. Not 0 of
 * `each` ends it and is returned. */
int items_each(const struct index *x, const struct decisions *d, uint64_t opened, item_fn *each, void *ctx);

#endif
