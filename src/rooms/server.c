/* server: the room's side of its control socket.
 *
 * Only the room's own user and root may speak: the folder is 0700, the socket 0600, and each client's credentials are
 * looked at besides. The room itself cannot, not even where the caller shows it this folder and it bears the caller's
 * user id: a client must live in our own user namespace. A client has one request at a time; one that breaks the rules,
 * or does not take its reply, is dropped.
 *
 * Lives in: the supervisor. Trusts: no byte of a frame. Must not: wait. */
#include "rooms/server.h"
#include "base/sbuf.h"
#include "rooms/place.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTENER = ROOMS_CLIENTS_MAX, BACKLOG = 16, EVENTS_MAX = 16 };

static int watch(const struct rooms_server *s, int op, int fd, uint32_t what)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = what};
    return epoll_ctl(s->epoll, op, fd, &e) < 0 ? -errno : 0;
}

int rooms_listen(struct rooms_server *s, int dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sbuf b = SBUF(a.sun_path);

    for (size_t i = 0; i < ROOMS_CLIENTS_MAX; i++)
        s->peers[i] = (struct rooms_peer){.fd = -1};
    s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->spare = s->epoll < 0 ? -1 : fcntl(s->epoll, F_DUPFD_CLOEXEC, 3);
    s->full = false;
    sbuf_fmt(&b, "/proc/self/fd/%d/" ROOMS_CONTROL, dir); /* however long the folder's own name is */
    int r = s->listener < 0 || s->epoll < 0 || s->spare < 0 ||
                    bind(s->listener, (struct sockaddr *)&a, sizeof a) < 0 ||
                    fchmodat(dir, ROOMS_CONTROL, 0600, 0) < 0 || listen(s->listener, BACKLOG) < 0
                ? -errno
                : watch(s, EPOLL_CTL_ADD, s->listener, LISTENER);
    if (r < 0)
        rooms_close(s);
    return r;
}

void rooms_close(struct rooms_server *s)
{
    if (s->epoll < 0)
        return;
    for (size_t i = 0; i < ROOMS_CLIENTS_MAX; i++)
        fd_close(&s->peers[i].fd);
    fd_close(&s->spare);
    fd_close(&s->listener);
    fd_close(&s->epoll);
}

static void drop(struct rooms_server *s, size_t i)
{
    fd_close(&s->peers[i].fd);
    s->peers[i].life++;
    s->peers[i].waits = false;
    if (s->full && watch(s, EPOLL_CTL_ADD, s->listener, LISTENER) == 0)
        s->full = false;
}

/* Does that process live in our own user namespace? Those of the room do not, whatever their user id is outside. */
static bool is_outside(pid_t pid)
{
    char path[48];
    struct sbuf b = SBUF(path);
    struct stat its, ours;

    sbuf_fmt(&b, "/proc/%d/ns/user", pid);
    return pid > 0 && stat(path, &its) == 0 && stat("/proc/self/ns/user", &ours) == 0 &&
           its.st_ino == ours.st_ino && its.st_dev == ours.st_dev;
}

/* Does who connected still live? Then its number has meant nobody else meanwhile. Before Linux 6.5 that cannot be
 * asked. */
static bool still_lives(struct rooms_server *s, int fd)
{
    int pidfd = -1;
    socklen_t len = sizeof pidfd;

    fd_close(&s->spare); /* else the last descriptor that we may have would be the client's own */
    if (getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &len) < 0)
        return errno == ENOPROTOOPT;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    const bool lives = poll(&p, 1, 0) == 0;
    fd_close(&pidfd);
    s->spare = fcntl(s->epoll, F_DUPFD_CLOEXEC, 3); /* the place of the one just closed */
    return lives;
}

/* The room's processes may bear the caller's user id, and the caller may show them this very folder. One of them could
 * connect, end, and leave its number to a process outside: so who speaks must have lived until after the look. */
