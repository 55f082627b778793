/* relay: bytes of an open connection, both ways.
 *
 * Theory of operation. Bytes move by splice through a pipe that a direction holds only while there is something in it:
 * an idle connection costs two sockets. A direction reads only when its pipe is empty, so a slow reader holds back the
 * writer. The end of one direction is handed on alone (half-close). Who has more to move than one turn allows waits in
 * a queue for the next round.
 *
 * Lives in: strongroom-gate. Trusts: nobody. May: move bytes. Must not: look at them, wait. */
#include "gate/conn_row.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_SIZE  (256 * 1024)
#define PIPES_KEPT 64
#define TURNS_MAX  16 /* moves of one direction before others get their turn */

static int pool[PIPES_KEPT][2];
static size_t pool_count;
static int again_first = -1, again_last = -1;

/* --- pipes --- */

static bool pipe_take(struct way *w)
{
    if (w->pipe[0] >= 0)
        return true;
    if (pool_count > 0) {
        pool_count--;
        w->pipe[0] = pool[pool_count][0];
        w->pipe[1] = pool[pool_count][1];
        return true;
    }
    if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        w->pipe[0] = w->pipe[1] = -1;
        return false;
    }
    (void)fcntl(w->pipe[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
    return true;
}

static void pipe_give(struct way *w)
{
    if (w->pipe[0] < 0)
        return;
    if (w->held == 0 && pool_count < PIPES_KEPT) {
        pool[pool_count][0] = w->pipe[0];
        pool[pool_count][1] = w->pipe[1];
        pool_count++;
        w->pipe[0] = w->pipe[1] = -1;
        return;
    }
    fd_close(&w->pipe[0]);
    fd_close(&w->pipe[1]);
}

void relay_init(struct conn *c)
{
    for (int i = 0; i < 2; i++)
        c->ways[i].pipe[0] = c->ways[i].pipe[1] = -1;
}

void relay_release(struct conn *c)
{
    for (int i = 0; i < 2; i++)
        pipe_give(&c->ways[i]);
}

static void queue_again(struct conn *c)
{
    if (c->again)
        return;
    c->again = true;
    c->next_again = UINT16_MAX;
    if (again_last >= 0)
        conn_table[again_last].next_again = (uint16_t)conn_index(c);
    else
        again_first = (int)conn_index(c);
    again_last = (int)conn_index(c);
}

/* --- moving bytes --- */

enum moved { MOVED_ALL, MOVED_SOME, MOVED_BROKEN };

/* Moves until one side has no more to give or take, or its turn is over. */
static enum moved move(struct conn *c, int from)
{
    struct way *w = &c->ways[from];
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    int turn = 0;

    for (; turn < TURNS_MAX && !w->handed_on; turn++) {
        if (w->held == 0 && !w->ended) {
            if (!pipe_take(w))
                return MOVED_BROKEN;
            ssize_t n = splice(c->fd[from], NULL, w->pipe[1], NULL, PIPE_SIZE, flags);
            if (n < 0 && errno == EAGAIN)
                break;
            if (n < 0) {
                c->code = errno;
                return MOVED_BROKEN;
            }
            w->ended = n == 0;
            w->held = (size_t)n;
        }
        if (w->held > 0) {
            ssize_t n = splice(w->pipe[0], NULL, c->fd[1 - from], NULL, w->held, flags);
            if (n < 0 && errno == EAGAIN)
                break;
            if (n <= 0) {
                c->code = n < 0 ? errno : EIO;
                return MOVED_BROKEN;
            }
            w->held -= (size_t)n;
            w->bytes += (uint64_t)n;
        }
        if (w->held == 0 && w->ended) {
            (void)shutdown(c->fd[1 - from], SHUT_WR); /* a peer that is gone is seen by the other direction */
            w->handed_on = true;
        }
    }
    if (w->held == 0)
        pipe_give(w);
    return turn == TURNS_MAX ? MOVED_SOME : MOVED_ALL;
}

void relay_pump(struct conn *c)
{
    enum moved up = move(c, 0);
    enum moved down = up == MOVED_BROKEN ? MOVED_BROKEN : move(c, 1);

    if (down == MOVED_BROKEN) {
        conn_end_open(c, true);
    } else if (c->ways[0].handed_on && c->ways[1].handed_on) {
        conn_end_open(c, false);
    } else if (up == MOVED_SOME || down == MOVED_SOME) {
        queue_again(c);
    }
}

bool relay_turns(void)
{
    int stop = again_last;

    while (again_first >= 0 && stop >= 0) {
        struct conn *c = &conn_table[again_first];
        bool last = again_first == stop;
        again_first = c->next_again == UINT16_MAX ? -1 : c->next_again;
        if (again_first < 0)
            again_last = -1;
        c->again = false;
        if (c->state == CONN_OPEN)
            relay_pump(c);
        if (last)
            break;
    }
    return again_first >= 0;
}
