/* mcp_test: the protocol core and the cleaning of output, without a process or a descriptor.
 *
 * Lives in: a test program. May: compute. */
#include "base/utf8.h"
#include "mcp/line.h"
#include "mcp/rpc.h"
#include "mcp/text.h"
#include "mcp/uri.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define META                                                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/"       \
    "clientCapabilities\":{}}"

static char said[1 << 16]; /* each message and a line end */
static struct rpc_call *kept;
static int cancels;

static void hear(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    assert_true(strlen(said) + len + 2 < sizeof said);
    strncat(said, text, len); /* allowed: a test's own bound was asked for above */
    strcat(said, "\n");       /* allowed: as above */
}

static json_t *no_resources(void *ctx)
{
    (void)ctx;
    return json_array();
}

static void call_tool(void *ctx, struct rpc_call *c, const char *name, json_t *arguments)
{
    (void)ctx;
    (void)arguments;
    if (strcmp(name, "later") == 0) {
        kept = c;
        c->work = c;
    } else {
        rpc_result(c, json_pack("{s:s}", "did", name));
    }
}

static void read_resource(void *ctx, struct rpc_call *c, const char *uri)
{
    (void)ctx;
    rpc_error(c, c->modern ? RPC_PARAMS : RPC_NO_RESOURCE, NULL, "no %s", uri);
}

static void cancel(void *ctx, struct rpc_call *c)
{
    (void)ctx;
    c->work = NULL;
    cancels++;
}

static struct rpc *begin(struct rpc_host *host)
{
    said[0] = '\0';
    kept = NULL;
    cancels = 0;
    *host = (struct rpc_host){.instructions = "i",
                              .page = 2,
                              .tools = json_pack("[i,i,i,i,i]", 1, 2, 3, 4, 5),
                              .templates = json_array(),
                              .resources = no_resources,
                              .call_tool = call_tool,
                              .read_resource = read_resource,
                              .cancel = cancel};
    return rpc_new(host, hear, NULL);
}

static void end(struct rpc *r, struct rpc_host *host)
{
    rpc_close(r);
    json_decref(host->tools);
    json_decref(host->templates);
}

static void take(struct rpc *r, const char *text)
{
    char *copy = strdup(text);

    said[0] = '\0';
    rpc_take(r, copy, strlen(copy));
    free(copy);
}

/* What is sent for one message, whole. */
static void answers(const char *message, const char *wanted)
{
    struct rpc_host host;
    struct rpc *r = begin(&host);

    take(r, message);
    if (wanted[0] == '~')
        assert_non_null(strstr(said, wanted + 1));
    else
        assert_string_equal(said, wanted);
    assert_int_equal(rpc_pending(r), 0);
    end(r, &host);
}

static void ids_come_back_as_they_came(void **state)
{
    static const char *const ids[] = {"1",
                                      "-7",
                                      "0",
                                      "\"a\"",
                                      "\"\\u0041\"",
                                      "\"\"",
                                      "9007199254740993",
                                      "123456789012345678901234567890",
                                      "\"\xc3\xa9\""};
    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++) {
        char m[200], w[200];
        (void)snprintf(m, sizeof m,
                       "{\"id\" : %s ,\"method\":\"ping\",\"jsonrpc\":\"2.0\",\"x\":[{\"id\":5}]}", ids[i]);
        (void)snprintf(w, sizeof w, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n", ids[i]);
        answers(m, w);
    }
}

static void bad_messages_are_refused(void **state)
{
    static const struct {
        const char *message, *wanted;
    } rows[] = {
        {"{", "~\"id\":null,\"error\":{\"code\":-32700"},
        {"nonsense", "~-32700"},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", "~\"id\":null,\"error\":{\"code\":-32600"},
        {"[]", "~-32600"},
        {"3", "~-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", "~\"id\":null,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", "~\"id\":null,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", "~\"id\":null,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"2.0\",\"\\u0069d\":1,\"method\":\"ping\"}",
         "~\"id\":null,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", "~\"id\":1,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", "~\"id\":1,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nope\"}", "~\"id\":1,\"error\":{\"code\":-32601"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[1]}",
         "~\"id\":1,\"error\":{\"code\":-32602"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", "~-32700"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", ""},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", ""},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"no/such\"}", ""},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":9}}", ""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}", "~-32602"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"info\"}}",
         "~-32601"},
    };
    char deep[LINE_DEPTH_MAX * 2 + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        answers(rows[i].message, rows[i].wanted);
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    answers(deep, "~\"id\":null,\"error\":{\"code\":-32600");
}

static void both_eras_are_served(void **state)
{
    static const struct {
        const char *message, *wanted;
    } rows[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2024-11-"
         "05\"}}",
         "~\"protocolVersion\":\"2024-11-05\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2099-01-"
         "01\"}}",
         "~\"protocolVersion\":\"2025-11-25\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META "}}",
         "~\"supportedVersions\":[\"2026-07-28\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}", "~-32602"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" META "}}", "~-32601"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-"
         "25\"," META "}}",
         "~-32601"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"x\"," META "}}",
         "~\"did\":\"x\",\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/serverInfo\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}",
         "~\"result\":{\"did\":\"x\"}}\n"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"x\",\"_meta\":{"
         "\"io.modelcontextprotocol/protocolVersion\":\"2027-01-01\"}}}",
         "~-32022,\"message\":\"this protocol version is not served without a "
         "handshake\",\"data\":{\"supported\":[\"2026-07-28\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
         "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}",
         "~-32602"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"u\"}}",
         "~-32002"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"u\"," META "}}",
         "~-32602"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        answers(rows[i].message, rows[i].wanted);
}

