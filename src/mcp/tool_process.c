/* tool_process: programs of a sandbox that run in the background, on top of `strongroom job`.
 *
 * Lives in: strongroom-mcp. Trusts: strongroom. Must not: let an argument become an option, put a command on a command
 * line. */
#include "mcp/text.h"
#include "mcp/tool_fns.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTED_MAX (1 << 20)

static void job_words(struct command *w, const char *act)
{
    words_add(w, "strongroom");
    words_add(w, "job");
    words_add(w, act);
}

/* The room and the process. */
static void add_ids(struct command *w, const json_t *args)
{
    words_add(w, tool_text(args, "sandbox_id", NULL));
    words_fmt(w, "%lld", (long long)tool_number(args, "process_id", 0));
}

static json_t *id_of(const struct job *j)
{
    return json_object_get(j->args, "process_id");
}

static void start_done(struct job *j)
{
    char text[24] = "";
    long long id = 0;

    if (pread(j->file[JOB_OUT], text, sizeof text - 1, 0) > 0) {
        for (const char *p = text; *p >= '0' && *p <= '9' && id < INT32_MAX; p++)
            id = id * 10 + (*p - '0');
    }
    live_done(j, json_pack("{s:I}", "process_id", (json_int_t)id));
}

void tool_start_process(struct server *s, struct rpc_call *c, const json_t *args)
{
    const char *cwd = tool_text(args, "cwd", NULL), *key;
    struct command w = {0};
    size_t len;
    const char *command = tool_text(args, "command", &len);
    json_t *value;

    if (!live_id_ok(c, args) || !live_cwd_ok(c, args))
        return;
    job_words(&w, "start");
    words_add(&w, "--script");
    if (cwd)
        words_fmt(&w, "--workdir=%s", cwd);
    json_object_foreach(json_object_get(args, "env"), key, value)
    {
        words_fmt(&w, "--env=%s=%s", key, json_string_value(value));
    }
    words_add(&w, tool_text(args, "sandbox_id", NULL));
    job_add(s, c, args, false, &w, command, len, start_done);
}

static void list_done(struct job *j)
{
    json_t *all = job_json(j, JOB_OUT, LISTED_MAX), *list = json_array(), *row;
    size_t i;

    json_array_foreach(all, i, row)
    {
        const json_t *status = json_object_get(row, "exit_status");
        const char *command = json_string_value(json_object_get(row, "command"));
        json_t *one =
            json_pack("{s:O, s:o, s:b, s:I, s:O, s:O}", "process_id", json_object_get(row, "id"), "command",
                      text_json(command ? command : "", command ? strlen(command) : 0, 1000), "running",
                      !json_is_integer(status), "age_seconds",
                      (json_int_t)(json_integer_value(json_object_get(row, "age_ms")) / 1000), "stdout_bytes",
                      json_object_get(row, "stdout"), "stderr_bytes", json_object_get(row, "stderr"));
        if (json_is_integer(status))
            (void)json_object_set_new(one, "exit_code", json_integer(json_integer_value(status)));
        (void)json_array_append_new(list, one);
    }
    json_decref(all);
    live_done(j, json_pack("{s:o}", "processes", list));
}

void tool_list_processes(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};

    if (!live_id_ok(c, args))
        return;
    job_words(&w, "list");
    words_add(&w, "--json");
    words_add(&w, tool_text(args, "sandbox_id", NULL));
    job_add(s, c, args, false, &w, NULL, 0, list_done);
}

static void output_done(struct job *j)
{
    json_t *state = job_json(j, JOB_RESULT, LISTED_MAX);
    const char *encoding = tool_text(j->args, "encoding", NULL);
    const int64_t size = job_size(j, JOB_OUT);

    if (!state) {
        live_done(j, NULL);
        return;
    }
    const bool running = !json_is_true(json_object_get(state, "ended"));
    const int64_t from = json_integer_value(json_object_get(state, "offset"));
    const int64_t all = json_integer_value(json_object_get(state, "size"));
    /* One more than there is, where more may come: half a character at the end is left for the next part. */
    json_t *r = output_part(j->file[JOB_OUT], size + (running || from + size < all), 0, size < 16 ? 16 : size,
                            encoding && strcmp(encoding, "base64") == 0);
    const int64_t next = from + json_integer_value(json_object_get(r, "bytes"));
    (void)json_object_set_new(r, "offset", json_integer(from));
    (void)json_object_set_new(r, "size", json_integer(all));
    (void)json_object_set_new(r, "next_offset", json_integer(next));
    (void)json_object_set_new(r, "at_end", json_boolean(next >= all));
    (void)json_object_set_new(r, "running", json_boolean(running));
    (void)json_object_set(r, "lost_bytes", json_object_get(state, "lost"));
    if (!running)
        (void)json_object_set(r, "exit_code", json_object_get(state, "exit_status"));
    json_decref(state);
    live_done(j, r);
}

void tool_process_output(struct server *s, struct rpc_call *c, const json_t *args)
{
    const char *stream = tool_text(args, "stream", NULL);
    struct command w = {0};

    if (!live_id_ok(c, args))
        return;
    job_words(&w, "output");
    if (stream && strcmp(stream, "stderr") == 0)
        words_add(&w, "--stderr");
    words_fmt(&w, "--offset=%lld", (long long)tool_number(args, "offset", 0));
    words_fmt(&w, "--limit=%lld", (long long)tool_number(args, "limit", OUTPUT_INLINE));
    words_add(&w, "--result-fd=3");
    add_ids(&w, args);
    job_add(s, c, args, false, &w, NULL, 0, output_done);
}

static void input_done(struct job *j)
{
    live_done(j, json_pack("{s:O, s:I, s:b}", "process_id", id_of(j), "bytes",
                           (json_int_t)json_string_length(json_object_get(j->args, "text")), "closed",
                           tool_bool(j->args, "close", false)));
}

void tool_process_input(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};
    size_t len;
    const char *text = tool_text(args, "text", &len);

    if (!live_id_ok(c, args))
        return;
    job_words(&w, "input");
    if (tool_bool(args, "close", false))
        words_add(&w, "--close");
    add_ids(&w, args);
    job_add(s, c, args, false, &w, text, len, input_done);
}

static const struct {
    const char *name;
    int number;
} signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}};

static void kill_done(struct job *j)
{
    const char *name = tool_text(j->args, "signal", NULL);

    live_done(j, json_pack("{s:O, s:s}", "process_id", id_of(j), "signal", name ? name : "KILL"));
}

void tool_process_kill(struct server *s, struct rpc_call *c, const json_t *args)
{
    const char *name = tool_text(args, "signal", NULL);
    struct command w = {0};

    if (!live_id_ok(c, args))
        return;
    job_words(&w, "kill");
    for (size_t i = 0; name && i < sizeof signals / sizeof *signals; i++) {
        if (strcmp(signals[i].name, name) == 0)
            words_fmt(&w, "--signal=%d", signals[i].number);
    }
    add_ids(&w, args);
    job_add(s, c, args, false, &w, NULL, 0, kill_done);
}
