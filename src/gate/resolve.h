/* resolve: the gate's own look-ups at the host's name servers, for listed names only, when they are dialled. Never
 * waits.
 *
 * Theory of operation. A look-up is a row of a fixed table and lives on as a short cache. It asks for both families at
 * once, each half on its own connected UDP socket (so the kernel picks a port that cannot be guessed and drops what
 * comes
 * from elsewhere) with an id from the kernel's generator, goes round the servers when one is silent or unable, and
 * asks
 * over TCP when the answer did not fit. When one family is there and the other keeps us waiting, we go on without. */
#ifndef GATE_RESOLVE_H
#define GATE_RESOLVE_H

#include "gate/frames.h"
#include "gate/hosts.h"

#define RESOLVE_MAX 256

struct resolve_answer {
    enum gate_reason failed; /* 0: there are addresses */
    size_t count;
    struct gate_addr addrs[DNS_ADDRS_MAX]; /* IPv6 first, then alternating */
};

/* `done` is called once for each look-up that resolve_start() did not answer at once. */
void resolve_open(const struct hosts_servers *at,
                  void (*done)(int lookup, const struct resolve_answer *answer));

/* 1: *ret is the answer. 0: *ret_lookup will be done later. -EBUSY: too many at once. `name` is clean. */
int resolve_start(const char *name, int *ret_lookup, struct resolve_answer *ret);

void resolve_event(uint32_t index, uint32_t generation, uint32_t events);

/* Sees to time; returns ms until it wants to be called again, -1: not at all. */
int resolve_tick(void);

#endif
