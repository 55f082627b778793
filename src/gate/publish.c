/* publish: connections from the host to a server in the room.
 *
 * Theory of operation. The listener is the host's, made by the supervisor before there was a room. What it accepts is
 * joined to a socket that was born in the room's network namespace and therefore connects there: pid 1 makes such
 * sockets, unconnected, and they come through the supervisor, some ahead of need. A connection goes DIALING -> OPEN
 * like those that go out, to the room's 127.0.0.1 and then ::1, and is relayed by the same code. No socket of the
 * host's ever enters the room, and none of the room's leads out: what a program inside gets is one byte stream, begun
 * by somebody outside.
 *
 * While there are no sockets nothing is accepted: clients wait in the listener's queue, which the kernel bounds.
 *
 * Lives in: strongroom-gate. Trusts: the supervisor. May: connect to the room's loopback. Must not: wait. */
#include "gate/publish.h"
#include "gate/conn_row.h"
#include "gate/loop.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>

#define ACCEPT_MAX 64
#define POOL_MAX   64
#define POOL_LOW   16 /* then more are asked for */

static int pool[POOL_MAX];
static size_t pool_count, asked, open_conns;
static bool failed; /* the last answer was that there are none */

static void ask(void)
{
    if (asked > 0 || pool_count >= POOL_LOW)
        return;
    asked = POOL_MAX - pool_count;
    const struct gate_report want = {.type = GATE_WANT, .count = (uint32_t)asked};
    if (tell_now(&want) < 0)
        asked = 0; /* the next round asks again */
}

void publish_open(bool yes)
{
    if (yes)
        ask();
}

static void give(int *fd)
{
    if (*fd >= 0 && pool_count < POOL_MAX)
        pool[pool_count++] = *fd;
    else
        fd_close(fd);
    *fd = -1;
}

void publish_sockets(const int *fds, size_t count)
{
    asked = count < asked && count > 0 ? asked - count : 0;
    failed = count == 0 && pool_count < 2;
    for (size_t i = 0; i < count; i++) {
        int fd = fds[i];
        give(&fd);
    }
}

static bool is_v6(int fd)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof own;

    return getsockname(fd, (struct sockaddr *)&own, &len) == 0 && own.ss_family == AF_INET6;
}

int publish_dial(struct conn *c, const struct gate_addr *a, struct sockaddr_storage *to, socklen_t *ret_len)
{
    int *spare = c->inner[0] >= 0 ? &c->inner[0] : &c->inner[1];
    struct gate_addr mapped = {.size = 16, .bytes = {[10] = 0xff, [11] = 0xff}};
    const int fd = *spare;

    if (fd < 0)
        return -EMFILE;
    if (is_v6(fd) && a->size == 4) {
        memcpy(mapped.bytes + 12, a->bytes, 4);
        a = &mapped;
    } else if (!is_v6(fd) && a->size == 16) {
        return -EAFNOSUPPORT;
    }
    *ret_len = addr_to_sock(a, c->port, to);
    *spare = -1;
    return fd;
}

/* Both ends of a connection to one's own port can be one socket, where nobody listens. */
bool publish_met_itself(const struct conn *c)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    struct gate_addr a;
    uint16_t port;

    return getsockname(c->fd[1], (struct sockaddr *)&own, &len) < 0 || addr_from_sock(&own, &a, &port) < 0 ||
           (port == c->port && addr_equal(&a, &c->peer));
}

void publish_release(struct conn *c, bool ended)
{
    if (!c->inbound)
        return;
    give(&c->inner[0]);
    give(&c->inner[1]);
    open_conns -= ended;
}

static void refuse(int *fd, const struct gate_addr *from, uint16_t port)
{
    struct gate_report full = {.verdict = GATE_BROKEN,
                               .kind = GATE_KIND_INBOUND,
                               .reason = GATE_WHY_TABLE_FULL,
                               .rule = -1,
                               .port = port};

    (void)addr_text(from, full.address);
    tell_event(&full);
    conn_close_hard(fd);
}

static void begin(int fd, const struct gate_addr *from, uint16_t port)
{
    static const struct gate_addr there[] = {{.size = 4, .bytes = {127, 0, 0, 1}},
                                             {.size = 16, .bytes = {[15] = 1}}};
    static const int on = 1;
    struct conn *c = conn_new(fd);

    if (c == NULL) {
        refuse(&fd, from, port);
        return;
    }
    c->inbound = true;
    open_conns++;
    c->meant = *from;
    c->port = port;
    c->state = CONN_RESOLVING;
    for (int i = 0; i < 2; i++)
        c->inner[i] = pool[--pool_count];
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on,
                     sizeof on); /* a client that is gone may stay longer */
    if (loop_add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_ROOM, conn_index(c), c->generation) < 0)
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
    else
        dial_start(c, there, 2);
}

int publish_accept(int listener, uint16_t room_port)
{
    int code = 0;

    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        struct gate_addr from = {.size = 0};
        uint16_t port;
        if (pool_count < 2 && !failed) {
            ask();
            return -EAGAIN;
        }
        int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            code = loop_is_short(errno) ? -errno : 0;
            break;
        }
        (void)addr_from_sock(&peer, &from, &port); /* then it stays empty */
        if (pool_count < 2 || open_conns == PUBLISH_CONNS_MAX)
            refuse(&fd, &from, room_port);
        else
            begin(fd, &from, room_port);
    }
    failed = false; /* who comes next gets a try of its own */
    ask();
    return code;
}
