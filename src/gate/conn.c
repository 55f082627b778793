/* conn: connections, from accept to their last byte.
 *
 * Theory of operation. A row of a fixed table goes RESOLVING -> DIALING -> OPEN -> FREE (any state may go to FREE).
 * The destination that the program meant says which name (a pin) or which address it is about; the rules decide; a name
 * is looked up now, and its addresses are judged and dialled (dial.c). Then bytes move (relay.c). Each connection is
 * told once, when it ends.
 *
 * Lives in: strongroom-gate. Trusts: the rules. May: take and end connections. Must not: look at the bytes, wait. */
#include "gate/ask.h"
#include "gate/budget.h"
#include "gate/conn_row.h"
#include "gate/loop.h"
#include "gate/own.h"
#include "gate/pins.h"
#include "gate/secret.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define TICK_MS 50

struct conn conn_table[CONNS_MAX];
const struct egress_rules *conn_rules;
static uint64_t due[CONNS_MAX]; /* when an unfinished connection is to be looked at; 0: not */
static uint16_t free_list[CONNS_MAX];
static size_t free_count, used_high, most_conns, unfinished;

static_assert(CONNS_MAX < UINT16_MAX, "a row fits its link");

void conn_open(const struct egress_rules *r, size_t most)
{
    conn_rules = r;
    most_conns = most < CONNS_MAX ? most : CONNS_MAX;
    for (size_t i = 0; i < most_conns; i++)
        free_list[i] = (uint16_t)(most_conns - 1 - i);
    free_count = most_conns;
}

uint32_t conn_index(const struct conn *c)
{
    return (uint32_t)(c - conn_table);
}

void conn_set_due(struct conn *c, uint64_t when)
{
    uint64_t *d = &due[conn_index(c)];

    unfinished += (size_t)(when != 0) - (size_t)(*d != 0);
    *d = when;
}

/* Where all is open, what no rule allows is under this one: of no list, and told as none. */
#define OPEN_RULE (EGRESS_RULES_MAX - 1)

static bool open_all;

void conn_open_all(void)
{
    open_all = true;
}

static void tell(const struct conn *c, enum gate_verdict verdict, enum gate_reason reason, const char *text)
{
    struct gate_report e = {
        .verdict = verdict,
        .kind = c->inbound ? GATE_KIND_INBOUND
                : c->local ? GATE_KIND_UNIX
                           : GATE_KIND_TCP,
        .reason = c->inbound && reason == GATE_WHY_RULE ? GATE_WHY_PUBLISHED : reason,
        .rule = c->unlisted ? -1 : c->rule,
        .code = verdict == GATE_BROKEN || verdict == GATE_ALLOWED ? c->code : 0,
        .port = c->port,
        .up = c->ways[c->inbound].bytes,
        .down = c->ways[!c->inbound].bytes,
        .duration_ms = loop_now() - c->since,
    };

    memcpy(e.name, c->name, sizeof e.name);
    /* where the proxy is, is nobody's business */
    (void)addr_text(c->via || c->inbound ? &c->meant : &c->peer, e.address);
    struct sbuf b = SBUF(e.text);
    sbuf_text(&b, text);
    tell_event(&e);
}

/* Is its end a break? Then it is one also when this process is killed: half of an answer must not look like a whole. */
static void end_hard(int fd, bool hard)
{
    const struct linger l = {.l_onoff = hard};

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l); /* otherwise it ends the other way */
}

void conn_close_hard(int *fd)
{
    end_hard(*fd, true);
    fd_close(fd);
}

void conn_close_soft(int *fd)
{
    end_hard(*fd, false);
    fd_close(fd);
}

/* What is known to be so is not said again: a short connection is mostly such calls. */
static void end_side(struct conn *c, int side, bool hard)
{
    if (c->hard[side] != hard)
        end_hard(side == 1 && c->wrapped >= 0 ? c->wrapped : c->fd[side], hard);
    c->hard[side] = hard;
}

