/* tool_fns: the functions behind the tools, and what they share. */
#ifndef MCP_TOOL_FNS_H
#define MCP_TOOL_FNS_H

#include "mcp/job.h"

tool_fn tool_run_code, tool_explain_denial, tool_read_file, tool_create, tool_list, tool_exec,
    tool_write_file, tool_list_files, tool_renew, tool_kill, tool_review, tool_apply, tool_start_process,
    tool_list_processes, tool_process_output, tool_process_input, tool_process_kill;

#define OUTPUT_INLINE     (32 << 10) /* bytes of each stream that an answer holds, unless told otherwise */
#define OUTPUT_INLINE_MAX (1 << 20)
#define CODE_MAX          (1 << 20) /* bytes of code */

/* "strongroom VERB" with the user's options and what tightens them by the tool's arguments. */
void room_words(struct command *w, const struct server *s, const char *verb, const json_t *args);

/* What a run of strongroom left, as the tool's result; keeps its output where it is cut or something was refused. For
 * a room that could not be built the call is answered with an error and NULL comes back. */
json_t *room_report(struct job *j);

/* How a program ended. */
struct run_end {
    const char *outcome;
    int64_t exit_code, ms, size[OUTPUT_STREAMS];
    bool lives; /* the room does */
};

/* The parts that every report has; keeps the output. `denials` is taken over; `words`: strongroom's own, or NULL. */
json_t *run_report(struct job *j, const struct run_end *end, json_t *denials, const char *words);

/* A JSON document in one of its memory files. NULL: it is none, or longer than max. */
json_t *job_json(const struct job *j, enum job_file f, int64_t max);

/* The same for a program in a room that lives on. */
json_t *exec_report(struct job *j);
job_done exec_done;

/* "strongroom exec ROOM" with what the tool's arguments say; the room is known to be a handle of ours when live_id_ok()
 * says so, which otherwise answers the call. */
void exec_words(struct command *w, const json_t *args, int64_t output); /* bytes that it may print; 0: any */
/* Answers the call with `value` (taken over), or with strongroom's own words where it failed. */
void live_done(struct job *j, json_t *value);
/* One cell for an interpreter of such a room. */
void cell_start(struct server *s, struct rpc_call *c, const json_t *args, const char *language,
                const char *code, size_t len);
bool live_id_ok(struct rpc_call *c, const json_t *args);
bool live_cwd_ok(struct rpc_call *c, const json_t *args);
void live_read_file(struct server *s, struct rpc_call *c, const json_t *args);

/* Values, as a result tells them. */
struct values {
    json_t *values, *content; /* what the model reads, and the pictures behind it */
    int64_t picture_bytes, text_left;
    int64_t left_out; /* values of which only the size is told */
};
void values_begin(struct values *ret, const json_t *args);
/* A list of {"type", "bytes", "text" or "base64"}. */
void values_add(struct values *a, const json_t *values);
/* Such a list, of the frames (runtimes/cells.h) that a program wrote, up to the first that is none. */
json_t *values_of_reply(const char *p, size_t n);
#define VALUES_WORDS 80
void values_words(int64_t left_out, char ret[VALUES_WORDS]);

/* Notes the changes to workspaces that a run left, in the server and in the run's report (NULL: there is none). */
void changes_note(struct server *s, const json_t *result, json_t *report);

/* A part of a memory file. NULL: no memory. */
struct excerpt {
    json_t *text;
    bool cut;
};
struct excerpt output_excerpt(int fd, int64_t size, int64_t max);
json_t *output_part(int fd, int64_t size, int64_t offset, int64_t limit, bool base64);

/* Has this the form of a living sandbox's handle? */
bool live_is_handle(const char *id);
/* A script of ours in such a room, with the path as its $1 and two numbers behind it; bounded in time. */
void live_script(struct server *s, struct rpc_call *c, const json_t *args, const char *path, const char *text,
                 int64_t a, int64_t b, job_done *done);
/* The entries of a folder that such a script listed as "TYPE SIZE NAME\0", at most LIVE_FILES of them; each with its
 * address where that of the folder is given. NULL: there is too much of it, or no memory. */
#define LIVE_FILES 1000
json_t *live_entries(const struct job *j, const char *uri);

#endif
