/* live: a room that has a name can be spoken to from outside: which rules hold, and changes of them.
 *
 * Theory of operation. The control socket (rooms/server.h) is one descriptor of the supervisor's poll. A request about
 * rules has one or several. Each is checked here as the command line would check it, and put into the list behind the
 * ones before it; if one of them cannot hold, all are taken out again, and nothing has happened. Then each goes to the
 * gate as one frame; the gate answers in order, and with its last answer the client gets its reply. The list of rules
 * only grows: a rule that was withdrawn keeps its number, and gets it back when it is allowed again. What the room may
 * read about itself is written anew each time.
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

/* --- a request: one change or several, which hold all of them or none --------------------------------------- */

/* A change that stands in the list, but of which the gate has not heard yet. */
struct step {
    uint32_t number;
    bool held;    /* there is nothing to do */
    int listener; /* of a socket that the room has no place for yet, -1 */
};

static int refuse(struct err *e, const char *text, const char *why, const struct egress_rule *rule)
{
    char by[2 * EGRESS_LINE_MAX] = "";
    struct sbuf b = SBUF(by);
    if (rule)
        put_line(rule, &b);
    return err_set(e, ERR_POLICY, 0, "%.100s: %s%s", text, why, by);
}

/* May it be added to the rules that hold? 1: it does already, as number *ret_held. */
static int look_at(const struct live *l, const char *text, const struct egress_rule *rule, uint32_t *ret_held,
                   struct err *e)
{
    for (size_t i = 0; i < l->rules.count && !rule->deny; i++) {
        if (l->table[i].gone || !l->table[i].deny || !egress_covers(&l->table[i], rule))
            continue;
        (void)refuse(e, text, "it can never match: this covers it: ", &l->table[i]);
        return err_hint(e, "withdraw that one first");
    }
    const int at = find(l, rule);
    if (at >= 0 && has_same_words(&l->table[at], rule)) {
        *ret_held = (uint32_t)at;
        return 1;
    }
    const struct egress_rule *other = other_bounds(l, rule);
    if (!other)
        return 0;
    (void)refuse(e, text, "other bounds hold for it: ", other);
    return err_hint(e, "withdraw that one first, which cuts its connections");
}

static int add(struct room *r, const char *text, bool deny, struct step *ret, struct err *e)
{
    struct live *l = &r->live;
    struct egress_words words;
    struct egress_rule rule;
    const char *why = "", *hint = NULL;
    if (egress_read(text, deny, &words, &rule, &why, &hint) < 0) {
        (void)refuse(e, text, why, NULL);
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    int n = look_at(l, text, &rule, &ret->number, e);
    ret->held = n == 1;
    if (n != 0)
        return n;
    int at = enlist(l, &rule, find_gone(l, &rule));
    if (at < 0)
        return refuse(e, text, "this room has had as many rules as can be", NULL);
    ret->number = (uint32_t)at;
    if (rule.kind != EGRESS_UNIX || deny || unixes_has(r, ret->number))
        return 0;
    struct err inner = {0};
    ret->listener = unixes_add(r, &l->table[at], ret->number, &inner);
    if (ret->listener >= 0)
        return 0;
    l->table[at].gone = true;
    (void)refuse(e, text, inner.text, NULL);
    return inner.hint[0] ? err_hint(e, "%s", inner.hint) : -EINVAL;
}

/* The text is a rule, with "allow" or "deny" in front where both could be meant. */
static int withdraw(struct room *r, const char *text, struct step *ret, struct err *e)
{
    struct live *l = &r->live;
    struct egress_words words;
    struct egress_rule rule;
    const char *why = "", *hint = NULL;
    const bool allow = strncmp(text, "allow ", 6) == 0, deny = strncmp(text, "deny ", 5) == 0;
    bool read = false; /* it is a rule, if none that holds */
    const char *from = text + (allow ? 6 : deny ? 5 : 0);
    int at = NONE;
    if (!deny && egress_read(from, false, &words, &rule, &why, &hint) == 0) {
        at = find(l, &rule);
        read = true;
    }
    if (at == NONE && !allow && egress_read(from, true, &words, &rule, &why, &hint) == 0) {
        at = find(l, &rule);
        read = true;
    }
    if (at == SEVERAL) {
        (void)refuse(e, text, "several rules speak of it", NULL);
        return err_hint(e, "write the one that is meant as strongroom rules ROOM has it");
    }
    if (at < 0) {
        (void)refuse(e, text, read ? "no such rule holds here" : why, NULL);
        hint = read ? "strongroom rules ROOM lists those that do" : hint;
        return hint ? err_hint(e, "%s", hint) : -EINVAL;
    }
    l->table[at].gone = true;
    ret->number = (uint32_t)at;
    return 0;
}

/* As if nothing had been asked. */
static void take_back(struct room *r, bool back, struct step *steps, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        if (steps[i].held)
            continue;
        r->live.table[steps[i].number].gone = !back;
        if (steps[i].listener >= 0)
            unixes_remove(r, steps[i].number);
        fd_close(&steps[i].listener);
    }
}

