/* execs: the programs that somebody outside started in a room.
 *
 * Theory of operation. A request brings the program's words and its three descriptors, which are ends of pipes that the
 * client made for it; they go to a reaper (reapers.c) with the room's environment merged in, and that says how it
 * went. The client then asks to be told the end. A program belongs to the connection that started it: when that
 * closes early, all that descends from the program is ended, unless it was started to live on its own.
 *
 * Lives in: the supervisor. Trusts: its user, who alone reaches the socket; no byte of a frame or of the words.
 * Must not: wait, read or write the program's descriptors. */
#include "base/num.h"
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/mem.h"
#include "sys/words.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN_MS 500 /* between two tries to end a program */

static struct keeper_exec *find(struct room *r, uint32_t handle)
{
    for (size_t i = 0; i < EXEC_MAX && handle; i++) {
        struct keeper_exec *x = &r->keeper.execs[i];
        if (x->state != KEEPER_FREE && x->handle == handle)
            return x;
    }
    return NULL;
}

/* Nobody will ask any more, and nothing is left that could report. */
static void forget_if_over(struct keeper_exec *x)
{
    if (x->gone && (x->told || x->left || x->detached))
        *x = (struct keeper_exec){.state = KEEPER_FREE};
}

static int send_signal(struct room *r, const struct keeper_exec *x, int sig, int group)
{
    const struct command c = {
        .type = COMMAND_EXEC_SIGNAL, .handle = x->reaper, .pid = x->pid, .signal = sig, .group = group};
    if (group == 2)
        reapers_forget(r, x->reaper); /* it will be ended with the rest */
    return fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT);
}

/* --- starting ------------------------------------------------------------------------------------------- */

enum { VARS_MAX = 8192 }; /* each is compared with all before it */

/* The room's own environment, each variable replaced by what the caller says of it. */
static int merge_vars(const struct room *r, char *const *said, bool terminal, char **ret)
{
    static char term[] = "TERM=xterm-256color"; /* as a room's own program has it on a terminal */
    size_t n = 0;

    for (size_t i = 0; r->plan.envp[i]; i++) {
        if (n == VARS_MAX)
            return -E2BIG;
        ret[n++] = r->plan.envp[i];
    }
    for (size_t i = 0; said[i]; i++) {
        if (i == VARS_MAX)
            return -E2BIG;
        const size_t len = strcspn(said[i], "=");
        size_t at = 0;
        if (len == 0 || said[i][len] != '=')
            return -EINVAL;
        while (at < n && !(strncmp(ret[at], said[i], len) == 0 && ret[at][len] == '='))
            at++;
        if (at == VARS_MAX)
            return -E2BIG;
        ret[at] = said[i];
        n += at == n;
    }
    for (size_t i = 0; terminal && i < n; i++)
        terminal = strncmp(ret[i], term, strlen("TERM=")) != 0;
    if (terminal && n == VARS_MAX)
        return -E2BIG;
    if (terminal)
        ret[n++] = term;
    ret[n] = NULL;
    return 0;
}

/* The words of a program as pid 1 gets them: a memory file, or -errno. */
static int make_words(const struct room *r, const struct words *in, bool terminal)
{
    enum { PATHS_SIZE = 64 * 1024, VARS_SIZE = (VARS_MAX + 1) * sizeof(char *) };
    static char *paths_text, **vars; /* made once, used for each */
    char *paths[PLAN_EXEC_MAX];
    struct words out = {.paths = paths};

    if (!paths_text)
        paths_text = mem_reserve(PATHS_SIZE);
    if (!vars)
        vars = mem_reserve(VARS_SIZE);
    if (!paths_text || !vars)
        return -ENOMEM;
    if (!in->args[0] || (in->workdir[0] && in->workdir[0] != '/'))
        return -EINVAL;
    int n = merge_vars(r, in->vars, terminal, vars);
    if (n == 0)
        n = plan_candidates(in->args[0], vars, paths_text, PATHS_SIZE, paths);
    if (n < 0)
        return n;
    out.workdir = in->workdir;
    out.args = in->args;
    out.vars = vars;
    return words_write(&out);
}

/* What a client sent. */
static int take_words(const struct room *r, int sent, bool terminal)
{
    struct words in;
    int n = words_read(sent, &in);
    if (n == 0)
        n = make_words(r, &in, terminal);
    words_release(&in);
    return n;
}

