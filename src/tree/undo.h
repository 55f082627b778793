/* undo: takes an apply back, and after a crash whatever did not end. */
#ifndef TREE_UNDO_H
#define TREE_UNDO_H

#include "tree/stage.h"

/* An apply that did not end: nothing of it stays, and the state is `before` (UNDONE, when something had been
 * moved). */
int recover_apply(const char *id, enum store_state before);
/* What is left to do when the state says APPLIED. */
void tidy_applied(struct stage *s);

#endif
