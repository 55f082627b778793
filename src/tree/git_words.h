/* git_words: what a room did in a repository, summed up: commits, branches, objects. */
#ifndef TREE_GIT_WORDS_H
#define TREE_GIT_WORDS_H

#include "tree/index.h"
#include <stddef.h>
#include <stdint.h>

#define GIT_WORDS_LINES 16
#define GIT_WORDS_LINE  200 /* bytes of a line, escaped, NUL included */

struct git_words {
    uint64_t rows; /* that are summed up here */
    size_t first;  /* of them */
    size_t lines;
    char line[GIT_WORDS_LINES][GIT_WORDS_LINE];
};

/* Of the chosen rows (NULL: all; as of select_rows()) those that git_view_summed() names. The session's trees are read,
 * within bounds, for refs and commits. */
void git_words_make(const struct index *x, const uint8_t *chosen, struct git_words *ret);

/* Pure: the place of the value of the ref `name` in a packed-refs file, 40 or 64 hex digits; NULL: it is not there. */
const char *git_packed_ref(const char *text, size_t size, const char *name, size_t *ret_len);

#endif
