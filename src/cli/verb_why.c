/* verb_why: `strongroom why HOST[:PORT] [options of run]`: would a room with these options reach that peer, and which
 * rule says so. Asks the very functions that the gate asks.
 *
 * Lives in: the command. Trusts: nothing of argv. Must not: build a room, look a name up. */
#include "cli/options.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include <errno.h>
#include <string.h>

enum { STATUS_ALLOWED = 0, STATUS_DENIED = 1 };

static void put_peer(const struct egress_rule *t, uint16_t port, struct sbuf *out)
{
    const bool v6 = t->kind == EGRESS_V6;

    if (t->kind == EGRESS_UNIX) {
        sbuf_fmt(out, "unix:%s", t->name);
        return;
    }

    sbuf_text(out, v6 ? "[" : "");
    if (t->kind == EGRESS_NAME)
        sbuf_text(out, t->name);
    else
        egress_addr_text(&t->addr, out);
    sbuf_fmt(out, v6 ? "]:%u" : ":%u", port);
}

static void put_rule(const struct policy *p, int rule, struct sbuf *out)
{
    const struct egress_rule *r = &p->egress.rules[rule];

    sbuf_text(out, r->deny ? "--deny " : "--allow ");
    egress_text(r, out);
    sbuf_text(out, " (");
    policy_rule_origin(p, (size_t)rule, out);
    sbuf_char(out, ')');
}

/* Loopback, and the address of no host, which leads there. */
static bool is_loopback(const struct egress_addr *a)
{
    static const uint8_t none[4] = {0, 0, 0, 0};
    static const struct egress_addr loop6 = {.bytes = {[15] = 1}}, none6 = {.bytes = {0}};
    const struct egress_addr none4 = egress_addr_v4(none);

    return (egress_addr_is_v4(a) && a->bytes[12] == 127) || egress_addr_same(a, &loop6, 128) ||
           egress_addr_same(a, &none4, 128) || egress_addr_same(a, &none6, 128);
}

/* One line; true when allowed. */
static bool explain(const struct policy *p, const struct egress_rule *t, uint16_t port, struct sbuf *out)
{
    const bool by_name = t->kind == EGRESS_NAME, by_path = t->kind == EGRESS_UNIX,
               by_addr = !by_name && !by_path;

    put_peer(t, port, out);
    if (p->net == NET_HOST) {
        sbuf_text(out, ": allowed: --net host shares the host's network, and nothing is asked\n");
        return true;
    }
    struct egress_verdict v = by_path   ? egress_verdict_unix(&p->egress, t->name)
                              : by_name ? egress_verdict_name(&p->egress, t->name, port)
                                        : egress_verdict_addr(&p->egress, &t->addr, port);
    if (v.allowed) {
        sbuf_text(out, ": allowed by ");
        put_rule(p, v.rule, out);
        if (by_addr && is_loopback(&t->addr))
            sbuf_text(out, "; names may lead there; the address itself is the room's own loopback");
        if (by_addr && p->egress.rules[v.rule].bits < 128 && !egress_is_private(&t->addr))
            sbuf_text(out, "; where it is this host's own, only a rule for just that address opens it");
        if (by_name && !v.internal)
            sbuf_text(out, "; what it resolves to must be a public address");
        sbuf_char(out, '\n');
        return true;
    }
    if (by_addr && is_loopback(&t->addr)) {
        sbuf_text(out,
                  ": the room's own loopback, which it reaches anyway; nothing of the host's is there\n");
        return true;
    }
    if (v.rule >= 0) {
        sbuf_text(out, ": denied by ");
        put_rule(p, v.rule, out);
        sbuf_char(out, '\n');
        return false;
    }
    if (p->offline) {
        sbuf_text(out, ": denied: --offline closes what any rule allows\n");
        return false;
    }
    sbuf_text(out, p->net == NET_NONE                       ? ": denied: this room has no network"
                   : by_addr && egress_is_private(&t->addr) ? ": denied: no rule lists this private address"
                                                            : ": denied: no rule allows it");
    sbuf_text(out, "; allow with: --allow ");
    put_peer(t, port, out);
    sbuf_char(out, '\n');
    return false;
}

static int help(void)
{
    static char text[] =
        "Usage: strongroom why HOST[:PORT[,PORT...]] [OPTION of run...]\n"
        "Tells whether a room with these options would reach HOST, and which rule decides.\n"
        "Without a port: 80 and 443. Exit status: 0 all of it allowed, 1 not, 125 a mistake.\n";
    struct sbuf b = {.text = text, .size = sizeof text, .len = sizeof text - 1};

    return say_stdout(&b);
}

static int read_target(const char *word, struct egress_words *words, struct egress_rule *ret, struct err *e)
{
    const char *wrong = "", *hint = NULL;
    int r = egress_read(word, false, words, ret, &wrong, &hint);

    if (r == 0 && (ret->kind == EGRESS_BELOW ||
                   (ret->kind != EGRESS_NAME && ret->kind != EGRESS_UNIX && ret->bits != 128))) {
        r = -EINVAL;
        wrong = "is many peers";
        hint = "name one, as example.org:443";
    }
    for (size_t i = 0; r == 0 && i < ret->port_count; i++)
        if (ret->ports[i].from != ret->ports[i].to) {
            r = -EINVAL;
            wrong = "has a range of ports";
            hint = "name single ports, as example.org:80,443";
        }
    if (r == 0)
        return 0;
    err_set(e, ERR_USAGE, 0, "why: \"%.100s\": %s", word, wrong);
    return hint ? err_hint(e, "%s", hint) : -EINVAL;
}

int verb_why(int argc, char **argv)
{
    static char text[EGRESS_PORTS_MAX * 2048];
    struct sbuf b = SBUF(text);
    struct run_options o;
    struct egress_words words;
    struct egress_rule target;
    struct err e = {0};
    int status = STATUS_ALLOWED;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return help();
    if (argc < 2 || argv[1][0] == '-') {
        err_set(&e, ERR_USAGE, 0, "why: no host given");
        err_hint(&e, "strongroom why HOST[:PORT] [OPTION of run...]");
        return say_error(&e);
    }
    if (read_target(argv[1], &words, &target, &e) < 0)
        return say_error(&e);
    argv[1] = argv[0];
    if (options_parse_policy(argc - 1, argv + 1, &o, &e) < 0)
        return say_error(&e);
    if (o.help || o.json) {
        const bool help_wanted = o.help;
        options_free(&o);
        if (help_wanted)
            return help();
        err_set(&e, ERR_USAGE, 0, "why: --json: it answers in words");
        err_hint(&e, "its exit status says it to programs: 0 allowed, 1 denied");
        return say_error(&e);
    }
    for (size_t i = 0; i < target.port_count; i++)
        if (!explain(o.policy, &target, target.ports[i].from, &b))
            status = STATUS_DENIED;
    if (target.kind == EGRESS_UNIX && !explain(o.policy, &target, 0, &b))
        status = STATUS_DENIED;
    options_free(&o);
    int said = say_stdout(&b);
    return said ? said : status;
}
