/* peers: the rules about what a room may reach, and which kind of network follows from them.
 *
 * Theory of operation. Each --allow and --deny is kept with its origin. The check decides between them and `net`: the
 * later source wins, so `--net none` closes what a profile opens, and `--allow` on the command line opens a room that a
 * profile left closed; in one source the two contradict each other.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse, sort. Must not: look a name up. */
#include "policy/inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

SET_FUNCTION(set_peer)
{
    struct policy_arena *a = p->arena;
    struct peer_item item = {.origin = a->now, .order = a->order};
    const char *why = "", *hint = NULL;
    void *array = a->peers;

    (void)source;
    if (egress_read(value, f->row != 0, &item.rule, &why, &hint) < 0) {
        value_bad(p, f, value, e, "%s", why);
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    if (a->peer_count == EGRESS_RULES_MAX)
        return field_bad(p, f, e, "more than %d rules", EGRESS_RULES_MAX);
    if (arena_grow(p, &array, &a->peer_room, a->peer_count, sizeof *a->peers) < 0)
        return arena_full(p, e);
    a->peers = array;
    a->peers[a->peer_count++] = item;
    a->order++;
    return 0;
}

SHOW_FUNCTION(show_peers)
{
    char text[EGRESS_RULE_MAX];
    bool headed = false;

    for (size_t i = 0; i < p->egress.count; i++) {
        const struct egress_rule *r = &p->egress.rules[i];
        struct sbuf b = SBUF(text);
        if (r->deny != (f->row != 0))
            continue;
        if (!headed)
            sbuf_fmt(out, "%s:\n", f->name);
        headed = true;
        egress_text(r, &b);
        show_item(out, text, &p->arena->peers[i].origin, explain);
    }
}

/* An order that depends on what the rules say only. */
static int by_rule(const void *a, const void *b)
{
    const struct peer_item *x = a, *y = b;
    const struct egress_rule *r = &x->rule, *s = &y->rule;
    int d = r->deny != s->deny ? (r->deny ? 1 : -1) : strcmp(r->name, s->name);

    if (d == 0 && r->kind != s->kind)
        d = r->kind < s->kind ? -1 : 1;
    if (d == 0)
        d = memcmp(&r->addr, &s->addr, sizeof r->addr);
    if (d == 0)
        d = (int)r->bits - (int)s->bits;
    if (d == 0)
        d = memcmp(r->ports, s->ports, sizeof r->ports);
    if (d == 0 && r->internal != s->internal)
        d = r->internal ? 1 : -1;
    return d;
}

static int by_rule_and_time(const void *a, const void *b)
{
    const struct peer_item *x = a, *y = b;
    int d = by_rule(a, b);

    if (d == 0)
        d = x->origin.source != y->origin.source ? (x->origin.source < y->origin.source ? -1 : 1)
                                                 : (x->order < y->order ? -1 : 1);
    return d;
}

/* Sorted, the latest of equal ones. */
static int settle(struct policy *p, struct err *e)
{
    struct policy_arena *a = p->arena;
    struct egress_rule *rules;
    size_t n = 0;

    if (a->peer_count == 0)
        return 0;
    qsort(a->peers, a->peer_count, sizeof *a->peers, by_rule_and_time);
    for (size_t i = 0; i < a->peer_count; i++) {
        if (i + 1 == a->peer_count || by_rule(&a->peers[i], &a->peers[i + 1]) != 0)
            a->peers[n++] = a->peers[i];
    }
    a->peer_count = n;
    rules = arena_alloc(p, n * sizeof *rules);
    if (!rules)
        return arena_full(p, e);
    for (size_t i = 0; i < n; i++)
        rules[i] = a->peers[i].rule;
    p->egress = (struct egress_rules){.rules = rules, .count = n};
    return 0;
}

/* Loopback addresses stay inside: such a rule lets names lead there, no more. */
static void look_for_loopback(const struct policy *p, const struct note_sink *n)
{
    static const uint8_t net[4] = {127, 0, 0, 0};
    static const struct egress_addr loop6 = {.bytes = {[15] = 1}};
    const struct egress_addr loop4 = egress_addr_v4(net);

    for (size_t i = 0; i < p->egress.count; i++) {
        const struct egress_rule *r = &p->egress.rules[i];
        char text[EGRESS_RULE_MAX];
        struct sbuf b = SBUF(text);
        bool v4 = r->kind == EGRESS_V4 && r->bits >= 104 && egress_addr_same(&r->addr, &loop4, 104);
        bool v6 = r->kind == EGRESS_V6 && egress_addr_same(&r->addr, &loop6, 128);
        if (r->deny || !(v4 || v6))
            continue;
        egress_text(r, &b);
        note_fmt(n, "--allow %s: names may lead there; the address itself is the room's own loopback", text);
    }
}

/* A rule that can never allow anything was not meant like that. */
static int look_for_dead(struct policy *p, const struct note_sink *n, struct err *e)
{
    struct policy_arena *a = p->arena;
    char dead[EGRESS_RULE_MAX], by[EGRESS_RULE_MAX];

    for (size_t i = 0; i < a->peer_count; i++) {
        for (size_t k = 0; k < a->peer_count && !a->peers[i].rule.deny; k++) {
            const struct peer_item *x = &a->peers[i], *y = &a->peers[k];
            if (!y->rule.deny || !egress_covers(&y->rule, &x->rule))
                continue;
            struct sbuf d = SBUF(dead), b = SBUF(by);
            egress_text(&x->rule, &d);
            egress_text(&y->rule, &b);
            if (y->origin.source == x->origin.source) {
                a->now = x->origin;
                value_bad(p, field_find("allow"), dead, e, "can never match: --deny %s covers it", by);
                return err_hint(e, "deny beats allow; leave out one of the two");
            }
            note_fmt(n, "--allow %s cannot match: --deny %s covers it", dead, by);
            break;
        }
    }
    return 0;
}

static int contradiction(struct policy *p, const struct peer_item *x, const char *why, struct err *e)
{
    char text[EGRESS_RULE_MAX];
    struct sbuf b = SBUF(text);

    egress_text(&x->rule, &b);
    p->arena->now = x->origin;
    value_bad(p, field_find(x->rule.deny ? "deny" : "allow"), text, e, "%s", why);
    return err_hint(e, "leave out one of the two");
}

/* Which network: see the top. */
static int choose(struct policy *p, const struct note_sink *n, struct err *e)
{
    struct policy_arena *a = p->arena;
    const struct origin *net = field_origin(p, field_find("net"));
    const struct peer_item *last = NULL;

    for (size_t i = 0; i < a->peer_count; i++) {
        const struct peer_item *x = &a->peers[i];
        if (x->rule.deny && p->net == NET_HOST)
            return contradiction(p, x, "with --net host nothing can be denied", e);
        if (!x->rule.deny && (!last || x->origin.source >= last->origin.source))
            last = x;
    }
    if (!last || p->net == NET_GATE)
        return 0;
    if (!net->where || last->origin.source > net->source) {
        p->net = NET_GATE;
        return 0;
    }
    if (last->origin.source == net->source)
        return contradiction(p, last,
                             p->net == NET_HOST ? "with --net host everything is reached anyway"
                                                : "with --net none nothing is reached",
                             e);
    note_fmt(n, "rules about peers have no effect: %s", p->net == NET_HOST ? "--net host" : "--net none");
    return 0;
}

int peers_check(struct policy *p, const struct note_sink *n, struct err *e)
{
    struct policy_arena *a = p->arena;

    int r = choose(p, n, e);
    if (r < 0)
        return r;
    if (p->net != NET_GATE) {
        a->peer_count = 0;
        return 0;
    }
    r = settle(p, e);
    if (r == 0)
        r = look_for_dead(p, n, e);
    if (r == 0)
        look_for_loopback(p, n);
    return r;
}

void policy_rule_origin(const struct policy *p, size_t rule, struct sbuf *out)
{
    origin_text(&p->arena->peers[rule].origin, out);
}
