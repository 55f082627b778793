/* result: says what happened, to programs (JSON) and to people.
 * Pure: bytes in, text out. Every name comes from the tables. */
#include "engine/result.h"
#include "base/json.h"
#include "base/num.h"
#include "policy/seccomp.h"

#include <string.h>
#include <sys/wait.h>

static const struct {
    const char *name, *text;
} outcomes[OUTCOME_COUNT] = {
#define X(id, name, text) {name, text},
    OUTCOME_TABLE(X)
#undef X
};

const char *outcome_name(enum outcome o)
{
    return o < OUTCOME_COUNT ? outcomes[o].name : "?";
}

const char *outcome_text(enum outcome o)
{
    return o < OUTCOME_COUNT ? outcomes[o].text : "?";
}

static const char *const phase_names[] = {
#define X(id, name) name,
    PHASE_TABLE(X)
#undef X
};

static const char *const state_names[] = {
    [LAYER_STATE_OFF] = "off", [LAYER_STATE_DEGRADED] = "degraded", [LAYER_STATE_ON] = "on"};
static const char *const unit_names[] = {
    [LIMIT_BYTES] = "bytes", [LIMIT_COUNT] = "count", [LIMIT_MILLI] = "milli-cpus", [LIMIT_MS] = "ms"};

static const struct {
    unsigned bit;
    const char *name;
} holder_names[] = {
    {LIMIT_BY_CGROUP2, "cgroup2"}, {LIMIT_BY_CGROUP1, "cgroup1"}, {LIMIT_BY_RLIMIT, "rlimit"},
    {LIMIT_BY_TMPFS, "tmpfs"},     {LIMIT_BY_TIMER, "timer"},     {LIMIT_BY_RELAY, "relay"},
    {LIMIT_BY_WATCH, "watch"},     {LIMIT_BY_WEIGHT, "weight"},
};

/* --- JSON ----------------------------------------------------------------------------------------------- */

static void known(struct json *j, const char *key, uint64_t v)
{
    if (v == UINT64_MAX)
        json_null(j, key);
    else
        json_unum(j, key, v);
}

static void json_limits(struct json *j, const struct result *r)
{
    json_open(j, "limits", '{');
    for (int i = 0; i < LIMIT_ID_COUNT; i++) {
        const struct limit_report *l = &r->limits[i];
        json_open(j, limit_rows[i].name, '{');
        json_str(j, "unit", unit_names[limit_rows[i].unit]);
        known(j, "asked", l->asked);
        json_open(j, "enforced_by", '[');
        for (size_t k = 0; k < sizeof holder_names / sizeof *holder_names; k++) {
            if (l->by & holder_names[k].bit)
                json_str(j, NULL, holder_names[k].name);
        }
        json_close(j, ']');
        known(j, "peak", l->peak);
        json_unum(j, "hits", l->hits);
        json_bool(j, "degraded", (l->by & (LIMIT_BY_WATCH | LIMIT_BY_WEIGHT)) != 0);
        if (r->limit_note[i][0])
            json_str(j, "note", r->limit_note[i]);
        json_close(j, '}');
    }
    json_close(j, '}');
}

/* Walls of what this room does not have: a network, workspaces. */
static bool result_skips(const struct result *r, int layer)
{
    return (layer == LAYER_ID_GATE && !(r->network && r->network->outward)) ||
           (layer == LAYER_ID_WORKSPACE && !r->workspace_count);
}

static void json_receipt(struct json *j, const struct result *r)
{
    json_open(j, "receipt", '{');
    for (int i = 0; i < LAYER_ID_COUNT; i++) {
        const struct report_layer *l = &r->report.layers[i];
        if (result_skips(r, i))
            continue; /* no wall of a room without a network */
        json_open(j, layer_rows[i].name, '{');
        json_str(j, "state", state_names[l->state <= LAYER_STATE_ON ? l->state : LAYER_STATE_OFF]);
        json_bool(j, "probed", l->probed);
        if (l->code)
            json_num(j, "errno", l->code);
        if (r->layer_note[i][0])
            json_str(j, "note", r->layer_note[i]);
        json_close(j, '}');
    }
    json_close(j, '}');
}

static const struct {
    const char *why, *allow;
} observed_whys[OBSERVED_WHY_COUNT] = {
#define X(id, why, allow) {why, allow},
    OBSERVED_TABLE(X)
#undef X
};

