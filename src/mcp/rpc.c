/* rpc: JSON-RPC 2.0 as the Model Context Protocol wants it.
 *
 * Theory of operation. A message is scanned for depth and id (line.h), the id's bytes are set aside and the rest is
 * parsed. A request becomes a struct rpc_call, which lives from here to its one answer; calls are answered in whatever
 * order their work ends. All that goes out is ASCII: whatever a program printed is escaped by the one function that
 * writes JSON, so no byte of a program's own choice other than printable ASCII within a string reaches the wire.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of a message. May: call the host. Must not: read, write, wait. */
#include "mcp/rpc.h"
#include "base/sbuf.h"
#include "mcp/line.h"
#include "mcp/methods.h"
#include "mcp/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUMP (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY)

struct rpc {
    const struct rpc_host *host;
    rpc_send *send;
    void *ctx;
    struct rpc_call *calls;
    size_t pending;
};

struct rpc *rpc_new(const struct rpc_host *host, rpc_send *send, void *ctx)
{
    struct rpc *r = calloc(1, sizeof *r);

    if (r)
        *r = (struct rpc){.host = host, .send = send, .ctx = ctx};
    return r;
}

const struct rpc_host *rpc_host_of(const struct rpc_call *c)
{
    return c->rpc->host;
}

/* {"jsonrpc":"2.0","id":ID,"NAME":BODY}; takes the body over. */
static void send_answer(struct rpc *r, const char *id, const char *name, json_t *body)
{
    char *text = body ? json_dumps(body, DUMP) : NULL;
    char *whole = NULL;
    int len = -1;

    json_decref(body);
    if (text)
        len = asprintf(&whole, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"%s\":%s}", id, name, text);
    free(text);
    if (len < 0) /* out of memory: the client must not wait for ever */
        len = asprintf(&whole,
                       "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":\"no memory\"}}",
                       id, RPC_INTERNAL);
    if (len >= 0) {
        r->send(r->ctx, whole, (size_t)len);
        free(whole);
    }
}

void rpc_notify(struct rpc *r, const char *method, json_t *params)
{
    json_t *m = json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params);
    char *text = m ? json_dumps(m, DUMP) : NULL;

    json_decref(m);
    if (text)
        r->send(r->ctx, text, strlen(text));
    free(text);
}

static json_t *error_body(int code, json_t *data, const char *message)
{
    json_t *body = json_pack("{s:i, s:s}", "code", code, "message", message);

    if (data)
        (void)json_object_set_new(body, "data", data);
    return body;
}

/* A message that is no request that could be answered by its id. */
static void refuse(struct rpc *r, const char *id, int code, const char *message)
{
    send_answer(r, id ? id : "null", "error", error_body(code, NULL, message));
}

static void call_free(struct rpc_call *c)
{
    struct rpc *r = c->rpc;

    if (c->before)
        c->before->next = c->next;
    else if (r->calls == c)
        r->calls = c->next;
    if (c->next)
        c->next->before = c->before;
    r->pending -= !c->listens;
    json_decref(c->id_value);
    json_decref(c->progress);
    free(c->id);
    free(c);
}

void rpc_result(struct rpc_call *c, json_t *result)
{
    if (result && c->modern)
        method_dress(c->method, result);
    send_answer(c->rpc, c->id, result ? "result" : "error",
                result ? result : error_body(RPC_INTERNAL, NULL, "no memory"));
    call_free(c);
}

void rpc_error(struct rpc_call *c, int code, json_t *data, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    struct sbuf b = SBUF(text); /* what is cut is only words */

    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
    json_t *s = text_json(text, strlen(text), sizeof text);
    send_answer(c->rpc, c->id, "error", error_body(code, data, s ? json_string_value(s) : "refused"));
    json_decref(s);
    call_free(c);
}

void rpc_progress(struct rpc_call *c, double progress, const char *message)
{
    if (!c->progress)
        return;
    rpc_notify(
        c->rpc, "notifications/progress",
        json_pack("{s:O, s:f, s:s}", "progressToken", c->progress, "progress", progress, "message", message));
}

static struct rpc_call *call_new(struct rpc *r, const char *id, json_t *params)
{
    struct rpc_call *c = calloc(1, sizeof *c);
    char *kept = strdup(id);

    if (!c || !kept) {
        free(c);
        free(kept);
        return NULL;
    }
    json_t *token = json_object_get(json_object_get(params, "_meta"), "progressToken");
    *c = (struct rpc_call){.rpc = r,
                           .id = kept,
                           .id_value = json_loads(id, JSON_DECODE_ANY, NULL),
                           .progress =
                               json_is_string(token) || json_is_integer(token) ? json_incref(token) : NULL,
                           .next = r->calls};
    if (r->calls)
        r->calls->before = c;
    r->calls = c;
    r->pending++;
    return c;
}

