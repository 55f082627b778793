/* conn_row: a connection as conn.c, dial.c and relay.c see it; nobody else includes this.
 *
 *   conn.c   owns the table: takes, decides, times out, tells, frees
 *   ask.c    WAITING -> RESOLVING; owns question
 *   dial.c   RESOLVING -> DIALING -> OPEN: judges addresses and tries them; owns dials, addrs
 *   publish.c where somebody outside connects to the room: DIALING, inside; owns inner
 *   local.c  where a program speaks to a socket of the host's: DIALING, by the supervisor
 *   via.c    DIALING -> ASKING -> OPEN, where an upstream proxy is gone by: owns talk, wrapped
 *   relay.c  OPEN: moves bytes; owns ways and the queue of those with more to do */
#ifndef GATE_CONN_ROW_H
#define GATE_CONN_ROW_H

#include "gate/conn.h"
#include "gate/flow.h"
#include "gate/frames.h"
#include "gate/proxy.h"

#define DIAL_MS  20000 /* from the verdict to an open connection */
#define QUIET_MS 2000  /* likewise where all is open: then it may be a server that speaks first */
#define FIRST_MS 30000 /* from there to the first word that may pass, where it is looked at */

enum conn_state {
    CONN_FREE,
    CONN_WAITING, /* for a word of the room's user */
    CONN_RESOLVING,
    CONN_DIALING,
    CONN_ASKING,
    CONN_OPEN,
    CONN_HANDED /* to strongroom-intercept */
};

struct way { /* one direction: 0 from the room, 1 to the room */
    int pipe[2];
    size_t held;   /* bytes in the pipe */
    uint64_t pass; /* bytes that may still pass without a look; FLOW_ALL */
    bool shut;     /* the side has said that it is the end, perhaps behind bytes that wait */
    bool ended, handed_on;
    bool wide; /* the pipe is one of the few large ones */
    uint64_t bytes;
};

struct conn {
    enum conn_state state;
    uint32_t generation;
    int fd[2];    /* room, upstream; who comes in by a published port, room */
    bool hard[2]; /* its end is a break as it is (SO_LINGER) */
    struct way ways[2];
    struct flow flow;
    bool again; /* is in the queue of those with more to do */
    uint16_t next_again, port;
    uint8_t takes; /* enum flow_takes */
    bool deep;     /* requests are judged or get secrets: TLS has to be opened */
    bool secret;
    bool unlisted;     /* where all is open: no rule allows it */
    uint8_t let_go;    /* enum flow_fault: what was seen in it there, 0 */
    bool once;         /* a person let it through, by a rule that no other one is under */
    bool was_asked;    /* about; it is not done twice */
    uint32_t question; /* WAITING: which */
    uint32_t lent;     /* HANDED: of the rule's bytes */
    bool waits;        /* OPEN: to be handed on */
    int rule, lookup, code;
    bool v6;       /* how the program came: that family first */
    bool internal; /* the name may lead to private addresses */
    bool via;      /* by the upstream proxy: addresses are the proxy's, the peer's own is `meant` */
    int wrapped;   /* the connection to a proxy that is spoken to by TLS; fd[1] is what is inside. -1 */
    bool whole;    /* wrapped: the proxy has said its last word, and it was one */
    struct proxy_talk talk;
    struct gate_addr meant; /* inbound: who came */
    bool asked;             /* local: the supervisor has not answered yet */
    bool local;             /* to a socket file of the host's, `name` */
    bool inbound;           /* by a published port: `port` is the room's, and up is down */
    int inner[2];           /* inbound: unconnected sockets of the room's, -1 */
    bool entered;           /* counts among its rule's connections */
    uint64_t since, beside;
    int dials[DIALS_MAX];
    uint8_t won; /* the attempt that became fd[1] */
    uint64_t began[DIALS_MAX];
    struct gate_addr dialled[DIALS_MAX];
    size_t next_addr, addr_count;
    struct gate_addr addrs[DNS_ADDRS_MAX];
    struct gate_addr peer; /* judged and dialled, or refused */
    char name[DNS_NAME_MAX];
};