/* "", "detached", "terminal ROWS COLS", each but the second perhaps with "wait" behind it. false: none of these. */
static bool read_form(const struct rooms_frame *f, int n, struct command *c, struct keeper_exec *row)
{
    char text[ROOMS_TEXT_MAX + 1], *w[5];
    uint64_t rows, cols;

    rooms_frame_text(f, text);
    int count = keeper_words(text, w, 4);
    row->detached = count == 1 && strcmp(w[0], "detached") == 0;
    row->waited = count > 0 && strcmp(w[count - 1], "wait") == 0;
    count -= row->waited;
    if (count == 0 || row->detached)
        return n == 4;
    if (count != 3 || strcmp(w[0], "terminal") != 0 || num_u64(w[1], &rows) < 0 || num_u64(w[2], &cols) < 0 ||
        rows > UINT16_MAX || cols > UINT16_MAX)
        return false;
    c->terminal = 1;
    c->rows = (uint16_t)rows;
    c->cols = (uint16_t)cols;
    return n == 1;
}

static struct keeper_exec *free_row(struct room *r)
{
    for (size_t i = 0; i < EXEC_MAX; i++) {
        if (r->keeper.execs[i].state == KEEPER_FREE)
            return &r->keeper.execs[i];
    }
    return NULL;
}

/* Why nothing can be started now; NULL: it can. */
static const char *why_not(const struct room *r, const struct keeper_exec *x)
{
    if (r->keeper.paused)
        return "the room is paused";
    if (!r->started || r->exited || r->killed)
        return "the room does not run";
    return x ? NULL : "too many programs run in it at once";
}