void conn_break_with_us(struct conn *c)
{
    for (int i = 0; i < 2; i++)
        end_side(c, i, true);
}

void conn_listener(int fd)
{
    static const int on = 1;

    end_hard(fd, true);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* speed only */
}

/* --- life --- */

struct conn *conn_new(int fd)
{
    if (free_count == 0)
        return NULL;
    uint16_t at = free_list[--free_count];
    struct conn *c = &conn_table[at];
    bool again = c->again; /* its old life may still be queued */
    uint16_t next = c->next_again;

    *c = (struct conn){
        .generation = c->generation + 1, .again = again, .next_again = next, .rule = -1, .lookup = -1};
    c->fd[0] = fd;
    c->fd[1] = c->inner[0] = c->inner[1] = c->wrapped = -1;
    relay_init(c);
    for (int i = 0; i < DIALS_MAX; i++)
        c->dials[i] = -1;
    c->since = loop_now();
    if (at >= used_high)
        used_high = at + 1u;
    return c;
}

void conn_free(struct conn *c, bool hard)
{
    conn_set_due(c, 0);
    ask_leave(c);
    relay_release(c);
    publish_release(c, true);
    local_release(c);
    for (int i = 0; i < 2 && c->state == CONN_HANDED; i++)
        (void)shutdown(c->fd[i], SHUT_RDWR); /* the other process has it open, too */
    if (c->wrapped >= 0 && (hard || c->state == CONN_HANDED))
        (void)shutdown(c->wrapped, SHUT_RDWR); /* likewise; else it says there that it is the end */
    for (int i = 0; i < 2; i++) {
        end_side(c, i, hard);
        fd_close(&c->fd[i]);
    }
    fd_close(&c->wrapped);
    for (int i = 0; i < DIALS_MAX; i++)
        conn_close_hard(&c->dials[i]);
    if (c->entered)
        budget_leave(c->rule);
    c->state = CONN_FREE;
    c->generation++;
    free_list[free_count++] = (uint16_t)conn_index(c);
}

void conn_end_proxy(struct conn *c, const char *why)
{
    c->code = 0;
    tell(c, GATE_BROKEN, GATE_WHY_PROXY, why);
    conn_free(c, true);
}

void conn_end_broken(struct conn *c, enum gate_reason reason)
{
    if (c->via && reason != GATE_WHY_TABLE_FULL && c->code != ECANCELED) {
        conn_end_proxy(c, "the upstream proxy cannot be reached");
        return;
    }
    tell(c, GATE_BROKEN, reason, "");
    conn_free(c, true);
}

void conn_end_denied(struct conn *c, enum gate_reason reason)
{
    tell(c, GATE_DENIED, reason, "");
    conn_free(c, true);
}

void conn_end_by_rule(struct conn *c, int rule)
{
    if (c->entered)
        budget_leave(c->rule);
    c->entered = false;
    c->rule = rule;
    conn_end_denied(c, GATE_WHY_RULE);
}

static const enum gate_reason reasons[] = {
    [FLOW_FAULT_FORM] = GATE_WHY_FORM,       [FLOW_FAULT_HIDDEN] = GATE_WHY_HIDDEN,
    [FLOW_FAULT_NAME] = GATE_WHY_NAME,       [FLOW_FAULT_REQUEST] = GATE_WHY_REQUEST,
    [FLOW_FAULT_UPSTREAM] = GATE_WHY_ANSWER,
};

/* Why it was allowed. */
static enum gate_reason allowing(const struct conn *c)
{
    return !c->unlisted ? GATE_WHY_RULE : c->let_go ? reasons[c->let_go] : GATE_WHY_NO_RULE;
}

void conn_end_open(struct conn *c, bool hard)
{
    tell(c, GATE_ALLOWED, allowing(c), "");
    conn_free(c, hard);
}

void conn_end_seen(struct conn *c, enum flow_fault fault, const char *why)
{
    tell(c, fault == FLOW_FAULT_UPSTREAM ? GATE_BROKEN : GATE_DENIED, reasons[fault], why);
    conn_free(c, true);
}

