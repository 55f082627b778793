/* network: keeps what the gate tells, and says it to programs and to people.
 * Pure: frames in, text out. */
#include "engine/network.h"
#include "gate/flow.h"

#include <assert.h>
#include <string.h>

static bool is_same(const struct network_row *x, const struct gate_report *g)
{
    if (x->verdict != g->verdict || x->kind != g->kind || x->reason != g->reason || x->port != g->port ||
        x->code != g->code || strcmp(x->name, g->name) != 0 || strcmp(x->text, g->text) != 0)
        return false;
    return x->name[0] || strcmp(x->address, g->address) == 0;
}

static struct network_row row_of(const struct gate_report *g, uint64_t at_ms)
{
    struct network_row x = {.verdict = (uint8_t)g->verdict,
                            .kind = (uint8_t)g->kind,
                            .reason = (uint8_t)g->reason,
                            .rule = g->rule,
                            .code = g->code,
                            .port = (uint16_t)g->port,
                            .count = g->count ? g->count : 1,
                            .up = g->up,
                            .down = g->down,
                            .duration_ms = g->duration_ms,
                            .at_ms = at_ms};
    memcpy(x.name, g->name, sizeof x.name - 1);
    memcpy(x.address, g->address, sizeof x.address - 1);
    memcpy(x.text, g->text, sizeof x.text - 1);
    return x;
}

void network_note(struct network *n, const struct gate_report *report, uint64_t at_ms)
{
    struct gate_report g = *report;
    const uint64_t count = g.count ? g.count : 1;
    g.name[sizeof g.name - 1] = g.address[sizeof g.address - 1] = g.text[sizeof g.text - 1] = '\0';
    n->untold += g.lost;
    if (n->event_count < NETWORK_EVENTS_MAX)
        n->events[n->event_count++] = row_of(&g, at_ms);
    else
        n->events_left_out++;
    for (size_t i = 0; i < n->count; i++) {
        struct network_row *x = &n->rows[i];
        if (!is_same(x, &g))
            continue;
        x->count += count;
        x->up += g.up;
        x->down += g.down;
        x->duration_ms += g.duration_ms;
        return;
    }
    if (n->count == NETWORK_ROWS_MAX) {
        n->untold += count;
        return;
    }
    n->rows[n->count++] = row_of(&g, at_ms);
}

static const char *verdict_name(const struct network_row *x)
{
    return x->verdict == GATE_ALLOWED ? "allowed" : x->verdict == GATE_DENIED ? "denied" : "broken";
}

/* A name comes with its odd bytes as \DDD (gate/dns.h): those are not told as \\DDD. */
static void put_name(const char *name, struct sbuf *out)
{
    char piece[GATE_NAME_MAX];
    for (const char *p = name; *p;) {
        struct sbuf b = SBUF(piece);
        const size_t len = strcspn(p, "\\");
        sbuf_bytes(&b, p, len);
        if (len > 0)
            sbuf_escaped(out, piece);
        if (p[len])
            sbuf_char(out, '\\');
        p += len + (p[len] != '\0');
    }
}

static void put_host(const struct network_row *x, struct sbuf *out)
{
    const char *host = x->name[0] ? x->name : x->address;
    if (x->kind == GATE_KIND_UNIX)
        sbuf_text(out, "unix:");
    const bool v6 = !x->name[0] && strchr(host, ':');
    sbuf_text(out, v6 ? "[" : "");
    if (x->kind == GATE_KIND_UNIX)
        sbuf_escaped(out, host);
    else
        put_name(host, out);
    sbuf_text(out, v6 ? "]" : "");
    if (x->port)
        sbuf_fmt(out, ":%u", x->port);
}

static const struct egress_rule *rule_of(const struct network_row *x, const struct network *n)
{
    return x->rule >= 0 && (size_t)x->rule < n->rules->count ? &n->rules->rules[x->rule] : NULL;
}

static void put_rule(const struct network_row *x, const struct network *n, struct sbuf *out)
{
    const struct egress_rule *r = rule_of(x, n);
    if (r)
        egress_text(r, out);
}

