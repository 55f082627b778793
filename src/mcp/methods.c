/* methods: the table of what may be asked, and the answers that need no work.
 *
 * A request is modern (2026-07-28) when its _meta names a protocol version, or when it is server/discover; all others
 * belong to clients that shake hands. Nothing is remembered between requests: both kinds are served at once.
 *
 * Lives in: strongroom-mcp. Trusts: that the message was JSON. May: answer. Must not: know any tool. */
#include "mcp/methods.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define META          "io.modelcontextprotocol/"
#define MODERN        "2026-07-28"
#define LIST_TTL_MS   300000 /* the lists do not change while we run */
#define CURSOR_PREFIX "from-"

static const char *const handshakes[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                         "2024-11-05"}; /* newest first */

enum { OLD = 1, NEW = 2 };

struct rpc_method {
    const char *name;
    unsigned who;
    int ttl; /* of its result, with 2026-07-28; -1: that is not said */
    void (*run)(struct rpc_call *c, json_t *params);
};

static json_t *server_info(void)
{
    return json_pack("{s:s, s:s, s:s}", "name", "strongroom", "title", "strongroom", "version",
                     STRONGROOM_VERSION);
}

static json_t *capabilities(void)
{
    return json_pack("{s:{}, s:{}}", "tools", "resources");
}

static void initialize(struct rpc_call *c, json_t *params)
{
    const char *asked = rpc_text(json_object_get(params, "protocolVersion"));
    const char *version = handshakes[0];

    if (!asked) {
        rpc_error(c, RPC_PARAMS, NULL, "initialize: protocolVersion is missing");
        return;
    }
    for (size_t i = 0; i < sizeof handshakes / sizeof *handshakes; i++) {
        if (strcmp(handshakes[i], asked) == 0)
            version = handshakes[i];
    }
    rpc_result(c,
               json_pack("{s:s, s:o, s:o, s:s}", "protocolVersion", version, "capabilities", capabilities(),
                         "serverInfo", server_info(), "instructions", rpc_host_of(c)->instructions));
}

static json_t *versions(void)
{
    json_t *list = json_pack("[s]", MODERN);

    for (size_t i = 0; i < sizeof handshakes / sizeof *handshakes; i++)
        (void)json_array_append_new(list, json_string(handshakes[i]));
    return list;
}

static void discover(struct rpc_call *c, json_t *params)
{
    (void)params;
    rpc_result(c, json_pack("{s:o, s:o, s:s}", "supportedVersions", versions(), "capabilities",
                            capabilities(), "instructions", rpc_host_of(c)->instructions));
}

static void ping(struct rpc_call *c, json_t *params)
{
    (void)params;
    rpc_result(c, json_object());
}

/* The index that a cursor stands for; -1: it is none of ours. */
static int cursor_read(const json_t *params)
{
    const json_t *cursor = json_object_get(params, "cursor");
    const char *s = rpc_text(cursor);
    int at = 0;

    if (!cursor || json_is_null(cursor))
        return 0;
    if (!s || strncmp(s, CURSOR_PREFIX, strlen(CURSOR_PREFIX)) != 0)
        return -1;
    s += strlen(CURSOR_PREFIX);
    if (*s < '1' || *s > '9')
        return -1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || at > 100000)
            return -1;
        at = at * 10 + (*s - '0');
    }
    return at;
}

/* One page of the list, which is taken over. */
static void answer_page(struct rpc_call *c, const json_t *params, const char *name, json_t *list)
{
    const size_t page = rpc_host_of(c)->page, n = json_array_size(list);
    const int at = cursor_read(params);

    if (at < 0 || (at > 0 && (size_t)at >= n)) {
        rpc_error(c, RPC_PARAMS, NULL, "the cursor is none that this server gave");
        json_decref(list);
        return;
    }
    json_t *some = json_array(), *result = json_object();
    size_t i = (size_t)at;
    for (; i < n && i - (size_t)at < page; i++)
        (void)json_array_append(some, json_array_get(list, i));
    (void)json_object_set_new(result, name, some);
    if (i < n) {
        char next[32];
        (void)snprintf(next, sizeof next, CURSOR_PREFIX "%zu", i);
        (void)json_object_set_new(result, "nextCursor", json_string(next));
    }
    json_decref(list);
    rpc_result(c, result);
}

static void tools_list(struct rpc_call *c, json_t *params)
{
    answer_page(c, params, "tools", json_incref(rpc_host_of(c)->tools));
}