/* --- decisions --- */

static void use_answer(struct conn *c, const struct resolve_answer *answer)
{
    if (answer->failed)
        conn_end_broken(c, answer->failed);
    else
        dial_start(c, answer->addrs, answer->count);
}

/* What a rule's words mean for the flow. */
static uint8_t takes_of(unsigned inside)
{
    if (inside & EGRESS_ANY)
        return 0;
    return (uint8_t)((inside & EGRESS_TLS ? FLOW_TLS : 0) | (inside & EGRESS_HTTP ? FLOW_HTTP : 0) |
                     (inside & EGRESS_ECH ? FLOW_HIDDEN : 0));
}

/* Has the rule still room for it? Otherwise it ends here. */
bool conn_enter(struct conn *c)
{
    enum gate_reason full = budget_enter(c->rule);

    if (full == 0 && !c->local)
        budget_step();
    if (full == 0)
        c->entered = true;
    else
        conn_end_denied(c, full);
    return c->entered;
}

/* How closely is the connection looked at? */
static void look_closely(struct conn *c)
{
    static char http[EGRESS_HTTPS_MAX];
    static struct egress_rule only;
    const struct egress_rules one = {.rules = &only, .count = 1};

    if (c->once) {
        only = conn_rules->rules[c->rule];
        only.gone = false;
    }
    if (c->unlisted) {
        only = (struct egress_rule){.kind = EGRESS_NAME,
                                    .port_count = 1,
                                    .ports = {{c->port, c->port}},
                                    .name = c->name,
                                    .note = "",
                                    .http = ""};
    }
    egress_http_name(conn_rules, c->name, c->port, http);
    c->takes = takes_of(egress_inside_name(c->once ? &one : conn_rules, c->name, c->port));
    c->secret = secret_for(c->name, c->port, SECRET_CLEAR);
    c->deep = http[0] || c->secret || secret_for(c->name, c->port, SECRET_BY_TLS);
    if (c->deep && (c->takes & (FLOW_TLS | FLOW_HTTP)) == 0)
        c->takes |= FLOW_TLS | FLOW_HTTP;
}

/* The name may be reached, by c->rule. */
static void begin_by_name(struct conn *c)
{
    struct resolve_answer answer;

    if (!conn_enter(c))
        return;
    look_closely(c);
    if (via_start(c, NULL))
        return;
    int r = resolve_start(c->name, &c->lookup, &answer);
    if (r < 0) {
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
    } else if (r == 1) {
        use_answer(c, &answer);
    } else {
        c->state = CONN_RESOLVING;
        conn_set_due(c, loop_now() + DIAL_MS);
    }
}

/* Where all is open: goes on without a rule, looked at as one for its name would have it, so that it is known what such
 * a rule would have to say. */
static bool is_open(struct conn *c)
{
    const struct egress_addr a = addr_egress(&c->peer);

    if (!open_all || (c->name[0] == '\0' && (egress_is_private(&a) || own_is(&c->peer))))
        return false;
    c->rule = OPEN_RULE;
    c->unlisted = c->once = true;
    return true;
}

static void go_by_name(struct conn *c)
{
    struct egress_verdict v = egress_verdict_name(conn_rules, c->name, c->port);

    c->rule = v.rule;
    c->internal = v.internal;
    if (v.allowed || (v.rule < 0 && is_open(c)))
        begin_by_name(c);
    else if (v.rule >= 0 || !ask_about(c))
        conn_end_denied(c, v.rule >= 0 ? GATE_WHY_RULE : GATE_WHY_NO_RULE);
}

/* The address may be reached, by c->rule. */
static void begin_by_address(struct conn *c)
{
    const struct gate_addr a = c->peer;

    if (!conn_enter(c))
        return;
    c->takes = takes_of(conn_rules->rules[c->rule].inside); /* no name to compare: only what is asked for */
    if (!via_start(c, &a))
        dial_start(c, &a, 1);
}

