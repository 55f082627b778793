/* leaf_real: leaves on the real cgroup file systems of this host, whatever they are (v1, hybrid, unified;
 * root or a user with a delegated subtree). One line per test, then the sum. With --times it measures instead
 * of testing.
 *
 * Lives in: the test suite. May: make leaves, bounded hogs inside them. Without a place for leaves it skips,
 * or fails when STRONGROOM_EXPECT_LEAF=1 says that there must be one. */
#include "limits/leaf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ull << 20)

/* Apart from the slots of real rooms and of other runs of this program that may live meanwhile. */
#define SLOT_MIN (10000000u + (uint32_t)(getpid() % 100000) * 64)
#define SLOT_MAX (SLOT_MIN + 63)

/* A member that a failing test loses ends by itself. */
#define LIFE_MAX_S 30

static int passed, failed, skipped;
static struct leaf_place place;

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

__attribute__((format(printf, 2, 3))) static bool expect(bool good, const char *fmt, ...)
{
    va_list ap;

    if (good)
        return true;
    va_start(ap, fmt);
    printf("    ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    return false;
}

static void no_limits(uint64_t limits[LIMIT_ID_COUNT])
{
    for (int i = 0; i < LIMIT_ID_COUNT; i++)
        limits[i] = LIMIT_UNLIMITED;
}

static bool make(const uint64_t limits[LIMIT_ID_COUNT], struct leaf *l)
{
    struct err e = {0};
    int r = leaf_make(&place, SLOT_MIN, SLOT_MIN, SLOT_MAX, limits, l, &e);

    return expect(r == 0, "leaf_make: %d: %s (%s)", r, e.text, e.hint);
}

/* A child inside of the leaf, as a room's pid 1 gets there. */
static pid_t spawn_in(const struct leaf *l, int (*fn)(void))
{
    pid_t pid;

    fflush(stdout);
    if (place.version == LEAF_V2) {
        struct clone_args a = {
            .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)l->dir_fd[0]};

        pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    } else {
        pid = fork();
    }
    if (pid != 0)
        return pid;
    for (int h = 0; h < place.count; h++) {
        if (l->join_fd[h] >= 0 && write(l->join_fd[h], "0", 1) != 1)
            _exit(99);
    }
    _exit(fn());
}

