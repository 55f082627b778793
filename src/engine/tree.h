/* tree: our side of strongroom-tree, which alone looks into trees that a room wrote. */
#ifndef ENGINE_TREE_H
#define ENGINE_TREE_H

#include "base/err.h"
#include "tree/frames.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TREE_PROGRAM "strongroom-tree"

struct tree_session {
    int ctl; /* -1: none */
    pid_t pid;
    struct tree_decided decided; /* as of the last verb */
};
#define TREE_SESSION_NONE ((struct tree_session){.ctl = -1})

struct tree_dirs {
    int upper, lower, entry; /* -1: not needed by what will be asked */
    bool lower_writable;
};

/* Starts the program and waits until it has confined itself to the directories, which stay the caller's. */
int tree_open(struct tree_session *t, const struct tree_dirs *dirs, struct err *e);
void tree_close(struct tree_session *t);

/* What comes of a call before it is done: TEXT and ROW frames. Not 0 ends the session. */
typedef int tree_sink(void *ctx, const struct tree_report *r);

/* The paths, or rows, that the next verb is about, and what it is not about. A path may begin with "./" and end in
 * slashes. */
int tree_paths(struct tree_session *t, char *const *paths, size_t count, struct err *e);
int tree_except(struct tree_session *t, char *const *paths, size_t count, struct err *e);
/* One alarm that the next apply may pass over (policy/accept.h). */
int tree_accept(struct tree_session *t, const char *word, struct err *e);
int tree_pick(struct tree_session *t, const uint32_t *rows, size_t count, struct err *e);

/* One verb. `c` has type, flags and what its row in frames.h says. sink and ret_totals may be NULL. -errno with e: the
 * verb's own error (the session lives on), or the session's (ctl is then -1). */
int tree_call(struct tree_session *t, const struct tree_command *c, tree_sink *sink, void *ctx,
              struct tree_totals *ret_totals, struct err *e);

/* All of one STORE, in a session of its own. */
int tree_store(const struct tree_dirs *dirs, bool copy_upper, int64_t since_sec, int64_t since_nsec,
               struct tree_totals *ret, struct err *e);

#endif
