/* refused: connections that the room's kernel refused by itself, because no rule could have opened them. */
#ifndef GATE_REFUSED_H
#define GATE_REFUSED_H

#include "gate/addr.h"
#include "policy/egress.h"

#include <stddef.h>

void refused_open(const struct egress_rules *rules);
/* Tells what waits at a GATE_LISTEN_REFUSED socket. */
void refused_take(int fd);

/* The same at a GATE_LISTEN_SEEN socket, of the ports that nobody listens to. */
void seen_take(int fd);
/* Somebody listens to the port of this socket. */
void seen_listener(int fd);

/* The first packet of a connection, from its IP header on. 1: it is one, and where it goes. Pure. */
int seen_read(const uint8_t *bytes, size_t size, struct gate_addr *ret, uint16_t *ret_port);

/* The next refused connection in a datagram of nfnetlink_log, from *at on. 1: there is one; 0: no more. Pure. */
int refused_next(const uint8_t *bytes, size_t size, size_t *at, struct gate_addr *ret, uint16_t *ret_port);

#endif
