/* verbs: what strongroom-tree does, one function each. Each fills session.report for its DONE. */
#ifndef TREE_VERBS_H
#define TREE_VERBS_H

#include "tree/frames.h"

void verb_store(const struct tree_command *c);
void verb_show(const struct tree_command *c);
void verb_rows(const struct tree_command *c);
void verb_diff(const struct tree_command *c);
void verb_count(const struct tree_command *c);
void verb_decide(const struct tree_command *c);
void verb_apply(const struct tree_command *c);
void verb_undo(const struct tree_command *c);
void verb_recover(const struct tree_command *c);
void verb_discard(const struct tree_command *c);
void verb_copy(const struct tree_command *c);

#endif
