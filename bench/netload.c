/* netload: both ends of the connections that the gate's bench and soak make.
 *
 *   netload serve ADDRESS PORT      answers; the first byte of a connection says how: p: one byte, then the end;
 *                                   d: bytes without end; anything else: nothing, until the other side ends
 *   netload ping HOST PORT N        N connections one after another: "connect", "first" (with connecting), median in us
 *   netload pull HOST PORT SECONDS  one stream: "rate", MB/s
 *   netload hold HOST PORT N        N idle connections, "held N"; they end with stdin
 *   netload many HOST PORT N ATONCE N connections, ATONCE at a time, one byte up and one down: "done N", "failed N"
 *
 * Lives in: a measuring program, static. Waits at most 10 s for anything. */
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS   256
#define BLOCK    (256 * 1024)
#define FDS_MAX  65536
#define AT_ONCE  1024
#define PING_MAX 100000
#define WAIT_MS  10000

static char block[BLOCK];
static struct addrinfo *peer;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "netload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static size_t count_of(const char *text, size_t most)
{
    uint64_t n;
    if (num_u64(text, &n) < 0 || n == 0 || n > most) {
        errno = EINVAL;
        die(text);
    }
    return (size_t)n;
}

static void look_up(const char *host, const char *port, int flags)
{
    const struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    if (getaddrinfo(host, port, &want, &peer) != 0)
        die(host);
}

/* --- the server --- */

static void drop(int fd, uint8_t *kinds)
{
    kinds[fd] = 0;
    (void)close(fd);
}

static void take(int listener, int loop, uint8_t *kinds)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= FDS_MAX || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e) < 0)
            (void)close(fd);
        else
            kinds[fd] = 'n';
    }
}

static void serve_one(int fd, int loop, uint8_t *kinds)
{
    char c;
    if (kinds[fd] == 'd') {
        ssize_t n;
        while ((n = send(fd, block, sizeof block, MSG_NOSIGNAL)) > 0) {
        }
        if (n < 0 && errno != EAGAIN)
            drop(fd, kinds);
        return;
    }
    ssize_t n = recv(fd, &c, 1, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(fd, kinds);
    } else if (c == 'p') {
        (void)send(fd, "p", 1, MSG_NOSIGNAL);
        drop(fd, kinds); /* we end first: the wait after the end is then not the client's */
    } else if (c == 'd') {
        struct epoll_event e = {.events = EPOLLOUT, .data.fd = fd};
        kinds[fd] = 'd';
        (void)epoll_ctl(loop, EPOLL_CTL_MOD, fd, &e);
    }
}

static _Noreturn void serve(const char *address, const char *port)
{
    static uint8_t kinds[FDS_MAX];
    struct epoll_event events[EVENTS];
    const int on = 1;
    look_up(address, port, AI_NUMERICHOST | AI_PASSIVE);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
        loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, peer->ai_addr, peer->ai_addrlen) < 0 || listen(listener, 4096) < 0 ||
        epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e) < 0)
        die("serve");
    printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        int n = epoll_wait(loop, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                take(listener, loop, kinds);
            else
                serve_one(events[i].data.fd, loop, kinds);
        }
    }
}

/* --- the clients --- */

static int open_one(void)
{
    const struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0 ||
        connect(fd, peer->ai_addr, peer->ai_addrlen) < 0)
        die("connect");
    return fd;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void ping(size_t n)
{
    static uint64_t connects[PING_MAX], firsts[PING_MAX];
    char c;
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = now_ns();
        int fd = open_one();
        connects[i] = now_ns() - begin;
        if (send(fd, "p", 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
            die("ping");
        firsts[i] = now_ns() - begin;
        (void)close(fd);
    }
    qsort(connects, n, sizeof *connects, by_size);
    qsort(firsts, n, sizeof *firsts, by_size);
    printf("connect %.1f\nfirst %.1f\n", (double)connects[n / 2] / 1000, (double)firsts[n / 2] / 1000);
}

static void pull(size_t seconds)
{
    int fd = open_one();
    uint64_t begin = now_ns(), end = begin + seconds * 1000000000u, total = 0;
    if (send(fd, "d", 1, MSG_NOSIGNAL) != 1)
        die("pull");
    while (now_ns() < end) {
        ssize_t n = recv(fd, block, sizeof block, 0);
        if (n <= 0)
            die("pull");
        total += (uint64_t)n;
    }
    printf("rate %.1f\n", (double)total / ((double)(now_ns() - begin) / 1e9) / 1e6);
}

static void hold(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int fd = open_one();
        if (send(fd, "i", 1, MSG_NOSIGNAL) != 1)
            die("hold");
    }
    printf("held %zu\n", n);
    (void)fflush(stdout);
    while (read(0, block, sizeof block) > 0) {
    }
}

static void begin_one(int loop)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event e = {.events = EPOLLOUT, .data.fd = fd};
    if (fd < 0 || (connect(fd, peer->ai_addr, peer->ai_addrlen) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e) < 0)
        die("many");
}

/* What has happened to a connection: 0: it goes on; 1: it got its byte; -1: it failed. */
static int go_on(int loop, const struct epoll_event *event)
{
    int fd = event->data.fd;
    char c;
    if (event->events & EPOLLOUT) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        (void)epoll_ctl(loop, EPOLL_CTL_MOD, fd, &e);
        return send(fd, "p", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
    }
    return recv(fd, &c, 1, 0) == 1 ? 1 : -1;
}

static void many(size_t n, size_t at_once)
{
    struct epoll_event events[EVENTS];
    size_t begun = 0, done = 0, failed = 0;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    while (begun < n && begun < at_once)
        begin_one(loop), begun++;
    while (done + failed < n) {
        int got = epoll_wait(loop, events, EVENTS, WAIT_MS);
        if (got <= 0) {
            errno = ETIMEDOUT;
            die("many");
        }
        for (int i = 0; i < got; i++) {
            int r = go_on(loop, &events[i]);
            if (r == 0)
                continue;
            done += r > 0;
            failed += r < 0;
            (void)close(events[i].data.fd);
            if (begun < n)
                begin_one(loop), begun++;
        }
    }
    printf("done %zu\nfailed %zu\n", done, failed);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max < FDS_MAX ? files.rlim_max : FDS_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(argv[2], argv[3]);
    if (argc < 5) {
        fputs("netload: serve ADDRESS PORT | ping|pull|hold HOST PORT N | many HOST PORT N AT-ONCE\n",
              stderr);
        return 2;
    }
    look_up(argv[2], argv[3], 0);
    if (strcmp(argv[1], "ping") == 0)
        ping(count_of(argv[4], PING_MAX));
    else if (strcmp(argv[1], "pull") == 0)
        pull(count_of(argv[4], 60));
    else if (strcmp(argv[1], "hold") == 0)
        hold(count_of(argv[4], FDS_MAX - 100));
    else if (strcmp(argv[1], "many") == 0 && argc == 6)
        many(count_of(argv[4], 100000000), count_of(argv[5], AT_ONCE));
    else
        return 2;
    return 0;
}