/* So that the program may open its own /dev/stdin again; only what cannot be anybody's file. */
static void give(const struct room *r, int fd)
{
    struct stat st;
    if (r->plan.privileged && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
        (void)fchown(fd, r->plan.uid_outside, r->plan.gid_outside); /* then it cannot, and only that */
}

/* The command and its descriptors go to pid 1; *x is the row. */
static int begin(struct room *r, struct keeper_exec *x, const struct command *c, int words, const int *stdio,
                 int n, struct keeper_exec row)
{
    int all[4] = {words, -1, -1, -1};
    for (int i = 0; i < n; i++) {
        all[i + 1] = stdio[i];
        give(r, stdio[i]);
    }
    const int sent = reapers_order(r, c, all, (size_t)n + 1, &row.reaper);
    if (sent < 0)
        return sent;
    row.state = KEEPER_STARTING;
    row.handle = c->handle;
    row.why = OUTCOME_LOST;
    *x = row;
    return 0;
}

void execs_start(struct room *r, uint32_t client, const struct rooms_frame *f, int *fds, int n)
{
    struct keeper_exec *x = free_row(r);
    struct command c = {.type = COMMAND_EXEC};
    const char *why = why_not(r, x);
    struct keeper_exec row = {.client = client,
                              .waiter = client,
                              .deadline_ms = f->value ? engine_now_ms() + (uint64_t)f->value : 0};

    if (!read_form(f, n, &c, &row)) {
        keeper_refuse(r, client, 125, "the request makes no sense", NULL);
        return;
    }
    if (why) {
        keeper_refuse(r, client, 125, why, r->keeper.paused ? "strongroom resume ROOM" : NULL);
        return;
    }
    reapers_prepare(r);
    c.handle = keeper_next_handle(&r->keeper);
    FD_AUTO words = take_words(r, fds[0], c.terminal);
    if (words < 0) {
        keeper_refuse(r, client, 125,
                      words == -E2BIG ? "too many or too long words" : "its words make no sense",
                      words == -E2BIG ? WORDS_HINT : NULL);
        return;
    }
    if (begin(r, x, &c, words, fds + 1, n - 1, row) < 0)
        keeper_refuse(r, client, 125, "the room does not answer", NULL);
}

/* One whose descriptors are ours. */
static uint32_t start_own(struct room *r, const struct words *in, const int stdio[3], struct keeper_exec row,
                          const char **ret_why)
{
    struct keeper_exec *x = free_row(r);
    struct command c = {.type = COMMAND_EXEC};

    *ret_why = why_not(r, x);
    if (*ret_why)
        return 0;
    c.handle = keeper_next_handle(&r->keeper);
    FD_AUTO words = make_words(r, in, false);
    if (words >= 0 && begin(r, x, &c, words, stdio, 3, row) == 0)
        return c.handle;
    *ret_why = words == -E2BIG    ? "too many or too long words"
               : words == -EINVAL ? "its words make no sense"
               : words < 0        ? "there is no memory for its words"
                                  : "the room does not answer";
    return 0;
}

uint32_t execs_start_interpreter(struct room *r, const struct words *in, const int stdio[3],
                                 const char **ret_why)
{
    return start_own(r, in, stdio, (struct keeper_exec){.detached = true, .interpreter = true}, ret_why);
}

uint32_t execs_start_job(struct room *r, uint32_t client, const struct words *w, const int stdio[3],
                         const char **ret_why)
{
    return start_own(r, w, stdio, (struct keeper_exec){.client = client, .detached = true, .job = true},
                     ret_why);
}

void execs_end(struct room *r, uint32_t handle, unsigned grace_ms)
{
    struct keeper_exec *x = find(r, handle);
    if (x && !x->gone)
        x->deadline_ms = engine_now_ms() + grace_ms;
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void tell_end(struct room *r, struct keeper_exec *x)
{
    char text[128];
    struct sbuf b = SBUF(text);
    sbuf_fmt(&b, "%s %llu %llu %llu", outcome_name(x->why), (unsigned long long)x->utime_us,
             (unsigned long long)x->stime_us, (unsigned long long)x->maxrss_kib);
    rooms_reply(&r->live.server, x->waiter, ROOMS_ENDED, x->status, text);
    x->told = true;
}

void execs_wait(struct room *r, uint32_t client, uint32_t handle)
{
    struct keeper_exec *x = find(r, handle);
    if (!x || x->interpreter || x->client != client || x->waited) {
        keeper_refuse(r, client, 0, "no such program of yours", NULL);
        return;
    }
    x->waited = true;
    x->waiter = client;
    if (x->state == KEEPER_ENDED) {
        tell_end(r, x);
        forget_if_over(x);
    }
}

static void end(struct room *r, struct keeper_exec *x)
{
    x->state = KEEPER_ENDED; /* its time goes on: it bounds what the program left behind, too */
    if (x->interpreter)
        interpreters_exited(r, x->handle, x->status);
    if (x->job)
        jobs_ended(r, x->handle, x->status);
    if (x->waited)
        tell_end(r, x);
}

static void fail(struct room *r, struct keeper_exec *x, int status, const char *why, const char *hint)
{
    x->state = KEEPER_ENDED;
    x->told = true;
    if (x->interpreter)
        interpreters_failed(r, x->handle, status, why);
    else
        keeper_refuse(r, x->client, status, why, hint);
    if (x->job)
        jobs_failed(r, x->handle);
}

static void say_failed(struct room *r, struct keeper_exec *x, const struct report *got)
{
    char why[96];
    struct sbuf b = SBUF(why);
    const int code = got->code;
    const int status = got->item != -1 ? 125 : code == ENOENT ? 127 : 126;

    if (got->item >= 0 && got->item < LAYER_ID_COUNT)
        sbuf_fmt(&b, "the layer %s did not hold when tried from inside", layer_rows[got->item].name);
    else if (got->item == -2 /* SEAT_WORKDIR */)
        sbuf_fmt(&b, "enter its working directory: %s", strerror(code));
    else
        sbuf_text(&b, code == ENOENT ? "not found in the room" : strerror(code));
    fail(r, x, status, why, code == E2BIG ? WORDS_HINT : NULL);
}

static void started(struct room *r, struct keeper_exec *x, int pid, const int *fds, int n)
{
    x->state = KEEPER_RUNS;
    x->pid = pid;
    if (x->interpreter) {
        interpreters_started(r, x->handle);
        return;
    }
    if (x->waited)
        rooms_reply_first(&r->live.server, x->client, ROOMS_STARTED, (int)x->handle, "", fds, n > 0 ? 1 : 0);
    else
        rooms_reply_fds(&r->live.server, x->client, ROOMS_STARTED, (int)x->handle, "", fds, n > 0 ? 1 : 0);
}

/* Nothing that descends from it is left. */
static void left(struct room *r, struct keeper_exec *x)
{
    x->gone = true;
    x->deadline_ms = 0;
    reapers_free(r, x->handle);
}

/* Its reaper ended, and it with it; `code`: there was none. */
static void lost(struct room *r, struct keeper_exec *x, int code)
{
    x->gone = true;
    x->deadline_ms = 0;
    if (x->state == KEEPER_STARTING && x->why == OUTCOME_TIMEOUT)
        started(r, x, 0, NULL, 0);   /* it may have run: how it ended is what is told */
    if (x->state == KEEPER_STARTING) /* the program killed it, or the room's memory was used up */
        fail(r, x, 125, code ? strerror(code) : "what was to watch over it ended first", NULL);
    if (x->state != KEEPER_ENDED) { /* it was killed from inside */
        x->status = SIGKILL;
        end(r, x);
    }
    forget_if_over(x);
}

static void exited(struct room *r, struct keeper_exec *x, const struct report *got)
{
    x->status = got->status;
    x->utime_us = got->utime_us;
    x->stime_us = got->stime_us;
    x->maxrss_kib = got->maxrss_kib;
    if (x->why != OUTCOME_TIMEOUT)
        x->why = WIFEXITED(got->status) ? OUTCOME_EXITED : OUTCOME_SIGNALLED;
    end(r, x);
    if (got->code)
        left(r, x);
}

static void reaper_gone(struct room *r, const struct report *got)
{
    reapers_forget(r, got->handle);
    for (size_t i = 0; i < EXEC_MAX; i++) {
        struct keeper_exec *x = &r->keeper.execs[i];
        if (x->state != KEEPER_FREE && !x->gone && x->reaper == got->handle)
            lost(r, x, got->code);
    }
}

void execs_report(struct room *r, const struct report *got, const int *fds, int n)
{
    if (got->type == REPORT_EXEC_GONE) {
        reaper_gone(r, got);
        return;
    }
    struct keeper_exec *x = find(r, got->handle);
    if (!x || x->gone)
        return;
    if (got->type == REPORT_EXEC_STARTED && x->state == KEEPER_STARTING) {
        started(r, x, got->payload_pid, fds, n);
    } else if (got->type == REPORT_EXEC_FAILED && x->state == KEEPER_STARTING) {
        say_failed(r, x, got);
        left(r, x);
    } else if (got->type == REPORT_EXEC_EXITED && x->state != KEEPER_ENDED) {
        exited(r, x, got);
    } else if (got->type == REPORT_EXEC_LEFT) {
        left(r, x);
    }
    forget_if_over(x);
}

void execs_farewell(struct room *r, uint32_t client)
{
    for (size_t i = 0; i < EXEC_MAX; i++) {
        struct keeper_exec *x = &r->keeper.execs[i];
        if (x->state == KEEPER_FREE || x->interpreter || x->client != client)
            continue;
        x->left = true;
        if (x->state != KEEPER_ENDED && !x->detached)
            x->deadline_ms = engine_now_ms();
        forget_if_over(x);
    }
}

/* --- signals and time ----------------------------------------------------------------------------------- */

void execs_signal(struct room *r, uint32_t client, const struct rooms_frame *f)
{
    static const char *const groups[] = {"program", "group", "tree"};
    char text[ROOMS_TEXT_MAX + 1], *w[3];
    uint64_t handle = 0;
    int group = -1;

    rooms_frame_text(f, text);
    if (keeper_words(text, w, 2) == 2 && num_u64(w[1], &handle) == 0) {
        for (int i = 0; i < 3; i++)
            group = strcmp(w[0], groups[i]) == 0 ? i : group;
    }
    if (group < 0 || handle > UINT32_MAX || f->value < 1 || f->value > 64) {
        keeper_refuse(r, client, 0, "the request makes no sense", NULL);
        return;
    }
    const struct keeper_exec *x = find(r, (uint32_t)handle);
    if (!x || x->gone)
        keeper_refuse(r, client, 0, "no such program runs in the room", NULL);
    else if (send_signal(r, x, f->value, group) < 0)
        keeper_refuse(r, client, 0, "the room does not answer", NULL);
    else
        rooms_reply(&r->live.server, client, ROOMS_DONE, 0, "");
}

uint64_t execs_next_ms(const struct room *r)
{
    uint64_t next = reapers_next_ms(r);
    for (size_t i = 0; i < EXEC_MAX; i++) {
        const uint64_t at = r->keeper.execs[i].deadline_ms;
        if (at && (!next || at < next))
            next = at;
    }
    return next;
}

void execs_tick(struct room *r, uint64_t now_ms)
{
    reapers_tick(r, now_ms);
    for (size_t i = 0; i < EXEC_MAX; i++) {
        struct keeper_exec *x = &r->keeper.execs[i];
        if (!x->deadline_ms || now_ms < x->deadline_ms)
            continue;
        if (x->state != KEEPER_ENDED)
            x->why = OUTCOME_TIMEOUT;
        /* Again until nothing is left: the socket may be full, and what descends from it may outrun one try. */
        (void)send_signal(r, x, SIGKILL, 2);
        x->deadline_ms = now_ms + AGAIN_MS;
    }
}
