/* ask: connections that wait for a word of the room's user.
 *
 * Theory of operation. A connection that no rule speaks of, to a name or to an address that a rule could open, asks one
 * question for its endpoint; others to the same endpoint wait with it. The supervisor puts the question to a person
 * and answers: NO (that endpoint is not asked about again), ONCE (those that wait now go on under a rule that nobody
 * else is under) or ALWAYS (there is a rule now). Everything is bounded: questions that are open, connections that
 * wait, the time that they do, and refusals, after which there are no more questions in this room.
 *
 * Lives in: strongroom-gate. Trusts: the supervisor for the answer. May: send a question. Must not: wait for it. */
#include "gate/ask.h"
#include "gate/loop.h"
#include "gate/own.h"
#include "gate/tell.h"

#include <errno.h>
#include <string.h>

#define ASK_MS      300000 /* longer than the supervisor takes to answer all that may be open */
#define WAITING_MAX 256
#define REFUSED_MAX 64

struct endpoint {
    uint32_t id; /* 0: none */
    uint16_t port;
    struct gate_addr addr; /* where there is no name */
    char name[DNS_NAME_MAX];
};

static struct endpoint asked[GATE_ASKS_MAX], refused[REFUSED_MAX];
static size_t refused_count, waiting;
static uint32_t last_id;
static bool asks;

void ask_open(void)
{
    asks = true;
}

static struct endpoint endpoint_of(const struct conn *c)
{
    struct endpoint p = {.port = c->port};

    memcpy(p.name, c->name, sizeof p.name);
    if (p.name[0] == '\0')
        p.addr = c->peer;
    return p;
}

static bool is_same(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcmp(a->name, b->name) == 0 && a->addr.size == b->addr.size &&
           memcmp(a->addr.bytes, b->addr.bytes, sizeof a->addr.bytes) == 0;
}

/* What no rule opens but one that names it, is not asked about. */
static bool can_be_asked(const struct conn *c)
{
    const struct egress_addr a = addr_egress(&c->peer);

    return c->name[0] != '\0' || (!egress_is_private(&a) && !own_is(&c->peer));
}

static struct endpoint *ask(const struct endpoint *p)
{
    struct endpoint *free = NULL;

    for (size_t i = 0; i < GATE_ASKS_MAX; i++) {
        if (asked[i].id != 0 && is_same(&asked[i], p))
            return &asked[i];
        if (asked[i].id == 0)
            free = &asked[i];
    }
    if (free == NULL)
        return NULL;
    *free = *p;
    free->id = ++last_id;
    struct gate_report r = {.type = GATE_ASK, .count = free->id, .port = p->port};
    memcpy(r.name, p->name, sizeof r.name);
    if (p->name[0] == '\0')
        (void)addr_text(&p->addr, r.address);
    if (tell_now(&r) < 0)
        free->id = 0;
    return free->id != 0 ? free : NULL;
}

bool ask_about(struct conn *c)
{
    struct endpoint p = endpoint_of(c);

    if (!asks || c->was_asked || waiting == WAITING_MAX || refused_count == REFUSED_MAX || !can_be_asked(c))
        return false;
    for (size_t i = 0; i < refused_count; i++) {
        if (is_same(&refused[i], &p))
            return false;
    }
    const struct endpoint *q = ask(&p);
    if (q == NULL)
        return false;
    c->question = q->id;
    c->was_asked = true;
    c->state = CONN_WAITING;
    conn_set_due(c, loop_now() + ASK_MS);
    waiting++;
    return true;
}

void ask_leave(struct conn *c)
{
    waiting -= c->question != 0;
    c->question = 0;
}

int ask_answered(const struct gate_command *command)
{
    struct endpoint *q = NULL;

    for (size_t i = 0; i < GATE_ASKS_MAX; i++) {
        if (asked[i].id != 0 && asked[i].id == command->count)
            q = &asked[i];
    }
    if (q == NULL || command->kinds[0] < GATE_ANSWER_NO || command->kinds[0] > GATE_ANSWER_ALWAYS)
        return -EPROTO;
    if (command->kinds[0] == GATE_ANSWER_NO && refused_count < REFUSED_MAX)
        refused[refused_count++] = *q;
    const uint32_t id = q->id;
    q->id = 0;
    conn_answered(id, (enum gate_answer)command->kinds[0], (int)command->number);
    return 0;
}