static void cancelled(struct rpc *r, const json_t *params)
{
    const json_t *id = json_object_get(params, "requestId");

    for (struct rpc_call *c = r->calls; id && c; c = c->next) {
        if (!c->id_value || !json_equal(c->id_value, id))
            continue;
        if (c->work)
            r->host->cancel(r->host->ctx, c);
        call_free(c);
        return;
    }
}

static bool id_in_use(const struct rpc *r, const char *id)
{
    for (const struct rpc_call *c = r->calls; c; c = c->next) {
        if (strcmp(c->id, id) == 0)
            return true;
    }
    return false;
}

const char *rpc_text(const json_t *value)
{
    const char *s = json_string_value(value);

    return s && strlen(s) == json_string_length(value) ? s : NULL;
}

static void take_object(struct rpc *r, json_t *m, const char *id)
{
    const char *method = rpc_text(json_object_get(m, "method"));
    const char *version = rpc_text(json_object_get(m, "jsonrpc"));
    json_t *params = json_object_get(m, "params");

    if (!version || strcmp(version, "2.0") != 0) {
        refuse(r, id, RPC_INVALID, "not a JSON-RPC 2.0 message");
        return;
    }
    if (!method) {
        /* An answer to a question that was never asked is dropped. */
        if (!json_object_get(m, "result") && !json_object_get(m, "error"))
            refuse(r, id, RPC_INVALID, "a message without a method");
        return;
    }
    if (!id) {
        if (strcmp(method, "notifications/cancelled") == 0)
            cancelled(r, params);
        return;
    }
    if (params && !json_is_object(params)) {
        refuse(r, id, RPC_PARAMS, "params must be an object");
        return;
    }
    if (id_in_use(r, id)) {
        refuse(r, id, RPC_INVALID, "this id is in use by a request that has no answer yet");
        return;
    }
    struct rpc_call *c = call_new(r, id, params);
    if (c)
        method_run(c, method, params);
    else
        refuse(r, id, RPC_INTERNAL, "no memory");
}

/* The id as text of its own, its place in the message overwritten; NULL in *ret: there is none. */
static int cut_id(char *text, const struct line_facts *f, char ret[LINE_ID_MAX + 1], bool *ret_is)
{
    *ret_is = f->has_id;
    if (!f->has_id)
        return 0;
    char *at = text + f->id_at;
    if (!line_id_ok(at, f->id_len))
        return -1;
    memcpy(ret, at, f->id_len);
    ret[f->id_len] = '\0';
    json_t *probe = at[0] == '"' ? json_loads(ret, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (at[0] == '"' && !json_is_string(probe)) {
        json_decref(probe);
        return -1;
    }
    json_decref(probe);
    memset(at, ' ', f->id_len);
    at[0] = '0';
    return 0;
}

void rpc_take(struct rpc *r, char *text, size_t len)
{
    struct line_facts facts;
    char id[LINE_ID_MAX + 1];
    bool has_id;

    if (line_scan(text, len, &facts) < 0) {
        refuse(r, NULL, RPC_INVALID, "the message nests too deeply");
        return;
    }
    const bool bad_id = cut_id(text, &facts, id, &has_id) < 0;
    json_error_t e;
    json_t *m = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
    if (!m)
        refuse(r, NULL, RPC_PARSE, "this line is not JSON");
    else if (json_is_array(m))
        refuse(r, NULL, RPC_INVALID, "batches are not part of this protocol: one message a line");
    else if (!json_is_object(m))
        refuse(r, NULL, RPC_INVALID, "a message is an object");
    else if (bad_id || (!has_id && json_object_get(m, "id")))
        refuse(r, NULL, RPC_INVALID, "an id must be a string or an integer of at most 1024 bytes");
    else
        take_object(r, m, has_id ? id : NULL);
    json_decref(m);
}

void rpc_too_long(struct rpc *r)
{
    refuse(r, NULL, RPC_INVALID, "the message is longer than 8 MiB");
}

void rpc_close(struct rpc *r)
{
    for (struct rpc_call *c = r->calls, *next; c; c = next) {
        next = c->next;
        if (c->work)
            r->host->cancel(r->host->ctx, c);
        if (c->listens)
            rpc_result(c, json_object());
        else
            call_free(c);
    }
    free(r);
}

size_t rpc_pending(const struct rpc *r)
{
    return r->pending;
}

bool rpc_may_listen(struct rpc_call *c)
{
    size_t n = 0;

    for (const struct rpc_call *o = c->rpc->calls; o; o = o->next)
        n += o->listens;
    if (n >= RPC_LISTENERS)
        return false;
    c->listens = true;
    c->rpc->pending--;
    return true;
}
