/* live: a room that has a name can be spoken to from outside: which rules hold, and changes of them.
 *
 * Theory of operation. The control socket (rooms/server.h) is one descriptor of the supervisor's poll. A request about
 * rules is checked here as the command line would check it, and goes to the gate as one frame; the gate answers in
 * order, which is when the client gets its reply. The list of rules only grows: a rule that was withdrawn keeps its
 * number, and gets it back when it is allowed again. What the room may read about itself is written anew each time.
 *
 * Lives in: the supervisor. Trusts: its user, who alone can reach the socket; no byte of a frame. Must not: wait. */
#include "engine/inner.h"
#include "gate/frames.h"
#include "policy/notice.h"
#include "sys/fd.h"
#include "sys/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int live_open(struct room *r, struct err *e)
{
    struct live *l = &r->live;
    if (r->policy->name) {
        int n = rooms_claim(r->policy->name, &l->place, e);
        if (n < 0)
            return n;
        n = rooms_listen(&l->server, l->place.dir);
        if (n < 0)
            return err_set(e, ERR_ROOM, -n, "listen for those who speak to the room %s", r->policy->name);
    }
    if (r->policy->net != NET_GATE || (!r->policy->name && r->ask.fd < 0))
        return 0;
    l->table = mem_reserve(sizeof *l->table * EGRESS_RULES_MAX);
    if (!l->table)
        return err_set(e, ERR_ROOM, ENOMEM, "make a list of rules");
    char *words = mem_reserve(EGRESS_TEXTS_MAX);
    if (!words)
        return err_set(e, ERR_ROOM, ENOMEM, "make a list of rules");
    l->texts = (struct egress_texts){.at = words, .left = EGRESS_TEXTS_MAX};
    memcpy(l->table, r->policy->egress.rules, r->policy->egress.count * sizeof *l->table);
    l->rules = (struct egress_rules){.rules = l->table, .count = r->policy->egress.count};
    return 0;
}

void live_close(struct room *r)
{
    rooms_release(&r->live.place); /* first: who waits for our end may take the name again */
    rooms_close(&r->live.server);
    fd_close(&r->live.notice); /* the table stays: what was told about rules is still to be said */
}

const struct egress_rules *live_rules(const struct room *r)
{
    return r->live.table ? &r->live.rules : &r->policy->egress;
}

/* One write over the old text, and blanks over what is left of that: a reader sees JSON at any time. */
static void write_notice(struct room *r)
{
    char *text = r->live.notice >= 0 ? mem_reserve(NOTICE_MAX) : NULL;
    struct sbuf b = {.text = text, .size = NOTICE_MAX};
    if (!text)
        return;
    notice_text(r->policy, live_rules(r), &b);
    struct stat st;
    const off_t old = fstat(r->live.notice, &st) == 0 ? st.st_size : 0;
    while ((off_t)b.len < old && !b.full)
        sbuf_char(&b, '\n');
    (void)!pwrite(r->live.notice, b.text, b.len,
                  0); /* the room's own memory may be full: then it reads the old list */
    mem_release(text, NOTICE_MAX);
}

/* --- answers -------------------------------------------------------------------------------------------- */

/* "allow RULE" */
static void put_line(const struct egress_rule *rule, struct sbuf *out)
{
    char text[EGRESS_RULE_MAX];
    struct sbuf b = SBUF(text);
    egress_text(rule, &b);
    sbuf_text(out, rule->deny ? "deny " : "allow ");
    sbuf_escaped(out, text);
}

static void list(struct room *r, uint32_t client, int from)
{
    static char text[ROOMS_TEXT_MAX + 1];
    const struct egress_rules *rules = live_rules(r);
    struct sbuf b = SBUF(text);
    size_t i = (size_t)from;
    for (; i < rules->count && b.len < ROOMS_TEXT_MAX - 2 * EGRESS_RULE_MAX - 8; i++) {
        if (rules->rules[i].gone)
            continue;
        put_line(&rules->rules[i], &b);
        sbuf_char(&b, '\n');
    }
    rooms_reply(&r->live.server, client, ROOMS_LINES, i < rules->count ? (int)i : 0, text);
}

/* --- changes -------------------------------------------------------------------------------------------- */

static bool is_same(const struct egress_rule *a, const struct egress_rule *b)
{
    return a->deny == b->deny && egress_covers(a, b) && egress_covers(b, a);
}

/* But for the note. */
static bool has_same_words(const struct egress_rule *a, const struct egress_rule *b)
{
    char texts[2][EGRESS_RULE_MAX];
    for (int i = 0; i < 2; i++) {
        struct egress_rule x = i ? *b : *a;
        struct sbuf out = SBUF(texts[i]);
        x.note = "";
        egress_text(&x, &out);
    }
    return strcmp(texts[0], texts[1]) == 0;
}