static void templates_list(struct rpc_call *c, json_t *params)
{
    answer_page(c, params, "resourceTemplates", json_incref(rpc_host_of(c)->templates));
}

static void resources_list(struct rpc_call *c, json_t *params)
{
    answer_page(c, params, "resources", rpc_host_of(c)->resources(rpc_host_of(c)->ctx));
}

static void resources_read(struct rpc_call *c, json_t *params)
{
    const char *uri = rpc_text(json_object_get(params, "uri"));

    if (uri)
        rpc_host_of(c)->read_resource(rpc_host_of(c)->ctx, c, uri);
    else
        rpc_error(c, RPC_PARAMS, NULL, "resources/read: uri is missing");
}

static void tools_call(struct rpc_call *c, json_t *params)
{
    const char *name = rpc_text(json_object_get(params, "name"));
    json_t *arguments = json_object_get(params, "arguments");

    if (!name || (arguments && !json_is_object(arguments))) {
        rpc_error(c, RPC_PARAMS, NULL, "tools/call: wanted a name and an object of arguments");
        return;
    }
    arguments = arguments ? json_incref(arguments) : json_object();
    rpc_host_of(c)->call_tool(rpc_host_of(c)->ctx, c, name, arguments);
    json_decref(arguments);
}

/* Nothing of ours ever changes by itself, so nothing is honoured; the subscription stands until it is cancelled. */
static void listen_to(struct rpc_call *c, json_t *params)
{
    (void)params;
    if (!rpc_may_listen(c)) {
        rpc_error(c, RPC_INVALID, NULL, "at most %d subscriptions at once", RPC_LISTENERS);
        return;
    }
    json_t *id = json_loads(c->id, JSON_DECODE_ANY, NULL);
    rpc_notify(c->rpc, "notifications/subscriptions/acknowledged",
               json_pack("{s:{s:o}, s:{}}", "_meta", META "subscriptionId", id ? id : json_string(c->id),
                         "notifications"));
}

static const struct rpc_method methods[] = {
    {"initialize", OLD, -1, initialize},
    {"ping", OLD, -1, ping},
    {"server/discover", NEW, LIST_TTL_MS, discover},
    {"subscriptions/listen", NEW, -1, listen_to},
    {"tools/list", OLD | NEW, LIST_TTL_MS, tools_list},
    {"tools/call", OLD | NEW, -1, tools_call},
    {"resources/list", OLD | NEW, 0, resources_list},
    {"resources/templates/list", OLD | NEW, LIST_TTL_MS, templates_list},
    {"resources/read", OLD | NEW, 0, resources_read},
};

void method_dress(const struct rpc_method *m, json_t *result)
{
    (void)json_object_set_new(result, "resultType", json_string("complete"));
    (void)json_object_set_new(result, "_meta", json_pack("{s:o}", META "serverInfo", server_info()));
    if (m->ttl >= 0) {
        (void)json_object_set_new(result, "ttlMs", json_integer(m->ttl));
        (void)json_object_set_new(result, "cacheScope", json_string("private"));
    }
}

/* Whether a modern request says what it must say. Answers it when not. */
static bool modern_ok(struct rpc_call *c, const json_t *meta)
{
    const char *version = rpc_text(json_object_get(meta, META "protocolVersion"));

    if (!version) {
        rpc_error(c, RPC_PARAMS, NULL, "_meta: " META "protocolVersion is missing");
        return false;
    }
    if (strcmp(version, MODERN) != 0) {
        rpc_error(c, RPC_VERSION, json_pack("{s:o, s:s}", "supported", versions(), "requested", version),
                  "this protocol version is not served without a handshake");
        return false;
    }
    if (!json_is_object(json_object_get(meta, META "clientCapabilities"))) {
        rpc_error(c, RPC_PARAMS, NULL, "_meta: " META "clientCapabilities is missing");
        return false;
    }
    return true;
}

void method_run(struct rpc_call *c, const char *name, json_t *params)
{
    const json_t *meta = json_object_get(params, "_meta");
    const struct rpc_method *m = NULL;

    for (size_t i = 0; i < sizeof methods / sizeof *methods && !m; i++)
        m = strcmp(methods[i].name, name) == 0 ? &methods[i] : NULL;
    c->method = m;
    c->modern = json_object_get(meta, META "protocolVersion") || (m && m->who == NEW);
    if (c->modern && !modern_ok(c, meta))
        return;
    if (!m || !(m->who & (c->modern ? NEW : OLD)))
        rpc_error(c, RPC_METHOD, NULL, "no such method: %s", name);
    else
        m->run(c, params);
}
