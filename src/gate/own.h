/* own: is an address the host's own, or otherwise no peer's? See own.c. */
#ifndef GATE_OWN_H
#define GATE_OWN_H

#include "gate/addr.h"

/* Before confinement: opens what the question is asked through. 0 or -errno. */
int own_open(void);

/* True too when the kernel does not say. */
bool own_is(const struct gate_addr *a);

#endif
