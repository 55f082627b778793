/* job: runs strongroom for a call.
 *
 * Theory of operation. Each tool call that needs a room is one `strongroom run` of its own, with the user's options
 * in front and ours behind them. Its stdin, stdout, stderr, result and reply are memory files: nothing is relayed
 * meanwhile, the whole output can be read on later, and strongroom's own limit bounds it. A job waits until there is a
 * place, in the order of asking. The launcher (launch.c), a process that is not confined as we are, starts it and
 * tells its end. To end it, SIGTERM and SIGHUP are sent together: two requests mean "now" to strongroom, which takes
 * its room down in an orderly way; what lives after KILL_MS is killed. A program in a room that lives ends with its
 * client, which is killed at once. The kernel sends the same when the launcher dies.
 *
 * Lives in: strongroom-mcp, confined. Trusts: the launcher, strongroom. Must not: leave a job behind. */
#include "mcp/job.h"
#include "mcp/launch.h"
#include "sys/fd.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_MS     700  /* from asking to killing */
#define PROGRESS_MS 1000 /* between two reports */
#define SHORT_MAX   8    /* jobs at once that are no rooms */

void words_add(struct command *w, const char *word)
{
    char *copy = w->count < JOB_WORDS_MAX && word ? strdup(word) : NULL;

    if (copy)
        w->word[w->count++] = copy;
    else
        w->bad = true;
}

void words_fmt(struct command *w, const char *fmt, ...)
{
    char *made = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&made, fmt, ap) < 0)
        made = NULL;
    va_end(ap);
    words_add(w, made);
    free(made);
}

void words_free(struct command *w)
{
    while (w->count > 0)
        free(w->word[--w->count]);
}

static void job_free(struct job *j)
{
    for (size_t i = 0; j->argv && j->argv[i]; i++)
        free(j->argv[i]);
    for (size_t i = 0; i < JOB_FILES; i++)
        fd_close(&j->file[i]);
    json_decref(j->args);
    free(j->argv);
    free(j->input);
    free(j);
}

static void unlink_job(struct job *j)
{
    struct server *s = j->server;
    struct job **at = &s->jobs, *before = NULL;

    while (*at != j) {
        before = *at;
        at = &before->next;
    }
    *at = j->next;
    if (s->last == j)
        s->last = before;
    if (j->id) {
        s->running -= j->room;
    } else {
        s->waiting--;
        s->waiting_bytes -= j->input_len;
    }
}

/* The words, NULL at the end, in memory of their own; empties w. */
static char **words_take(struct command *w)
{
    char **argv = calloc(w->count + 1, sizeof *argv);

    if (argv) {
        memcpy(argv, w->word, w->count * sizeof *argv);
        w->count = 0;
    }
    return argv;
}

void job_add(struct server *s, struct rpc_call *c, const json_t *args, bool room, struct command *w,
             const char *input, size_t input_len, job_done *done)
{
    if (s->waiting >= QUEUE_MAX || s->waiting_bytes + input_len > QUEUE_BYTES) {
        words_free(w);
        tool_failed(c, "%zu calls are waiting for a room already; wait for their answers, then ask again",
                    s->waiting);
        return;
    }
    struct job *j = calloc(1, sizeof *j);
    char **argv = j && !w->bad ? words_take(w) : NULL;
    char *copy = argv ? malloc(input_len + 1) : NULL;
    words_free(w);
    if (!j || !argv || !copy) {
        for (size_t i = 0; argv && argv[i]; i++)
            free(argv[i]);
        free(argv);
        free(j);
        tool_failed(c, "the command is too long, or there is no memory");
        return;
    }
    if (input_len)
        memcpy(copy, input, input_len);
    *j = (struct job){.server = s,
                      .call = c,
                      .args = json_incref((json_t *)(uintptr_t)args),
                      .done = done,
                      .room = room,
                      .argv = argv,
                      .input = copy,
                      .input_len = input_len,
                      .file = {-1, -1, -1, -1, -1},
                      .asked_ms = loop_now_ms()};
    c->work = j;
    if (s->last)
        s->last->next = j;
    else
        s->jobs = j;
    s->last = j;
    s->waiting++;
    s->waiting_bytes += input_len;
    (void)jobs_look(s);
}

static int open_files(struct job *j)
{
    static const char *const names[JOB_FILES] = {"stdin", "stdout", "stderr", "result", "reply"};

    for (size_t i = 0; i < JOB_FILES; i++) {
        const int fd = memfd_create(names[i], MFD_CLOEXEC);
        if (fd < 0)
            return -errno;
        j->file[i] = fd;
    }
    const int n = fd_write_all(j->file[JOB_IN], j->input, j->input_len);
    return n < 0 ? n : lseek(j->file[JOB_IN], 0, SEEK_SET) < 0 ? -errno : 0;
}

static int order(const struct server *s, enum launch_type type, uint32_t id, const int *fds, size_t n)
{
    const struct launch_frame f = {.type = type, .id = id};
    return fd_frame_send(s->launcher, &f, sizeof f, fds, n, MSG_DONTWAIT);
}

