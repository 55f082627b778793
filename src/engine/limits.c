/* limits: who holds which bound in this room, and what was met.
 *
 * One row a limit: the bits of LIMIT_BY_* that can hold it here, in order of preference. A limit that nothing
 * holds is an error where the policy requires it.
 *
 * Lives in: the supervisor. Trusts: the leaf's own answers. */
#include "base/num.h"
#include "engine/inner.h"
#include "sys/fd.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

struct holder {
    unsigned always;   /* holds it with every kernel and user */
    bool by_leaf;      /* the cgroup leaf can hold it */
    unsigned fallback; /* holds it when the leaf does not: weaker, and labelled */
    const char *note; /* what is weaker about the fallback, or about every holder where no leaf can hold it */
};

static const struct holder holders[LIMIT_ID_COUNT] = {
    [LIMIT_ID_MEMORY] = {0, true, LIMIT_BY_WATCH,
                         "no memory cgroup: usage is sampled every 20 ms, and each process's data is capped; "
                         "memfd and unmapped shared pages escape it"},
    [LIMIT_ID_CPUS] = {0, true, LIMIT_BY_WEIGHT, "no cpu cgroup: lower priority only, no ceiling"},
    [LIMIT_ID_CPU_TIME] = {LIMIT_BY_RLIMIT, false, 0, "per process"},
    [LIMIT_ID_PIDS] = {LIMIT_BY_RLIMIT, true, 0, NULL},
    [LIMIT_ID_FILES] = {LIMIT_BY_RLIMIT, false, 0, "per process"},
    [LIMIT_ID_FILE_SIZE] = {LIMIT_BY_RLIMIT, false, 0, NULL},
    [LIMIT_ID_DISK] = {LIMIT_BY_TMPFS, false, 0, "peak: sampled, and as it was at the end"},
    [LIMIT_ID_INODES] = {LIMIT_BY_TMPFS, false, 0, "peak: sampled, and as it was at the end"},
    [LIMIT_ID_OUTPUT] = {LIMIT_BY_RELAY, false, 0, NULL},
    [LIMIT_ID_TIMEOUT] = {LIMIT_BY_TIMER, false, 0, NULL},
};

static void note(struct room *r, enum limit_id id, const char *text)
{
    struct sbuf b = SBUF(r->result->limit_note[id]);
    sbuf_text(&b, text);
}

/* The kernel bounds the processes of everybody but its own uid 0, which a room of root's may have to share: tried, for
 * below other user namespaces our 0 may be anybody. */