static void go_by_address(struct conn *c)
{
    struct egress_verdict v;

    (void)dial_listed(&c->peer, c->port, &v);
    c->rule = v.rule;
    if (v.allowed || (v.rule < 0 && is_open(c)))
        begin_by_address(c);
    else if (v.rule >= 0 || !ask_about(c))
        conn_end_denied(c, v.rule >= 0 ? GATE_WHY_RULE : dial_unlisted(c));
}

static enum gate_reason unlisted(const struct conn *c)
{
    return c->name[0] != '\0' ? GATE_WHY_NO_RULE : GATE_WHY_LITERAL;
}

static void answered(struct conn *c, enum gate_answer answer, int rule)
{
    const bool named = c->name[0] != '\0';
    struct egress_verdict v;

    ask_leave(c);
    conn_set_due(c, 0);
    c->state = CONN_RESOLVING;
    if (answer == GATE_ANSWER_NO) {
        conn_end_denied(c, unlisted(c));
        return;
    }
    if (named)
        v = egress_verdict_name(conn_rules, c->name, c->port);
    else
        (void)dial_listed(&c->peer, c->port, &v);
    c->once =
        answer == GATE_ANSWER_ONCE && v.rule < 0; /* else the rules have an answer of their own by now */
    c->rule = rule;
    if (named)
        (c->once ? begin_by_name : go_by_name)(c);
    else
        (c->once ? begin_by_address : go_by_address)(c);
}

void conn_answered(uint32_t question, enum gate_answer answer, int rule)
{
    for (size_t i = 0; i < used_high; i++) {
        if (conn_table[i].state == CONN_WAITING && conn_table[i].question == question)
            answered(&conn_table[i], answer, rule);
    }
}

static void decide(int *fd)
{
    struct sockaddr_storage meant;
    socklen_t len = sizeof meant;
    struct gate_addr a;
    uint16_t port;
    int pin;

    if (getsockname(*fd, (struct sockaddr *)&meant, &len) < 0 || addr_from_sock(&meant, &a, &port) < 0 ||
        addr_is_rooms_own(&a)) { /* where nftables is missing, a port's listener gets that, too */
        conn_close_hard(fd);
        return;
    }
    struct conn *c = conn_new(*fd);
    if (c == NULL || loop_add(*fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_ROOM, conn_index(c),
                              c->generation) < 0) {
        const struct gate_report full = {.verdict = GATE_BROKEN,
                                         .kind = GATE_KIND_TCP,
                                         .reason = GATE_WHY_TABLE_FULL,
                                         .rule = -1,
                                         .port = port};
        tell_event(&full);
        if (c != NULL)
            conn_free(c, true);
        else
            conn_close_hard(fd);
        return;
    }
    c->state = CONN_RESOLVING; /* until it goes on or ends, all in this call or by the look-up */
    c->hard[0] = true;         /* from its listener */
    c->port = port;
    c->v6 = a.size == 16;
    if (!pins_find(&a, &pin)) {
        c->peer = a;
        go_by_address(c);
    } else if (pin >= 0) {
        memcpy(c->name, pins_name((unsigned)pin), sizeof c->name);
        go_by_name(c);
    } else {
        c->peer = a;
        conn_end_denied(c, GATE_WHY_LITERAL);
    }
}

/* One at a time: to ask for the next is dearer, where there is none, than to be told of it. */
int conn_accept(int listener)
{
    if (budget_is_ahead())
        return -EAGAIN;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) /* nothing there, or the program has left again */
        return loop_is_short(errno) ? -errno : 0;
    decide(&fd);
    return 0;
}

void conn_resolved(int lookup, const struct resolve_answer *answer)
{
    for (size_t i = 0; i < used_high; i++) {
        struct conn *c = &conn_table[i];
        if (due[i] != 0 && c->state == CONN_RESOLVING && c->lookup == lookup)
            use_answer(c, answer);
    }
}

/* --- events --- */

