/* verb_run: `strongroom run [options] [--] COMMAND [ARG…]`.
 *
 * Lives in: the command. Trusts: nothing of argv. Translates words into a policy and a result into words; decides
 * nothing itself. */
#include "base/num.h"
#include "cli/options.h"
#include "cli/say.h"
#include "cli/settle.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "sys/fd.h"
#include "sys/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One page for all that is said; got only when something is. Without memory for it a short one: errors fit. */
static struct sbuf fresh_page(void)
{
    static char *text, small[4096];
    if (!text)
        text = mem_reserve(RESULT_JSON_MAX);
    struct sbuf b = {.text = text ? text : small, .size = text ? RESULT_JSON_MAX : sizeof small};
    b.text[0] = '\0';
    return b;
}

static int show_help(void)
{
    struct sbuf b = fresh_page();
    sbuf_text(&b, "Usage: strongroom run [OPTION…] [--] COMMAND [ARG…]\n"
                  "Runs COMMAND in an armoured room that is born for it and dies with it.\n\n");
    options_help(&b);
    return say_stdout(&b);
}

static int show_plan(const struct run_options *o, const struct engine_request *req)
{
    static struct room_plan plan;
    struct err e = {0};
    struct sbuf b = fresh_page();
    (void)o;
    if (engine_plan(req, &plan, &e) < 0)
        return say_error(&e);
    plan_text(&plan, &b);
    return say_stdout(&b);
}

