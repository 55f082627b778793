/* timer: starts whole programs again and again and says how long each took, from before vfork to reaped.
 *
 * Theory of operation. A plan file names the contenders. `rounds` runs each once a round until the time is
 * over, in a new order each round: what one leaves for the kernel to clear up, and whatever else the machine
 * does, meets all alike. The first rounds are thrown away; those that they show to be slow then run in every
 * SLOW_EVERY-th round only, so that they do not eat the others' time. `rate` lets each contender run in N
 * workers at once for a slice of time, and counts.
 *
 * stdin and stdout are /dev/null; stderr goes to memory, so that a contender that fails is reported with its
 * own first line. A contender that fails once is FAILED and not run again: it never has a figure.
 *
 * A plan line, tab-separated: NAME, file for descriptor 9 or "-", mount namespace to enter or "-", ARGV0,
 * ARGV1, …
 * "{w}" in a word is the worker's number, "{n}" a number that no two runs of this timer share.
 *
 * Output, tab-separated: `rounds`: name state runs p10 q1 median q3 p90 cpu(median) faults(median) message,
 * times in µs; `rate`: name state runs seconds workers message.
 *
 * Lives in: one static process (small memory: vfork and exec stay cheap) and, for `rate`, its workers.
 * Trusts: its plan. May: start what the plan says, and kill by pid a run that takes longer than RUN_MAX_S.
 * Must not: pin, raise priorities, allocate in vfork's child. */
#include "base/num.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTENDERS_MAX 40
#define WORDS_MAX      512
#define WORD_MAX       4096
#define SAMPLES_MAX    20000
#define WORKERS_MAX    64
#define PLAN_MAX       (1 << 20)
#define MESSAGE_MAX    200
#define RUN_MAX_S      20
#define ROUNDS_MIN     5
#define EXTRA_FD       9
#define SLOW_US        8000
#define SLOW_EVERY     4

struct sample {
    float wall_us, cpu_us, faults;
};

struct contender {
    const char *name;
    char *words[WORDS_MAX];
    const char *extra; /* opened anew by each worker, since it is read from its start */
    int extra_fd;      /* becomes EXTRA_FD of the program; -1 none */
    int mounts_fd;     /* mount namespace that the program is started in; -1 ours */
    bool failed, slow;
    char message[MESSAGE_MAX];
    struct sample *samples;
    size_t runs;
};

static struct contender contenders[CONTENDERS_MAX];
static size_t contender_count;
static char plan[PLAN_MAX];
static int null_fd = -1, error_fd = -1;
static volatile pid_t running;
static unsigned worker, run_number;

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "timer: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    if (running > 0)
        (void)kill(running, SIGKILL);
}

/* "-": -1. */
static int open_wish(const char *path)
{
    if (!strcmp(path, "-"))
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(path);
    return fd;
}

/* Reads the plan into `plan`, cuts it into lines and words in place. */
static void load_plan(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, plan, sizeof plan - 1);
    char *rest = plan, *line;

    if (n < 0)
        die(path);
    (void)close(fd);
    while ((line = strsep(&rest, "\n"))) {
        if (!*line || *line == '#')
            continue;
        if (contender_count == CONTENDERS_MAX)
            errno = E2BIG, die("plan");
        struct contender *c = &contenders[contender_count++];
        c->name = strsep(&line, "\t");
        c->extra = strsep(&line, "\t");
        const char *mounts = strsep(&line, "\t");
        size_t used = 0;
        while (line && used < WORDS_MAX - 1)
            c->words[used++] = strsep(&line, "\t");
        if (!used || line)
            errno = EINVAL, die("plan");
        c->extra_fd = open_wish(c->extra);
        c->mounts_fd = open_wish(mounts);
        c->samples = calloc(SAMPLES_MAX, sizeof *c->samples);
        if (!c->samples)
            die("samples");
    }
}

