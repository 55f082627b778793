/* selftest: rooms that are made in order to be attacked, on the user's own host, and the verdicts. */
#ifndef ENGINE_SELFTEST_H
#define ENGINE_SELFTEST_H

#include "base/err.h"
#include "probe/wall.h"

#define SELFTEST_MAX 96 /* probes; a unit test compares it with the table */

struct selftest {
    bool attack;      /* the hazardous ones too */
    bool bare;        /* the harmless ones without any room: shows that they can fail */
    bool without_net; /* in a room with the host's network: shows that those can fail */
    /* results, by row of wall_rows */
    bool asked[SELFTEST_MAX];
    struct wall_verdict verdicts[SELFTEST_MAX];
    unsigned held, broke, skipped;
};

/* Plants what must not be reached, makes the rooms one after the other, and removes what was planted. 0, or
 * -errno with e when no room could be made (then nothing was tested). Single-threaded; once per process. */
int selftest_run(struct selftest *s, struct err *e);

#endif
