/* resource: what can be read by its address: sandbox://ID/PATH.
 *
 * ID is a run's (PATH: stdout or stderr) or a living sandbox's (PATH: a file or folder from its root on,
 * percent-encoded). Contents come as text where they are text that hides nothing, else exactly, as a blob; at most the
 * first MiB of them. A folder is a JSON list with the address of each entry.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of an address, of a name or of a content. Must not: open a file itself. */
#include "mcp/resource.h"
#include "mcp/tool_fns.h"
#include "mcp/uri.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCHEME    "sandbox://"
#define PATH_MOST 4000 /* bytes of a path, decoded */
#define MISSING   3    /* exit status of the script */

json_t *resource_templates(void)
{
    return json_pack(
        "[{s:s, s:s, s:s, s:s}]", "uriTemplate", SCHEME "{sandbox_id}/{+path}", "name", "sandbox-file",
        "title", "File of a sandbox, or output of a run", "description",
        "a file or folder of a sandbox of sandbox_create, from its root on (work/a.txt); or stdout or stderr "
        "of a run, by its run_id. At most the first 1 MiB; what is no plain text comes as a blob");
}

json_t *resource_list(void *ctx)
{
    const struct server *s = ctx;
    const int64_t now = loop_now_ms();
    json_t *list = json_array();

    for (size_t i = 0; i < LIVE_MAX; i++) {
        const struct live *l = &s->live[i];
        if (l->id[0] && (!l->ends_ms || l->ends_ms > now))
            (void)json_array_append_new(
                list, json_pack("{s:o, s:o, s:s}", "uri", json_sprintf(SCHEME "%s/work/", l->id), "name",
                                json_sprintf("files of %s", l->id), "mimeType", "application/json"));
    }
    for (size_t i = s->outputs.count; i-- > 0;) { /* the newest first */
        for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
            const struct output_run *run = &s->outputs.runs[i];
            (void)json_array_append_new(
                list, json_pack("{s:o, s:o, s:s, s:I}", "uri",
                                json_sprintf(SCHEME "%s/%s", run->id, output_names[k]), "name",
                                json_sprintf("%s of %s", output_names[k], run->id), "mimeType", "text/plain",
                                "size", (json_int_t)run->size[k]));
        }
    }
    return list;
}

/* --- contents ------------------------------------------------------------------------------------------- */

/* Text that was not changed by being cleaned. */
static bool is_exact(int fd, const json_t *part)
{
    const json_t *text = json_object_get(part, "content");
    const size_t n = (size_t)json_integer_value(json_object_get(part, "bytes"));
    char *bytes = malloc(n + 1);
    const bool same = bytes && json_string_length(text) == n && pread(fd, bytes, n, 0) == (ssize_t)n &&
                      memcmp(bytes, json_string_value(text), n) == 0;

    free(bytes);
    return same;
}

/* `here`: bytes in the file; `size`: of the whole. */
static void give(struct rpc_call *c, const char *uri, int fd, int64_t here, int64_t size)
{
    json_t *part = output_part(fd, here, 0, OUTPUT_INLINE_MAX, false);
    const bool text = is_exact(fd, part);

    if (!text) {
        json_decref(part);
        part = output_part(fd, here, 0, OUTPUT_INLINE_MAX, true);
    }
    const int64_t n = json_integer_value(json_object_get(part, "bytes"));
    json_t *one =
        json_pack("{s:s, s:s, s:O}", "uri", uri, "mimeType", text ? "text/plain" : "application/octet-stream",
                  text ? "text" : "blob", json_object_get(part, "content"));
    if (one && n < size)
        (void)json_object_set_new(
            one, "_meta",
            json_pack("{s:I, s:I}", "strongroom/bytes", (json_int_t)n, "strongroom/size", (json_int_t)size));
    json_decref(part);
    rpc_result(c, one ? json_pack("{s:[o]}", "contents", one) : NULL);
}

static void missing(struct rpc_call *c, const char *uri)
{
    rpc_error(c, c->modern ? RPC_PARAMS : RPC_NO_RESOURCE, json_pack("{s:s}", "uri", uri),
              "no such resource, or no longer");
}

static void give_folder(struct job *j, const char *uri)
{
    json_t *folder = live_entries(j, uri);
    char *text = folder ? json_dumps(folder, JSON_COMPACT) : NULL;

    rpc_result(j->call, text ? json_pack("{s:[{s:s, s:s, s:s}]}", "contents", "uri", uri, "mimeType",
                                         "application/json", "text", text)
                             : NULL);
    free(text);
    json_decref(folder);
}

static void read_done(struct job *j)
{
    const char *uri = tool_text(j->args, "uri", NULL);
    const bool well = WIFEXITED(j->wait_status) && WEXITSTATUS(j->wait_status) == 0;
    char head[32] = "";
    int64_t size = 0;

    if (!well || pread(j->file[JOB_ERR], head, sizeof head - 1, 0) <= 0) {
        missing(j->call, uri);
        return;
    }
    for (const char *p = head + 1; *p >= '0' && *p <= '9' && size < INT64_MAX / 16; p++)
        size = size * 10 + (*p - '0');
    if (head[0] == 'd')
        give_folder(j, uri);
    else
        give(j->call, uri, j->file[JOB_OUT], job_size(j, JOB_OUT), size);
}

/* What it is and its size go to stderr, the rest to stdout. */
static const char script[] =
    "if [ -d \"$1\" ]; then echo d >&2; cd -- \"$1\" && find . -mindepth 1 -maxdepth 1 -printf '%y %s %f\\0' "
    "| sort -z -k 3 | head -z -n $2\n"
    "elif [ -f \"$1\" ]; then n=$(stat -Lc %s -- \"$1\") && echo f$n >&2 && head -c $3 -- \"$1\"\n"
    "else exit 3; fi";

void resource_read(void *ctx, struct rpc_call *c, const char *uri)
{
    struct server *s = ctx;
    const char *id = strncmp(uri, SCHEME, strlen(SCHEME)) == 0 ? uri + strlen(SCHEME) : "";
    const size_t len = strcspn(id, "/");
    const struct output_run *run = id[len] == '/' ? outputs_find(&s->outputs, id, len) : NULL;
    char name[HANDLE_MAX] = "", path[PATH_MOST];

    for (size_t i = 0; run && i < OUTPUT_STREAMS; i++) {
        if (strcmp(id + len + 1, output_names[i]) == 0) {
            give(c, uri, run->fd[i], run->size[i], run->size[i]);
            return;
        }
    }
    if (len < sizeof name)
        memcpy(name, id, len);
    if (id[len] != '/' || !live_is_handle(name) || !uri_decode(id + len, path, sizeof path)) {
        missing(c, uri);
        return;
    }
    json_t *args = json_pack("{s:s, s:s}", "sandbox_id", name, "uri", uri);
    c->resource = true;
    live_script(s, c, args, path, script, LIVE_FILES + 1, OUTPUT_INLINE_MAX, read_done);
    json_decref(args);
}