/* argv with the placeholders filled; valid until the next call. */
static char **fill(struct contender *c)
{
    static char *argv[WORDS_MAX];
    static char room[8][WORD_MAX];
    size_t used = 0, i;

    run_number++;
    for (i = 0; c->words[i]; i++) {
        char *hole = strstr(c->words[i], "{w}"), *other = strstr(c->words[i], "{n}");
        argv[i] = c->words[i];
        if ((!hole && !other) || used == sizeof room / sizeof room[0])
            continue;
        char *at = hole ? hole : other;
        (void)snprintf(room[used], WORD_MAX, "%.*s%u%s", (int)(at - c->words[i]), c->words[i],
                       hole ? worker : run_number * WORKERS_MAX + worker, at + 3);
        argv[i] = room[used++];
    }
    argv[i] = NULL;
    return argv;
}

static void first_error_line(char out[MESSAGE_MAX])
{
    ssize_t n = pread(error_fd, out, MESSAGE_MAX - 1, 0);
    out[n > 0 ? n : 0] = 0;
    memmove(out, out + strspn(out, " \r\n\t"), MESSAGE_MAX - strspn(out, " \r\n\t"));
    out[strcspn(out, "\n")] = 0;
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

static void mark_failed(struct contender *c, int status)
{
    char line[MESSAGE_MAX];
    first_error_line(line);
    c->failed = true;
    (void)snprintf(c->message, sizeof c->message, "%s %d%s%.150s", WIFSIGNALED(status) ? "signal" : "exit",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), *line ? ": " : "", line);
}

