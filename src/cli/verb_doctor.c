/* verb_doctor: `strongroom doctor [--json] [--fix [--dry-run]]`.
 *
 * Tries each facility that rooms are built from (probe/host.h), then makes a room, and says what each lack
 * costs and how it is mended on this very host. stdout is the answer: a table, JSON, or (--fix without root,
 * --dry-run) lines for a root shell. stderr is talk.
 *
 * Lives in: the command. Trusts: nothing of argv. Must not: change the host without --fix. */
#include "base/json.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/trial.h"
#include "probe/remedy.h"

#include <string.h>
#include <unistd.h>

#define TEXT_MAX  (32 << 10)
#define FIXES_MAX 16

struct options {
    bool help, json, fix, dry_run;
};

/* A room made now. */
enum verdict {
    ROOM_FULL,
    ROOM_WITHOUT,
    ROOM_NONE
}; /* ROOM_WITHOUT: only when required layers are given up */

struct examination {
    struct host_facts facts;
    struct facility_answer answers[FACILITY_COUNT];
    struct remedy remedies[FACILITY_COUNT];
    struct fix fixes[FIXES_MAX]; /* without doubles */
    size_t fix_count;
    enum verdict verdict;
    struct trial_end room;
    struct trial_end gate; /* the same room with a network by rule */
    struct err refusal;    /* why the default room could not be made */
};

static struct examination exam;
static char text[TEXT_MAX];

/* --- examination ---------------------------------------------------------------------------------------- */

static void add_fixes(struct examination *x, const struct remedy *r)
{
    for (size_t i = 0; i < r->fix_count && x->fix_count < FIXES_MAX; i++) {
        bool known = false;
        for (size_t k = 0; k < x->fix_count; k++)
            known |= x->fixes[k].kind == r->fixes[i].kind && x->fixes[k].key == r->fixes[i].key;
        if (!known)
            x->fixes[x->fix_count++] = r->fixes[i];
    }
}

static void prefer_all(struct policy *p)
{
    for (int i = 0; i < LAYER_ID_COUNT; i++)
        (void)policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "prefer", layer_rows[i].name, NULL);
}

/* Makes a room with the default policy, or with a gate besides, and ends it. */
static void make_room(bool lenient, bool gate, struct trial_end *ret)
{
    static char word[] = "true";
    char *argv[] = {word, NULL};
    const int stdio[3] = {-1, -1, -1};
    struct trial t;
    struct policy *p = policy_new();
    struct err e = {0};
    memset(ret, 0, sizeof *ret);
    if (!p)
        return;
    (void)policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "timeout", "5s", NULL);
    if (gate)
        (void)policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "net", "gate", NULL);
    if (lenient)
        prefer_all(p);
    if (policy_check(p, NULL, NULL, &e) == 0 && trial_start(&t, p, argv, stdio, NULL, NULL) == 0)
        trial_finish(&t, 10000, ret);
    policy_free(p);
}

static bool has_room(const struct trial_end *t)
{
    return t->ended && (t->result.has_room || t->result.outcome == OUTCOME_NOT_RUN);
}

static void try_room(struct examination *x)
{
    x->verdict = ROOM_FULL;
    make_room(false, false, &x->room);
    if (has_room(&x->room))
        return;
    x->refusal = x->room.e;
    if (!x->room.ended)
        (void)err_set(&x->refusal, ERR_ROOM, 0, "make a room: its supervisor ended without a word");
    x->verdict = ROOM_WITHOUT;
    make_room(true, false, &x->room);
    if (!has_room(&x->room))
        x->verdict = ROOM_NONE;
}

static void try_gate(struct examination *x)
{
    if (x->verdict == ROOM_NONE)
        return;
    make_room(x->verdict == ROOM_WITHOUT, true, &x->gate);
    if (!x->gate.ended)
        (void)err_set(&x->gate.e, ERR_ROOM, 0, "its supervisor ended without a word");
}

static enum layer_state gate_state(const struct examination *x)
{
    return has_room(&x->gate) ? (enum layer_state)x->gate.result.report.layers[LAYER_ID_GATE].state
                              : LAYER_STATE_OFF;
}

static void examine(struct examination *x)
{
    memset(x, 0, sizeof *x);
    facts_read(&x->facts);
    host_begin();
    for (int i = 0; i < FACILITY_COUNT; i++) {
        host_probe((enum facility)i, &x->facts, &x->answers[i]);
    }
    for (int i = 0; i < FACILITY_COUNT; i++) {
        if (remedy_cause(x->answers, (enum facility)i) != (enum facility)i)
            continue;
        remedy_find(&x->facts, (enum facility)i, &x->answers[i], &x->remedies[i]);
        if (facility_rows[i].need != NEED_LATER)
            add_fixes(x, &x->remedies[i]);
    }
    try_room(x);
    try_gate(x);
    host_end();
}

