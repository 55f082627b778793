/* link: one connection that is opened up: TLS to the room on one side, TLS to the server on the other. See link.c. */
#ifndef INTERCEPT_LINK_H
#define INTERCEPT_LINK_H

#include "gate/hand.h"

#include <openssl/ssl.h>

#define LINKS_MAX 1000 /* fits the bound of our memory */

/* `trust`: a file of certificates that servers are checked against, read now. 0, or -1. */
int link_open(int epoll, int gate, const char *trust);

/* What servers are spoken to with. */
SSL_CTX *link_client(void);

/* Why the handshake that has just failed did, in words; `who` is spoken to: "the server". */
void link_why(const SSL *ssl, const char *who, char ret[FLOW_WHY_MAX]);

/* Takes both descriptors (0: the room's), whatever comes of it. */
void link_take(const struct hand_take *t, int fds[2]);

/* The gate lends more bytes. */
void link_grant(const struct hand_take *t);

/* `tag` as registered with the epoll descriptor. */
void link_event(uint64_t tag, uint32_t events);

/* Sees to time and to those that had more to do than one turn allows; ms until the next call, -1: none. */
int link_tick(void);

#endif
