/* step_changes: changes one by one at a terminal, and what somebody says about each. */
#ifndef CLI_STEP_CHANGES_H
#define CLI_STEP_CHANGES_H

#include "cli/show_changes.h"

/* Shows each change that nobody has decided about and asks; decisions are kept at once. `paths`: only those,
 * NULL-ended; may be NULL. `flags`: TREE_ALL or 0.
 * Returns 1 when what was accepted shall become real now, 0, or -errno with e filled. */
int step_changes(struct changes *c, struct show *s, char *const *paths, uint32_t flags, struct err *e);

#endif
