/* relay: see relay.h.
 * Lives in: the supervisor. Trusts: nothing about either side's speed. Must not: block, change the flags of a
 * descriptor that the caller shares with others (O_NONBLOCK lives in the open file, not in the descriptor). */
#include "engine/relay.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RELAY_CHUNK (1 << 20)
#define SAFE_WRITE  4096 /* PIPE_BUF: a pipe that polls writable takes this much without blocking */
#define WRITE_MS    50   /* longest wait in one write; see write_soon */

static timer_t waker;
static enum { WAKER_UNTRIED, WAKER_READY, WAKER_NONE } waker_state;

static void woken(int sig)
{
    (void)sig; /* that it came is all: a write that waits returns */
}

/* A timer and a signal of our own: the caller may have set an alarm(2) before it started us. Made when the first write
 * needs it, for most programs print nothing that is not spliced. */
static bool can_wake(void)
{
    struct sigevent tell = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX};
    struct sigaction wake = {.sa_handler = woken}; /* no SA_RESTART */
    sigset_t set;
    if (waker_state == WAKER_UNTRIED) {
        sigemptyset(&set);
        sigaddset(&set, SIGRTMAX);
        const bool made = sigaction(SIGRTMAX, &wake, NULL) == 0 &&
                          sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 &&
                          timer_create(CLOCK_MONOTONIC, &tell, &waker) == 0;
        waker_state = made ? WAKER_READY : WAKER_NONE;
    }
    return waker_state == WAKER_READY;
}

void relay_init(struct relay *r, int from, int to, bool own_from, bool own_to, char *buffer)
{
    struct stat in, out;
    *r = (struct relay){.from = from, .to = to, .own_from = own_from, .own_to = own_to, .buffer = buffer};
    r->kind = RELAY_COPY;
    if (fstat(from, &in) < 0 || fstat(to, &out) < 0)
        return;
    if (S_ISSOCK(out.st_mode))
        r->kind = RELAY_SOCKET;
    else if ((S_ISFIFO(out.st_mode) || S_ISREG(out.st_mode)) && (S_ISFIFO(in.st_mode) || S_ISREG(in.st_mode)))
        r->kind = RELAY_SPLICE;
}

void relay_init_ring(struct relay *r, int from, int ring, char *buffer)
{
    *r = (struct relay){.from = from, .to = ring, .own_from = true, .kind = RELAY_RING, .buffer = buffer};
}

void relay_end(struct relay *r)
{
    if (r->own_from)
        fd_close(&r->from);
    if (r->own_to && r->kind == RELAY_SOCKET)
        (void)shutdown(r->to, SHUT_WR); /* somebody may still read from it, through another descriptor */
    if (r->own_to)
        fd_close(&r->to);
    r->from = r->to = -1;
    r->ended = true;
}

struct pollfd relay_poll(const struct relay *r)
{
    struct pollfd p = {.fd = -1};
    if (r->ended)
        return p;
    p.fd = r->wait_out ? r->to : r->from;
    p.events = r->wait_out ? POLLOUT : POLLIN;
    return p;
}

bool relay_has_more(const struct relay *r)
{
    struct pollfd p = {.fd = r->from, .events = POLLIN};
    if (r->ended)
        return false;
    return r->have > r->at || (poll(&p, 1, 0) == 1 && (p.revents & POLLIN));
}

bool relay_at_end(const struct relay *r)
{
    struct pollfd p = {.fd = r->from, .events = POLLIN};
    return !r->ended && r->have == r->at && poll(&p, 1, 0) == 1 && !(p.revents & POLLIN);
}

/* Returns bytes moved, 0 for "later", -1 for the end. */
static ssize_t move_spliced(struct relay *r, size_t size)
{
    ssize_t n = splice(r->from, NULL, r->to, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0)
        return n;
    if (n == 0)
        return -1;
    if (errno == EINTR)
        return 0;
    if (errno == EINVAL) { /* a file opened with O_APPEND, or one that cannot splice */
        r->kind = RELAY_COPY;
        return 0;
    }
    if (errno != EAGAIN) {
        r->error = errno;
        return -1;
    }
    struct pollfd in = {.fd = r->from, .events = POLLIN};
    r->wait_out = poll(&in, 1, 0) == 1 && (in.revents & POLLIN); /* there is something: so `to` is full */
    return 0;
}

/* A terminal polls writable when it has room for one byte, and somebody else may fill a pipe between our poll and our
 * write: then write(2) waits for a reader that may never read, and with it the room's deadlines. So it is woken. */
static ssize_t write_soon(int fd, const char *data, size_t size)
{
    static const struct timespec pause = {.tv_nsec = WRITE_MS * 1000000};
    const struct itimerspec soon = {pause, pause},
                            never = {0}; /* again and again: it may ring before write waits */
    const bool wake = can_wake();
    if (wake)
        (void)timer_settime(waker, 0, &soon, NULL); /* cannot fail with these values */
    ssize_t n = write(fd, data, size);
    int code = errno;
    if (wake)
        (void)timer_settime(waker, 0, &never, NULL);
    errno = code;
    return n;
}

