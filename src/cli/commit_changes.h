/* commit_changes: a git commit of exactly what was applied, made by a git that lives in a room. */
#ifndef CLI_COMMIT_CHANGES_H
#define CLI_COMMIT_CHANGES_H

#include "engine/changes.h"

struct commit_words {
    const char *message; /* NULL: no commit is wanted */
    const char *author;  /* "NAME <ADDRESS>"; NULL: the agent's */
};
#define COMMIT_AUTHOR "strongroom agent <agent@strongroom.invalid>"

/* Before anything is applied: is DIR the top of a repository with a branch, is there a git, who commits? */
int commit_ready(const struct changes *c, const struct commit_words *w, struct err *e);

/* `c` is applied and open for reading; it is closed. ret gets the commit's number, and the ID of the changes that it
 * made in .git, for undo. */
int commit_changes(struct changes *c, const struct commit_words *w, char ret_commit[72],
                   char ret_id[STORE_ID_SIZE], struct err *e);

#endif
