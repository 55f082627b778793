/* changes: what rooms changed in workspaces, kept until somebody decides. For the verbs. */
#ifndef ENGINE_CHANGES_H
#define ENGINE_CHANGES_H

#include "engine/tree.h"
#include "tree/store.h"
#include <stdbool.h>

/* One entry of the store, opened. */
struct changes {
    int store, entry;
    int lower; /* the workspace; -1: not the folder any more that the room saw */
    char id[STORE_ID_SIZE];
    struct store_meta meta;
    enum store_state state;
    struct tree_session tree;
};

enum changes_use {
    CHANGES_READ, /* others may read too */
    CHANGES_WRITE, /* the workspace will be written to: nobody else may use this entry, or write to any workspace */
    CHANGES_REMOVE, /* the entry will be emptied: nobody else may use it */
};

/* `word`: an ID or the beginning of one; NULL: the newest. Waits for nobody: an entry in use is an error. What an
 * earlier command left half done (it was killed) is taken back first, except for a reader. -errno with e filled, and
 * nothing open. */
int changes_open(struct changes *c, const char *word, enum changes_use use, struct err *e);
void changes_close(struct changes *c);

/* One verb of the tree (frames.h), for which changes_open() began a session. */
int changes_say(struct changes *c, const struct tree_command *say, tree_sink *sink, void *ctx,
                struct tree_totals *ret, struct err *e);

/* For a reader who decides about single changes: alone, so that nobody applies meanwhile, and back. An error when
 * others read too. */
int changes_hold(struct changes *c, bool alone, struct err *e);

/* Forgets the entry; it must have been opened for that, and is closed afterwards. */
int changes_discard(struct changes *c, struct err *e);

#endif
