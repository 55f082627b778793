/* peers: the rules about what a room may reach, and which kind of network follows from them.
 *
 * Theory of operation. Each --allow and --deny is kept with its origin. The check decides between them and `net`: the
 * later source wins, so `--net none` closes what a profile opens, and `--allow` on the command line opens a room that a
 * profile left closed; in one source the two contradict each other.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse, sort. Must not: look a name up. */
#include "policy/egress_inner.h"
#include "policy/inner.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    NOTES_MAX = 4,
    INDEX_FROM = 64,
    RULES_FEW = 16,
    RULE_WORDS_MAX = EGRESS_RULE_MAX + 16,
    PLACE_MAX = 256
};

static_assert(EGRESS_RULES_MAX <= UINT16_MAX, "a rule's number fits");

/* What is more than a few goes into memory for as many as there may ever be, which is copied no more, and costs nothing
 * until it is written to. */
static int room_for_rule(struct policy *p)
{
    struct policy_arena *a = p->arena;
    const size_t room = a->rule_room == 0 ? RULES_FEW : EGRESS_RULES_MAX;

    if (a->peer_count < a->rule_room)
        return 0;
    struct egress_rule *rules = arena_alloc(p, room * sizeof *rules);
    struct peer_item *peers = arena_alloc(p, room * sizeof *peers);
    if (!rules || !peers)
        return -ENOMEM;
    if (a->peer_count > 0) {
        memcpy(rules, a->rules, a->peer_count * sizeof *rules);
        memcpy(peers, a->peers, a->peer_count * sizeof *peers);
    }
    a->rules = rules;
    a->peers = peers;
    a->rule_room = room;
    return 0;
}

int policy_keep_words(struct policy *p, struct egress_rule *r)
{
    const size_t name = strlen(r->name), note = strlen(r->note), http = strlen(r->http);

    r->name = name ? arena_text(p, r->name, name) : "";
    r->note = note ? arena_text(p, r->note, note) : "";
    r->http = http ? arena_text(p, r->http, http) : "";
    return r->name && r->note && r->http ? 0 : -ENOMEM;
}

/* `text` is the rule that was written as `value`. */
static int add_rule(struct policy *p, const struct field *f, const char *value, const char *text, bool deny,
                    struct err *e)
{
    struct policy_arena *a = p->arena;
    struct egress_words words;
    const char *why = "", *hint = NULL;

    if (a->peer_count == EGRESS_RULES_MAX)
        return field_bad(p, f, e, "more than %d rules", EGRESS_RULES_MAX);
    if (room_for_rule(p) < 0)
        return arena_full(p, e);
    struct egress_rule *rule = &a->rules[a->peer_count];
    if (egress_read(text, deny, &words, rule, &why, &hint) < 0) {
        value_bad(p, f, value, e, "%s", why);
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    if (rule->kind == EGRESS_UNIX && !rule->deny) {
        int r = mount_dst_allowed(p, f, value, rule->path, e);
        if (r < 0)
            return r;
    }
    if (policy_keep_words(p, rule) < 0)
        return arena_full(p, e);
    a->peers[a->peer_count++] = (struct peer_item){.origin = a->now, .order = a->order++};
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
    if (strstr(host, "://")) {
        value_bad(p, f, value, e, "that is a URL");
        return err_hint(e, "leave out its scheme, as \"GET docs.python.org/*\"");
    }
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
    if (p->upstream_login && p->upstream->user[0]) {
        err_set(e, ERR_USAGE, 0, "--upstream-login %s: --upstream-proxy has a login already",
                p->upstream_login);
        return err_hint(e, "leave one of them out: other users can read the one in the URL");
    }
    if (p->upstream && p->net != NET_GATE)
        note_fmt(n, "--upstream-proxy has no effect: this room has no gate");
    return 0;
}

/* An order that depends on what the rules say only. */
static int by_rule(const struct peer_item *x, const struct peer_item *y)
{
    const struct egress_rule *r = x->rule, *s = y->rule;
    int d = r->deny != s->deny ? (r->deny ? 1 : -1) : memcmp(x->key, y->key, sizeof x->key);

    if (d == 0)
        d = strcmp(r->name, s->name);
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

static int by_rule_and_time(const struct peer_item *x, const struct peer_item *y)
{
    int d = by_rule(x, y);

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

    sbuf_text(&b, x->rule->deny ? "--deny " : "--allow ");
    egress_text(x->rule, &b);
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

/* The numbers of the rules in the order of by_rule_and_time(): runs of twice the length are made of two runs, again and
 * again. Two that are in order already are not touched, so that a sorted file costs next to nothing. */
static void sort_numbers(const struct peer_item *peers, size_t count, uint16_t *numbers, uint16_t *spare)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (uint16_t)i;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t from = 0; from + run < count; from += 2 * run) {
            const size_t mid = from + run, end = mid + run < count ? mid + run : count;
            if (by_rule_and_time(&peers[numbers[mid - 1]], &peers[numbers[mid]]) <= 0)
                continue;
            memcpy(spare, numbers + from, run * sizeof *spare);
            for (size_t to = from, left = 0, right = mid; left < run; to++) {
                const bool take_right =
                    right < end && by_rule_and_time(&peers[numbers[right]], &peers[spare[left]]) < 0;
                numbers[to] = take_right ? numbers[right++] : spare[left++];
            }
        }
    }
}

