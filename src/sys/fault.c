/* fault: see fault.h.
 * Lives in: fault builds only, in the supervisor and in the cloned child before exec (no malloc, no stdio).
 * Trusts: the tester. */
#include "sys/fault.h"

#ifdef STRONGROOM_FAULT
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes `word` and the colon (or end) behind it off the front of *at. */
static bool take(const char **at, const char *word)
{
    const size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0 || ((*at)[n] != ':' && (*at)[n] != '\0'))
        return false;
    *at += (*at)[n] ? n + 1 : n;
    return true;
}

int fault_at(const char *kind, const char *name)
{
    const char *at = getenv("STRONGROOM_FAULT");
    int code = 0;
    if (!at || !take(&at, kind) || !take(&at, name))
        return 0;
    if (strcmp(kind, "hang") == 0) {
        for (;;)
            (void)pause();
    }
    for (; *at >= '0' && *at <= '9' && code < 4096; at++)
        code = code * 10 + (*at - '0');
    return -code;
}
#endif