/* --- for people ----------------------------------------------------------------------------------------- */

static bool is_fine(const struct facility_answer *a)
{
    return a->state == FACILITY_OK || a->state == FACILITY_SKIPPED;
}

static void say_table(const struct examination *x, struct sbuf *out)
{
    const struct host_facts *h = &x->facts;
    sbuf_escaped(out, h->distro_name[0] ? h->distro_name : "unknown distribution");
    sbuf_text(out, ", kernel ");
    sbuf_escaped(out, h->release);
    sbuf_fmt(out, ", as uid %u%s%s\n\n", (unsigned)h->uid,
             h->container == CONTAINER_DOCKER   ? ", in docker"
             : h->container == CONTAINER_PODMAN ? ", in podman"
             : h->container == CONTAINER_OTHER  ? ", in a container"
                                                : "",
             h->nested ? ", in a user namespace" : "");
    for (int i = 0; i < FACILITY_COUNT; i++) {
        const struct facility_answer *a = &x->answers[i];
        sbuf_fmt(out, "%-15s %-9s ", facility_rows[i].name, facility_state_name(a->state));
        sbuf_escaped(out, a->detail);
        sbuf_char(out, '\n');
    }
}

/* What is missing only because `cause` is. */
static void say_consequences(const struct examination *x, int cause, struct sbuf *out)
{
    bool any = false;
    for (int i = 0; i < FACILITY_COUNT; i++) {
        if (i == cause || is_fine(&x->answers[i]) || (int)remedy_cause(x->answers, (enum facility)i) != cause)
            continue;
        sbuf_fmt(out, "%s%s", any ? ", " : "  and with it: ", facility_rows[i].name);
        any = true;
    }
    if (any)
        sbuf_char(out, '\n');
}

static void say_remedies(const struct examination *x, struct sbuf *out)
{
    for (int i = 0; i < FACILITY_COUNT; i++) {
        const struct facility_answer *a = &x->answers[i];
        const struct remedy *r = &x->remedies[i];
        if (is_fine(a) || (int)remedy_cause(x->answers, (enum facility)i) != i)
            continue;
        sbuf_fmt(out, "\n%s%s: %s\n", facility_rows[i].name,
                 facility_rows[i].need == NEED_LATER ? " (not needed yet)" : "", facility_rows[i].lost);
        for (size_t k = 0; k < r->line_count; k++) {
            sbuf_fmt(out, "  %s ", k == 0 ? "remedy:" : "       ");
            sbuf_escaped(out, r->lines[k]);
            sbuf_char(out, '\n');
        }
        say_consequences(x, i, out);
    }
    if (x->fix_count)
        sbuf_text(out,
                  "\n`strongroom doctor --fix` does the simple ones as root; without root it prints them.\n");
}

/* The room that was tried has no network to guard and no workspace. */
static bool is_elsewhere(int layer)
{
    return layer == LAYER_ID_GATE || layer == LAYER_ID_WORKSPACE;
}

static void say_layers(const struct examination *x, struct sbuf *out)
{
    bool any = false;
    for (int i = 0; i < LAYER_ID_COUNT; i++) {
        const struct report_layer *l = &x->room.result.report.layers[i];
        if (l->state == LAYER_STATE_ON || is_elsewhere(i))
            continue;
        sbuf_fmt(out, "%s%s %s", any ? ", " : "; layers: ", layer_rows[i].name,
                 l->state == LAYER_STATE_OFF ? "off" : "degraded");
        any = true;
    }
    if (!any)
        sbuf_text(out, "; every layer on");
}

/* Held by the two substitutes for a cgroup. */
static bool is_weak(const struct limit_report *l)
{
    return l->by == LIMIT_BY_WATCH || l->by == LIMIT_BY_WEIGHT;
}

static void say_limits(const struct examination *x, struct sbuf *out)
{
    bool any = false;
    for (int i = 0; i < LIMIT_ID_COUNT; i++) {
        const struct limit_report *l = &x->room.result.limits[i];
        if (!is_weak(l))
            continue;
        sbuf_fmt(out, "%s%s by %s", any ? ", " : "; limits: ", limit_rows[i].name,
                 l->by == LIMIT_BY_WATCH ? "sampling" : "priority");
        any = true;
    }
    if (!any)
        sbuf_text(out, "; every limit held");
}

static void say_gate(const struct examination *x, struct sbuf *out)
{
    const enum layer_state state = gate_state(x);
    sbuf_text(out, "\nnetwork by rule: ");
    if (state == LAYER_STATE_ON)
        sbuf_text(out, "every port leads to the gate");
    else if (state == LAYER_STATE_DEGRADED)
        sbuf_fmt(out, "degraded: %s", x->gate.result.layer_note[LAYER_ID_GATE]);
    else
        sbuf_fmt(out, "none: %s", x->gate.e.text);
}

