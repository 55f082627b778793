/* local: socket files of the room that lead to socket files of the host. See local.c. */
#ifndef GATE_LOCAL_H
#define GATE_LOCAL_H

#include <stddef.h>
#include <stdint.h>

/* Takes what waits at the listener of rule `rule`. 0, or -errno when descriptors are short: it needs a rest. */
int local_accept(int listener, uint32_t rule);

/* The supervisor has dialled for that row: a socket, or `code` says why there is none. Takes `fd` over. */
void local_dialled(uint32_t index, uint32_t generation, int fd, int code);

#endif
