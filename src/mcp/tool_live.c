/* tool_live: rooms that live on between calls, on top of strongroom's own verbs.
 *
 * A room's name is its handle: 128 random bits, so that who was not given it cannot speak to the room; rooms that a
 * person made have other names, and are out of reach. A room ends by itself when its time is up, whether the client is
 * still there or not.
 *
 * Lives in: strongroom-mcp. Trusts: strongroom. Must not: let a handle or a path become an option. */
#include "mcp/text.h"
#include "mcp/tool_fns.h"
#include "mcp/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX     "sbx-"
#define LISTED_MAX (1 << 20)
#define SCRIPT_S   10 /* a file of the room may be a pipe that nobody ever opens at its other end */
#define SLACK_MS   1000
#define TIMED_OUT  124 /* exit status of strongroom exec */

bool live_is_handle(const char *id)
{
    const size_t n = strlen(PREFIX);

    return strncmp(id, PREFIX, n) == 0 && strlen(id) == n + 32 && strspn(id + n, "0123456789abcdef") == 32;
}

bool live_id_ok(struct rpc_call *c, const json_t *args)
{
    const char *id = tool_text(args, "sandbox_id", NULL);

    if (live_is_handle(id))
        return true;
    tool_failed(
        c, "%.64s is no sandbox: sandbox_create gives a sandbox_id, and sandbox_list tells those that live",
        id);
    return false;
}

bool live_cwd_ok(struct rpc_call *c, const json_t *args)
{
    const char *cwd = tool_text(args, "cwd", NULL);

    if (!cwd || cwd[0] == '/')
        return true;
    tool_failed(c, "cwd %.64s: not an absolute path; the sandbox's own folder is /work", cwd);
    return false;
}

void exec_words(struct command *w, const json_t *args, int64_t output)
{
    const char *cwd = tool_text(args, "cwd", NULL), *key;
    json_t *value;

    words_add(w, "strongroom");
    words_add(w, "exec");
    if (json_object_get(args, "timeout_seconds"))
        words_fmt(w, "--timeout=%llds", (long long)tool_number(args, "timeout_seconds", 1));
    if (cwd)
        words_fmt(w, "--workdir=%s", cwd);
    json_object_foreach(json_object_get(args, "env"), key, value)
    {
        words_fmt(w, "--env=%s=%s", key, json_string_value(value));
    }
    words_fmt(w, "--output=%lld", (long long)output);
    words_add(w, tool_text(args, "sandbox_id", NULL));
}

/* What strongroom itself said, as an error for the model. */
static char *said(const struct job *j)
{
    char *text = calloc(1, 2001);

    if (text && pread(j->file[JOB_ERR], text, 2000, 0) < 0)
        text[0] = '\0';
    return text;
}

/* The same without what is about a command line that the model does not have: the name in front, and hints. */
static char *said_to_model(const struct job *j)
{
    static const char *const fronts[] = {"strongroom: ", "sandbox: line 1: ", "cd: "};
    char *text = said(j), *hint = text ? strstr(text, "\nstrongroom: hint:") : NULL;
    size_t skip = 0;

    if (hint)
        *hint = '\0';
    for (size_t i = 0; text && i < sizeof fronts / sizeof *fronts; i++) {
        if (strncmp(text + skip, fronts[i], strlen(fronts[i])) == 0)
            skip += strlen(fronts[i]);
    }
    if (text)
        memmove(text, text + skip, strlen(text + skip) + 1);
    size_t n = text ? strlen(text) : 0;
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    return text;
}

static bool status_is(const struct job *j, int status)
{
    return WIFEXITED(j->wait_status) && WEXITSTATUS(j->wait_status) == status;
}

static struct live *find(struct server *s, const char *id)
{
    for (size_t i = 0; id && id[0] && i < LIVE_MAX; i++) {
        if (strcmp(s->live[i].id, id) == 0)
            return &s->live[i];
    }
    return NULL;
}

static void forget(struct server *s, const char *id)
{
    struct live *l = find(s, id);
    if (l)
        *l = (struct live){0};
}

/* A place for one more. Rooms end by themselves when their time is over, and nobody tells us. */
static struct live *free_place(struct server *s)
{
    const int64_t now = loop_now_ms();

    for (size_t i = 0; i < LIVE_MAX; i++) {
        struct live *l = &s->live[i];
        if (!l->id[0] || (l->ends_ms && l->ends_ms <= now))
            return l;
    }
    return NULL;
}

