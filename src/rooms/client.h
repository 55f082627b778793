/* client: speaks to a room that has a name. */
#ifndef ROOMS_CLIENT_H
#define ROOMS_CLIENT_H

#include "base/err.h"
#include "rooms/frames.h"
#include <stddef.h>

#define ROOMS_PATIENCE_MS 10000 /* for one reply */

/* A connection to the room's control socket, or -errno with e. */
int rooms_connect(const char *name, struct err *e);

/* One request, one reply (checked). -errno with e: the room went away, or what it said makes no sense. A refusal is
 * a reply. -EPROTO: it is of another version. */
int rooms_call(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_frame *ret,
               struct err *e);

/* The same with descriptors on the way there (not closed here) and back (-1 where none came; the caller closes
 * them). */
struct rooms_fds {
    int send[ROOMS_FDS_MAX], got[ROOMS_FDS_MAX];
    size_t n_send;
};
int rooms_call_fds(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_fds *fds,
                   struct rooms_frame *ret, struct err *e);

/* Waits for replies as long as they take. */
void rooms_be_patient(int sock);

/* A refusal as an error of our own: "WHAT: why", and its hint. */
int rooms_refused(const struct rooms_frame *f, const char *what, struct err *e);

#endif