static int wait_for(pid_t pid)
{
    int status = -1;

    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Never kill(-1): a child that could not be made is not there to be killed. */
static int end(pid_t pid)
{
    if (pid > 0)
        kill(pid, SIGKILL);
    return wait_for(pid);
}

static int directories(const char *name)
{
    struct stat st;
    int n = 0;

    for (int h = 0; h < place.count; h++)
        n += fstatat(place.parent_fd[h], name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    return n;
}

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static int fn_pause(void)
{
    signal(SIGTERM, SIG_IGN);
    alarm(LIFE_MAX_S);
    for (;;)
        pause();
    return 0;
}

static bool t_life(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;
    char name[48];
    bool good = true;
    pid_t pid;

    no_limits(limits);
    if (!make(limits, &l))
        return false;
    memcpy(name, l.name, sizeof name);
    good &= expect(directories(name) == place.count, "%d directories", directories(name));
    good &= expect(leaf_members(&l) == 0, "members before: %d", leaf_members(&l));
    pid = spawn_in(&l, fn_pause);
    for (int i = 0; i < 5000 && leaf_members(&l) == 0; i++)
        sleep_ms(1);
    good &= expect(leaf_members(&l) == 1, "members: %d", leaf_members(&l));
    good &= expect(pid > 0 && WIFSIGNALED(end(pid)), "child was not killed");
    good &= expect(leaf_remove(&l, 1000) == 0, "directories remain");
    good &= expect(directories(name) == 0, "%d directories after", directories(name));
    return good;
}

static int fn_eat(void)
{
    char *p = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < 256 * MIB; i += 4096)
        ((volatile char *)p)[i] = 1;
    return 0;
}

static bool t_memory(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf_usage u;
    struct leaf l;
    bool good = true;
    int status;

    no_limits(limits);
    limits[LIMIT_ID_MEMORY] = 64 * MIB;
    if (!make(limits, &l))
        return false;
    status = wait_for(spawn_in(&l, fn_eat));
    leaf_read(&l, &u, true); /* with memory.oom.group 6.1 counts the victim twice */
    good &= expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %#x", status);
    good &= expect(u.oom_kills >= 1 && u.oom_kills <= 2 && l.killed_oom, "oom kills %" PRIu64, u.oom_kills);
    good &= expect(u.memory_peak == UINT64_MAX || (u.memory_peak > 60 * MIB && u.memory_peak <= 64 * MIB),
                   "peak %" PRIu64, u.memory_peak);
    good &= expect(leaf_remove(&l, 1000) == 0, "directories remain");
    return good;
}

static int fn_eat_together(void)
{
    if (fork() == 0)
        return fn_eat();
    return fn_pause();
}

/* v2: the whole leaf dies on out-of-memory, also those who ate nothing. */
static bool t_memory_group(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;
    bool good = true;
    int status;

    no_limits(limits);
    limits[LIMIT_ID_MEMORY] = 64 * MIB;
    if (!make(limits, &l))
        return false;
    status = wait_for(spawn_in(&l, fn_eat_together));
    good &= expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %#x", status);
    good &= expect(leaf_remove(&l, 2000) == 0, "directories remain");
    return good;
}

static int fn_fork(void)
{
    int made = 0;

    for (int i = 0; i < 30; i++) {
        pid_t pid = fork();

        if (pid == 0)
            fn_pause();
        if (pid < 0)
            break;
        made++;
    }
    return made;
}

static bool t_pids(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf_usage u;
    struct leaf l;
    bool good = true;
    int status;

    no_limits(limits);
    limits[LIMIT_ID_PIDS] = 8;
    if (!make(limits, &l))
        return false;
    status = wait_for(spawn_in(&l, fn_fork));
    leaf_read(&l, &u, true);
    good &= expect(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %#x", status);
    good &= expect(u.pids_refused == 1, "refused %" PRIu64, u.pids_refused);
    good &= expect(u.pids_peak == UINT64_MAX || u.pids_peak == 8, "peak %" PRIu64, u.pids_peak);
    good &= expect(u.pids_now == 7, "now %" PRIu64, u.pids_now);
    good &= expect(leaf_kill(&l) == 0, "members survive");
    good &= expect(leaf_remove(&l, 1000) == 0, "directories remain");
    return good;
}

static int fn_burn(void)
{
    double end = now_ms() + 600;

    while (now_ms() < end)
        ;
    return 0;
}

static bool t_cpu(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf_usage u;
    struct leaf l;
    bool good = true;
    struct rusage r;
    pid_t pid;
    uint64_t us;

    no_limits(limits);
    limits[LIMIT_ID_CPUS] = 50; /* less than its part of a busy machine */
    if (!make(limits, &l))
        return false;
    pid = spawn_in(&l, fn_burn);
    good &= expect(pid > 0 && wait4(pid, NULL, 0, &r) == pid, "no child");
    leaf_read(&l, &u, true);
    us = (uint64_t)r.ru_utime.tv_sec * 1000000 + (uint64_t)r.ru_utime.tv_usec;
    good &= expect(us < 150000, "%" PRIu64 " us of processor time in 600 ms at 0.05 processors", us);
    good &= expect(u.throttled >= 1 && u.throttled < 100, "throttled %" PRIu64, u.throttled);
    good &= expect(u.throttled_us > 100000, "throttled %" PRIu64 " us", u.throttled_us);
    good &= expect(u.cpu_us == UINT64_MAX || u.cpu_us > 20000, "used %" PRIu64 " us", u.cpu_us);
    good &= expect(leaf_remove(&l, 1000) == 0, "directories remain");
    return good;
}

static int fn_bomb(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    setsid();
    for (double stop = now_ms() + LIFE_MAX_S * 1e3; now_ms() < stop;) {
        pid_t pid = fork();

        if (pid == 0)
            setsid();
        else if (pid < 0)
            sched_yield();
    }
    return 0;
}

static bool t_kill(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;
    bool good = true;
    double start;
    int left;
    pid_t pid;

    no_limits(limits);
    limits[LIMIT_ID_PIDS] = 100;
    limits[LIMIT_ID_CPUS] = 500;
    if (!make(limits, &l))
        return false;
    pid = spawn_in(&l, fn_bomb);
    for (int i = 0; i < 5000 && leaf_members(&l) < 90; i++)
        sleep_ms(1);
    good &= expect(leaf_members(&l) >= 90, "the bomb has only %d members", leaf_members(&l));
    start = now_ms();
    left = leaf_kill(&l);
    good &= expect(left == 0, "%d survive after %.1f ms", left, now_ms() - start);
    (void)wait_for(pid);
    good &= expect(leaf_remove(&l, 1500) == 0, "directories remain");
    good &= expect(now_ms() - start < 2000, "took %.1f ms", now_ms() - start);
    return good;
}

static bool t_deadline(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;
    bool good = true;
    char name[48];
    double start;
    int left;
    pid_t pid;

    no_limits(limits);
    if (!make(limits, &l))
        return false;
    memcpy(name, l.name, sizeof name);
    pid = spawn_in(&l, fn_pause);
    for (int i = 0; i < 5000 && leaf_members(&l) == 0; i++)
        sleep_ms(1);
    sleep_ms(2);
    start = now_ms();
    left = leaf_remove(&l, 30);
    good &= expect(left == place.count, "%d directories remain, not all", left);
    good &= expect(now_ms() - start < 300, "took %.1f ms", now_ms() - start);
    (void)end(pid);
    for (int h = 0; h < place.count; h++) {
        for (int i = 0; i < 200 && unlinkat(place.parent_fd[h], name, AT_REMOVEDIR) < 0 && errno == EBUSY;
             i++)
            sleep_ms(1);
    }
    good &= expect(directories(name) == 0, "%d directories after", directories(name));
    return good;
}

static bool t_dying(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;
    bool good = true;

    no_limits(limits);
    for (int i = 0; i < 10 && good; i++) {
        pid_t pid;

        if (!make(limits, &l))
            return false;
        pid = spawn_in(&l, fn_pause);
        if (pid > 0)
            kill(pid, SIGKILL); /* perhaps before it has joined: then there is nothing to wait for */
        good &= expect(leaf_remove(&l, 1000) == 0, "directories remain");
        (void)wait_for(pid);
    }
    return good;
}

static bool t_slots(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l[3];
    struct err e = {0};
    bool good = true;
    int r;

    no_limits(limits);
    for (uint32_t i = 0; i < 2; i++) {
        r = leaf_make(&place, SLOT_MIN + 1, SLOT_MIN, SLOT_MIN + 1, limits, &l[i], &e);
        if (!expect(r == 0, "make: %s", e.text)) {
            if (i > 0)
                (void)leaf_remove(&l[0], 100);
            return false;
        }
    }
    good &= expect(l[0].slot == SLOT_MIN + 1 && l[1].slot == SLOT_MIN, "slots %u %u", l[0].slot, l[1].slot);
    r = leaf_make(&place, 7, SLOT_MIN, SLOT_MIN + 1, limits, &l[2], &e);
    good &= expect(r == -EBUSY, "a third one: %d", r);
    good &= expect(leaf_remove(&l[0], 100) == 0 && leaf_remove(&l[1], 100) == 0, "directories remain");
    return good;
}

static bool t_failure(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l = {.name = "untouched"};
    struct err e = {0};
    char name[48];
    bool good = true;
    int r;

    no_limits(limits);
    limits[LIMIT_ID_PIDS] = 1ull << 40; /* more than any kernel takes */
    limits[LIMIT_ID_MEMORY] = 64 * MIB;
    r = leaf_make(&place, SLOT_MIN, SLOT_MIN, SLOT_MAX, limits, &l, &e);
    good &= expect(r < 0 && e.kind == ERR_LIMIT, "made: %d", r);
    good &= expect(strstr(e.text, "pids") != NULL, "text: %s", e.text);
    good &= expect(strcmp(l.name, "untouched") == 0, "the output was touched");
    snprintf(name, sizeof name, LEAF_PREFIX "%u", SLOT_MIN);
    good &= expect(directories(name) == 0, "%d directories remain", directories(name));
    return good;
}

static int few_fds(void)
{
    struct rlimit r = {16, 16};
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf_usage u;
    struct leaf l;

    no_limits(limits);
    limits[LIMIT_ID_PIDS] = 20;
    limits[LIMIT_ID_MEMORY] = 64 * MIB;
    limits[LIMIT_ID_CPUS] = 1000;
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    setrlimit(RLIMIT_NOFILE, &r);
    leaf_find_place(&place);
    if (place.version == LEAF_NONE || !make(limits, &l))
        return 1;
    spawn_in(&l, fn_fork);
    sleep_ms(20);
    leaf_read(&l, &u, true);
    if (leaf_kill(&l) != 0 || u.pids_now == UINT64_MAX)
        return 2;
    return leaf_remove(&l, 1000);
}

static bool t_few_fds(void)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(few_fds());
    status = wait_for(pid);
    return expect(status == 0, "status %#x", status);
}

/* By us, or by a room of somebody else's: only one sweeps at a time, and another one is as good. */
static bool swept(const char *name)
{
    for (int i = 0; i < 100 && directories(name) > 0; i++) {
        (void)leaf_sweep(&place);
        if (directories(name) > 0)
            sleep_ms(20);
    }
    return directories(name) == 0;
}

static bool t_sweep(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf left, held, lived;
    char foreign[] = LEAF_PREFIX "x1";
    bool good = true;
    pid_t pid;

    no_limits(limits);
    if (!make(limits, &left) || !make(limits, &held) || !make(limits, &lived))
        return false;
    leaf_close_fds(&left); /* before the child, which would answer for it */
    pid = spawn_in(&lived, fn_pause);
    leaf_close_fds(&lived);
    good &= expect(mkdirat(place.parent_fd[0], foreign, 0755) == 0, "mkdir: %s", strerror(errno));
    (void)leaf_sweep(&place);
    good &= expect(directories(left.name) == place.count, "a young leaf was swept");
    sleep_ms(7000);
    good &= expect(swept(left.name), "the old leaf remains");
    good &= expect(directories(held.name) == place.count, "a leaf that is answered for was swept");
    good &= expect(directories(lived.name) == place.count, "a populated leaf was swept");
    good &= expect(directories(foreign) == 1, "a foreign directory was swept");
    (void)end(pid);
    (void)unlinkat(place.parent_fd[0], foreign, AT_REMOVEDIR);
    good &= expect(swept(lived.name), "the emptied leaf remains");
    good &= expect(leaf_remove(&held, 100) == 0, "directories remain");
    return good;
}

static bool t_fds(void)
{
    uint64_t limits[LIMIT_ID_COUNT];
    int before = open_fds(), inside;
    struct leaf_place again;
    struct leaf l;
    bool good = true;

    no_limits(limits);
    limits[LIMIT_ID_PIDS] = 20;
    if (!make(limits, &l))
        return false;
    inside = open_fds() - before;
    good &= expect(inside == place.count * (place.version == LEAF_V1 ? 2 : 1), "%d fds of a leaf", inside);
    good &= expect(leaf_remove(&l, 100) == 0, "directories remain");
    leaf_find_place(&again);
    leaf_place_close(&again);
    good &= expect(open_fds() == before, "%d fds, before %d", open_fds(), before);
    return good;
}

static const struct {
    const char *name;
    bool (*fn)(void);
    unsigned needs;            /* limits that the place must have */
    enum leaf_version version; /* LEAF_NONE: any */
} tests[] = {
    {"make, join, remove", t_life, 0, LEAF_NONE},
    {"a memory hog is killed and counted", t_memory, 1u << LIMIT_ID_MEMORY, LEAF_NONE},
    {"out of memory ends the whole leaf", t_memory_group, 1u << LIMIT_ID_MEMORY, LEAF_V2},
    {"the ninth process is refused and counted", t_pids, 1u << LIMIT_ID_PIDS, LEAF_NONE},
    {"processor time is throttled and counted", t_cpu, 1u << LIMIT_ID_CPUS, LEAF_NONE},
    {"a fork bomb is killed", t_kill, 1u << LIMIT_ID_PIDS, LEAF_NONE},
    {"a dying member is waited for", t_dying, 0, LEAF_NONE},
    {"a living member: the deadline holds", t_deadline, 0, LEAF_NONE},
    {"slots are claimed once", t_slots, 0, LEAF_NONE},
    {"a failure leaves nothing behind", t_failure, 1u << LIMIT_ID_PIDS, LEAF_NONE},
    {"sixteen fds are enough", t_few_fds, 1u << LIMIT_ID_PIDS, LEAF_NONE},
    {"no fd is left", t_fds, 0, LEAF_NONE},
    {"only old, empty, unclaimed leaves are swept", t_sweep, 0, LEAF_NONE},
};

int main(void)
{
    const char *must = getenv("STRONGROOM_EXPECT_LEAF");

    leaf_find_place(&place);
    printf("place: version %d, limits %#x%s%s\n", (int)place.version, place.limits, *place.why ? ", " : "",
           place.why);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        const char *lacks = place.version == LEAF_NONE                          ? place.why
                            : (place.limits & tests[i].needs) != tests[i].needs ? place.why
                            : tests[i].version != LEAF_NONE && tests[i].version != place.version
                                ? "not with this cgroup version"
                                : NULL;

        fflush(stdout);
        if (lacks && must && *must == '1' && lacks == place.why) {
            printf("FAIL %s: %s\n", tests[i].name, lacks);
            failed++;
        } else if (lacks) {
            printf("SKIP %s: %s\n", tests[i].name, lacks);
            skipped++;
        } else if (tests[i].fn()) {
            printf("PASS %s\n", tests[i].name);
            passed++;
        } else {
            printf("FAIL %s\n", tests[i].name);
            failed++;
        }
    }
    leaf_place_close(&place);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
