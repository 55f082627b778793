/* relay: bytes of an open connection, both ways.
 *
 * Theory of operation. Bytes move by splice through a pipe that a direction holds only while there is something in it:
 * an idle connection costs two sockets. A direction reads only when its pipe is empty, so a slow reader holds back the
 * writer. The end of one direction is handed on alone (half-close). Who has more to move than one turn allows waits in
 * a queue for the next round.
 *
 * Where a rule says what a connection may carry, bytes are peeked at while they wait in the kernel, and flow.c says how
 * many of them may go on. A head that is changed on its way goes into the pipe from our own memory; nothing else does.
 *
 * Lives in: strongroom-gate. Trusts: nobody. May: move bytes. Must not: keep them, wait. */
#include "gate/budget.h"
#include "gate/conn_row.h"
#include "gate/edit.h"
#include "gate/loop.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* A few streams get more room, which spares them a tenth of their time; more than a few would use up what the kernel
 * grants a user in pipes (64 MiB, pipe(7)), and the user's next ones would hold two pages each. */
#define PIPE_SIZE   (256 * 1024)
#define PIPE_WIDE   (1024 * 1024)
#define PIPES_WIDE  4
#define PIPES_KEPT  64
#define HALF_IDLE_S 60 /* then the end that sends no more is asked whether it is there */
#define TURNS_MAX   16 /* moves of one direction before others get their turn */

static struct {
    int pipe[2];
    bool wide;
} pool[PIPES_KEPT];
static size_t pool_count, wide_count;
static int again_first = -1, again_last = -1;

/* --- pipes --- */

