/* err: what went wrong, as plain memory.
 *
 * An error is a value: no heap, no pointers, so that it can be filled in a cloned child and sent in a frame.
 * It is set where the failure is understood, passed up untouched, and spoken once, at the top. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#define ERR_TEXT_MAX 384 /* bytes with the final NUL; a longer text is cut at a character boundary */

/* One row per kind of failure; the table in err.c gives its name and exit status. */
enum err_kind {
    ERR_NONE,
    ERR_USAGE,     /* the caller's words: options, arguments */
    ERR_POLICY,    /* a policy that is wrong or contradicts itself */
    ERR_DENIED,    /* the host refuses something that we need */
    ERR_LIMIT,     /* a limit that was asked for cannot be enforced */
    ERR_ROOM,      /* the room could not be built or did not hold */
    ERR_EXEC,      /* the program is there and cannot be run */
    ERR_NOT_FOUND, /* the program (or room, profile, …) does not exist */
    ERR_IO,        /* reading or writing something of the caller's failed */
    ERR_INTERNAL,  /* our own mistake */
    ERR_KIND_COUNT,
};

struct err {
    enum err_kind kind;
    int code; /* errno value, 0 when none applies */
    char text[ERR_TEXT_MAX];
    char hint[ERR_TEXT_MAX];
};

/* Sets kind, code and text ("what we wanted: which object: why", lower case, no full stop). Control
 * characters and bytes that are not UTF-8 are escaped (\xNN), so that a hostile name can neither forge a line
 * nor drive a terminal. When `code` (an errno value, of either sign) is not 0, ": <strerror>" is appended and
 * never cut off. Clears the hint. Returns -code, or -EINVAL when code is 0. `e` may be NULL. */
int err_set(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds the one thing that would mend it. Returns -code like err_set, so that it can end a function
 * (-EINVAL when `e` is NULL). */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyzer does not look into err.c; it has to be told that these two never return 0. */
#define err_set(...)  ((void)err_set(__VA_ARGS__), -22)
#define err_hint(...) ((void)err_hint(__VA_ARGS__), -22)
#endif

/* A kind that is none of the above (it may come from a frame) is taken for ERR_INTERNAL. */
const char *err_kind_name(enum err_kind kind);
int err_exit_status(
    enum err_kind kind); /* of the strongroom command: 125 no room, 126 cannot run, 127 not found */

/* CHECK is for programmer errors only and never compiled out: it ends the process. */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))
__attribute__((noreturn)) void check_failed(const char *what, const char *file, int line);

#endif
