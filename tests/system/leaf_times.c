/* leaf_times: what finding a place, making, joining, reading and removing a leaf costs on this host. Prints a table;
 * not a test.
 *
 * Lives in: the test suite, run by hand. May: make leaves, and children that join them. */
#include "limits/leaf.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ull << 20)

/* Apart from the slots of real rooms. */
#define SLOT_MIN (20000000u + (uint32_t)(getpid() % 100000) * 64)
#define SLOT_MAX (SLOT_MIN + 63)

static struct leaf_place place;

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void no_limits(uint64_t limits[LIMIT_ID_COUNT])
{
    for (int i = 0; i < LIMIT_ID_COUNT; i++)
        limits[i] = LIMIT_UNLIMITED;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void show(const char *what, double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, by_size);
    printf("%-36s median %8.1f us   p90 %8.1f us\n", what, ms[n / 2] * 1e3, ms[n * 9 / 10] * 1e3);
}

enum { ROUNDS = 200, IDLE_ROUNDS = 20 };

static void time_cycle(const struct leaf_place *p, const char *what)
{
    static double make_ms[ROUNDS], read_ms[ROUNDS], remove_ms[ROUNDS];
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf_usage u;
    struct leaf l;
    char line[80];

    no_limits(limits);
    limits[LIMIT_ID_MEMORY] = 64 * MIB;
    limits[LIMIT_ID_PIDS] = 64;
    limits[LIMIT_ID_CPUS] = 1000;
    for (int i = 0; i < ROUNDS; i++) {
        double t0 = now_ms(), t1, t2;

        if (leaf_make(p, SLOT_MIN, SLOT_MIN, SLOT_MAX, limits, &l, NULL) < 0)
            return;
        t1 = now_ms();
        leaf_read(&l, &u, true);
        t2 = now_ms();
        leaf_remove(&l, 100);
        make_ms[i] = t1 - t0, read_ms[i] = t2 - t1, remove_ms[i] = now_ms() - t2;
    }
    snprintf(line, sizeof line, "%s: make", what);
    show(line, make_ms, ROUNDS);
    snprintf(line, sizeof line, "%s: read", what);
    show(line, read_ms, ROUNDS);
    snprintf(line, sizeof line, "%s: remove", what);
    show(line, remove_ms, ROUNDS);
}

/* One child per try, which waits a while and then joins; it tells the time through a pipe. */
static void time_join(const struct leaf *l, const char *file, int first, int last, const char *what)
{
    double ms[IDLE_ROUNDS];

    for (int i = 0; i < IDLE_ROUNDS; i++) {
        int p[2], status;

        if (pipe(p) < 0)
            return;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            int fd[LEAF_HIERARCHIES];
            double t;

            for (int h = first; h <= last; h++)
                fd[h] = openat(l->dir_fd[h], file, O_WRONLY);
            usleep(100000);
            t = now_ms();
            for (int h = first; h <= last; h++) {
                if (write(fd[h], "0", 1) != 1)
                    _exit(1);
            }
            t = now_ms() - t;
            _exit(write(p[1], &t, sizeof t) != sizeof t);
        }
        ms[i] = 0;
        if (read(p[0], &ms[i], sizeof ms[i]) != sizeof ms[i] ||
            (waitpid(pid, &status, 0) != pid || status != 0))
            printf("join failed\n");
        close(p[0]);
        close(p[1]);
    }
    show(what, ms, IDLE_ROUNDS);
}

int main(void)
{
    static double ms[ROUNDS];
    static const char *const names[] = {"?", "memory", "pids", "", "cpu"};
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;

    for (int i = 0; i < ROUNDS; i++) {
        double t = now_ms();

        leaf_find_place(&place);
        ms[i] = now_ms() - t;
        leaf_place_close(&place);
    }
    show("find_place", ms, ROUNDS);
    leaf_find_place(&place);
    time_cycle(&place, "all");
    for (int h = 0; h < place.count && place.count > 1; h++) {
        struct leaf_place one = place;

        one.count = 1;
        one.parent_fd[0] = place.parent_fd[h];
        one.controllers[0] = place.controllers[h];
        time_cycle(&one, names[place.controllers[h] & 7]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        double t = now_ms();

        (void)leaf_sweep(&place);
        ms[i] = now_ms() - t;
    }
    show("sweep (nothing there)", ms, ROUNDS);
    no_limits(limits);
    if (place.version != LEAF_V1 || leaf_make(&place, SLOT_MIN, SLOT_MIN, SLOT_MAX, limits, &l, NULL) < 0)
        return 0;
    for (int h = 0; h < place.count; h++) {
        char line[80];

        snprintf(line, sizeof line, "join after 100 ms idle: %s tasks", names[place.controllers[h] & 7]);
        time_join(&l, "tasks", h, h, line);
    }
    time_join(&l, "tasks", 0, place.count - 1, "join after 100 ms idle: all tasks");
    time_join(&l, "cgroup.procs", 0, place.count - 1, "join after 100 ms idle: cgroup.procs");
    leaf_remove(&l, 1000);
    return 0;
}