struct conn *conn_at(uint32_t index, uint32_t generation)
{
    if (index >= CONNS_MAX || conn_table[index].state == CONN_FREE ||
        conn_table[index].generation != generation)
        return NULL;
    return &conn_table[index];
}

static void side_event(struct conn *c, int side, uint32_t events)
{
    int code = 0;
    socklen_t len = sizeof code;

    if (events & (EPOLLRDHUP | EPOLLHUP))
        c->ways[side].shut = true;
    if ((events & EPOLLERR) && c->state == CONN_OPEN) {
        if (!relay_last(c, side)) /* before the error is asked for: a break must not look like an end */
            return;
        /* 0 when it cannot say, or has said */
        (void)getsockopt(c->fd[side], SOL_SOCKET, SO_ERROR, &code, &len);
        c->code = code != 0 ? code : c->code;
        conn_end_open(c, true);
    } else if (c->state == CONN_OPEN) {
        relay_pump(c);
    } else if (c->state == CONN_WAITING && (events & (EPOLLERR | EPOLLHUP))) {
        conn_end_denied(c, unlisted(c));
    } else if (c->state != CONN_HANDED &&
               (events & (EPOLLERR | EPOLLHUP))) { /* the program has gone before we got through */
        c->code = ECANCELED;
        conn_end_broken(c, GATE_WHY_UNREACHABLE);
    }
}

void conn_room_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct conn *c = conn_at(index, generation);

    if (c != NULL)
        side_event(c, 0, events);
}

void conn_upstream_event(uint32_t index, uint32_t generation, uint32_t events)
{
    struct conn *c = conn_at(index, generation);

    if (c != NULL && c->state == CONN_ASKING)
        via_event(c);
    else if (c != NULL && c->state == CONN_OPEN)
        side_event(c, 1, events);
}

static void check_due(struct conn *c, uint64_t when)
{
    if (loop_now() >= when && c->state == CONN_OPEN && c->unlisted) {
        relay_let_go(c, FLOW_FAULT_FORM);
        relay_pump(c);
    } else if (loop_now() >= when && c->state == CONN_OPEN) {
        conn_end_seen(c, FLOW_FAULT_FORM,
                      c->waits ? "strongroom-intercept does not come to open its TLS"
                               : "it has not said what it wants within 30 s");
    } else if (loop_now() >= when && c->state == CONN_WAITING) {
        conn_end_denied(c, unlisted(c));
    } else if (loop_now() >= when) {
        c->code = ETIMEDOUT;
        if (c->state == CONN_DIALING) {
            for (int i = 0; i < DIALS_MAX; i++) {
                if (c->dials[i] >= 0)
                    c->peer = c->dialled[i];
            }
        }
        conn_end_broken(c, c->state == CONN_RESOLVING ? GATE_WHY_RESOLVER : GATE_WHY_UNREACHABLE);
    } else if (c->state == CONN_OPEN && c->waits) {
        relay_pump(c);
    } else if (c->state == CONN_DIALING) {
        dial_due(c);
    } else if (c->state == CONN_ASKING) {
        via_due(c);
    }
}

int conn_tick(void)
{
    bool more = relay_turns();

    for (size_t i = 0; unfinished > 0 && i < used_high; i++) {
        if (due[i] != 0)
            check_due(&conn_table[i], due[i]);
    }
    return more ? 0 : unfinished > 0 ? TICK_MS : -1;
}

/* What the rules let pass inside a connection. */
struct inside {
    uint8_t takes;
    char http[EGRESS_HTTPS_MAX]; /* "": any request */
};

static void inside_of(const struct conn *c, struct inside *ret)
{
    struct egress_verdict v;

    ret->http[0] = '\0';
    if (c->name[0] != '\0') {
        ret->takes = takes_of(egress_inside_name(conn_rules, c->name, c->port));
        egress_http_name(conn_rules, c->name, c->port, ret->http);
    } else {
        (void)dial_listed(c->via ? &c->meant : &c->peer, c->port, &v);
        ret->takes = v.rule >= 0 ? takes_of(conn_rules->rules[v.rule].inside) : 0;
    }
}