/* From now on; a moment more, for the room was asked before. */
static void note_lifetime(struct server *s, const char *id, int64_t seconds)
{
    struct live *l = find(s, id);
    if (l)
        l->ends_ms = seconds > 0 ? loop_now_ms() + seconds * 1000 + SLACK_MS : 0;
}

/* Answers the call when strongroom did not find the room; only strongroom's own words begin in this way, or a program's
 * that wants to be taken for them, and is welcome. */
static bool room_gone(struct job *j)
{
    static const char words[] = "strongroom: find the room ";
    const char *id = tool_text(j->args, "sandbox_id", NULL);
    char *text = said(j);
    const bool gone =
        text && !status_is(j, 0) && job_size(j, JOB_OUT) == 0 && strncmp(text, words, sizeof words - 1) == 0;

    free(text);
    if (!gone)
        return false;
    forget(j->server, id);
    tool_failed(
        j->call,
        "the sandbox %s is gone: its lifetime is over, or it was ended; make a new one with sandbox_create",
        id);
    return true;
}

/* The command was not begun: strongroom says why, or a program that wants to be taken for it, and is welcome. */
static bool not_begun(struct job *j)
{
    static const char words[] = "strongroom: ";
    char *text = status_is(j, 125) && job_size(j, JOB_OUT) == 0 ? said(j) : NULL;
    const bool refused = text && strncmp(text, words, sizeof words - 1) == 0;

    free(text);
    if (refused) {
        text = said_to_model(j);
        tool_failed(j->call, "%s", text ? text : words);
        free(text);
    }
    return refused;
}

void exec_done(struct job *j)
{
    if (!room_gone(j) && !not_begun(j))
        tool_done(j->call, exec_report(j));
}

void live_done(struct job *j, json_t *value)
{
    if (room_gone(j)) {
        json_decref(value);
        return;
    }
    if (status_is(j, 0)) {
        tool_done(j->call, value);
        return;
    }
    json_decref(value);
    if (status_is(j, TIMED_OUT)) {
        tool_failed(j->call, "it was not done within %d s: is it a plain file or folder?", SCRIPT_S);
        return;
    }
    char *text = said_to_model(j);
    const bool process = json_object_get(j->args, "process_id") != NULL;
    tool_failed(j->call, "%s%s", text && text[0] ? text : "strongroom ended without a word",
                process ? ": sandbox_list_processes tells which there are and how they stand" : "");
    free(text);
}

/* --- create, list, renew, kill -------------------------------------------------------------------------- */

/* The handle stands behind --name. */
static const char *created_name(const struct job *j)
{
    for (char **word = j->argv; *word; word++) {
        if (strncmp(*word, "--name=", 7) == 0 && live_is_handle(*word + 7))
            return *word + 7;
    }
    return "";
}

static void create_done(struct job *j)
{
    const char *id = created_name(j);
    const int64_t seconds = tool_number(j->args, "timeout_seconds", j->server->ceiling.lifetime_s);

    if (status_is(j, 0))
        note_lifetime(j->server, id, seconds);
    else
        forget(j->server, id);
    live_done(j, json_pack("{s:s, s:I}", "sandbox_id", id, "lifetime_seconds", (json_int_t)seconds));
}

void tool_create(struct server *s, struct rpc_call *c, const json_t *args)
{
    char id[RUN_ID_MAX];
    struct live *place = free_place(s);
    struct command w = {0};
    const char *key;
    json_t *value;

    if (!place || outputs_new_id(id) < 0) {
        tool_failed(c, "there are %d sandboxes already; end one with sandbox_kill", LIVE_MAX);
        return;
    }
    *place = (struct live){0};
    (void)snprintf(place->id, sizeof place->id, PREFIX "%s", id + strlen("run-"));
    room_words(&w, s, "run", args);
    words_add(&w, "--detach");
    if (json_is_false(json_object_get(args, "allow_internet")))
        words_add(&w, "--offline");
    words_fmt(&w, "--name=%s", place->id);
    json_object_foreach(json_object_get(args, "env"), key, value)
    {
        words_fmt(&w, "--env=%s=%s", key, json_string_value(value));
    }
    job_add(s, c, args, false, &w, NULL, 0, create_done);
}

static void list_done(struct job *j)
{
    json_t *all = job_json(j, JOB_OUT, LISTED_MAX), *list = json_array(), *row;
    size_t i;

    json_array_foreach(all, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (!find(j->server, name))
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I}", "sandbox_id", name, "seconds_left",
                            (json_int_t)(json_integer_value(json_object_get(row, "left_ms")) / 1000),
                            "processes", json_integer_value(json_object_get(row, "processes")),
                            "memory_bytes", json_integer_value(json_object_get(row, "memory"))));
    }
    json_decref(all);
    live_done(j, json_pack("{s:o}", "sandboxes", list));
}