static bool may_speak(struct rooms_server *s, int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return false;
    return who.uid == geteuid() ? is_outside(who.pid) && still_lives(s, fd) : who.uid == 0;
}

static bool has_clients(const struct rooms_server *s)
{
    for (size_t i = 0; i < ROOMS_CLIENTS_MAX; i++) {
        if (s->peers[i].fd >= 0)
            return true;
    }
    return false;
}

static void take_client(struct rooms_server *s)
{
    size_t i = 0;

    while (i < ROOMS_CLIENTS_MAX && s->peers[i].fd >= 0)
        i++;
    if (i == ROOMS_CLIENTS_MAX) {
        s->full = epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL) == 0;
        return;
    }
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        /* Too few descriptors: one of ours that goes makes room. Otherwise it has gone again. */
        if ((errno == EMFILE || errno == ENFILE) && has_clients(s))
            s->full = epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL) == 0;
        return;
    }
    if (!may_speak(s, fd) || watch(s, EPOLL_CTL_ADD, fd, (uint32_t)i) < 0) {
        fd_close(&fd);
        return;
    }
    s->peers[i].fd = fd;
}

static uint32_t number(const struct rooms_server *s, size_t i)
{
    return s->peers[i].life * ROOMS_CLIENTS_MAX + (uint32_t)i;
}

static bool take_request(struct rooms_server *s, size_t i, rooms_handler *handler, void *ctx)
{
    static struct rooms_frame f;
    struct rooms_peer *p = &s->peers[i];
    int fds[ROOMS_FDS_MAX];

    int n = fd_frame_recv(p->fd, &f, sizeof f, fds, ROOMS_FDS_MAX, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return true;
    const int check = n < 0 || p->waits ? -EBADMSG : rooms_frame_check(&f, ROOMS_CLIENT, n);
    const bool fits = check == 0;
    if (fits) {
        p->waits = true;
        handler(ctx, number(s, i), &f, fds, n);
    } else if (check == -EPROTO) {
        rooms_frame_fill(&f, ROOMS_REFUSED, 0, "another version");       /* of which it reads the version */
        (void)fd_frame_send(p->fd, &f, sizeof f, NULL, 0, MSG_DONTWAIT); /* it is dropped in any case */
    }
    for (int k = 0; k < n; k++)
        fd_close(&fds[k]);
    return fits;
}

void rooms_serve(struct rooms_server *s, rooms_handler *handler, rooms_farewell *farewell, void *ctx)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(s->epoll, events, EVENTS_MAX, 0);

    for (int i = 0; i < n; i++) {
        const size_t at = events[i].data.u32;
        if (at == LISTENER) {
            take_client(s);
        } else if (s->peers[at].fd >= 0 && !take_request(s, at, handler, ctx)) {
            const uint32_t client = number(s, at);
            drop(s, at);
            farewell(ctx, client);
        }
    }
}

static void reply(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                  const char *text, const int *fds, size_t n, bool last)
{
    static struct rooms_frame f;
    const size_t i = client % ROOMS_CLIENTS_MAX;
    struct rooms_peer *p = &s->peers[i];

    if (s->epoll < 0 || p->fd < 0 || p->life != client / ROOMS_CLIENTS_MAX || !p->waits)
        return;
    p->waits = !last;
    rooms_frame_fill(&f, type, value, text);
    if (fd_frame_send(p->fd, &f, sizeof f, fds, n, MSG_DONTWAIT) < 0)
        (void)shutdown(p->fd, SHUT_RDWR); /* it does not take its replies: the next look at it drops it */
}

void rooms_reply_fds(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                     const char *text, const int *fds, size_t n)
{
    reply(s, client, type, value, text, fds, n, true);
}

void rooms_reply_first(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                       const char *text, const int *fds, size_t n)
{
    reply(s, client, type, value, text, fds, n, false);
}

void rooms_reply(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                 const char *text)
{
    reply(s, client, type, value, text, NULL, 0, true);
}
