/* hand: connections that strongroom-intercept goes on with, because somebody has to see what is in their TLS; and those
 * to a proxy, which it wraps in TLS.
 *
 * The gate has judged name, address and hello; the other process gets both sockets and what may be asked. The row stays
 * in the table until it says that it is over, so that the connection is told, counted and can be cut like any other.
 * Bytes of a rule that bounds them are lent to it in pieces; what is left of a piece comes back at the end.
 * When the other process is gone, its connections end and no more are taken: nothing goes on unseen instead.
 *
 * Lives in: strongroom-gate. Trusts: strongroom-intercept for counts and words. May: hand over, cut. Must not: wait. */
#include "gate/hand.h"
#include "gate/budget.h"
#include "gate/conn_row.h"
#include "gate/loop.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int hand_fd = -1;

int hand_open(int fd)
{
    if (hand_fd >= 0)
        return -EPROTO;
    hand_fd = fd;
    return loop_add(fd, EPOLLIN, LOOP_HAND, 0, 0);
}

/* What a connection may move now, taken from its rule's bytes. */
static uint64_t lend(struct conn *c)
{
    if (conn_rules->rules[c->rule].max_bytes == 0)
        return UINT64_MAX;
    c->lent = (uint32_t)budget_most(c->rule, HAND_PIECE);
    budget_take(c->rule, c->lent);
    return c->lent;
}

void conn_hand_over(struct conn *c)
{
    static struct hand_take t;
    const int fds[2] = {c->fd[0], c->fd[1]};

    t = (struct hand_take){.type = HAND_TAKE,
                           .version = GATE_FRAMES_VERSION,
                           .index = conn_index(c),
                           .generation = c->generation,
                           .port = c->port,
                           .bytes = lend(c)};
    memcpy(t.name, c->name, sizeof t.name);
    egress_http_name(conn_rules, c->name, c->port, t.http);
    int r = hand_fd < 0 ? -ENOTCONN : fd_frame_send(hand_fd, &t, sizeof t, fds, 2, MSG_DONTWAIT);
    c->waits = r == -EAGAIN;
    if (r < 0)
        budget_give(c->rule, c->lent);
    if (c->waits)
        return; /* it has too much to do now; the hello stays where it is, and we come again */
    if (r < 0) {
        conn_end_seen(c, FLOW_FAULT_FORM, "strongroom-intercept is not there to open its TLS");
        return;
    }
    for (int i = 0; i < 2; i++) {
        loop_remove(c->fd[i]);
        relay_watch(c->fd[i]); /* whoever goes on with it cannot, and waits for answers without end */
    }
    conn_set_due(c, 0);
    c->state = CONN_HANDED;
}

static void more(struct conn *c, const struct hand_done *d)
{
    static struct hand_take t;

    t = (struct hand_take){.type = HAND_GRANT,
                           .version = GATE_FRAMES_VERSION,
                           .index = d->index,
                           .generation = d->generation,
                           .link = d->link,
                           .bytes = lend(c)};
    if (t.bytes == 0)
        conn_end_denied(c, GATE_WHY_MAX_BYTES);
    else if (fd_frame_send(hand_fd, &t, sizeof t, NULL, 0, MSG_DONTWAIT) < 0)
        conn_end_seen(c, FLOW_FAULT_UPSTREAM, "strongroom-intercept does not listen");
}

int hand_wrap(const struct conn *c, const char *name, int pair)
{
    static struct hand_take t;
    const int fds[2] = {c->wrapped, pair};

    t = (struct hand_take){.type = HAND_WRAP,
                           .version = GATE_FRAMES_VERSION,
                           .index = conn_index(c),
                           .generation = c->generation};
    struct sbuf b = SBUF(t.name);
    sbuf_text(&b, name);
    int r = hand_fd < 0 ? -ENOTCONN : fd_frame_send(hand_fd, &t, sizeof t, fds, 2, MSG_DONTWAIT);
    return r == -EPIPE ? -ENOTCONN : r;
}

/* Once it is open, what is still in the pair goes first, and its end is seen there. */
static void wrapped_end(struct conn *c, const struct hand_done *d)
{
    if (d->fault == 0)
        c->whole = true;
    else if (c->state == CONN_ASKING)
        conn_end_proxy(c, d->why);
}

static void heard(const struct hand_done *d)
{
    struct conn *c = conn_at(d->index, d->generation);

    if (d->type == HAND_WRAPPED_END && c != NULL && c->wrapped >= 0)
        wrapped_end(c, d);
    if (d->type == HAND_WRAPPED_END)
        return;
    if (c == NULL || c->state != CONN_HANDED)
        return; /* cut meanwhile */
    c->ways[0].bytes = d->up;
    c->ways[1].bytes = d->down;
    if (d->type == HAND_MORE) {
        more(c, d);
        return;
    }
    budget_give(c->rule, d->left < c->lent ? (uint32_t)d->left : c->lent);
    if (d->fault == 0 || d->fault > FLOW_FAULT_UPSTREAM)
        conn_end_open(c, false);
    else
        conn_end_seen(c, (enum flow_fault)d->fault, d->why);
}

/* True: there was one, and there may be more. */
static bool take_one(void)
{
    static struct hand_done d;
    int n = hand_fd < 0 ? -EAGAIN : fd_frame_recv(hand_fd, &d, sizeof d, NULL, 0, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return false;
    if (n < 0 || (d.type != HAND_DONE && d.type != HAND_MORE && d.type != HAND_WRAPPED_END) ||
        d.version != GATE_FRAMES_VERSION) {
        fd_close(&hand_fd);
        conn_end_handed();
        return false;
    }
    d.why[sizeof d.why - 1] = '\0';
    heard(&d);
    return true;
}

void hand_event(void)
{
    for (int i = 0; i < 64 && take_one(); i++)
        ;
}

bool hand_is_whole(const struct conn *c)
{
    const uint32_t index = conn_index(c), generation = c->generation;

    while (!c->whole && conn_at(index, generation) == c && take_one())
        ;
    return c->whole;
}