static const char *const reason_names[] = {
    [GATE_WHY_RULE] = "rule",
    [GATE_WHY_NO_RULE] = "no-rule",
    [GATE_WHY_LITERAL] = "address-not-listed",
    [GATE_WHY_PRIVATE] = "private-address",
    [GATE_WHY_UNRESOLVED] = "no-such-name",
    [GATE_WHY_RESOLVER] = "resolver-failed",
    [GATE_WHY_UNREACHABLE] = "unreachable",
    [GATE_WHY_TABLE_FULL] = "table-full",
    [GATE_WHY_FORM] = "form",
    [GATE_WHY_HIDDEN] = "hidden",
    [GATE_WHY_NAME] = "name",
    [GATE_WHY_REQUEST] = "request",
    [GATE_WHY_ANSWER] = "answer",
    [GATE_WHY_MAX_BYTES] = "max-bytes",
    [GATE_WHY_MAX_CONNS] = "max-conns",
    [GATE_WHY_RATE] = "rate",
    [GATE_WHY_WITHDRAWN] = "withdrawn",
    [GATE_WHY_PROXY] = "proxy",
    [GATE_WHY_PUBLISHED] = "published",
};
static_assert(sizeof reason_names / sizeof *reason_names == GATE_WHY_END, "a name for each reason");

static const struct {
    const char *name, *what;
} kinds[] = {
    [GATE_KIND_DNS] = {"dns", "look-up of "},
    [GATE_KIND_TCP] = {"tcp", "connect to "},
    [GATE_KIND_INBOUND] = {"inbound", "connection from "},
    [GATE_KIND_UNIX] = {"unix", "connect to "},
};
static_assert(sizeof kinds / sizeof *kinds == GATE_KIND_END, "words for each kind");

static unsigned kind_of(const struct network_row *x)
{
    return x->kind > 0 && x->kind < GATE_KIND_END ? x->kind : GATE_KIND_TCP;
}

static const char *reason_name(const struct network_row *x)
{
    return x->reason < GATE_WHY_END ? reason_names[x->reason] : NULL;
}

static bool leads_nowhere(const struct network_row *x)
{
    struct egress_addr a;
    const char *hint;
    return egress_addr_read(x->address, &a) == 0 && egress_net_leads_nowhere(&a, 128, &hint);
}

static bool is_private(const struct network_row *x)
{
    struct egress_addr a;
    return egress_addr_read(x->address, &a) < 0 || egress_is_private(&a);
}

static void put_why(const struct network_row *x, const struct network *n, struct sbuf *out)
{
    switch ((enum gate_reason)x->reason) {
    case GATE_WHY_RULE:
        if (x->verdict == GATE_DENIED && x->name[0] && x->address[0]) {
            sbuf_text(out, "the name leads to ");
            sbuf_escaped(out, x->address);
            sbuf_text(out, ", which is ");
        }
        sbuf_text(out, x->verdict == GATE_DENIED ? "denied by the rule " : "allowed by the rule ");
        put_rule(x, n, out);
        return;
    case GATE_WHY_NO_RULE:
        sbuf_text(out, "no rule allows it");
        return;
    case GATE_WHY_LITERAL:
        sbuf_text(out,
                  leads_nowhere(x) ? "it stands for no name of this room" : "no rule lists this address");
        return;
    case GATE_WHY_PRIVATE:
        if (!x->name[0]) {
            sbuf_text(out, "it is this host's own, which no network opens that a rule lists");
            return;
        }
        sbuf_text(out, is_private(x) ? "the name leads to the private address "
                                     : "the name leads to this host's own address ");
        sbuf_escaped(out, x->address);
        return;
    case GATE_WHY_UNRESOLVED:
        sbuf_text(out, "nobody knows an address for this name");
        return;
    case GATE_WHY_RESOLVER:
        sbuf_text(out, "the host's resolver gave no usable answer");
        return;
    case GATE_WHY_UNREACHABLE:
        sbuf_text(out, x->code ? strerror(x->code) : "not reachable");
        return;
    case GATE_WHY_TABLE_FULL:
        sbuf_text(out, x->kind == GATE_KIND_INBOUND ? "too many connections at once"
                                                    : "too many names or connections at once");
        return;
    case GATE_WHY_FORM:
    case GATE_WHY_HIDDEN:
    case GATE_WHY_NAME:
    case GATE_WHY_REQUEST:
    case GATE_WHY_ANSWER:
    case GATE_WHY_PROXY:
        sbuf_escaped(out, x->text);
        return;
    case GATE_WHY_MAX_BYTES:
    case GATE_WHY_MAX_CONNS:
    case GATE_WHY_RATE:
        sbuf_text(out, x->reason == GATE_WHY_MAX_BYTES   ? "all bytes are used up of the rule "
                       : x->reason == GATE_WHY_MAX_CONNS ? "too many connections are open for the rule "
                                                         : "too many connections begin for the rule ");
        put_rule(x, n, out);
        return;
    case GATE_WHY_WITHDRAWN:
        sbuf_text(out, "the rules have changed, and it was cut");
        return;
    case GATE_WHY_PUBLISHED:
        sbuf_fmt(out, "the room's port %u is published", x->port);
        return;
    case GATE_WHY_END:
        break;
    }
    sbuf_text(out, "not allowed");
}

