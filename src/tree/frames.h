/* frames: what strongroom and strongroom-tree say to each other over the tree's control socket.
 *
 * SOCK_SEQPACKET, descriptor TREE_CONTROL_FD in strongroom-tree, one record per frame, each direction one fixed
 * size (so fd_frame_send and fd_frame_recv fit); bytes that a frame does not use are zero. The program ends when
 * the socket closes, and when a frame does not fit its row. One session is about one tree:
 *
 *   OPEN       first, once: carries the directories of `flags` (TREE_HAS_*, in the order of the bits). The program
 *              confines itself to them and answers READY, or FAILED and ends.
 *   PATHS      0..n, before a verb: a piece of the paths that the verb is about, each ended by NUL, relative to the
 *              workspace; none at all: everything. A folder stands for all below it.
 *   PICK       0..n, before a verb: the rows (uint32_t, `size` bytes in text) that the verb is about; not with PATHS
 *   ACCEPT     0..n, before APPLY: "ALARM" or "ALARM:PATH" each, that TREE_ONLY_CLEAN lets pass
 *   EXCEPT     0..n, before a verb: as PATHS, of what it is not about
 *
 *   STORE      upper, lower, entry: walks the upper against the lower and writes the entry's index. With
 *              TREE_COPY_UPPER
 *              the upper is first copied to entry/upper (a tmpfs upper); without, the upper given is entry/upper
 *              itself (a disk upper) or stays the caller's (an apply that follows at once). A file of the host
 *              stamped at
 *              `started_*` or later (CLOCK_REALTIME_COARSE) is in conflict. Sets the entry's state to PENDING.
 *   SHOW       entry, and for PATCH, FULL and IMPORT upper and lower too: TEXT frames in the format `what`
 *   ROWS       entry: `count` ROW frames from the `row`th on, in the order of the review. TREE_FOLDED: a folder that
 *              comes or goes whole is one, and what is never made real is none; with `what` those in the folder of
 *              that row (plus 1). totals.rows: how many there are
 *   DIFF       upper, lower, entry: TEXT frames, the difference of row `row`; TREE_FOLDED: of all in that folder too
 *   DECIDE     entry: keeps the decision `what` (enum tree_decision) about the named rows; TREE_ONE: about row `row`
 *              and what makes no sense without it, with TREE_FOLDED all in that folder; TREE_REST: only where
 *              nothing is decided; TREE_ONLY_CLEAN: only where no alarm is
 *   COUNT      upper, lower, while a room writes to the upper: totals.deleted gets the files of the lower that are
 *              hidden, or with TREE_ALL those that it has, `count` and one more at most
 *   APPLY      upper, lower (writable), entry: all or nothing. TREE_SKIP_CONFLICTS: without the rows whose host file
 *              changed since; TREE_ONLY_CLEAN: not if there is an alarm but those of ACCEPT; TREE_DECIDED: what was
 *              accepted, or, of what PATHS name, what was not rejected
 *   UNDO       lower (writable), entry: takes the last apply back
 *   RECOVER    lower (writable), entry: after an apply or undo that did not end: nothing of it stays
 *   DISCARD    entry: everything in it is removed (the entry itself is the caller's to remove)
 *   COPY       upper (the source), lower (the destination, writable): the folder's content, or with PATHS what they
 *              name; nothing is followed, special files are left out, told and counted, set-id bits cleared
 *
 * Each verb answers 0..n TEXT and ROW frames, then one DONE: `code` 0, or an errno with text and hint; `totals` is
 * set after STORE, SHOW, APPLY, UNDO and COPY, `decided` after SHOW, ROWS with TREE_FOLDED,
 * DECIDE and APPLY. Then the next verb may follow, in the same session. */
#ifndef TREE_FRAMES_H
#define TREE_FRAMES_H

#include <stdint.h>

#define TREE_CONTROL_FD     3
#define TREE_FRAMES_VERSION 1
#define TREE_PIECE_MAX      4000u
#define TREE_TEXT_MAX       16000u
#define TREE_HINT_MAX       256u
#define TREE_SUM            UINT32_MAX /* ROWS: of what is summed up, one by one */
#define TREE_PATHS_MAX      (1u << 20) /* bytes of all PATHS, and of all PICK rows, of one verb */

enum tree_command_type {
    TREE_OPEN = 1,
    TREE_PATHS,
    TREE_PICK,
    TREE_STORE,
    TREE_SHOW,
    TREE_ROWS,
    TREE_DIFF,
    TREE_APPLY,
    TREE_UNDO,
    TREE_RECOVER,
    TREE_DISCARD,
    TREE_COPY,
    TREE_EXCEPT,
    TREE_DECIDE,
    TREE_ACCEPT,
    TREE_COUNT,
};

