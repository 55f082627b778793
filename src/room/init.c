/* init: pid 1 of a room.
 *
 * Theory of operation. The cloned child recites the plan's steps; the last one starts the program (seat.c). Then pid 1
 * only waits: for children to reap, for signals to pass on, for further programs to start (exec.c), for the supervisor
 * to go away. When the program ends it reports the exit and ends itself; the kernel then ends everything that is left.
 * A room without a program of its own lives until it is told to end.
 *
 * Lives in: the room, as pid 1, under the same walls as the program, and unreadable by it.
 * Trusts: the control socket. Must not: malloc, stdio, keep anything open that a later program could inherit. */
#include "room/init.h"
#include "room/exec.h"
#include "room/seat.h"
#include "room/sockets.h"
#include "room/steps.h"
#include "sys/fault.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* The clock of the host: our own one was moved by step_time. */
static uint64_t now_ns(const struct room_state *s)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (uint64_t)((int64_t)t.tv_sec * 1000000000 + t.tv_nsec + s->boot_offset_ns);
}

__attribute__((noreturn)) static void fail(const struct room_plan *plan, struct room_state *s,
                                           enum step_id step, int code)
{
    s->report.type = REPORT_FAILED;
    s->report.step = (int32_t)step;
    s->report.code = code;
    s->report.item = s->item;
    (void)fd_frame_send(plan->ctl, &s->report, sizeof s->report, NULL, 0,
                        0); /* nobody left to tell otherwise */
    _exit(125);
}

int step_program(const struct room_plan *plan, struct room_state *s)
{
    const struct seat seat = {.stdio = {plan->stdio[0], plan->stdio[1], plan->stdio[2]},
                              .terminal = plan->tty ? s->tty_slave : -1,
                              .null = s->null,
                              .paths = plan->argv ? plan->exec_paths : NULL,
                              .argv = plan->argv,
                              .envp = plan->envp};
    s->item = -1;
    pid_t pid = seat_start(plan, &seat, &s->item);
    if (pid < 0)
        return pid;
    static const enum layer_id tried[] = {LAYER_ID_SECCOMP, LAYER_ID_FDS, LAYER_ID_SESSION};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        s->report.layers[tried[i]].probed = s->report.layers[tried[i]].state != LAYER_STATE_OFF;
    s->report.payload_pid = pid;
    return 0;
}

/* --- the life of pid 1 ---------------------------------------------------------------------------------- */

static void report_exit(const struct room_plan *plan, struct room_state *s, int status,
                        const struct rusage *u)
{
    struct report *r = &s->report;
    r->type = REPORT_EXITED;
    r->status = status;
    r->utime_us = (uint64_t)u->ru_utime.tv_sec * 1000000 + (uint64_t)u->ru_utime.tv_usec;
    r->stime_us = (uint64_t)u->ru_stime.tv_sec * 1000000 + (uint64_t)u->ru_stime.tv_usec;
    r->maxrss_kib = (uint64_t)u->ru_maxrss;
    r->minflt = (uint64_t)u->ru_minflt;
    r->majflt = (uint64_t)u->ru_majflt;
    r->nvcsw = (uint64_t)u->ru_nvcsw;
    r->nivcsw = (uint64_t)u->ru_nivcsw;
    r->end_ns = now_ns(s);
    (void)fd_frame_send(plan->ctl, r, sizeof *r, NULL, 0,
                        0); /* the supervisor may be gone: then nobody asks */
}

/* Reaps what there is. Ends the room when the program itself is among it. */
static void reap(const struct room_plan *plan, struct room_state *s)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG | WUNTRACED, &usage);
        if (pid <= 0)
            return;
        if (WIFSTOPPED(status)) {
            if (!s->paused)
                exec_stopped(pid);
            continue;
        }
        if (pid == s->report.payload_pid) {
            report_exit(plan, s, status, &usage);
            _exit(0);
        }
        exec_reaped(plan, pid);
    }
}

static void pass_signal(struct room_state *s, const struct command *c)
{
    const pid_t program = s->report.payload_pid;

    if (c->signal <= 0 || c->signal >= NSIG)
        _exit(125);
    if (c->group == 2 && (c->signal == SIGSTOP || c->signal == SIGCONT))
        s->paused = c->signal == SIGSTOP;
    if (program > 0 || c->group == 2)
        (void)kill(c->group == 2   ? -1
                   : c->group == 1 ? -program
                                   : program,
                   c->signal); /* the program may have ended this instant */
}

