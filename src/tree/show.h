/* show: the index in words. */
#ifndef TREE_SHOW_H
#define TREE_SHOW_H

#include "tree/index.h"
#include "tree/session.h"

/* In the order of a review: deletions, what could run outside, modified, added, what git ignores, git's own. */
enum show_group {
    SHOW_DELETED,
    SHOW_ALARMED,
    SHOW_MODIFIED,
    SHOW_ADDED,
    SHOW_UNTRACKED,
    SHOW_IGNORED,
    SHOW_GIT, /* summed up */
    SHOW_GROUPS
};
enum show_group show_group_of(const struct index_row *row, size_t n);

/* Columns that lines for people are laid out for; 0: unknown. */
void show_width(unsigned columns);

/* The text formats of TREE_LIST, TREE_NAMES, TREE_STAT, TREE_JSON. `chosen` as of select_rows(). */
int show_list(const struct index *x, const struct decisions *d, const uint8_t *chosen, bool colour);
int show_names(const struct index *x, const uint8_t *chosen);
int show_json(const struct index *x, const struct decisions *d, const uint8_t *chosen);
/* The lines of what is summed up in a .git; none where nothing is. */
void show_git(const struct index *x, const uint8_t *chosen, bool colours);
int show_stat(const struct index *x, const uint8_t *chosen);

void show_totals(const struct index *x, const uint8_t *chosen, struct tree_totals *ret);

#endif
