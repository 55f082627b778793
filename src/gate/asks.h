/* asks: the sockets at port 53 of every address of the room. */
#ifndef GATE_ASKS_H
#define GATE_ASKS_H

#include "gate/loop.h"
#include "policy/egress.h"

void asks_open(const struct egress_rules *rules);
void asks_datagrams(int fd);
void asks_accept(int fd);
void asks_peer(const struct loop_event *e);
int asks_tick(void); /* closes what is idle; ms until the next, -1 */

#endif