static bool rlimit_bounds_pids(void)
{
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        if (setrlimit(RLIMIT_NPROC, &none) < 0)
            _exit(1);
        const pid_t one = fork();
        if (one == 0)
            _exit(0);
        const int code = errno;
        if (one > 0)
            (void)waitpid(one, NULL, 0);
        _exit(one < 0 && code == EAGAIN ? 0 : 1);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int plan_one(struct room *r, enum limit_id id, struct err *e)
{
    const struct holder *h = &holders[id];
    struct limit_report *l = &r->result->limits[id];
    const bool leaf = h->by_leaf && r->place.version != LEAF_NONE && (r->place.limits >> id & 1);
    l->asked = r->policy->limits[id];
    l->peak = UINT64_MAX;
    if (l->asked == LIMIT_UNLIMITED)
        return 0;
    l->by = h->always;
    if (id == LIMIT_ID_PIDS && !leaf && r->plan.is_root_outside && !rlimit_bounds_pids())
        l->by = 0;
    if (leaf)
        l->by |= r->place.version == LEAF_V2 ? LIMIT_BY_CGROUP2 : LIMIT_BY_CGROUP1;
    if (l->by) {
        if (h->note && !h->by_leaf)
            note(r, id, h->note);
        return 0;
    }
    if (r->policy->limit_demand[id] == LAYER_REQUIRE) {
        int n = err_set(e, ERR_LIMIT, 0, "enforce the limit %s: %s", limit_rows[id].name,
                        r->place.why[0] ? r->place.why : "no cgroup of ours carries its controller");
        err_hint(
            e,
            "delegate a cgroup to this user (`strongroom doctor` says how), %saccept less with --prefer %s",
            id == LIMIT_ID_PIDS ? "start as another user than root, or " : "or ", limit_rows[id].name);
        return n;
    }
    l->by = h->fallback;
    if (h->note)
        note(r, id, h->note);
    return 0;
}

/* A memory cgroup charges files in memory to the room. Where none does, no such file system may hold more than the
 * room's memory. */
static void cap_scratch(struct room *r, uint64_t memory)
{
    struct room_plan *p = &r->plan;
    if (p->scratch_bytes == 0 || p->scratch_bytes > memory) {
        p->scratch_bytes = memory;
        note(r, LIMIT_ID_DISK, "no memory cgroup: no more than the memory limit each");
    }
    for (size_t i = 0; i < p->mount_count; i++) {
        struct plan_mount *m = &p->mounts[i];
        if (m->kind == MOUNT_TMPFS && (m->size == 0 || m->size > memory))
            m->size = memory;
    }
}

int limits_plan(struct room *r, struct err *e)
{
    for (int i = 0; i < LIMIT_ID_COUNT; i++) {
        int n = plan_one(r, (enum limit_id)i, e);
        if (n < 0)
            return n;
    }
    cpu_set_t set;
    const struct limit_report *l = r->result->limits;
    r->processors = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    r->watching = l[LIMIT_ID_MEMORY].by == LIMIT_BY_WATCH || l[LIMIT_ID_CPU_TIME].asked != LIMIT_UNLIMITED;
    if (l[LIMIT_ID_MEMORY].by == LIMIT_BY_WATCH)
        cap_scratch(r, l[LIMIT_ID_MEMORY].asked);
    if (l[LIMIT_ID_MEMORY].by == LIMIT_BY_WATCH && r->plan.rlimit_count < PLAN_RLIMITS_MAX)
        r->plan.rlimits[r->plan.rlimit_count++] =
            (struct plan_rlimit){.resource = RLIMIT_DATA, .value = (rlim_t)l[LIMIT_ID_MEMORY].asked};
    if (l[LIMIT_ID_CPUS].by == LIMIT_BY_WEIGHT)
        r->plan.nice = 10;
    if (r->place.version == LEAF_NONE && r->policy->layers[LAYER_ID_CGROUP] == LAYER_REQUIRE) {
        int n = err_set(e, ERR_LIMIT, 0, "require the layer cgroup: %s", r->place.why);
        err_hint(e, "`strongroom doctor` says how to delegate a cgroup to this user");
        return n;
    }
    return 0;
}

static void most(uint64_t *have, uint64_t v)
{
    if (v != UINT64_MAX && (*have == UINT64_MAX || v > *have))
        *have = v;
}

static void read_leaf(struct room *r)
{
    struct limit_report *l = r->result->limits;
    struct leaf_usage u;
    leaf_read(&r->leaf, &u, r->req->wants_record);
    most(&l[LIMIT_ID_MEMORY].peak, u.memory_peak);
    most(&l[LIMIT_ID_PIDS].peak, u.pids_peak);
    if (u.oom_kills != UINT64_MAX)
        l[LIMIT_ID_MEMORY].hits += u.oom_kills;
    if (u.pids_refused != UINT64_MAX)
        l[LIMIT_ID_PIDS].hits += u.pids_refused;
    if (u.throttled != UINT64_MAX)
        l[LIMIT_ID_CPUS].hits += u.throttled;
    if (u.cpu_us != UINT64_MAX)
        most(&l[LIMIT_ID_CPU_TIME].peak, u.cpu_us / 1000);
}

static void see_use(struct limit_report *l, uint64_t all, uint64_t free, uint64_t unit)
{
    if (l->asked == LIMIT_UNLIMITED)
        return;
    most(&l->peak, (all - free) * unit);
    if (free == 0 &&
        l->hits == 0) /* once: from outside, one that is met again looks like one that stays met */
        l->hits = 1;
}

/* How full the scratch file system is, now. Nothing tells of a write that found it full, so one that was met and made
 * room for again between two looks is not seen; who meets it mostly says so, and the output is a moment to look. */
void limits_look_at_scratch(struct room *r)
{
    struct limit_report *l = r->result->limits;
    struct statfs s;
    if (r->scratch < 0 || fstatfs(r->scratch, &s) < 0)
        return;
    see_use(&l[LIMIT_ID_DISK], s.f_blocks, s.f_bfree, (uint64_t)s.f_bsize);
    see_use(&l[LIMIT_ID_INODES], s.f_files, s.f_ffree, 1);
}

bool limits_used_up_cpu(const struct room *r)
{
    const struct limit_report *l = &r->result->limits[LIMIT_ID_CPU_TIME];
    const struct report *report = &r->result->report;
    return r->exited && WIFSIGNALED(report->status) && WTERMSIG(report->status) == SIGXCPU &&
           l->asked != LIMIT_UNLIMITED && l->peak != UINT64_MAX && l->peak >= l->asked;
}

void limits_read(struct room *r)
{
    struct limit_report *l = r->result->limits;
    const struct report *report = &r->result->report;
    if (r->has_leaf)
        read_leaf(r);
    limits_look_at_scratch(r); /* it outlives the room by our descriptor, */
    fd_close(&r->scratch);     /* and its pages are charged to the room's cgroup */
    if (r->cpu_seen_us)
        most(&l[LIMIT_ID_CPU_TIME].peak, r->cpu_seen_us / 1000);
    if (r->memory_seen)
        most(&l[LIMIT_ID_MEMORY].peak, r->memory_seen);
    if (r->exited) {
        most(&l[LIMIT_ID_CPU_TIME].peak, (report->utime_us + report->stime_us) / 1000);
        l[LIMIT_ID_CPU_TIME].hits += limits_used_up_cpu(r);
        if (WIFSIGNALED(report->status) && WTERMSIG(report->status) == SIGXFSZ &&
            l[LIMIT_ID_FILE_SIZE].asked != LIMIT_UNLIMITED)
            l[LIMIT_ID_FILE_SIZE].hits++;
        if (l[LIMIT_ID_MEMORY].peak == UINT64_MAX)
            l[LIMIT_ID_MEMORY].peak = report->maxrss_kib << 10;
    }
    l[LIMIT_ID_OUTPUT].peak = r->result->stdout_bytes + r->result->stderr_bytes;
    l[LIMIT_ID_TIMEOUT].peak = r->result->run_us / 1000;
}