enum { NONE = -1, SEVERAL = -2 };

/* The number of the rule in force that speaks of the same peers: the one with the same words, or else the only one. */
static int find(const struct live *l, const struct egress_rule *rule)
{
    int at = NONE;
    for (size_t i = 0; i < l->rules.count; i++) {
        if (l->table[i].gone || !is_same(&l->table[i], rule))
            continue;
        if (has_same_words(&l->table[i], rule))
            return (int)i;
        at = at == NONE ? (int)i : SEVERAL;
    }
    return at;
}

/* The number of a rule that was withdrawn and had the very same text: it has been told of, and must not change. */
static int find_gone(const struct live *l, const struct egress_rule *rule)
{
    char a[EGRESS_RULE_MAX], b[EGRESS_RULE_MAX];
    struct sbuf x = SBUF(a);
    egress_text(rule, &x);
    for (size_t i = 0; i < l->rules.count; i++) {
        struct sbuf y = SBUF(b);
        egress_text(&l->table[i], &y);
        if (l->table[i].gone && l->table[i].deny == rule->deny && strcmp(a, b) == 0)
            return (int)i;
    }
    return -1;
}

/* Puts it into the list: `at` is what find_gone() says. -ENOSPC: there have been as many rules as can be. */
static int enlist(struct live *l, const struct egress_rule *rule, int at)
{
    if (at < 0) {
        struct egress_rule *last = &l->table[l->rules.count];
        if (l->rules.count == EGRESS_RULES_MAX)
            return -ENOSPC;
        *last = *rule;
        if (egress_keep(&l->texts, last) < 0)
            return -ENOSPC;
        at = (int)l->rules.count++;
    }
    l->table[at].gone = false;
    return at;
}

int live_add(struct room *r, const struct egress_rule *rule, bool once)
{
    struct live *l = &r->live;
    int at = enlist(l, rule, once ? NONE : find_gone(l, rule));
    if (at < 0)
        return at;
    l->table[at].gone = once;
    if (!once) {
        gate_record()->rule_changes++;
        write_notice(r);
    }
    return at;
}

static bool change(struct room *r, uint32_t client, size_t number)
{
    struct live *l = &r->live;
    if (gate_change(r, (uint32_t)number) < 0) {
        keeper_refuse(r, client, 0, "the gate of this room has ended", NULL);
        return false;
    }
    l->waiting[l->waiting_count++] = (struct live_wait){.client = client, .rule = (uint32_t)number};
    gate_record()->rule_changes++;
    write_notice(r);
    return true;
}

static bool has_same_bounds(const struct egress_rule *a, const struct egress_rule *b)
{
    return a->max_bytes == b->max_bytes && a->max_conns == b->max_conns && a->rate == b->rate &&
           a->rate_ms == b->rate_ms;
}

/* The rule in force about the same peers whose bounds are others: of two such the first one decides. NULL: none. */
static const struct egress_rule *other_bounds(const struct live *l, const struct egress_rule *rule)
{
    for (size_t i = 0; i < l->rules.count && !rule->deny; i++) {
        if (!l->table[i].gone && is_same(&l->table[i], rule) && !has_same_bounds(&l->table[i], rule))
            return &l->table[i];
    }
    return NULL;
}

/* A socket of the host's that the room has no place for yet: what listens there; -1: the client was told why not. */
static int open_socket(struct room *r, uint32_t client, const struct egress_rule *rule, uint32_t number)
{
    struct err e = {0};
    int fd = unixes_add(r, rule, number, &e);
    if (fd < 0)
        keeper_refuse(r, client, 0, e.text, e.hint[0] ? e.hint : NULL);
    return fd;
}

