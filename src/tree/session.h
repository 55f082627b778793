/* session: what one strongroom-tree is about, and how it answers. */
#ifndef TREE_SESSION_H
#define TREE_SESSION_H

#include "base/sbuf.h"
#include "tree/decisions.h"
#include "tree/frames.h"
#include "tree/index.h"
#include <stdbool.h>
#include <stddef.h>

struct session {
    int upper, lower, entry; /* -1: not handed over */
    bool lower_writable;
    /* the selection of the next verb */
    char *paths; /* TREE_PATHS_MAX bytes, NUL after each */
    size_t paths_len;
    uint32_t *picks;
    size_t pick_bytes;
    char *excepts; /* as paths */
    size_t excepts_len;
    char *accepts;
    size_t accepts_len;
    struct tree_report report; /* being filled */
    /* of the verb's DONE */
    struct tree_totals totals;
    struct tree_decided decided;
    int code;
    char why[512], hint[TREE_HINT_MAX];
};
extern struct session session;

/* Sends what is in session.report as it is; the process ends when nobody listens. */
void session_send(enum tree_report_type type);
/* Appends to the text that is on its way to the caller. */
void session_text(const char *text);
void session_bytes(const void *bytes, size_t size);
void session_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void session_flush(void);

/* The end of a verb: code (0, or errno of either sign) and one line; hint may be NULL. Returns -code. */
int session_fail(int code, const char *hint, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

void session_done(void); /* ends the verb */

/* Whether the paths name `path` or what it lies in; everything when there are none. */
bool session_named(const char *path);
bool session_excepted(const char *path);
/* Whether the alarm of this name (policy/alarm_table.h) is accepted there; path NULL: about the whole. */
bool session_accepted(const char *alarm, const char *path);
/* One bit for each row of an index, in its order. NULL: no memory. mem_release(bits, select_bytes(index)). */
size_t select_bytes(const struct index *x);
/* `d`: the decisions count (NULL: they do not): without paths what was accepted, once anything is decided at all, and
 * with paths what was not rejected. */
int select_rows(const struct index *x, const struct decisions *d, uint8_t *bits);
/* Once more, after rows were taken out: an old folder stays when something in it does; what is new in a folder that
 * is not made, is not made either. */
int select_settle(const struct index *x, uint8_t *bits);
static inline bool select_has(const uint8_t *bits, size_t row)
{
    return bits[row / 8] >> row % 8 & 1;
}

#endif