/* Puts the rules and what belongs to them into that order, in place: one cycle of the permutation after another. Where
 * a place is done, its number is its own. */
static void move_rules(struct policy_arena *a, size_t count, uint16_t *numbers)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == i)
            continue;
        const struct egress_rule rule = a->rules[i];
        const struct peer_item peer = a->peers[i];
        size_t to = i;
        for (size_t from = numbers[i]; from != i; from = numbers[to]) {
            a->rules[to] = a->rules[from];
            a->peers[to] = a->peers[from];
            numbers[to] = (uint16_t)to;
            to = from;
        }
        a->rules[to] = rule;
        a->peers[to] = peer;
        numbers[to] = (uint16_t)to;
    }
    for (size_t i = 0; i < count; i++)
        a->peers[i].rule = &a->rules[i];
}

/* Sorted, the latest of equal ones; with an index when they are many. */
static int settle(struct policy *p, const struct note_sink *n_sink, struct err *e)
{
    struct few twice = {.n = n_sink};
    struct policy_arena *a = p->arena;
    size_t n = 0;

    if (a->peer_count == 0)
        return 0;
    uint16_t *numbers = arena_alloc(p, 2 * a->peer_count * sizeof *numbers);
    if (!numbers)
        return arena_full(p, e);
    sort_numbers(a->peers, a->peer_count, numbers, numbers + a->peer_count);
    move_rules(a, a->peer_count, numbers);
    for (size_t i = 0; i < a->peer_count; i++) {
        if (i + 1 < a->peer_count && by_rule(&a->peers[i], &a->peers[i + 1]) == 0) {
            note_twice(&twice, &a->peers[i], &a->peers[i + 1]);
            continue;
        }
        if (n < i) {
            a->rules[n] = a->rules[i];
            a->peers[n] = a->peers[i];
            a->peers[n].rule = &a->rules[n];
        }
        n++;
    }
    few_end(&twice, "are there twice");
    a->peer_count = n;
    p->egress = (struct egress_rules){.rules = a->rules, .count = n};
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
        if (x->rule->kind != EGRESS_UNIX || x->rule->deny)
            continue;
        for (size_t k = 0; k < count && !why; k++) {
            const size_t n = strlen(seen[k]->rule->path), m = strlen(x->rule->path);
            if (strncmp(seen[k]->rule->path, x->rule->path, n < m ? n : m) == 0 &&
                (n == m || (n < m ? x->rule->path[n] : seen[k]->rule->path[m]) == '/'))
                why = "another socket has that place in the room";
        }
        if (count == EGRESS_UNIX_MAX)
            why = "more than 8 sockets";
        if (!why) {
            seen[count++] = x;
            continue;
        }
        egress_text(x->rule, &b);
        a->now = x->origin;
        value_bad(p, field_find("allow"), text, e, "%s", why);
        return err_hint(e, "choose another one, as unix:%s=/run/other.sock", x->rule->name);
    }
    return 0;
}

