/* relay: passes bytes between the two sides of a connection without looking at them and without copying: socket to pipe
 * to socket (splice). What one side does not take stays in the pipe, and the other side waits; the end of one direction
 * is passed on and leaves the other one open.
 *
 * Lives in: strongroom-gate. Trusts: nobody. May: move bytes. Must not: wait, hold more than a pipe of each direction. */
#include "gate/conn.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 16, PIECES = 32 /* in one go, then others have their turn */, SPARES = 128 };

static int spares[SPARES][2]; /* empty pipes, for the next connection */
static size_t spare_count;

static int take_pipe(struct conn_way *w)
{
    if (spare_count > 0) {
        spare_count--;
        w->pipe[0] = spares[spare_count][0];
        w->pipe[1] = spares[spare_count][1];
        return 0;
    }
    return pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

/* An idle connection holds no pipe. */
static void put_pipe(struct conn_way *w)
{
    if (w->pipe[0] >= 0 && w->held == 0 && spare_count < SPARES) {
        spares[spare_count][0] = w->pipe[0];
        spares[spare_count++][1] = w->pipe[1];
        w->pipe[0] = w->pipe[1] = -1;
        return;
    }
    fd_close(&w->pipe[0]);
    fd_close(&w->pipe[1]);
    w->held = 0;
}

void relay_close(struct conn *c)
{
    put_pipe(&c->ways[0]);
    put_pipe(&c->ways[1]);
}

/* From the pipe to the socket. 0: all of it; 1: the socket is full; -errno. */
static int drain(struct conn_way *w, int to)
{
    while (w->held > 0) {
        ssize_t n = splice(w->pipe[0], NULL, to, NULL, w->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0)
            return errno == EAGAIN ? 1 : -errno;
        w->held -= (size_t)n;
        w->bytes += (uint64_t)n;
    }
    return 0;
}

/* 0: nothing more to do until an event; 1: there may be more; -errno. */
static int move_way(struct conn_way *w, int from, int to)
{
    for (int i = 0; i < PIECES; i++) {
        int r = w->held ? drain(w, to) : 0;
        if (r != 0)
            return r < 0 ? r : 0;
        if (w->ended) {
            if (!w->told_end && shutdown(to, SHUT_WR) < 0 && errno != ENOTCONN)
                return -errno;
            w->told_end = true;
            put_pipe(w);
            return 0;
        }
        if (w->pipe[0] < 0 && (r = take_pipe(w)) < 0)
            return r;
        ssize_t n = splice(from, NULL, w->pipe[1], NULL, PIECE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EAGAIN) {
            put_pipe(w);
            return 0;
        }
        if (n < 0)
            return -errno;
        if (n == 0)
            w->ended = true;
        w->held += (size_t)n;
    }
    return 1;
}

bool relay_move(struct conn *c)
{
    int out = move_way(&c->ways[0], c->room, c->up);
    int in = out < 0 ? out : move_way(&c->ways[1], c->up, c->room);
    if (in < 0) {
        c->code = -in;
        return false;
    }
    c->again = out > 0 || in > 0;
    return !(c->ways[0].told_end && c->ways[1].told_end);
}
