/* settle: what becomes of a room's changes when it has ended. */
#ifndef CLI_SETTLE_H
#define CLI_SETTLE_H

#include "engine/result.h"
#include "policy/policy.h"

/* --apply clean and always, without a question. What is refused stays kept, and *result says so. Returns an exit status
 * for what was to be made real and is not, else 0. */
int settle_unasked(const struct policy *p, struct result *result);

/* Says what is kept; with --apply ask on a terminal asks what to do about it. */
void settle_tell(const struct policy *p, struct result *result, bool quiet);

#endif