static bool pipe_take(struct way *w)
{
    if (w->pipe[0] >= 0)
        return true;
    if (pool_count > 0) {
        pool_count--;
        w->pipe[0] = pool[pool_count].pipe[0];
        w->pipe[1] = pool[pool_count].pipe[1];
        w->wide = pool[pool_count].wide;
        return true;
    }
    if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        w->pipe[0] = w->pipe[1] = -1;
        return false;
    }
    w->wide = wide_count < PIPES_WIDE && fcntl(w->pipe[1], F_SETPIPE_SZ, PIPE_WIDE) > 0;
    if (w->wide)
        wide_count++;
    else
        (void)fcntl(w->pipe[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
    return true;
}

static void pipe_give(struct way *w)
{
    if (w->pipe[0] < 0)
        return;
    if (w->held == 0 && pool_count < PIPES_KEPT) {
        pool[pool_count].pipe[0] = w->pipe[0];
        pool[pool_count].pipe[1] = w->pipe[1];
        pool[pool_count].wide = w->wide;
        pool_count++;
        w->pipe[0] = w->pipe[1] = -1;
        return;
    }
    wide_count -= w->wide;
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

/* Who has said its last word may have gone altogether, unseen as long as the other one is silent. */
void relay_watch(int fd)
{
    static const int on = 1, idle = HALF_IDLE_S;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle); /* then it is found out later */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

enum moved { MOVED_ALL, MOVED_SOME, MOVED_BROKEN, MOVED_GONE /* the connection is no more */ };

/* To the room, behind what is on its way there. Where that does not go, the client waits a while, then goes on. */
static void say_go_on(struct conn *c)
{
    static const char words[] = FLOW_GO_ON;
    const size_t size = sizeof words - 1;
    struct way *w = &c->ways[1];

    if (budget_most(c->rule, size) == size && pipe_take(w) &&
        write(w->pipe[1], words, size) == (ssize_t)size) {
        w->held += size;
        budget_take(c->rule, size);
    }
}

/* A head that does not go on as it is: out of the kernel, changed, into the pipe. */
static enum moved pass_edited(struct conn *c, int from, uint8_t *bytes, const struct flow_verdict *v)
{
    static char edited[EDIT_MAX];
    struct way *w = &c->ways[from];
    const struct flow_rules r = {.name = c->name, .port = c->port, .secret = c->secret};
    size_t size = edit_head((const char *)bytes, &r, (enum flow_side)from, SECRET_CLEAR, v, edited);

    if (size > 0 && budget_most(c->rule, size) < size) {
        conn_end_denied(c, GATE_WHY_MAX_BYTES);
        return MOVED_GONE;
    }
    if (size == 0 || !pipe_take(w) || recv(c->fd[from], bytes, v->head, MSG_DONTWAIT) != (ssize_t)v->head ||
        write(w->pipe[1], edited, size) != (ssize_t)size) {
        conn_end_broken(c, GATE_WHY_TABLE_FULL); /* the pipe is empty; a small one cannot hold a long head */
        return MOVED_GONE;
    }
    w->held = size;
    budget_take(c->rule, size);
    w->pass -= v->head;
    if (v->go_on)
        say_go_on(c);
    return MOVED_ALL;
}

/* Asks how much of what waits may pass. */
static enum moved look(struct conn *c, int from)
{
    static uint8_t bytes[FLOW_LOOK_MAX];
    static struct flow_verdict v;
    struct way *w = &c->ways[from];
    static char http[EGRESS_HTTPS_MAX];
    struct flow_rules r = {
        .takes = c->takes, .name = c->name, .port = c->port, .secret = c->secret, .deep = c->deep};
    ssize_t n = recv(c->fd[from], bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && errno != EAGAIN) {
        c->code = errno;
        return MOVED_BROKEN;
    }
    w->ended = n == 0;
    if (w->ended)
        return MOVED_ALL;
    bool begun = c->flow.begun;
    if (c->deep && from == 0) {
        egress_http_name(conn_rules, c->name, c->port, http);
        r.http = http[0] ? http : NULL;
    }
    flow_next(&c->flow, &r, (enum flow_side)from, bytes, n < 0 ? 0 : (size_t)n, &v);
    if (v.step == FLOW_HAND) {
        conn_hand_over(c);
        return MOVED_GONE; /* so it is for us, also while it waits */
    }
    if (v.step == FLOW_BAD && c->unlisted) {
        relay_let_go(c, v.fault);
        return MOVED_ALL;
    }
    if (v.step == FLOW_BAD || (v.step == FLOW_MORE && n > 0 && w->shut)) {
        conn_end_seen(c, v.step == FLOW_BAD ? v.fault : FLOW_FAULT_FORM,
                      v.step == FLOW_BAD ? v.why : "it ends too early");
        return MOVED_GONE;
    }
    if (c->flow.begun && !begun)
        conn_set_due(c, 0);
    w->pass = v.step == FLOW_PASS ? v.count : 0;
    return v.step == FLOW_PASS && edit_wanted(&r, &v) ? pass_edited(c, from, bytes, &v) : MOVED_ALL;
}

/* The rule lets no more bytes pass. That is the end when there are more; the side's own end may still be handed on. */
static enum moved used_up(struct conn *c, int from)
{
    char one;
    ssize_t n = recv(c->fd[from], &one, 1, MSG_PEEK | MSG_DONTWAIT);

    c->ways[from].ended = n == 0;
    if (n > 0) {
        conn_end_denied(c, GATE_WHY_MAX_BYTES);
        return MOVED_GONE;
    }
    return n == 0 || errno == EAGAIN ? MOVED_ALL : MOVED_BROKEN;
}

/* Fills the pipe. False: there is nothing to be had now; *ret says whether that is all. */
static bool take_in(struct conn *c, int from, enum moved *ret)
{
    struct way *w = &c->ways[from];
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

    if (w->pass == 0 && (*ret = look(c, from)) != MOVED_ALL)
        return false;
    if (w->held > 0 || w->ended)
        return true;
    if (w->pass == 0)
        return false;
    if (!pipe_take(w)) {
        *ret = MOVED_BROKEN;
        return false;
    }
    size_t most = budget_most(c->rule, w->pass < PIPE_WIDE ? (size_t)w->pass : PIPE_WIDE);
    if (most == 0) {
        *ret = used_up(c, from);
        return w->ended;
    }
    ssize_t n = splice(c->fd[from], NULL, w->pipe[1], NULL, most, flags);
    if (n < 0) {
        *ret = errno == EAGAIN ? MOVED_ALL : MOVED_BROKEN;
        c->code = errno == EAGAIN ? c->code : errno;
        return false;
    }
    w->ended = n == 0;
    w->held = (size_t)n;
    budget_take(c->rule, (size_t)n);
    if (w->pass != FLOW_ALL)
        w->pass -= (uint64_t)n;
    return true;
}

/* Moves until one side has no more to give or take, or its turn is over. `closes`: where that is the end of the second
 * side, the caller closes both, which says it to whom it concerns. */
static enum moved move(struct conn *c, int from, bool closes)
{
    struct way *w = &c->ways[from];
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    enum moved done = MOVED_ALL;
    int turn = 0;

    for (; turn < TURNS_MAX && !w->handed_on; turn++) {
        if (w->held == 0 && !w->ended && !take_in(c, from, &done))
            break;
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
        if (w->held == 0 && w->ended && from == 1 && c->wrapped >= 0 && !hand_is_whole(c)) {
            c->code = ECONNRESET;
            return MOVED_BROKEN;
        }
        if (w->held == 0 && w->ended && closes && c->ways[1 - from].handed_on) {
            w->handed_on = true;
        } else if (w->held == 0 && w->ended) {
            (void)shutdown(c->fd[1 - from], SHUT_WR); /* a peer that is gone is seen by the other direction */
            w->handed_on = true;
            relay_watch(c->fd[from]);
        }
    }
    if (done == MOVED_GONE)
        return done;
    if (w->held == 0)
        pipe_give(w);
    return turn == TURNS_MAX ? MOVED_SOME : done;
}

/* Both ways; what an answer sets free goes up in the same call. */
static enum moved move_both(struct conn *c)
{
    enum moved up = move(c, 0, true);
    if (up >= MOVED_BROKEN)
        return up;
    const bool looked_at = c->ways[0].pass != FLOW_ALL;
    enum moved down = move(c, 1, true);
    if (down >= MOVED_BROKEN)
        return down;
    if (looked_at && up == MOVED_ALL)
        up = move(c, 0, true);
    return up > down ? up : down;
}

bool relay_last(struct conn *c, int from)
{
    return move(c, from, false) != MOVED_GONE;
}

void relay_pump(struct conn *c)
{
    enum moved done = move_both(c);
    const struct way *up = &c->ways[0], *down = &c->ways[1];

    if (done == MOVED_GONE)
        return;
    if (done == MOVED_BROKEN) {
        conn_end_open(c, true);
    } else if (down->handed_on && (up->handed_on || up->pass != FLOW_ALL)) {
        conn_end_open(c, false); /* where words are looked at, nobody speaks on to a server that has ended */
    } else if (done == MOVED_SOME) {
        queue_again(c);
    }
}

void relay_let_go(struct conn *c, enum flow_fault fault)
{
    (void)flow_begin(&c->flow, 0); /* everything may pass */
    c->ways[0].pass = c->ways[1].pass = FLOW_ALL;
    c->let_go = (uint8_t)fault;
    conn_set_due(c, 0);
}

void relay_open(struct conn *c)
{
    conn_break_with_us(c);
    if (flow_begin(&c->flow, c->takes))
        conn_set_due(c, loop_now() + (c->unlisted ? QUIET_MS : FIRST_MS));
    else
        c->ways[0].pass = c->ways[1].pass = FLOW_ALL;
    relay_pump(c);
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
