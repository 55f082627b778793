/* options: argv → checked policy.
 *
 * Lives in: strongroom, before anything is built. Trusts: nothing of argv but that its strings end.
 * May: read the files that options name (policy_file.h). Must not: know what an option means; its row does.
 *
 * The words are walked twice: the first walk finds what must be applied before the options (profiles, files), the
 * second applies the options themselves. The walk is an iterator and keeps nothing, so twice costs nothing. */
#include "cli/options.h"
#include "base/num.h"
#include "cli/argument_files.h"
#include "cli/policy_file.h"
#include "policy/fields.h"
#include "policy/nearest.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define DETACHED_TIMEOUT "1h" /* how long a room that lives on may live, when nothing is said */

enum own_kind { OWN_FLAG, OWN_PATH, OWN_FD };

/* An option of this invocation only. */
struct own {
    const char *name;
    char letter;
    const char *arg;
    enum own_kind kind;
    size_t offset; /* in struct run_options */
    const char *group;
    const char *help;
};

#define OWN(name_, letter_, arg_, kind_, member_, help_)                                                     \
    {                                                                                                        \
        name_, letter_, arg_, kind_, offsetof(struct run_options, member_), "this call", help_               \
    }
static const struct own owns[] = {
    OWN("ask", 0, NULL, OWN_FLAG, ask, "ask on the terminal about endpoints no rule lists"),
    OWN("detach", 'd', NULL, OWN_FLAG, detach, "let the room live on, and print its name"),
    OWN("dry-run", 0, NULL, OWN_FLAG, dry_run, "print the numbered plan and build nothing"),
    OWN("explain", 0, NULL, OWN_FLAG, explain, "tell on stderr how the room held"),
    OWN("json", 0, NULL, OWN_FLAG, json, "print the result as JSON on stderr"),
    OWN("result", 0, "FILE", OWN_PATH, result_path, "write the result as JSON to FILE"),
    OWN("result-fd", 0, "N", OWN_FD, result_fd, "write the result as JSON to descriptor N"),
    OWN("reply-fd", 0, "N", OWN_FD, reply_fd, "stdin is a socket: what is written to it goes to N"),
    OWN("events", 0, "FILE|fd:N", OWN_PATH, events, "write each decision of the gate as a line of JSON"),
    OWN("trace-steps", 0, NULL, OWN_FLAG, trace_steps, "tell where each microsecond goes"),
    OWN("quiet", 'q', NULL, OWN_FLAG, quiet, "say nothing but errors"),
    OWN("help", 'h', NULL, OWN_FLAG, help, "show this text"),
};
#define OWN_COUNT (sizeof owns / sizeof *owns)

bool options_view(size_t index, struct option_view *ret)
{
    if (index < field_count) {
        const struct field *f = &fields[index];
        *ret = (struct option_view){.name = f->name,
                                    .alias = f->alias,
                                    .arg = f->arg,
                                    .group = f->group,
                                    .help = f->help,
                                    .letter = f->letter,
                                    .letter2 = f->letter2,
                                    .repeat = (f->flags & FIELD_REPEAT) != 0};
        return true;
    }
    if (index - field_count < OWN_COUNT) {
        const struct own *o = &owns[index - field_count];
        *ret = (struct option_view){
            .name = o->name, .arg = o->arg, .group = o->group, .help = o->help, .letter = o->letter};
        return true;
    }
    return false;
}

/* One option as it stands in argv: a field, or one of our own. */
struct word {
    const struct field *field;
    const struct own *own;
    const char *value; /* NULL: a flag without one */
};

struct walk {
    char **argv;
    int argc, at;
    const char *bundle; /* rest of "-it" after its first letter; NULL: none */
    struct word word;
};

static const struct own *own_find(const char *name, size_t len)
{
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (strncmp(owns[i].name, name, len) == 0 && owns[i].name[len] == '\0')
            return &owns[i];
    return NULL;
}

static const struct own *own_by_letter(char letter)
{
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (owns[i].letter && owns[i].letter == letter)
            return &owns[i];
    return NULL;
}

static const char *arg_of(const struct word *w)
{
    return w->field ? w->field->arg : w->own->arg;
}

static const char *name_of(const struct word *w)
{
    return w->field ? w->field->name : w->own->name;
}

static int unknown_option(const char *name, size_t len, struct err *e)
{
    char text[NEAREST_WORD_MAX + 1] = "";
    struct nearest n = {.given = text};
    struct option_view v;

    if (len < sizeof text)
        memcpy(text, name, len);
    for (size_t i = 0; options_view(i, &v); i++) {
        nearest_offer(&n, v.name);
        if (v.alias)
            nearest_offer(&n, v.alias);
    }
    err_set(e, ERR_USAGE, 0, "unknown option --%.*s", len > 60 ? 60 : (int)len, name);
    return n.best ? err_hint(e, "did you mean --%s?", n.best)
                  : err_hint(e, "strongroom run --help lists all options");
}

