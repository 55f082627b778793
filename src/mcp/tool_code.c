/* tool_code: code in a room of its own, and what came of it.
 *
 * The code goes to the interpreter's stdin, so that it never stands on a command line that others on the host can read,
 * and needs no file. A short driver of ours reads it, names it main.py and so on in tracebacks, and runs it as the
 * program's main module, with the working directory in front of the search path as usual.
 *
 * Lives in: strongroom-mcp. Trusts: the checked arguments' form, strongroom's result. Must not: widen anything. */
#include "base/err.h"
#include "mcp/tool_fns.h"
#include "runtimes/runtimes.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESULT_MAX  (2 << 20)
#define MESSAGE_MAX 4000
#define TIMED_OUT   124 /* exit status of strongroom exec */
#define TOO_MUCH    153

void room_words(struct command *w, const struct server *s, const char *verb, const json_t *args)
{
    words_add(w, "strongroom");
    words_add(w, verb);
    for (char **word = s->words; *word; word++)
        words_add(w, *word);
    /* A file that the agent names is none that the caller of strongroom named. */
    words_add(w, "--args");
    words_add(w, "none");
    words_add(w, "--quiet");
    if (json_object_get(args, "timeout_seconds"))
        words_fmt(w, "--timeout=%llds", (long long)tool_number(args, "timeout_seconds", 1));
    if (json_object_get(args, "memory_mb"))
        words_fmt(w, "--memory=%lldM", (long long)tool_number(args, "memory_mb", 1));
    /* Asking for less must not ask for a stronger hold than the user did. */
    if (json_object_get(args, "memory_mb") && s->ceiling.prefers_memory)
        words_add(w, "--prefer=memory");
    if (tool_bool(args, "explain", false))
        words_add(w, "--explain");
}

/* --- what came of it ------------------------------------------------------------------------------------ */

json_t *job_json(const struct job *j, enum job_file f, int64_t max)
{
    const int64_t size = job_size(j, f);
    json_t *value = NULL;
    char *text = size > 0 && size <= max ? malloc((size_t)size) : NULL;

    if (text && pread(j->file[f], text, (size_t)size, 0) == (ssize_t)size)
        value = json_loadb(text, (size_t)size, 0, NULL);
    free(text);
    return value;
}

/* strongroom's own words, which stand behind what the program printed there. */
static char *own_words(const struct job *j, int64_t from)
{
    int64_t size = job_size(j, JOB_ERR) - from;

    size = size < 0 ? 0 : size > MESSAGE_MAX ? MESSAGE_MAX : size;
    char *text = calloc(1, (size_t)size + 1);
    if (text && pread(j->file[JOB_ERR], text, (size_t)size, from) < 0)
        text[0] = '\0';
    return text;
}

static void failed_to_run(struct job *j)
{
    char *said = own_words(j, 0);

    tool_failed(j->call, "no room: %s",
                said && said[0]
                    ? said
                    : "strongroom ended without a word; the person who started this server can run "
                      "`strongroom doctor`");
    free(said);
}

static json_t *denials_of(const json_t *result)
{
    json_t *list = json_array(), *row;
    size_t i;

    json_array_foreach(json_object_get(result, "denials"), i, row)
    {
        static const char *const names[] = {"layer", "what", "object", "count", "why", "allow"};
        json_t *one = json_object();
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            json_t *v = json_object_get(row, names[k]);
            if (v && !json_is_null(v))
                (void)json_object_set(one, names[k], v);
        }
        (void)json_array_append_new(list, one);
    }
    return list;
}

static const char *advice(const char *outcome)
{
    static const struct {
        const char *outcome, *text;
    } rows[] = {
        {"timeout", "the time limit was reached: do less in one call, or ask for more with timeout_seconds"},
        {"cpu-time", "the limit of processor time was reached: do less in one call"},
        {"memory", "the memory limit was reached: work on smaller pieces, or ask for more with memory_mb"},
        {"output", "the limit of output was reached and the run was ended: print less, or write to a file"},
        {"lost", "the room ended without a report; try again"},
        {"not-run", "the program could not be started in the room"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].outcome, outcome) == 0)
            return rows[i].text;
    }
    return NULL;
}

