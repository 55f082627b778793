/* sockets: unconnected TCP sockets of the room's network, for who connects into it from outside. See sockets.c. */
#ifndef ROOM_SOCKETS_H
#define ROOM_SOCKETS_H

#include "room/plan.h"
#include "room/report.h"

/* Hands `c->count` of them to the supervisor; fewer, and then a frame without any, when no more can be made. */
void sockets_make(const struct room_plan *plan, const struct command *c);

#endif
