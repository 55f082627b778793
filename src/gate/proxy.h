/* proxy: what is said to an upstream proxy, and what it answers. Pure: bytes in, bytes out. */
#ifndef GATE_PROXY_H
#define GATE_PROXY_H

#include "policy/upstream.h"

#define PROXY_SAY_MAX  1024
#define PROXY_HEAR_MAX 8192 /* the longest answer */

enum proxy_heard {
    PROXY_MORE,    /* not all of the answer is there */
    PROXY_SAY,     /* go on with proxy_say() */
    PROXY_OPEN,    /* what comes now is the peer's */
    PROXY_REFUSED, /* `code` says why, in the proxy's own numbers */
    PROXY_BAD      /* that is no proxy of this kind */
};

enum proxy_step { PROXY_HELLO, PROXY_LOGIN, PROXY_CONNECT };

struct proxy_talk {
    enum proxy_step step; /* begins as 0 */
    unsigned code;        /* HTTP status; SOCKS reply; 407 or 255: the login */
};

/* The next words; host: a name, or "" for the address. Returns how many bytes. */
size_t proxy_say(const struct upstream *u, const struct proxy_talk *t, const char *host,
                 const struct egress_addr *addr, uint16_t port, uint8_t out[PROXY_SAY_MAX]);
/* *ret_used: bytes of `in` that belonged to the answer; 0 for PROXY_MORE. */
enum proxy_heard proxy_hear(const struct upstream *u, struct proxy_talk *t, const uint8_t *in, size_t size,
                            size_t *ret_used);

#endif
