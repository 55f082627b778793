/* leaf_end: the end of a leaf: its members are counted and killed, its directories removed.
 *
 * Theory of operation. A room normally ends with its pid 1, whose death takes every process of its pid
 * namespace along; killing here is for what has not got that far. cgroup.kill (v2) reaches everybody at once.
 * Without it members are killed one by one: first pids.max becomes 0, so that none is added, then rounds of
 * reading cgroup.procs until it is empty. A pid is only signalled through a pidfd that was opened before a
 * second reading still showed the pid here, so a pid that was recycled meanwhile never hits a stranger. A
 * member frozen by a v1 freezer does not die before it is thawed: whoever froze it thaws it first.
 *
 * A directory whose last member is still on its way out cannot be removed (EBUSY): we wait for cgroup.events
 * (v2) or a moment (v1) within the deadline and count what remains.
 *
 * Lives in: the supervisor and its undertaker. Trusts: the cgroup file systems. May: kill members of its own
 * leaf, remove its own directories. Must not: allocate, wait beyond its bound, signal itself. */
#include "limits/leaf.h"

#include "limits/leaf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KILL_MS       1000 /* leaf_kill gives up after this long */
#define KILL_BATCH    8    /* pidfds open at once; with RLIMIT_NOFILE at 16 it becomes fewer */
#define ROUND_MAX     512  /* members that are killed in one round */
#define WAIT_FIRST_US 50
#define WAIT_MAX_US   2000

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void wait_us(unsigned us)
{
    struct timespec t = {.tv_sec = 0, .tv_nsec = (long)us * 1000};

    (void)nanosleep(&t, NULL); /* woken early is as good */
}

/* Pids of cgroup.procs, read as a stream. */
struct members {
    int fd;
    size_t at, end;
    char buf[1024];
};

static int members_open(int dir_fd, struct members *m)
{
    m->fd = leaf_file_open(dir_fd, "cgroup.procs", O_RDONLY);
    m->at = m->end = 0;
    return m->fd;
}

/* The next pid (0: a member outside of our pid namespace), or -1 at the end. */
static int64_t members_next(struct members *m)
{
    int64_t pid = -1;

    for (;;) {
        if (m->at == m->end) {
            ssize_t n = read(m->fd, m->buf, sizeof m->buf);

            if (n <= 0)
                return -1; /* every line ends in a newline: nothing is half read */
            m->at = 0;
            m->end = (size_t)n;
        }
        for (; m->at < m->end; m->at++) {
            char c = m->buf[m->at];

            if (c == '\n' && pid >= 0) {
                m->at++;
                return pid;
            }
            if (c >= '0' && c <= '9' && pid < INT32_MAX / 10)
                pid = (pid < 0 ? 0 : pid) * 10 + (c - '0');
        }
    }
}

static int count_members(int dir_fd)
{
    struct members m;
    int n = 0, r = members_open(dir_fd, &m);

    if (r < 0)
        return r;
    while (n < INT32_MAX && members_next(&m) >= 0)
        n++;
    (void)close(m.fd); /* read-only */
    return n;
}

int leaf_members(const struct leaf *l)
{
    int most = 0;

    for (int h = 0; h < l->place->count; h++) {
        int n = l->dir_fd[h] < 0 ? -EBADF : count_members(l->dir_fd[h]);

        if (n < 0)
            return n;
        if (n > most)
            most = n;
    }
    return most;
}

/* Signals those of pids[0..count) that are still members once a pidfd holds on to them. */
static void kill_batch(int dir_fd, const int64_t *pids, int count)
{
    int pidfd[KILL_BATCH], made = 0;
    struct members m;
    int64_t pid;

    for (; made < count; made++) {
        pidfd[made] = (int)syscall(SYS_pidfd_open, (pid_t)pids[made], 0); /* CLOEXEC by birth */
        if (pidfd[made] < 0 && errno == EMFILE)
            break; /* few fds: fewer at once */
    }
    while (made > 0 && (m.fd = members_open(dir_fd, &m)) == -EMFILE) {
        if (pidfd[--made] >= 0)
            (void)close(pidfd[made]); /* a pidfd */
    }
    if (made > 0 && m.fd >= 0) {
        while ((pid = members_next(&m)) >= 0) {
            for (int i = 0; i < made; i++) {
                if (pids[i] == pid && pidfd[i] >= 0)
                    (void)syscall(SYS_pidfd_send_signal, pidfd[i], SIGKILL, NULL,
                                  0); /* the next round sees */
            }
        }
        (void)close(m.fd); /* read-only */
    }
    while (made > 0) {
        if (pidfd[--made] >= 0)
            (void)close(pidfd[made]); /* a pidfd */
    }
}

