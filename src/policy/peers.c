/* peers: the rules about what a room may reach, and which kind of network follows from them.
 *
 * Theory of operation. Each --allow and --deny is kept with its origin. The check decides between them and `net`: the
 * later source wins, so `--net none` closes what a profile opens, and `--allow` on the command line opens a room that a
 * profile left closed; in one source the two contradict each other.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse, sort. Must not: look a name up. */
#include "policy/egress_inner.h"
#include "policy/inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 4, INDEX_FROM = 64, RULE_WORDS_MAX = EGRESS_RULE_MAX + 16, PLACE_MAX = 256 };

/* `text` is the rule that was written as `value`. */
static int add_rule(struct policy *p, const struct field *f, const char *value, const char *text, bool deny,
                    struct err *e)
{
    struct policy_arena *a = p->arena;
    struct peer_item item = {.origin = a->now, .order = a->order};
    const char *why = "", *hint = NULL;
    void *array = a->peers;

    if (egress_read(text, deny, &item.rule, &why, &hint) < 0) {
        value_bad(p, f, value, e, "%s", why);
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    if (item.rule.kind == EGRESS_UNIX && !item.rule.deny) {
        int r = mount_dst_allowed(p, f, value, item.rule.path, e);
        if (r < 0)
            return r;
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

SET_FUNCTION(set_peer)
{
    (void)source;
    return add_rule(p, f, value, value, f->row != 0, e);
}

/* "METHOD HOST[:PORT]/PATH" is the rule "HOST[:PORT] http=METHOD:/PATH". */
SET_FUNCTION(set_http)
{
    char text[EGRESS_RULE_MAX];
    struct sbuf b = SBUF(text);
    const size_t method = strcspn(value, " ");
    const char *host = value + method + strspn(value + method, " ");
    const size_t len = strcspn(host, "/");

    (void)source;
    sbuf_bytes(&b, host, len);
    sbuf_text(&b, " http=");
    sbuf_bytes(&b, value, method);
    sbuf_fmt(&b, ":%s", host + len);
    if (method == 0 || len == 0 || host == value + method || host[len] == '\0' ||
        strcspn(host, " ;") != strlen(host) || b.full) {
        value_bad(p, f, value, e, "not a method, a host and a path");
        return err_hint(e, "as \"GET docs.python.org/*\" or \"POST api.example.org:8443/v1/items\"");
    }
    return add_rule(p, f, value, text, false, e);
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

SET_FUNCTION(set_upstream)
{
    struct upstream *u = arena_alloc(p, sizeof *u);
    const char *why = "", *hint = NULL;

    (void)source;
    if (!u)
        return arena_full(p, e);
    if (upstream_read(value, u, &why, &hint) < 0) { /* the value may hold a password: it is not shown */
        field_bad(p, f, e, "%s", why);
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    p->upstream = u;
    return 0;
}

SHOW_FUNCTION(show_upstream)
{
    char text[UPSTREAM_TEXT_MAX];
    struct sbuf b = SBUF(text);

    if (!p->upstream)
        return;
    upstream_text(p->upstream, false, &b);
    show_line(f, out, text, field_origin(p, f), explain);
}

SET_FUNCTION(set_upstream_login)
{
    const bool env = strncmp(value, "env:", 4) == 0 && value[4] != '\0' && !strchr(value, '=');
    const bool file = strncmp(value, "file:", 5) == 0 && value[5] != '\0';

    (void)source;
    if (!env && !file) {
        field_bad(p, f, e, "not a place of a login"); /* perhaps the login itself: it is not shown */
        return err_hint(e, "as env:PROXY_LOGIN or file:/path/of/login, which holds USER:PASSWORD");
    }
    p->upstream_login = arena_text(p, value, strlen(value));
    return p->upstream_login ? 0 : arena_full(p, e);
}

SHOW_FUNCTION(show_upstream_login)
{
    if (p->upstream_login)
        show_line(f, out, p->upstream_login, field_origin(p, f), explain);
}

/* A proxy is of use with a gate only. */
static int check_upstream(struct policy *p, const struct note_sink *n, struct err *e)
{
    if (p->upstream_login && !p->upstream) {
        err_set(e, ERR_USAGE, 0, "--upstream-login %s: there is no --upstream-proxy", p->upstream_login);
        return err_hint(e, "name the proxy, as --upstream-proxy http://proxy.example:3128");
    }
    if (p->upstream && p->net != NET_GATE)
        note_fmt(n, "--upstream-proxy has no effect: this room has no gate");
    return 0;
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
    if (d == 0)
        d = strcmp(r->http, s->http); /* these add up */
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

/* Some notes of one kind, and how many more there would be. */
struct few {
    const struct note_sink *n;
    size_t told, more;
};

static bool few_more(struct few *f)
{
    if (f->told < NOTES_MAX)
        return f->told++, true;
    f->more++;
    return false;
}

static void few_end(const struct few *f, const char *what)
{
    if (f->more)
        note_fmt(f->n, "%zu more rules %s", f->more, what);
}

static void rule_words(const struct peer_item *x, char ret[RULE_WORDS_MAX])
{
    struct sbuf b = {.text = ret, .size = RULE_WORDS_MAX};

    sbuf_text(&b, x->rule.deny ? "--deny " : "--allow ");
    egress_text(&x->rule, &b);
}

static void note_twice(struct few *f, const struct peer_item *x, const struct peer_item *later)
{
    char first[RULE_WORDS_MAX], second[RULE_WORDS_MAX];

    if (!origin_same(&x->origin, &later->origin) || !few_more(f))
        return;
    rule_words(x, first);
    rule_words(later, second);
    note_fmt(f->n, strcmp(first, second) == 0 ? "%s is there twice" : "%s has no effect: %s comes later",
             first, second);
}

/* Sorted, the latest of equal ones; with an index when they are many. */
static int settle(struct policy *p, const struct note_sink *n_sink, struct err *e)
{
    struct few twice = {.n = n_sink};
    struct policy_arena *a = p->arena;
    struct egress_rule *rules;
    size_t n = 0;

    if (a->peer_count == 0)
        return 0;
    qsort(a->peers, a->peer_count, sizeof *a->peers, by_rule_and_time);
    for (size_t i = 0; i < a->peer_count; i++) {
        if (i + 1 == a->peer_count || by_rule(&a->peers[i], &a->peers[i + 1]) != 0)
            a->peers[n++] = a->peers[i];
        else
            note_twice(&twice, &a->peers[i], &a->peers[i + 1]);
    }
    few_end(&twice, "are there twice");
    a->peer_count = n;
    rules = arena_alloc(p, n * sizeof *rules);
    if (!rules)
        return arena_full(p, e);
    for (size_t i = 0; i < n; i++)
        rules[i] = a->peers[i].rule;
    p->egress = (struct egress_rules){.rules = rules, .count = n};
    if (n >= INDEX_FROM) {
        struct egress_index *index = arena_alloc(p, sizeof *index);
        if (!index)
            return arena_full(p, e);
        egress_index_make(&p->egress, index);
        p->egress.index = index;
    }
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

/* Sockets of the host: few, each with a place of its own in the room. */
static int look_at_sockets(struct policy *p, struct err *e)
{
    struct policy_arena *a = p->arena;
    const struct peer_item *seen[EGRESS_UNIX_MAX];
    size_t count = 0;
    char text[EGRESS_RULE_MAX];

    for (size_t i = 0; i < a->peer_count; i++) {
        const struct peer_item *x = &a->peers[i];
        struct sbuf b = SBUF(text);
        const char *why = NULL;
        if (x->rule.kind != EGRESS_UNIX || x->rule.deny)
            continue;
        for (size_t k = 0; k < count && !why; k++) {
            const size_t n = strlen(seen[k]->rule.path), m = strlen(x->rule.path);
            if (strncmp(seen[k]->rule.path, x->rule.path, n < m ? n : m) == 0 &&
                (n == m || (n < m ? x->rule.path[n] : seen[k]->rule.path[m]) == '/'))
                why = "another socket has that place in the room";
        }
        if (count == EGRESS_UNIX_MAX)
            why = "more than 8 sockets";
        if (!why) {
            seen[count++] = x;
            continue;
        }
        egress_text(&x->rule, &b);
        a->now = x->origin;
        value_bad(p, field_find("allow"), text, e, "%s", why);
        return err_hint(e, "choose another one, as unix:%s=/run/other.sock", x->rule.name);
    }
    return 0;
}

/* A rule that can never allow anything was not meant like that. */
static int look_for_dead(struct policy *p, const struct note_sink *n, struct err *e)
{
    struct policy_arena *a = p->arena;
    struct few dead = {.n = n};
    char words[RULE_WORDS_MAX], by[RULE_WORDS_MAX], place[PLACE_MAX];

    for (size_t i = 0; i < a->peer_count; i++) {
        const struct peer_item *x = &a->peers[i];
        int k = x->rule.deny ? -1 : egress_covered_by(&p->egress, i, true);
        if (k < 0)
            continue;
        const struct peer_item *y = &a->peers[k];
        struct sbuf b = SBUF(place);
        origin_text(&y->origin, &b);
        rule_words(x, words);
        rule_words(y, by);
        if (y->origin.source == x->origin.source) {
            a->now = x->origin;
            value_bad(p, field_find("allow"), words + strlen("--allow "), e,
                      "can never match: %s (%s) covers it", by, place);
            return err_hint(e, "deny beats allow; leave out one of the two");
        }
        if (few_more(&dead))
            note_fmt(n, "%s cannot match: %s (%s) covers it", words, by, place);
    }
    few_end(&dead, "cannot match");
    return 0;
}

static bool is_plain(const struct egress_rule *r)
{
    char text[8];
    struct sbuf b = SBUF(text);

    egress_options_text(r, &b);
    return b.len == 0;
}

/* Rules that do nothing, and those that open more than people think of. */
static void look_for_odd(const struct policy *p, const struct note_sink *n)
{
    const struct policy_arena *a = p->arena;
    struct few idle = {.n = n}, wide = {.n = n};
    char words[RULE_WORDS_MAX], by[RULE_WORDS_MAX];

    for (size_t i = 0; i < a->peer_count; i++) {
        const struct peer_item *x = &a->peers[i];
        if (x->rule.deny)
            continue;
        rule_words(x, words);
        if (x->rule.kind == EGRESS_BELOW && !strchr(x->rule.name, '.') && few_more(&wide))
            note_fmt(n, "%s opens every name below \"%s\", whoever owns it", words, x->rule.name);
        int k = egress_covered_by(&p->egress, i, false);
        const struct peer_item *y = k < 0 ? NULL : &a->peers[k];
        if (!y || !origin_same(&x->origin, &y->origin) || !is_plain(&x->rule) || !is_plain(&y->rule) ||
            !few_more(&idle))
            continue;
        rule_words(y, by);
        note_fmt(n, "%s adds nothing: %s covers it", words, by);
    }
    few_end(&wide, "open every name below one word");
    few_end(&idle, "add nothing");
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
    r = check_upstream(p, n, e);
    if (r < 0)
        return r;
    if (p->net == NET_HOST)
        note_fmt(
            n, "--net host: no gate: the room reaches all that this host reaches, internal services and what "
               "listens on loopback included");
    if (p->net != NET_GATE) {
        a->peer_count = 0;
        return 0;
    }
    r = settle(p, n, e);
    if (r == 0)
        r = look_at_sockets(p, e);
    if (r == 0)
        r = look_for_dead(p, n, e);
    if (r == 0) {
        look_for_loopback(p, n);
        look_for_odd(p, n);
    }
    return r;
}

void policy_rule_origin(const struct policy *p, size_t rule, struct sbuf *out)
{
    origin_text(&p->arena->peers[rule].origin, out);
}
