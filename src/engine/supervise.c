/* supervise: the supervisor's loop, from GO until the room is dead and its output delivered.
 *
 * Theory of operation. One poll over everything that can happen: the control socket (STARTED, FAILED, EXITED), pid 1's
 * pidfd (its death is the end of every process in the room), our own signals, the three relays or the terminal, the
 * filter's listener. Deadlines are plain numbers looked at once a round. A room ends in one of two ways: pid 1 reports
 * the program's exit and dies with everything below it, or we kill pid 1, with the same effect.
 *
 * Lives in: the supervisor, under the caller's rights. Trusts: nothing that comes out of the room but fixed-size
 * frames of pid 1. Must not: block on anything but the poll. */
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    ON_CTL,
    ON_PID,
    ON_SIGNALS,
    ON_NOTIFY,
    ON_GATE,
    ON_LIVE,
    ON_JOBS,
    ON_ASK,
    ON_GUARD,
    ON_IN,
    ON_OUT,
    ON_ERR,
    ON_REPLY,
    ON_COUNT
};

void room_kill(struct room *r, enum outcome why)
{
    if (r->killed || r->dead)
        return;
    r->killed = true;
    r->why = why;
    r->kill_ms = engine_now_ms();
    r->nudge_ms = r->has_leaf ? r->kill_ms + ENGINE_NUDGE_MS : 0;
    (void)kernel_pidfd_send_signal(r->pidfd, SIGKILL); /* ESRCH: it died this instant */
}

/* Without a memory cgroup, often. Otherwise only processor time is looked at, and never before it could be used up. */
static uint64_t watch_interval(const struct room *r)
{
    const struct limit_report *l = r->result->limits;
    if (l[LIMIT_ID_MEMORY].by == LIMIT_BY_WATCH)
        return ENGINE_WATCH_MS;
    uint64_t left = l[LIMIT_ID_CPU_TIME].asked - r->cpu_seen_us / 1000;
    uint64_t soonest = left / r->processors;
    return soonest < ENGINE_WATCH_MS ? ENGINE_WATCH_MS : soonest;
}

/* --- what comes from pid 1 ------------------------------------------------------------------------------ */

static void pass_signal(struct room *r, int sig, int group)
{
    struct command c = {.type = COMMAND_SIGNAL, .signal = sig, .group = group};
    if (r->started && r->ctl >= 0)
        (void)fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT); /* a dead pid 1 needs no signal */
}

static void take_started(struct room *r, const struct report *got, int *fds, int n)
{
    int at = 0;
    r->started = true;
    if (at < n && (got->fds & REPORT_FD_PROC))
        r->proc = fds[at++];
    if (at < n && (got->fds & REPORT_FD_TTY)) {
        int master = fds[at++];
        relay_init(&r->out, master, 1, true, false, r->out.buffer);
        relay_init(&r->in, 0, fcntl(master, F_DUPFD_CLOEXEC, 3), false, true, r->in.buffer);
        r->in.kind = RELAY_COPY;
        terminal_enter(r);
    }
    if (at < n && (got->fds & REPORT_FD_NOTIFY))
        r->notify = fds[at++];
    r->listened = r->notify >= 0;
    if (at < n && (got->fds & REPORT_FD_SCRATCH))
        r->scratch = fds[at++];
    if (at < n && (got->fds & REPORT_FD_UPPER))
        r->upper = fds[at++];
    if (at < n && (got->fds & REPORT_FD_ROOT))
        r->root = fds[at++];
    if (at < n && (got->fds & REPORT_FD_NOTICE))
        r->live.notice = fds[at++];
    while (at < n)
        fd_close(&fds[at++]);
    engine_phase(r, PHASE_STARTED);
    r->result->has_room = true;
    reapers_begin(r);
    guard_begin(r);
    r->started_ms = engine_now_ms();
    r->watch_ms = r->started_ms + watch_interval(r);
    r->scratch_ms = r->scratch >= 0 ? r->started_ms + ENGINE_SCRATCH_MS : 0;
    for (int sig = 1; r->early_signals >> sig; sig++) {
        if (r->early_signals >> sig & 1)
            pass_signal(r, sig, 0);
    }
    uint64_t limit = r->policy->limits[LIMIT_ID_TIMEOUT];
    r->deadline_ms = limit == LIMIT_UNLIMITED ? 0 : r->started_ms + limit;
    publish_started(r);
    if (r->req->on_started)
        r->req->on_started(r->req->ctx);
}

