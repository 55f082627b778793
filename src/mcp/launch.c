/* launch: starts strongroom for a server that is confined.
 *
 * Lives in: strongroom-mcp, in the process that the client started; the server is its child. Trusts: no frame and no
 * word of the server's: what it may have run says launch_rules.c. May: start that one program. Must not: read a byte
 * of the client's or of a room's, leave a job behind. */
#include "mcp/launch.h"
#include "sys/fd.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct job {
    uint32_t id;
    pid_t pid; /* 0: free */
    int pidfd;
    bool ends_by_going;
} jobs[LAUNCH_MAX];

/* A program in a room that lives is ended, with all that it started, when its client goes; a request would only be
 * passed on to it, and it might end before the second one, and leave the rest. A cell is interrupted by one. */
static bool ends_by_going(char *const *argv)
{
    if (strcmp(argv[1], "exec") != 0)
        return false;
    while (*argv && strcmp(*argv, "--") != 0 && strncmp(*argv, "--interpreter=", 14) != 0)
        argv++;
    return !*argv || strcmp(*argv, "--") == 0;
}

/* In vfork's child: never returns, and writes nothing that we read. */
__attribute__((noreturn)) static void become(const char *program, char *const *argv, const int *files,
                                             pid_t parent, int at_our_end)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, at_our_end, 0, 0, 0) < 0 || getppid() != parent)
        _exit(125);
    for (int i = 0; i < LAUNCH_FILES; i++) {
        if (dup2(files[i], i) < 0)
            _exit(125);
    }
    execv(program, argv);
    _exit(125);
}

/* Above those numbers that a job gives them. */
static int lift(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        const int higher = fcntl(fds[i], F_DUPFD_CLOEXEC, 1 + LAUNCH_FILES);
        if (higher < 0)
            return -errno;
        fd_close(&fds[i]);
        fds[i] = higher;
    }
    return 0;
}

/* Its process number, or -errno. Our memory is shared until execv, not copied: become() only calls the kernel. */
static pid_t spawn(const char *program, char *const *argv, const int *files)
{
    const pid_t parent = getpid();
    const int at_our_end = ends_by_going(argv) ? SIGKILL : SIGTERM;
    const pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

    if (pid == 0)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): ends in execv or _exit */
        become(program, argv, files, parent, at_our_end);
    return pid < 0 ? -errno : pid;
}

static int begin_words(const struct launch_rules *r, struct job *j, const struct words *w, const int *files)
{
    if (!launch_allowed(r, w->args))
        return -EPERM;
    const pid_t pid = spawn(r->program, w->args, files);
    if (pid < 0)
        return pid;
    j->pidfd = pidfd_open(pid, 0);
    if (j->pidfd < 0) {
        const int code = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return -code;
    }
    j->pid = pid;
    j->ends_by_going = ends_by_going(w->args);
    return 0;
}

static int begin(const struct launch_rules *r, uint32_t id, int *fds)
{
    struct words w = {.workdir = ""};
    struct job *j = jobs;

    while (j < jobs + LAUNCH_MAX && j->pid)
        j++;
    if (j == jobs + LAUNCH_MAX)
        return -EAGAIN;
    j->id = id;
    int n = lift(fds, 1 + LAUNCH_FILES);
    if (n == 0)
        n = words_read(fds[0], &w);
    if (n == 0)
        n = begin_words(r, j, &w, fds + 1);
    words_release(&w);
    return n;
}

static int tell(int sock, uint32_t id, int wait_status, int code)
{
    const struct launch_frame f = {.type = LAUNCH_ENDED, .id = id, .wait_status = wait_status, .code = code};
    return fd_frame_send(sock, &f, sizeof f, NULL, 0, 0);
}

static void signal_job(uint32_t id, enum launch_type how)
{
    for (size_t i = 0; i < LAUNCH_MAX; i++) {
        if (!jobs[i].pid || jobs[i].id != id)
            continue;
        /* Not reaped yet, so the number is still its own. Two requests mean "now" to strongroom. */
        if (how == LAUNCH_KILL || jobs[i].ends_by_going) {
            (void)kill(jobs[i].pid, SIGKILL);
            continue;
        }
        (void)kill(jobs[i].pid, SIGTERM);
        (void)kill(jobs[i].pid, SIGHUP);
    }
}

/* -EPIPE: the server has gone. */
static int obey(const struct launch_rules *r, int sock)
{
    struct launch_frame f;
    int fds[FD_FRAME_FDS_MAX], code = 0;
    int n = fd_frame_recv(sock, &f, sizeof f, fds, FD_FRAME_FDS_MAX, 0);

    if (n < 0)
        return n;
    if (f.type == LAUNCH_START && n == 1 + LAUNCH_FILES)
        code = begin(r, f.id, fds);
    else if ((f.type == LAUNCH_ASK || f.type == LAUNCH_KILL) && n == 0)
        signal_job(f.id, (enum launch_type)f.type);
    else
        code = -EBADMSG;
    for (int i = 0; i < n; i++)
        fd_close(&fds[i]);
    if (code == -EBADMSG && f.type != LAUNCH_START)
        return code;
    return code < 0 ? tell(sock, f.id, 0, -code) : 0;
}

static int reap(int sock, struct job *j)
{
    const uint32_t id = j->id;
    int status = 0;

    while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
        ;
    fd_close(&j->pidfd);
    j->pid = 0;
    return tell(sock, id, status, 0);
}

static void end_all(void)
{
    for (size_t i = 0; i < LAUNCH_MAX; i++) {
        if (jobs[i].pid)
            (void)kill(jobs[i].pid, SIGKILL);
    }
    for (size_t i = 0; i < LAUNCH_MAX; i++) {
        if (jobs[i].pid)
            (void)waitpid(jobs[i].pid, NULL, 0);
        jobs[i].pid = 0;
    }
}

int launch_serve(const struct launch_rules *r, int sock)
{
    int n = 0;

    while (n == 0) {
        struct pollfd p[1 + LAUNCH_MAX] = {{.fd = sock, .events = POLLIN}};
        for (size_t i = 0; i < LAUNCH_MAX; i++)
            p[1 + i] = (struct pollfd){.fd = jobs[i].pid ? jobs[i].pidfd : -1, .events = POLLIN};
        if (poll(p, 1 + LAUNCH_MAX, -1) < 0) {
            n = errno == EINTR ? 0 : -errno;
            continue;
        }
        for (size_t i = 0; i < LAUNCH_MAX && n == 0; i++) {
            if (p[1 + i].revents)
                n = reap(sock, &jobs[i]);
        }
        if (n == 0 && p[0].revents)
            n = obey(r, sock);
    }
    end_all();
    return n == -EPIPE ? 0 : n;
}
