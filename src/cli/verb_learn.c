/* verb_learn: `strongroom learn [options of run] -- COMMAND`: runs it behind a closed gate, prints what it would need.
 *
 * The gate gives every name an address, so that what the program would connect to is seen. Nothing leaves the room but
 * what rules allow already; with --open, all that is public does. The program's stdout goes to stderr: stdout is the
 * policy.
 *
 * Lives in: the command. Trusts: nothing of what the room asked for but its form. */
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

/* One endpoint as a rule; false: no rule could allow it. */
static bool put_rule(const struct network_row *x, unsigned words, struct sbuf *out)
{
    struct egress_rule rule;
    const char *host = x->name[0] ? x->name : x->address, *why, *hint;
    const bool v6 = !x->name[0] && strchr(host, ':'), internal = x->name[0] && (words & IS_PRIVATE);
    char text[EGRESS_RULE_MAX];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, v6 ? "[%s]:%u" : "%s:%u", host, x->port);
    sbuf_text(&b, internal ? " internal" : "");
    sbuf_text(&b, words & SAYS_ANY ? " any" : words & SAYS_ECH ? " ech" : "");
    if (b.full || egress_read(text, false, &rule, &why, &hint) < 0)
        return false;
    sbuf_fmt(out, "  %s- \"%s\"%s\n", words & IS_PRIVATE ? "# " : "", text,
             words & IS_PRIVATE ? "  # a private address: only if this is meant" : "");
    return true;
}

static bool is_same(const struct network_row *x, const struct network_row *y)
{
    return y->kind == GATE_KIND_TCP && x->port == y->port && strcmp(x->name, y->name) == 0 &&
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

static void put_policy(const struct network *n, bool open, struct sbuf *out)
{
    size_t count = 0;
    sbuf_text(out, open ? "# learnt behind an open gate: what the program reached, it reached\nnet: gate\n"
                        : "net: gate\n");
    for (size_t i = 0; n && i < n->count; i++) {
        const struct network_row *x = &n->rows[i];
        unsigned words = 0;
        /* What a rule denies was not to be reached. */
        if (x->kind != GATE_KIND_TCP || is_again(n, i) ||
            (x->verdict == GATE_DENIED && x->reason == GATE_WHY_RULE))
            continue;
        for (size_t k = i; k < n->count; k++)
            words |= is_same(x, &n->rows[k]) ? words_for(&n->rows[k]) : 0;
        if (count == 0 && !(words & IS_PRIVATE))
            sbuf_text(out, "allow:\n");
        if (put_rule(x, words, out) && !(words & IS_PRIVATE))
            count++;
    }
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
    put_policy(result.network, open, &b);
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
