/* unixes: the supervisor's side of `unix:` rules. See unixes.c. */
#ifndef ENGINE_UNIXES_H
#define ENGINE_UNIXES_H

#include "base/err.h"
#include <stdint.h>

struct room;

/* Looks at the sockets that rules name, before anything of the room is made. Nothing when there are none. */
int unixes_open(struct room *r, struct err *e);
/* The gate wants a connection to the socket of rule `rule`, for its row `index` in the life `generation`. */
void unixes_dial(struct room *r, uint32_t rule, uint32_t index, uint32_t generation);
void unixes_close(struct room *r);

#endif
