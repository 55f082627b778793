/* hand: what strongroom-gate, strongroom-intercept and the supervisor say to each other about connections that are
 * opened up, or go by a proxy that is spoken to by TLS. SOCK_SEQPACKET, one record a frame.
 *
 *   CA     intercept -> supervisor  once, on its control socket, before it is told anything
 *   (struct gate_command: SECRET, LISTENERS with GATE_LISTEN_INTERCEPT, START; supervisor -> intercept)
 *   TAKE   gate -> intercept        with two descriptors: the room's side, of which nothing was read yet, and the
 *                                   server's side, connected. The gate keeps its own, to cut the connection.
 *   MORE   intercept -> gate        the bytes that were lent to a connection have passed (struct hand_done)
 *   GRANT  gate -> intercept        here are more (struct hand_take); when there are none the gate ends the connection
 *   DONE   intercept -> gate        it is over
 *   WRAP   gate -> intercept        with two descriptors: a connection to the proxy, of which nothing was read yet, and
 *                                   one end of a pair of sockets: what the gate says there goes on inside TLS to
 *                                   `name`, the proxy's name or address. The gate keeps the connection, to cut it
 *   WRAPPED_END  intercept -> gate  what the proxy said is over, and stands in the pair as a whole; or, with a fault,
 *                                   broke off, or never began. Before the pair's end says so: that end alone means
 *                                   nothing
 */
#ifndef GATE_HAND_H
#define GATE_HAND_H

#include "gate/flow.h"
#include "gate/frames.h"
#include "policy/egress_http.h"

#define HAND_PEM_MAX  2048
#define HAND_HASH_MAX 16
#define HAND_PIECE    65536 /* bytes lent at a time */

enum hand_type { HAND_CA = 1, HAND_TAKE, HAND_DONE, HAND_MORE, HAND_GRANT, HAND_WRAP, HAND_WRAPPED_END };

struct hand_ca {
    uint32_t type, version;
    char hash[HAND_HASH_MAX]; /* OpenSSL's hash of its subject: names the file in a folder of certificates */
    char print[65];           /* SHA-256 of the certificate, hexadecimal */
    char pem[HAND_PEM_MAX];
};

struct hand_take {
    uint32_t type, version;
    uint32_t index, generation; /* given back in DONE and MORE */
    uint32_t port;
    uint32_t link;  /* GRANT: as in MORE */
    uint64_t bytes; /* that may pass, both directions together; UINT64_MAX: any number */
    char name[GATE_NAME_MAX];
    char http[EGRESS_HTTPS_MAX]; /* the requests that may pass, "": all */
};

struct hand_done {
    uint32_t type, version;
    uint32_t index, generation;
    uint32_t fault; /* DONE: enum flow_fault, 0: it was in order */
    uint32_t link;  /* MORE: to be said in GRANT */
    uint64_t up, down;
    uint64_t left; /* DONE: of the bytes that were lent */
    char why[FLOW_WHY_MAX];
};

#endif
