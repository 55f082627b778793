/* strongroom-intercept: opens the TLS of connections whose rule asks for it, so that requests can be judged and secrets
 * put into them (link.c), and speaks TLS to a proxy that is spoken to by it (wrap.c).
 *
 * Theory of operation. The supervisor starts it before the room is built, for the room has to know the certificate of
 * its authority. Secrets and a socket to the gate follow; then it reads the host's trust store and gives up everything
 * but the sockets that the gate hands to it: it cannot open a file, make a socket or connect anywhere. Who is connected
 * with whom, is the gate's business; what is in their TLS, is decided by the same code as in the clear (gate/flow.h).
 *
 * Lives in: a process of its own, one for each room whose rules ask for it. Trusts: the supervisor, the gate, OpenSSL.
 * May: read and write what it was handed. Must not: let a key or a secret leave, wait for one connection. */
#include "gate/secret.h"
#include "helpers/intercept/ca.h"
#include "helpers/intercept/confine.h"
#include "helpers/intercept/link.h"
#include "helpers/intercept/wrap.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CONTROL    GATE_CONTROL_FD
#define EVENTS_MAX 128
#define TAG_HAND   UINT64_MAX
#define TAG_END    (UINT64_MAX - 1)
#define TRUST      "/etc/ssl/certs/ca-certificates.crt"
#define FDS        ((LINKS_MAX + WRAPS_MAX) * 2 + 64)
#define WRAP_TAGS  (LINKS_MAX * 2) /* from there on events are of wraps */

static int hand_fd = -1;

/* Everything up to START. */
static int configure(void)
{
    static struct gate_command c;

    for (;;) {
        int fds[GATE_FRAME_FDS_MAX];
        int n = fd_frame_recv(CONTROL, &c, sizeof c, fds, GATE_FRAME_FDS_MAX, 0);
        if (n < 0)
            return n;
        if (c.version != GATE_FRAMES_VERSION ||
            (n > 0 && (c.type != GATE_LISTENERS || n != 1 || hand_fd >= 0)))
            return -EPROTO;
        if (c.type == GATE_SECRET && c.size <= sizeof c.text) {
            n = secret_add(c.text, c.size);
            memset(c.text, 0, sizeof c.text);
            if (n < 0)
                return n;
        } else if (c.type == GATE_LISTENERS && n == 1) {
            hand_fd = fds[0];
        } else if (c.type == GATE_START && hand_fd >= 0) {
            return 0;
        } else {
            return -EPROTO;
        }
    }
}

static int watch(int epoll, int fd, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

/* 1: the gate is gone. */
static int take_handed(void)
{
    static struct hand_take t;

    for (int i = 0; i < 64; i++) {
        int fds[2] = {-1, -1};
        int n = fd_frame_recv(hand_fd, &t, sizeof t, fds, 2, MSG_DONTWAIT);
        if (n == -EAGAIN)
            return 0;
        if (n == 0 && t.type == HAND_GRANT && t.version == GATE_FRAMES_VERSION) {
            link_grant(&t);
            continue;
        }
        if (n != 2 || (t.type != HAND_TAKE && t.type != HAND_WRAP) || t.version != GATE_FRAMES_VERSION)
            return 1;
        t.name[sizeof t.name - 1] = t.http[sizeof t.http - 1] = '\0';
        (t.type == HAND_TAKE ? link_take : wrap_take)(&t, fds);
    }
    return 0;
}

static int serve(int epoll)
{
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        const int wait = link_tick();
        int n = epoll_wait(epoll, events, EVENTS_MAX, wrap_turns() ? 0 : wait);
        if (n < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == TAG_END)
                return 0; /* the supervisor has nothing more to say: it is over */
            if (events[i].data.u64 == TAG_HAND && take_handed() != 0)
                return 0;
            if (events[i].data.u64 >> 32 < WRAP_TAGS)
                link_event(events[i].data.u64, events[i].events);
            else if (events[i].data.u64 != TAG_HAND)
                wrap_event(events[i].data.u64, events[i].events);
        }
    }
}

int main(void)
{
    static struct hand_ca ca;
    struct rlimit files;
    const char *what = "";
    int keep[] = {0, 1, 2, CONTROL};

    if (fcntl(CONTROL, F_SETFD, FD_CLOEXEC) < 0) {
        fputs("strongroom-intercept: strongroom starts this program by itself\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error value */
    (void)signal(SIGINT, SIG_IGN);  /* a terminal's: the supervisor decides when it is over */
    (void)signal(SIGQUIT, SIG_IGN);
    if (fd_close_all_but(keep, sizeof keep / sizeof *keep) < 0 || ca_open(&ca) < 0 ||
        fd_frame_send(CONTROL, &ca, sizeof ca, NULL, 0, 0) < 0 || configure() < 0)
        return 1;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max = files.rlim_max < FDS ? files.rlim_max : FDS;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* a lower one only means fewer connections */
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || link_open(epoll, hand_fd, TRUST) < 0 || ca_leaf("warm.invalid") == NULL ||
        watch(epoll, hand_fd, TAG_HAND) < 0 || watch(epoll, CONTROL, TAG_END) < 0)
        return 1;
    wrap_open(epoll, hand_fd, link_client(), WRAP_TAGS);
    if (intercept_confine(&what) < 0)
        return 1;
    return serve(epoll);
}
