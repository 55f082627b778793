/* policy_reader: starts strongroom-policy for one file and takes its answer.
 *
 * Lives in: strongroom, before anything is built. Trusts: the program it finds beside itself or in the directory that
 * was compiled in; nothing of its answer, of which only a bounded number of bytes is taken in a bounded time.
 * May: start that one program. Must not: leave it behind. */
#include "cli/policy_reader.h"
#include "policy/records.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READER      "strongroom-policy"
#define ANSWER_MS   10000 /* an honest reader needs a few */
#define ANSWER_STEP 65536

/* "DIR/tail/name" without the "..": the program's own path has no links left, so cutting text is right. */
static int join_beside(const char *self, const char *tail, const char *name, char *ret, size_t size)
{
    size_t keep = strlen(self);

    while (strncmp(tail, "../", 3) == 0 && keep > 0) {
        while (keep > 0 && self[--keep] != '/')
            ;
        tail += 3;
    }
    int n = snprintf(ret, size, "%.*s/%s/%s", (int)keep, self, tail, name);
    return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int beside_program(const char *const *tails, const char *name, char *ret, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    for (; *tails; tails++) {
        int len = -1;
        if ((*tails)[0] == '/')
            len = snprintf(ret, size, "%s/%s", *tails, name);
        else if (slash && join_beside(self, *tails, name, ret, size) == 0)
            len = 0;
        if (len >= 0 && (size_t)len < size && access(ret, F_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

static int find_reader(char *ret, size_t size, struct err *e)
{
    static const char *const tails[] = {".",
                                        "../libexec/strongroom",
                                        "../build-host/src/helpers/policy",
                                        "../../build-host/src/helpers/policy",
                                        STRONGROOM_LIBEXECDIR,
                                        NULL};

    if (beside_program(tails, READER, ret, size) == 0)
        return 0;
    err_set(e, ERR_ROOM, 0, "policy files: " READER " is not installed");
    return err_hint(e, "it belongs beside strongroom or in %s", STRONGROOM_LIBEXECDIR);
}

/* Starts the reader with `in` as stdin; its stdout is *ret_out. */
static int start(const char *program, int in, const char *format, const char *cwd, const char *home,
                 pid_t *ret_pid, int *ret_out)
{
    char arg[3][PATH_MAX];
    char *argv[] = {arg[0], arg[1], NULL, NULL, NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t acts;
    int pipe_fd[2], r;

    (void)snprintf(arg[0], sizeof arg[0], READER);
    (void)snprintf(arg[1], sizeof arg[1], "%s", format);
    char home_arg[PATH_MAX];
    if (strcmp(format, "srt") == 0) {
        (void)snprintf(arg[2], sizeof arg[2], "%s", cwd ? cwd : "");
        (void)snprintf(home_arg, sizeof home_arg, "%s", home ? home : "");
        argv[2] = arg[2];
        argv[3] = home_arg;
    }
    if (pipe2(pipe_fd, O_CLOEXEC) < 0)
        return -errno;
    r = posix_spawn_file_actions_init(&acts);
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&acts, in, 0);
        if (r == 0)
            r = posix_spawn_file_actions_adddup2(&acts, pipe_fd[1], 1);
        if (r == 0)
            r = posix_spawn_file_actions_addopen(&acts, 2, "/dev/null", O_WRONLY, 0);
        if (r == 0)
            r = posix_spawn(ret_pid, program, &acts, NULL, argv, env);
        (void)posix_spawn_file_actions_destroy(&acts);
    }
    close(pipe_fd[1]);
    if (r != 0) {
        close(pipe_fd[0]);
        return -r;
    }
    *ret_out = pipe_fd[0];
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Everything that comes out of fd until its end. -ETIMEDOUT, -EFBIG, -ENOMEM, or what read() says. */
static int take_all(int fd, char **ret, size_t *ret_len)
{
    int64_t end = now_ms() + ANSWER_MS;
    size_t len = 0, room = 0;
    char *buf = NULL;
    int r = 0;

    for (;;) {
        if (len == room) {
            char *bigger = room < RECORDS_ANSWER_MAX ? realloc(buf, room + ANSWER_STEP) : NULL;
            r = room < RECORDS_ANSWER_MAX ? -ENOMEM : -EFBIG;
            if (!bigger)
                break;
            buf = bigger;
            room += ANSWER_STEP;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        r = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            r = r < 0 ? -errno : -ETIMEDOUT;
            break;
        }
        ssize_t n = read(fd, buf + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? -errno : 0;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (r < 0) {
        free(buf);
        return r;
    }
    *ret = buf;
    *ret_len = len;
    return 0;
}

/* The reader has nothing more to say: it is ended whether it likes it or not. */
static void finish(pid_t pid)
{
    (void)kill(pid, SIGKILL); /* gone already is fine */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int policy_reader_ask(const char *where, int fd, const char *format, const char *cwd, const char *home,
                      char **ret_answer, size_t *ret_len, struct err *e)
{
    char program[PATH_MAX];
    char *answer = NULL;
    size_t len = 0;
    pid_t pid = -1;
    int out = -1, r;

    r = find_reader(program, sizeof program, e);
    if (r < 0)
        return r;
    r = start(program, fd, format, cwd, home, &pid, &out);
    if (r < 0)
        return err_set(e, ERR_IO, -r, "start the reader of policy files: %s", program);
    r = take_all(out, &answer, &len);
    close(out);
    finish(pid);
    if (r == -ETIMEDOUT)
        return err_set(e, ERR_POLICY, 0, "%s: could not be read within %d s", where, ANSWER_MS / 1000);
    if (r < 0)
        return err_set(e, ERR_IO, -r, "read the answer of " READER " about %s", where);
    if (len == 0) {
        free(answer);
        err_set(e, ERR_IO, 0, "%s: " READER " ended without an answer", where);
        return err_hint(e, "run it by hand to see why: %s %s <FILE", program, format);
    }
    *ret_answer = answer;
    *ret_len = len;
    return 0;
}
