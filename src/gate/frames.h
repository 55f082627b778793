/* frames: what the supervisor and strongroom-gate say to each other over the gate's control socket.
 *
 * SOCK_SEQPACKET, descriptor GATE_CONTROL_FD in the gate, one record per frame, each direction one fixed size (so
 * fd_frame_send and fd_frame_recv fit); bytes that a frame does not use are zero. The gate ends when the socket closes
 * and when a frame does not fit its row.
 *
 *   RULES      supervisor -> gate   0..n, before START: a piece of the canonical rule text, one rule a line ("\n" ends
 *                                   a line; a line may go on in the next piece)
 *   UPSTREAM   supervisor -> gate   0..1, before START: the proxy to go out by, `size` bytes of text
 *                                   (policy/upstream.h)
 *   LISTENERS  supervisor -> gate   1..n, before START: carries `count` descriptors, made in the room's network
 *                                   namespace, or of that behind its link. After START, right behind an ADD: one,
 *                                   non-blocking: UNIX, for that rule; the gate closes it when the rule is dropped. Or
 *                                   PORT, which stays
 *   SECRET     supervisor -> gate   0..n, before START: one secret as gate/secret.h has it
 *   START      supervisor -> gate   once; `number` is a sum: GATE_EVERY_NAME: also names that no rule lists get an
 *                                   address; GATE_ASKS: somebody can be asked about what no rule lists;
 *                                   GATE_OPEN: what no rule speaks of is allowed, and told as ALLOWED for NO_RULE, or
 *                                   for what a rule would have to allow beside it (FORM and its like, HIDDEN)
 *   ADD        supervisor -> gate   after START, any time: rule `number` is the line in text; it is the next number, or
 *                                   one that was dropped
 *   DROP       supervisor -> gate   after START, any time: rule `number` holds no more
 *   SOCKETS    supervisor -> gate   after START, for WANT: carries `count` unconnected TCP sockets of the room's
 *                                   network namespace; 0: there are none to be had
 *   ANSWER     supervisor -> gate   after START, to an ASK: `count` is its number, kinds[0] the enum gate_answer. With
 *                                   ONCE `number` and text are a rule as in ADD that only those connections are under
 *                                   which wait
 *   DIALLED    supervisor -> gate   for DIAL: `number` and `generation` as there; carries a socket that is connected to
 *                                   the host's, or `size` is the errno that says why not
 *   STOP       supervisor -> gate   after START: connections are cut and told, then FINISHED follows, then the gate
 *                                   ends
 *   READY      gate -> supervisor   once, after START: the gate is confined, and serves
 *   FAILED     gate -> supervisor   instead of READY: `text` says why; the gate ends
 *   EVENT      gate -> supervisor   one decision, any time after READY
 *   ASK        gate -> supervisor   may `name` (or `address`) be reached on `port`? `count` is the question's number;
 *                                   at most GATE_ASKS_MAX are open at once
 *   CHANGED    gate -> supervisor   one for each ADD and DROP, in their order: it holds; `count` connections were cut
 *   WANT       gate -> supervisor   any time after READY, where a listener is PUBLISH: `count` such sockets, please
 *   DIAL       gate -> supervisor   any time after READY, where a listener is UNIX: a connection to the socket of
 *                                   `rule`, please, for row `count` in its life `generation`
 *   FINISHED   gate -> supervisor   once, after STOP
 */
#ifndef GATE_FRAMES_H
#define GATE_FRAMES_H

#include <stdint.h>

#define GATE_CONTROL_FD     3
#define GATE_FRAMES_VERSION 2
#define GATE_PIECE_MAX      4000u
#define GATE_FRAME_FDS_MAX  8 /* = FD_FRAME_FDS_MAX */
#define GATE_LISTENERS_MAX  160
#define GATE_NAME_MAX       256 /* with the final NUL */
#define GATE_ADDRESS_MAX    46  /* with the final NUL */
#define GATE_EVERY_NAME     1
#define GATE_ASKS           2
#define GATE_OPEN           4
#define GATE_ASKS_MAX       16
#define GATE_TEXT_MAX       198

enum gate_command_type {
    GATE_RULES = 1,
    GATE_LISTENERS,
    GATE_START,
    GATE_STOP,
    GATE_UPSTREAM,
    GATE_ADD,
    GATE_DROP,
    GATE_SECRET,
    GATE_SOCKETS,
    GATE_ANSWER,
    GATE_DIALLED
};

/* ALWAYS comes when the rule was added. */
enum gate_answer { GATE_ANSWER_NO = 1, GATE_ANSWER_ONCE, GATE_ANSWER_ALWAYS };
enum gate_report_type {
    GATE_READY = 1,
    GATE_FAILED,
    GATE_EVENT,
    GATE_FINISHED,
    GATE_CHANGED,
    GATE_WANT,
    GATE_ASK,
    GATE_DIAL
};

/* What a listener is. All are bound; those for TCP listen. UDP has IP_PKTINFO (IPV6_RECVPKTINFO) on, so that an answer
 * leaves from the address that was asked. getsockname() of what TCP accepts is the destination that the program
 * meant. */
