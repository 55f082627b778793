/* idle: what one waiting room costs in memory.
 *
 * Theory of operation. Starts N rooms, STEP at a time, whose program says one line and then waits on its
 * stdin; reads /proc/meminfo after each step. The figure `parts` is the rise of AnonPages + PageTables +
 * KernelStack + Slab + Shmem + Percpu from step to step, averaged over the middle half of the steps, so that
 * whatever else the machine does in between falls out; `spread` is half the distance between the quarters:
 * how far to believe it. `whole` is the same rise from first to last, `available` the fall of MemAvailable.
 * All in KiB a room.
 *
 * Then all are let go by closing their stdin, awaited by pid, and those that stay are killed by pid.
 *
 * Usage: idle N PROGRAM [ARGUMENT…]; "{n}" in an argument is the room's number. Output: lines "NAME number"
 * (alive, the four above, one for each part); status 1 and why when fewer came up.
 *
 * Lives in: one process. May: start N programs, kill those by pid. Must not: leave one behind. */
#include "base/num.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROOMS_MAX 6000
#define UP_MS     15000 /* one room must be up by then */
#define STEP      5     /* rooms between two readings */
#define SETTLE_MS 40
#define STEPS_MAX (ROOMS_MAX / STEP + 1)
#define END_MS    10000
#define WORDS_MAX 64

static const char *const names[] = {"MemAvailable", "AnonPages", "PageTables", "KernelStack",
                                    "Slab",         "Shmem",     "Percpu"};
#define FIELDS (sizeof names / sizeof names[0])

struct room {
    pid_t pid;
    int in, out; /* our ends */
};
static struct room rooms[ROOMS_MAX];

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* The kernel counts on each processor and adds up once a second; root may ask for it now. */
static void refresh(void)
{
    char nothing;
    int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!read(fd, &nothing, 1);
    (void)close(fd);
}

static int read_memory(long long ret[FIELDS])
{
    static char text[8192];
    sleep_ms(SETTLE_MS);
    refresh();
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return -1;
    text[n] = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        size_t size = strlen(names[i]);
        const char *line = text;
        while (line && (strncmp(line, names[i], size) || line[size] != ':'))
            line = (line = strchr(line, '\n')) ? line + 1 : NULL;
        if (!line || sscanf(line + size + 1, "%lld", &ret[i]) != 1)
            ret[i] = 0;
    }
    return 0;
}

static char **fill(char **words, unsigned number)
{
    static char *argv[WORDS_MAX];
    static char hole_room[256];
    size_t i;
    for (i = 0; words[i] && i < WORDS_MAX - 1; i++) {
        char *hole = strstr(words[i], "{n}");
        argv[i] = words[i];
        if (hole) {
            (void)snprintf(hole_room, sizeof hole_room, "%.*s%u%s", (int)(hole - words[i]), words[i], number,
                           hole + 3);
            argv[i] = hole_room;
        }
    }
    argv[i] = NULL;
    return argv;
}

static int start(struct room *r, char **words, unsigned number)
{
    char **argv = fill(words, number);
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC))
        return -1;
    if (pipe2(out, O_CLOEXEC))
        return close(in[0]), close(in[1]), -1;
    r->in = in[1];
    r->out = out[0];
    r->pid = vfork();
    if (r->pid == 0) {
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
            _exit(127);
        execv(argv[0], argv);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    return r->pid < 0 ? -1 : 0;
}

static int is_up(const struct room *r)
{
    struct pollfd p = {.fd = r->out, .events = POLLIN};
    char byte;
    return poll(&p, 1, UP_MS) == 1 && read(r->out, &byte, 1) == 1;
}

static void end_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)close(rooms[i].in);
    for (long waited = 0;; waited += 20) {
        unsigned left = 0;
        for (unsigned i = 0; i < count; i++)
            if (rooms[i].pid > 0) {
                if (waitpid(rooms[i].pid, NULL, WNOHANG) == rooms[i].pid)
                    rooms[i].pid = 0;
                else
                    left++;
            }
        if (!left)
            return;
        if (waited >= END_MS)
            break;
        sleep_ms(20);
    }
    for (unsigned i = 0; i < count; i++)
        if (rooms[i].pid > 0) {
            (void)kill(rooms[i].pid, SIGKILL);
            (void)waitpid(rooms[i].pid, NULL, 0);
        }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static long long readings[STEPS_MAX][FIELDS];

/* The rise of one field in step `i`; field 0 stands for the sum of all parts. */
static long long rise(unsigned i, size_t field)
{
    long long sum = 0;
    if (field)
        return readings[i + 1][field] - readings[i][field];
    for (size_t f = 1; f < FIELDS; f++)
        sum += readings[i + 1][f] - readings[i][f];
    return sum;
}

/* The mean of the middle half of the steps, a room. */
static double steady(unsigned steps, size_t field, double *ret_spread)
{
    static double v[STEPS_MAX];
    double sum = 0;
    for (unsigned i = 0; i < steps; i++)
        v[i] = (double)rise(i, field) / STEP;
    qsort(v, steps, sizeof v[0], by_value);
    for (unsigned i = steps / 4; i < steps - steps / 4; i++)
        sum += v[i];
    *ret_spread = (v[steps - 1 - steps / 4] - v[steps / 4]) / 2;
    return sum / (steps - 2 * (steps / 4));
}

static void report(unsigned up)
{
    unsigned steps = up / STEP;
    double spread, parts = steady(steps, 0, &spread), whole = 0, ignored;
    for (unsigned i = 0; i < steps; i++)
        whole += (double)rise(i, 0);
    printf("alive %u\nparts %.1f\nspread %.1f\nwhole %.1f\navailable %.1f\n", up, parts, spread, whole / up,
           (double)(readings[0][0] - readings[steps][0]) / up);
    for (size_t f = 1; f < FIELDS; f++)
        printf("%s %.1f\n", names[f], steady(steps, f, &ignored));
}

/* Starts the rooms and takes the readings. Returns how many came up; *ret_made are to be ended. */
static unsigned fill_house(unsigned wanted, char **words, unsigned *ret_made)
{
    unsigned made = 0;
    if (read_memory(readings[0]))
        return 0;
    while (made < wanted && !start(&rooms[made], words, made)) {
        *ret_made = ++made;
        if (!is_up(&rooms[made - 1]))
            return made - 1;
        if (made % STEP == 0 && read_memory(readings[made / STEP]))
            break;
    }
    return made;
}

int main(int argc, char **argv)
{
    uint64_t wanted = 0;
    struct rlimit files;
    unsigned made = 0;

    if (argc < 3 || num_u64(argv[1], &wanted) || wanted < STEP || wanted > ROOMS_MAX || argc - 2 >= WORDS_MAX)
        return fprintf(stderr, "usage: idle N PROGRAM [ARGUMENT...], N from %d to %d\n", STEP, ROOMS_MAX), 2;
    wanted -= wanted % STEP;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    unsigned up = fill_house((unsigned)wanted, argv + 2, &made);
    end_all(made);
    if (up < wanted)
        return fprintf(stderr, "idle: %u of %u came up\n", up, (unsigned)wanted), 1;
    report(up);
    return fflush(stdout) ? 1 : 0;
}