/* Is each pattern of one list in the other? */
static bool has_all(const char *list, const char *patterns)
{
    for (const char *p = patterns; *p != '\0'; p += strspn(p, " ")) {
        const size_t len = strcspn(p, " ");
        bool found = false;
        for (const char *q = list; *q != '\0' && !found; q += strspn(q, " ")) {
            const size_t n = strcspn(q, " ");
            found = n == len && memcmp(p, q, len) == 0;
            q += n;
        }
        if (!found)
            return false;
        p += len;
    }
    return true;
}

/* May something not pass any more that passed before the change? What was agreed with a connection when it began was
 * agreed by the rules of then. */
static bool is_less(const struct inside *now, const struct inside *then)
{
    if (now->takes != 0 && (then->takes == 0 || (then->takes & ~now->takes)))
        return true;
    return now->http[0] && (!then->http[0] || !has_all(now->http, then->http));
}

/* The rules as they were are the rules with that one the other way round. */
static bool lost_something(const struct conn *c, struct egress_rule *changed)
{
    static struct inside now, then;

    inside_of(c, &now);
    changed->gone = !changed->gone;
    inside_of(c, &then);
    changed->gone = !changed->gone;
    return !c->once && !c->inbound && c->state != CONN_WAITING && is_less(&now, &then);
}

/* Would it be let through now, by the rule that let it through? */
static bool still_allowed(struct conn *c)
{
    struct egress_verdict v;

    if (c->state == CONN_WAITING)
        return true; /* it is decided when it is answered */
    if (c->once) {
        if (c->name[0] != '\0')
            v = egress_verdict_name(conn_rules, c->name, c->port);
        else
            (void)dial_listed(c->via ? &c->meant : &c->peer, c->port, &v);
        return v.rule < 0 || v.allowed;
    }
    if (c->rule < 0 || conn_rules->rules[c->rule].gone)
        return false;
    if (c->name[0] == '\0') {
        (void)dial_listed(c->via ? &c->meant : &c->peer, c->port, &v);
        return v.allowed;
    }
    v = egress_verdict_name(conn_rules, c->name, c->port);
    c->internal = v.internal;
    return v.allowed &&
           ((c->state != CONN_OPEN && c->state != CONN_HANDED) || c->via || dial_allowed(c, &c->peer));
}

static bool goes_on(struct conn *c, struct egress_rule *changed)
{
    if (c->inbound)
        return true; /* no rule is about it */
    if (c->local)
        return local_allowed(c);
    return still_allowed(c) && !lost_something(c, changed);
}

unsigned conn_review(struct egress_rule *changed)
{
    unsigned cut = 0;

    for (size_t i = 0; i < used_high; i++) {
        struct conn *c = &conn_table[i];
        if (c->state == CONN_FREE || goes_on(c, changed))
            continue;
        const bool open = c->state == CONN_OPEN || c->state == CONN_HANDED;
        tell(c, open ? GATE_ALLOWED : GATE_DENIED, GATE_WHY_WITHDRAWN, "");
        conn_free(c, true);
        cut++;
    }
    return cut;
}

void conn_end_handed(void)
{
    for (size_t i = 0; i < used_high; i++) {
        if (conn_table[i].state == CONN_HANDED)
            conn_end_seen(&conn_table[i], FLOW_FAULT_UPSTREAM, "strongroom-intercept has ended");
    }
}

void conn_close_all(void)
{
    for (size_t i = 0; i < used_high; i++) {
        struct conn *c = &conn_table[i];
        if (c->state == CONN_FREE)
            continue;
        if (c->state == CONN_WAITING) {
            conn_end_denied(c, unlisted(c));
            continue;
        }
        const bool open = c->state == CONN_OPEN || c->state == CONN_HANDED;
        c->code = open ? 0 : ECANCELED;
        tell(c, open ? GATE_ALLOWED : GATE_BROKEN, open ? allowing(c) : GATE_WHY_UNREACHABLE, "");
        conn_free(c, true);
    }
}
