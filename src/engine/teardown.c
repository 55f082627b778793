/* teardown: the room is over; count what is left of it, remove what is ours, prove it.
 *
 * survivors are counted in the room's own process table (its /proc, kept open for this); mounts by our label in the
 * host's mount table; cgroups by removing the leaf. Nothing is assumed.
 *
 * Lives in: the supervisor. Must not: wait longer than ENGINE_TEARDOWN_MS. */
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>

/* A room's tmpfs carries the device name "strongroom"; the host's table must not know it. The table is read
 * in pieces. */
static int count_mounts(void)
{
    static const char label[] = " - tmpfs strongroom ";
    char buf[8192 + 1];
    size_t have = 0;
    int n = 0;
    FD_AUTO fd = openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (;;) {
        ssize_t got = read(fd, buf + have, sizeof buf - 1 - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : n;
        have += (size_t)got;
        buf[have] = '\0';
        const char *end = buf;
        for (const char *p = buf; (p = strstr(p, label)); p += sizeof label - 1) {
            n++;
            end = p + sizeof label - 1;
        }
        size_t keep =
            have - (size_t)(end - buf) < sizeof label - 1 ? have - (size_t)(end - buf) : sizeof label - 2;
        memmove(buf, buf + have - keep, keep);
        have = keep;
    }
}

/* The kernel tells a reader of the table whether anything was mounted or unmounted since (proc_pid_mountinfo(5)). */
static bool mounts_unchanged(const struct room *r)
{
    struct pollfd p = {.fd = r->mounts, .events = POLLPRI};
    return r->mounts >= 0 && poll(&p, 1, 0) == 0;
}

static void wait_for_pid1(struct room *r)
{
    int status;
    struct pollfd p = {.fd = r->pidfd, .events = POLLIN};
    if (r->pid <= 0 || r->dead)
        return;
    (void)kernel_pidfd_send_signal(r->pidfd, SIGKILL); /* ESRCH: it is a zombie already */
    if (poll(&p, 1, ENGINE_TEARDOWN_MS) != 1)
        return; /* the survivors' count will say so */
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR) {
    }
    r->dead = true;
}

void room_teardown(struct room *r)
{
    struct teardown *t = &r->result->teardown;
    const uint64_t begin = engine_now_us();
    wait_for_pid1(r);
    gate_stop(r);
    limits_read(r);
    t->survivors = r->proc >= 0 ? (int)watch_count(r->proc) : r->dead ? 0 : -1;
    if (r->proc < 0 && r->pid > 0 && !r->dead)
        t->survivors = -1;
    undertaker_dismiss(r);
    t->cgroups = r->has_leaf ? leaf_remove(&r->leaf, ENGINE_TEARDOWN_MS) : 0;
    r->has_leaf = false;
    t->mounts = mounts_unchanged(r) ? 0 : count_mounts();
    t->us = engine_now_us() - begin;
}
