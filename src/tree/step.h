/* step: a place where, in fault builds, the program can be made to die, to try what a crash there leaves. */
#ifndef TREE_STEP_H
#define TREE_STEP_H

#ifdef STRONGROOM_FAULT
void step_done(void);
void step_arm(long number); /* the number-th step from now on is the last */
#else
static inline void step_done(void)
{
}
#endif

#endif
