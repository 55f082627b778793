/* verb_rules: `strongroom allow|deny|withdraw ROOM RULE…` and `strongroom rules ROOM`: what a running room may reach.
 *
 * Lives in: the command. Trusts: nothing of argv. Speaks to the room's supervisor, who decides. */
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
     "Opens HOST[:PORT,...] for the running room of that name, as run --allow does.\n"},
    {"deny", ROOMS_DENY,
     "Usage: strongroom deny ROOM RULE...\n"
     "Closes HOST[:PORT,...] for the running room of that name, as run --deny does.\n"
     "Connections that are open to it are cut.\n"},
    {"withdraw", ROOMS_WITHDRAW,
     "Usage: strongroom withdraw ROOM RULE...\n"
     "Takes back a rule of the running room of that name, as `rules` shows it.\n"
     "Connections that an allowing rule had opened are cut.\n"},
    {"rules", ROOMS_RULES,
     "Usage: strongroom rules ROOM\n"
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

static int say_line(const char *text, int cut)
{
    char line[2 * ROOMS_TEXT_MAX];
    struct sbuf b = SBUF(line);
    sbuf_escaped(&b, text);
    if (cut > 0)
        sbuf_fmt(&b, " (%d connection%s cut)", cut, cut == 1 ? "" : "s");
    sbuf_char(&b, '\n');
    return say_stdout(&b);
}

/* Before any of several is sent: what is misspelt in the last one must not leave the first ones behind. */
static int look_at(const struct row *row, const char *text, struct err *e)
{
    struct egress_words words;
    struct egress_rule rule;
    const char *why = "", *hint = NULL, *from = text;
    const bool back = row->type == ROOMS_WITHDRAW, deny = back && strncmp(text, "deny ", 5) == 0;
    static struct rooms_frame f;
    rooms_frame_fill(&f, row->type, 0, text);
    if (f.size != strlen(text) || rooms_frame_check(&f, ROOMS_CLIENT, 0) < 0)
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

static int change(int sock, const struct row *row, const char *rule, struct err *e)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1];
    int r = rooms_call(sock, row->type, 0, rule, &f, e);
    if (r < 0)
        return r;
    rooms_frame_text(&f, text);
    if (f.type == ROOMS_REFUSED) {
        char what[ROOMS_RULE_MAX + 32];
        struct sbuf b = SBUF(what);
        sbuf_fmt(&b, "%s %s", row->verb, rule);
        return rooms_refused(&f, what, e);
    }
    return say_line(text, f.value);
}

static int list(int sock, struct err *e)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 1];
    int next = 0, said = 0;
    do {
        const int from = next;
        int r = rooms_call(sock, ROOMS_RULES, from, "", &f, e);
        if (r < 0)
            return r;
        rooms_frame_text(&f, text);
        if (f.type == ROOMS_REFUSED)
            return rooms_refused(&f, "rules", e);
        struct sbuf b = {.text = text, .size = sizeof text, .len = f.size};
        said = say_stdout(&b);
        next = f.value > from ? f.value : 0; /* a list that does not go on has ended */
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
    const bool lists = row->type == ROOMS_RULES;
    if (argc < (lists ? 2 : 3) || (lists && argc > 2) || argv[1][0] == '-') {
        err_set(&e, ERR_USAGE, 0,
                argc < 2 || argv[1][0] == '-' ? "%s: no room named"
                : lists                       ? "%s: too many words"
                                              : "%s: no rule given",
                row->verb);
        err_hint(&e, "strongroom %s ROOM%s", row->verb, lists ? "" : " RULE...");
        return say_error(&e);
    }
    for (int i = 2; i < argc; i++) {
        if (look_at(row, argv[i], &e) < 0)
            return say_error(&e);
    }
    FD_AUTO sock = rooms_connect(argv[1], &e);
    if (sock < 0)
        return say_error(&e);
    int r = lists ? list(sock, &e) : 0;
    for (int i = 2; i < argc && r == 0; i++)
        r = change(sock, row, argv[i], &e);
    return r < 0 ? say_error(&e) : r;
}