static void add_message(json_t *r, const struct run_end *end, bool cut, const char *id, const char *words)
{
    const char *outcome = end->outcome, *text = advice(outcome);
    json_t *m = NULL;

    if (strcmp(outcome, "not-run") == 0 && words && words[0])
        text = words;
    if (!text && end->lives && end->exit_code == 128 + SIGKILL)
        text = "it was killed (signal 9). If nobody did that, the memory of the sandbox was used up: work on "
               "smaller pieces, or make a sandbox with more memory_mb";
    if (text && cut)
        m = json_sprintf(
            "%s. The middle of the output is left out here: sandbox_read_file with sandbox_id %s reads it",
            text, id);
    else if (cut)
        m = json_sprintf(
            "the middle of the output is left out here: sandbox_read_file with sandbox_id %s reads it", id);
    else if (text)
        m = json_string(text);
    if (m)
        (void)json_object_set_new(r, "message", m);
}

static int64_t number_in(const json_t *o, const char *a, const char *b)
{
    return json_integer_value(json_object_get(json_object_get(o, a), b));
}

/* A program that was ended has no time of its own exit. */
static int64_t run_us(const json_t *result)
{
    const int64_t us = number_in(result, "time", "run_us");

    return us > 0 ? us : number_in(result, "time", "total_us") - number_in(result, "time", "build_us");
}

/* Hands the output over to those that are kept. */
static void keep(struct job *j, const char *id, const int64_t size[OUTPUT_STREAMS], json_t *denials)
{
    struct output_run run = {.fd = {j->file[JOB_OUT], j->file[JOB_ERR]}, .denials = json_incref(denials)};

    memcpy(run.id, id, sizeof run.id);
    memcpy(run.size, size, sizeof run.size);
    outputs_keep(&j->server->outputs, &run);
    j->file[JOB_OUT] = j->file[JOB_ERR] = -1;
}

json_t *run_report(struct job *j, const struct run_end *end, json_t *denials, const char *words)
{
    const int64_t max = tool_number(j->args, "max_output_bytes", OUTPUT_INLINE);
    char id[RUN_ID_MAX];

    if (outputs_new_id(id) < 0) {
        json_decref(denials);
        return NULL;
    }
    struct excerpt out = output_excerpt(j->file[JOB_OUT], end->size[OUTPUT_STDOUT], max);
    struct excerpt err = output_excerpt(j->file[JOB_ERR], end->size[OUTPUT_STDERR], max);
    json_t *r =
        json_pack("{s:o, s:o, s:I, s:s, s:b, s:b, s:I, s:I, s:I, s:s, s:O}", "stdout", out.text, "stderr",
                  err.text, "exit_code", (json_int_t)end->exit_code, "outcome", end->outcome, "timed_out",
                  strcmp(end->outcome, "timeout") == 0, "truncated", out.cut || err.cut, "stdout_bytes",
                  (json_int_t)end->size[OUTPUT_STDOUT], "stderr_bytes", (json_int_t)end->size[OUTPUT_STDERR],
                  "duration_ms", (json_int_t)end->ms, "run_id", id, "denials", denials);
    add_message(r, end, out.cut || err.cut, id, words);
    keep(j, id, end->size, denials);
    json_decref(denials);
    return r;
}

json_t *exec_report(struct job *j)
{
    const int code = WIFEXITED(j->wait_status) ? WEXITSTATUS(j->wait_status) : 128 + WTERMSIG(j->wait_status);
    const int64_t ms = loop_now_ms() - j->started_ms, limit = tool_number(j->args, "timeout_seconds", 0);
    const int64_t most = j->server->ceiling.output, printed = job_size(j, JOB_OUT) + job_size(j, JOB_ERR);
    const struct run_end end = {
        .outcome = code == TIMED_OUT && limit > 0 && ms >= limit * 1000 ? "timeout"
                   : code == TOO_MUCH && most > 0 && printed >= most    ? "output"
                                                                        : "exited",
        .exit_code = code,
        .lives = true,
        .ms = ms,
        .size = {job_size(j, JOB_OUT), job_size(j, JOB_ERR)},
    };
    return run_report(j, &end, json_array(), NULL);
}

json_t *room_report(struct job *j)
{
    json_t *result = job_json(j, JOB_RESULT, RESULT_MAX);
    const char *outcome = json_string_value(json_object_get(result, "outcome"));

    if (!outcome || strcmp(outcome, "no-room") == 0) {
        failed_to_run(j);
        json_decref(result);
        return NULL;
    }
    const struct run_end end = {
        .outcome = outcome,
        .exit_code = json_integer_value(json_object_get(result, "exit_status")),
        .ms = run_us(result) / 1000,
        .size = {number_in(result, "bytes", "stdout"), number_in(result, "bytes", "stderr")},
    };
    char *words = own_words(j, end.size[OUTPUT_STDERR]);
    json_t *r = run_report(j, &end, denials_of(result), words);
    changes_note(j->server, result, r);
    json_decref(result);
    free(words);
    return r;
}

