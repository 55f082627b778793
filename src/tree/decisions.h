/* decisions: what somebody said about single changes in a review, kept beside the list that it is about.
 *
 *   header, then per row of the index one byte: enum tree_decision
 *
 * Written whole and renamed. It is about one list: when that is another one, what was said counts for nothing. */
#ifndef TREE_DECISIONS_H
#define TREE_DECISIONS_H

#include "tree/index.h"

#define DECISIONS_MAGIC 0x31434544u /* "DEC1" */

struct decisions_header {
    uint32_t magic, version;
    uint64_t rows;
    uint64_t index_ino, index_size; /* the list: when it was written, and as which file */
    int64_t index_ctime;
    uint64_t index_ctime_nsec;
};

struct decisions {
    struct decisions_header *head; /* NULL: not loaded */
    uint8_t *row;
    uint64_t rows;
    bool any;
};

/* Everything undecided where nothing is kept. -ESTALE: what is kept is about another list; -EBADMSG. */
int decisions_load(int entry, const struct index *x, struct decisions *ret);
int decisions_keep(int entry, const struct decisions *d); /* durable; no file when nothing is decided */
void decisions_free(struct decisions *d);

enum tree_decision decision_of(const struct decisions *d, size_t row);
void decisions_count(const struct decisions *d, const struct index *x, struct tree_decided *ret);

/* Pure: are these bytes decisions, and about this list? */
int decisions_check(const void *bytes, size_t size, const struct decisions_header *wanted);

#endif
