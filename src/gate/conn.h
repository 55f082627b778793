/* conn: the room's connections, one row each: taken, judged, dialled, passed on, told. */
#ifndef GATE_CONN_H
#define GATE_CONN_H

#include "gate/dns.h"
#include "gate/frames.h"
#include "gate/loop.h"
#include "gate/resolve.h"
#include "policy/egress.h"
#include <stddef.h>

#define CONN_MAX   8192
#define CONN_DIALS 2

enum conn_state { CONN_FREE, CONN_RESOLVES, CONN_DIALS_UP, CONN_RELAYS };

/* One direction: 0 from the room, 1 to it. */
struct conn_way {
    int pipe[2];   /* -1 until there is something to pass on */
    size_t held;   /* bytes in the pipe */
    bool ended;    /* the source has ended */
    bool told_end; /* and the other side knows */
    uint64_t bytes;
};

struct conn {
    enum conn_state state;
    uint32_t generation;
    int room, up;
    int dials[CONN_DIALS];
    uint8_t dialled[CONN_DIALS]; /* which candidate */
    int lookup;                  /* -1 */
    int rule;
    uint16_t port;
    bool again; /* more can be moved without an event */
    int code;   /* errno of the last failing dial */
    uint64_t since, until, next_dial;
    size_t addr_count, next_addr;
    struct gate_addr peer; /* dialled, or refused */
    struct gate_addr addrs[DNS_ADDRS_MAX];
    struct conn_way ways[2];
    char name[DNS_NAME_MAX];
};

void conn_open(const struct egress_rules *rules, size_t max);
void conn_accept(int listener);
void conn_resolved(int lookup, const struct resolve_answer *answer);
void conn_event(const struct loop_event *e);
int conn_tick(void); /* ms until something is due, -1 */
void conn_end_all(void);

/* relay.c */
bool relay_move(struct conn *c); /* false: it is over (c->code says why) */
void relay_close(struct conn *c);

#endif
