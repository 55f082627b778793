/* verb_completion: `strongroom completion bash`, and `completion man`, from which the manual page takes its options.
 *
 * Lives in: strongroom. Trusts: nothing of argv. May: print what the tables say. */
#include "cli/options.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include <string.h>

enum { VERBS_MAX = 48 };

int verb_completion(int argc, char **argv)
{
    static char text[32768];
    const char *names[VERBS_MAX], *what = argc > 1 ? argv[1] : "bash";
    struct sbuf b = SBUF(text);
    size_t count = 0;

    if (strcmp(what, "man") == 0) {
        options_man(&b);
        return say_stdout(&b);
    }
    if (strcmp(what, "bash") != 0) {
        struct err e = {0};
        err_set(&e, ERR_USAGE, 0, "completion: no words for the shell \"%.60s\"", what);
        err_hint(&e, "strongroom completion bash");
        return say_error(&e);
    }
    for (; count < verb_count && count < VERBS_MAX; count++)
        names[count] = verbs[count].name;
    options_completion_bash(names, count, &b);
    return say_stdout(&b);
}
