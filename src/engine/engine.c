/* engine: one room from request to result.
 *
 * Lives in: the process that asks for a room. Trusts: a checked policy. The order of this file is the order of life:
 * plan, limits, spawn, supervise, teardown, result. */
#include "engine/inherited.h"
#include "engine/inner.h"
#include "limits/leaf_scope.h"
#include "sys/fd.h"
#include "sys/ignored.h"
#include "sys/kernel.h"
#include "sys/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

uint64_t engine_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t engine_now_ms(void)
{
    return engine_now_us() / 1000;
}

void engine_phase(struct room *r, enum phase p)
{
    r->result->phase_us[p] = engine_now_us();
}

static uint64_t ns_of(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

int engine_plan(const struct engine_request *req, struct room_plan *plan, struct err *e)
{
    const struct policy *p = req->policy;
    static const enum seccomp_variant notify[2][2] = {{SECCOMP_ROOM_NOTIFY, SECCOMP_ROOM_NETLINK_NOTIFY},
                                                      {SECCOMP_ROOM_WATCH, SECCOMP_ROOM_NETLINK_WATCH}};
    const bool host_net = p->net == NET_HOST;
    plan->filter = seccomp_program(host_net ? SECCOMP_ROOM_NETLINK : SECCOMP_ROOM);
    if (p->layers[LAYER_ID_DENIALS] != LAYER_OFF)
        plan->filter_notify = seccomp_program(notify[req->explains][host_net]);
    plan->gate_serves = p->net == NET_GATE || p->publish_count;
    plan->gate_open_ports = p->name != NULL || req->learns || req->asks;
    plan->hand_out_root = (req->explains && plan->filter_notify) || p->copy_count;
    char *text = mem_reserve(PLAN_TEXT_MAX);
    if (!text) {
        (void)err_set(e, ERR_ROOM, ENOMEM, "plan the room");
        return err_hint(e, "raise the limit of address space (ulimit -v)");
    }
    struct timespec wall, now;
    (void)clock_gettime(CLOCK_REALTIME, &wall); /* neither can fail */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    plan->command_ns = ns_of(&wall) - (ns_of(&now) - ns_of(&req->started));
    return plan_make(plan, p, req->argv, text, PLAN_TEXT_MAX, e);
}

static int take_signals(struct room *r)
{
    static const int ours[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
                               SIGTSTP, SIGCONT, SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        sigaddset(&set, ours[i]);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return -errno;
    sigdelset(&set, SIGPIPE); /* stays blocked: a closed reader is an error value, not an end */
    sigdelset(&set, SIGCHLD); /* the pidfd tells */
    ignored_hangup_leaves(&set);
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGCHLD, &by_default, NULL); /* a caller's "ignore" would steal our children's status */
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signals < 0 ? -errno : 0;
}

static void start_relays(struct room *r)
{
    static char buffers[4][RELAY_BUFFER];
    r->in.buffer = buffers[0];
    r->out.buffer = buffers[1];
    r->err.buffer = buffers[2];
    r->in.ended = r->out.ended = r->err.ended = r->reply.ended = true;
    if (r->plan.tty)
        return; /* made when the room hands out its terminal */
    if (r->req->reply_fd > 0)
        relay_init(&r->reply, fcntl(r->pipes[0][1], F_DUPFD_CLOEXEC, 3), r->req->reply_fd, true, false,
                   buffers[3]);
    if (r->pipes[0][1] >= 0)
        relay_init(&r->in, 0, r->pipes[0][1], false, true, r->in.buffer);
    if (r->req->detached) {
        relay_init_ring(&r->out, r->pipes[1][0], r->keeper.logs[0], r->out.buffer);
        relay_init_ring(&r->err, r->pipes[2][0], r->keeper.logs[1], r->err.buffer);
    } else {
        relay_init(&r->out, r->pipes[1][0], 1, true, false, r->out.buffer);
        relay_init(&r->err, r->pipes[2][0], 2, true, false, r->err.buffer);
    }
    r->pipes[0][1] = r->pipes[1][0] = r->pipes[2][0] = -1; /* the relays own them now */
}

/* --- how it ended --------------------------------------------------------------------------------------- */

static enum outcome judge(const struct room *r)
{
    const struct limit_report *l = r->result->limits;
    const struct report *report = &r->result->report;
    if (!r->started)
        return r->failed && report->step == STEP_PROGRAM && report->item < 0 ? OUTCOME_NOT_RUN
                                                                             : OUTCOME_NO_ROOM;
    const bool killed_inside =
        r->exited && WIFSIGNALED(report->status) && WTERMSIG(report->status) == SIGKILL;
    if (l[LIMIT_ID_MEMORY].hits && (killed_inside || !r->exited))
        return OUTCOME_MEMORY;
    if (limits_used_up_cpu(r))
        return OUTCOME_CPU_TIME;
    if (r->exited && !(r->killed && r->why == OUTCOME_OUTPUT))
        return WIFEXITED(report->status) ? OUTCOME_EXITED : OUTCOME_SIGNALLED;
    return r->killed ? r->why : OUTCOME_LOST;
}

static int exit_status(const struct result *res)
{
    switch (res->outcome) {
    case OUTCOME_EXITED:
        return WEXITSTATUS(res->status);
    case OUTCOME_SIGNALLED:
        return 128 + WTERMSIG(res->status);
    case OUTCOME_TIMEOUT:
        return 124;
    case OUTCOME_MEMORY:
        return 128 + SIGKILL;
    case OUTCOME_CPU_TIME:
        return 128 + SIGXCPU;
    case OUTCOME_OUTPUT:
    case OUTCOME_DISK:
        return 128 + SIGXFSZ;
    case OUTCOME_GUARD:
    case OUTCOME_INTERRUPTED:
        return 128 + SIGKILL;
    case OUTCOME_NO_ROOM:
    case OUTCOME_NOT_RUN:
    case OUTCOME_LOST:
    case OUTCOME_COUNT:
        break;
    }
    return 125;
}

/* --- what could not be built ---------------------------------------------------------------------------- */

/* The steps that show what the policy names; they fail alike. */
static bool shows_mounts(enum step_id step)
{
    return step == STEP_BINDS || step == STEP_WRITABLE || step == STEP_ROOT;
}

static void hint_step(const struct room *r, enum step_id step, int code, struct err *e)
{
    static const struct {
        enum step_id step;
        int code; /* 0: any */
        const char *hint;
    } rows[] = {
        {STEP_PROC, EPERM,
         "parts of this host's /proc are masked (as in a container): run the outer container with unmasked "
         "/proc "
         "(docker: --security-opt systempaths=unconfined), or accept a room without /proc: --prefer proc"},
        {STEP_CGROUP, 0, "the cgroup leaf was removed or is not writable"},
        {STEP_SECCOMP, EINVAL, "the kernel was built without seccomp filters (CONFIG_SECCOMP_FILTER)"},
        {STEP_PIVOT, EINVAL,
         "the root directory is not a mount point (a chroot or an initramfs); bind-mount it onto itself"},
        {STEP_BINDS, ESTALE, "it changed between the check and the use; try again"},
        {STEP_WRITABLE, ESTALE, "it changed between the check and the use; try again"},
        {STEP_BINDS, ENOENT,
         "a mount point below another mount must already exist there; strongroom creates nothing in your "
         "folders"},
        {STEP_WRITABLE, ENOENT,
         "a mount point below another mount must already exist there; strongroom creates nothing in your "
         "folders"},
        {STEP_WRITABLE, EROFS,
         "a file can only be copied to below /work, /tmp or /dev/shm, or into a --tmpfs folder"},
        {STEP_WRITABLE, ENOSPC, "what is copied in counts: raise --disk or --inodes"},
        {STEP_WRITABLE, EACCES,
         "this user may not reach it; choose a path below folders that everybody may enter"},
        {STEP_WRITABLE, ENODEV, "this kernel has no overlay file system: as root, modprobe overlay"},
        {STEP_BINDS, EACCES, "this user may not read it; choose a readable path or change its mode"},
        {STEP_WORKDIR, ENOENT,
         "choose a folder that exists in the room with -C, or show it with --ro or --rw"},
    };
    (void)r;
    if (shows_mounts(step) && (code == ENOTDIR || code == EISDIR)) {
        err_hint(e, "a folder cannot be shown where the room has a file, nor a file where it has a folder");
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].step == step && (rows[i].code == 0 || rows[i].code == code)) {
            err_hint(e, "%s", rows[i].hint);
            return;
        }
    }
    err_hint(e, "`strongroom doctor` tells what this host can do");
}