void tool_list(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};

    words_add(&w, "strongroom");
    words_add(&w, "ps");
    words_add(&w, "--json");
    job_add(s, c, args, false, &w, NULL, 0, list_done);
}

static void renew_done(struct job *j)
{
    const json_t *seconds = json_object_get(j->args, "timeout_seconds");

    if (status_is(j, 0))
        note_lifetime(j->server, tool_text(j->args, "sandbox_id", NULL), json_integer_value(seconds));
    live_done(j, json_pack("{s:O, s:O}", "sandbox_id", json_object_get(j->args, "sandbox_id"),
                           "lifetime_seconds", seconds));
}

void tool_renew(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};

    if (!live_id_ok(c, args))
        return;
    words_add(&w, "strongroom");
    words_add(&w, "renew");
    words_add(&w, tool_text(args, "sandbox_id", NULL));
    words_fmt(&w, "%llds", (long long)tool_number(args, "timeout_seconds", 1));
    job_add(s, c, args, false, &w, NULL, 0, renew_done);
}

static void kill_done(struct job *j)
{
    forget(j->server, tool_text(j->args, "sandbox_id", NULL));
    live_done(j, json_pack("{s:O, s:b}", "sandbox_id", json_object_get(j->args, "sandbox_id"), "ended", 1));
}

void tool_kill(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};

    if (!live_id_ok(c, args))
        return;
    words_add(&w, "strongroom");
    words_add(&w, "rm");
    words_add(&w, tool_text(args, "sandbox_id", NULL));
    job_add(s, c, args, false, &w, NULL, 0, kill_done);
}

/* --- programs and files --------------------------------------------------------------------------------- */

void tool_exec(struct server *s, struct rpc_call *c, const json_t *args)
{
    struct command w = {0};
    size_t len;
    const char *command = tool_text(args, "command", &len);

    if (!live_id_ok(c, args) || !live_cwd_ok(c, args))
        return;
    exec_words(&w, args, s->ceiling.output);
    words_add(&w, "--");
    words_add(&w, "bash");
    words_add(&w, "-c");
    words_add(&w, "eval \"$(</dev/stdin)\"");
    job_add(s, c, args, true, &w, command, len, exec_done);
}

void live_script(struct server *s, struct rpc_call *c, const json_t *args, const char *path, const char *text,
                 int64_t a, int64_t b, job_done *done)
{
    struct command w = {0};
    size_t len;
    const char *content = tool_text(args, "content", &len);

    words_add(&w, "strongroom");
    words_add(&w, "exec");
    words_fmt(&w, "--timeout=%ds", SCRIPT_S);
    words_add(&w, tool_text(args, "sandbox_id", NULL));
    words_add(&w, "--");
    words_add(&w, "bash");
    words_add(&w, "-c");
    words_add(&w, text);
    words_add(&w, "sandbox");
    words_add(&w, path);
    words_fmt(&w, "%lld", (long long)a);
    words_fmt(&w, "%lld", (long long)b);
    job_add(s, c, args, true, &w, content, content ? len : 0, done);
}

static void read_done(struct job *j)
{
    const char *encoding = tool_text(j->args, "encoding", NULL);
    const int64_t offset = tool_number(j->args, "offset", 0),
                  limit = tool_number(j->args, "limit", OUTPUT_INLINE);
    char head[32] = "";
    int64_t size = 0, n = 0;

    if (!status_is(j, 0)) {
        live_done(j, NULL);
        return;
    }
    /* A file of the kernel's own has a size of nothing, or another one than its text: what came tells of its end. */
    const bool more = job_size(j, JOB_OUT) >= limit;
    if (pread(j->file[JOB_ERR], head, sizeof head - 1, 0) > 0) {
        for (const char *p = head; *p >= '0' && *p <= '9' && size < INT64_MAX / 16; p++)
            size = size * 10 + (*p - '0');
    }
    json_t *part = output_part(j->file[JOB_OUT], job_size(j, JOB_OUT), 0, limit,
                               encoding && strcmp(encoding, "base64") == 0);
    n = json_integer_value(json_object_get(part, "bytes"));
    (void)json_object_set_new(part, "offset", json_integer(offset));
    (void)json_object_set_new(part, "size", json_integer(size));
    (void)json_object_set_new(part, "next_offset", json_integer(offset + n));
    (void)json_object_set_new(part, "at_end", json_boolean(offset + n >= size && !(size == 0 && more)));
    tool_done(j->call, part);
}