/* One run. False: it failed (then the contender carries why). */
static bool run(struct contender *c, struct sample *ret)
{
    char **argv = fill(c);
    const struct itimerval limit = {.it_value.tv_sec = RUN_MAX_S}, off = {0};
    struct rusage usage;
    int status;

    (void)setitimer(ITIMER_REAL, &limit, NULL);
    double start = now_us();
    pid_t pid = vfork();
    if (pid == 0) {
        if (dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(error_fd, 2) < 0 ||
            (c->extra_fd >= 0 && (lseek(c->extra_fd, 0, SEEK_SET) < 0 || dup2(c->extra_fd, EXTRA_FD) < 0)) ||
            (c->mounts_fd >= 0 && setns(c->mounts_fd, CLONE_NEWNS)))
            _exit(127);
        execv(argv[0], argv);
        _exit(127);
    }
    if (pid < 0)
        die("vfork");
    running = pid;
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            die("wait4");
    double end = now_us();
    running = 0;
    (void)setitimer(ITIMER_REAL, &off, NULL);

    ret->wall_us = (float)(end - start);
    ret->cpu_us = (float)((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    ret->faults = (float)usage.ru_minflt;
    if (status)
        mark_failed(c, status);
    if (lseek(error_fd, 0, SEEK_CUR) > 0 && (ftruncate(error_fd, 0) || lseek(error_fd, 0, SEEK_SET) < 0))
        die("stderr");
    return status == 0;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sorts one column of the samples into `out`. */
static void column(const struct contender *c, size_t offset, float *out)
{
    for (size_t i = 0; i < c->runs; i++)
        memcpy(&out[i], (const char *)&c->samples[i] + offset, sizeof out[i]);
    qsort(out, c->runs, sizeof *out, by_value);
}

static void print_rounds(const struct contender *c)
{
    static float wall[SAMPLES_MAX], cpu[SAMPLES_MAX], faults[SAMPLES_MAX];
    size_t n = c->runs;

    if (c->failed || !n) {
        printf("%s\tFAILED\t%zu\t0\t0\t0\t0\t0\t0\t0\t%s\n", c->name, n, c->message);
        return;
    }
    column(c, offsetof(struct sample, wall_us), wall);
    column(c, offsetof(struct sample, cpu_us), cpu);
    column(c, offsetof(struct sample, faults), faults);
    printf("%s\tok\t%zu\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t\n", c->name, n, (double)wall[n / 10],
           (double)wall[n / 4], (double)wall[n / 2], (double)wall[3 * n / 4], (double)wall[9 * n / 10],
           (double)cpu[n / 2], (double)faults[n / 2]);
}

/* A new order for each round, the same in every run of the timer. */
static void shuffle(size_t order[CONTENDERS_MAX])
{
    static uint32_t state = 2463534242u;
    for (size_t i = contender_count - 1; i > 0; i--) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        size_t other = state % (i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

static void rounds(double seconds, unsigned warm_up)
{
    size_t order[CONTENDERS_MAX];
    struct sample s;
    double end = 0;

    for (size_t i = 0; i < contender_count; i++)
        order[i] = i;
    for (unsigned round = 0;; round++) {
        if (round == warm_up)
            end = now_us() + seconds * 1e6;
        if (round >= warm_up + ROUNDS_MIN * SLOW_EVERY && (now_us() >= end || round - warm_up >= SAMPLES_MAX))
            break;
        shuffle(order);
        for (size_t i = 0; i < contender_count; i++) {
            struct contender *c = &contenders[order[i]];
            if (c->failed || (round >= warm_up && c->slow && round % SLOW_EVERY))
                continue;
            if (run(c, &s) && round >= warm_up)
                c->samples[c->runs++] = s;
            c->slow = round < warm_up ? s.wall_us > SLOW_US : c->slow;
        }
    }
    for (size_t i = 0; i < contender_count; i++)
        print_rounds(&contenders[i]);
}

struct tally {
    unsigned runs;
    bool failed;
    char message[MESSAGE_MAX];
};

__attribute__((noreturn)) static void work(struct contender *c, struct tally *t, double end)
{
    struct sample s;
    error_fd = memfd_create("stderr", MFD_CLOEXEC); /* its own: workers must not truncate each other's */
    if (error_fd < 0)
        _exit(1);
    c->extra_fd = open_wish(c->extra);
    while (now_us() < end) {
        if (!run(c, &s)) {
            memcpy(t->message, c->message, sizeof t->message);
            t->failed = true;
            break;
        }
        t->runs++;
    }
    _exit(0);
}

static void rate_of(struct contender *c, double seconds, unsigned workers)
{
    struct tally *t =
        mmap(NULL, sizeof *t * WORKERS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[WORKERS_MAX];
    unsigned runs = 0;

    if (t == MAP_FAILED)
        die("tallies");
    double start = now_us();
    for (worker = 0; worker < workers; worker++) {
        pids[worker] = fork();
        if (pids[worker] < 0)
            die("fork");
        if (pids[worker] == 0)
            work(c, &t[worker], start + seconds * 1e6);
    }
    for (unsigned i = 0; i < workers; i++)
        (void)waitpid(pids[i], NULL, 0);
    double taken = (now_us() - start) / 1e6;
    for (unsigned i = 0; i < workers; i++) {
        runs += t[i].runs;
        if (t[i].failed && !c->failed) {
            c->failed = true;
            memcpy(c->message, t[i].message, sizeof c->message);
        }
    }
    printf("%s\t%s\t%u\t%.4f\t%u\t%s\n", c->name, c->failed ? "FAILED" : "ok", runs, taken, workers,
           c->message);
    (void)munmap(t, sizeof *t * WORKERS_MAX);
}

int main(int argc, char **argv)
{
    const struct sigaction alarm_action = {.sa_handler = on_alarm};
    uint64_t milli = 0, count = 0;

    if (argc != 5 || (strcmp(argv[1], "rounds") && strcmp(argv[1], "rate"))) {
        fputs("usage: timer rounds PLAN SECONDS WARM-UP-ROUNDS | timer rate PLAN SECONDS-EACH WORKERS\n",
              stderr);
        return 2;
    }
    if (num_milli(argv[3], &milli) || num_u64(argv[4], &count) || !milli || milli > 3600000 || count > 1000)
        return fputs("timer: SECONDS to 3600, a number to 1000\n", stderr), 2;
    double seconds = (double)milli / 1000;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    error_fd = memfd_create("stderr", MFD_CLOEXEC);
    if (null_fd < 0 || error_fd < 0 || sigaction(SIGALRM, &alarm_action, NULL))
        die("prepare");
    load_plan(argv[2]);
    if (!contender_count)
        return 0;
    if (!strcmp(argv[1], "rounds"))
        rounds(seconds, (unsigned)count);
    else
        for (size_t i = 0; i < contender_count; i++)
            rate_of(&contenders[i], seconds, count && count <= WORKERS_MAX ? (unsigned)count : 1);
    return fflush(stdout) ? 1 : 0;
}
