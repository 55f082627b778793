/* hand: connections that strongroom-intercept goes on with, because somebody has to see what is in their TLS.
 *
 * The gate has judged name, address and hello; the other process gets both sockets and what may be asked. The row stays
 * in the table until it says that it is over, so that the connection is told, counted and can be cut like any other.
 * When the other process is gone, its connections end and no more are taken: nothing goes on unseen instead.
 *
 * Lives in: strongroom-gate. Trusts: strongroom-intercept for counts and words. May: hand over, cut. Must not: wait. */
#include "gate/hand.h"
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

void conn_hand_over(struct conn *c)
{
    static struct hand_take t;
    const int fds[2] = {c->fd[0], c->fd[1]};

    t = (struct hand_take){.type = HAND_TAKE,
                           .version = GATE_FRAMES_VERSION,
                           .index = conn_index(c),
                           .generation = c->generation,
                           .port = c->port};
    memcpy(t.name, c->name, sizeof t.name);
    egress_http_name(conn_rules, c->name, c->port, t.http);
    for (int i = 0; i < 2; i++)
        loop_remove(c->fd[i]);
    conn_set_due(c, 0);
    c->state = CONN_HANDED;
    if (hand_fd < 0 || fd_frame_send(hand_fd, &t, sizeof t, fds, 2, MSG_DONTWAIT) < 0)
        conn_end_seen(c, FLOW_FAULT_FORM, "strongroom-intercept is not there to open its TLS");
}

static void done(const struct hand_done *d)
{
    struct conn *c = conn_at(d->index, d->generation);

    if (c == NULL || c->state != CONN_HANDED)
        return; /* cut meanwhile */
    c->ways[0].bytes = d->up;
    c->ways[1].bytes = d->down;
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
        if (n < 0 || d.type != HAND_DONE || d.version != GATE_FRAMES_VERSION) {
            fd_close(&hand_fd);
            conn_end_handed();
            return;
        }
        d.why[sizeof d.why - 1] = '\0';
        done(&d);
    }
}
