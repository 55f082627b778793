/* diff: what changed in a file, as unified text or as a patch that `git apply` takes. */
#ifndef TREE_DIFF_H
#define TREE_DIFF_H

#include "tree/index.h"
#include "tree/session.h"

#define DIFF_FILE_MAX  ((size_t)32 << 20) /* bytes of a file that are compared line by line */
#define DIFF_LINES_MAX ((size_t)1 << 20)  /* lines of it; longer ones are shown as replaced whole */

enum {
    DIFF_PATCH = 1 << 0,   /* exact bytes for a program; else for people, escaped, bounded */
    DIFF_COLOURS = 1 << 1, /* for people */
    DIFF_WHOLE = 1 << 2,   /* for people, and all lines */
};
/* A path as git quotes it, to the session's text. */
void diff_put_name(const char *prefix, const char *path);

/* One row to the session's text. `how`: DIFF_* */
int diff_one(const struct index_row *row, const char *path, unsigned how);
/* The chosen rows, deletions first. */
int diff_all(const struct index *x, const uint8_t *chosen, unsigned how);
/* Lines that go and come; -1 and -1 for what is no text. */
int diff_count(const struct index_row *row, const char *path, long *ret_gone, long *ret_come);

/* Pure: the hunks of two texts, through `put`. Returns whether there are any. */
struct diff_text {
    const char *bytes;
    size_t size;
};
typedef void diff_put(void *ctx, const char *bytes, size_t size);
bool diff_hunks(struct diff_text a, struct diff_text b, diff_put *put, void *ctx, long *ret_gone,
                long *ret_come);

#endif
