/* collect: what a layer changes of the tree below it, written to the index. */
#ifndef TREE_COLLECT_H
#define TREE_COLLECT_H

#include "tree/frames.h"

struct collect_since {
    int64_t sec, nsec; /* what of the host was stamped then or later, changed while the room ran */
};

int collect(int upper, int lower, int entry, struct collect_since since, struct tree_totals *ret);

#endif
