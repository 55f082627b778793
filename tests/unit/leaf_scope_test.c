/* leaf_scope_test: starting again under systemd-run, with a systemd-run of our own in PATH.
 *
 * Lives in: a test program. May: make and remove a directory of its own below the temporary folder, start children. */
#include "limits/leaf_scope.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[64];

static void path_of(char *ret, size_t size, const char *name)
{
    assert_true(snprintf(ret, size, "%s/%s", top, name) < (int)size);
}

static void make_bus(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    path_of(a.sun_path, sizeof a.sun_path, "bus");
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(close(fd), 0);
}

static void make_systemd_run(const char *script)
{
    char path[128];
    FILE *f;

    path_of(path, sizeof path, "systemd-run");
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(script, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

static int setup(void **state)
{
    (void)state;
    memcpy(top, "/tmp/scope-XXXXXX", sizeof "/tmp/scope-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    assert_int_equal(setenv("PATH", top, 1), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", top, 1), 0);
    assert_int_equal(unsetenv(LEAF_SCOPE_GUARD), 0);
    return 0;
}

static int teardown(void **state)
{
    char path[128];

    (void)state;
    path_of(path, sizeof path, "bus");
    (void)unlink(path); /* not every test makes one */
    path_of(path, sizeof path, "systemd-run");
    (void)unlink(path);
    return rmdir(top);
}

static char word0[] = "strongroom", word1[] = "run", word2[] = "--", word3[] = "a b";
static char *const words[] = {word0, word1, word2, word3, NULL};

static int reexec(struct err *e)
{
    return leaf_reexec_in_scope(4, (char **)(uintptr_t)words, e);
}

static void becomes_systemd_run(void **state)
{
    char got[1024] = "", want[1024], self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int out[2], status;
    pid_t pid;

    (void)state;
    assert_true(n > 0);
    self[n] = '\0';
    make_bus();
    make_systemd_run("#!/bin/sh\necho \"$$ $STRONGROOM_IN_SCOPE\"\nfor w; do echo \"<$w>\"; done\nexit 42\n");
    assert_int_equal(pipe(out), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        (void)reexec(NULL);
        _exit(1);
    }
    close(out[1]);
    for (size_t at = 0; (n = read(out[0], got + at, sizeof got - 1 - at)) > 0; at += (size_t)n)
        ;
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    snprintf(want, sizeof want,
             "%d 1\n<--user>\n<--scope>\n<--quiet>\n<-p>\n<Delegate=yes>\n<-->\n<%s>\n<run>\n<-->\n<a b>\n",
             (int)pid, self);
    assert_string_equal(got, want);
}

static void only_once(void **state)
{
    struct err e;

    (void)state;
    make_bus();
    assert_int_equal(setenv(LEAF_SCOPE_GUARD, "1", 1), 0);
    assert_int_equal(reexec(&e), -ELOOP);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void no_manager(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(reexec(&e), -ENOENT);
    assert_non_null(strstr(e.text, "no user manager"));
    assert_string_not_equal(e.hint, "");
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    assert_int_equal(reexec(&e), -ENOENT);
}

static void no_systemd_run(void **state)
{
    struct err e;

    (void)state;
    make_bus();
    assert_int_equal(reexec(&e), -ENOENT);
    assert_non_null(strstr(e.text, "systemd-run"));
    assert_null(getenv(LEAF_SCOPE_GUARD)); /* as before: a degraded room may still be made */
}

static void too_many_words(void **state)
{
    struct err e;

    (void)state;
    make_bus();
    assert_int_equal(leaf_reexec_in_scope(1000000, (char **)(uintptr_t)words, &e), -E2BIG);
    assert_int_equal(leaf_reexec_in_scope(0, (char **)(uintptr_t)words, &e), -E2BIG);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {TEST(becomes_systemd_run), TEST(only_once), TEST(no_manager),
                                              TEST(no_systemd_run), TEST(too_many_words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
