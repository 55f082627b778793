/* exec: see exec.h.
 *
 * Theory of operation. Each further program gets a reaper: a copy of pid 1 that is the program's parent and adopts what
 * the program's children leave behind, so that everything which descends from it can be found, double forks and new
 * sessions included. pid 1 only makes reapers, when the supervisor asks for one; what a reaper is to start it is told
 * by the supervisor itself, over a socket of its own, which is one process less to be woken for each program, and its
 * words may wait there before it exists. It reports over the control socket that it shares with pid 1. When nothing
 * is left to adopt it may be given a next program, so that one after another costs no copy; when its socket closes,
 * it goes. It obeys nobody else: signals are sent by pid 1, which cannot be stopped from inside. pid 1 ends a program
 * as a whole by looking for what descends from its reaper until nobody is found; then it ends the reaper.
 *
 * The programs of a room share one user, so one of them may stop or kill another's reaper. Stopped, it is let go on by
 * pid 1; killed, its program dies with it, pid 1 adopts the rest, and says so.
 *
 * Lives in: the room, in pid 1 and in the reapers. Trusts: the control socket, nothing of a memory file.
 * Must not: malloc, stdio. */
#include "room/exec.h"
#include "base/sbuf.h"
#include "room/seat.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/words.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define END_ROUNDS 1000 /* looks for descendants before pid 1 lets them be: the room still ends them */
#define DEPTH_MAX  4096 /* parents followed upwards: more than a room may have processes by default */

static struct {
    pid_t pid; /* 0: free */
    uint32_t number;
} reapers[2 * EXEC_MAX]; /* those of programs, and those that are about to go */

static void tell(const struct room_plan *plan, const struct report *r, const int *fds, size_t n)
{
    (void)fd_frame_send(plan->ctl, r, sizeof *r, fds, n,
                        0); /* the supervisor may be gone: then nobody asks */
}

/* --- finding and ending what descends from us ----------------------------------------------------------- */

