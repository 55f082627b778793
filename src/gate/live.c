/* live: rules that change while the room lives.
 *
 * A rule keeps its number for ever, also when it is withdrawn, so that what was told about it stays true. After each
 * change the connections are judged again, and names that nothing speaks of any more lose their address: what a program
 * keeps of it leads nowhere.
 *
 * Lives in: strongroom-gate. Trusts: the supervisor, but for the form of what it sends. May: change the table of rules.
 * Must not: wait. */
#include "gate/live.h"
#include "gate/answer.h"
#include "gate/ask.h"
#include "gate/conn.h"
#include "gate/pins.h"
#include "gate/tell.h"

#include <errno.h>
#include <string.h>

static struct egress_rules *rules;
static struct egress_rule *table;
static struct egress_texts *pool;
static struct egress_index *index_of_rules;

void live_open(struct egress_rules *r, struct egress_rule *t, struct egress_texts *w, struct egress_index *i)
{
    index_of_rules = i;
    pool = w;
    rules = r;
    table = t;
}

static bool known(const char *name)
{
    return answers_every_name() || egress_knows_name(rules, name);
}

/* A number that had a rule before gets the very same one again, so that what was told about it stays true; its texts
 * are there already. */
static int bring_back(const struct egress_rule *rule, struct egress_rule *old)
{
    char now[EGRESS_LINE_MAX], before[EGRESS_LINE_MAX];
    struct sbuf a = SBUF(now), b = SBUF(before);

    egress_line(rule, &a);
    egress_line(old, &b);
    if (!old->gone || strcmp(now, before) != 0)
        return -EPROTO;
    old->gone = false;
    return 0;
}

static int add(const struct gate_command *c)
{
    static struct egress_words words;
    struct egress_texts here = {.at = (char *)&words, .left = sizeof words};
    struct egress_rule rule;
    size_t count = 0;

    if (c->number > rules->count || c->number >= EGRESS_RULES_MAX || c->size > sizeof c->text ||
        egress_read_lines(c->text, c->size, &here, &rule, 1, &count) < 0 || count != 1)
        return -EPROTO;
    if (c->number < rules->count)
        return bring_back(&rule, &table[c->number]);
    if (egress_keep(pool, &rule) < 0)
        return -EPROTO;
    table[rules->count++] = rule;
    egress_index_make(rules, index_of_rules);
    return 0;
}

static int drop(const struct gate_command *c)
{
    if (c->number >= rules->count || table[c->number].gone)
        return -EPROTO;
    table[c->number].gone = true;
    return 0;
}

/* With ONCE comes a rule that holds for nobody else: it is gone from the beginning. */
static int answer(const struct gate_command *c)
{
    if (c->kinds[0] == GATE_ANSWER_ONCE) {
        int r = add(c);
        if (r < 0)
            return r;
        table[c->number].gone = true;
    }
    return ask_answered(c);
}

int live_command(const struct gate_command *c)
{
    struct gate_report done = {.type = GATE_CHANGED, .rule = (int32_t)c->number};

    if (c->type == GATE_ANSWER)
        return answer(c);
    int r = c->type == GATE_ADD ? add(c) : c->type == GATE_DROP ? drop(c) : -EPROTO;

    if (r < 0)
        return r;
    done.count = conn_review(&table[c->number]);
    pins_forget(known);
    tell_reply(&done);
    return 0;
}