static void say_room(const struct examination *x, struct sbuf *out)
{
    if (x->verdict != ROOM_NONE)
        say_gate(x, out);
    if (x->verdict != ROOM_FULL) {
        sbuf_fmt(out, "\ndefault room: %s\n", x->refusal.text);
        if (x->refusal.hint[0])
            sbuf_fmt(out, "  hint: %s\n", x->refusal.hint);
    }
    sbuf_text(out, x->verdict == ROOM_NONE      ? "\nroom: none can be made here"
                   : x->verdict == ROOM_WITHOUT ? "\nroom: only with --prefer for what is off"
                                                : "\nroom: can be made");
    if (x->verdict != ROOM_NONE) {
        say_layers(x, out);
        say_limits(x, out);
    }
    sbuf_char(out, '\n');
}

/* --- for programs --------------------------------------------------------------------------------------- */

static void json_names(struct json *j, const char *key, uint64_t layers, uint64_t limits)
{
    json_open(j, key, '[');
    for (int i = 0; i < LAYER_ID_COUNT; i++) {
        if (layers >> i & 1)
            json_str(j, NULL, layer_rows[i].name);
    }
    for (int i = 0; i < LIMIT_ID_COUNT; i++) {
        if (limits >> i & 1)
            json_str(j, NULL, limit_rows[i].name);
    }
    json_close(j, ']');
}

static void json_facility(struct json *j, const struct examination *x, int i)
{
    static const char *const needs[] = {[NEED_ROOM] = "room", [NEED_WALLS] = "walls", [NEED_LATER] = "later"};
    const struct facility_row *row = &facility_rows[i];
    const struct facility_answer *a = &x->answers[i];
    json_open(j, NULL, '{');
    json_str(j, "name", row->name);
    json_str(j, "state", a->state == FACILITY_SKIPPED ? "skipped" : facility_state_name(a->state));
    json_str(j, "need", needs[row->need]);
    json_str(j, "tried", row->tried);
    json_str(j, "detail", a->detail);
    json_num(j, "errno", a->code);
    json_names(j, "layers", row->layers, 0);
    json_names(j, "limits", 0, row->limits);
    if (!is_fine(a)) {
        const enum facility cause = remedy_cause(x->answers, (enum facility)i);
        json_str(j, "lost", row->lost);
        json_str(j, "because_of", cause == (enum facility)i ? NULL : facility_rows[cause].name);
        json_open(j, "remedies", '[');
        for (size_t k = 0; k < x->remedies[i].line_count; k++)
            json_str(j, NULL, x->remedies[i].lines[k]);
        json_close(j, ']');
    }
    json_close(j, '}');
}

static void json_room(struct json *j, const struct examination *x)
{
    const struct result *r = &x->room.result;
    uint64_t off = 0, degraded = 0, weak = 0;
    for (int i = 0; x->verdict != ROOM_NONE && i < LAYER_ID_COUNT; i++) {
        if (is_elsewhere(i))
            continue;
        off |= (uint64_t)(r->report.layers[i].state == LAYER_STATE_OFF) << i;
        degraded |= (uint64_t)(r->report.layers[i].state == LAYER_STATE_DEGRADED) << i;
    }
    for (int i = 0; x->verdict != ROOM_NONE && i < LIMIT_ID_COUNT; i++)
        weak |= (uint64_t)is_weak(&r->limits[i]) << i;
    json_open(j, "room", '{');
    json_bool(j, "possible", x->verdict == ROOM_FULL);
    json_bool(j, "possible_degraded", x->verdict != ROOM_NONE);
    if (x->verdict != ROOM_FULL) {
        json_str(j, "error", x->refusal.text);
        json_str(j, "hint", x->refusal.hint[0] ? x->refusal.hint : NULL);
    }
    json_names(j, "layers_off", off, 0);
    json_names(j, "layers_degraded", degraded, 0);
    json_names(j, "limits_degraded", 0, weak);
    json_close(j, '}');
}

static void json_gate(struct json *j, const struct examination *x)
{
    static const char *const names[] = {
        [LAYER_STATE_OFF] = "none", [LAYER_STATE_DEGRADED] = "degraded", [LAYER_STATE_ON] = "on"};
    const enum layer_state state = gate_state(x);
    json_open(j, "gate", '{');
    json_str(j, "state", names[state]);
    json_str(j, "note",
             state == LAYER_STATE_DEGRADED                         ? x->gate.result.layer_note[LAYER_ID_GATE]
             : state == LAYER_STATE_OFF && x->verdict != ROOM_NONE ? x->gate.e.text
                                                                   : NULL);
    json_close(j, '}');
}

