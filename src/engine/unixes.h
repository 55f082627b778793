/* unixes: the supervisor's side of `unix:` rules. See unixes.c. */
#ifndef ENGINE_UNIXES_H
#define ENGINE_UNIXES_H

#include "base/err.h"
#include "policy/egress.h"

#include <stdbool.h>
#include <stdint.h>

struct room;

/* Looks at the sockets that rules name, before anything of the room is made. Nothing when there are none. */
int unixes_open(struct room *r, struct err *e);
/* Can programs of the room come to the socket of that rule, were it in force? */
bool unixes_has(const struct room *r, uint32_t rule);
/* A socket in a room that lives, for a rule that is to have that number: what listens, or -1 with *e. */
int unixes_add(struct room *r, const struct egress_rule *x, uint32_t rule, struct err *e);
/* Takes it out of the room again; nothing for those that were there from the beginning. */
void unixes_remove(struct room *r, uint32_t rule);
/* The gate wants a connection to the socket of rule `rule`, for its row `index` in the life `generation`. */
void unixes_dial(struct room *r, uint32_t rule, uint32_t index, uint32_t generation);
void unixes_close(struct room *r);

#endif