void live_read_file(struct server *s, struct rpc_call *c, const json_t *args)
{
    /* The size goes to stderr, the bytes to stdout; one byte more than is wanted tells where a character goes on. */
    live_script(s, c, args, tool_text(args, "path", NULL),
                "[ ! -d \"$1\" ] || { echo \"$1: is a folder: sandbox_list_files lists it\" >&2; exit 1; }\n"
                "[ -f \"$1\" ] || { echo \"$1: no such file, or not a plain file\" >&2; exit 1; }\n"
                "n=$(stat -Lc %s -- \"$1\") && echo $n >&2 && tail -c +$(($2 + 1)) -- \"$1\" | head -c $3",
                tool_number(args, "offset", 0), tool_number(args, "limit", OUTPUT_INLINE), read_done);
}

static void write_done(struct job *j)
{
    live_done(j, json_pack("{s:O, s:I}", "path", json_object_get(j->args, "path"), "bytes",
                           (json_int_t)json_string_length(json_object_get(j->args, "content"))));
}

void tool_write_file(struct server *s, struct rpc_call *c, const json_t *args)
{
    if (live_id_ok(c, args))
        live_script(s, c, args, tool_text(args, "path", NULL),
                    "mkdir -p -- \"$(dirname -- \"$1\")\" && cat >\"$1\"", 0, 0, write_done);
}

/* "TYPE SIZE NAME\0" each; `folder` is the folder's address, with a slash at its end, or NULL. */
static json_t *read_files(const char *p, const char *end, const char *folder, bool *ret_more)
{
    json_t *list = json_array();

    *ret_more = false;
    while (p < end && json_array_size(list) < LIVE_FILES) {
        const char *stop = memchr(p, '\0', (size_t)(end - p));
        const char *size_at = memchr(p, ' ', (size_t)(end - p)), *name;
        long long size = 0;
        if (!stop || !size_at || size_at > stop)
            break;
        name = size_at + 1;
        while (name < stop && *name >= '0' && *name <= '9' && size < INT64_MAX / 16)
            size = size * 10 + (*name++ - '0');
        name += name < stop;
        const size_t len = (size_t)(stop - name);
        const char *type = *p == 'd' ? "folder" : *p == 'f' ? "file" : *p == 'l' ? "link" : "other";
        json_t *one = json_pack("{s:o, s:s, s:I}", "name", text_json(name, len, 8192), "type", type, "size",
                                (json_int_t)size);
        if (folder)
            (void)json_object_set_new(one, "uri", uri_encode(folder, name, len, *p == 'd' ? "/" : ""));
        (void)json_array_append_new(list, one);
        p = stop + 1;
    }
    *ret_more = p < end;
    return list;
}

json_t *live_entries(const struct job *j, const char *uri)
{
    const int64_t size = job_size(j, JOB_OUT);
    char *text = size >= 0 && size <= LISTED_MAX ? malloc((size_t)size + 1) : NULL, *folder = NULL;
    json_t *list = NULL;
    bool more = true;

    if (uri && asprintf(&folder, "%s%s", uri, uri[strlen(uri) - 1] == '/' ? "" : "/") < 0)
        folder = NULL;
    if (text && (folder || !uri) && pread(j->file[JOB_OUT], text, (size_t)size, 0) == (ssize_t)size)
        list = read_files(text, text + size, folder, &more);
    free(text);
    free(folder);
    return list ? json_pack("{s:o, s:b}", "entries", list, "truncated", more) : NULL;
}

static void files_done(struct job *j)
{
    json_t *entries = live_entries(j, NULL);

    if (entries)
        live_done(j, entries);
    else
        tool_failed(j->call, "the folder's list is too long; name a smaller folder");
}

void tool_list_files(struct server *s, struct rpc_call *c, const json_t *args)
{
    if (live_id_ok(c, args))
        live_script(
            s, c, args, tool_text(args, "path", NULL),
            "[ -e \"$1\" ] || { echo \"$1: No such file or directory\" >&2; exit 1; }\n"
            "cd -- \"$1\" && find . -mindepth 1 -maxdepth 1 -printf '%y %s %f\\0' | sort -z -k 3 | head "
            "-z -n $2",
            LIVE_FILES + 1, 0, files_done);
}
