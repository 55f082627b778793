/* idle: what one waiting room costs in memory.
 *
 * Theory of operation. Starts N rooms whose program says one line and then waits on its stdin; reads
 * /proc/meminfo before and after; divides. Two figures, both in KiB a room: `available` (the fall of
 * MemAvailable, which also sees what the kernel will give back only later) and `parts` (the rise of AnonPages
 * + PageTables + KernelStack + Slab + Shmem + Percpu, which names its sources and is steadier). All are let
 * go by closing their stdin, awaited by pid, and those that stay are killed by pid. A third reading at the
 * end tells how much the rest of the machine moved: `noise`. Usage: idle N PROGRAM [ARGUMENT…]; "{n}" in an
 * argument is the room's number. Output: "alive N", "available KiB", "parts KiB", "noise KiB", one "NAME KiB"
 * for each part; status 1 and why when fewer came up. Lives in: one process. May: start N programs, kill
 * those by pid. Must not: leave one behind. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROOMS_MAX 6000
#define UP_MS     15000 /* one room must be up by then */
#define SETTLE_MS 400
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

static int read_memory(long long ret[FIELDS])
{
    static char text[8192];
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

int main(int argc, char **argv)
{
    long long before[FIELDS], after[FIELDS], rest[FIELDS], parts = 0, noise = 0;
    char *end = NULL;
    unsigned long wanted = argc > 2 ? strtoul(argv[1], &end, 10) : 0; // NOLINT: a figure of our own runner
    struct rlimit files;
    unsigned up = 0, made = 0;

    if (!wanted || *end || wanted > ROOMS_MAX || argc - 2 >= WORDS_MAX)
        return fputs("usage: idle N PROGRAM [ARGUMENT...]\n", stderr), 2;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (read_memory(before))
        return perror("/proc/meminfo"), 1;
    while (made < wanted && !start(&rooms[made], argv + 2, made)) {
        made++;
        if (!is_up(&rooms[made - 1]))
            break;
        up++;
    }
    sleep_ms(SETTLE_MS);
    int failed = read_memory(after);
    end_all(made);
    sleep_ms(SETTLE_MS);
    failed |= read_memory(rest);
    if (failed || up < wanted)
        return fprintf(stderr, "idle: %u of %lu came up\n", up, wanted), 1;
    for (size_t i = 1; i < FIELDS; i++)
        parts += after[i] - before[i], noise += rest[i] - before[i];
    printf("alive %u\navailable %.1f\nparts %.1f\nnoise %.1f\n", up, (double)(before[0] - after[0]) / up,
           (double)parts / up, (double)(noise < 0 ? -noise : noise) / up);
    for (size_t i = 1; i < FIELDS; i++)
        printf("%s %.1f\n", names[i], (double)(after[i] - before[i]) / up);
    return fflush(stdout) ? 1 : 0;
}
