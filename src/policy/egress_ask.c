/* egress_ask: what the rules say of a peer.
 *
 * Theory of operation. Rules are walked by host: those that name it, those that name something above it, those whose
 * network holds the address. With an index the walk goes by hash (one look for each label of a name, one for each
 * length of prefix that some rule has), without one over all rules; both find the same. What a verdict makes of the
 * rules found does not depend on their order.
 *
 * Lives in: any process, also in the gate that faces the network. Trusts: that the rules were read by egress_read().
 * May: compute. Must not: allocate, look anything up. */
#include "base/err.h"
#include "policy/egress_inner.h"

#include <assert.h>
#include <string.h>

static_assert(EGRESS_RULES_MAX < UINT16_MAX, "a rule fits its link");

/* --- does a rule speak of it? ------------------------------------------------------------------------------ */

static bool has_port(const struct egress_rule *r, uint16_t port)
{
    for (size_t i = 0; i < r->port_count; i++)
        if (port >= r->ports[i].from && port <= r->ports[i].to)
            return true;
    return false;
}

static bool is_below(const char *name, const char *top)
{
    size_t n = strlen(name), t = strlen(top);

    return n > t + 1 && name[n - t - 1] == '.' && memcmp(name + n - t, top, t) == 0;
}

static bool has_name(const struct egress_rule *r, const char *name)
{
    return r->kind == EGRESS_NAME || r->kind == EGRESS_UNIX /* these begin with a slash, no name does */
               ? strcmp(r->name, name) == 0
               : r->kind == EGRESS_BELOW ? is_below(name, r->name) : false;
}

static bool has_addr(const struct egress_rule *r, const struct egress_addr *a)
{
    return r->kind == (egress_addr_is_v4(a) ? EGRESS_V4 : EGRESS_V6) &&
           egress_addr_same(&r->addr, a, r->bits);
}

/* 0.0.0.0/0 means the Internet, not what listens on loopback. */
static bool speaks_of(const struct egress_rule *r, const struct egress_addr *a)
{
    struct egress_addr inner;

    if (r->deny)
        return has_addr(r, a) || (egress_addr_inner(a, &inner) && has_addr(r, &inner));
    return has_addr(r, a) && (!egress_is_private(a) || egress_net_is_private(&r->addr, r->bits));
}

/* --- the index --------------------------------------------------------------------------------------------- */

static uint32_t hash(uint32_t h, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;

    for (size_t i = 0; i < len; i++) /* FNV-1a; rules come from the caller, who floods nobody but himself */
        h = (h ^ b[i]) * 16777619u;
    return h ^ h >> 15;
}

static uint32_t hash_name(const char *name, bool below)
{
    return hash(below ? 2166136261u : 84696351u, name, strlen(name));
}

static uint32_t hash_net(const struct egress_addr *a, unsigned bits)
{
    struct egress_addr net = *a;

    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
        if (keep < 8)
            net.bytes[i] &= (uint8_t)(0xff00u >> keep);
    }
    return hash(2654435769u + bits, net.bytes, sizeof net.bytes);
}

static uint32_t hash_rule(const struct egress_rule *r)
{
    return r->kind == EGRESS_V4 || r->kind == EGRESS_V6 ? hash_net(&r->addr, r->bits)
                                                        : hash_name(r->name, r->kind == EGRESS_BELOW);
}

void egress_index_make(const struct egress_rules *r, struct egress_index *ret)
{
    uint32_t buckets = 16;

    CHECK(r->count <= EGRESS_RULES_MAX);
    while (buckets < 2 * r->count)
        buckets *= 2;
    ret->count = r->count;
    ret->mask = buckets - 1;
    memset(ret->bits4, 0, sizeof ret->bits4);
    memset(ret->bits6, 0, sizeof ret->bits6);
    memset(ret->heads, 0, buckets * sizeof ret->heads[0]);
    for (size_t i = r->count; i-- > 0;) { /* so that chains rise */
        const struct egress_rule *x = &r->rules[i];
        uint16_t *head = &ret->heads[hash_rule(x) & ret->mask];
        ret->next[i] = *head;
        *head = (uint16_t)(i + 1);
        if (x->kind == EGRESS_V4)
            ret->bits4[x->bits / 64] |= (uint64_t)1 << x->bits % 64;
        else if (x->kind == EGRESS_V6)
            ret->bits6[x->bits / 64] |= (uint64_t)1 << x->bits % 64;
    }
}

/* The rules that speak of a name, or of an address. */
struct walk {
    const struct egress_rules *r;
    const struct egress_index *index;
    const char *name, *rest; /* rest: what the next look is for; NULL: no more */
    struct egress_addr at, inner;
    const struct egress_addr *addr;
    unsigned bits; /* the next length of prefix */
    bool has_inner;
    size_t i;      /* without an index: the next rule */
    unsigned link; /* with one: the next in the chain, + 1 */
};