/* Of "PID (NAME) STATE PPID …"; NAME may hold anything. 0 when it is gone, or dead and only not reaped. */
static pid_t parent_of(int proc, const char *pid)
{
    char path[32], text[512];
    struct sbuf b = SBUF(path);
    sbuf_text(&b, pid);
    sbuf_text(&b, "/stat");
    ssize_t n = fd_read_file(proc, path, text, sizeof text);
    const char *p = n > 0 ? strrchr(text, ')') : NULL;
    if (!p || p[1] != ' ' || !p[2] || p[3] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    pid_t parent = 0;
    for (p += 4; *p >= '0' && *p <= '9'; p++)
        parent = parent * 10 + (*p - '0');
    return parent;
}

static const char *decimal(pid_t n, char text[12])
{
    char *p = text + 11;
    *p = '\0';
    do
        *--p = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    return p;
}

static bool descends(int proc, const char *pid, pid_t from)
{
    char text[12];
    pid_t parent = parent_of(proc, pid);
    for (int i = 0; i < DEPTH_MAX && parent > 1; i++) {
        if (parent == from)
            return true;
        parent = parent_of(proc, decimal(parent, text));
    }
    return false;
}

/* Sends `sig` to everything that descends from `from`; how many there were. */
static unsigned signal_descendants(pid_t from, int sig)
{
    unsigned count = 0;
    char buffer[4096] __attribute__((aligned(8)));
    FD_AUTO proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (;;) {
        long n = proc < 0 ? 0 : syscall(SYS_getdents64, proc, buffer, sizeof buffer);
        if (n <= 0)
            return count;
        for (long at = 0; at < n;) {
            const struct dirent *d =
                (const struct dirent *)(void *)(buffer + at); /* musl's is the kernel's */
            at += d->d_reclen;
            pid_t pid = 0;
            for (const char *p = d->d_name; *p >= '0' && *p <= '9'; p++)
                pid = pid * 10 + (*p - '0');
            if (pid <= 1 || pid == from || !descends(proc, d->d_name, from))
                continue;
            (void)kill(pid, sig); /* it may have ended this instant */
            count++;
        }
    }
}

/* --- the reaper ----------------------------------------------------------------------------------------- */

/* Is nothing left but what had ended already? */
static bool nobody_is_left(void)
{
    pid_t pid;
    while ((pid = wait4(-1, NULL, WNOHANG, NULL)) > 0) {
    }
    return pid < 0 && errno == ECHILD;
}

/* Until nothing of that program is left. */
static void adopt(const struct room_plan *plan, struct report *r, pid_t program)
{
    for (;;) {
        int status;
        struct rusage u;
        pid_t pid = wait4(-1, &status, 0, &u);
        if (pid < 0 && errno != EINTR)
            break;
        if (pid != program || pid <= 0)
            continue;
        program = 0;
        r->type = REPORT_EXEC_EXITED;
        r->status = status;
        r->utime_us = (uint64_t)u.ru_utime.tv_sec * 1000000 + (uint64_t)u.ru_utime.tv_usec;
        r->stime_us = (uint64_t)u.ru_stime.tv_sec * 1000000 + (uint64_t)u.ru_stime.tv_usec;
        r->maxrss_kib = (uint64_t)u.ru_maxrss;
        r->code = nobody_is_left(); /* one message less */
        tell(plan, r, NULL, 0);
        if (r->code)
            return;
    }
    r->type = REPORT_EXEC_LEFT;
    tell(plan, r, NULL, 0);
}

static void run(const struct room_plan *plan, const struct room_state *s, const struct command *c, int *fds,
                int n)
{
    static struct report r;
    struct words w = {.workdir = ""};
    struct seat seat = {.stdio = {-1, -1, -1}, .terminal = -1, .null = s->null};
    int master = -1;

    r = (struct report){.type = REPORT_EXEC_FAILED, .handle = c->handle, .item = EXEC_NOT_READY};
    int code = n < 1 ? -EBADMSG : words_read(fds[0], &w);
    if (code == 0 && (!w.paths || !w.paths[0] || !w.args[0]))
        code = -EBADMSG;
    if (code == 0 && c->terminal)
        code = seat_terminal("/dev/pts/ptmx", c->rows, c->cols, &master, &seat.terminal);
    else if (code == 0 && n == 4)
        memcpy(seat.stdio, fds + 1, sizeof seat.stdio);
    else if (code == 0)
        code = -EBADMSG;
    if (code == 0) {
        r.item = -1;
        seat.workdir = w.workdir[0] ? w.workdir : NULL;
        seat.paths = w.paths;
        seat.argv = w.args;
        seat.envp = w.vars;
        code = seat_start(plan, &seat, &r.item);
    }
    if (code < 0) {
        r.code = -code;
    } else {
        r.type = REPORT_EXEC_STARTED;
        r.payload_pid = code;
    }
    tell(plan, &r, &master, master >= 0);
    fd_close(&master);
    for (int i = 0; i < n; i++)
        fd_close(&fds[i]);
    words_release(&w);
    if (code > 0)
        adopt(plan, &r, code);
    fd_close(
        &seat.terminal); /* not before: one that closes its last end just before it ends must not be hung up */
}

__attribute__((noreturn)) static void reaper(const struct room_plan *plan, const struct room_state *s,
                                             int orders)
{
    struct command c;
    int fds[FD_FRAME_FDS_MAX];
    sigset_t all;

    (void)prctl(PR_SET_NAME, "room-exec", 0, 0, 0); /* for ps; nothing depends on it */
    sigfillset(&all);                               /* what others of the room send is not for us */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        _exit(1);
    for (;;) {
        const int n = fd_frame_recv(orders, &c, sizeof c, fds, FD_FRAME_FDS_MAX, 0);
        if (n < 0 || c.type != COMMAND_EXEC)
            _exit(n != -EPIPE); /* no further program for us, or it is not the supervisor */
        run(plan, s, &c, fds, n);
    }
}

/* --- pid 1 ---------------------------------------------------------------------------------------------- */

static void tell_gone(const struct room_plan *plan, uint32_t number, int code)
{
    const struct report r = {.type = REPORT_EXEC_GONE, .handle = number, .item = -1, .code = code};
    tell(plan, &r, NULL, 0);
}

void exec_reaper(const struct room_plan *plan, const struct room_state *s, const struct command *c,
                 int orders)
{
    int code = EAGAIN;
    size_t i = 0;

    while (i < sizeof reapers / sizeof *reapers && reapers[i].pid)
        i++;
    if (i < sizeof reapers / sizeof *reapers) {
        pid_t pid = fork();
        if (pid == 0)
            reaper(plan, s, orders);
        if (pid > 0) {
            reapers[i].pid = pid;
            reapers[i].number = c->handle;
            return;
        }
        code = errno;
    }
    tell_gone(plan, c->handle, code);
}

/* All that descends from the reaper: stopped, so that it cannot grow, then killed, until a look finds nobody. */
static void end_all(pid_t reaper)
{
    for (int i = 0; i < END_ROUNDS; i++) {
        const struct timespec moment = {.tv_nsec = 200000};
        (void)signal_descendants(reaper, SIGSTOP);
        if (signal_descendants(reaper, SIGKILL) == 0)
            break;
        if (i > 0)
            (void)nanosleep(&moment, NULL);
    }
    (void)kill(reaper, SIGKILL); /* it may have ended this instant; what it had not reaped, we reap */
}

/* Is `pid` still the child of that reaper? Its number may be another one's by now. */
static bool is_child(pid_t pid, pid_t reaper)
{
    char text[12];
    FD_AUTO proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return pid > 1 && proc >= 0 && parent_of(proc, decimal(pid, text)) == reaper;
}

void exec_signal(const struct command *c)
{
    for (size_t i = 0; i < sizeof reapers / sizeof *reapers; i++) {
        const pid_t reaper = reapers[i].pid;
        if (!reaper || reapers[i].number != c->handle)
            continue;
        if (c->group == 2)
            end_all(reaper);
        else if (is_child(c->pid, reaper))
            (void)kill(c->group == 1 ? -c->pid : c->pid, c->signal); /* it may have ended this instant */
    }
}

void exec_stopped(pid_t pid)
{
    for (size_t i = 0; i < sizeof reapers / sizeof *reapers; i++) {
        if (reapers[i].pid == pid)
            (void)kill(pid, SIGCONT); /* not reaped, so the number is still its own */
    }
}

void exec_reaped(const struct room_plan *plan, pid_t pid)
{
    for (size_t i = 0; i < sizeof reapers / sizeof *reapers; i++) {
        if (reapers[i].pid != pid)
            continue;
        reapers[i].pid = 0;
        tell_gone(plan, reapers[i].number, 0);
    }
}
