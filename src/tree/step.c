/* step: see step.h. Lives in: strongroom-tree, fault builds only. */
#include "tree/step.h"

#ifdef STRONGROOM_FAULT
#include <unistd.h>

static long left;

void step_arm(long number)
{
    left = number;
}

void step_done(void)
{
    if (left > 0 && --left == 0)
        _exit(137); /* on the disk it looks as after SIGKILL: nothing is tidied */
}
#endif
