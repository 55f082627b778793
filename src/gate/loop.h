/* loop: who waits for which descriptor, and what time it is. One epoll descriptor, no allocation, no callbacks by
 * pointer: an event says whose it is (a kind), which one (an index) and which life of it (a generation), so that an
 * event for something closed in the same round is seen to be stale. */
#ifndef GATE_LOOP_H
#define GATE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum loop_kind {
    LOOP_CONTROL,
    LOOP_LISTENER,
    LOOP_DNS_PEER, /* a program that asks over TCP */
    LOOP_LOOKUP,   /* index = lookup * 2 + half */
    LOOP_ROOM,     /* the room's side of a connection */
    LOOP_DIAL,     /* index = connection * DIALS_MAX + attempt; the one that won stays so */
    LOOP_UPSTREAM, /* the other side, once connected */
    LOOP_HAND,     /* strongroom-intercept */
};

int loop_open(void);

/* Edge-triggered unless events says EPOLLIN alone. */
int loop_add(int fd, uint32_t events, enum loop_kind kind, uint32_t index, uint32_t generation);
void loop_remove(int fd);
int loop_change(int fd, uint32_t events, enum loop_kind kind, uint32_t index, uint32_t generation);

/* Does this errno of a call that makes a descriptor say that something is used up, so that asking again at once would
 * only burn time? */
bool loop_is_short(int code);

/* Milliseconds of CLOCK_MONOTONIC as of the last wait. */
uint64_t loop_now(void);

struct loop_event {
    enum loop_kind kind;
    uint32_t index, generation, events;
};

#define LOOP_EVENTS_MAX 256

/* timeout in ms, -1: none. Returns the number of events. */
int loop_wait(struct loop_event ret[LOOP_EVENTS_MAX], int timeout_ms);

#endif