/* The exact option; nothing where none would be accepted. */
static bool allow_text(const struct observed *o, struct sbuf *out)
{
    const char *allow = observed_whys[o->why].allow;
    if (!allow || strncmp(o->object, "/sys", 4) == 0 || strncmp(o->object, "/proc", 5) == 0 ||
        strncmp(o->object, "/dev", 4) == 0)
        return false;
    sbuf_text(out, allow);
    if (o->why != OBSERVED_NO_NETWORK)
        sbuf_escaped(out, o->object);
    return true;
}

static void json_observed(struct json *j, const struct observed *o)
{
    char allow[2 * OBSERVED_MAX];
    struct sbuf b = SBUF(allow);
    json_open(j, NULL, '{');
    json_str(j, "layer", layer_rows[o->why == OBSERVED_NO_NETWORK ? LAYER_ID_NET : LAYER_ID_ROOT].name);
    json_str(j, "what", o->what);
    json_str(j, "object", o->object);
    json_unum(j, "count", o->count);
    json_str(j, "why", observed_whys[o->why].why);
    json_str(j, "allow", allow_text(o, &b) ? allow : NULL);
    json_close(j, '}');
}

static void json_denials(struct json *j, const struct result *r)
{
    json_open(j, "denials", '[');
    for (size_t i = 0; i < r->denials.n; i++) {
        const struct denial *d = &r->denials.rows[i];
        const char *name = syscall_name(d->nr), *why = syscall_why_denied(d->nr);
        json_open(j, NULL, '{');
        json_str(j, "layer", layer_rows[LAYER_ID_SECCOMP].name);
        json_str(j, "what", name ? name : "?");
        json_num(j, "nr", d->nr);
        json_unum(j, "count", d->count);
        json_str(j, "why", why);
        json_close(j, '}');
    }
    for (size_t i = 0; i < r->denials.observed_count; i++)
        json_observed(j, &r->denials.observed[i]);
    if (r->network)
        network_json_denials(j, r->network);
    json_close(j, ']');
    json_unum(j, "denials_untold", r->denials.other);
}

static void json_usage(struct json *j, const struct result *r)
{
    const struct report *p = &r->report;
    json_open(j, "usage", '{');
    json_unum(j, "user_us", p->utime_us);
    json_unum(j, "system_us", p->stime_us);
    json_unum(j, "max_rss_bytes", p->maxrss_kib << 10);
    json_unum(j, "minor_faults", p->minflt);
    json_unum(j, "major_faults", p->majflt);
    json_unum(j, "voluntary_switches", p->nvcsw);
    json_unum(j, "involuntary_switches", p->nivcsw);
    json_close(j, '}');
}

static void json_teardown(struct json *j, const struct teardown *t)
{
    json_open(j, "teardown", '{');
    json_num(j, "survivors", t->survivors);
    json_num(j, "mounts", t->mounts);
    json_num(j, "cgroups", t->cgroups);
    json_unum(j, "us", t->us);
    json_close(j, '}');
}