/* What a rule that allows it says behind the host; NULL: none would. */
static const char *allowing_words(const struct network_row *x)
{
    if (x->verdict != GATE_DENIED)
        return NULL;
    switch ((enum gate_reason)x->reason) {
    case GATE_WHY_NO_RULE:
    case GATE_WHY_LITERAL:
        return "";
    case GATE_WHY_PRIVATE:
        return leads_nowhere(x) ? NULL : x->name[0] ? "internal" : "";
    case GATE_WHY_FORM:
        return "any";
    case GATE_WHY_HIDDEN:
        return "ech";
    default:
        return NULL;
    }
}

/* The option for the request that the gate names, where it names all of it and a rule can be written of it. */
static bool put_request(const struct network_row *x, struct sbuf *out)
{
    static const char unlisted[] = EGRESS_HTTP_UNLISTED " ";
    struct egress_words words;
    struct egress_rule rule;
    char text[EGRESS_RULE_MAX], host[EGRESS_RULE_MAX];
    const char *why, *hint, *request = x->text + sizeof unlisted - 1;
    struct sbuf b = SBUF(text), h = SBUF(host);
    if (x->verdict != GATE_DENIED || x->reason != GATE_WHY_REQUEST ||
        strncmp(x->text, unlisted, sizeof unlisted - 1) != 0 || strlen(request) >= FLOW_REQUEST_SHOWN ||
        strpbrk(request, "*'"))
        return false;
    const size_t method = strcspn(request, " "), path = strcspn(request, "?");
    put_host(x, &h);
    if (path <= method)
        return false;
    sbuf_fmt(&b, "%s http=", host);
    sbuf_bytes(&b, request, method);
    sbuf_char(&b, ':');
    sbuf_bytes(&b, request + method + 1, path - method - 1);
    if (egress_read(text, false, &words, &rule, &why, &hint) < 0)
        return false;
    sbuf_text(out, "--http '");
    sbuf_bytes(out, request, method);
    sbuf_fmt(out, " %s", host);
    sbuf_bytes(out, request + method + 1, path - method - 1);
    sbuf_char(out, '\'');
    return true;
}

/* The rule that it was under, for just this peer and with what it lacked: a rule without its words would let more pass
 * than it did. False: nothing is lost by that, or nothing can be written. */
static bool put_wider(const struct network_row *x, const struct network *n, struct sbuf *out)
{
    const struct egress_rule *old = rule_of(x, n);
    struct egress_rule rule;
    char text[EGRESS_RULE_MAX], name[EGRESS_NAME_MAX];
    struct sbuf b = SBUF(text);
    if (!old || old->deny || old->kind > EGRESS_BELOW || !x->name[0] ||
        (x->reason != GATE_WHY_PRIVATE && x->reason != GATE_WHY_HIDDEN))
        return false;
    rule = *old;
    rule.kind = EGRESS_NAME;
    if (egress_name_clean(x->name, strlen(x->name), name) < 0)
        return false;
    rule.name = name;
    rule.note = "";
    rule.port_count = 1;
    rule.ports[0] = (struct egress_ports){x->port, x->port};
    rule.internal = rule.internal || x->reason == GATE_WHY_PRIVATE;
    rule.inside |= x->reason == GATE_WHY_HIDDEN ? EGRESS_ECH : 0;
    egress_text(&rule, &b);
    if (b.full || strchr(text, '\''))
        return false;
    sbuf_fmt(out, "--allow '%s'", text);
    return true;
}