/* Where that name of the host's leads, links followed; false: nowhere. */
static bool leads_to(const char *path, char real[POLICY_PATH_MAX])
{
    char link[32];
    struct sbuf b = SBUF(link);
    FD_AUTO fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return false;
    sbuf_fmt(&b, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, real, POLICY_PATH_MAX - 1);
    real[n > 0 ? n : 0] = '\0';
    return n > 0 && n < POLICY_PATH_MAX - 1 && real[0] == '/';
}

/* The folder that shows a program: the one above its bin. */
static void folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    slash = strrchr(path, '/');
    if (slash && slash != path && strcmp(slash, "/bin") == 0)
        *slash = '\0';
}

/* A command that the room does not find often is on this host all the same, in a home or behind a link. */
static int hint_missing(const struct room *r, const char *name, struct err *e)
{
    char *candidates[PLAN_EXEC_MAX], text[4096], real[POLICY_PATH_MAX], dir[POLICY_PATH_MAX];
    const char *path = getenv("PATH");
    char all[4096] = "PATH=";
    struct sbuf b = {.text = all, .size = sizeof all, .len = 5};
    char *const env[] = {all, NULL};

    sbuf_text(&b, path ? path : "");
    const bool named =
        strchr(name, '/') || b.full || plan_candidates(name, env, text, sizeof text, candidates) < 0;
    for (int own = 0; own < 2 && !r->policy->rootfs; own++) {
        char *const *at = own ? candidates : r->plan.exec_paths;
        for (; !(own && named) && *at; at++) {
            if (!leads_to(*at, real))
                continue;
            memcpy(dir, real, sizeof dir);
            folder_of(dir);
            if (own && strncmp(real, "/usr/", 5) == 0)
                return err_hint(e, "%s is there, but not in the room's PATH: name it whole", *at);
            if (strncmp(real, "/usr/", 5) == 0)
                return err_hint(e, "%s is there: what its first line names, or what loads it, is not", *at);
            const char *show = dir[0] ? dir : real;
            if (own)
                return err_hint(e, "%s is this host's %s: show it with --ro %s, and name it whole", name,
                                real, show);
            return strcmp(*at, real) == 0
                       ? err_hint(e, "the room does not show it: --ro %s", show)
                       : err_hint(e, "%s leads to %s, which the room does not show: --ro %s", *at, real,
                                  show);
        }
    }
    return err_hint(
        e, "%s",
        strchr(name, '/')
            ? "the room sees the system's programs and what --ro, --rw and -v show it"
            : "not in the room's PATH (-e PATH=…; else /usr/local/bin:/usr/bin:/bin and their sbin)");
}