/* One round over one hierarchy. Returns the number of members seen, or -errno. */
static int kill_round(int dir_fd)
{
    int64_t pids[ROUND_MAX], pid, self = getpid();
    struct members m;
    int seen = 0, count = 0, r = members_open(dir_fd, &m);

    if (r < 0)
        return r;
    for (; count < ROUND_MAX && (pid = members_next(&m)) >= 0; seen++) {
        if (pid > 0 && pid != self)
            pids[count++] = pid;
    }
    (void)close(m.fd); /* read-only */
    for (int i = 0; i < count; i += KILL_BATCH)
        kill_batch(dir_fd, pids + i, count - i < KILL_BATCH ? count - i : KILL_BATCH);
    return seen;
}

static int kill_all_hierarchies(struct leaf *l)
{
    int most = 0;

    for (int h = 0; h < l->place->count; h++) {
        int n = l->dir_fd[h] < 0 ? -EBADF : kill_round(l->dir_fd[h]);

        if (n < 0)
            return n;
        if (n > most)
            most = n;
    }
    return most;
}

/* Readies one hierarchy for killing: no new member, and no quota that would make the dying wait for their turn. */
static void loosen(const struct leaf *l, int h, bool at_once)
{
    unsigned controllers = l->place->controllers[h];
    int dir = l->dir_fd[h];

    if (dir < 0)
        return;
    /* Without either the rounds converge, too, only later. */
    if (controllers & LEAF_HAS_PIDS && !at_once)
        (void)leaf_file_write(dir, "pids.max", "0", 1);
    if (controllers & LEAF_HAS_CPU && l->place->version == LEAF_V2)
        (void)leaf_file_write(dir, "cpu.max", "max", 3);
    else if (controllers & LEAF_HAS_CPU)
        (void)leaf_file_write(dir, "cpu.cfs_quota_us", "-1", 2);
}

int leaf_kill(struct leaf *l)
{
    uint64_t end = now_us() + KILL_MS * 1000;
    unsigned pause = WAIT_FIRST_US;
    bool at_once = l->place->version == LEAF_V2 && l->dir_fd[0] >= 0 &&
                   leaf_file_write(l->dir_fd[0], "cgroup.kill", "1", 1) == 0;

    for (int h = 0; h < l->place->count; h++) { /* nobody joins any more */
        if (l->join_fd[h] >= 0)
            (void)close(l->join_fd[h]); /* no write is pending */
        l->join_fd[h] = -1;
    }
    for (int h = 0; h < l->place->count; h++)
        loosen(l, h, at_once);
    for (;;) {
        int left = at_once ? leaf_members(l) : kill_all_hierarchies(l);

        if (left <= 0 || now_us() >= end)
            return left;
        wait_us(pause);
        pause = pause * 2 > WAIT_MAX_US ? WAIT_MAX_US : pause * 2;
    }
}

/* Waits until a v2 leaf has no member any more, or for `us`. */
static void wait_unpopulated(int dir_fd, uint64_t us)
{
    char text[LEAF_FILE_MAX];
    uint64_t populated;
    int fd = leaf_file_open(dir_fd, "cgroup.events", O_RDONLY);
    ssize_t n;

    if (fd < 0) {
        wait_us(WAIT_MAX_US);
        return;
    }
    n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    if (leaf_text_field(text, "populated", &populated) && populated == 1) {
        struct pollfd p = {.fd = fd, .events = POLLPRI};

        (void)poll(&p, 1, (int)(us / 1000 + 1)); /* the caller looks itself */
    } else {
        wait_us(WAIT_FIRST_US);
    }
    (void)close(fd); /* read-only */
}

/* One attempt at every directory that is still there. Returns how many remain. */
static int remove_once(struct leaf *l, bool gone[LEAF_HIERARCHIES])
{
    int left = 0;

    /* The first hierarchy, which holds the claim on the slot and is what a sweep looks at, goes last. */
    for (int h = l->place->count - 1; h >= 0; h--) {
        if (gone[h] || l->dir_fd[h] < 0)
            continue;
        if (h == 0 && left > 0)
            return left + 1;
        gone[h] = unlinkat(l->place->parent_fd[h], l->name, AT_REMOVEDIR) == 0 || errno == ENOENT;
        left += !gone[h];
    }
    return left;
}

int leaf_remove(struct leaf *l, unsigned deadline_ms)
{
    bool gone[LEAF_HIERARCHIES] = {false};
    unsigned pause = WAIT_FIRST_US;
    int left = remove_once(l, gone);

    if (left > 0) {
        uint64_t now = now_us(), end = now + (uint64_t)deadline_ms * 1000;

        for (; left > 0 && now < end; now = now_us()) {
            if (l->place->version == LEAF_V2)
                wait_unpopulated(l->dir_fd[0], end - now);
            else
                wait_us(pause);
            pause = pause * 2 > WAIT_MAX_US ? WAIT_MAX_US : pause * 2;
            left = remove_once(l, gone);
        }
    }
    leaf_close_fds(l);
    return left;
}
