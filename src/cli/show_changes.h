/* show_changes: brings what strongroom-tree says about changes to the caller. */
#ifndef CLI_SHOW_CHANGES_H
#define CLI_SHOW_CHANGES_H

#include "base/sbuf.h"
#include "engine/changes.h"

struct show {
    int to;          /* descriptor */
    unsigned height; /* of its terminal: stop after each page; 0: never */
    unsigned width;
    unsigned row, column; /* of the cursor on this page */
    bool stopped;         /* the reader has seen enough */
    bool colours;
};

/* Where to show, and whether to stop after each page (a terminal to read from, and one to show on). */
void show_begin(struct show *s, int to, bool pages);
tree_sink show_text; /* ctx is a struct show */

/* Puts a question and takes one key. What was pressed before the question stood there is no answer, nor is a key that
 * sends several bytes: that is '?'. 0: none will come. */
char show_ask(struct show *s, const char *question);

/* "2 deleted, 1 modified, 3 added (+4.5K), 1 alarm" */
void show_totals(const struct tree_totals *t, struct sbuf *out);

#endif
