/* via: the upstream proxy, if the policy has one. */
#ifndef GATE_VIA_H
#define GATE_VIA_H

#include "policy/upstream.h"

void via_open(const struct upstream *upstream);

#endif
