/* relay: moves bytes between the caller's stdio and the room, without ever waiting for either side.
 *
 * The room never gets a descriptor of the caller's: what it holds are pipes (or a terminal) of its own, so it can
 * neither reopen, seek, truncate nor type into anything outside, and the caller's pipes end when the room ends. */
#ifndef ENGINE_RELAY_H
#define ENGINE_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_BUFFER 16384

enum relay_kind { RELAY_SPLICE, RELAY_COPY, RELAY_SOCKET, RELAY_RING };

#define RELAY_RING_SIZE (1u << 20) /* what a ring keeps */

/* One direction. Only relay.c writes to it, except that the supervisor may close either side. */
struct relay {
    int from, to; /* -1: ended */
    enum relay_kind kind;
    bool own_from, own_to; /* close them at the end */
    bool wait_out;         /* the last try stopped because `to` was full */
    bool ended;            /* end of file, or an error on either side */
    int error;             /* why writing to `to` failed for good, 0 */
    uint64_t bytes;        /* written to `to` */
    uint32_t at, have;     /* RELAY_COPY: what is in the buffer */
    char *buffer;          /* RELAY_BUFFER bytes, used by RELAY_COPY and RELAY_SOCKET only */
};

void relay_init(struct relay *r, int from, int to, bool own_from, bool own_to, char *buffer);

/* The same into a file that keeps the last RELAY_RING_SIZE bytes: byte n of all lies at n modulo that. Never full. */
void relay_init_ring(struct relay *r, int from, int ring, char *buffer);

/* What to poll for; fd -1 when there is nothing to do. */
struct pollfd relay_poll(const struct relay *r);

/* Moves what can be moved now, at most `budget` bytes. Returns the bytes moved; r->ended tells about the end. */
uint64_t relay_move(struct relay *r, uint64_t budget);

/* Is there at least one more byte to read right now? */
bool relay_has_more(const struct relay *r);

/* Is the end of file the only thing left to read? */
bool relay_at_end(const struct relay *r);

void relay_end(struct relay *r);

#endif