/* Takes the next word of argv as the option's value. */
static int take_value(struct walk *w, struct err *e)
{
    if (w->at == w->argc) {
        err_set(e, ERR_USAGE, 0, "--%s: needs a value", name_of(&w->word));
        return err_hint(e, "wanted --%s %s", name_of(&w->word), arg_of(&w->word));
    }
    w->word.value = w->argv[w->at++];
    return 0;
}

static int walk_long(struct walk *w, const char *name, struct err *e)
{
    size_t len = strcspn(name, "=");

    w->word.field = field_find_n(name, len);
    w->word.own = w->word.field ? NULL : own_find(name, len);
    if (!w->word.field && !w->word.own)
        return unknown_option(name, len, e);
    w->word.value = name[len] == '=' ? name + len + 1 : NULL;
    if (w->word.value && w->word.own && !w->word.own->arg) {
        err_set(e, ERR_USAGE, 0, "--%s: takes no value", w->word.own->name);
        return err_hint(e, "wanted just --%s", w->word.own->name);
    }
    return w->word.value || !arg_of(&w->word) ? 0 : take_value(w, e);
}

static int walk_letter(struct walk *w, struct err *e)
{
    char letter = *w->bundle++;

    w->word.field = field_by_letter(letter);
    w->word.own = w->word.field ? NULL : own_by_letter(letter);
    w->word.value = NULL;
    if (!w->word.field && !w->word.own) {
        err_set(e, ERR_USAGE, 0, "unknown option -%c", letter);
        return err_hint(e, "strongroom run --help lists all options");
    }
    const char *rest = w->bundle;
    if (!arg_of(&w->word)) {
        if (*rest == '\0')
            w->bundle = NULL;
        return 0;
    }
    w->bundle = NULL;
    if (*rest == '\0')
        return take_value(w, e);
    w->word.value = rest + (*rest == '='); /* -m512M, and docker's -m=512M */
    return 0;
}

/* 1: w->word is the next option; 0: the options are over, w->at is the command; -errno. */
static int walk_next(struct walk *w, struct err *e)
{
    int r;

    if (w->bundle) {
        r = walk_letter(w, e);
        return r < 0 ? r : 1;
    }
    const char *s = w->at < w->argc ? w->argv[w->at] : NULL;
    if (!s || s[0] != '-' || s[1] == '\0')
        return 0;
    w->at++;
    if (s[1] != '-') {
        w->bundle = s + 1;
        r = walk_letter(w, e);
    } else if (s[2] == '\0') {
        return 0;
    } else {
        r = walk_long(w, s + 2, e);
    }
    return r < 0 ? r : 1;
}

static int set_own(struct run_options *o, const struct word *w, struct err *e)
{
    void *at = (char *)o + w->own->offset;
    uint64_t fd;

    CHECK(w->value || w->own->kind == OWN_FLAG); /* the walk has seen to it */
    switch (w->own->kind) {
    case OWN_FLAG:
        *(bool *)at = true;
        return 0;
    case OWN_PATH:
        if (w->value[0] == '\0')
            return err_set(e, ERR_USAGE, 0, "--%s: empty value", w->own->name);
        *(const char **)at = w->value;
        return 0;
    case OWN_FD:
        break;
    }
    if (num_u64(w->value, &fd) < 0 || fd < 1 || fd > 1 << 20) {
        err_set(e, ERR_USAGE, 0, "--%s: \"%.60s\": not a descriptor", w->own->name, w->value);
        return err_hint(e, "wanted the number of an open descriptor, at least 1");
    }
    *(int *)at = (int)fd;
    return 0;
}

/* First walk: our own options, and the files in the order they were given. */
static int gather(struct walk *w, struct run_options *o, struct policy_files *files, struct err *e)
{
    int r;

    while ((r = walk_next(w, e)) > 0) {
        if (w->word.own)
            r = set_own(o, &w->word, e);
        else if (w->word.field->flags & FIELD_CLI_ONLY)
            r = policy_files_add(files, w->word.field->name, w->word.value, e);
        if (r < 0 || o->help)
            return r;
    }
    return r;
}

/* Second walk: everything that belongs to the policy. */
static int apply(struct walk *w, struct policy *p, struct err *e)
{
    int r;

    while ((r = walk_next(w, e)) > 0) {
        const struct field *f = w->word.field;
        if (!f || f->flags & FIELD_CLI_ONLY)
            continue;
        r = policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, f->name, w->word.value, e);
        if (r < 0)
            return r;
    }
    return r;
}

static void keep_note(void *ctx, const char *text)
{
    struct sbuf *b = ctx;

    sbuf_text(b, text);
    sbuf_char(b, '\n');
}