static void ended(struct job *j, int wait_status, int code)
{
    j->wait_status = wait_status;
    unlink_job(j);
    if (j->call) {
        j->call->work = NULL;
        if (code == EPERM)
            tool_failed(j->call, "these arguments make no command line that this server may run");
        else if (code)
            tool_failed(j->call, "strongroom could not be started: %s; try again later", strerror(code));
        else
            j->done(j);
    }
    job_free(j);
}

static void hear(void *ctx, int fd)
{
    struct server *s = ctx;
    struct launch_frame f;

    if (fd_frame_recv(fd, &f, sizeof f, NULL, 0, MSG_DONTWAIT) < 0 || f.type != LAUNCH_ENDED)
        _exit(125); /* without the other process, nothing of ours is of use */
    for (struct job *j = s->jobs; j; j = j->next) {
        if (j->id == f.id) {
            ended(j, f.wait_status, f.code);
            return;
        }
    }
}

int jobs_begin(struct server *s, int launcher)
{
    s->launcher = launcher;
    return loop_watch(&s->loop, launcher, POLLIN, hear, s);
}

static int start(struct job *j)
{
    struct server *s = j->server;
    char *none = NULL;
    const struct words w = {.workdir = "", .paths = &none, .args = j->argv, .vars = &none};
    int n = open_files(j);
    int fds[1 + JOB_FILES] = {-1};

    if (n < 0)
        return n;
    fds[0] = words_write(&w);
    if (fds[0] < 0)
        return fds[0];
    memcpy(fds + 1, j->file, sizeof j->file);
    while (++s->last_id == 0) {
    }
    n = order(s, LAUNCH_START, s->last_id, fds, 1 + JOB_FILES);
    fd_close(&fds[0]);
    if (n < 0)
        return n;
    j->id = s->last_id;
    j->started_ms = j->told_ms = loop_now_ms();
    s->running += j->room;
    s->waiting--;
    s->waiting_bytes -= j->input_len;
    free(j->input);
    j->input = NULL;
    j->input_len = 0;
    fd_close(&j->file[JOB_IN]);
    return 0;
}

static void start_or_fail(struct job *j)
{
    const int n = start(j);

    if (n == 0)
        return;
    unlink_job(j);
    j->call->work = NULL;
    tool_failed(j->call, "strongroom could not be started: %s; try again later", strerror(-n));
    job_free(j);
}

static void ask_to_end(struct job *j)
{
    (void)order(j->server, LAUNCH_ASK, j->id, NULL, 0); /* else it is killed a little later */
    j->killed_ms = loop_now_ms();
}

void job_cancel(struct job *j)
{
    j->call->work = NULL;
    j->call = NULL;
    if (j->id) {
        ask_to_end(j);
        return;
    }
    unlink_job(j);
    job_free(j);
}

int64_t job_size(const struct job *j, enum job_file f)
{
    struct stat st;

    return j->file[f] >= 0 && fstat(j->file[f], &st) == 0 ? (int64_t)st.st_size : 0;
}

static void tell(struct job *j, int64_t now)
{
    char text[128];
    const double seconds = (double)(now - j->asked_ms) / 1000;
    const long long printed = job_size(j, JOB_OUT) + job_size(j, JOB_ERR);

    j->told_ms = now;
    if (!j->call || !j->call->progress)
        return;
    if (j->id)
        (void)snprintf(text, sizeof text, "running for %.0f s, %lld bytes printed",
                       (double)(now - j->started_ms) / 1000, printed);
    else
        (void)snprintf(text, sizeof text, "waiting for a room; %zu run", j->server->running);
    rpc_progress(j->call, seconds, text);
}

static bool may_start(const struct server *s, const struct job *j, size_t shorts)
{
    if (s->closing || s->unsent > UNSENT_HIGH)
        return false;
    return j->room ? s->running < s->rooms_max : shorts < SHORT_MAX;
}

int jobs_look(struct server *s)
{
    const int64_t now = loop_now_ms();
    size_t shorts = 0;
    bool any = false, dying = false;

    for (const struct job *j = s->jobs; j; j = j->next)
        shorts += j->id && !j->room;
    for (struct job *j = s->jobs, *next; j; j = next) {
        next = j->next;
        if (!j->id && may_start(s, j, shorts)) {
            shorts += !j->room;
            start_or_fail(j);
            any = true;
            continue;
        }
        if (j->killed_ms && now - j->killed_ms >= KILL_MS)
            (void)order(s, LAUNCH_KILL, j->id, NULL, 0); /* the next look tries again */
        if (now - (j->told_ms ? j->told_ms : j->asked_ms) >= PROGRESS_MS)
            tell(j, now);
        dying = dying || j->killed_ms;
        any = true;
    }
    return dying ? KILL_MS / 4 : any ? PROGRESS_MS / 4 : -1;
}

void jobs_kill_all(struct server *s)
{
    for (const struct job *j = s->jobs; j; j = j->next) {
        if (j->id)
            (void)order(s, LAUNCH_KILL, j->id, NULL, 0); /* our end does the same */
    }
    while (s->jobs) {
        struct job *j = s->jobs;
        unlink_job(j);
        job_free(j);
    }
}
