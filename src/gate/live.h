/* live: rules that change while the room lives. */
#ifndef GATE_LIVE_H
#define GATE_LIVE_H

#include "gate/frames.h"
#include "policy/egress.h"

/* `table` (EGRESS_RULES_MAX) and `index` are what `rules` points to; `words` is where texts of further rules go. */
void live_open(struct egress_rules *rules, struct egress_rule *table, struct egress_texts *words,
               struct egress_index *index);

/* ADD and DROP: done and answered. 0, or -EPROTO: another command, or one that makes no sense. */
int live_command(const struct gate_command *command);

#endif
