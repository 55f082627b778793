/* confine: gives up everything but the network and the descriptors at hand. */
#ifndef GATE_CONFINE_H
#define GATE_CONFINE_H

/* 0, or -errno with *ret_what saying which wall could not be raised. */
int confine(const char **ret_what);

/* Its two halves, for tests of what stands behind the list of system calls. */
int confine_walls(const char **ret_what);
int confine_calls(void);

#endif