static void obey(const struct room_plan *plan, struct room_state *s)
{
    struct command c;
    int fds[FD_FRAME_FDS_MAX];
    int n = fd_frame_recv(plan->ctl, &c, sizeof c, fds, FD_FRAME_FDS_MAX, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return;
    if (n < 0)
        _exit(125); /* the supervisor is gone, or it is not the supervisor */
    switch (c.type) {
    case COMMAND_SIGNAL:
        pass_signal(s, &c);
        break;
    case COMMAND_REAPER:
        if (n != 1)
            _exit(125);
        exec_reaper(plan, s, &c, fds[0]);
        break;
    case COMMAND_EXEC_SIGNAL:
        exec_signal(&c);
        break;
    case COMMAND_SOCKETS:
        sockets_make(plan, &c);
        break;
    default:
        _exit(125);
    }
    for (int i = 0; i < n; i++)
        fd_close(&fds[i]);
}

__attribute__((noreturn)) static void live(const struct room_plan *plan, struct room_state *s)
{
    struct pollfd polls[] = {{.fd = s->signals, .events = POLLIN}, {.fd = plan->ctl, .events = POLLIN}};
    for (;;) {
        struct signalfd_siginfo info;
        reap(plan, s);
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            _exit(125);
        if (polls[0].revents)
            (void)!read(s->signals, &info, sizeof info); /* only to empty it; reap() asks the kernel itself */
        if (polls[1].revents)
            obey(plan, s);
    }
}

static void report_started(const struct room_plan *plan, struct room_state *s)
{
    int fds[FD_FRAME_FDS_MAX];
    size_t n = 0;
    const struct {
        int *fd;
        unsigned bit;
    } carried[] = {{&s->proc, REPORT_FD_PROC},
                   {&s->tty, REPORT_FD_TTY},
                   {&s->notify, REPORT_FD_NOTIFY},
                   {&s->scratch, REPORT_FD_SCRATCH},
                   {&s->upper, REPORT_FD_UPPER}};
    for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) {
        if (*carried[i].fd < 0)
            continue;
        fds[n++] = *carried[i].fd;
        s->report.fds |= carried[i].bit;
    }
    if (plan->hand_out_root) { /* and keep it: the room's files live as long as this descriptor */
        fds[n++] = s->root;
        s->report.fds |= REPORT_FD_ROOT;
    }
    if (s->notice >= 0) {
        fds[n++] = s->notice;
        s->report.fds |= REPORT_FD_NOTICE;
    }
    s->report.type = REPORT_STARTED;
    if (fd_frame_send(plan->ctl, &s->report, sizeof s->report, fds, n, 0) < 0)
        _exit(125);
    for (size_t i = 0; i < sizeof carried / sizeof *carried; i++)
        fd_close(carried[i].fd);
    fd_close(&s->notice);
    /* Our own end of the terminal stays open: a program that closes its last one just before it ends must not
     * be hung up. */
    for (int i = 0; i < 3; i++) {
        int fd = plan->stdio[i];
        fd_close(&fd);
    }
}

/* Layers whose absence the policy accepts. */
static bool may_miss(const struct room_plan *plan, enum step_id step)
{
    enum layer_id layer = step_rows[step].layer;
    switch (step) {
    case STEP_KEYRING:
    case STEP_CGROUP:
    case STEP_TIME:
    case STEP_PROC:
    case STEP_LANDLOCK:
        return !plan_requires(plan, layer);
    default:
        return false;
    }
}

void init_main(const struct room_plan *plan)
{
    (void)prctl(PR_SET_NAME, "room-init", 0, 0, 0); /* for ps on the host; nothing depends on it */
    static struct room_state state;
    struct room_state *s = &state;
    s->root = s->scratch = s->proc = s->tty = s->tty_slave = s->notify = s->null = s->signals = s->sock =
        s->upper = s->notice = -1;
    for (size_t i = 0; i < sizeof s->join / sizeof *s->join; i++)
        s->join[i] = -1;
    for (int i = 0; i < MASK_SOURCES; i++)
        s->masks[i] = -1;
    for (int i = 0; i < LAYER_ID_COUNT; i++)
        s->report.layers[i].state = plan_wants(plan, (enum layer_id)i) ? LAYER_STATE_ON : LAYER_STATE_OFF;

    uint64_t before = now_ns(s);
    for (int i = 0; i < STEP_COUNT; i++) {
        enum layer_id layer = step_rows[i].layer;
        s->item = -1;
        if (i == STEP_PROGRAM)
            s->report.start_ns = before;
        if (!plan_wants(plan, layer))
            continue;
        (void)fault_at("hang", step_rows[i].name);
        int r = fault_at("step", step_rows[i].name);
        if (r == 0)
            r = step_functions[i](plan, s);
        if (r < 0) {
            if (!may_miss(plan, (enum step_id)i))
                fail(plan, s, (enum step_id)i, -r);
            steps_degrade(s, layer, LAYER_STATE_OFF, -r);
        }
        uint64_t after = now_ns(s);
        s->report.step_ns[i] = (uint32_t)(after - before);
        before = after;
    }
    report_started(plan, s);
    live(plan, s);
}