static struct walk walk_begin(const struct egress_rules *r)
{
    return (struct walk){.r = r, .index = r->index && r->index->count == r->count ? r->index : NULL};
}

static struct walk walk_name(const struct egress_rules *r, const char *name)
{
    struct walk w = walk_begin(r);

    w.name = name;
    if (w.index) {
        w.link = w.index->heads[hash_name(name, false) & w.index->mask];
        w.rest = strchr(name, '.');
    }
    return w;
}

static struct walk walk_addr(const struct egress_rules *r, const struct egress_addr *a)
{
    struct walk w = walk_begin(r);

    w.at = *a;
    w.has_inner = egress_addr_inner(a, &w.inner);
    w.addr = &w.at;
    return w;
}

/* The next chain into w->link; false: there is none. */
static bool next_chain(struct walk *w)
{
    const struct egress_index *x = w->index;

    if (w->name) {
        if (!w->rest)
            return false;
        w->link = x->heads[hash_name(w->rest + 1, true) & x->mask];
        w->rest = strchr(w->rest + 1, '.');
        return true;
    }
    for (;; w->bits++) {
        if (w->bits > 128) {
            if (!w->has_inner)
                return false;
            w->has_inner = false; /* once more, for the address within */
            w->at = w->inner;
            w->bits = 0;
        }
        const uint64_t *has = egress_addr_is_v4(&w->at) ? x->bits4 : x->bits6;
        if (has[w->bits / 64] >> w->bits % 64 & 1)
            break;
    }
    w->link = x->heads[hash_net(&w->at, w->bits) & x->mask];
    w->bits++;
    return true;
}

/* -1: that was all. A rule may come twice. */
static int walk_next(struct walk *w, const struct egress_addr *asked)
{
    for (;;) {
        size_t i;
        if (!w->index) {
            if (w->i == w->r->count)
                return -1;
            i = w->i++;
        } else if (w->link != 0) {
            i = w->link - 1;
            w->link = w->index->next[i];
        } else if (next_chain(w)) {
            continue;
        } else {
            return -1;
        }
        if (w->r->rules[i].gone)
            continue;
        if (w->name ? has_name(&w->r->rules[i], w->name) : speaks_of(&w->r->rules[i], asked))
            return (int)i;
    }
}

/* --- verdicts ---------------------------------------------------------------------------------------------- */

static unsigned exactness(const struct egress_rule *r)
{
    return r->kind == EGRESS_NAME    ? EGRESS_NAME_MAX
           : r->kind == EGRESS_BELOW ? (unsigned)strlen(r->name)
                                     : r->bits;
}

static struct egress_verdict decide(struct walk w, const struct egress_addr *asked, uint16_t port)
{
    struct egress_verdict v = {.rule = -1};
    const struct egress_rule *rules = w.r->rules;
    bool denied = false;

    for (int i; (i = walk_next(&w, asked)) >= 0;) {
        const struct egress_rule *x = &rules[i];
        if (!has_port(x, port) || (denied && !x->deny))
            continue;
        v.internal = v.internal || x->internal;
        unsigned old = v.rule < 0 || denied != x->deny ? 0 : exactness(&rules[v.rule]), now = exactness(x);
        bool first = v.rule < 0 || denied != x->deny;
        if (first || now > old || (now == old && i < v.rule))
            v.rule = i;
        denied = x->deny;
    }
    v.allowed = v.rule >= 0 && !denied;
    v.internal = v.internal && v.allowed;
    return v;
}

struct egress_verdict egress_verdict_name(const struct egress_rules *r, const char *name, uint16_t port)
{
    return decide(walk_name(r, name), NULL, port);
}

struct egress_verdict egress_verdict_addr(const struct egress_rules *r, const struct egress_addr *a,
                                          uint16_t port)
{
    return decide(walk_addr(r, a), a, port);
}

struct egress_verdict egress_verdict_unix(const struct egress_rules *r, const char *path)
{
    struct egress_verdict v = {.rule = -1};
    struct walk w = walk_name(r, path);

    for (int i; (i = walk_next(&w, NULL)) >= 0;) {
        if (v.rule < 0 || r->rules[i].deny)
            v.rule = i;
        if (r->rules[i].deny)
            break;
    }
    v.allowed = v.rule >= 0 && !r->rules[v.rule].deny;
    return v;
}

static bool denies_all(const struct egress_rule *x)
{
    return x->deny && x->port_count == 1 && x->ports[0].from == 1 && x->ports[0].to == 65535;
}

