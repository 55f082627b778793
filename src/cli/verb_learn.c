/* verb_learn: `strongroom learn [options of run] -- COMMAND`: runs it behind a closed gate, prints what it would need.
 *
 * The gate gives every name an address, so that what the program would connect to is seen. Nothing leaves the room but
 * what rules allow already; with --open, all that is public does. The program's stdout goes to stderr: stdout is the
 * policy.
 *
 * Lives in: the command. Trusts: nothing of what the room asked for but its form. */
#include "base/json.h"
#include "cli/options.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "sys/fd.h"
#include "sys/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLICY_MAX = 256 << 10, WORDS_MAX = 4096 };

static int help(void)
{
    static char text[] = "Usage: strongroom learn [--open] [OPTION of run...] [--] COMMAND [ARG...]\n"
                         "Runs COMMAND in a room whose gate lets nothing new out, notes what it wanted to\n"
                         "reach, and prints a policy that allows it (for run -p). COMMAND's stdout goes\n"
                         "to stderr. Names are not looked up, so a further run may want more.\n"
                         "With --open it reaches all that is public meanwhile, so that one run is enough.\n";
    struct sbuf b = {.text = text, .size = sizeof text, .len = sizeof text - 1};
    return say_stdout(&b);
}

/* What a rule for an endpoint has to say beside it. */
enum { SAYS_ANY = 1, SAYS_ECH = 2, IS_PRIVATE = 4 };

static unsigned words_for(const struct network_row *x)
{
    struct egress_addr a;
    switch ((enum gate_reason)x->reason) {
    case GATE_WHY_FORM:
    case GATE_WHY_NAME:
    case GATE_WHY_ANSWER:
        return x->verdict == GATE_ALLOWED ? SAYS_ANY : 0;
    case GATE_WHY_HIDDEN:
        return SAYS_ECH;
    case GATE_WHY_PRIVATE:
        return IS_PRIVATE;
    default:
        return !x->name[0] && egress_addr_read(x->address, &a) == 0 && egress_is_private(&a) ? IS_PRIVATE : 0;
    }
}

static void put_item(const char *key, const char *text, bool *headed, struct sbuf *out)
{
    struct json j = {.out = out}; /* in quotes YAML reads what JSON does */
    if (!*headed)
        sbuf_fmt(out, "%s:\n", key);
    sbuf_text(out, "  - ");
    *headed = true;
    json_str(&j, NULL, text);
    sbuf_char(out, '\n');
}

/* One endpoint as a rule, where one could allow it. */
static void put_rule(const struct network_row *x, unsigned words, bool *headed, struct sbuf *out)
{
    struct egress_words read;
    struct egress_rule rule;
    const char *host = x->name[0] ? x->name : x->address, *why, *hint;
    const bool v6 = !x->name[0] && strchr(host, ':'), internal = x->name[0] && (words & IS_PRIVATE);
    char text[EGRESS_RULE_MAX];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, v6 ? "[%s]:%u" : "%s:%u", host, x->port);
    sbuf_text(&b, internal ? " internal" : "");
    sbuf_text(&b, words & SAYS_ANY ? " any" : words & SAYS_ECH ? " ech" : "");
    if (b.full || egress_read(text, false, &read, &rule, &why, &hint) < 0)
        return;
    if (words & IS_PRIVATE)
        sbuf_fmt(out, "  # - \"%s\"  # a private address: only if this is meant\n", text);
    else
        put_item("allow", text, headed, out);
}

/* The rule narrowed to one endpoint. */
static void narrow(struct egress_rule *rule, const struct network_row *x, const struct egress_addr *a)
{
    rule->port_count = 1;
    rule->ports[0] = (struct egress_ports){x->port, x->port};
    rule->kind = x->name[0] ? EGRESS_NAME : egress_addr_is_v4(a) ? EGRESS_V4 : EGRESS_V6;
    rule->bits = 128;
    if (x->name[0])
        rule->name = x->name;
    else
        rule->addr = *a;
}

/* What a rule of the caller's let through, as a rule for just that, with all that his rule says. */
static void put_kept(const struct network *n, const struct network_row *x, bool *headed, struct sbuf *out)
{
    char text[EGRESS_RULE_MAX];
    struct sbuf b = SBUF(text);
    struct egress_addr a;
    const bool has_addr = egress_addr_read(x->address, &a) == 0;
    struct egress_rule rule = n->rules->rules[x->rule];
    if (rule.kind != EGRESS_UNIX && !x->name[0] && !has_addr)
        return;
    if (rule.kind != EGRESS_UNIX)
        narrow(&rule, x, &a);
    egress_text(&rule, &b);
    put_item("allow", text, headed, out);
    if (x->name[0] && has_addr && rule.kind != EGRESS_UNIX && !rule.internal && egress_is_private(&a)) {
        b = SBUF(text); /* another rule lists where the name leads */
        sbuf_fmt(&b, egress_addr_is_v4(&a) ? "%s:%u" : "[%s]:%u", x->address, x->port);
        put_item("allow", text, headed, out);
    }
}

static bool is_same(const struct network_row *x, const struct network_row *y)
{
    return y->kind == x->kind && x->port == y->port && strcmp(x->name, y->name) == 0 &&
           (x->name[0] || strcmp(x->address, y->address) == 0);
}

/* Told already, as another kind of decision about the same endpoint? */
static bool is_again(const struct network *n, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (is_same(&n->rows[at], &n->rows[i]))
            return true;
    }
    return false;
}