static int explain_failure(const struct room *r, struct err *e)
{
    const struct report *f = &r->result->report;
    const enum step_id step = (enum step_id)f->step;
    const char *name = r->plan.argv ? r->plan.argv[0] : "nothing"; /* a room may live without a program */
    if (!r->failed || f->step < 0 || f->step >= STEP_COUNT)
        return err_set(e, ERR_ROOM, 0, "build the room: its pid 1 ended without a report");
    if (step == STEP_PROGRAM && f->item < 0) {
        const bool missing = f->code == ENOENT;
        int n = err_set(e, missing ? ERR_NOT_FOUND : ERR_EXEC, f->code, "run %s in the room", name);
        if (missing)
            (void)hint_missing(r, name, e);
        else if (f->code == EACCES)
            err_hint(e, "it is not executable, or is a set-user-ID program, which rooms mask");
        else if (f->code == ENOEXEC)
            err_hint(e, "a script needs a first line like #!/bin/sh");
        else if (f->code == E2BIG)
            err_hint(e, "give it long input by standard input, or as a file (--copy-in)");
        return n;
    }
    if (f->code == EPROTO && (step == STEP_PROBES || step == STEP_PROGRAM) && f->item >= 0 &&
        f->item < LAYER_ID_COUNT) {
        int n = err_set(e, ERR_ROOM, 0, "prove the room: the layer %s did not hold when tried from inside",
                        layer_rows[f->item].name);
        err_hint(e, "nothing was run; please report this with the output of `strongroom doctor`");
        return n;
    }
    if (shows_mounts(step) && f->item >= 0 && (size_t)f->item < r->plan.mount_count) {
        const struct plan_mount *m = &r->plan.mounts[f->item];
        r->result->overlay_refused =
            m->kind == MOUNT_WORKSPACE && !m->copy_path && f->code != ESTALE && f->code != ENODEV;
        int n =
            err_set(e, ERR_ROOM, f->code, "show %s in the room as /%s", m->src ? m->src : "a tmpfs", m->dst);
        hint_step(r, step, f->code, e);
        return n;
    }
    int n = err_set(e, ERR_ROOM, f->code, "build the room: step %s (%s)", step_rows[step].name,
                    step_rows[step].what);
    hint_step(r, step, f->code, e);
    return n;
}

