/* verb_rules: `strongroom allow|deny|withdraw ROOM RULE…` and `strongroom rules ROOM`: what a running room may reach.
 *
 * Lives in: the command. Trusts: nothing of argv. Speaks to the room's supervisor, who decides. */
#include "base/json.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "policy/egress.h"
#include "rooms/client.h"
#include "sys/fd.h"
#include <errno.h>
#include <string.h>

static const struct row {
    const char *verb;
    enum rooms_frame_type type;
    const char *help;
} rows[] = {
    {"allow", ROOMS_ALLOW,
     "Usage: strongroom allow ROOM RULE...\n"
     "Opens HOST[:PORT,...] for the running room of that name, as run --allow does.\n"
     "Several rules hold together, or none of them does.\n"},
    {"deny", ROOMS_DENY,
     "Usage: strongroom deny ROOM RULE...\n"
     "Closes HOST[:PORT,...] for the running room of that name, as run --deny does.\n"
     "Connections that are open to it are cut.\n"},
    {"withdraw", ROOMS_WITHDRAW,
     "Usage: strongroom withdraw ROOM RULE...\n"
     "Takes back a rule of the running room of that name, as `rules` shows it.\n"
     "Connections that an allowing rule had opened are cut.\n"},
    {"rules", ROOMS_RULES,
     "Usage: strongroom rules [--json] ROOM\n"
     "Lists the rules that hold in the running room of that name, one a line.\n"},
};

static const struct row *row_of(const char *verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].verb, verb) == 0)
            return &rows[i];
    }
    return NULL;
}

static int say_help(const struct row *row)
{
    char text[512];
    struct sbuf b = SBUF(text);
    sbuf_text(&b, row->help);
    return say_stdout(&b);
}

/* Each line of what the room says. */
static int say_lines(char *text)
{
    char out[4 * ROOMS_TEXT_MAX];
    struct sbuf b = SBUF(out);
    for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        *end = '\0';
        sbuf_escaped(&b, text);
        sbuf_char(&b, '\n');
    }
    return say_stdout(&b);
}

/* Before it is sent. */
static int look_at(const struct row *row, const char *text, struct err *e)
{
    struct egress_words words;
    struct egress_rule rule;
    const char *why = "", *hint = NULL, *from = text;
    const bool back = row->type == ROOMS_WITHDRAW, deny = back && strncmp(text, "deny ", 5) == 0;
    static struct rooms_frame f;
    rooms_frame_fill(&f, row->type, 0, text);
    if (strlen(text) >= EGRESS_RULE_MAX || strchr(text, '\n') || rooms_frame_check(&f, ROOMS_CLIENT, 0) < 0)
        return err_set(e, ERR_USAGE, 0, "%s: \"%.60s\": not a rule", row->verb, text);
    from += deny ? 5 : back && strncmp(text, "allow ", 6) == 0 ? 6 : 0;
    int r = egress_read(from, deny || row->type == ROOMS_DENY, &words, &rule, &why, &hint);
    if (r < 0 && back) /* a denying one may say what an allowing one may not */
        r = egress_read(from, true, &words, &rule, &why, &hint);
    if (r == 0)
        return 0;
    err_set(e, ERR_USAGE, 0, "%s %.100s: %s", row->verb, text, why);
    return hint ? err_hint(e, "%s", hint) : -EINVAL;
}

/* All of them in one request: they hold together, or none does. */
static int change(int sock, const struct row *row, char *const *rules, int count, struct err *e)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1] = "", what[64];
    struct sbuf b = SBUF(text), w = SBUF(what);
    for (int i = 0; i < count; i++) {
        sbuf_text(&b, i > 0 ? "\n" : "");
        sbuf_text(&b, rules[i]);
    }
    if (b.full || count > ROOMS_RULES_MAX) {
        err_set(e, ERR_USAGE, 0, "%s: %d rules are too many for one request", row->verb, count);
        return err_hint(e, "at most %d, and %d bytes of them; nothing was changed", ROOMS_RULES_MAX,
                        ROOMS_TEXT_MAX);
    }
    int r = rooms_call(sock, row->type, 0, text, &f, e);
    if (r < 0)
        return r;
    sbuf_text(&w, row->verb);
    if (count > 1)
        sbuf_fmt(&w, ": none of these %d rules was taken", count);
    if (f.type == ROOMS_REFUSED)
        return rooms_refused(&f, what, e);
    rooms_frame_text(&f, text);
    return say_lines(text);
}

/* The lines of `text` as members of a list. */
static void put_rules(struct json *j, char *text)
{
    for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        const bool deny = strncmp(text, "deny ", 5) == 0;
        *end = '\0';
        json_open(j, NULL, '{');
        json_str(j, "action", deny ? "deny" : "allow");
        json_str(j, "rule", text + (deny ? 5 : 6));
        json_close(j, '}');
    }
}

static int list(int sock, bool as_json, struct err *e)
{
    static struct rooms_frame f;
    static char out[8 * ROOMS_TEXT_MAX]; /* for what one frame has */
    char text[ROOMS_TEXT_MAX + 1];
    struct sbuf b = SBUF(out);
    struct json j = {.out = &b, .pretty = true};
    int next = 0, said = 0;
    if (as_json)
        json_open(&j, NULL, '[');
    do {
        const int from = next;
        int r = rooms_call(sock, ROOMS_RULES, from, "", &f, e);
        if (r < 0)
            return r;
        rooms_frame_text(&f, text);
        if (f.type == ROOMS_REFUSED)
            return rooms_refused(&f, "rules", e);
        next = f.value > from ? f.value : 0; /* a list that does not go on has ended */
        if (as_json)
            put_rules(&j, text);
        else
            sbuf_text(&b, text);
        if (as_json && next == 0) {
            json_close(&j, ']');
            sbuf_char(&b, '\n');
        }
        said = say_stdout(&b);
        b = SBUF(out);
    } while (next > 0 && said == 0);
    return said;
}

int verb_rules(int argc, char **argv)
{
    const struct row *row = row_of(argv[0]);
    struct err e = {0};
    CHECK(row != NULL); /* the table of verbs leads here */
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return say_help(row);
    const bool lists = row->type == ROOMS_RULES,
               as_json = lists && argc > 1 && strcmp(argv[1], "--json") == 0;
    argv += as_json;
    argc -= as_json;
    if (argc < (lists ? 2 : 3) || (lists && argc > 2) || argv[1][0] == '-') {
        err_set(&e, ERR_USAGE, 0,
                argc < 2 || argv[1][0] == '-' ? "%s: no room named"
                : lists                       ? "%s: too many words"
                                              : "%s: no rule given",
                row->verb);
        err_hint(&e, "strongroom %s %s", row->verb, lists ? "[--json] ROOM" : "ROOM RULE...");
        return say_error(&e);
    }
    for (int i = 2; i < argc; i++) {
        if (look_at(row, argv[i], &e) < 0)
            return say_error(&e);
    }
    FD_AUTO sock = rooms_connect(argv[1], &e);
    if (sock < 0)
        return say_error(&e);
    int r = lists ? list(sock, as_json, &e) : change(sock, row, argv + 2, argc - 2, &e);
    return r < 0 ? say_error(&e) : r;
}