/* Names without a value take the caller's; what the caller does not have stays absent. The strings are the
 * process's own environment and outlive the policy. Only for a command: a shown policy says the name, not the
 * value. */
static void take_callers_env(struct policy *p)
{
    for (size_t i = 0; i < p->env_count; i++) {
        if (!p->env[i].value)
            p->env[i].value = getenv(p->env[i].name);
    }
}

/* A room that lives on has a name, and time; both give way to whatever is said. */
static int preset_detached(struct policy *p, struct err *e)
{
    char name[POLICY_NAME_MAX];
    struct sbuf b = SBUF(name);
    uint32_t n;

    if (getrandom(&n, sizeof n, 0) != sizeof n)
        return err_set(e, ERR_INTERNAL, errno, "choose a name for the room");
    sbuf_fmt(&b, "room-%08x", n);
    int r = policy_set(p, SOURCE_DEFAULT, "strongroom", 0, "name", name, e);
    return r < 0 ? r : policy_set(p, SOURCE_DEFAULT, "strongroom", 0, "timeout", DETACHED_TIMEOUT, e);
}

static int check_detached(const struct run_options *o, struct err *e)
{
    const char *with = o->policy->tty == TTY_YES ? "--tty"
                       : o->policy->interactive  ? "--interactive"
                       : o->json                 ? "--json"
                       : o->explain              ? "--explain"
                       : o->trace_steps          ? "--trace-steps"
                                                 : NULL;
    if (!with)
        return 0;
    err_set(e, ERR_USAGE, 0, "--detach and %s: nobody will sit before that room", with);
    return err_hint(e, o->json || o->explain || o->trace_steps ? "--result FILE keeps the record"
                                                               : "strongroom exec -t ROOM -- COMMAND");
}

static int build(struct walk *w, struct run_options *o, const struct policy_files *files, struct err *e)
{
    struct sbuf notes = SBUF(o->notes);
    const struct policy_notes told = {.note = keep_note, .ctx = &notes};
    char cwd[POLICY_PATH_MAX];

    o->policy = policy_new();
    if (!o->policy)
        return err_set(e, ERR_INTERNAL, ENOMEM, "policy: no memory");
    const char *here = getcwd(cwd, sizeof cwd), *home = getenv("HOME");
    policy_set_base(o->policy, here, home);
    int r = o->detach ? preset_detached(o->policy, e) : 0;
    if (r == 0)
        r = policy_files_apply(files, o->policy, here, home, &told, e);
    if (r == 0)
        r = apply(w, o->policy, e);
    if (r == 0 && o->command)
        r = argument_files_add(o->policy, o->command, here, e);
    if (r == 0)
        r = policy_check(o->policy, keep_note, &notes, e);
    if (r == 0 && o->detach)
        r = check_detached(o, e);
    if (r == 0 && (o->command || o->detach))
        take_callers_env(o->policy);
    policy_set_base(o->policy, NULL, NULL);
    return r;
}

static int parse(int argc, char **argv, bool command, struct run_options *ret, struct err *e)
{
    struct policy_files files = {0};
    struct walk first = {.argv = argv, .argc = argc, .at = 1}, second = first;

    memset(ret, 0, sizeof *ret);
    ret->result_fd = ret->reply_fd = -1;
    int r = gather(&first, ret, &files, e);
    if (r < 0 || ret->help)
        return r < 0 ? r : 0;
    if (command && first.at == argc && !ret->detach) {
        err_set(e, ERR_USAGE, 0, "%s: no command given", argv[0]);
        return err_hint(e, "strongroom %s [options] -- COMMAND [ARG...]", argv[0]);
    }
    if (!command && first.at != argc) {
        err_set(e, ERR_USAGE, 0, "%s: \"%.60s\" is not an option", argv[0], argv[first.at]);
        return err_hint(e, "options are those of strongroom run; a policy file is named with -p FILE");
    }
    if (command && first.at < argc && argv[first.at][0] == '\0')
        return err_set(e, ERR_USAGE, 0, "%s: the command is empty", argv[0]);
    if (!command && ret->detach)
        return err_set(e, ERR_USAGE, 0, "%s: --detach is for run", argv[0]);
    ret->command = ret->detach && first.at == argc ? NULL : argv + first.at;
    r = build(&second, ret, &files, e);
    if (r < 0)
        options_free(ret);
    return r;
}

int options_parse(int argc, char **argv, struct run_options *ret, struct err *e)
{
    return parse(argc, argv, true, ret, e);
}

int options_parse_policy(int argc, char **argv, struct run_options *ret, struct err *e)
{
    return parse(argc, argv, false, ret, e);
}

void options_free(struct run_options *o)
{
    policy_free(o->policy);
    o->policy = NULL;
}
