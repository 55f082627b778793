/* tool_cell: a cell of code for an interpreter that lives in a sandbox, and the values that come of it.
 *
 * Lives in: strongroom-mcp. Trusts: the form of strongroom's result, which it made in a confined process; nothing of
 * the texts and pictures in it. Must not: hand out a control character as text, or more than an answer can hold. */
#include "mcp/text.h"
#include "mcp/tool_fns.h"

#include <stdio.h>
#include <string.h>

#define RESULT_MAX (32 << 20) /* what strongroom writes is less */

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

/* What to know of the state, in front of what else there is to say. */
static void add_message(json_t *r, const json_t *result, int64_t left_out)
{
    const char *outcome = text_of(result, "outcome"), *said = text_of(r, "message");
    const bool gone = strcmp(text_of(result, "state"), "gone") == 0;
    const char *first = gone ? "the interpreter ended; its state is gone, and the next cell starts anew"
                        : strcmp(outcome, "exited") != 0
                            ? "the cell was interrupted; variables and other state are kept"
                            : "";
    const char *before =
        strcmp(text_of(result, "began"), "lost") == 0
            ? "the interpreter had ended since the last cell: this one began without its state. "
            : "";
    char more[VALUES_WORDS];

    values_words(left_out, more);
    if (!*first && !*before && !*more)
        return;
    (void)json_object_set_new(
        r, "message",
        json_sprintf("%s%s%s%s%s", before, first, *first && (*more || *said) ? ". " : "", more, said));
}

static void cell_done(struct job *j)
{
    json_t *result = job_json(j, JOB_RESULT, RESULT_MAX);
    struct values v;

    if (!result) {
        live_done(j, NULL); /* it was not begun: strongroom says why */
        return;
    }
    const json_t *error = json_object_get(result, "error");
    const struct run_end end = {
        .outcome = text_of(result, "outcome"),
        .exit_code = number(result, "exit_status"),
        .lives = true,
        .ms = number(result, "run_ms"),
        .size = {job_size(j, JOB_OUT), job_size(j, JOB_ERR)},
    };
    json_t *r = run_report(j, &end, json_array(), NULL);
    values_begin(&v, j->args);
    values_add(&v, json_object_get(result, "values"));
    (void)json_object_set_new(r, "values", v.values);
    (void)json_object_set_new(r, "state", json_string(text_of(result, "state")));
    (void)json_object_set_new(r, "cell", json_integer((json_int_t)number(result, "cell")));
    if (error) {
        const char *name = text_of(error, "name"), *text = text_of(error, "text");
        (void)json_object_set_new(r, "error",
                                  json_pack("{s:o, s:o}", "name", text_json(name, strlen(name), 200), "text",
                                            text_json(text, strlen(text), 4000)));
    }
    const json_t *printed = json_object_get(result, "bytes");
    for (size_t i = 0; i < OUTPUT_STREAMS; i++) {
        if (number(printed, output_names[i]) > end.size[i]) /* more than was passed on */
            (void)json_object_set_new(r, i ? "stderr_bytes" : "stdout_bytes",
                                      json_integer((json_int_t)number(printed, output_names[i])));
    }
    add_message(r, result, v.left_out);
    json_decref(result);
    tool_done_with(j->call, r, v.content);
}

void cell_start(struct server *s, struct rpc_call *c, const json_t *args, const char *language,
                const char *code, size_t len)
{
    static const char *const others[] = {"memory_mb", "explain"};
    struct command w = {0};
    int64_t seconds = tool_number(args, "timeout_seconds", s->ceiling.timeout_s);

    if (!live_id_ok(c, args))
        return;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (json_object_get(args, others[i])) {
            tool_failed(c, "run_code: %s: is about a fresh sandbox; leave it out where there is a sandbox_id",
                        others[i]);
            return;
        }
    }
    words_add(&w, "strongroom");
    words_add(&w, "exec");
    words_fmt(&w, "--interpreter=%s", language);
    if (seconds > 0)
        words_fmt(&w, "--timeout=%llds", (long long)seconds);
    words_fmt(&w, "--output=%lld", (long long)s->ceiling.output);
    words_add(&w, "--result-fd=3");
    words_add(&w, tool_text(args, "sandbox_id", NULL));
    job_add(s, c, args, true, &w, code, len, cell_done);
}
