/* fault: makes a named place fail on purpose, in builds made for that only (meson option `fault`; see tests/faults).
 *
 * STRONGROOM_FAULT=KIND:NAME:ERRNO in the environment names one place; KIND is `step` (of the room's pid 1), `call` (of
 * the supervisor) or `hang` (the step never ends; no ERRNO). In every other build fault_at is the constant 0. */
#ifndef SYS_FAULT_H
#define SYS_FAULT_H

#ifdef STRONGROOM_FAULT
/* 0, or -errno when this is the place. Does not return from the place of a `hang`. */
int fault_at(const char *kind, const char *name);
#else
static inline int fault_at(const char *kind, const char *name)
{
    (void)kind;
    (void)name;
    return 0;
}
#endif

#endif
