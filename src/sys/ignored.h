/* ignored: what a caller had ignored stays ignored: nohup(1) is to work on us as on anybody. */
#ifndef SYS_IGNORED_H
#define SYS_IGNORED_H

#include <signal.h>

/* Takes SIGHUP out of a set that is to be read from a signalfd, if it was ignored when we began; blocked, it would
 * come there all the same. */
static inline void ignored_hangup_leaves(sigset_t *set)
{
    struct sigaction now;
    if (sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        (void)sigdelset(set, SIGHUP); /* cannot fail */
}

#endif
