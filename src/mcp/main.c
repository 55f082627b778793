/* strongroom-mcp: serves the Model Context Protocol for strongroom.
 *
 * Theory of operation. `strongroom mcp` checks the user's options, writes down what they allow at most, and becomes
 * this program, which needs a JSON library that strongroom does not carry. Each tool call that needs a room has
 * strongroom started again with the same options in front: what a tool's arguments add can only tighten. To serve, it
 * becomes two processes: one that reads what clients and rooms say, confined (confine.c), and its parent, which starts
 * strongroom for it (launch.c).
 *
 * Lives in: a process of the user's, started by the client. Trusts: its own words, which strongroom made.
 * Must not: decide what a room may do. */
#include "mcp/confine.h"
#include "mcp/hook.h"
#include "mcp/install.h"
#include "mcp/job.h"
#include "mcp/launch.h"
#include "mcp/resource.h"
#include "mcp/server.h"
#include "mcp/stdio.h"
#include "mcp/tool_fns.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 50

static void host_call(void *ctx, struct rpc_call *c, const char *name, json_t *arguments)
{
    tools_call(ctx, c, name, arguments);
}

static void host_cancel(void *ctx, struct rpc_call *c)
{
    (void)ctx;
    job_cancel(c->work);
}

static const char instructions[] =
    "strongroom runs code and commands in sandboxes on the user's machine. "
    "Use run_code for anything whose effect you "
    "do not know: with a sandbox_id it keeps variables from call to call, like a "
    "notebook. It cannot reach files, processes or networks outside, "
    "except for what the user allowed. A result says "
    "how the run ended (outcome), and denials say what was refused; "
    "explain_denial tells more. You cannot widen what is "
    "allowed; ask the user.";

/* What strongroom found in the user's options. */
static int read_ceiling(const char *text, struct server *s)
{
    json_t *o = json_loads(text, 0, NULL);
    int prefers_memory = 0, network = 0, writes = 0, may_apply = 0, rooms = 0;
    json_int_t timeout = 0, memory = 0, lifetime = 0, output = 0;

    const int n =
        json_unpack(o, "{s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:i}", "timeout_s", &timeout, "memory_mb",
                    &memory, "lifetime_s", &lifetime, "output", &output, "prefers_memory", &prefers_memory,
                    "network", &network, "writes", &writes, "may_apply", &may_apply, "rooms", &rooms);
    json_decref(o);
    if (n < 0 || rooms < 1 || rooms > ROOMS_MAX)
        return -EINVAL;
    s->ceiling = (struct ceiling){.timeout_s = timeout,
                                  .memory_mb = memory,
                                  .lifetime_s = lifetime,
                                  .output = output,
                                  .prefers_memory = prefers_memory != 0,
                                  .network = network != 0,
                                  .writes = writes != 0,
                                  .may_apply = may_apply != 0};
    s->rooms_max = (size_t)rooms;
    return 0;
}

static int serve(struct server *s, int launcher)
{
    const char *what = NULL;
    int r = server_confine(&what);

    if (r < 0) {
        fprintf(stderr, "strongroom: mcp: give up %s before the client is heard: %s\n", what, strerror(-r));
        return r;
    }
    if ((r = jobs_begin(s, launcher)) < 0)
        return r;
    s->host = (struct rpc_host){.ctx = s,
                                .instructions = instructions,
                                .page = PAGE,
                                .tools = tools_definitions(s),
                                .templates = resource_templates(),
                                .resources = resource_list,
                                .call_tool = host_call,
                                .read_resource = resource_read,
                                .cancel = host_cancel};
    const int n = s->host.tools && s->host.templates ? stdio_serve(s) : -ENOMEM;
    outputs_free(&s->outputs);
    json_decref(s->host.tools);
    json_decref(s->host.templates);
    return n;
}

/* The client's words are for the other process alone. */
static void let_go_of_the_client(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
    }
    fd_close(&null);
}

/* One process serves the client, and one starts strongroom for it; the second is the one that the client knows. */
static int serve_apart(struct server *s)
{
    const struct launch_rules rules = {.program = s->program,
                                       .user = s->words,
                                       .timeout_s = s->ceiling.timeout_s,
                                       .memory_mb = s->ceiling.memory_mb,
                                       .lifetime_s = s->ceiling.lifetime_s,
                                       .prefers_memory = s->ceiling.prefers_memory,
                                       .may_apply = s->ceiling.may_apply};
    int pair[2], status;
    int n = fd_frame_pair(pair);

    if (n < 0)
        return n;
    const pid_t pid = fork();
    if (pid == 0) {
        fd_close(&pair[0]);
        n = serve(s, pair[1]);
        if (n < 0)
            fprintf(stderr, "strongroom: mcp: serve the client: %s\n", strerror(-n));
        _exit(n < 0 ? 125 : 0);
    }
    if (pid < 0)
        return -errno;
    fd_close(&pair[1]);
    let_go_of_the_client();
    n = launch_serve(&rules, pair[0]);
    fd_close(&pair[0]);
    if (n < 0)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        fprintf(stderr, "strongroom: mcp: what served the client was ended by signal %d\n", WTERMSIG(status));
    return n < 0 ? n : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

int main(int argc, char **argv)
{
    static struct server s;

    (void)signal(SIGPIPE, SIG_IGN);
    if (fd_fill_stdio() < 0)
        return 125;
    if (argc >= 5 && strcmp(argv[1], "install") == 0)
        return install_run(argv[2], argv + 3);
    if (argc >= 5 && strcmp(argv[1], "hook") == 0)
        return hook_run(argv[2], argv + 3);
    if (argc < 4 || strcmp(argv[1], "serve") != 0 || read_ceiling(argv[3], &s) < 0) {
        fputs("usage: strongroom mcp [OPTION of run...]\nstrongroom starts this program by itself.\n",
              stderr);
        return 125;
    }
    s.program = argv[2];
    s.words = argv + 4;
    const int n = serve_apart(&s);
    if (n < 0 && n != -ECHILD)
        fprintf(stderr, "strongroom: mcp: serve the client: %s\n", strerror(-n));
    return n < 0 ? 125 : 0;
}