int egress_name_denied_by(const struct egress_rules *r, const char *name)
{
    struct walk w = walk_name(r, name);

    for (int i; (i = walk_next(&w, NULL)) >= 0;) {
        if (denies_all(&r->rules[i]))
            return i;
    }
    return -1;
}

bool egress_knows_name(const struct egress_rules *r, const char *name)
{
    struct walk w = walk_name(r, name);
    bool known = false;

    for (int i; (i = walk_next(&w, NULL)) >= 0;) {
        if (denies_all(&r->rules[i]))
            return false;
        known = known || !r->rules[i].deny;
    }
    return known;
}

unsigned egress_inside_name(const struct egress_rules *r, const char *name, uint16_t port)
{
    const unsigned readable = EGRESS_TLS | EGRESS_HTTP,
                   by_port = port == 443 || port == 80 ? readable : EGRESS_ANY;
    struct walk w = walk_name(r, name);
    unsigned inside = 0, best = 0;

    for (int i; (i = walk_next(&w, NULL)) >= 0;) {
        const struct egress_rule *x = &r->rules[i];
        const unsigned exact = exactness(x);
        if (x->deny || !has_port(x, port) || exact < best)
            continue;
        inside = exact > best ? 0 : inside;
        best = exact;
        inside |= x->inside;
        if ((x->inside & ~(unsigned)EGRESS_ECH) == 0)
            inside |= x->http[0] ? readable : by_port;
    }
    return (inside & EGRESS_ANY) || inside == 0 ? EGRESS_ANY : inside;
}

void egress_http_name(const struct egress_rules *r, const char *name, uint16_t port,
                      char ret[EGRESS_HTTPS_MAX])
{
    struct sbuf b = {.text = ret, .size = EGRESS_HTTPS_MAX};
    struct walk w = walk_name(r, name);
    unsigned best = 0;
    bool all = false;

    ret[0] = '\0';
    for (int i; (i = walk_next(&w, NULL)) >= 0;) {
        const struct egress_rule *x = &r->rules[i];
        const unsigned exact = exactness(x);
        if (x->deny || !has_port(x, port) || exact < best)
            continue;
        if (exact > best) {
            b.len = 0;
            ret[0] = '\0';
            all = false;
        }
        best = exact;
        all = all || !x->http[0];
        if (b.len + 1 + strlen(x->http) < b.size) /* what does not fit is not allowed */
            sbuf_fmt(&b, b.len > 0 ? " %s" : "%s", x->http);
    }
    if (all)
        ret[0] = '\0';
}

bool egress_may_dial(const struct egress_rules *r, bool internal, const struct egress_addr *a, uint16_t port)
{
    struct egress_verdict v = egress_verdict_addr(r, a, port);

    if (v.rule >= 0)
        return v.allowed;
    return !egress_is_private(a) || internal;
}

/* --- one rule and another ---------------------------------------------------------------------------------- */

static bool covers_ports(const struct egress_rule *a, const struct egress_rule *b)
{
    for (size_t i = 0; i < b->port_count; i++) {
        bool within = false;
        for (size_t k = 0; k < a->port_count; k++)
            within = within || (a->ports[k].from <= b->ports[i].from && a->ports[k].to >= b->ports[i].to);
        if (!within)
            return false;
    }
    return true;
}

bool egress_covers(const struct egress_rule *a, const struct egress_rule *b)
{
    bool host;

    if (b->kind == EGRESS_V4 || b->kind == EGRESS_V6)
        host = a->kind == b->kind && a->bits <= b->bits && egress_addr_same(&a->addr, &b->addr, a->bits);
    else if (b->kind == EGRESS_BELOW)
        host = a->kind == EGRESS_BELOW && (strcmp(a->name, b->name) == 0 || is_below(b->name, a->name));
    else
        host = has_name(a, b->name) && (b->kind != EGRESS_UNIX || a->deny || strcmp(a->path, b->path) == 0);
    return host && covers_ports(a, b);
}

int egress_covered_by(const struct egress_rules *r, size_t which, bool deny)
{
    const struct egress_rule *x = &r->rules[which];
    char below[EGRESS_NAME_MAX + 2] = "?.";
    const bool named = x->kind != EGRESS_V4 && x->kind != EGRESS_V6;

    if (x->kind == EGRESS_BELOW)
        memcpy(below + 2, x->name, EGRESS_NAME_MAX);
    struct walk w = named ? walk_name(r, x->kind == EGRESS_BELOW ? below : x->name) : walk_addr(r, &x->addr);
    for (int i; (i = walk_next(&w, &x->addr)) >= 0;) {
        if ((size_t)i != which && r->rules[i].deny == deny && egress_covers(&r->rules[i], x))
            return i;
    }
    return -1;
}
