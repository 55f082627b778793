/* tar: a strongroom-tar at work (tree/tar_frames.h). */
#ifndef ENGINE_TAR_H
#define ENGINE_TAR_H

#include "base/err.h"
#include "tree/tar_frames.h"
#include <sys/types.h>

#define TAR_PROGRAM   "strongroom-tar"
#define TAR_BYTES_MAX ((uint64_t)1 << 40) /* of one stream, when nobody says less */

struct tar_session {
    int ctl;
    pid_t pid;
};

/* What was left out, one line each, escaped. */
typedef void tar_tell(void *ctx, const char *line);

/* Starts it with an order and its two descriptors, which stay the caller's. */
int tar_start(struct tar_session *t, const struct tar_order *o, int first, int second, struct err *e);

/* Waits for its report. What can be read from `noise` (-1: nothing) meanwhile goes into `said`, as much as fits, so
 * that nobody waits for us to read it. 0, or -errno with e; the session is over in any case. */
int tar_finish(struct tar_session *t, int noise, char *said, size_t size, tar_tell *tell, void *ctx,
               struct tar_report *ret, struct err *e);

#endif
