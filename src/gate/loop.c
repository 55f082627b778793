/* loop: who waits for which descriptor, and what time it is.
 *
 * Lives in: strongroom-gate. Trusts: its callers. May: wait. Must not: decide anything. */
#include "gate/loop.h"
#include "sys/fd.h"

#include <errno.h>
#include <time.h>

#define KIND_SHIFT  56
#define INDEX_SHIFT 32
#define INDEX_MASK  0xffffffu

static int epoll_fd = -1;
static uint64_t now_ms;

static void tick(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int loop_open(void)
{
    tick();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_fd < 0 ? -errno : 0;
}

static int control(int op, int fd, uint32_t events, enum loop_kind kind, uint32_t index, uint32_t generation)
{
    struct epoll_event e = {
        .events = events,
        .data.u64 = (uint64_t)kind << KIND_SHIFT | (uint64_t)(index & INDEX_MASK) << INDEX_SHIFT | generation,
    };

    return epoll_ctl(epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

int loop_add(int fd, uint32_t events, enum loop_kind kind, uint32_t index, uint32_t generation)
{
    return control(EPOLL_CTL_ADD, fd, events, kind, index, generation);
}

int loop_change(int fd, uint32_t events, enum loop_kind kind, uint32_t index, uint32_t generation)
{
    return control(EPOLL_CTL_MOD, fd, events, kind, index, generation);
}

bool loop_is_short(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

void loop_remove(int fd)
{
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* absent: as wanted */
}

uint64_t loop_now(void)
{
    return now_ms;
}

int loop_wait(struct loop_event ret[LOOP_EVENTS_MAX], int timeout_ms)
{
    struct epoll_event events[LOOP_EVENTS_MAX];
    int n = epoll_wait(epoll_fd, events, LOOP_EVENTS_MAX, timeout_ms);

    tick();
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        uint64_t d = events[i].data.u64;
        ret[i] = (struct loop_event){
            .kind = (enum loop_kind)(d >> KIND_SHIFT),
            .index = (uint32_t)(d >> INDEX_SHIFT) & INDEX_MASK,
            .generation = (uint32_t)d,
            .events = events[i].events,
        };
    }
    return n;
}
