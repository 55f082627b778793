/* unconfined: stands in for gate/confine.c where the gate is built with sanitizers, which need calls that the walls
 * refuse.
 *
 * Lives in: a test's strongroom-gate. What the sanitizers find ends it, and is written where the test looks. */
#include "gate/confine.h"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
    return "log_path=/tmp/strongroom-gate-sanitizer:detect_leaks=0";
}

const char *__ubsan_default_options(void)
{
    return "log_path=/tmp/strongroom-gate-sanitizer:halt_on_error=1:print_stacktrace=1";
}

int confine(const char **ret_what)
{
    *ret_what = "";
    return 0;
}