/* The exact option; false where none would help. */
static bool put_allow(const struct network_row *x, const struct network *n, struct sbuf *out)
{
    struct egress_words read;
    struct egress_rule rule;
    char host[EGRESS_RULE_MAX];
    const char *why, *hint;
    struct sbuf b = SBUF(host);
    const char *words = allowing_words(x);
    const struct egress_rule *old = rule_of(x, n);
    if (put_request(x, out))
        return true;
    if (!words || (x->reason == GATE_WHY_FORM && old && old->kind != EGRESS_UNIX && old->http[0]))
        return false; /* "any" would let requests pass that it keeps back */
    if (put_wider(x, n, out))
        return true;
    put_host(x, &b);
    if (egress_read(host, false, &read, &rule, &why, &hint) < 0)
        return false;
    if (words[0])
        sbuf_fmt(out, "--allow '%s %s'", host, words);
    else
        sbuf_fmt(out, "--allow %s", host);
    return true;
}

/* "connect to HOST:PORT", "connection from ADDRESS to the room's port PORT" */
static void put_what(const struct network_row *x, struct sbuf *out)
{
    struct network_row who = *x;
    sbuf_text(out, kinds[kind_of(x)].what);
    if (x->kind != GATE_KIND_INBOUND) {
        put_host(x, out);
        return;
    }
    who.port = 0;
    put_host(&who, out);
    sbuf_fmt(out, " to the room's port %u", x->port);
}

/* A name's look-up says nothing that a connection to it does not say better. */
static bool is_told_better(const struct network *n, const struct network_row *x)
{
    if (x->kind != GATE_KIND_DNS)
        return false;
    for (size_t i = 0; i < n->count; i++) {
        const struct network_row *y = &n->rows[i];
        if (y->kind == GATE_KIND_TCP && y->verdict == GATE_DENIED && strcmp(x->name, y->name) == 0)
            return true;
    }
    return false;
}

void network_denials(const struct network *n, size_t max, struct sbuf *out)
{
    size_t told = 0, more = 0;
    for (size_t i = 0; i < n->count; i++) {
        const struct network_row *x = &n->rows[i];
        if (x->verdict == GATE_ALLOWED || is_told_better(n, x))
            continue;
        if (told++ >= max) {
            more++;
            continue;
        }
        char allow[EGRESS_RULE_MAX + 32];
        struct sbuf b = SBUF(allow);
        sbuf_text(out, x->verdict == GATE_DENIED ? "strongroom: denied " : "strongroom: failed ");
        put_what(x, out);
        if (x->count > 1)
            sbuf_fmt(out, " (%llu times)", (unsigned long long)x->count);
        sbuf_text(out, ": ");
        put_why(x, n, out);
        if (put_allow(x, n, &b))
            sbuf_fmt(out, "; allow with: %s", allow);
        sbuf_char(out, '\n');
    }
    if (more)
        sbuf_fmt(out, "strongroom: denied %llu more peers; --explain lists them\n", (unsigned long long)more);
    if (n->lost)
        sbuf_text(out, "strongroom: the gate ended early; the room had no network from then on\n");
}

void network_kept(const struct network *n, struct sbuf *out)
{
    for (size_t i = 0; i < n->kept_count; i++) {
        struct egress_rule rule = n->rules->rules[n->kept[i]];
        char text[EGRESS_RULE_MAX];
        struct sbuf b = SBUF(text);
        rule.note = "";
        egress_text(&rule, &b);
        sbuf_text(out, "strongroom: allowed for this room: ");
        sbuf_escaped(out, text);
        sbuf_text(out, "; keep it with: --allow ");
        sbuf_escaped(out, text);
        sbuf_char(out, '\n');
    }
}

void network_explain(const struct network *n, struct sbuf *out)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct network_row *x = &n->rows[i];
        if (x->verdict != GATE_ALLOWED || x->kind == GATE_KIND_DNS)
            continue;
        sbuf_text(out, x->kind == GATE_KIND_INBOUND ? "strongroom: " : "strongroom: reached ");
        if (x->kind == GATE_KIND_INBOUND)
            put_what(x, out);
        else
            put_host(x, out);
        sbuf_fmt(out, " %llu time%s: %llu bytes out, %llu in\n", (unsigned long long)x->count,
                 x->count == 1 ? "" : "s", (unsigned long long)x->up, (unsigned long long)x->down);
    }
    if (n->untold)
        sbuf_fmt(out, "strongroom: %llu more decisions of the gate are not listed\n",
                 (unsigned long long)n->untold);
}

static void json_text(struct json *j, const char *key, const struct network_row *x, const struct network *n,
                      void (*put)(const struct network_row *, const struct network *, struct sbuf *))
{
    char text[EGRESS_RULE_MAX + GATE_TEXT_MAX];
    struct sbuf b = SBUF(text);
    put(x, n, &b);
    json_str(j, key, text[0] ? text : NULL);
}