extern struct conn conn_table[CONNS_MAX];
extern const struct egress_rules *conn_rules;

struct conn *conn_new(int fd); /* NULL: too many */
uint32_t conn_index(const struct conn *c);
struct conn *conn_at(uint32_t index, uint32_t generation); /* NULL: it has ended */
void conn_set_due(struct conn *c, uint64_t when);          /* when an unfinished connection ends; 0: not */
bool conn_enter(struct conn *c);                           /* has its rule room for it? Else it ends here */
void conn_free(struct conn *c, bool hard);
void conn_end_broken(struct conn *c, enum gate_reason reason);
void conn_end_denied(struct conn *c, enum gate_reason reason);
void conn_end_by_rule(struct conn *c, int rule); /* its name leads to c->peer, which that rule denies */
void conn_end_seen(struct conn *c, enum flow_fault fault, const char *why); /* it carries what it may not */
void conn_end_open(struct conn *c, bool hard);                              /* it was allowed, and is over */
void conn_close_hard(int *fd);
void conn_close_soft(int *fd);
void conn_break_with_us(struct conn *c); /* from now on our death is a break of it */

void conn_end_proxy(struct conn *c, const char *why);

/* Goes it by the proxy? Then that begins, and dial_start() is not for it. */
bool via_start(struct conn *c, const struct gate_addr *literal);
uint16_t via_port(void);
void via_opened(struct conn *c); /* the proxy is connected */
void via_event(struct conn *c);  /* it has said something; the state is ASKING */
void via_due(struct conn *c);    /* sees to what could not be done at once; the state is ASKING */

/* Inbound: a socket that connects inside, and where to; -errno: none is left. */
int publish_dial(struct conn *c, const struct gate_addr *a, struct sockaddr_storage *to, socklen_t *ret_len);
bool publish_met_itself(const struct conn *c);
void publish_release(struct conn *c, bool ended); /* gives back what was not needed */

void local_release(struct conn *c);
bool local_allowed(const struct conn *c); /* does its rule still hold? */

void dial_opened(struct conn *c); /* the peer is there */
/* Does a rule that lists addresses speak of this one? */
bool dial_listed(const struct gate_addr *a, uint16_t port, struct egress_verdict *ret);
/* Why c->peer, which a program named and no rule denies, is not listed. */
enum gate_reason dial_unlisted(const struct conn *c);
/* May this connection, which a rule allows by its name, end there? */
bool dial_allowed(const struct conn *c, const struct gate_addr *a);
/* Judges the addresses and begins with the first. */
void dial_start(struct conn *c, const struct gate_addr *addrs, size_t count);
void dial_due(struct conn *c); /* sees to time; the state is DIALING */

/* Those that wait for that question go on, or end; `rule`: ONCE: the one that they are under. */
void conn_answered(uint32_t question, enum gate_answer answer, int rule);

void conn_hand_over(struct conn *c); /* it goes on elsewhere, or waits for that, or ends */
void conn_end_handed(void);          /* there is nobody to go on with them */

/* strongroom-intercept speaks TLS to the proxy `name` on c->wrapped for who has the other end of `pair`. -EAGAIN: not
 * now; -ENOTCONN: it is not there. */
int hand_wrap(const struct conn *c, const char *name, int pair);
/* Where fd[1] has ended: was that the proxy's last word, and a whole one? May end the connection, if it is ASKING. */
bool hand_is_whole(const struct conn *c);

void relay_init(struct conn *c);
void relay_let_go(struct conn *c, enum flow_fault fault); /* nobody looks inside any more */
void relay_watch(int fd);        /* it is found out when who is behind it has gone without a word */
void relay_open(struct conn *c); /* both sides are there: begins */
void relay_pump(struct conn *c); /* may end the connection */
/* Hands on what had arrived before `from` broke off; false: that ended the connection. */
bool relay_last(struct conn *c, int from);
void relay_release(struct conn *c);
bool relay_turns(void); /* a turn for each that had more to move; true: some have still */

#endif