static ssize_t put(struct relay *r, const char *data, size_t size)
{
    if (r->kind == RELAY_RING) {
        const size_t at = (size_t)(r->bytes % RELAY_RING_SIZE), room = RELAY_RING_SIZE - at;
        const size_t most = size < room ? size : room;
        const uint64_t mark = r->bytes + most;
        if (pwrite(r->to, &mark, sizeof mark, RELAY_RING_SIZE) < 0)
            return -1;
        atomic_thread_fence(memory_order_seq_cst); /* whoever sees one of the new bytes sees the mark */
        return pwrite(r->to, data, most, (off_t)at);
    }
    if (r->kind == RELAY_SOCKET)
        return send(r->to, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    struct pollfd out = {.fd = r->to, .events = POLLOUT};
    if (poll(&out, 1, 0) != 1 || !(out.revents & (POLLOUT | POLLERR | POLLHUP))) {
        errno = EAGAIN;
        return -1;
    }
    return write_soon(r->to, data, size);
}

static ssize_t move_copied(struct relay *r, size_t size)
{
    if (r->have == r->at) {
        struct pollfd in = {.fd = r->from, .events = POLLIN};
        if (poll(&in, 1, 0) != 1)
            return 0;
        ssize_t n = read(r->from, r->buffer, size < RELAY_BUFFER ? size : RELAY_BUFFER);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return 0;
        if (n <= 0)
            return -1; /* end of file; a terminal master says EIO when its last user is gone */
        r->at = 0;
        r->have = (uint32_t)n;
    }
    size_t left = r->have - r->at, most = left < size ? left : size;
    if (r->kind == RELAY_COPY && most > SAFE_WRITE)
        most = SAFE_WRITE;
    ssize_t n = put(r, r->buffer + r->at, most);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        r->wait_out = true;
        return 0;
    }
    if (n < 0) {
        r->error = errno;
        return -1;
    }
    r->at += (uint32_t)n;
    r->wait_out = (size_t)n < most && r->kind != RELAY_RING;
    return n;
}

uint64_t relay_move(struct relay *r, uint64_t budget)
{
    uint64_t moved = 0;
    r->wait_out = false;
    /* What is copied may wait a little at each write: few at a time, so that the room's clock is looked at. */
    const size_t chunk = r->kind == RELAY_COPY ? RELAY_BUFFER : RELAY_CHUNK;
    while (!r->ended && !r->wait_out && moved < budget && moved < chunk) {
        size_t size = budget - moved < chunk ? (size_t)(budget - moved) : chunk;
        enum relay_kind kind = r->kind;
        ssize_t n = kind == RELAY_SPLICE ? move_spliced(r, size) : move_copied(r, size);
        if (n < 0)
            relay_end(r);
        if (n == 0 && r->kind == kind)
            break;
        if (n > 0) {
            moved += (uint64_t)n;
            r->bytes += (uint64_t)n;
        }
    }
    return moved;
}

int relay_ring_look(int ring, struct relay_ring *ret)
{
    const ssize_t n = pread(ring, ret, sizeof *ret, RELAY_RING_SIZE);
    return n < 0 ? -errno : n != sizeof *ret ? -EIO : 0;
}

void relay_ring_end(int ring, int status)
{
    const uint64_t ended = (uint64_t)status + 1;
    /* A file of memory: only a late reader would miss it. */
    (void)!pwrite(ring, &ended, sizeof ended, RELAY_RING_SIZE + offsetof(struct relay_ring, ended));
}

int64_t relay_ring_read(int ring, uint64_t from, uint64_t to, char *buffer, size_t size, uint64_t *ret_lost)
{
    const size_t at = (size_t)(from % RELAY_RING_SIZE), room = RELAY_RING_SIZE - at;
    size_t most = to - from < size ? (size_t)(to - from) : size;
    struct relay_ring mark;

    most = most < room ? most : room;
    const ssize_t n = pread(ring, buffer, most, (off_t)at);
    if (n < 0)
        return -errno;
    atomic_thread_fence(memory_order_seq_cst);
    if (n == 0 || relay_ring_look(ring, &mark) < 0)
        return -EIO;
    const uint64_t kept = mark.begun > RELAY_RING_SIZE ? mark.begun - RELAY_RING_SIZE : 0;
    uint64_t lost = kept > from ? kept - from : 0;
    lost = lost < (uint64_t)n ? lost : (uint64_t)n;
    memmove(buffer, buffer + lost, (size_t)n - (size_t)lost);
    *ret_lost = lost;
    return (int64_t)n - (int64_t)lost;
}