static void put_object(const struct network_row *x, const struct network *n, struct sbuf *out)
{
    (void)n;
    put_host(x, out);
}

static void put_option(const struct network_row *x, const struct network *n, struct sbuf *out)
{
    (void)n;
    (void)put_allow(x, n, out);
}

void network_json_denials(struct json *j, const struct network *n)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct network_row *x = &n->rows[i];
        if (x->verdict != GATE_DENIED)
            continue;
        json_open(j, NULL, '{');
        json_str(j, "layer", "gate");
        json_str(j, "what", x->kind == GATE_KIND_DNS ? "look-up of" : "connect to");
        json_text(j, "object", x, n, put_object);
        json_unum(j, "count", x->count);
        json_text(j, "why", x, n, put_why);
        json_text(j, "allow", x, n, put_option);
        json_close(j, '}');
    }
}

/* What a decision is, wherever it is told. */
static void json_decision(struct json *j, const struct network_row *x, const struct network *n)
{
    const struct egress_rule *rule = rule_of(x, n);
    json_str(j, "verdict", verdict_name(x));
    json_str(j, "kind", kinds[kind_of(x)].name);
    json_str(j, "name", x->name[0] ? x->name : NULL);
    json_str(j, "address", x->address[0] ? x->address : NULL);
    json_unum(j, "port", x->port);
    json_text(j, "rule", x, n, put_rule);
    json_str(j, "note", rule && rule->note[0] ? rule->note : NULL);
    json_str(j, "reason", reason_name(x));
    json_text(j, "why", x, n, put_why);
    json_text(j, "allow", x, n, put_option);
    json_unum(j, "count", x->count);
    json_unum(j, "bytes_up", x->up);
    json_unum(j, "bytes_down", x->down);
    json_unum(j, "duration_ms", x->duration_ms);
}

/* In the order of time. */
static void json_events(struct json *j, const struct network *n)
{
    json_open(j, "events", '[');
    for (size_t i = 0; i < n->event_count; i++) {
        const struct network_row *x = &n->events[i];
        json_open(j, NULL, '{');
        json_unum(j, "at_ms", x->at_ms);
        json_decision(j, x, n);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_unum(j, "events_left_out", n->events_left_out);
}

void network_ports(const struct network *n, const char *between, struct sbuf *out)
{
    for (size_t i = 0; i < n->port_count; i++) {
        sbuf_text(out, i ? between : "");
        publish_text(n->ports[i].from, n->ports[i].port, out);
        sbuf_fmt(out, "->%u", n->ports[i].from->room_port);
    }
}

static void json_ports(struct json *j, const struct network *n)
{
    json_open(j, "published", '[');
    for (size_t i = 0; i < n->port_count; i++) {
        const struct network_port *x = &n->ports[i];
        char text[EGRESS_ADDR_MAX];
        struct sbuf b = SBUF(text);
        egress_addr_text(&x->from->addr, &b);
        json_open(j, NULL, '{');
        json_str(j, "address", text);
        json_unum(j, "port", x->port);
        json_unum(j, "room_port", x->from->room_port);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void network_json(struct json *j, const struct network *n, const char *authority)
{
    json_open(j, "network", '{');
    json_unum(j, "rules", n->rules->count);
    json_unum(j, "rule_changes", n->rule_changes);
    json_ports(j, n);
    json_open(j, "peers", '[');
    for (size_t i = 0; i < n->count; i++) {
        json_open(j, NULL, '{');
        json_decision(j, &n->rows[i], n);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_unum(j, "untold", n->untold);
    json_events(j, n);
    json_bool(j, "gate_lost", n->lost);
    json_str(j, "authority", authority);
    json_close(j, '}');
}

void network_line(const struct network *n, const struct gate_report *report, uint64_t at_ms, struct sbuf *out)
{
    struct gate_report g = *report;
    struct json j = {.out = out};
    g.name[sizeof g.name - 1] = g.address[sizeof g.address - 1] = '\0';
    const struct network_row x = row_of(&g, at_ms);
    json_open(&j, NULL, '{');
    json_str(&j, "event", "network");
    json_unum(&j, "at_ms", at_ms);
    json_decision(&j, &x, n);
    json_unum(&j, "lost_before", g.lost);
    json_close(&j, '}');
    sbuf_char(out, '\n');
}
