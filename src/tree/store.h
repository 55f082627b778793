/* store: where the changes of workspaces are kept, and what lies there. Used by strongroom and strongroom-tree.
 *
 *   $STATE                     root: /var/lib/strongroom; else $XDG_STATE_HOME/strongroom or
 *   ~/.local/state/strongroom
 *   $STATE/changes/            0700; flock()ed while something is applied or undone
 *   $STATE/changes/ID/         one workspace of one run, 0700; flock()ed (LOCK_EX) by the run while the room lives
 *       meta                   who, what, when: store_meta below; written before the room starts
 *       state                  one word of store_state, replaced by rename
 *       upper/                 the room's layer in overlay's own encoding (whiteouts 0:0, user.overlay.opaque),
 *       owned by
 *                              the caller, no set-id bits: fit to be a lower layer of a later room. With --upper
 *                              disk the
 *                              room writes here itself
 *       work/                  overlay's work directory, with --upper disk
 *       index                  the changes, one record each (index.h)
 *       decisions              about single changes (decisions.h)
 *       journal                of the last apply: what was done, in order, and what was there before (journal.h)
 *       restored               what an undo brought back as copies (restored.h)
 *       old/                   what the apply replaced or removed, by number
 *   $STATE/layers/NAME/        saved layers: an upper/ and a meta
 *
 * While an apply is under way, DIR/.strongroom-ID holds what is staged; it is gone afterwards. */
#ifndef TREE_STORE_H
#define TREE_STORE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_ID_LENGTH   6
#define STORE_ID_SIZE     (STORE_ID_LENGTH + 1)
#define STORE_PATH_MAX    4096
#define STORE_COMMAND_MAX 1024
#define STORE_STAGE       ".strongroom-" /* + ID: its name in the workspace */
#define STORE_UPPER       "upper"
#define STORE_HALF        ".upper" /* while it is copied */
#define STORE_WORK        "work"
#define STORE_INDEX       "index"
#define STORE_JOURNAL     "journal"
#define STORE_DECISIONS   "decisions"
#define STORE_OLD         "old"
#define STORE_RESTORED    "restored"
#define STORE_ENTRIES_MAX 65536

enum store_state {
    STORE_RUNNING = 1, /* the room lives, or its strongroom died with it: then nobody holds the lock */
    STORE_PENDING,     /* to be reviewed */
    STORE_APPLYING,
    STORE_APPLIED,
    STORE_UNDOING,
    STORE_UNDONE,   /* as PENDING, after an undo */
    STORE_UNLISTED, /* as PENDING, but its index is still to be made: nothing but the layer could be kept */
    STORE_STATE_COUNT,
};
const char *store_state_name(enum store_state s);

struct store_meta {
    char id[STORE_ID_SIZE];
    char dir[STORE_PATH_MAX];        /* the workspace on the host, absolute, no links in it */
    uint64_t dev, ino;               /* of it */
    char at[STORE_PATH_MAX];         /* where the room had it */
    char upper[16];                  /* "tmpfs", "disk", "copy" */
    char command[STORE_COMMAND_MAX]; /* the program and its arguments, escaped, cut */
    int64_t started_sec; /* CLOCK_REALTIME_COARSE: what the host's clock stamps then or later, changed while
                                      * the room ran */
    int64_t started_nsec;
    /* known when the room has ended */
    char policy[72];  /* its hash, hex */
    char outcome[32]; /* as in the result */
    int64_t exit_status, ended_sec;
};

/* The directory of changes, made when it is not there; refuses one that others may write to. Returns its
 * descriptor. */
int store_open(struct err *e);
/* A path below $STATE, for messages and for what wants a path ("changes/ID"). -ENAMETOOLONG, -ENOENT (no home). */
int store_path(const char *below, char *ret, size_t size);

int store_draw_id(char ret[STORE_ID_SIZE]);

/* A new entry with its meta (m->id is set here), state RUNNING, locked. Returns its descriptor; the lock lasts as
 * long as it is open. */
int store_new(int changes, struct store_meta *m, struct err *e);
/* The entry that `word` names: an ID or an unambiguous beginning; NULL: the newest. ret gets its full ID. Returns its
 * descriptor, not locked. */
int store_find(int changes, const char *word, char ret[STORE_ID_SIZE], struct err *e);
/* IDs, newest first; at most `max`. Returns how many. */
int store_list(int changes, char (*ret)[STORE_ID_SIZE], size_t max, struct err *e);

int store_read_meta(int entry, struct store_meta *ret, struct err *e);
int store_write_meta(int entry, const struct store_meta *m, struct err *e);
/* Pure: the text of a meta file (NUL-terminated), and back. */
int store_parse_meta(const char *text, struct store_meta *ret);

/* 0 (and a value), or -errno. Setting is durable. */
int store_get_state(int entry, enum store_state *ret);
int store_set_state(int entry, enum store_state s);
/* The same in two steps: written, on the disk only with `durably` (or when the caller sees to it); and taken. */
int store_get_ready(int entry, enum store_state s, bool durably);
int store_take_ready(int entry);

/* Removes an entry that DISCARD has emptied. */
int store_remove(int changes, const char *id, struct err *e);

#endif
