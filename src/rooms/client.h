/* client: speaks to a room that has a name. */
#ifndef ROOMS_CLIENT_H
#define ROOMS_CLIENT_H

#include "base/err.h"
#include "rooms/frames.h"

#define ROOMS_PATIENCE_MS 10000 /* for one reply */

/* A connection to the room's control socket, or -errno with e. */
int rooms_connect(const char *name, struct err *e);

/* One request, one reply (checked). -errno with e: the room went away, or what it said makes no sense. A refusal is
 * a reply. */
int rooms_call(int sock, enum rooms_frame_type type, int value, const char *text, struct rooms_frame *ret,
               struct err *e);

#endif