/* false: there is none to take now. */
static bool take_report(struct room *r)
{
    struct report got;
    int fds[FD_FRAME_FDS_MAX];
    int n = fd_frame_recv(r->ctl, &got, sizeof got, fds, FD_FRAME_FDS_MAX, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return false;
    if (n < 0) {
        fd_close(&r->ctl); /* pid 1 closed it by dying; its pidfd tells the rest */
        return false;
    }
    if (got.type >= REPORT_EXEC_STARTED && got.type <= REPORT_EXEC_GONE) {
        execs_report(r, &got, fds, n);
        while (n > 0)
            fd_close(&fds[--n]);
        return true;
    }
    if (got.type == REPORT_LISTENERS) {
        gate_listeners(r, &got, fds, (size_t)n);
        while (n > 0)
            fd_close(&fds[--n]);
        return true;
    }
    if (got.type == REPORT_SOCKETS) {
        publish_made(r, fds, (size_t)n);
        return true;
    }
    r->result->report = got;
    if (got.type == REPORT_STARTED && !r->started) {
        take_started(r, &got, fds, n);
        return true;
    }
    for (int i = 0; i < n; i++)
        fd_close(&fds[i]);
    r->failed = r->failed || got.type == REPORT_FAILED;
    r->exited = r->exited || got.type == REPORT_EXITED;
    if (got.type == REPORT_EXITED) {
        engine_phase(r, PHASE_EXITED);
        r->grace_ms = engine_now_ms() + ENGINE_TEARDOWN_MS; /* for pid 1 to follow, with all the others */
    }
    return true;
}

/* What was not taken by now is lost, and must be told. */
static void end_output(struct room *r, int why)
{
    struct relay *const outs[] = {&r->out, &r->err, &r->reply};
    for (size_t i = 0; i < 3; i++) {
        if (relay_has_more(outs[i]))
            outs[i]->error = why;
        relay_end(outs[i]);
    }
}

/* --- signals of the caller's ---------------------------------------------------------------------------- */

/* The caller stops us (job control): the room's processes stop too, then we do, and go on together. */
static void stop_with_room(struct room *r, int sig)
{
    sigset_t set;
    (void)ask_refuse(r);
    pass_signal(r, SIGSTOP, 2);
    terminal_leave(r);
    sigemptyset(&set);
    sigaddset(&set, sig);
    (void)raise(sig);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* stops here, until SIGCONT */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    if (r->plan.tty)
        terminal_enter(r);
    pass_signal(r, SIGCONT, 2);
}

static void take_signal(struct room *r)
{
    struct signalfd_siginfo info;
    if (read(r->signals, &info, sizeof info) != sizeof info)
        return;
    int sig = (int)info.ssi_signo;
    if (sig == SIGINT && info.ssi_code == SI_KERNEL && ask_refuse(r)) /* Ctrl-C at a question of ours */
        return;
    switch (sig) {
    case SIGWINCH:
        terminal_resize(r);
        return;
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        stop_with_room(r, sig);
        return;
    case SIGCONT:
    case SIGCHLD:
        return;
    case SIGUSR1:
    case SIGUSR2:
        if (r->started)
            pass_signal(r, sig, 0);
        else
            r->early_signals |= 1u << sig;
        return;
    default:
        break;
    }
    /* INT, TERM, HUP, QUIT: the program may end in its own way, for a moment; the second request is ours to fulfil. */
    if (r->dead) {
        end_output(r, EINTR); /* only its reader was still waited for */
        return;
    }
    if (++r->asked_to_end > 1 || !r->started) {
        room_kill(r, OUTCOME_INTERRUPTED);
        return;
    }
    pass_signal(r, sig, 1);
    if (sig != SIGINT || !r->plan.argv)
        r->grace_ms = engine_now_ms() + ENGINE_GRACE_MS;
}

/* --- bytes ---------------------------------------------------------------------------------------------- */

/* A terminal passes Ctrl-C on as a byte, and its own line discipline makes a signal of it. A program that does not
 * answer (no output, no exit) until a second Ctrl-C within two seconds ends with the room. */
static void watch_interrupt(struct room *r, const char *keys, size_t n)
{
    struct termios t;
    if (!memchr(keys, 3, n) || tcgetattr(r->in.to, &t) < 0 || !(t.c_lflag & ISIG))
        return;
    uint64_t now = engine_now_ms();
    if (r->interrupt_ms && now - r->interrupt_ms < 2000)
        room_kill(r, OUTCOME_INTERRUPTED);
    r->interrupt_ms = now;
}

static void move_input(struct room *r)
{
    if (r->killed)
        return;
    const uint64_t moved = relay_move(&r->in, r->plan.tty ? RELAY_BUFFER : UINT64_MAX);
    if (!r->plan.tty)
        return;
    if (moved) { /* look at each key once, when it is delivered: the buffer's part before `at` */
        const size_t n = moved < r->in.at ? (size_t)moved : r->in.at;
        r->input_ends_line = n && r->in.buffer[r->in.at - 1] == '\n';
        watch_interrupt(r, r->in.buffer + r->in.at - n, n);
    }
    if (r->in.ended && !isatty(0))
        terminal_end_input(r);
}

static void move_output(struct room *r, struct relay *out)
{
    /* A ring has a bound of its own: only one that was asked for ends the room. */
    const bool counts = !r->req->detached || r->policy->limit_demand[LIMIT_ID_OUTPUT] == LAYER_REQUIRE;
    uint64_t limit = counts ? r->policy->limits[LIMIT_ID_OUTPUT] : LIMIT_UNLIMITED;
    uint64_t sum = r->out.bytes + r->err.bytes;
    uint64_t left = limit > sum ? limit - sum : 0;
    uint64_t moved = left ? relay_move(out, left) : 0;
    if (moved)
        limits_look_at_scratch(r);
    if (moved && r->req->detached)
        keeper_logged(r);
    if (moved > 4)
        r->interrupt_ms = 0; /* more than the echo of "^C": the program answers */
    if (moved < left || out->ended)
        return;
    if (!relay_has_more(out)) {
        if (left == 0 && relay_at_end(out))
            relay_end(out); /* exactly as much as allowed: nobody will read the end of file for us */
        return;
    }
    if (limit <= r->out.bytes + r->err.bytes) {
        r->result->limits[LIMIT_ID_OUTPUT].hits++;
        room_kill(r, OUTCOME_OUTPUT);
        relay_end(&r->out);
        relay_end(&r->err);
    }
}

/* Nobody waits for it: it goes to a file, or its reader is quick. */
static void move_reply(struct room *r)
{
    const uint64_t left = ENGINE_REPLY_MAX - r->reply.bytes;
    if (left == 0 || (relay_move(&r->reply, left) == 0 && r->dead && !relay_has_more(&r->reply)))
        relay_end(&r->reply);
}

/* --- time ----------------------------------------------------------------------------------------------- */

/* Of the whole room. A child that nobody waits for takes its time along when it ends: only a cgroup still
 * knows. Without one, what was seen before and is gone now is added, so that the sum never falls. */
static uint64_t processor_time(struct room *r, uint64_t sampled_us)
{
    struct leaf_usage u;
    if (r->has_leaf) {
        leaf_read(&r->leaf, &u, true);
        if (u.cpu_us != UINT64_MAX)
            return u.cpu_us;
    }
    if (sampled_us < r->cpu_sampled_us)
        r->cpu_gone_us += r->cpu_sampled_us - sampled_us;
    r->cpu_sampled_us = sampled_us;
    return r->cpu_gone_us + sampled_us;
}

static void look_at_usage(struct room *r)
{
    struct watch_sample s;
    struct limit_report *l = r->result->limits;
    if (r->proc < 0 || watch_sample(r->proc, &s) < 0)
        return;
    r->cpu_seen_us = processor_time(r, s.cpu_us);
    if (l[LIMIT_ID_MEMORY].by == LIMIT_BY_WATCH && s.memory > l[LIMIT_ID_MEMORY].asked) {
        const uint64_t shares = watch_shares(r->proc);
        if (shares > 0)
            s.memory = shares + s.tables;
    }
    if (s.memory > r->memory_seen)
        r->memory_seen = s.memory;
    if (l[LIMIT_ID_MEMORY].by == LIMIT_BY_WATCH && s.memory > l[LIMIT_ID_MEMORY].asked) {
        l[LIMIT_ID_MEMORY].hits++;
        room_kill(r, OUTCOME_MEMORY);
    }
    if (l[LIMIT_ID_CPU_TIME].asked != LIMIT_UNLIMITED && r->cpu_seen_us / 1000 > l[LIMIT_ID_CPU_TIME].asked) {
        l[LIMIT_ID_CPU_TIME].hits++;
        room_kill(r, OUTCOME_CPU_TIME);
    }
}

/* Who else writes there counts too: a substitute for a bound, and labelled so. */
static void look_at_disk(struct room *r, uint64_t now)
{
    struct limit_report *l = &r->result->limits[LIMIT_ID_DISK];
    const uint64_t used = changes_on_disk(r);
    if (l->peak == UINT64_MAX || used > l->peak)
        l->peak = used;
    r->disk_ms = now + ENGINE_DISK_MS;
    if (used <= r->disk_cap)
        return;
    l->hits++;
    room_kill(r, OUTCOME_DISK);
}

/* Often in the beginning, when most programs do what they do; a room that lives for long shall cost nothing. */
static void look_at_scratch(struct room *r, uint64_t now)
{
    const uint64_t part = (now - r->started_ms) / ENGINE_SCRATCH_AGE;
    limits_look_at_scratch(r);
    r->scratch_ms = now + (part < ENGINE_SCRATCH_MS       ? ENGINE_SCRATCH_MS
                           : part > ENGINE_SCRATCH_MAX_MS ? ENGINE_SCRATCH_MAX_MS
                                                          : part);
}

static void look_at_clock(struct room *r)
{
    uint64_t now = engine_now_ms();
    if (r->deadline_ms && now >= r->deadline_ms && !r->exited && !r->killed) {
        r->result->limits[LIMIT_ID_TIMEOUT].hits += r->started;
        room_kill(r, r->started ? OUTCOME_TIMEOUT : OUTCOME_NO_ROOM);
    }
    if (r->grace_ms && now >= r->grace_ms && !r->dead)
        room_kill(r, OUTCOME_INTERRUPTED);
    if (r->watching && r->started && !r->exited && now >= r->watch_ms) {
        look_at_usage(r);
        const uint64_t rest = (engine_now_ms() - now) * ENGINE_WATCH_REST;
        r->watch_ms = engine_now_ms() + (watch_interval(r) > rest ? watch_interval(r) : rest);
    }
    if (r->disk_ms && now >= r->disk_ms && r->started && !r->exited && !r->killed)
        look_at_disk(r, now);
    if (r->scratch_ms && now >= r->scratch_ms && !r->exited && !r->killed)
        look_at_scratch(r, now);
    if (r->nudge_ms && now >= r->nudge_ms) {
        r->nudge_ms = 0;
        if (!r->dead)
            (void)leaf_kill(&r->leaf); /* pid 1 kills all the others, when it comes to it; teardown counts */
    }
    execs_tick(r, now);
    ask_tick(r, now);
    guard_tick(r, now);
    if (r->undertaker_ms && now >= r->undertaker_ms && !r->exited)
        undertaker_start(r);
    if (r->flush_ms && now >= r->flush_ms)
        end_output(r, ETIMEDOUT);
}

static int poll_timeout(const struct room *r)
{
    uint64_t now = engine_now_ms(), next = UINT64_MAX;
    const uint64_t times[] = {r->killed || r->exited ? 0 : r->deadline_ms,
                              r->killed || r->dead ? 0 : r->grace_ms,
                              r->flush_ms,
                              r->ask.until_ms,
                              r->guard.waiting < 0 && !r->exited && !r->killed ? r->guard.next_ms : 0,
                              execs_next_ms(r),
                              r->watching && r->started && !r->exited && !r->killed ? r->watch_ms : 0,
                              r->started && !r->exited && !r->killed ? r->disk_ms : 0,
                              r->exited || r->killed ? 0 : r->scratch_ms,
                              r->exited ? 0 : r->undertaker_ms,
                              r->dead ? 0 : r->nudge_ms,
                              r->killed && !r->dead ? r->kill_ms + ENGINE_TEARDOWN_MS : 0};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (times[i] && times[i] < next)
            next = times[i];
    }
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

/* --- the loop ------------------------------------------------------------------------------------------- */

static void take_death(struct room *r)
{
    while (r->ctl >= 0 && take_report(r)) { /* what it and its reapers said last is still in the socket */
    }
    while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    r->dead = true;
    ask_close(r); /* what was held back goes on */
    engine_phase(r, PHASE_DEAD);
    /* A reader may take its time (a pager does): as long as the room might have run, and a moment at least. A
     * caller who wanted the end waits for that moment only. */
    r->flush_ms = engine_now_ms() + ENGINE_FLUSH_MS;
    if (!r->killed && !r->asked_to_end && (!r->deadline_ms || r->deadline_ms > r->flush_ms))
        r->flush_ms = r->deadline_ms;
    if (r->killed)
        relay_end(&r->in);
}

static bool is_over(const struct room *r)
{
    if (!r->dead)
        return r->killed && engine_now_ms() >= r->kill_ms + ENGINE_TEARDOWN_MS;
    return r->out.ended && r->err.ended && r->reply.ended;
}

int room_supervise(struct room *r, struct err *e)
{
    while (!is_over(r)) {
        /* The program may print before pid 1 has told that it runs; a limit met by that must find a room that
         * started. */
        const bool heard = r->started || r->dead;
        struct pollfd p[ON_COUNT] = {
            [ON_CTL] = {.fd = r->ctl, .events = POLLIN},
            [ON_PID] = {.fd = r->dead ? -1 : r->pidfd, .events = POLLIN},
            [ON_SIGNALS] = {.fd = r->signals, .events = POLLIN},
            [ON_NOTIFY] = {.fd = r->notify, .events = POLLIN},
            [ON_GATE] = {.fd = r->gate_ctl, .events = POLLIN},
            [ON_LIVE] = {.fd = r->live.server.epoll, .events = POLLIN},
            [ON_JOBS] = {.fd = r->keeper.jobs_epoll, .events = POLLIN},
            [ON_ASK] = ask_poll(r),
            [ON_GUARD] = {.fd = guard_fd(r), .events = POLLIN},
            [ON_IN] =
                r->started && !r->exited && !ask_holds(r, 0) ? relay_poll(&r->in) : (struct pollfd){.fd = -1},
            [ON_OUT] = heard && !ask_holds(r, 1) ? relay_poll(&r->out) : (struct pollfd){.fd = -1},
            [ON_ERR] = heard && !ask_holds(r, 2) ? relay_poll(&r->err) : (struct pollfd){.fd = -1},
            [ON_REPLY] = relay_poll(&r->reply),
        };
        if (poll(p, ON_COUNT, poll_timeout(r)) < 0 && errno != EINTR)
            return err_set(e, ERR_INTERNAL, errno, "wait for the room");
        if (p[ON_CTL].revents)
            (void)take_report(r); /* the next round takes the next one */
        if (p[ON_NOTIFY].revents & POLLIN)
            denials_take(r);
        else if (p[ON_NOTIFY].revents)
            fd_close(&r->notify);
        if (p[ON_GATE].revents)
            gate_take(r);
        if (p[ON_LIVE].revents)
            live_take(r);
        if (p[ON_JOBS].revents)
            jobs_move(r);
        if (p[ON_SIGNALS].revents)
            take_signal(r);
        if (p[ON_GUARD].revents)
            guard_take(r);
        if (p[ON_ASK].revents)
            ask_event(r);
        if (p[ON_IN].revents && !ask_holds(r, 0)) /* a question may have begun in this round */
            move_input(r);
        if (p[ON_OUT].revents && !ask_holds(r, 1))
            move_output(r, &r->out);
        if (p[ON_ERR].revents && !ask_holds(r, 2))
            move_output(r, &r->err);
        if (p[ON_REPLY].revents)
            move_reply(r);
        if (p[ON_PID].revents)
            take_death(r);
        look_at_clock(r);
    }
    return 0;
}
