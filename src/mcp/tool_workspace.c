/* tool_workspace: what runs changed in a workspace, for the agent to look at, and perhaps to make real.
 *
 * Only changes that runs of this very server made are known here: those of others are nobody's business, and none that
 * a person has yet to look at could be applied by naming it.
 *
 * Lives in: strongroom-mcp. Trusts: strongroom. Must not: apply anything unless the user said so at the start. */
#include "mcp/text.h"
#include "mcp/tool_fns.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void changes_note(struct server *s, const json_t *result, json_t *report)
{
    json_t *list = json_array(), *row;
    size_t i;

    json_array_foreach(json_object_get(result, "workspaces"), i, row)
    {
        const char *id = json_string_value(json_object_get(row, "changes"));
        if (!id || strlen(id) >= HANDLE_MAX)
            continue;
        char *slot = s->changes[s->change_count++ % CHANGES_MAX];
        memcpy(slot, id, strlen(id) + 1);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:O*, s:O*, s:O*, s:O*, s:O*}", "change_id", id, "state",
                            json_object_get(row, "state"), "deleted", json_object_get(row, "deleted"),
                            "modified", json_object_get(row, "modified"), "added",
                            json_object_get(row, "added"), "alarms", json_object_get(row, "alarms")));
    }
    if (report && json_array_size(list) > 0)
        (void)json_object_set(report, "changes", list);
    json_decref(list);
}

static bool known(struct server *s, struct rpc_call *c, const char *id)
{
    for (size_t i = 0; i < CHANGES_MAX; i++) {
        if (s->changes[i][0] && strcmp(s->changes[i], id) == 0)
            return true;
    }
    tool_failed(c, "%.40s is no change of this server's runs; a run's result names them under changes", id);
    return false;
}

static void verb_words(struct command *w, const char *verb, const char *option, const json_t *args)
{
    const json_t *paths = json_object_get(args, "paths");

    words_add(w, "strongroom");
    words_add(w, verb);
    words_add(w, option);
    words_add(w, tool_text(args, "change_id", NULL));
    words_add(w, "--");
    for (size_t i = 0; i < json_array_size(paths); i++)
        words_add(w, json_string_value(json_array_get(paths, i)));
}

static json_t *printed(const struct job *j, enum job_file f, int64_t max, bool *ret_cut)
{
    const struct excerpt e = output_excerpt(j->file[f], job_size(j, f), max);

    *ret_cut = e.cut;
    return e.text;
}

static bool ended_well(const struct job *j)
{
    return WIFEXITED(j->wait_status) && WEXITSTATUS(j->wait_status) == 0;
}

static void fail_as_said(struct job *j, const char *tool)
{
    bool cut;
    json_t *text = printed(j, JOB_ERR, 2000, &cut);

    tool_failed(j->call, "%s: %s", tool, json_string_value(text));
    json_decref(text);
}

static void review_done(struct job *j)
{
    bool cut;

    if (!ended_well(j)) {
        fail_as_said(j, "workspace_review");
        return;
    }
    json_t *text = printed(j, JOB_OUT, tool_number(j->args, "max_output_bytes", OUTPUT_INLINE), &cut);
    tool_done(j->call, json_pack("{s:O, s:o, s:b}", "change_id", json_object_get(j->args, "change_id"),
                                 "review", text, "truncated", cut));
}

void tool_review(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};

    if (!known(s, c, tool_text(args, "change_id", NULL)))
        return;
    verb_words(&w, "review", "--no-pager", args);
    job_add(s, c, args, false, &w, NULL, 0, review_done);
}

static void apply_done(struct job *j)
{
    bool cut;

    if (!ended_well(j)) {
        fail_as_said(j, "workspace_apply");
        return;
    }
    tool_done(j->call, json_pack("{s:O, s:b, s:o}", "change_id", json_object_get(j->args, "change_id"),
                                 "applied", 1, "message", printed(j, JOB_ERR, 2000, &cut)));
}

void tool_apply(struct server *s, struct rpc_call *c, const json_t *args)
{
    const char *id = tool_text(args, "change_id", NULL);
    struct command w = {0};

    if (!known(s, c, id))
        return;
    if (!s->ceiling.may_apply) {
        tool_done(
            c, json_pack("{s:s, s:b, s:o}", "change_id", id, "applied", 0, "message",
                         json_sprintf(
                             "the changes are kept and wait for a person, who looks at them with `strongroom "
                             "review %s` and makes them real with `strongroom apply %s`",
                             id, id)));
        return;
    }
    verb_words(&w, "apply", "--only-clean", args);
    job_add(s, c, args, false, &w, NULL, 0, apply_done);
}
