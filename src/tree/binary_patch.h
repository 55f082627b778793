/* binary_patch: what git calls a "GIT binary patch": whole contents, in base 85. */
#ifndef TREE_BINARY_PATCH_H
#define TREE_BINARY_PATCH_H

#include "tree/diff.h"

/* The part behind the modes, to the session's text: both contents, so that it can be taken back too. */
void binary_patch(struct diff_text old, struct diff_text new, bool added, bool deleted);

#endif