/* What the program said of its values, beside what it printed. */
static void add_reply(const struct job *j, json_t *r, json_t **ret_content)
{
    const int64_t size = job_size(j, JOB_REPLY);
    char *p = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, j->file[JOB_REPLY], 0) : MAP_FAILED;
    json_t *said = p != MAP_FAILED ? values_of_reply(p, (size_t)size) : NULL;
    char words[VALUES_WORDS];
    struct values v;

    values_begin(&v, j->args);
    values_add(&v, said);
    json_decref(said);
    if (p != MAP_FAILED)
        (void)munmap(p, (size_t)size); /* cannot fail: it is what mmap gave */
    values_words(v.left_out, words);
    const char *message = json_string_value(json_object_get(r, "message"));
    if (words[0])
        (void)json_object_set_new(r, "message", json_sprintf("%s%s", words, message ? message : ""));
    (void)json_object_set_new(r, "values", v.values);
    *ret_content = v.content;
}

static void code_done(struct job *j)
{
    json_t *r = room_report(j), *content = NULL;

    if (!r)
        return;
    add_reply(j, r, &content);
    tool_done_with(j->call, r, content);
}

void tool_run_code(struct server *s, struct rpc_call *c, const json_t *args)
{
    const char *name = tool_text(args, "language", NULL), *room = tool_text(args, "sandbox_id", NULL);
    const struct language *l = language_find(name ? name : "python");
    struct command w = {0};
    size_t len;
    const char *code = tool_text(args, "code", &len);

    CHECK(l); /* the table of tools has the same words */
    if (room) {
        cell_start(s, c, args, l->name, code, len);
        return;
    }
    room_words(&w, s, "run", args);
    words_add(&w, "--result-fd=3");
    if (l->runtime != RUNTIME_BASH)
        words_add(&w, "--reply-fd=4");
    words_add(&w, "--");
    for (const char *const *word = runtimes_once[l - languages]; *word; word++)
        words_add(&w, *word);
    job_add(s, c, args, true, &w, code, len, code_done);
}

/* --- explain_denial ------------------------------------------------------------------------------------- */

static void why_done(struct job *j)
{
    char text[MESSAGE_MAX];
    const bool answered = WIFEXITED(j->wait_status) && WEXITSTATUS(j->wait_status) <= 1;
    const ssize_t n = pread(j->file[answered ? JOB_OUT : JOB_ERR], text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    if (answered)
        tool_done(j->call,
                  json_pack("{s:s, s:b}", "explanation", text, "allowed", WEXITSTATUS(j->wait_status) == 0));
    else
        tool_failed(j->call, "explain_denial: %s", text);
}

static void explain_run(struct rpc_call *c, const struct output_run *run)
{
    const size_t n = json_array_size(run->denials);

    tool_done(
        c, json_pack(
               "{s:s, s:O}", "explanation",
               n ? "each denial says why, and the option (allow) with which the person who started this "
                   "server could start it anew so that it is let; you cannot change that yourself"
                 : "the room recorded no denial in this run; run it again with explain to also record files "
                   "and peers that could not be reached",
               "denials", run->denials));
}

void tool_explain_denial(struct server *s, struct rpc_call *c, const json_t *args)
{
    size_t len;
    const char *id = tool_text(args, "run_id", &len), *peer = tool_text(args, "endpoint", NULL);
    struct command w = {0};

    if (!id == !peer) {
        tool_failed(c, "explain_denial: wanted either run_id or endpoint");
        return;
    }
    if (id) {
        const struct output_run *run = outputs_find(&s->outputs, id, len);
        if (run)
            explain_run(c, run);
        else
            tool_failed(c, "explain_denial: no run %.64s is kept; kept are " OUTPUTS_LIFE, id);
        return;
    }
    if (peer[0] == '-') {
        tool_failed(c, "explain_denial: endpoint: wanted HOST or HOST:PORT");
        return;
    }
    words_add(&w, "strongroom");
    words_add(&w, "why");
    words_add(&w, peer);
    for (char **word = s->words; *word; word++)
        words_add(&w, *word);
    job_add(s, c, args, false, &w, NULL, 0, why_done);
}
