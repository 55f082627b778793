/* flow: what may pass through one connection, byte by byte. Pure: the caller shows what waits on a side and is told how
 * much of it may pass unseen. See flow.c. */
#ifndef GATE_FLOW_H
#define GATE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_LOOK_MAX      32768 /* what flow_next() wants to see at most: HEAD_MAX, HELLO_MAX */
#define FLOW_WHY_MAX       160
#define FLOW_REQUEST_SHOWN 63 /* of METHOD /path in `why`; one that is shorter is there as a whole */
#define FLOW_GO_ON         "HTTP/1.1 100 Continue\r\n\r\n"

/* What a connection may speak; none of them: anything. */
enum flow_takes { FLOW_TLS = 1, FLOW_HTTP = 2, FLOW_HIDDEN = 4 /* TLS may carry an encrypted hello */ };

struct flow_rules {
    unsigned takes;
    const char *name; /* that the connection is for, clean; "": an address, and any name may be meant */
    uint16_t port;
    const char *http; /* the requests that may pass (policy/egress_http.h); NULL: any */
    bool secret;      /* values of the host's are put into requests: nobody may ask for them back */
    bool deep;        /* TLS is not let go but handed over, to somebody who sees what is in it */
};

struct flow {
    uint8_t up, down; /* states */
    bool begun;       /* the room has said something that may pass */
    bool awaiting;    /* the last byte of the answer to a request has not passed yet */
    bool head_only;   /* that answer has no body: the request was HEAD */
    bool had_head;  /* one was; a server that answers it with a body is not followed into another protocol */
    bool upgrading; /* and it may change the protocol */
    bool next_follows; /* a line of a chunk has the end of the chunk before in front */
    bool down_follows;
    uint16_t trailers[2]; /* lines that the trailers of this message have had */
};

enum flow_side { FLOW_UP, FLOW_DOWN }; /* from the room, to the room */

enum flow_step {
    FLOW_PASS, /* `count` bytes, seen or not; then ask again */
    FLOW_MORE, /* ask again when more bytes wait on this side */
    FLOW_HOLD, /* ask again when the other side has got on */
    FLOW_HAND, /* a hello that may pass waits: hand the connection over (only where `deep`) */
    FLOW_BAD,  /* the connection ends; `why` says in whose words */
};

#define FLOW_ALL UINT64_MAX /* as `count`: no more questions about this side */

enum flow_fault {
    FLOW_FAULT_FORM = 1, /* not the protocol that the rule is for */
    FLOW_FAULT_HIDDEN,   /* an encrypted hello inside the hello */
    FLOW_FAULT_NAME,     /* another name than the connection's */
    FLOW_FAULT_REQUEST,  /* a request that no rule has */
    FLOW_FAULT_UPSTREAM, /* the server's doing */
};

struct flow_verdict {
    enum flow_step step;
    enum flow_fault fault;
    uint64_t count;
    bool without_upgrade;   /* of the head that passes, the lines Upgrade are to be left out */
    bool without_expect;    /* and the lines Expect */
    bool last;              /* and it is to ask the server to close behind its answer */
    bool go_on;             /* and who sent it waits for FLOW_GO_ON, which is to be said to him now */
    size_t head;            /* bytes of that head, or of a line of a trailer; 0: neither passes */
    char why[FLOW_WHY_MAX]; /* with bytes of who is to blame as they came: for whoever shows it to escape */
};

/* False: nothing needs to be looked at. */
bool flow_begin(struct flow *f, unsigned takes);

/* `size` bytes wait on that side (at most FLOW_LOOK_MAX of them are looked at), all that was to pass has passed. */
void flow_next(struct flow *f, const struct flow_rules *r, enum flow_side side, const uint8_t *bytes,
               size_t size, struct flow_verdict *ret);

#endif
