/* init: the room's pid 1, from its clone to its end. */
#ifndef ROOM_INIT_H
#define ROOM_INIT_H

#include "room/plan.h"

/* Called in the cloned child. Never returns. */
__attribute__((noreturn)) void init_main(const struct room_plan *plan);

#endif
