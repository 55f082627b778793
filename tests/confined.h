/* confined: what programs that confine themselves are tried with: attempts that are the same for all of them, and how
 * one is made. Each runs in a child of its own that has confined itself with the program's own code. */
#ifndef TESTS_CONFINED_H
#define TESTS_CONFINED_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFINED_USER 4242 /* as root everything is tried once more as this one */

struct confined_row {
    const char *name;
    bool (*f)(void);
    bool wanted; /* what it is for: without such rows a test that found everything shut would show nothing */
};

static int confined_passed, confined_failed;
static pid_t confined_tester;

static inline bool confined_made(int fd)
{
    return fd >= 0;
}

/* --- attempts: true when the enemy got something -------------------------------------------------------- */

static bool opens_by_path(void)
{
    return confined_made(open("/etc/passwd", O_RDONLY)) || confined_made(open("/proc/self/status", O_RDONLY));
}

static bool makes_a_socket(void)
{
    return confined_made(socket(AF_INET, SOCK_STREAM, 0)) || confined_made(socket(AF_UNIX, SOCK_STREAM, 0));
}

static bool runs_a_program(void)
{
    char *const words[] = {(char *)(uintptr_t) "true", NULL};
    (void)execve("/bin/true", words, words);
    return false; /* it would have ended with status 0, which counts as success */
}

static bool has_children(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool signals_others(void)
{
    return kill(confined_tester, 0) == 0;
}

static bool traces(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0;
}

static bool runs_memory(void)
{
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, kind, -1, 0);
    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool maps_memory_to_run(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

#define CONFINED_COMMON                                                                                      \
    {"opens files by path", opens_by_path, false}, {"makes a socket", makes_a_socket, false},                \
        {"runs a program", runs_a_program, false}, {"has children", has_children, false},                    \
        {"signals others", signals_others, false}, {"traces", traces, false},                                \
        {"maps memory to run", maps_memory_to_run, false},                                                   \
    {                                                                                                        \
        "runs memory that it wrote", runs_memory, false                                                      \
    }

/* --- one of them ---------------------------------------------------------------------------------------- */

static void confined_attempt(const char *as, const struct confined_row *row, int (*confine)(void), uid_t user)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (user != geteuid() &&
            (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0))
            _exit(8);
        if (confine() < 0)
            _exit(9);
        _exit(row->f() ? 0 : 1);
    }
    while (pid < 0 || (waitpid(pid, &status, 0) < 0 && errno == EINTR)) {
        if (pid < 0)
            exit(2);
    }
    const bool did = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const bool tried = WIFSIGNALED(status) ? WTERMSIG(status) == SIGSYS : WEXITSTATUS(status) < 2;
    const bool good = tried && did == row->wanted;
    printf("%s %s%s as %u", good ? "PASS" : "FAIL", as, row->name, user);
    printf(good ? "\n" : ": wait status %d\n", status);
    confined_passed += good;
    confined_failed += !good;
}

/* All rows, as ourselves and, as root, as a user. `as`: in front of each name. */
static void confined_try(const char *as, const struct confined_row *rows, size_t count, int (*confine)(void))
{
    const uid_t users[] = {geteuid(), CONFINED_USER};

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    confined_tester = getpid();
    for (size_t u = 0; u < (geteuid() == 0 ? 2 : 1); u++) {
        for (size_t i = 0; i < count; i++)
            confined_attempt(as, &rows[i], confine, users[u]);
    }
}

/* The closing line; the exit status. */
static int confined_close(void)
{
    printf("%d passed, %d failed, 0 skipped\n", confined_passed, confined_failed);
    return confined_failed != 0;
}

#endif