/* --- the receipt's last lines: what only the supervisor knows ------------------------------------------- */

static void note(struct result *res, enum layer_id id, const char *text)
{
    struct sbuf b = SBUF(res->layer_note[id]);
    sbuf_text(&b, text);
}

/* Of a gate whose room has no nftables. */
static void note_gate(struct result *res)
{
    const int why = res->report.unlinked;
    struct sbuf b = SBUF(res->layer_note[LAYER_ID_GATE]);
    if (why == 0)
        sbuf_fmt(&b, "no nftables here: only listed ports lead to the gate, by a link; others are refused%s",
                 res->report.unseen ? " unrecorded" : "");
    else
        sbuf_fmt(
            &b,
            "no nftables here, no link (%.40s): only listed ports lead to the gate, and no server in the "
            "room has them; others are refused unrecorded",
            strerror(why));
}

/* What leads into the room's own network, or is in it besides loopback. */
static void note_net(struct result *res)
{
    struct sbuf b = SBUF(res->layer_note[LAYER_ID_NET]);
    if (res->report.layers[LAYER_ID_GATE].state == LAYER_STATE_DEGRADED && res->report.unlinked == 0)
        sbuf_text(&b, res->network->port_count ? "the gate's link; " : "the gate's link besides");
    if (res->network->port_count) {
        sbuf_text(&b, "published: ");
        network_ports(res->network, ", ", &b);
    }
}