enum gate_listener {
    GATE_LISTEN_DNS_UDP = 1, /* port 53, any address */
    GATE_LISTEN_DNS_TCP,
    GATE_LISTEN_TPROXY,    /* every port, by nftables TPROXY to this socket */
    GATE_LISTEN_PORT,      /* one port, any address, either family or both: where TPROXY is missing */
    GATE_LISTEN_REFUSED,   /* nfnetlink_log: heads of the packets that the room's kernel refused by itself */
    GATE_LISTEN_INTERCEPT, /* the socket to strongroom-intercept (gate/hand.h) */
    GATE_LISTEN_PUBLISH,   /* of the host's network: who connects wants to port `numbers` of the room */
    GATE_LISTEN_UNIX,      /* a socket file of the room, for rule `numbers` */
    GATE_LISTEN_SEEN, /* first packets of connections over the room's link: IPv4, or IPv6 behind its header */
};

struct gate_command {
    uint32_t type;    /* enum gate_command_type */
    uint32_t version; /* GATE_FRAMES_VERSION */
    uint32_t size;    /* RULES, ADD: bytes in text */
    uint32_t number;  /* ADD, DROP, ANSWER: of the rule */
    uint32_t count;   /* LISTENERS, SOCKETS: descriptors that come along, in the order of kinds; ANSWER */
    uint8_t kinds[GATE_FRAME_FDS_MAX];    /* enum gate_listener */
    uint16_t numbers[GATE_FRAME_FDS_MAX]; /* PUBLISH: a port of the room; UNIX: the rule */
    uint32_t generation;                  /* DIALLED */
    char text[GATE_PIECE_MAX];
};

enum gate_verdict {
    GATE_ALLOWED = 1, /* told when the connection ends; bytes and duration are set */
    GATE_DENIED,      /* by a rule, or by there being none */
    GATE_BROKEN,      /* allowed, and failed on the way: no such name upstream, refused, timed out */
};

enum gate_kind {
    GATE_KIND_DNS = 1,
    GATE_KIND_TCP,
    GATE_KIND_INBOUND, /* `address` is who came to a published port, `port` is the room's */
    GATE_KIND_UNIX,    /* `name` is the socket's path */
    GATE_KIND_END      /* no kind: the number of them, and of 0 */
};

enum gate_reason {
    GATE_WHY_RULE = 1, /* `rule` allows or denies it */
    GATE_WHY_NO_RULE,  /* nothing allows this name, or this name on this port */
    GATE_WHY_LITERAL,  /* an address without a name, and no rule lists the address on this port */
    GATE_WHY_PRIVATE, /* the name resolves to a private or special address, and the rule does not say `internal`; or
                         the address is the host's own, and a rule lists a network that has it */
    GATE_WHY_UNRESOLVED,  /* upstream knows no address for the name */
    GATE_WHY_RESOLVER,    /* upstream did not answer, or answered nonsense */
    GATE_WHY_UNREACHABLE, /* `code` says why the address could not be reached */
    GATE_WHY_TABLE_FULL,  /* too many names or connections at once */
    GATE_WHY_FORM,        /* what the room says is not the protocol of the rule; `text` says what it is */
    GATE_WHY_HIDDEN,      /* a TLS hello with an encrypted second one; likewise */
    GATE_WHY_NAME,        /* the room means another name than the connection's; likewise */
    GATE_WHY_REQUEST,     /* the rule does not allow this HTTP request; likewise */
    GATE_WHY_ANSWER,      /* the server answers in another protocol, or is not who it must be; likewise */
    GATE_WHY_MAX_BYTES,   /* `rule` lets no more bytes pass */
    GATE_WHY_MAX_CONNS,   /* `rule` lets no more connections be open */
    GATE_WHY_RATE,        /* `rule` lets no new connection begin now */
    GATE_WHY_WITHDRAWN, /* the rule that allowed it was withdrawn, or another one now denies it: it was cut */
    GATE_WHY_PROXY,     /* the upstream proxy; `text` says what it did */
    GATE_WHY_PUBLISHED, /* the port is published */
    GATE_WHY_END        /* no reason: the number of them, and of 0 */
};

struct gate_report {
    uint32_t type;    /* enum gate_report_type */
    uint32_t version; /* READY: GATE_FRAMES_VERSION */
    uint32_t verdict; /* EVENT: enum gate_verdict */
    uint32_t kind;    /* EVENT: enum gate_kind */
    uint32_t reason;  /* EVENT: enum gate_reason */
    int32_t rule;     /* EVENT: index of the line, -1; CHANGED: the number */
    int32_t code;     /* errno, 0 */
    uint32_t port;    /* EVENT, ASK: 0 for DNS */
    uint32_t
        count; /* EVENT: how many equal decisions this one stands for (>= 1); CHANGED: connections cut; WANT: sockets */
    uint32_t lost;       /* EVENT: how many events before this one could not be told */
    uint32_t generation; /* DIAL */
    uint64_t up, down;   /* EVENT: bytes from the room, bytes to the room */
    uint64_t duration_ms;
    char name[GATE_NAME_MAX];       /* EVENT: lower case, no final dot, "" when the program used an address.
                                     * Bytes other than letters, digits, - _ and . are escaped as \DDD. */
    char address[GATE_ADDRESS_MAX]; /* EVENT: the address dialled or refused, "" when none was involved */
    char text[GATE_TEXT_MAX];       /* FAILED, EVENT: one line, "" for most events */
};

#endif
