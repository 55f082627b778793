/* confine: gives up everything that serving does not need. */
#ifndef GATE_CONFINE_H
#define GATE_CONFINE_H

/* 0, or -errno, and *ret_what says what could not be done. */
int confine(const char **ret_what);

#endif