static void finish_receipt(struct room *r)
{
    struct result *res = r->result;
    struct report_layer *l = res->report.layers;
    l[LAYER_ID_DENIALS].probed = r->listened;
    if (r->place.version == LEAF_NONE) {
        l[LAYER_ID_CGROUP].state = LAYER_STATE_DEGRADED;
        note(res, LAYER_ID_CGROUP, r->place.why);
    } else {
        l[LAYER_ID_CGROUP].probed = 1;
    }
    if (r->plan.privileged) {
        l[LAYER_ID_UIDS].probed = r->place.version != LEAF_NONE;
    } else {
        l[LAYER_ID_UIDS].state = LAYER_STATE_DEGRADED;
        note(res, LAYER_ID_UIDS,
             r->plan.is_root_outside
                 ? "root that cannot map uids or the files shown: the room's kernel uid is 0"
                 : "not root: the room's kernel uid is the caller's own");
    }
    if (r->policy->net == NET_HOST) {
        l[LAYER_ID_NET].state = LAYER_STATE_OFF;
        if (l[LAYER_ID_LANDLOCK].state == LAYER_STATE_ON && res->report.landlock_abi < 6) {
            l[LAYER_ID_LANDLOCK].state = LAYER_STATE_DEGRADED;
            note(res, LAYER_ID_LANDLOCK,
                 "abstract sockets of the host can be reached: this kernel's Landlock (ABI < 6) cannot tell");
        }
        note(res, LAYER_ID_NET, "--net host: the room shares the host's network, internal services included");
    }
    if (res->network && r->policy->net != NET_HOST)
        note_net(res);
    if (r->policy->net == NET_GATE) {
        l[LAYER_ID_GATE].probed = l[LAYER_ID_NET].probed && l[LAYER_ID_GATE].state == LAYER_STATE_ON;
        if (l[LAYER_ID_GATE].state == LAYER_STATE_DEGRADED)
            note_gate(res);
        if (res->network && res->network->lost)
            note(res, LAYER_ID_GATE, "the gate ended early: no network from then on");
    }
    if (res->layer_note[LAYER_ID_WORKSPACE][0])
        l[LAYER_ID_WORKSPACE].state = LAYER_STATE_DEGRADED;
    for (unsigned i = 0; i < res->workspace_count; i++) {
        if (res->workspaces[i].foreign && !res->layer_note[LAYER_ID_WORKSPACE][0])
            note(res, LAYER_ID_WORKSPACE, "a workspace is not the caller's: changes may not become real");
    }
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        if (r->plan.mounts[i].kind == MOUNT_RW)
            note(res, LAYER_ID_ROOT,
                 "writable folders of the host are bound (--rw): what is written there is real");
    }
}

static void finish(struct room *r)
{
    struct result *res = r->result;
    res->stdin_bytes = r->in.bytes;
    res->stdout_bytes = r->out.bytes;
    res->stderr_bytes = r->err.bytes;
    const int lost = r->out.error ? r->out.error : r->err.error ? r->err.error : r->reply.error;
    res->lost_output =
        lost == EPIPE ? 0 : lost; /* a reader that has enough is no failure, and the program had SIGPIPE */
    if (res->report.end_ns)
        res->run_us = (res->report.end_ns - res->report.start_ns) / 1000;
    uint64_t begin = (uint64_t)r->req->started.tv_sec * 1000000 + (uint64_t)r->req->started.tv_nsec / 1000;
    res->build_us = res->report.start_ns ? res->report.start_ns / 1000 - begin : 0;
    room_teardown(r);
    res->status = res->report.status;
    res->outcome = judge(r);
    res->exit_status = exit_status(res);
    if (res->lost_output && res->exit_status == 0)
        res->exit_status = 125; /* the program could not know */
    finish_receipt(r);
    if (r->req->wants_record)
        policy_hash(r->policy, res->hash);
    engine_phase(r, PHASE_DONE);
    res->total_us = res->phase_us[PHASE_DONE] - begin;
}

static void close_all(struct room *r)
{
    keeper_close(r);
    interpreters_close(r);
    jobs_close(r);
    reapers_close(&r->keeper);
    live_close(r);
    terminal_leave(r);
    relay_end(&r->in);
    relay_end(&r->out);
    relay_end(&r->err);
    relay_end(&r->reply);
    for (int i = 0; i < 3; i++) {
        fd_close(&r->pipes[i][0]);
        fd_close(&r->pipes[i][1]);
    }
    fd_close(&r->ctl);
    fd_close(&r->gate_ctl);
    intercept_stop(r);
    publish_close(r);
    unixes_close(r);
    fd_close(&r->proc);
    fd_close(&r->scratch);
    fd_close(&r->notify);
    fd_close(&r->pidfd);
    fd_close(&r->signals);
    fd_close(&r->lifeline);
    fd_close(&r->mounts);
    fd_close(&r->root);
    fd_close(&r->upper);
    changes_close_room(r);
    copies_close(r);
    leaf_place_close(&r->place);
}

