/* loop: poll(2) over a small table.
 *
 * Lives in: strongroom-mcp. Trusts: its callers. May: wait. Must not: know what is waited for. */
#include "mcp/loop.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

int loop_watch(struct loop *l, int fd, short events, loop_fn *fn, void *ctx)
{
    int at = 0;

    while (at < l->count && l->watches[at].fd >= 0)
        at++;
    if (at == LOOP_WATCHES)
        return -ENOSPC;
    l->watches[at] = (struct watch){.fd = fd, .events = events, .fn = fn, .ctx = ctx};
    if (at == l->count)
        l->count++;
    return 0;
}

void loop_forget(struct loop *l, int fd, short events)
{
    for (int i = 0; i < l->count; i++) {
        if (l->watches[i].fd == fd && l->watches[i].events == events)
            l->watches[i].fd = -1;
    }
}

int loop_once(struct loop *l, int ms)
{
    struct pollfd p[LOOP_WATCHES];

    for (int i = 0; i < l->count; i++)
        p[i] = (struct pollfd){.fd = l->watches[i].fd, .events = l->watches[i].events};
    const int count = l->count;
    if (poll(p, (nfds_t)count, ms) < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        const struct watch *w = &l->watches[i];
        /* One that was called before may have forgotten this one, or put another in its place. */
        if (p[i].revents && w->fd == p[i].fd && w->events == p[i].events && w->fd >= 0)
            w->fn(w->ctx, w->fd);
    }
    return 0;
}

int64_t loop_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
