/* strongroom-mcp: serves the Model Context Protocol for strongroom.
 *
 * Theory of operation. `strongroom mcp` checks the user's options, writes down what they allow at most, and becomes
 * this program, which needs a JSON library that strongroom does not carry. Each tool call that needs a room starts
 * strongroom again with the same options in front: what a tool's arguments add can only tighten. This program itself
 * opens no file for a client and reaches no network.
 *
 * Lives in: a process of the user's, started by the client. Trusts: its own words, which strongroom made.
 * May: start strongroom. Must not: decide what a room may do. */
#include "mcp/hook.h"
#include "mcp/install.h"
#include "mcp/job.h"
#include "mcp/resource.h"
#include "mcp/server.h"
#include "mcp/stdio.h"
#include "mcp/tool_fns.h"
#include "sys/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

static int serve(struct server *s)
{
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
    const int n = serve(&s);
    if (n < 0)
        fprintf(stderr, "strongroom: mcp: serve the client: %s\n", strerror(-n));
    return n < 0 ? 125 : 0;
}
