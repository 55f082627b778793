/* gate_listen: sockets of the room's side that the gate accepts from, and how they reach it. See gate_listen.c. */
#ifndef ROOM_GATE_LISTEN_H
#define ROOM_GATE_LISTEN_H

#include "room/plan.h"
#include "room/report.h"
#include "sys/fd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct room_state;

enum { GATE_OPEN_MAX = 128 };

/* What was made and not handed out yet. */
struct gate_listeners {
    int fds[GATE_OPEN_MAX];
    uint8_t kinds[GATE_OPEN_MAX]; /* enum room_listener */
    size_t count;
};

/* Of the addresses that one is bound to. BOTH: an IPv6 socket that takes IPv4 as well. */
enum gate_family { GATE_V4, GATE_V6, GATE_BOTH };

/* A bound socket, listening if TCP (SPARE: neither); *port is the one to bind, and becomes the one that was bound. */
int gate_listen_add(struct gate_listeners *l, enum room_listener kind, enum gate_family family,
                    uint16_t *port);

/* One that was made elsewhere. -ENOSPC: there are as many as can be, and it is the caller's. */
int gate_listen_keep(struct gate_listeners *l, enum room_listener kind, int fd);

/* Resolvers, UDP and TCP. */
int gate_listen_dns(struct gate_listeners *l, bool v6);

/* Closes all but the first `keep`. */
void gate_listen_drop(struct gate_listeners *l, size_t keep);

/* Sends all of them to the supervisor; `last` tells that no more will come. */
int gate_listen_hand_out(const struct room_plan *plan, struct room_state *s, struct gate_listeners *l,
                         bool last);

/* Every port that some rule allows but 53, at most `max` of them; returns how many. */
size_t gate_listen_ports(const struct egress_rules *rules, uint16_t *ret, size_t max);

#endif