/* The result's destination is opened before the room exists: a room whose record could not be kept must not run. */
static int open_result(const struct run_options *o, int *ret_fd, struct err *e)
{
    *ret_fd = -1;
    if (o->result_fd >= 0 && o->result_path) {
        int n = err_set(e, ERR_USAGE, 0, "--result %s and --result-fd %d: the result has one place",
                        o->result_path, o->result_fd);
        err_hint(e, "leave out one of the two");
        return n;
    }
    if (o->result_fd >= 0) {
        *ret_fd = fcntl(o->result_fd, F_DUPFD_CLOEXEC, 3);
        if (*ret_fd < 0) {
            int n = err_set(e, ERR_USAGE, errno, "write the result to descriptor %d", o->result_fd);
            err_hint(e, "open it in the calling shell, e.g. --result-fd 3 3>result.json");
            return n;
        }
    } else if (o->result_path) {
        *ret_fd = open(o->result_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
        if (*ret_fd < 0)
            return err_set(e, ERR_IO, errno, "open the result file %s", o->result_path);
    }
    return 0;
}

/* Likewise where the program's answers go. */
static int open_reply(const struct run_options *o, int *ret_fd, struct err *e)
{
    if (o->reply_fd < 0)
        return 0;
    if (o->detach || o->policy->tty == TTY_YES)
        return err_set(e, ERR_USAGE, 0, "--reply-fd %d: the program's stdin is no socket with --%s",
                       o->reply_fd, o->detach ? "detach" : "tty");
    *ret_fd = fcntl(o->reply_fd, F_DUPFD_CLOEXEC, 3);
    if (*ret_fd >= 0)
        return 0;
    *ret_fd = 0;
    err_set(e, ERR_USAGE, errno, "write the reply to descriptor %d", o->reply_fd);
    return err_hint(e, "open it in the calling shell, e.g. --reply-fd 3 3>reply");
}

/* Likewise where the events go. */
static int open_events(const struct run_options *o, int *ret_fd, struct err *e)
{
    uint64_t fd;
    *ret_fd = -1;
    if (!o->events)
        return 0;
    if (o->policy->net != NET_GATE && !o->policy->publish_count) {
        int n = err_set(e, ERR_USAGE, 0, "--events %s: this room has no gate that would decide anything",
                        o->events);
        err_hint(e, "open endpoints with --allow, or watch closed ones with --net gate");
        return n;
    }
    if (strncmp(o->events, "fd:", 3) != 0) {
        *ret_fd = open(o->events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
        return *ret_fd < 0 ? err_set(e, ERR_IO, errno, "open the file of events %s", o->events) : 0;
    }
    if (num_u64(o->events + 3, &fd) < 0 || fd < 1 || fd > 1 << 20)
        return err_set(e, ERR_USAGE, 0, "--events %s: not a descriptor", o->events);
    *ret_fd = fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
    if (*ret_fd < 0) {
        int n = err_set(e, ERR_USAGE, errno, "write events to descriptor %d", (int)fd);
        err_hint(e, "open it in the calling shell, e.g. --events fd:3 3>events.json");
        return n;
    }
    return 0;
}

/* Who would be asked, and about what? */
static int check_ask(const struct run_options *o, struct err *e)
{
    if (o->ask && o->detach) {
        int n = err_set(e, ERR_USAGE, 0, "--ask: nobody sits before a room that lives on");
        return err_hint(e, "leave out --detach, or change its rules with strongroom allow"), n;
    }
    if (o->ask && o->policy->net != NET_GATE) {
        int n = err_set(e, ERR_USAGE, 0, "--ask: this room has no gate that would decide anything");
        return err_hint(e, "add --net gate, or an --allow"), n;
    }
    return 0;
}

/* Returns an exit status that replaces the program's when the record could not be kept, else 0. */
static int deliver(const struct run_options *o, const struct result *r, int result_fd,
                   const struct err *failure)
{
    struct sbuf b = fresh_page();
    if (failure->kind != ERR_NONE)
        (void)say_error(failure);
    if (o->trace_steps) {
        result_trace(r, &b);
        say_stderr(&b);
    }
    b = fresh_page();
    if (o->explain && r->has_room)
        result_explain(r, &b);
    else if (!o->quiet)
        result_brief(r, &b);
    result_failures(r, &b);
    say_stderr(&b);
    if (!o->json && result_fd < 0)
        return 0;
    b = fresh_page();
    result_json(r, o->policy, false, &b);
    int n = b.full ? -ENOMEM : 0;
    if (n == 0 && o->json)
        say_stderr(&b);
    if (n == 0 && result_fd >= 0)
        n = fd_write_all(result_fd, b.text, b.len);
    if (n == 0)
        return 0;
    struct err e = {0};
    (void)err_set(&e, ERR_IO, -n, "write the result");
    return say_error(&e);
}

/* One line each, with our prefix. */
static void say_notes(const char *notes)
{
    struct sbuf b = fresh_page();
    while (*notes) {
        const char *end = strchr(notes, '\n');
        size_t len = end ? (size_t)(end - notes) : strlen(notes);
        sbuf_text(&b, "strongroom: note: ");
        sbuf_bytes(&b, notes, len);
        sbuf_char(&b, '\n');
        notes += len + (end != NULL);
    }
    say_stderr(&b);
}

/* Nothing was run yet. Returns only when it cannot be done. */
static void run_again_with_copies(int argc, char **argv, const struct err *why)
{
    static const char option[] = "--copy-workspaces";
    char **words = mem_reserve(((size_t)argc + 3) * sizeof *words), text[2 * ERR_TEXT_MAX];
    struct sbuf b = SBUF(text);
    sigset_t none;
    if (!words)
        return;
    sbuf_fmt(&b, "strongroom: note: %s; working on copies instead (--require workspace refuses that)\n",
             why->text);
    say_stderr(&b);
    words[0] = argv[-1];
    words[1] = argv[0];
    words[2] = (char *)(uintptr_t)option; /* execve does not change it */
    memcpy(words + 3, argv + 1, ((size_t)argc - 1) * sizeof *words);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
    (void)execv("/proc/self/exe", words);
}

/* --- rooms that live on --------------------------------------------------------------------------------- */

static void say_port(void *ctx, const char *text)
{
    struct sbuf b = fresh_page();
    (void)ctx;
    sbuf_fmt(&b, "strongroom: note: %s\n", text);
    say_stderr(&b);
}

/* The room runs: who started it may go on, and nothing of theirs is held from here on. */
static void let_go(void *ctx)
{
    int *told = ctx;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)!write(*told, "", 1); /* they may have gone */
    fd_close(told);
    for (int i = 1; i < 3 && null >= 0; i++)
        (void)dup2(null, i); /* cannot fail: both are open */
    fd_close(&null);
    (void)!chdir("/"); /* else it stays where it is, and only that is in the way */
}

/* In the caller's process: waits until the room runs, or for what it could not. */
static int wait_for_start(int told, pid_t keeper, const char *name)
{
    char byte, text[POLICY_NAME_MAX + 1];
    struct sbuf b = SBUF(text);
    int status;
    ssize_t n;
    do
        n = read(told, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1) {
        sbuf_fmt(&b, "%s\n", name);
        return say_stdout(&b);
    }
    while (waitpid(keeper, &status, 0) < 0) {
        if (errno != EINTR)
            return 125;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125; /* it has said why */
}

/* Parts in two. In the caller: -1 never, else the exit status. In the room's keeper: -1, and *told is open. */
static int part(const struct policy *p, int *told, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        (void)err_set(e, ERR_INTERNAL, errno, "start the room's keeper");
        return say_error(e);
    }
    pid_t pid = fork();
    if (pid < 0) {
        (void)err_set(e, ERR_INTERNAL, errno, "start the room's keeper");
        return say_error(e);
    }
    fd_close(&ends[pid == 0 ? 0 : 1]);
    if (pid > 0) {
        int status = wait_for_start(ends[0], pid, p->name);
        fd_close(&ends[0]);
        return status;
    }
    (void)setsid(); /* cannot fail: we were just born */
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        (void)dup2(null, 0);
    fd_close(&null);
    *told = ends[1];
    return -1;
}

/* Tar streams on stdin or stdout. */
static bool has_streams(const struct policy *p)
{
    for (size_t i = 0; i < p->mount_count; i++) {
        if (p->mounts[i].kind == MOUNT_COPY_IN && strcmp(p->mounts[i].src, "-") == 0)
            return true;
    }
    for (size_t i = 0; i < p->copy_count; i++) {
        if (strcmp(p->copies[i].dst, "-") == 0)
            return true;
    }
    return false;
}

static int check_streams(const struct run_options *o, struct err *e)
{
    if (!o->detach || !has_streams(o->policy))
        return 0;
    (void)err_set(e, ERR_USAGE, 0, "--detach: a tar stream on stdin or stdout needs somebody who stays");
    return err_hint(e, "start the room without it, and use strongroom cp");
}

int verb_run(int argc, char **argv)
{
    struct run_options o;
    struct engine_request req = {.events_fd = -1};
    static struct result result;
    struct err e = {0}, io = {0};
    int result_fd = -1;

    (void)clock_gettime(CLOCK_MONOTONIC, &req.started); /* cannot fail */
    if (options_parse(argc, argv, &o, &e) < 0)
        return say_error(&e);
    if (o.help) {
        options_free(&o);
        return show_help();
    }
    req.policy = o.policy;
    req.argv = o.command;
    req.explains = o.explain;
    req.asks = o.ask && engine_can_ask();
    req.wants_record = o.json || o.explain || o.result_fd >= 0 || o.result_path;
    req.on_port = o.quiet ? NULL : say_port;
    int status, told = -1;
    if (check_ask(&o, &e) < 0 || check_streams(&o, &e) < 0) {
        options_free(&o);
        return say_error(&e);
    }
    if (o.detach && !o.dry_run) {
        req.detached = true;
        req.on_started = let_go;
        req.ctx = &told;
        status = part(o.policy, &told, &e);
        if (status >= 0) {
            options_free(&o);
            return status;
        }
    }
    if (!o.quiet)
        say_notes(o.notes);
    if (o.ask && !req.asks && !o.quiet)
        say_notes("--ask: there is no terminal to ask on: what no rule lists is denied");
    if (o.dry_run) {
        status = show_plan(&o, &req);
    } else if (open_result(&o, &result_fd, &io) < 0 || open_reply(&o, &req.reply_fd, &io) < 0 ||
               open_events(&o, &req.events_fd, &io) < 0) {
        status = say_error(&io);
    } else {
        int n = engine_run(&req, &result, &e);
        if (n < 0 && e.kind == ERR_LIMIT) {
            struct err scope = {0}; /* the first error is the one to tell */
            (void)engine_restart_in_scope(argc + 1, argv - 1, &scope);
        }
        if (n < 0 && result.overlay_refused && !has_streams(o.policy) &&
            o.policy->layers[LAYER_ID_WORKSPACE] != LAYER_REQUIRE)
            run_again_with_copies(argc, argv, &e);
        int unsettled = settle_unasked(o.policy, &result);
        status = result.exit_status ? result.exit_status : unsettled;
        int kept = deliver(&o, &result, result_fd, &e);
        if (kept != 0 && status == 0)
            status = kept;
        settle_tell(o.policy, &result, o.quiet);
    }
    fd_close(&result_fd);
    fd_close(&req.events_fd);
    options_free(&o);
    return status; /* and the reply's descriptor is closed by our end */
}
