/* helper: see helper.h.
 *
 * Lives in: the supervisor, or a verb. Trusts: the program beside ours.
 * Must not: start it with anything of the caller's (descriptors, environment, terminal), leave it behind. */
#include "engine/helper.h"
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATHS_MAX = 6, PATH_SIZE = 4096 + 64 };

/* Beside our own program (installed there, or in a build folder), or where it is installed. */
static size_t find_program(const char *name, char paths[PATHS_MAX][PATH_SIZE])
{
    static const char *const tails[] = {"/", "/../libexec/strongroom/",
                                        "/../build-host/src/helpers/intercept/",
                                        "/../build-host/src/helpers/tar/"};
    char self[4096];
    size_t n = 0;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof tails / sizeof *tails; i++) {
        struct sbuf b = {.text = paths[n], .size = PATH_SIZE};
        *slash = '\0';
        sbuf_text(&b, self);
        sbuf_text(&b, tails[i]);
        sbuf_text(&b, name);
        n += !b.full;
    }
    struct sbuf b = {.text = paths[n], .size = PATH_SIZE};
    sbuf_text(&b, STRONGROOM_LIBEXECDIR "/");
    sbuf_text(&b, name);
    return n + 1;
}

static struct held {
    const char *name;
    int fd;
} held[HELPER_HELD_MAX];
static size_t held_count;

static int held_program(const char *name)
{
    for (size_t i = 0; i < held_count; i++) {
        if (strcmp(held[i].name, name) == 0)
            return held[i].fd;
    }
    return -1;
}

int helper_hold(const char *name, struct err *e)
{
    static char paths[PATHS_MAX][PATH_SIZE];
    const size_t n = find_program(name, paths);
    int fd = held_program(name);
    if (fd >= 0)
        return 0;
    for (size_t i = 0; i < n && fd < 0; i++) {
        if (access(paths[i], X_OK) == 0)
            fd = open(paths[i], O_PATH | O_CLOEXEC);
    }
    if (fd < 0 || held_count == HELPER_HELD_MAX) {
        fd_close(&fd);
        return helper_missing(name, e);
    }
    held[held_count++] = (struct held){name, fd};
    return 0;
}

/* Is it the program that is held? By its path it is started under its name. */
static bool is_held(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static char *fault_words[2]; /* what a fault build passes on: the helper's own faults */

/* In a child that shares our memory until execve. */
__attribute__((noreturn)) static void become(const char *name, char paths[PATHS_MAX][PATH_SIZE], size_t n,
                                             int program, int ctl, int null)
{
    enum { PROGRAM_FD = HELPER_CONTROL_FD + 1 };
    char *const argv[] = {(char *)(uintptr_t)name, NULL};
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (setsid() < 0)
        _exit(125);
    for (int i = 0; i < 3; i++) {
        if (dup2(null, i) < 0)
            _exit(125);
    }
    /* ctl is no standard descriptor; should it be 3 already, dup2 would keep its close-on-exec mark. */
    if (ctl == HELPER_CONTROL_FD ? fcntl(ctl, F_SETFD, 0) < 0 : dup2(ctl, HELPER_CONTROL_FD) < 0)
        _exit(125);
    if (program >= 0 && program != PROGRAM_FD && dup3(program, PROGRAM_FD, O_CLOEXEC) < 0)
        _exit(125);
    if (kernel_close_range(HELPER_CONTROL_FD + 1 + (program >= 0), ~0u, 0) < 0)
        _exit(125);
    for (size_t i = 0; i < n; i++) {
        if (program < 0 || is_held(PROGRAM_FD, paths[i]))
            execve(paths[i], argv, fault_words);
    }
    if (program >= 0)
        (void)syscall(SYS_execveat, PROGRAM_FD, "", argv, fault_words, AT_EMPTY_PATH);
    _exit(127);
}

int helper_start(const char *name, int *ret_ctl, pid_t *ret_pid, struct err *e)
{
    static char paths[PATHS_MAX][PATH_SIZE];
    int ctl[2], n = fd_frame_pair(ctl);
    if (n < 0)
        return err_set(e, ERR_ROOM, -n, "make a control socket for %s", name);
#ifdef STRONGROOM_FAULT
    static char word[256];
    const char *fault = getenv("STRONGROOM_FAULT");
    struct sbuf b = SBUF(word);
    if (fault) {
        sbuf_fmt(&b, "STRONGROOM_FAULT=%s", fault);
        fault_words[0] = word;
    }
#endif
    FD_AUTO null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const size_t found = find_program(name, paths);
    const int program = held_program(name);
    /* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): the child calls the kernel only */
    pid_t pid = vfork();
    if (pid == 0)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): noreturn; ends in execve or _exit */
        become(name, paths, found, program, ctl[1], null);
    const int code = errno;
    fd_close(&ctl[1]);
    if (pid < 0) {
        fd_close(&ctl[0]);
        return err_set(e, ERR_ROOM, code, "start %s", name);
    }
    *ret_ctl = ctl[0];
    *ret_pid = pid;
    return 0;
}

void helper_end(pid_t *pid, unsigned ms)
{
    if (*pid <= 0)
        return;
    FD_AUTO pidfd = kernel_pidfd_open(*pid, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    if (pidfd < 0 || poll(&p, 1, (int)ms) != 1)
        (void)kill(*pid, SIGKILL); /* our own child, not yet reaped: the number is still its */
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *pid = 0;
}

int helper_missing(const char *name, struct err *e)
{
    int n = err_set(e, ERR_ROOM, 0, "start %s: it is not there or ended at once", name);
    err_hint(e, "it belongs beside strongroom or in %s", STRONGROOM_LIBEXECDIR);
    return n;
}
