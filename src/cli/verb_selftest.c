/* verb_selftest: `strongroom selftest [--attack] [--json]`.
 *
 * Attacks rooms on this very host and says which walls held. stdout is the answer. The word --inside is for
 * the copy of this program that runs in such a room.
 *
 * Lives in: the command, and with --inside in a room. Trusts: nothing of argv. */
#include "base/json.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/selftest.h"

#include <string.h>

struct options {
    bool help, json;
};

static struct selftest test;
static char text[48 << 10];

static const char *const state_names[] = {[WALL_SKIP] = "SKIP", [WALL_HELD] = "HELD", [WALL_BROKE] = "BROKE"};

static void say_lines(const struct selftest *s, struct sbuf *out)
{
    for (size_t i = 0; i < wall_count; i++) {
        const struct wall_row *row = &wall_rows[i];
        const struct wall_verdict *v = &s->verdicts[i];
        if (!s->asked[i])
            continue;
        sbuf_fmt(out, "%-5s %-17s ", state_names[v->state], row->name);
        if (v->state == WALL_BROKE)
            sbuf_fmt(out, "[%s] ", wall_severity_name(row->severity));
        sbuf_fmt(out, "%s: ", row->tried);
        sbuf_escaped(out, v->detail);
        sbuf_char(out, '\n');
    }
    sbuf_fmt(out, "held %u, broke %u, skipped %u\n", s->held, s->broke, s->skipped);
}

static void say_json(const struct selftest *s, struct sbuf *out)
{
    static const char *const results[] = {[WALL_SKIP] = "skip", [WALL_HELD] = "held", [WALL_BROKE] = "broke"};
    struct json j = {.out = out, .pretty = true};
    json_open(&j, NULL, '{');
    json_str(&j, "strongroom", STRONGROOM_VERSION);
    json_bool(&j, "attack", s->attack);
    json_bool(&j, "bare", s->bare);
    json_unum(&j, "held", s->held);
    json_unum(&j, "broke", s->broke);
    json_unum(&j, "skipped", s->skipped);
    json_open(&j, "probes", '[');
    for (size_t i = 0; i < wall_count; i++) {
        if (!s->asked[i])
            continue;
        json_open(&j, NULL, '{');
        json_str(&j, "name", wall_rows[i].name);
        json_str(&j, "wall", layer_rows[wall_rows[i].layer].name);
        json_str(&j, "severity", wall_severity_name(wall_rows[i].severity));
        json_str(&j, "tried", wall_rows[i].tried);
        json_str(&j, "result", results[s->verdicts[i].state]);
        json_str(&j, "detail", s->verdicts[i].detail);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    sbuf_char(out, '\n');
}

static int show_help(void)
{
    struct sbuf b = SBUF(text);
    sbuf_text(&b, "Usage: strongroom selftest [--attack] [--json]\n"
                  "Makes rooms on this host with the default policy, tries each of their walls from\n"
                  "inside, and says which held. Harmless to the host.\n\n"
                  "  --attack       also bombs (processes, memory, disk, output, time, signals), each in\n"
                  "                 a tightly bounded room, and bait planted in $HOME, /tmp and memory\n"
                  "  --json         all of it as JSON\n"
                  "  --bare         the harmless probes without any room: they must break\n"
                  "  --without net  in a room on the host's network: those of the network must break\n\n"
                  "Exit status: 0 nothing broke; 1 something did; 125 no room could be made.\n");
    return say_stdout(&b);
}

static int parse(int argc, char **argv, struct options *o, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            o->help = true;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--attack") == 0)
            test.attack = true;
        else if (strcmp(argv[i], "--bare") == 0)
            test.bare = true;
        else if (strcmp(argv[i], "--without") == 0 && i + 1 < argc && strcmp(argv[i + 1], "net") == 0)
            test.without_net = ++i > 0;
        else {
            err_set(e, ERR_USAGE, 0, "selftest: unknown word: %s", argv[i]);
            return err_hint(e, "strongroom selftest [--attack] [--json]");
        }
    }
    if (test.bare && (test.attack || test.without_net)) {
        err_set(e, ERR_USAGE, 0, "selftest: --bare goes with nothing else but --json");
        return err_hint(e, "attacks are made inside rooms only");
    }
    return 0;
}

int verb_selftest(int argc, char **argv)
{
    struct options o = {0};
    struct err e = {0};
    if (argc > 1 && strcmp(argv[1], "--inside") == 0)
        return wall_inside(argc - 2, argv + 2);
    if (parse(argc, argv, &o, &e) < 0)
        return say_error(&e);
    if (o.help)
        return show_help();
    if (selftest_run(&test, &e) < 0)
        return say_error(&e);
    struct sbuf b = SBUF(text);
    if (o.json)
        say_json(&test, &b);
    else
        say_lines(&test, &b);
    int n = say_stdout(&b);
    return n ? n : test.broke ? 1 : 0;
}