/* A rule that can never allow anything was not meant like that. */
static int look_for_dead(struct policy *p, const struct note_sink *n, struct err *e)
{
    struct policy_arena *a = p->arena;
    struct few dead = {.n = n};
    char words[RULE_WORDS_MAX], by[RULE_WORDS_MAX], place[PLACE_MAX];
    bool denies = false;

    for (size_t i = 0; i < a->peer_count; i++)
        denies = denies || a->peers[i].rule->deny;
    if (!denies)
        return 0;
    for (size_t i = 0; i < a->peer_count; i++) {
        const struct peer_item *x = &a->peers[i];
        int k = x->rule->deny ? -1 : egress_covered_by(&p->egress, i, true);
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

static bool share_a_port(const struct egress_rule *r, const struct egress_rule *s)
{
    for (size_t i = 0; i < r->port_count; i++) {
        for (size_t k = 0; k < s->port_count; k++) {
            if (r->ports[i].from <= s->ports[k].to && s->ports[k].from <= r->ports[i].to)
                return true;
        }
    }
    return false;
}

/* Which requests pass is said by rules of one host together: one that says nothing of them lets all pass. */
static void look_for_unlimited(const struct policy *p, const struct note_sink *n)
{
    const struct policy_arena *a = p->arena;
    struct few void_ones = {.n = n};
    char words[RULE_WORDS_MAX], by[RULE_WORDS_MAX];

    for (size_t i = 0, from = 0; i < a->peer_count; i++) {
        const struct egress_rule *x = &a->rules[i], *y = NULL;
        if (x->kind > EGRESS_BELOW || x->deny)
            continue;
        if (a->rules[from].kind != x->kind || strcmp(a->rules[from].name, x->name) != 0)
            from = i; /* the first rule of this host: they stand together */
        if (!x->http[0])
            continue;
        for (size_t k = from; !y && k < a->peer_count && strcmp(a->rules[k].name, x->name) == 0; k++) {
            if (a->rules[k].kind == x->kind && !a->rules[k].deny && !a->rules[k].http[0] &&
                share_a_port(&a->rules[k], x))
                y = &a->rules[k];
        }
        if (!y || !few_more(&void_ones))
            continue;
        rule_words(&a->peers[i], words);
        rule_words(&a->peers[y - a->rules], by);
        note_fmt(n, "%s limits nothing where %s lets every request pass", words, by);
    }
    few_end(&void_ones, "limit nothing");
}

static bool is_plain(const struct egress_rule *r)
{
    char text[8];
    struct sbuf b = SBUF(text);

    egress_options_text(r, &b);
    return b.len == 0;
}

/* Does rule i, of a sorted list, name a host that its neighbours do not? */
static bool is_alone(const struct policy_arena *a, size_t i)
{
    const struct egress_rule *x = &a->rules[i];

    return x->kind == EGRESS_NAME && (i == 0 || strcmp(a->rules[i - 1].name, x->name) != 0) &&
           (i + 1 == a->peer_count || strcmp(a->rules[i + 1].name, x->name) != 0);
}

/* Rules that do nothing, and those that open more than people think of. */
static void look_for_odd(const struct policy *p, const struct note_sink *n)
{
    const struct policy_arena *a = p->arena;
    struct few idle = {.n = n}, wide = {.n = n};
    char words[RULE_WORDS_MAX], by[RULE_WORDS_MAX];
    bool all_single = true; /* no rule covers other hosts: then only neighbours need be compared */

    for (size_t i = 0; i < a->peer_count; i++)
        all_single = all_single && a->rules[i].kind != EGRESS_BELOW;
    for (size_t i = 0; i < a->peer_count; i++) {
        const struct peer_item *x = &a->peers[i];
        if (x->rule->deny)
            continue;
        if (x->rule->kind == EGRESS_BELOW && !strchr(x->rule->name, '.') && few_more(&wide)) {
            rule_words(x, words);
            note_fmt(n, "%s opens every name below \"%s\", whoever owns it", words, x->rule->name);
        }
        int k = all_single && is_alone(a, i) ? -1 : egress_covered_by(&p->egress, i, false);
        const struct peer_item *y = k < 0 ? NULL : &a->peers[k];
        if (!y || !origin_same(&x->origin, &y->origin) || !is_plain(x->rule) || !is_plain(y->rule) ||
            !few_more(&idle))
            continue;
        rule_words(x, words);
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

    egress_text(x->rule, &b);
    p->arena->now = x->origin;
    value_bad(p, field_find(x->rule->deny ? "deny" : "allow"), text, e, "%s", why);
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
        if (x->rule->deny && p->net == NET_HOST)
            return contradiction(p, x, "with --net host nothing can be denied", e);
        if (!x->rule->deny && (!last || x->origin.source >= last->origin.source))
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

    for (size_t i = 0; i < a->peer_count; i++) { /* from here on the rules stay where they are */
        a->peers[i].rule = &a->rules[i];
        memcpy(a->peers[i].key, a->rules[i].name, PEER_KEY);
    }
    if (p->offline) {
        if (a->peer_count || p->net != NET_NONE || p->secret_count)
            note_fmt(n, "what would open the network has no effect: --offline");
        a->peer_count = 0;
        p->secret_count = 0;
        p->net = NET_NONE;
        return 0;
    }
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
        look_for_unlimited(p, n);
    }
    return r;
}

void policy_rule_origin(const struct policy *p, size_t rule, struct sbuf *out)
{
    origin_text(&p->arena->peers[rule].origin, out);
}