static void lists_come_in_pages(void **state)
{
    (void)state;
    answers("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[1,2],\"nextCursor\":\"from-2\"}}\n");
    answers("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"from-4\"}}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[5]}}\n");
    static const char *const bad[] = {
        "\"x\"", "\"from-\"", "\"from-0\"", "\"from-5\"", "\"from--1\"", "\"from-99999999999\"", "7"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char m[200];
        (void)snprintf(m, sizeof m,
                       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":%s}}",
                       bad[i]);
        answers(m, "~-32602");
    }
}

static void a_cancelled_call_has_no_answer(void **state)
{
    struct rpc_host host;
    struct rpc *r = begin(&host);

    (void)state;
    take(r, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"tools/"
            "call\",\"params\":{\"name\":\"later\",\"_meta\":{\"progressToken\":5}}}");
    assert_string_equal(said, "");
    rpc_progress(kept, 1.5, "so far");
    assert_non_null(
        strstr(said, "\"notifications/progress\",\"params\":{\"progressToken\":5,\"progress\":1.5"));
    take(r, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"ping\"}");
    assert_non_null(strstr(said, "\"id\":\"a\",\"error\":{\"code\":-32600")); /* still in use */
    take(r, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}");
    assert_non_null(strstr(said, "\"id\":2,\"result\":{}")); /* a slow call does not block */
    take(r, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"b\"}}");
    assert_int_equal(cancels, 0);
    take(r, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"a\"}}");
    assert_int_equal(cancels, 1);
    assert_string_equal(said, "");
    assert_int_equal(rpc_pending(r), 0);
    end(r, &host);
}

static void a_subscription_stands_until_the_end(void **state)
{
    struct rpc_host host;
    struct rpc *r = begin(&host);

    (void)state;
    take(r, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"subscriptions/"
            "listen\",\"params\":{\"notifications\":{}," META "}}");
    assert_non_null(strstr(
        said,
        "subscriptions/acknowledged\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":4}"));
    assert_int_equal(rpc_pending(r), 0);
    said[0] = '\0';
    end(r, &host);
    assert_non_null(strstr(said, "\"id\":4,\"result\":{\"resultType\":\"complete\""));
}

static void output_is_cleaned(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain\ttext\n", "plain\ttext\n"},
        {"a\r\nb\rc", "a\nb\\x0dc"},
        {"\x1b[2J\x07\x7f", "\\x1b[2J\\x07\\x7f"},
        {"\xc3\xa9\xff\xc3", "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x80\xae", "\\u202e"},
        {"\xc2\x9b", "\\x9b"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
         "\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"},
    };
    char out[200];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(text_clean(rows[i].in, strlen(rows[i].in), out, sizeof out, &len),
                         strlen(rows[i].in));
        assert_int_equal(len, strlen(rows[i].out));
        assert_memory_equal(out, rows[i].out, len);
    }
    /* Cut only between characters; the next piece starts where this one ended. */
    assert_int_equal(text_clean("a\xc3\xa9"
                                "b",
                                4, out, 2, &len),
                     1);
    assert_int_equal(len, 1);
    assert_int_equal(text_clean("\x1b", 1, out, 3, &len), 0);
}

static void paths_in_addresses_come_back(void **state)
{
    static const struct {
        const char *text, *path; /* NULL: none */
    } rows[] = {
        {"/a%20b", "/a b"}, {"", ""},           {"%41%7e", "A~"},       {"%c3%A9", "\xc3\xa9"},
        {"%", NULL},        {"%4", NULL},       {"a%zz", NULL},         {"%00", NULL},
        {"a?b", NULL},      {"a#b", NULL},      {"%3f%23", "?#"},       {"%25", "%"},
        {"/../x", "/../x"}, {"12345678", NULL}, {"1234567", "1234567"}, {"%31%32%33%34%35%36%37%38", NULL}};
    char out[8], all[256];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(uri_decode(rows[i].text, out, sizeof out), rows[i].path != NULL);
        if (rows[i].path)
            assert_string_equal(out, rows[i].path);
    }
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    json_t *s = uri_encode("x", all, 255, "y");
    const char *text = json_string_value(s);
    char back[300];
    assert_non_null(text);
    assert_true(uri_decode(text, back, sizeof back));
    assert_int_equal(strlen(back), 257);
    assert_memory_equal(back + 1, all, 255);
    json_decref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_in_addresses_come_back),
        cmocka_unit_test(ids_come_back_as_they_came),
        cmocka_unit_test(bad_messages_are_refused),
        cmocka_unit_test(both_eras_are_served),
        cmocka_unit_test(lists_come_in_pages),
        cmocka_unit_test(a_cancelled_call_has_no_answer),
        cmocka_unit_test(a_subscription_stands_until_the_end),
        cmocka_unit_test(output_is_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
