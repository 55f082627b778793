/* gate_link: a second network for the gate's sockets, where nftables is missing. See gate_link.c. */
#ifndef ROOM_GATE_LINK_H
#define ROOM_GATE_LINK_H

#include "room/gate_listen.h"

/* Adds the sockets of that network to *l; *s gets to know what it lacks. The room's own network must have no route yet.
 * *ret_why: 0, or the errno that says why there is no link, and then nothing of it is left. Returns -errno when even
 * that could not be brought about. */
int gate_link(const struct room_plan *plan, struct room_state *s, struct gate_listeners *l, bool v6,
              int *ret_why);

#endif
