/* wrap: one connection to a proxy that is spoken to by TLS: plain to the gate, TLS to the proxy. See wrap.c. */
#ifndef INTERCEPT_WRAP_H
#define INTERCEPT_WRAP_H

#include "gate/hand.h"

#include <openssl/ssl.h>

/* Of our 256 MiB of address space 2,000 silent ones took 62 (31 KiB each, 22 of them resident); one that is stuck keeps
 * up to 32 KiB more. */
#define WRAPS_MAX 2000

/* Tags of events are (first_tag + 2 * row + side) << 32 | life; `client`: a context that checks certificates. */
void wrap_open(int epoll, int gate, SSL_CTX *client, uint32_t first_tag);

/* Takes both descriptors (0: the proxy's side), whatever comes of it. */
void wrap_take(const struct hand_take *t, int fds[2]);
void wrap_event(uint64_t tag, uint32_t events);

/* A turn for each that had more to do; true: some have still. */
bool wrap_turns(void);

#endif