static void say_json(const struct examination *x, struct sbuf *out)
{
    struct json j = {.out = out, .pretty = true};
    json_open(&j, NULL, '{');
    json_str(&j, "strongroom", STRONGROOM_VERSION);
    json_str(&j, "distribution", x->facts.distro[0] ? x->facts.distro : NULL);
    json_str(&j, "kernel", x->facts.release);
    json_unum(&j, "uid", x->facts.uid);
    json_open(&j, "facilities", '[');
    for (int i = 0; i < FACILITY_COUNT; i++)
        json_facility(&j, x, i);
    json_close(&j, ']');
    json_open(&j, "fixes", '[');
    for (size_t i = 0; i < x->fix_count; i++) {
        char lines[2048];
        struct sbuf b = SBUF(lines);
        fix_commands(&x->fixes[i], &x->facts, &b);
        json_str(&j, NULL, lines);
    }
    json_close(&j, ']');
    json_room(&j, x);
    json_gate(&j, x);
    json_close(&j, '}');
    sbuf_char(out, '\n');
}

/* --- fixes ---------------------------------------------------------------------------------------------- */

/* The lines for a root shell, and nothing else, on stdout. */
static int print_fixes(const struct examination *x)
{
    struct sbuf b = SBUF(text);
    for (size_t i = 0; i < x->fix_count; i++) {
        fix_undo(&x->fixes[i], &x->facts, &b);
        fix_commands(&x->fixes[i], &x->facts, &b);
    }
    if (!x->fix_count) {
        sbuf_text(&b, "strongroom: nothing here that --fix could mend\n");
        say_stderr(&b);
        return 0;
    }
    return say_stdout(&b);
}

static void apply_fixes(const struct examination *x)
{
    for (size_t i = 0; i < x->fix_count; i++) {
        struct sbuf b = SBUF(text);
        struct err e = {0};
        fix_commands(&x->fixes[i], &x->facts, &b);
        fix_undo(&x->fixes[i], &x->facts, &b);
        say_stderr(&b);
        if (fix_apply(&x->fixes[i], &x->facts, &e) < 0)
            (void)say_error(&e); /* the new examination tells what is still missing */
    }
    if (!x->fix_count)
        (void)print_fixes(x);
}

/* --- the verb ------------------------------------------------------------------------------------------- */

static int show_help(void)
{
    struct sbuf b = SBUF(text);
    sbuf_text(&b,
              "Usage: strongroom doctor [--json] [--fix [--dry-run]]\n"
              "Tries, by using it, each facility of this host that rooms need; says what is lost\n"
              "without it and how it is mended here; then makes a room, and one with a network by rule.\n\n"
              "  --json     all of it as JSON\n"
              "  --fix      as root: make the fixes that can be undone (sysctl values with files in\n"
              "             /etc/sysctl.d, systemd's delegation, an AppArmor profile), each\n"
              "             announced, then try again; without root: print them for a root shell\n"
              "  --dry-run  with --fix: only print them\n\n"
              "Exit status: 0 a default room can be made; 1 only when a required layer is given up\n"
              "(--prefer); 125 none. With --fix printing: 0.\n");
    return say_stdout(&b);
}

static int parse(int argc, char **argv, struct options *o, struct err *e)
{
    *o = (struct options){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            o->help = true;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--fix") == 0)
            o->fix = true;
        else if (strcmp(argv[i], "--dry-run") == 0)
            o->dry_run = true;
        else {
            err_set(e, ERR_USAGE, 0, "doctor: unknown word: %s", argv[i]);
            return err_hint(e, "strongroom doctor [--json] [--fix [--dry-run]]");
        }
    }
    if (o->dry_run && !o->fix)
        return err_set(e, ERR_USAGE, 0, "doctor: --dry-run goes with --fix");
    return 0;
}

int verb_doctor(int argc, char **argv)
{
    static const int statuses[] = {[ROOM_FULL] = 0, [ROOM_WITHOUT] = 1, [ROOM_NONE] = 125};
    struct options o;
    struct err e = {0};
    if (parse(argc, argv, &o, &e) < 0)
        return say_error(&e);
    if (o.help)
        return show_help();
    examine(&exam);
    if (o.fix && (o.dry_run || exam.facts.uid != 0))
        return print_fixes(&exam);
    if (o.fix) {
        apply_fixes(&exam);
        examine(&exam);
    }
    struct sbuf b = SBUF(text);
    if (o.json) {
        say_json(&exam, &b);
    } else {
        say_table(&exam, &b);
        say_remedies(&exam, &b);
        say_room(&exam, &b);
    }
    int n = say_stdout(&b);
    return n ? n : statuses[exam.verdict];
}