/* The row about that endpoint which says that a rule of the caller's is about it, NULL. */
static const struct network_row *kept_row(const struct network *n, const struct network_row *x)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct network_row *y = &n->rows[i];
        if (is_same(x, y) && y->rule >= 0 && (size_t)y->rule < n->rules->count &&
            !n->rules->rules[y->rule].deny &&
            (y->verdict != GATE_DENIED || y->reason == GATE_WHY_REQUEST || y->reason >= GATE_WHY_MAX_BYTES))
            return y;
    }
    return NULL;
}

/* Is an endpoint to be written down? What a rule denies was not to be reached. */
static bool is_wanted(const struct network_row *x)
{
    return (x->kind == GATE_KIND_TCP || x->kind == GATE_KIND_UNIX) &&
           !(x->verdict == GATE_DENIED && x->reason == GATE_WHY_RULE);
}

/* Each secret of the caller's, for the endpoints of its own that were reached: one that no rule of this policy allows
 * would be an error there. */
static void put_secrets(const struct policy *p, const struct network *n, struct sbuf *out)
{
    bool headed = false;
    for (size_t k = 0; k < p->secret_count; k++) {
        const struct policy_secret *s = &p->secrets[k];
        for (size_t i = 0; n && i < n->count; i++) {
            const struct network_row *x = &n->rows[i];
            struct egress_rule where = s->where;
            char text[POLICY_PATH_MAX + EGRESS_RULE_MAX];
            struct sbuf b = SBUF(text);
            if (!x->name[0] || !is_wanted(x) || is_again(n, i) || !kept_row(n, x))
                continue;
            narrow(&where, x, NULL);
            bool known = !egress_covers(&s->where, &where);
            for (size_t j = 0; j < k && !known; j++)
                known =
                    strcmp(p->secrets[j].name, s->name) == 0 && egress_covers(&p->secrets[j].where, &where);
            if (known)
                continue;
            policy_secret_text(s, &where, &b);
            put_item("secret", text, &headed, out);
        }
    }
}

static void put_policy(const struct policy *p, const struct network *n, bool open, struct sbuf *out)
{
    bool headed = false;
    sbuf_text(out, open ? "# learnt behind an open gate: what the program reached, it reached\nnet: gate\n"
                        : "net: gate\n");
    for (size_t i = 0; n && i < n->count; i++) {
        const struct network_row *x = &n->rows[i], *kept = kept_row(n, x);
        unsigned words = 0;
        if (!is_wanted(x) || is_again(n, i))
            continue;
        for (size_t k = i; k < n->count; k++)
            words |= is_same(x, &n->rows[k]) ? words_for(&n->rows[k]) : 0;
        if (kept)
            put_kept(n, kept, &headed, out);
        else
            put_rule(x, words, &headed, out);
    }
    put_secrets(p, n, out);
    if (n && n->untold)
        sbuf_fmt(out, "# %llu more attempts are not listed\n", (unsigned long long)n->untold);
}

static int learn(struct run_options *o, bool open, const struct timespec *started)
{
    static struct result result;
    const struct engine_request req = {.policy = o->policy,
                                       .argv = o->command,
                                       .started = *started,
                                       .events_fd = -1,
                                       .learns = true,
                                       .opens = open};
    struct err e = {0};
    char *text = mem_reserve(POLICY_MAX);
    FD_AUTO out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    if (!text || out < 0 || dup2(2, 1) < 0) {
        (void)err_set(&e, ERR_IO, errno, "keep stdout for the policy");
        return say_error(&e);
    }
    int n = engine_run(&req, &result, &e);
    if (n < 0) /* there was no room, or nothing ran in it */
        return say_error(&e);
    struct sbuf b = {.text = text, .size = POLICY_MAX};
    put_policy(o->policy, result.network, open, &b);
    n = fd_write_all(out, b.text, b.len);
    if (n < 0) {
        (void)err_set(&e, ERR_IO, -n, "write the policy");
        return say_error(&e);
    }
    return result.exit_status;
}

int verb_learn(int argc, char **argv)
{
    static char *words[WORDS_MAX], net[] = "--net", gate[] = "gate";
    struct timespec started;
    struct run_options o;
    struct err e = {0};
    const bool open =
        argc > 1 && strcmp(argv[1], "--open") == 0; /* the first word, for it is none of run's */
    (void)clock_gettime(CLOCK_MONOTONIC, &started); /* cannot fail */
    if (open) {
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    if (argc + 3 > WORDS_MAX) {
        (void)err_set(&e, ERR_USAGE, 0, "learn: more than %d words", WORDS_MAX - 3);
        return say_error(&e);
    }
    words[0] = argv[0];
    words[1] = net;
    words[2] = gate;
    memcpy(words + 3, argv + 1, (size_t)argc * sizeof *words); /* with the NULL */
    if (options_parse(argc + 2, words, &o, &e) < 0)
        return say_error(&e);
    int status = o.help ? help() : 0;
    if (!o.help && o.policy->net != NET_GATE) {
        (void)err_set(&e, ERR_USAGE, 0, "learn: a room without a gate has nothing to note");
        (void)err_hint(&e, "leave out --net");
        status = say_error(&e);
    } else if (!o.help && o.ask) {
        (void)err_set(&e, ERR_USAGE, 0,
                      "learn: nobody is asked while it is learnt what would be asked about");
        (void)err_hint(&e, "leave out --ask");
        status = say_error(&e);
    } else if (!o.help) {
        if (open) {
            static char text[] = "strongroom: note: learn --open: THE GATE IS OPEN: the program reaches "
                                 "every public address that "
                                 "it wants,\nstrongroom: note: and what it does there is done; private "
                                 "addresses stay closed\n";
            struct sbuf b = {.text = text, .size = sizeof text, .len = sizeof text - 1};
            say_stderr(&b);
        }
        status = learn(&o, open, &started);
    }
    options_free(&o);
    return status;
}
