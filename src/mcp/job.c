/* job: runs strongroom for a call.
 *
 * Theory of operation. Each tool call that needs a room is one `strongroom run` of its own, with the user's options
 * in front and ours behind them. Its stdin, stdout, stderr and result are memory files: nothing is relayed meanwhile,
 * the whole output can be read on later, and strongroom's own limit bounds it. A job waits until there is a place, in
 * the order of asking. To end it, SIGTERM and SIGHUP are sent together: two requests mean "now" to strongroom, which
 * takes its room down in an orderly way; what lives after KILL_MS is killed. The kernel sends SIGTERM when we die.
 *
 * Lives in: strongroom-mcp. Trusts: strongroom. May: start that one program. Must not: leave one behind. */
#include "mcp/job.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_MS     700  /* from asking to killing */
#define PROGRESS_MS 1000 /* between two reports */
#define SHORT_MAX   8    /* jobs at once that are no rooms */

void words_add(struct words *w, const char *word)
{
    char *copy = w->count < JOB_WORDS_MAX && word ? strdup(word) : NULL;

    if (copy)
        w->word[w->count++] = copy;
    else
        w->bad = true;
}

void words_fmt(struct words *w, const char *fmt, ...)
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

void words_free(struct words *w)
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
    fd_close(&j->pidfd);
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
    if (j->pid) {
        s->running -= j->room;
    } else {
        s->waiting--;
        s->waiting_bytes -= j->input_len;
    }
}

/* The words, NULL at the end, in memory of their own; empties w. */
static char **words_take(struct words *w)
{
    char **argv = calloc(w->count + 1, sizeof *argv);

    if (argv) {
        memcpy(argv, w->word, w->count * sizeof *argv);
        w->count = 0;
    }
    return argv;
}

void job_add(struct server *s, struct rpc_call *c, const json_t *args, bool room, struct words *w,
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
                      .pidfd = -1,
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

/* In vfork's child: never returns, and writes nothing that we read. */
__attribute__((noreturn)) static void become(const struct job *j, pid_t parent)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent)
        _exit(125);
    for (int i = 0; i < JOB_FILES; i++) {
        if (j->file[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(j->file[i], i) < 0)
            _exit(125);
    }
    execv(j->server->program, j->argv);
    _exit(125);
}

/* Memory files above those numbers that the child gives them. */
static int open_files(struct job *j)
{
    static const char *const names[JOB_FILES] = {"stdin", "stdout", "stderr", "result", "reply"};

    for (size_t i = 0; i < JOB_FILES; i++) {
        int fd = memfd_create(names[i], MFD_CLOEXEC);
        if (fd >= 0 && fd < JOB_FILES) {
            const int higher = fcntl(fd, F_DUPFD_CLOEXEC, JOB_FILES);
            fd_close(&fd);
            fd = higher;
        }
        if (fd < 0)
            return -errno;
        j->file[i] = fd;
    }
    const int n = fd_write_all(j->file[JOB_IN], j->input, j->input_len);
    return n < 0 ? n : lseek(j->file[JOB_IN], 0, SEEK_SET) < 0 ? -errno : 0;
}

static void ended(void *ctx, int fd)
{
    struct job *j = ctx;

    loop_forget(&j->server->loop, fd, POLLIN);
    while (waitpid(j->pid, &j->wait_status, 0) < 0 && errno == EINTR)
        ;
    unlink_job(j);
    if (j->call) {
        j->call->work = NULL;
        j->done(j);
    }
    job_free(j);
}

static int start(struct job *j)
{
    struct server *s = j->server;
    const pid_t parent = getpid();
    int n = open_files(j);

    if (n < 0)
        return n;
    /* Our memory is shared until execv, not copied: become() only calls the kernel. */
    const pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid == 0)
        become(j, parent); /* NOLINT(clang-analyzer-unix.Vfork): noreturn; ends in execv or _exit */
    if (pid < 0)
        return -errno;
    j->pidfd = pidfd_open(pid, 0);
    n = j->pidfd < 0 ? -errno : loop_watch(&s->loop, j->pidfd, POLLIN, ended, j);
    if (n < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return n;
    }
    j->pid = pid;
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
    (void)kill(j->pid, SIGTERM); /* not reaped yet, so the number is still its own */
    (void)kill(j->pid, SIGHUP);
    j->killed_ms = loop_now_ms();
}

void job_cancel(struct job *j)
{
    j->call->work = NULL;
    j->call = NULL;
    if (j->pid) {
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
    if (j->pid)
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
        shorts += j->pid && !j->room;
    for (struct job *j = s->jobs, *next; j; j = next) {
        next = j->next;
        if (!j->pid && may_start(s, j, shorts)) {
            shorts += !j->room;
            start_or_fail(j);
            any = true;
            continue;
        }
        if (j->killed_ms && now - j->killed_ms >= KILL_MS)
            (void)kill(j->pid, SIGKILL);
        if (now - (j->told_ms ? j->told_ms : j->asked_ms) >= PROGRESS_MS)
            tell(j, now);
        dying = dying || j->killed_ms;
        any = true;
    }
    return dying ? KILL_MS / 4 : any ? PROGRESS_MS / 4 : -1;
}

void jobs_kill_all(struct server *s)
{
    for (struct job *j = s->jobs; j; j = j->next) {
        if (j->pid)
            (void)kill(j->pid, SIGKILL);
    }
    while (s->jobs) {
        struct job *j = s->jobs;
        if (j->pid)
            (void)waitpid(j->pid, NULL, 0);
        unlink_job(j);
        job_free(j);
    }
}