static void json_copies(struct json *j, const struct result *r)
{
    json_open(j, "copies", '[');
    for (size_t i = 0; i < r->copy_count; i++) {
        const struct result_copy *c = &r->copies[i];
        json_open(j, NULL, '{');
        json_str(j, "src", c->src);
        json_str(j, "dst", c->dst);
        json_unum(j, "files", c->totals.added);
        json_unum(j, "bytes", c->totals.bytes_added);
        json_unum(j, "left_out", c->totals.left_out);
        json_str(j, "failed", c->failed[0] ? c->failed : NULL);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_workspaces(struct json *j, const struct result *r)
{
    json_open(j, "workspaces", '[');
    for (unsigned i = 0; i < r->workspace_count; i++) {
        const struct result_workspace *w = &r->workspaces[i];
        char at[POLICY_PATH_MAX + 1];
        struct sbuf b = SBUF(at);
        if (!w->dir || w->fleeting)
            continue;
        sbuf_fmt(&b, "/%s", w->at);
        json_open(j, NULL, '{');
        json_str(j, "dir", w->dir);
        json_str(j, "at", at);
        json_str(j, "changes", w->id[0] ? w->id : NULL);
        json_str(j, "state", w->id[0] ? store_state_name(w->state) : NULL);
        json_unum(j, "deleted", w->totals.deleted);
        json_unum(j, "modified", w->totals.modified);
        json_unum(j, "added", w->totals.added);
        json_unum(j, "bytes_deleted", w->totals.bytes_deleted);
        json_unum(j, "bytes_added", w->totals.bytes_added);
        json_unum(j, "alarms", w->totals.alarms);
        json_unum(j, "left_out", w->totals.left_out);
        json_str(j, "failed", w->failed[0] ? w->failed : NULL);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void result_json(const struct result *r, const struct policy *p, bool pretty, struct sbuf *out)
{
    struct json j = {.out = out, .pretty = pretty};
    json_open(&j, NULL, '{');
    json_str(&j, "strongroom", STRONGROOM_VERSION);
    json_str(&j, "name", p->name);
    json_str(&j, "outcome", outcome_name(r->outcome));
    json_num(&j, "exit_status", r->exit_status);
    if (r->has_room && r->report.type == REPORT_EXITED && WIFEXITED(r->status))
        json_num(&j, "program_exit", WEXITSTATUS(r->status));
    else
        json_null(&j, "program_exit");
    if (r->has_room && r->report.type == REPORT_EXITED && WIFSIGNALED(r->status))
        json_num(&j, "program_signal", WTERMSIG(r->status));
    else
        json_null(&j, "program_signal");
    json_open(&j, "time", '{');
    json_unum(&j, "total_us", r->total_us);
    json_unum(&j, "build_us", r->build_us);
    json_unum(&j, "run_us", r->run_us);
    json_close(&j, '}');
    json_usage(&j, r);
    json_open(&j, "bytes", '{');
    json_unum(&j, "stdin", r->stdin_bytes);
    json_unum(&j, "stdout", r->stdout_bytes);
    json_unum(&j, "stderr", r->stderr_bytes);
    json_close(&j, '}');
    json_limits(&j, r);
    json_receipt(&j, r);
    json_denials(&j, r);
    if (r->network)
        network_json(&j, r->network, r->authority);
    json_workspaces(&j, r);
    json_copies(&j, r);
    json_teardown(&j, &r->teardown);
    json_unum(&j, "host_uid", r->uid_outside);
    json_unum(&j, "landlock_abi", r->report.landlock_abi);
    json_str(&j, "policy_sha256", r->hash);
    json_close(&j, '}');
    sbuf_char(out, '\n');
}

/* --- for people ----------------------------------------------------------------------------------------- */

static void value(struct sbuf *out, enum limit_unit unit, uint64_t v)
{
    char text[NUM_TEXT_MAX];
    if (v == LIMIT_UNLIMITED)
        sbuf_char(out, '-');
    else if (unit == LIMIT_BYTES)
        sbuf_text(out, num_size_text(v, text));
    else if (unit == LIMIT_MS)
        sbuf_text(out, num_duration_text(v, text));
    else if (unit == LIMIT_MILLI)
        sbuf_fmt(out, "%u.%02u", (unsigned)(v / 1000), (unsigned)(v % 1000 / 10));
    else
        sbuf_fmt(out, "%llu", (unsigned long long)v);
}

static void explain_limits(const struct result *r, struct sbuf *out)
{
    sbuf_text(out, "strongroom: limit         asked      peak       hit  held by\n");
    for (int i = 0; i < LIMIT_ID_COUNT; i++) {
        const struct limit_report *l = &r->limits[i];
        char asked[NUM_TEXT_MAX], peak[NUM_TEXT_MAX];
        struct sbuf a = SBUF(asked), p = SBUF(peak);
        value(&a, limit_rows[i].unit, l->asked);
        value(&p, limit_rows[i].unit, l->peak);
        sbuf_fmt(out, "strongroom:   %-11s %-10s %-10s %-4s", limit_rows[i].name, asked, peak,
                 l->hits ? "yes" : "no");
        for (size_t k = 0; k < sizeof holder_names / sizeof *holder_names; k++) {
            if (l->by & holder_names[k].bit)
                sbuf_fmt(out, " %s", holder_names[k].name);
        }
        if (r->limit_note[i][0])
            sbuf_fmt(out, " (%s)", r->limit_note[i]);
        sbuf_char(out, '\n');
    }
}

static void explain_receipt(const struct result *r, struct sbuf *out)
{
    unsigned on = 0, probed = 0;
    for (int i = 0; i < LAYER_ID_COUNT; i++) {
        on += r->report.layers[i].state == LAYER_STATE_ON;
        probed += r->report.layers[i].state == LAYER_STATE_ON && r->report.layers[i].probed;
    }
    sbuf_fmt(out, "strongroom: receipt: %u of %u layers on, %u of them tried from inside\n", on,
             LAYER_ID_COUNT - !(r->network && r->network->outward) - !r->workspace_count, probed);
    for (int i = 0; i < LAYER_ID_COUNT; i++) {
        const struct report_layer *l = &r->report.layers[i];
        if (result_skips(r, i))
            continue;
        sbuf_fmt(out, "strongroom:   %-12s %-8s %s %s", layer_rows[i].name,
                 state_names[l->state <= LAYER_STATE_ON ? l->state : LAYER_STATE_OFF],
                 l->probed ? "tried" : "set  ", layer_rows[i].what);
        if (r->layer_note[i][0])
            sbuf_fmt(out, " [%s]", r->layer_note[i]);
        else if (l->code)
            sbuf_fmt(out, " [%s]", strerror(l->code));
        sbuf_char(out, '\n');
    }
}

static void explain_denials(const struct result *r, struct sbuf *out)
{
    for (size_t i = 0; i < r->denials.n; i++) {
        const struct denial *d = &r->denials.rows[i];
        const char *name = syscall_name(d->nr), *why = syscall_why_denied(d->nr);
        sbuf_fmt(out, "strongroom: denied %s", name ? name : "an unnamed call");
        if (d->count > 1)
            sbuf_fmt(out, " (%llu times)", (unsigned long long)d->count);
        if (why)
            sbuf_fmt(out, ": %s", why);
        sbuf_char(out, '\n');
    }
    for (size_t i = 0; i < r->denials.observed_count; i++) {
        const struct observed *o = &r->denials.observed[i];
        char allow[2 * OBSERVED_MAX];
        struct sbuf b = SBUF(allow);
        sbuf_fmt(out, "strongroom: denied %s ", o->what);
        sbuf_escaped(out, o->object);
        sbuf_fmt(out, ": %s", observed_whys[o->why].why);
        if (allow_text(o, &b))
            sbuf_fmt(out, "; allow with: %s", allow);
        sbuf_char(out, '\n');
    }
    if (r->denials.other)
        sbuf_fmt(out, "strongroom: denied %llu calls of other kinds\n", (unsigned long long)r->denials.other);
}

static void how_it_ended(const struct result *r, struct sbuf *out)
{
    if (r->outcome == OUTCOME_EXITED)
        sbuf_fmt(out, "exit status %d", WEXITSTATUS(r->status));
    else if (r->outcome == OUTCOME_SIGNALLED)
        sbuf_fmt(out, "signal %d (%s)", WTERMSIG(r->status), strsignal(WTERMSIG(r->status)));
    else
        sbuf_text(out, outcome_text(r->outcome));
}

void result_explain(const struct result *r, struct sbuf *out)
{
    sbuf_text(out, "strongroom: ");
    how_it_ended(r, out);
    sbuf_fmt(out, "; room built in %llu.%03llu ms, ran %llu.%03llu ms\n",
             (unsigned long long)r->build_us / 1000, (unsigned long long)r->build_us % 1000,
             (unsigned long long)r->run_us / 1000, (unsigned long long)r->run_us % 1000);
    sbuf_fmt(out, "strongroom: bytes: stdin %llu, stdout %llu, stderr %llu\n",
             (unsigned long long)r->stdin_bytes, (unsigned long long)r->stdout_bytes,
             (unsigned long long)r->stderr_bytes);
    explain_denials(r, out);
    if (r->network) {
        network_denials(r->network, NETWORK_ROWS_MAX, out);
        network_kept(r->network, out);
        network_explain(r->network, out);
    }
    explain_limits(r, out);
    explain_receipt(r, out);
    sbuf_fmt(out, "strongroom: teardown: survivors %d, mounts %d, cgroups %d, in %llu.%03llu ms\n",
             r->teardown.survivors, r->teardown.mounts, r->teardown.cgroups,
             (unsigned long long)r->teardown.us / 1000, (unsigned long long)r->teardown.us % 1000);
    sbuf_fmt(out, "strongroom: policy sha256 %s\n", r->hash);
}

/* The option that moves a bound. */
static void brief_limit(const struct result *r, enum limit_id id, struct sbuf *out)
{
    sbuf_fmt(out, "strongroom: %s limit ", limit_rows[id].name);
    value(out, limit_rows[id].unit, r->limits[id].asked);
    sbuf_fmt(out, " reached; the room was ended\nstrongroom: hint: raise it with --%s\n",
             limit_rows[id].name);
}

static void brief_upper(const struct result *r, struct sbuf *out)
{
    sbuf_text(out, "strongroom: the changes' own size ");
    value(out, limit_rows[LIMIT_ID_DISK].unit, r->upper_cap);
    sbuf_text(out, " reached; the room was ended\nstrongroom: hint: raise it with --upper disk:SIZE\n");
}

void result_brief(const struct result *r, struct sbuf *out)
{
    if (r->lost_output)
        sbuf_fmt(out, "strongroom: write the program's output: %s; the rest of it is lost\n",
                 strerror(r->lost_output));
    switch (r->outcome) {
    case OUTCOME_MEMORY:
        brief_limit(r, LIMIT_ID_MEMORY, out);
        break;
    case OUTCOME_TIMEOUT:
        brief_limit(r, LIMIT_ID_TIMEOUT, out);
        break;
    case OUTCOME_CPU_TIME:
        brief_limit(r, LIMIT_ID_CPU_TIME, out);
        break;
    case OUTCOME_OUTPUT:
        brief_limit(r, LIMIT_ID_OUTPUT, out);
        break;
    case OUTCOME_DISK:
        if (r->upper_cap)
            brief_upper(r, out);
        else
            brief_limit(r, LIMIT_ID_DISK, out);
        break;
    case OUTCOME_GUARD:
        sbuf_fmt(
            out,
            "strongroom: %s; the room was ended\nstrongroom: hint: more are let pass by --guard-deletes\n",
            r->guard_note);
        break;
    case OUTCOME_INTERRUPTED:
    case OUTCOME_LOST:
        sbuf_fmt(out, "strongroom: %s\n", outcome_text(r->outcome));
        break;
    default:
        if (r->limits[LIMIT_ID_PIDS].hits)
            sbuf_fmt(out, "strongroom: pids limit %llu reached (%llu forks refused); raise it with --pids\n",
                     (unsigned long long)r->limits[LIMIT_ID_PIDS].asked,
                     (unsigned long long)r->limits[LIMIT_ID_PIDS].hits);
        if (r->limits[LIMIT_ID_MEMORY].hits)
            sbuf_text(out, "strongroom: the memory limit was reached and processes were killed; raise it "
                           "with --memory\n");
        break;
    }
    for (size_t i = 0; i < r->copy_count; i++) {
        const struct result_copy *c = &r->copies[i];
        if (!c->failed[0] && c->totals.left_out)
            sbuf_fmt(
                out,
                "strongroom: copied out %s, but for %llu of its files: links that lead out, special files\n",
                c->src, (unsigned long long)c->totals.left_out);
    }
    if (r->network) {
        network_denials(r->network, 8, out);
        network_kept(r->network, out);
    }
}

void result_failures(const struct result *r, struct sbuf *out)
{
    for (size_t i = 0; i < r->copy_count; i++) {
        if (r->copies[i].failed[0])
            sbuf_fmt(out, "strongroom: %s\n", r->copies[i].failed);
    }
    if (r->has_room && (r->teardown.survivors > 0 || r->teardown.cgroups > 0 || r->teardown.mounts > 0))
        sbuf_fmt(out, "strongroom: left behind: survivors %d, mounts %d, cgroups %d\n", r->teardown.survivors,
                 r->teardown.mounts, r->teardown.cgroups);
}

void result_trace(const struct result *r, struct sbuf *out)
{
    uint64_t sum = 0;
    sbuf_text(out, "strongroom:  step            us\n");
    for (int i = 0; i < STEP_COUNT; i++) {
        uint32_t ns = r->report.step_ns[i];
        sum += ns;
        sbuf_fmt(out, "strongroom:  %-13s %5u.%u\n", step_rows[i].name, ns / 1000, ns % 1000 / 100);
    }
    sbuf_fmt(out, "strongroom:  all steps     %5llu\n", (unsigned long long)sum / 1000);
    sbuf_text(out, "strongroom:  supervisor      us\n");
    uint64_t before = r->phase_us[PHASE_DONE] - r->total_us;
    for (int i = 0; i < PHASE_COUNT; i++) {
        if (!r->phase_us[i])
            continue;
        sbuf_fmt(out, "strongroom:  = %-12s %4llu\n", phase_names[i],
                 (unsigned long long)(r->phase_us[i] - before));
        before = r->phase_us[i];
    }
    sbuf_fmt(out, "strongroom:  total         %5llu\n", (unsigned long long)r->total_us);
}