/* Nothing is open yet. */
static void begin(struct room *r)
{
    r->tty_fd = r->plan.skeleton_tree = r->ask.fd = -1;
    for (int i = 0; i < POLICY_WORKSPACES_MAX; i++)
        r->lowers[i] = r->entries[i] = r->copies[i] = -1;
    for (int i = 0; i < POLICY_COPIES_MAX; i++)
        r->outs[i] = -1;
    for (int i = 0; i < 3; i++)
        r->pipes[i][0] = r->pipes[i][1] = -1;
    for (int i = 0; i < POLICY_PUBLISH_MAX; i++)
        r->published[i] = -1;
    for (int i = 0; i < EGRESS_UNIX_MAX; i++)
        r->unixes[i].folder = -1;
    for (int i = 0; i < LEAF_HIERARCHIES; i++)
        r->place.parent_fd[i] = -1;
    interpreters_init(&r->keeper);
    jobs_init(&r->keeper);
    reapers_init(&r->keeper);
    r->live.place.rooms = r->live.server.epoll = r->live.notice = r->keeper.logs[0] = r->keeper.logs[1] = -1;
    r->gate_ctl = r->intercept_ctl = r->ctl = r->proc = r->scratch = r->notify = r->pidfd = r->signals =
        r->lifeline = r->mounts = r->upper = r->root = -1;
}

int engine_run(const struct engine_request *req, struct result *result, struct err *e)
{
    static struct room room;
    struct room *r = &room;
    r->req = req;
    r->policy = req->policy;
    r->result = result;
    begin(r);

    engine_phase(r, PHASE_OPTIONS);
    (void)umask(022); /* a caller's 0777 would shut us out of the cgroup that we make; cannot fail */
    int n = inherited_begin(e);
    if (n < 0 || (n = intercept_start(r, e)) < 0 || (n = engine_plan(req, &r->plan, e)) < 0)
        goto out;
    room_choose_identity(&r->plan);
    engine_phase(r, PHASE_PLAN);
    r->mounts = openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    leaf_find_place(&r->place);
    engine_phase(r, PHASE_PLACE);
    if ((n = limits_plan(r, e)) < 0)
        goto out;
    if ((n = take_signals(r)) < 0) {
        err_set(e, ERR_INTERNAL, -n, "take over signals");
        goto out;
    }
    if (r->plan.tty)
        terminal_resize(r);
    ask_open(r);
    if ((n = publish_open(r, e)) < 0 || (n = unixes_open(r, e)) < 0 || (n = live_open(r, e)) < 0 ||
        (n = intercept_read_secrets(r, e)) < 0)
        goto out;
    if (req->detached && (n = keeper_open(r)) < 0) {
        err_set(e, ERR_ROOM, -n, "make the room's logs");
        goto out;
    }
    if ((n = copies_prepare(r, e)) < 0 || (n = changes_prepare(r, e)) < 0) {
        changes_keep(r);
        goto out;
    }
    if ((n = room_spawn(r, e)) < 0) {
        finish(r);
        goto out;
    }
    start_relays(r);
    n = room_supervise(r, e);
    guard_close(r);
    ask_close(r);
    terminal_leave(r);
    finish(r);
    copies_take(r);
    changes_keep(r);
    if (n == 0 && (result->outcome == OUTCOME_NO_ROOM || result->outcome == OUTCOME_NOT_RUN))
        n = r->killed && r->why == OUTCOME_INTERRUPTED
                ? err_set(e, ERR_ROOM, 0, "build the room: interrupted")
            : result->network && result->network->failed[0]
                ? err_set(e, ERR_ROOM, 0, "start the gate: %s", result->network->failed)
            : r->killed && !r->failed ? err_set(e, ERR_ROOM, ETIMEDOUT, "build the room")
                                      : explain_failure(r, e);
    if (n < 0)
        result->exit_status = err_exit_status(e ? e->kind : ERR_ROOM);
out:
    if (n < 0)
        inherited_hint(e);
    if (n < 0 && !result->exit_status)
        result->exit_status = err_exit_status(e ? e->kind : ERR_ROOM);
    close_all(r);
    return n;
}

int engine_restart_in_scope(int argc, char **argv, struct err *e)
{
    return leaf_reexec_in_scope(argc, argv, e);
}
