/* err_test: what is said, how it is cut, and with which status we end.
 *
 * Lives in: a test program. May: fork to see a CHECK end its process. */
#include "base/err.h"
#include "base/utf8.h"
#include "unit.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void says_and_returns(void **state)
{
    struct err e = {.hint = "old"};
    (void)state;
    assert_int_equal(err_set(&e, ERR_IO, ENOENT, "open: %s", "/no"), -ENOENT);
    assert_int_equal(e.kind, ERR_IO);
    assert_int_equal(e.code, ENOENT);
    assert_string_equal(e.text, "open: /no: No such file or directory");
    assert_string_equal(e.hint, "");
    assert_int_equal(err_hint(&e, "create %s", "it"), -ENOENT);
    assert_string_equal(e.hint, "create it");
    assert_string_equal(e.text, "open: /no: No such file or directory");
}

static void without_code(void **state)
{
    struct err e;
    (void)state;
    assert_int_equal(err_set(&e, ERR_POLICY, 0, "memory: zero"), -EINVAL);
    assert_int_equal(e.code, 0);
    assert_string_equal(e.text, "memory: zero");
    assert_int_equal(err_hint(&e, "more"), -EINVAL);
}

static void odd_arguments(void **state)
{
    struct err e;
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, EPERM, "x"), -EPERM);
    assert_int_equal(err_set(NULL, ERR_IO, 0, "x"), -EINVAL);
    assert_int_equal(err_hint(NULL, "x"), -EINVAL);
    assert_int_equal(err_set(&e, ERR_IO, -EPERM, "x"), -EPERM);
    assert_int_equal(e.code, EPERM);
    assert_string_equal(e.text, "x: Operation not permitted");
    assert_int_equal(err_set(&e, ERR_IO, INT_MIN, "x"), -EINVAL);
}

/* The struct's own text as an argument, as when an error is put into words that say more. */
static void own_text(void **state)
{
    struct err e;
    (void)state;
    err_set(&e, ERR_IO, 0, "inner");
    err_hint(&e, "hint of %s", e.text);
    assert_string_equal(e.hint, "hint of inner");
    err_hint(&e, "(%s)", e.hint);
    assert_string_equal(e.hint, "(hint of inner)");
    err_set(&e, ERR_ROOM, EPERM, "outer: %s", e.text);
    assert_string_equal(e.text, "outer: inner: Operation not permitted");
}

static void hostile_names(void **state)
{
    struct err e;
    (void)state;
    err_set(&e, ERR_IO, 0, "open: %s", "a\nstrongroom: all is well\x1b[2J\xff\xe2\x80\xae");
    assert_string_equal(e.text, "open: a\\nstrongroom: all is well\\x1b[2J\\xff\\xe2\\x80\\xae");
    err_hint(&e, "%s", "\r");
    assert_string_equal(e.hint, "\\r");
}

static void check_well_formed(const char *s)
{
    size_t left = strlen(s);
    uint32_t code;

    assert_true(left < ERR_TEXT_MAX);
    for (unsigned n; left; s += n, left -= n) {
        n = utf8_next(s, left, &code);
        assert_true(n > 0);
    }
}

/* Names of all lengths around the limit, so that the cut falls on each byte of a character: the text stays
 * UTF-8 and the reason stays whole. */
static void long_names(void **state)
{
    static const char reason[] = ": Permission denied";
    char name[1200];
    struct err e;
    (void)state;
    for (size_t pad = 0; pad < 4; pad++) {
        memset(name, 'a', pad);
        for (size_t i = pad; i + 3 < sizeof name; i += 3)
            memcpy(name + i, "\xe2\x82\xac", 4);
        err_set(&e, ERR_IO, EACCES, "%s", name);
        check_well_formed(e.text);
        assert_true(strlen(e.text) > ERR_TEXT_MAX - 5);
        assert_string_equal(e.text + strlen(e.text) - strlen(reason), reason);
        err_hint(&e, "%s", name);
        check_well_formed(e.hint);
        assert_true(strlen(e.hint) > ERR_TEXT_MAX - 5);
    }
    memset(name, 'b', ERR_TEXT_MAX - 1);
    name[ERR_TEXT_MAX - 1] = '\0';
    err_set(&e, ERR_IO, 0, "%s", name);
    assert_string_equal(e.text, name);
}

static void kinds(void **state)
{
    static const struct {
        enum err_kind kind;
        const char *name;
        int status;
    } rows[] = {
        {ERR_NONE, "none", 0},
        {ERR_USAGE, "usage", 125},
        {ERR_POLICY, "policy", 125},
        {ERR_DENIED, "denied", 125},
        {ERR_LIMIT, "limit", 125},
        {ERR_ROOM, "room", 125},
        {ERR_EXEC, "exec", 126},
        {ERR_NOT_FOUND, "not-found", 127},
        {ERR_IO, "io", 125},
        {ERR_INTERNAL, "internal", 125},
        {ERR_KIND_COUNT, "internal", 125},
        {(enum err_kind)4711, "internal", 125},
    };
    (void)state;
    assert_int_equal(COUNT(rows), ERR_KIND_COUNT + 2);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(err_kind_name(rows[i].kind), rows[i].name);
        assert_int_equal(err_exit_status(rows[i].kind), rows[i].status);
    }
}

static void check_ends_the_process(void **state)
{
    int status, ends[2];
    char said[256];
    ssize_t n;
    pid_t pid;
    (void)state;
    CHECK(1 + 1 == 2);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        CHECK(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    n = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    assert_true(n > 0);
    said[n] = '\0';
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "internal error: "));
    assert_non_null(strstr(said, ": 1 + 1 == 3\n"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_and_returns),
        cmocka_unit_test(without_code),
        cmocka_unit_test(odd_arguments),
        cmocka_unit_test(own_text),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(long_names),
        cmocka_unit_test(kinds),
        cmocka_unit_test(check_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
