/* serve: the sockets that take the room's questions. */
#ifndef GATE_SERVE_H
#define GATE_SERVE_H

#include "policy/egress.h"

void serve_open(const struct egress_rules *rules);
void serve_udp(int listener);
int serve_accept(int listener); /* as conn_accept() */
void serve_peer_event(uint32_t index, uint32_t generation, uint32_t events);
int serve_tick(void); /* ms until the next, -1 */

#endif
