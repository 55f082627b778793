/* publish: the supervisor's side of ports of the host that lead into the room.
 *
 * Theory of operation. The listeners are made here, in the host's network, before the room is: a port that is taken
 * ends the command with nothing begun. They go to the gate, which accepts. What it connects with inside are sockets
 * that pid 1 makes when the gate wants some; both only pass through here.
 *
 * Lives in: the supervisor. Trusts: the policy; nothing of a frame but its size. Must not: accept, wait for the gate or
 * for pid 1. */
#include "engine/publish.h"
#include "engine/inner.h"
#include "engine/network.h"
#include "gate/frames.h"
#include "sys/fd.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 1024 }; /* as many as the gate takes at once */

static_assert(POLICY_PUBLISH_MAX % GATE_FRAME_FDS_MAX == 0, "listeners fill frames");

static int listen_at(const struct policy_publish *x, uint16_t *ret_port)
{
    static const int on = 1;
    const bool v6 = !egress_addr_is_v4(&x->addr);
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(x->port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(x->port)};
    struct sockaddr *a = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
    socklen_t len = v6 ? sizeof a6 : sizeof a4;

    memcpy(&a4.sin_addr, x->addr.bytes + 12, sizeof a4.sin_addr);
    memcpy(&a6.sin6_addr, x->addr.bytes, sizeof a6.sin6_addr);
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) || bind(fd, a, len) < 0 ||
        listen(fd, BACKLOG) < 0 || getsockname(fd, a, &len) < 0) {
        int code = -errno;
        fd_close(&fd);
        return code;
    }
    *ret_port = ntohs(v6 ? a6.sin6_port : a4.sin_port);
    return fd;
}

static int explain(const struct policy_publish *x, int code, struct err *e)
{
    char text[PUBLISH_TEXT_MAX];
    struct sbuf b = SBUF(text);

    publish_text(x, x->port, &b);
    int n = err_set(e, ERR_ROOM, code, "publish the room's port %u: listen at %s", x->room_port, text);
    if (code == EADDRINUSE)
        err_hint(e, "choose another port, or 0 for any free one");
    else if (code == EACCES)
        err_hint(e, "ports below 1024 are root's; choose a higher one");
    else if (code == EADDRNOTAVAIL)
        err_hint(e, "that address is none of this host's; 127.0.0.1 is when none is given");
    return n;
}

int publish_open(struct room *r, struct err *e)
{
    struct network *record = gate_record();

    for (size_t i = 0; i < r->policy->publish_count; i++) {
        const struct policy_publish *x = &r->policy->publish[i];
        uint16_t port = 0;
        int fd = listen_at(x, &port);
        if (fd < 0)
            return explain(x, -fd, e);
        r->published[i] = fd;
        record->ports[record->port_count++] = (struct network_port){.from = x, .port = port};
        if (x->port == 0 && r->req->on_port) {
            char text[PUBLISH_TEXT_MAX + 40];
            struct sbuf b = SBUF(text);
            publish_text(x, port, &b);
            sbuf_fmt(&b, " leads to port %u of the room", x->room_port);
            r->req->on_port(r->req->ctx, text);
        }
    }
    return 0;
}

int publish_hand_over(struct room *r)
{
    static struct gate_command c;
    const size_t count = r->policy->publish_count;
    int n = 0;

    for (size_t at = 0; n == 0 && at < count; at += GATE_FRAME_FDS_MAX) {
        c = (struct gate_command){.type = GATE_LISTENERS, .version = GATE_FRAMES_VERSION};
        while (c.count < GATE_FRAME_FDS_MAX && at + c.count < count) {
            c.kinds[c.count] = GATE_LISTEN_PUBLISH;
            c.numbers[c.count] = r->policy->publish[at + c.count].room_port;
            c.count++;
        }
        n = fd_frame_send(r->gate_ctl, &c, sizeof c, r->published + at, c.count, 0);
    }
    publish_close(r);
    return n;
}

/* To the gate; without any, it stops waiting for them. */
static void hand_on(struct room *r, const int *fds, size_t n)
{
    static struct gate_command c;

    c = (struct gate_command){.type = GATE_SOCKETS, .version = GATE_FRAMES_VERSION, .count = (uint32_t)n};
    if (r->gate_ctl >= 0)
        (void)fd_frame_send(r->gate_ctl, &c, sizeof c, fds, n, MSG_DONTWAIT); /* then its clients wait on */
}

void publish_wanted(struct room *r, uint32_t count)
{
    const struct command c = {.type = COMMAND_SOCKETS, .count = count};

    if (r->dead || r->exited) {
        hand_on(r, NULL, 0);
    } else if (!r->started) {
        r->sockets_wanted = count;
    } else {
        r->sockets_wanted = 0;
        if (r->ctl < 0 || fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT) < 0)
            hand_on(r, NULL, 0);
    }
}

void publish_started(struct room *r)
{
    if (r->sockets_wanted > 0)
        publish_wanted(r, r->sockets_wanted);
}

void publish_made(struct room *r, int *fds, size_t n)
{
    hand_on(r, fds, n);
    while (n > 0)
        fd_close(&fds[--n]);
}

void publish_close(struct room *r)
{
    for (size_t i = 0; i < POLICY_PUBLISH_MAX; i++)
        fd_close(&r->published[i]);
}
