/* runtimes: see runtimes.h.
 *
 * The drivers are files of this folder and part of the program: they reach a room as an argument of the interpreter, so
 * that no file of a room has to be trusted, and none needs to be there. Each moves its channel out of the cells' sight.
 *
 * Lives in: the supervisor and the command. Pure. */
#include "runtimes/runtimes.h"
#include "runtimes/drivers.h"

#include <stddef.h>
#include <string.h>

const struct runtime runtimes[RUNTIME_COUNT] = {
    [RUNTIME_PYTHON] = {"python", {"python3", "-c", driver_python, driver_python_show}},
    /* node cannot move a descriptor; what it finds open above 2 it does not hand on to programs that it starts. */
    [RUNTIME_JAVASCRIPT] = {"javascript",
                            {"sh", "-c",
                             "exec node --expose-internals --no-warnings -e \"$1\" 3<&0 </dev/null", "sh",
                             driver_javascript}},
    /* What an interactive shell says before it has read its first word is not the cell's. */
    [RUNTIME_BASH] =
        {"bash",
         {"bash", "-c",
          "PS1= exec bash --noprofile --noediting --rcfile /dev/fd/5 -i 4>&2 2>/dev/null 5<<<\"$1\"", "bash",
          driver_bash}},
};

const char *const runtimes_once[LANGUAGE_COUNT][RUNTIMES_ARGS_MAX + 1] = {
    {"python3", "-c", driver_python_once, driver_python_show},
    {"node", "--expose-internals", "--no-warnings", "-e", driver_javascript, "once", "c"},
    {"node", "--expose-internals", "--no-warnings", "-e", driver_javascript, "once", "t"},
    {"bash", "-c", "eval \"$(</dev/stdin)\"", "main.sh"},
};

const struct language languages[LANGUAGE_COUNT] = {
    {"python", RUNTIME_PYTHON, 'c'},
    {"javascript", RUNTIME_JAVASCRIPT, 'c'},
    {"typescript", RUNTIME_JAVASCRIPT, 't'},
    {"bash", RUNTIME_BASH, 'c'},
};

const struct language *language_find(const char *name)
{
    for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
        if (strcmp(languages[i].name, name) == 0)
            return &languages[i];
    }
    return NULL;
}

const struct runtime *runtime_find(const char *name)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        if (strcmp(runtimes[i].name, name) == 0)
            return &runtimes[i];
    }
    return NULL;
}
