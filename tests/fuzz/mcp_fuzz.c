/* mcp_fuzz: lines of a client, one after the other: whatever they are, what goes out is one line of ASCII each, is
 * JSON, and no call is lost. The same bytes once more as a program's output. */
#include "base/err.h"
#include "base/utf8.h"
#include "mcp/rpc.h"
#include "mcp/text.h"
#include "mcp/uri.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What can be read as a path is written and read again as the same one. */
static void check_uri(const char *text)
{
    char path[256], again[256];

    if (!uri_decode(text, path, sizeof path))
        return;
    json_t *s = uri_encode("", path, strlen(path), "");
    CHECK(s && uri_decode(json_string_value(s), again, sizeof again) && strcmp(path, again) == 0);
    json_decref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rpc_call *waiting[8];

static void check_sent(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    for (size_t i = 0; i < len; i++)
        CHECK(text[i] >= ' ' && text[i] <= '~');
    json_t *m = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    CHECK(json_is_object(m) ||
          strstr(text, "\"id\":")); /* an id may be a number that is too large to be read */
    json_decref(m);
}

static json_t *resources(void *ctx)
{
    (void)ctx;
    return json_pack("[s,s,s]", "a", "b", "c");
}

static void call_tool(void *ctx, struct rpc_call *c, const char *name, json_t *arguments)
{
    (void)ctx;
    for (size_t i = 0; name[0] == 'w' && i < sizeof waiting / sizeof *waiting; i++) {
        if (waiting[i])
            continue;
        waiting[i] = c->work = c;
        rpc_progress(c, 1, "waits");
        return;
    }
    if (name[0] == 'e')
        rpc_error(c, RPC_PARAMS, NULL, "no tool %s", name);
    else
        rpc_result(c, json_pack("{s:O}", "arguments", arguments));
}

static void read_resource(void *ctx, struct rpc_call *c, const char *uri)
{
    (void)ctx;
    rpc_error(c, RPC_NO_RESOURCE, json_pack("{s:s}", "uri", uri), "no resource");
}

static void cancel(void *ctx, struct rpc_call *c)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++) {
        if (waiting[i] == c)
            waiting[i] = NULL;
    }
}

static void check_text(const char *p, size_t n)
{
    char out[64];
    size_t len, used, max = n ? 16 + (unsigned char)p[0] % 32 : 16;

    for (size_t at = 0; at < n; at += used) {
        used = text_clean(p + at, n - at, out, max, &len);
        CHECK(used > 0 && used <= n - at && len <= max);
        for (size_t i = 0; i < len;) {
            uint32_t code;
            const unsigned k = utf8_next(out + i, len - i, &code);
            CHECK(k && (code == '\n' || code == '\t' || !utf8_unsafe(code)));
            i += k;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_host host = {.instructions = "",
                            .page = 2,
                            .tools = json_pack("[i,i,i]", 1, 2, 3),
                            .templates = json_array(),
                            .resources = resources,
                            .call_tool = call_tool,
                            .read_resource = read_resource,
                            .cancel = cancel};
    struct rpc *r = rpc_new(&host, check_sent, NULL);
    char *copy = malloc(size + 1);

    CHECK(r && copy);
    if (size)
        memcpy(copy, data, size);
    check_text(copy, size);
    copy[size] = '\0';
    check_uri(copy);
    for (size_t at = 0; at < size;) {
        char *end = memchr(copy + at, '\n', size - at);
        const size_t len = end ? (size_t)(end - copy) - at : size - at;
        rpc_take(r, copy + at, len);
        at += len + 1;
    }
    rpc_close(r);
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
        CHECK(!waiting[i]);
    free(copy);
    json_decref(host.tools);
    json_decref(host.templates);
    return 0;
}
