/* remedy: what mends a facility that is missing, for this very host. A pure function of the facts, the
 * facility and the error that its trial met. */
#ifndef PROBE_REMEDY_H
#define PROBE_REMEDY_H

#include "probe/fix.h"
#include "probe/host.h"

#define REMEDY_LINES_MAX 3
#define REMEDY_FIXES_MAX 3

struct remedy {
    size_t line_count;
    char lines[REMEDY_LINES_MAX][320]; /* each one way, best first */
    size_t fix_count;
    struct fix fixes[REMEDY_FIXES_MAX]; /* what `doctor --fix` would do; none: only people can */
};

/* The facility whose lack explains that `id` is not there either; `id` itself when it stands for itself. */
enum facility remedy_cause(const struct facility_answer answers[FACILITY_COUNT], enum facility id);

void remedy_find(const struct host_facts *h, enum facility id, const struct facility_answer *a,
                 struct remedy *ret);

#endif