static void add(struct room *r, uint32_t client, const char *text, bool deny)
{
    struct live *l = &r->live;
    struct egress_words words;
    struct egress_rule rule;
    const char *why = "", *hint = NULL;
    if (egress_read(text, deny, &words, &rule, &why, &hint) < 0) {
        keeper_refuse(r, client, 0, why, hint);
        return;
    }
    for (size_t i = 0; i < l->rules.count && !deny; i++) {
        char by[2 * EGRESS_LINE_MAX];
        struct sbuf b = SBUF(by);
        if (l->table[i].gone || !l->table[i].deny || !egress_covers(&l->table[i], &rule))
            continue;
        sbuf_text(&b, "it can never match: this covers it: ");
        put_line(&l->table[i], &b);
        keeper_refuse(r, client, 0, by, "withdraw that one first");
        return;
    }
    int at = find(l, &rule);
    if (at >= 0 && has_same_words(&l->table[at], &rule)) {
        rooms_reply(&l->server, client, ROOMS_DONE, 0, "it held already");
        return;
    }
    const struct egress_rule *other = other_bounds(l, &rule);
    if (other) {
        char by[2 * EGRESS_LINE_MAX];
        struct sbuf b = SBUF(by);
        sbuf_text(&b, "other bounds hold for it: ");
        put_line(other, &b);
        keeper_refuse(r, client, 0, by, "withdraw that one first, which cuts its connections");
        return;
    }
    at = find_gone(l, &rule);
    if (at < 0 && l->rules.count == EGRESS_RULES_MAX) {
        keeper_refuse(r, client, 0, "this room has had as many rules as can be", NULL);
        return;
    }
    const uint32_t number = at < 0 ? (uint32_t)l->rules.count : (uint32_t)at;
    const bool opens = rule.kind == EGRESS_UNIX && !deny && !(at >= 0 && unixes_has(r, number));
    int listener = opens ? open_socket(r, client, &rule, number) : -1;
    if (opens && listener < 0)
        return;
    (void)enlist(l, &rule, at); /* there is room for it */
    if (change(r, client, number) && opens)
        gate_listen(r, listener,
                    number); /* right behind the rule; if it does not arrive, the gate has ended */
    fd_close(&listener);
}

/* The text is a rule, with "allow" or "deny" in front where both could be meant. */
static void withdraw(struct room *r, uint32_t client, const char *text)
{
    struct live *l = &r->live;
    struct egress_words words;
    struct egress_rule rule;
    const char *why = "", *hint = NULL;
    const bool allow = strncmp(text, "allow ", 6) == 0, deny = strncmp(text, "deny ", 5) == 0;
    int at = NONE;
    text += allow ? 6 : deny ? 5 : 0;
    if (!deny && egress_read(text, false, &words, &rule, &why, &hint) == 0)
        at = find(l, &rule);
    if (at == NONE && !allow && egress_read(text, true, &words, &rule, &why, &hint) == 0)
        at = find(l, &rule);
    if (at == SEVERAL) {
        keeper_refuse(r, client, 0, "several rules speak of it",
                      "write the one that is meant as strongroom rules ROOM has it");
        return;
    }
    if (at < 0) {
        keeper_refuse(r, client, 0, why[0] ? why : "no such rule holds here",
                      why[0] ? hint : "strongroom rules ROOM lists those that do");
        return;
    }
    l->table[at].gone = true;
    unixes_remove(r, (uint32_t)at);
    (void)change(r, client, (size_t)at);
}

void live_gate_lost(struct room *r)
{
    struct live *l = &r->live;
    for (size_t i = 0; i < l->waiting_count; i++)
        keeper_refuse(r, l->waiting[i].client, 0, "the gate of this room has ended", NULL);
    l->waiting_count = 0;
}

static void take_request(void *ctx, uint32_t client, const struct rooms_frame *f, int *fds, int n)
{
    struct room *r = ctx;
    char text[ROOMS_TEXT_MAX + 1];
    if (keeper_take(r, client, f, fds, n))
        return;
    rooms_frame_text(f, text);
    if (f->type == ROOMS_RULES) {
        list(r, client, f->value);
    } else if (!r->live.table) {
        keeper_refuse(r, client, 0,
                      r->policy->net == NET_HOST ? "this room shares the host's network: there are no rules"
                                                 : "this room has no gate, and was closed for its whole life",
                      "start it with --net gate, or with an --allow");
    } else if (!r->gate_serves || r->gate_ctl < 0 || r->live.waiting_count == ROOMS_CLIENTS_MAX) {
        keeper_refuse(r, client, 0, "the gate of this room does not serve",
                      r->gate_serves ? NULL : "try again in a moment");
    } else if (f->type == ROOMS_WITHDRAW) {
        withdraw(r, client, text);
    } else {
        add(r, client, text, f->type == ROOMS_DENY);
    }
}

static void farewell(void *ctx, uint32_t client)
{
    keeper_farewell(ctx, client);
}

void live_take(struct room *r)
{
    rooms_serve(&r->live.server, take_request, farewell, r);
}

void live_changed(struct room *r, uint32_t number, uint32_t cut)
{
    struct live *l = &r->live;
    char text[EGRESS_LINE_MAX + 64] = "";
    struct sbuf b = SBUF(text);
    if (l->waiting_count == 0 || l->waiting[0].rule != number || number >= l->rules.count)
        return;
    const struct live_wait first = l->waiting[0];
    memmove(l->waiting, l->waiting + 1, --l->waiting_count * sizeof *l->waiting);
    sbuf_text(&b, l->table[number].gone ? "withdrawn: " : "from now on: ");
    put_line(&l->table[number], &b);
    rooms_reply(&l->server, first.client, ROOMS_DONE, cut < INT32_MAX ? (int)cut : 0, text);
}