/* To the gate, which answers for each in this order. */
static int carry_out(struct room *r, bool back, struct step *steps, size_t count)
{
    int n = 0;
    for (size_t i = 0; i < count; i++) {
        if (steps[i].held)
            continue;
        if (back)
            unixes_remove(r, steps[i].number);
        n = n < 0 ? n : gate_change(r, steps[i].number);
        if (n == 0 && steps[i].listener >= 0)
            gate_listen(r, steps[i].listener, steps[i].number); /* right behind its rule */
        fd_close(&steps[i].listener);
        gate_record()->rule_changes++;
    }
    write_notice(r);
    return n;
}

/* What became of it, and the reply, when the gate has answered for all. */
static bool is_answered(struct room *r, struct live_wait *w)
{
    char text[ROOMS_TEXT_MAX + 1] = "";
    struct sbuf b = SBUF(text);
    uint64_t cut = 0;
    while (w->at < w->count && w->changes[w->at].held)
        w->at++;
    if (w->at < w->count)
        return false;
    for (size_t i = 0; i < w->count; i++) {
        const struct live_change *c = &w->changes[i];
        if (b.size - b.len < 2 * EGRESS_LINE_MAX + 64) { /* all of them hold, too many are to be told */
            sbuf_fmt(&b, "and %zu more\n", w->count - i);
            break;
        }
        sbuf_text(&b, c->held ? "held already: " : w->back ? "withdrawn: " : "from now on: ");
        put_line(&r->live.table[c->number], &b);
        if (!w->back && ports_lack(r, &r->live.table[c->number]))
            sbuf_text(&b, " (not every port of it leads out: no nftables here)");
        if (c->cut)
            sbuf_fmt(&b, " (%u connection%s cut)", c->cut, c->cut == 1 ? "" : "s");
        sbuf_char(&b, '\n');
        cut += c->cut;
    }
    rooms_reply(&r->live.server, w->client, ROOMS_DONE, cut < INT32_MAX ? (int)cut : 0, text);
    return true;
}

static void change(struct room *r, uint32_t client, enum rooms_frame_type type, char *text)
{
    struct live *l = &r->live;
    struct step steps[ROOMS_RULES_MAX];
    struct live_wait *w = &l->waiting[l->waiting_count];
    const size_t before = l->rules.count;
    const struct egress_texts texts = l->texts;
    const bool back = type == ROOMS_WITHDRAW;
    struct err e = {0};
    size_t count = 0;
    int n = 0;
    while (n >= 0 && *text) {
        char *end = text + strcspn(text, "\n"), *next = end + (*end != '\0');
        *end = '\0';
        if (count == ROOMS_RULES_MAX) {
            n = err_set(&e, ERR_POLICY, 0, "more than %d rules at once", ROOMS_RULES_MAX);
            break;
        }
        steps[count] = (struct step){.listener = -1};
        n = back ? withdraw(r, text, &steps[count], &e) : add(r, text, type == ROOMS_DENY, &steps[count], &e);
        count += n >= 0;
        text = next;
    }
    if (n < 0) {
        take_back(r, back, steps, count);
        l->rules.count = before;
        l->texts = texts;
        keeper_refuse(r, client, 0, e.text, e.hint[0] ? e.hint : NULL);
        return;
    }
    if (carry_out(r, back, steps, count) < 0) {
        keeper_refuse(r, client, 0, "the gate of this room has ended", NULL);
        return;
    }
    *w = (struct live_wait){.client = client, .back = back, .count = count};
    for (size_t i = 0; i < count; i++)
        w->changes[i] = (struct live_change){.number = steps[i].number, .held = steps[i].held};
    if (!is_answered(r, w))
        l->waiting_count++;
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
    } else {
        change(r, client, (enum rooms_frame_type)f->type, text);
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
    struct live_wait *first = &l->waiting[0];
    if (l->waiting_count == 0 || first->changes[first->at].number != number)
        return; /* a rule that somebody at a terminal added */
    first->changes[first->at++].cut = cut;
    if (is_answered(r, first))
        memmove(l->waiting, l->waiting + 1, --l->waiting_count * sizeof *l->waiting);
}