/* OPEN: which descriptors come along, and what may be written. */
enum {
    TREE_HAS_UPPER = 1 << 0,
    TREE_HAS_LOWER = 1 << 1,
    TREE_HAS_ENTRY = 1 << 2,
    TREE_LOWER_WRITABLE = 1 << 3, /* else nothing in it can be changed, whatever happens */
};
/* of verbs */
enum {
    TREE_COPY_UPPER = 1 << 0,
    TREE_SKIP_CONFLICTS = 1 << 1,
    TREE_ONLY_CLEAN = 1 << 2,
    TREE_COLOUR = 1 << 3, /* SHOW, DIFF: with colours */
    TREE_STRICT =
        1 << 4, /* COPY: out of a room: without links that lead out, files that host programs obey, … */
    TREE_DECIDED = 1 << 5, /* SHOW, APPLY: the decisions count */
    TREE_FOLDED = 1 << 6,  /* ROWS, DIFF, DECIDE */
    TREE_ONE = 1 << 7,     /* DECIDE */
    TREE_REST = 1 << 8,
    TREE_ALL = 1 << 9,  /* SHOW, ROWS: what lies in a .git is not summed up */
    TREE_GIT = 1 << 10, /* DIFF, DECIDE: about what is summed up, as far as PATHS name it */
};

enum tree_format {
    TREE_LIST = 1, /* for people: totals, alarms, deletions first */
    TREE_FULL,     /* the same, with the differences */
    TREE_STAT,
    TREE_NAMES,
    TREE_JSON,
    TREE_PATCH,  /* what `git apply` takes */
    TREE_IMPORT, /* of what was applied, what `git fast-import` takes (import.h) */
};

struct tree_command {
    uint32_t type, version; /* enum tree_command_type, TREE_FRAMES_VERSION */
    uint32_t flags;
    uint32_t what;  /* SHOW: enum tree_format; ROWS: see there, TREE_SUM */
    uint32_t count; /* ROWS; SHOW: columns of the terminal, 0: unknown */
    uint32_t size;  /* PATHS, PICK: bytes in text */
    uint64_t row;   /* ROWS, DIFF */
    int64_t started_sec, started_nsec;
    char text[TREE_PIECE_MAX];
};

enum tree_report_type { TREE_READY = 1, TREE_FAILED, TREE_TEXT, TREE_ROW, TREE_DONE };

/* In the order of a review. */
enum tree_kind { TREE_DELETED = 1, TREE_MODIFIED, TREE_ADDED, TREE_KIND_COUNT };

/* What somebody said about a change. MIXED: of what is in a folder some is accepted, some rejected, nothing open. */
enum tree_decision { TREE_UNDECIDED, TREE_ACCEPTED, TREE_REJECTED, TREE_MIXED };

enum tree_file { TREE_REGULAR = 1, TREE_FOLDER, TREE_LINK, TREE_SPECIAL };

struct tree_totals {
    uint64_t deleted, modified, added;   /* files, links and folders */
    uint64_t bytes_deleted, bytes_added; /* modified files count in both */
    uint64_t alarms;                     /* rows with one, and those about the whole */
    uint64_t conflicts;                  /* rows whose host file changed since the room began */
    uint64_t left_out;                   /* special files and what was refused: never made real */
    uint64_t rows;
};

/* Rows, but for those that are never made real. All zero: nothing was decided about any. */
struct tree_decided {
    uint64_t accepted, rejected, undecided;
};

struct tree_report {
    uint32_t type, version; /* enum tree_report_type, TREE_FRAMES_VERSION */
    int32_t code;           /* FAILED, DONE: errno, 0 */
    uint32_t size;          /* TEXT: bytes in text; ROW: bytes of the path, escaped for terminals, in text */
    uint64_t row;           /* ROW: its number */
    uint32_t kind, file;    /* ROW: enum tree_kind, enum tree_file */
    uint32_t alarm;         /* ROW: 0, or which (alarms.h); `hint` says why */
    uint32_t conflict;      /* ROW: 1: the host's file changed since */
    uint32_t left_out;      /* ROW: 1: never made real */
    uint32_t decision;      /* ROW: enum tree_decision */
    uint32_t old_mode, new_mode;
    uint64_t old_size, new_size;
    struct tree_totals totals;
    struct tree_decided decided;
    uint32_t git; /* ROW: 1: stands for all that is summed up of a .git */
    uint32_t unused;
    uint64_t inside; /* ROW: entries in a folder that comes or goes whole; 0: it is shown by itself */
    char hint[TREE_HINT_MAX];
    char text[TREE_TEXT_MAX]; /* FAILED, DONE with a code: one line, escaped */
};

#endif
