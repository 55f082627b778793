/* confine: what strongroom-intercept gives up before the first connection. See confine.c. */
#ifndef INTERCEPT_CONFINE_H
#define INTERCEPT_CONFINE_H

/* 0, or -errno with *ret_what saying which wall could not be raised. */
int intercept_confine(const char **ret_what);

/* The list of system calls alone, for tests. */
int intercept_confine_calls(void);

#endif
