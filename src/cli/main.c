/* main: the way into the strongroom program.
 *
 * Lives in: the command itself, with the user's own rights.
 * Trusts: nothing of argv but that it is NUL-terminated.
 * May: write to stdout. Must not: decide anything; verbs do. */
#include <stdio.h>

int main(void)
{
    return puts("strongroom " STRONGROOM_VERSION) < 0 ? 125 : 0;
}
