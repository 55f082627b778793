/* signals: their names, as people write them.
 *
 * Lives in: the command. Trusts: nothing of a word. Pure. */
#include "cli/signals.h"
#include "base/num.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

int signal_number(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"KILL", SIGKILL},
                 {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"CONT", SIGCONT},
                 {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"ALRM", SIGALRM}, {"WINCH", SIGWINCH}};
    uint64_t n;
    if (num_u64(text, &n) == 0)
        return n >= 1 && n <= 64 ? (int)n : 0;
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, text) == 0)
            return names[i].number;
    }
    return 0;
}
