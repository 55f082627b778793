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
#define RELAY_RING_FILE (RELAY_RING_SIZE + sizeof(struct relay_ring))

/* What stands behind a ring. */
struct relay_ring {
    uint64_t begun; /* bytes that have been begun to be written, in all */
    uint64_t ended; /* 0: there may come more; else one more than the room's exit status */
};

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

/* The same into a file that keeps the last RELAY_RING_SIZE bytes: byte n of all lies at n modulo that. Never full. It
 * is RELAY_RING_FILE bytes long. */
void relay_init_ring(struct relay *r, int from, int ring, char *buffer);

/* Bytes `from` to `to` of all, or the first of them, out of a ring that may be written meanwhile. Returns how many are
 * in the buffer, or -errno; *ret_lost: how many before those were overwritten while this read. */
int64_t relay_ring_read(int ring, uint64_t from, uint64_t to, char *buffer, size_t size, uint64_t *ret_lost);

/* How it stands: 0 or -errno. */
int relay_ring_look(int ring, struct relay_ring *ret);
/* Nothing more comes; for those who still read when its writer is gone. */
void relay_ring_end(int ring, int status);

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
