/* hand: connections that strongroom-intercept goes on with, because somebody has to see what is in their TLS.
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
    for (int i = 0; i < 2; i++) {
        loop_remove(c->fd[i]);
        relay_watch(c->fd[i]); /* whoever goes on with it cannot, and waits for answers without end */
    }
    conn_set_due(c, 0);
    c->state = CONN_HANDED;
    if (hand_fd < 0 || fd_frame_send(hand_fd, &t, sizeof t, fds, 2, MSG_DONTWAIT) < 0)
        conn_end_seen(c, FLOW_FAULT_FORM, "strongroom-intercept is not there to open its TLS");
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

static void heard(const struct hand_done *d)
{
    struct conn *c = conn_at(d->index, d->generation);

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

void hand_event(void)
{
    static struct hand_done d;

    for (int i = 0; i < 64; i++) {
        int n = fd_frame_recv(hand_fd, &d, sizeof d, NULL, 0, MSG_DONTWAIT);
        if (n == -EAGAIN)
            return;
        if (n < 0 || (d.type != HAND_DONE && d.type != HAND_MORE) || d.version != GATE_FRAMES_VERSION) {
            fd_close(&hand_fd);
            conn_end_handed();
            return;
        }
        d.why[sizeof d.why - 1] = '\0';
        heard(&d);
    }
}
