/* git_view: what git would say of each change: tracked, untracked, ignored, or its own. */
#ifndef TREE_GIT_VIEW_H
#define TREE_GIT_VIEW_H

#include "tree/index.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum git_class {
    GIT_NONE, /* there is no repository at the top of the workspace, or its index cannot be read */
    GIT_TRACKED,
    GIT_UNTRACKED,
    GIT_IGNORED,
    GIT_INTERNAL, /* of a .git, at any depth */
};
const char *git_class_name(enum git_class c); /* "" for GIT_NONE */

/* Looks at every row of the list; the answers hold until another list is looked at. `lower`: the workspace on the host,
 * -1: not at hand, then only internals are known. `all`: nothing is summed up. */
int git_view_load(const struct index *x, int lower, bool all);

enum git_class git_view_class(size_t row);
/* Whether the row is one of those that a reader gets as a sum: objects, refs, logs and their like, without an alarm
 * or a conflict. Never a hook, a configuration, or a name that is not known to be harmless. */
bool git_view_summed(size_t row);
bool git_view_aware(void);       /* the classes are known */
const char *git_view_note(void); /* why they are not, though there is a repository; "" */

/* Pure: what lies in a .git: the length of the path up to it, "/.git" included; 0: it does not. */
size_t git_internal(const char *path);
/* Pure: whether a file of this path in a .git (`rest`: behind its slash) is one of those that are summed up. */
bool git_known(const char *rest);

#endif
