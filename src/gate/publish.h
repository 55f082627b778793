/* publish: ports of the host that lead into the room. See publish.c. */
#ifndef GATE_PUBLISH_H
#define GATE_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLISH_CONNS_MAX 1024 /* at once, of all published ports together */

/* Asks for the first sockets; `yes`: there is a port that will need them. */
void publish_open(bool yes);

/* Takes what waits at a listener of the host's, for that port of the room. 0, or -errno: it needs a rest, until sockets
 * have come or descriptors are there again. */
int publish_accept(int listener, uint16_t room_port);

/* What pid 1 made: unconnected TCP sockets of the room's network. None: it could not. Takes them over. */
void publish_sockets(const int *fds, size_t count);

#endif
