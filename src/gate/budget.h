/* budget: what the rules' own bounds (max-bytes, max-conns, rate) still allow. See budget.c. */
#ifndef GATE_BUDGET_H
#define GATE_BUDGET_H

#include "gate/frames.h"
#include "policy/egress.h"

#include <stdbool.h>
#include <stddef.h>

void budget_open(const struct egress_rules *rules);

/* A new connection by this rule: 0, or why not. Each that entered leaves. */
enum gate_reason budget_enter(int rule);
void budget_leave(int rule);

/* Something goes out to the network; and: too much did lately, for more to be taken now. */
void budget_step(void);
bool budget_is_ahead(void);

/* Of `want` bytes, how many may be taken; then how many were. */
size_t budget_most(int rule, size_t want);
void budget_take(int rule, size_t bytes);
void budget_give(int rule, uint32_t bytes); /* that were taken, and did not pass */

#endif
