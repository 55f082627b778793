/* fixtures: an MCP server with the tools and resources that the protocol's own conformance scenarios ask for.
 *
 * It is the protocol core, the standard input and output, and the tables' checks of strongroom-mcp with another host
 * behind them; no program that is installed holds any of it.
 *
 * Lives in: a test program, started by tests/mcp/official. Must not: be installed. */
#include "mcp/server.h"
#include "mcp/stdio.h"
#include "sys/fd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One red pixel; a wave file of two samples. */
#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
#define WAV "UklGRigAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQQAAAAAAP9/"

enum { TEXT, IMAGE, AUDIO, EMBEDDED };

static json_t *piece(int kind)
{
    switch (kind) {
    case TEXT:
        return json_pack("{s:s, s:s}", "type", "text", "text", "This is a simple text response for testing.");
    case IMAGE:
        return json_pack("{s:s, s:s, s:s}", "type", "image", "data", PNG, "mimeType", "image/png");
    case AUDIO:
        return json_pack("{s:s, s:s, s:s}", "type", "audio", "data", WAV, "mimeType", "audio/wav");
    default:
        return json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "resource", "resource", "uri",
                         "test://embedded-resource", "mimeType", "text/plain", "text",
                         "This is an embedded resource content.");
    }
}

static void give(struct rpc_call *c, json_t *content)
{
    rpc_result(c, json_pack("{s:o, s:b}", "content", content, "isError", 0));
}

#define GIVES(name, kind)                                                                                    \
    static void name(struct server *s, struct rpc_call *c, const json_t *args)                               \
    {                                                                                                        \
        (void)s;                                                                                             \
        (void)args;                                                                                          \
        give(c, json_pack("[o]", piece(kind)));                                                              \
    }
GIVES(text, TEXT)
GIVES(image, IMAGE)
GIVES(audio, AUDIO)
GIVES(embedded, EMBEDDED)

static void mixed(struct server *s, struct rpc_call *c, const json_t *args)
{
    (void)s;
    (void)args;
    give(c, json_pack("[o, o, o]", piece(TEXT), piece(IMAGE), piece(EMBEDDED)));
}

static void failing(struct server *s, struct rpc_call *c, const json_t *args)
{
    (void)s;
    (void)args;
    tool_failed(c, "This tool intentionally returns an error for testing");
}

static void with_progress(struct server *s, struct rpc_call *c, const json_t *args)
{
    (void)s;
    (void)args;
    for (int i = 0; i <= 100; i += 50)
        rpc_progress(c, i, "on the way");
    give(c, json_pack("[o]", piece(TEXT)));
}

#define ROW(name, help, fn)                                                                                  \
    {                                                                                                        \
        name, name, help, TOOL_READS, "{'type':'object'}", fn,                                               \
        {                                                                                                    \
            {                                                                                                \
                NULL, TYPE_TEXT, false, 0, 0, NULL, NULL                                                     \
            }                                                                                                \
        }                                                                                                    \
    }
const struct tool tools[] = {
    ROW("test_simple_text", "a text", text),
    ROW("test_image_content", "an image", image),
    ROW("test_audio_content", "a sound", audio),
    ROW("test_embedded_resource", "a resource", embedded),
    ROW("test_multiple_content_types", "several things", mixed),
    ROW("test_error_handling", "an error", failing),
    ROW("test_tool_with_progress", "progress", with_progress),
    ROW("json_schema_2020_12_tool", "a schema with all that a schema may hold", text),
};
const size_t tool_count = sizeof tools / sizeof *tools;

/* What the row's own schema cannot say, and what must reach the client as it is. */
static const char schema[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
    "\"$defs\":{\"address\":{\"$anchor\":\"addressDef\",\"type\":\"object\","
    "\"properties\":{\"street\":{\"type\":\"string\"},\"city\":{\"type\":\"string\"}}}},"
    "\"properties\":{\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"},"
    "\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},"
    "\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
    "\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],"
    "\"if\":{\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},\"required\":[\"contactMethod\"]},"
    "\"then\":{\"required\":[\"phone\"]},\"else\":{\"required\":[\"email\"]},"
    "\"additionalProperties\":false}";

static json_t *definitions(const struct server *s)
{
    json_t *list = tools_definitions(s), *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        (void)json_object_del(one, "outputSchema"); /* these have content only */
        if (i == tool_count - 1)
            (void)json_object_set_new(one, "inputSchema", json_loads(schema, 0, NULL));
    }
    return list;
}

static void call_tool(void *ctx, struct rpc_call *c, const char *name, json_t *arguments)
{
    tools_call(ctx, c, name, arguments);
}

static void cancel(void *ctx, struct rpc_call *c)
{
    (void)ctx;
    (void)c;
}

static json_t *resources(void *ctx)
{
    (void)ctx;
    return json_pack("[{s:s, s:s, s:s, s:s}, {s:s, s:s, s:s, s:s}]", "uri", "test://static-text", "name",
                     "text", "description", "a text", "mimeType", "text/plain", "uri", "test://static-binary",
                     "name", "binary", "description", "an image", "mimeType", "image/png");
}

static void read_resource(void *ctx, struct rpc_call *c, const char *uri)
{
    (void)ctx;
    if (strcmp(uri, "test://static-text") == 0)
        rpc_result(c, json_pack("{s:[{s:s, s:s, s:s}]}", "contents", "uri", uri, "mimeType", "text/plain",
                                "text", "This is the content of the static text resource."));
    else if (strcmp(uri, "test://static-binary") == 0)
        rpc_result(c, json_pack("{s:[{s:s, s:s, s:s}]}", "contents", "uri", uri, "mimeType", "image/png",
                                "blob", PNG));
    else if (strcmp(uri, "test://template/123/data") == 0)
        rpc_result(c,
                   json_pack("{s:[{s:s, s:s, s:s}]}", "contents", "uri", uri, "mimeType", "application/json",
                             "text", "{\"id\":\"123\",\"templateTest\":true,\"data\":\"Data for ID: 123\"}"));
    else
        rpc_error(c, c->modern ? RPC_PARAMS : RPC_NO_RESOURCE, json_pack("{s:s}", "uri", uri),
                  "no such resource");
}

int main(void)
{
    static struct server s = {.rooms_max = 1};

    (void)signal(SIGPIPE, SIG_IGN);
    if (fd_fill_stdio() < 0)
        return 125;
    s.host = (struct rpc_host){.ctx = &s,
                               .instructions = "fixtures",
                               .page = 50,
                               .tools = definitions(&s),
                               .templates =
                                   json_pack("[{s:s, s:s, s:s}]", "uriTemplate", "test://template/{id}/data",
                                             "name", "template", "mimeType", "application/json"),
                               .resources = resources,
                               .call_tool = call_tool,
                               .read_resource = read_resource,
                               .cancel = cancel};
    const int n = s.host.tools && s.host.templates ? stdio_serve(&s) : -1;
    json_decref(s.host.tools);
    json_decref(s.host.templates);
    return n < 0 ? 125 : 0;
}
