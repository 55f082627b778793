/* confined: what strongroom-tree could still do if a tree had taken it over: read and write what it was handed, no
 * more.
 *
 * Confines itself with the tree's own code (tree/confine.c), each attempt in a child of its own; as root everything is
 * tried once more as a user. The first rows are what it must be able to do: without them a test that found everything
 * shut would show nothing.
 *
 * Lives in: a test program, static like the product. */
#include "tree/confine.h"
#include "tree/session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 4242

static int passed, failed;
static pid_t tester;

static bool made(int fd)
{
    return fd >= 0;
}

/* --- what it is for ------------------------------------------------------------------------------------- */

static bool reads_the_lower(void)
{
    char c;
    int fd = openat(session.lower, "file", O_RDONLY);
    return fd >= 0 && read(fd, &c, 1) == 1;
}

static bool writes_the_entry(void)
{
    int fd = openat(session.entry, "new", O_WRONLY | O_CREAT, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1 && unlinkat(session.entry, "new", 0) == 0;
}

/* --- attempts: true when the enemy got something -------------------------------------------------------- */

static bool opens_by_path(void)
{
    return made(open("/etc/passwd", O_RDONLY)) || made(open("/proc/self/status", O_RDONLY));
}

static bool climbs_out(void)
{
    return made(openat(session.lower, "../secret", O_RDONLY)) ||
           made(openat(session.entry, "../secret", O_RDONLY)) ||
           made(openat(session.entry, "../stolen", O_WRONLY | O_CREAT, 0600)) ||
           made(openat(session.lower, "../../../../../../../../etc/passwd", O_RDONLY));
}

static bool follows_a_link_out(void)
{
    return made(openat(session.lower, "link", O_RDONLY));
}

static bool writes_the_lower(void)
{
    return made(openat(session.lower, "file", O_WRONLY)) ||
           made(openat(session.lower, "file", O_RDONLY | O_TRUNC)) ||
           made(openat(session.lower, "new", O_WRONLY | O_CREAT, 0600)) ||
           unlinkat(session.lower, "file", 0) == 0 ||
           renameat(session.lower, "file", session.entry, "file") == 0 ||
           linkat(session.lower, "file", session.entry, "file", 0) == 0;
}

static bool makes_a_device(void)
{
    return mknodat(session.entry, "disk", S_IFBLK | 0600, 0x801) == 0;
}

static bool makes_a_socket(void)
{
    return made(socket(AF_INET, SOCK_STREAM, 0)) || made(socket(AF_UNIX, SOCK_STREAM, 0));
}

static bool runs_a_program(void)
{
    char *const words[] = {(char *)(uintptr_t) "true", NULL};
    (void)execve("/bin/true", words, words);
    return false; /* it would have ended with status 0, which counts as success */
}

static bool has_children(void)
{
    return syscall(SYS_fork) >= 0;
}

static bool signals_others(void)
{
    return kill(tester, 0) == 0;
}

static bool traces(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0;
}

static bool runs_memory(void)
{
    return syscall(SYS_mmap, NULL, 4096, 7 /* read, write, execute */, 0x22 /* private, anonymous */, -1, 0) >
           0;
}

/* --- one of them ---------------------------------------------------------------------------------------- */

static void attempt(const char *name, bool (*f)(void), bool wanted, uid_t user)
{
    int status = 0;
    const char *what = "";
    pid_t pid = fork();
    if (pid == 0) {
        if (user != geteuid() &&
            (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0))
            _exit(8);
        if (tree_confine(&what) < 0)
            _exit(9);
        _exit(f() ? 0 : 1);
    }
    while (pid < 0 || (waitpid(pid, &status, 0) < 0 && errno == EINTR)) {
        if (pid < 0)
            exit(2);
    }
    const bool did = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const bool tried = WIFSIGNALED(status) ? WTERMSIG(status) == SIGSYS : WEXITSTATUS(status) < 2;
    const bool good = tried && did == wanted;
    printf("%s %s as %u", good ? "PASS" : "FAIL", name, user);
    printf(good ? "\n" : ": wait status %d\n", status);
    passed += good;
    failed += !good;
}

static int prepare(char *top)
{
    static const char *const folders[] = {"lower", "entry"};
    int fds[2], fd;
    if (!mkdtemp(top) || chmod(top, 0755) < 0 || chdir(top) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (mkdir(folders[i], 0777) < 0 || chmod(folders[i], 0777) < 0 ||
            (fds[i] = open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            return -1;
    }
    fd = open("secret", O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, "s", 1) != 1 || symlinkat("../secret", fds[0], "link") < 0)
        return -1;
    fd = openat(fds[0], "file", O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, "f", 1) != 1 || fchmod(fd, 0666) < 0)
        return -1;
    session = (struct session){.upper = -1, .lower = fds[0], .entry = fds[1]};
    return 0;
}

int main(void)
{
    static const struct {
        const char *name;
        bool (*f)(void);
        bool wanted;
    } rows[] = {{"reads what it compares with", reads_the_lower, true},
                {"writes where changes are kept", writes_the_entry, true},
                {"opens files by path", opens_by_path, false},
                {"climbs out of its folders", climbs_out, false},
                {"follows a link out", follows_a_link_out, false},
                {"writes what it may only read", writes_the_lower, false},
                {"makes a device", makes_a_device, false},
                {"makes a socket", makes_a_socket, false},
                {"runs a program", runs_a_program, false},
                {"has children", has_children, false},
                {"signals others", signals_others, false},
                {"traces", traces, false},
                {"runs memory that it wrote", runs_memory, false}};
    char top[] = "/tmp/strongroom-tree-confined-XXXXXX";
    const uid_t users[] = {geteuid(), USER};

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    tester = getpid();
    if (prepare(top) < 0) {
        printf("FAIL confined: %s\n0 passed, 1 failed, 0 skipped\n", strerror(errno));
        return 1;
    }
    for (size_t u = 0; u < (geteuid() == 0 ? 2 : 1); u++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            attempt(rows[i].name, rows[i].f, rows[i].wanted, users[u]);
    }
    static const char *const files[] = {"lower/file", "lower/link", "secret", "lower", "entry"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)remove(files[i]);
    (void)!chdir("/");
    (void)rmdir(top);
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
