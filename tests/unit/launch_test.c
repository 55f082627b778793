/* launch_test: which command lines the confined server of `strongroom mcp` may have run. */
#include "mcp/launch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BOX "sbx-0123456789abcdef0123456789abcdef"

static char *users[] = {(char *)(uintptr_t) "--allow", (char *)(uintptr_t) "pypi.org",
                        (char *)(uintptr_t) "--memory=1G", NULL};
static const struct launch_rules rules = {
    .user = users, .timeout_s = 30, .memory_mb = 512, .lifetime_s = 3600};
static const struct launch_rules more = {.user = users + 3, .prefers_memory = true, .may_apply = true};

/* Words of a line, apart by single spaces. */
static bool allowed(const struct launch_rules *r, const char *line)
{
    static char text[4096];
    char *argv[64];
    size_t n = 0, len = strlen(line);

    memcpy(text, line, len + 1);
    for (char *at = text; at; n++) {
        argv[n] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    argv[n] = NULL;
    return launch_allowed(r, argv);
}

#define RUN  "strongroom run --allow pypi.org --memory=1G "
#define GOOD RUN "--args none --quiet "

static void what_the_tools_make_may_run(void **state)
{
    static const char *const good[] = {
        GOOD "--result-fd=3 --reply-fd=4 -- python3 -c anything",
        GOOD "--timeout=30s --memory=512M --explain --result-fd=3 -- bash -c x --volume /:/",
        GOOD "--detach --name=" BOX " --timeout=3600s --env=A=b --env=C=d=e",
        GOOD "--detach --offline --name=" BOX,
        "strongroom exec --interpreter=python --timeout=9s --output=5 --result-fd=3 " BOX,
        "strongroom exec --timeout=5s --workdir=/work --env=A=b --output=0 " BOX " -- bash -c --policy",
        "strongroom job start --script --workdir=/x --env=A=b " BOX,
        "strongroom job list --json " BOX,
        "strongroom job output --stderr --offset=5 --limit=9 --result-fd=3 " BOX " 3",
        "strongroom job input --close " BOX " 3",
        "strongroom job kill --signal=15 " BOX " 3",
        "strongroom why pypi.org:443 --allow pypi.org --memory=1G",
        "strongroom ps --json",
        "strongroom renew " BOX " 3600s",
        "strongroom rm " BOX,
        "strongroom review --no-pager 20261130-1f -- a b",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!allowed(&rules, good[i]))
            fail_msg("refused: %s", good[i]);
    }
    assert_true(allowed(&more, "strongroom apply --only-clean 20261130-1f -- a"));
    assert_true(
        allowed(&more, "strongroom run --args none --prefer=memory --timeout=99999s --memory=99999M -- x"));
}

static void nothing_else_may(void **state)
{
    static const char *const bad[] = {
        "strongroom",
        "sh -c x",
        "strongroom mcp install claude",
        "strongroom cp " BOX ":/x /home",
        "strongroom selftest",
        "strongroom run --args none -- x", /* the user's options are not there */
        "strongroom run --allow pypi.org -- x",
        "strongroom run --memory=1G --allow pypi.org -- x",
        RUN "--allow evil.org -- x",
        RUN "--volume=/:/ -- x",
        RUN "-v /:/ -- x",
        RUN "--net=host -- x",
        RUN "--args rw -- x",
        RUN "--prefer=memory -- x",
        RUN "--prefer=all -- x",
        RUN "--result=/etc/passwd -- x",
        RUN "--result-fd=33 -- x",
        RUN "--timeout=31s -- x",
        RUN "--timeout=0s -- x",
        RUN "--timeout=99999999999999999999s -- x",
        RUN "--timeout=5h -- x",
        RUN "--memory=513M -- x",
        RUN "--memory=1G -- x",
        RUN "--detach --timeout=3601s",
        RUN "--detach --name=other",
        RUN "--name=" BOX "0 --detach",
        RUN "--env=HOME -- x", /* the user's own variable */
        RUN "--env== -- x",
        RUN "x",
        "strongroom exec myroom -- x",
        "strongroom exec --tty " BOX " -- x",
        "strongroom exec --env=HOME " BOX " -- x",
        "strongroom exec " BOX " sh",
        "strongroom job start " BOX " -- sh",
        "strongroom rm myroom",
        "strongroom rm sbx-xyz",
        "strongroom renew " BOX " 3601s",
        "strongroom renew " BOX " 0s",
        "strongroom apply --only-clean 20261130-1f",
        "strongroom apply 20261130-1f",
        "strongroom review --no-pager ../x",
        "strongroom why --policy=/etc/shadow --allow pypi.org --memory=1G",
        "strongroom why pypi.org",
        "strongroom why pypi.org --allow pypi.org --memory=1G --policy=/x",
        "strongroom ps --json -- x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (allowed(&rules, bad[i]))
            fail_msg("let through: %s", bad[i]);
    }
    assert_false(allowed(&more, "strongroom apply 20261130-1f --yes"));
    assert_false(allowed(&more, "strongroom apply --only-clean --force 20261130-1f"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_the_tools_make_may_run),
                                       cmocka_unit_test(nothing_else_may)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
