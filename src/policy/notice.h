/* notice: what a room may read about its own network, at /run/strongroom/policy.json (docs/network.md has its form). */
#ifndef POLICY_NOTICE_H
#define POLICY_NOTICE_H

#include "base/sbuf.h"
#include "policy/policy.h"

#define NOTICE_PATH "run/strongroom/policy.json" /* in the room, without the leading slash */
#define NOTICE_MAX  (128 << 10) /* bytes with the NUL; rules beyond it are counted, not listed */

/* `rules`: those that hold now. `out` has NOTICE_MAX bytes. */
void notice_text(const struct policy *p, const struct egress_rules *rules, struct sbuf *out);

#endif
