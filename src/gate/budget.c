/* budget: what the rules' own bounds still allow.
 *
 * Theory of operation. Each rule has a row: bytes taken in from either side of any of its connections, connections that
 * are open, and the time at which the next one would come if all came evenly (GCRA: a rule of N a second lets N come at
 * once and then one each Nth of a second). Bytes are counted when they are taken in, so that what was counted is never
 * more than what the rule allows.
 *   All that goes out together has one row more: hosts that follow connections (conntrack) remember each for two
 * minutes after its end, in one table for all their programs, which in small hosts has 65,536 places. So a room has
 * 24,576 new connections at once, and then 300 a second. Who comes too soon waits to be accepted, and fails in nothing.
 *
 * Lives in: strongroom-gate and its tests. Trusts: that rules keep their numbers. May: compute. Must not: allocate. */
#include "gate/budget.h"
#include "gate/loop.h"

#define STEP_US                                                                                              \
    1667 /* each connection is a look-up, or a place of the gate's table, and an attempt: two steps */
#define STEP_MAX 49152

static const struct egress_rules *rules;
static uint64_t next_step_us;
static struct {
    uint64_t bytes, next_us;
    uint32_t conns;
} rows[EGRESS_RULES_MAX];

void budget_open(const struct egress_rules *r)
{
    rules = r;
}

static bool too_soon(int rule, const struct egress_rule *r)
{
    const uint64_t now = loop_now() * 1000, period = (uint64_t)r->rate_ms * 1000, step = period / r->rate;
    uint64_t *next = &rows[rule].next_us;

    if (*next < now)
        *next = now;
    if (*next - now > period - step)
        return true;
    *next += step;
    return false;
}

void budget_step(void)
{
    const uint64_t now = loop_now() * 1000;

    next_step_us = (next_step_us < now ? now : next_step_us) + STEP_US;
}

bool budget_is_ahead(void)
{
    return next_step_us > loop_now() * 1000 + (uint64_t)STEP_US * STEP_MAX;
}

enum gate_reason budget_enter(int rule)
{
    const struct egress_rule *r = &rules->rules[rule];

    if (r->max_bytes != 0 && rows[rule].bytes >= r->max_bytes)
        return GATE_WHY_MAX_BYTES;
    if (r->max_conns != 0 && rows[rule].conns >= r->max_conns)
        return GATE_WHY_MAX_CONNS;
    if (r->rate != 0 && too_soon(rule, r))
        return GATE_WHY_RATE;
    rows[rule].conns++;
    return (enum gate_reason)0;
}

void budget_leave(int rule)
{
    rows[rule].conns--;
}

size_t budget_most(int rule, size_t want)
{
    const uint64_t most = rule < 0 ? 0 : rules->rules[rule].max_bytes; /* no rule, no bound */

    if (most == 0 || most - rows[rule].bytes >= want)
        return want;
    return (size_t)(most - rows[rule].bytes);
}

void budget_take(int rule, size_t bytes)
{
    if (rule < 0)
        return;
    const uint64_t most = rules->rules[rule].max_bytes;

    rows[rule].bytes += bytes;
    if (most != 0 && rows[rule].bytes > most) /* a head that was changed on its way may have grown */
        rows[rule].bytes = most;
}

void budget_give(int rule, uint32_t bytes)
{
    rows[rule].bytes -= rows[rule].bytes < bytes ? rows[rule].bytes : bytes;
}
