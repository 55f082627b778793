/* edit: a head that goes on changed. Pure. See edit.c. */
#ifndef GATE_EDIT_H
#define GATE_EDIT_H

#include "gate/flow.h"
#include "gate/secret.h"

#define EDIT_MAX 65536

/* Does the head that `v` lets pass go on as it is? */
bool edit_wanted(const struct flow_rules *r, const struct flow_verdict *v);

/* Writes the changed form of the head of v->head bytes; returns its length, 0 when it does not fit. */
size_t edit_head(const char *bytes, const struct flow_rules *r, enum flow_side side, enum secret_way way,
                 const struct flow_verdict *v, char out[EDIT_MAX]);

#endif
