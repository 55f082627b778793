/* syscalls: what a system call costs here. Bare against in a room, the difference is the filter and Landlock.
 *
 * What: the median of many short batches of getppid, open+close, a one-byte read, and fork+exec+wait of
 * itself; one line each, "name nanoseconds". Static, needs nothing but /usr/bin/true to open and
 * /proc/self/exe to exec.
 *
 * With `--wait` it is the smallest program that waits: says one line, then reads stdin to its end.
 *
 * Lives in: one process, and the children it reaps. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 101
#define SUBJECT "/usr/bin/true"

static int subject = -1;

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int do_getppid(void)
{
    return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static int do_open_close(void)
{
    int fd = open(SUBJECT, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}

static int do_read(void)
{
    char byte;
    return pread(subject, &byte, 1, 0) == 1 ? 0 : -1;
}

static int do_fork_exec(void)
{
    static char name[] = "syscalls", word[] = "--exit";
    char *argv[] = {name, word, NULL};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static const struct {
    const char *name;
    int (*run)(void);
    int times; /* in one batch */
} rows[] = {
    {"getppid", do_getppid, 2000},
    {"open_close", do_open_close, 300},
    {"read", do_read, 1000},
    {"fork_exec", do_fork_exec, 2},
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int wait_for_end(void)
{
    char byte;
    if (write(1, "\n", 1) != 1)
        return 1;
    while (read(0, &byte, 1) > 0)
        continue;
    return 0;
}

int main(int argc, char **argv)
{
    double batch[BATCHES];

    if (argc == 2 && !strcmp(argv[1], "--exit"))
        return 0;
    if (argc == 2 && !strcmp(argv[1], "--wait"))
        return wait_for_end();
    subject = open(SUBJECT, O_RDONLY | O_CLOEXEC);
    if (subject < 0)
        return perror(SUBJECT), 1;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        for (int b = 0; b < BATCHES; b++) {
            double start = now_ns();
            for (int i = 0; i < rows[r].times; i++)
                if (rows[r].run())
                    return perror(rows[r].name), 1;
            batch[b] = (now_ns() - start) / rows[r].times;
        }
        qsort(batch, BATCHES, sizeof batch[0], by_value);
        printf("%s %.1f\n", rows[r].name, batch[BATCHES / 2]);
    }
    return fflush(stdout) ? 1 : 0;
}
