/* conn: connections, from accept to their last byte. See conn.c. */
#ifndef GATE_CONN_H
#define GATE_CONN_H

#include "gate/resolve.h"
#include "policy/egress.h"

#define CONNS_MAX 8192
#define DIALS_MAX 4

/* From now on what no rule speaks of goes out, but for private addresses. */
void conn_open_all(void);

/* `most`: at once, at most CONNS_MAX. */
void conn_open(const struct egress_rules *rules, size_t most);

/* Takes what waits at a listener. 0, or -errno when descriptors or memory are short: the listener needs a rest. */
int conn_accept(int listener);
/* Once, before the first: what it takes has from the start what each connection of the room's needs. */
void conn_listener(int fd);
void conn_resolved(int lookup, const struct resolve_answer *answer);
void conn_room_event(uint32_t index, uint32_t generation, uint32_t events);
void conn_dial_event(uint32_t index, uint32_t generation, uint32_t events);
void conn_upstream_event(uint32_t index, uint32_t generation, uint32_t events);

/* Sees to time, and to connections that had more to move than one turn allows; ms until the next call, -1: none. */
int conn_tick(void);

/* Rule `changed` of the table was just added or is gone: cuts and tells what the rules do not allow any more, what they
 * allow less than before, and what a rule that is gone had allowed. Returns how many. */
unsigned conn_review(struct egress_rule *changed);

/* Connections that go on in strongroom-intercept: the socket to it, and what it says. */
int hand_open(int fd);
void hand_event(void);

/* Cuts and tells all of them. */
void conn_close_all(void);

#endif
