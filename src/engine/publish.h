/* publish: the supervisor's side of ports of the host that lead into the room. See publish.c. */
#ifndef ENGINE_PUBLISH_H
#define ENGINE_PUBLISH_H

#include "base/err.h"
#include "room/report.h"

struct room;

/* Binds and listens, before anything of the room is made. Nothing when the policy publishes nothing. */
int publish_open(struct room *r, struct err *e);
/* Hands the listeners to the gate, and lets go of them. 0 or -errno. */
int publish_hand_over(struct room *r);
/* The gate wants so many sockets of the room's; the room has begun, and may be asked now. */
void publish_wanted(struct room *r, uint32_t count);
void publish_started(struct room *r);
/* Pid 1 has made some (they are closed here), or could not. */
void publish_made(struct room *r, int *fds, size_t n);
void publish_close(struct room *r);

#endif
