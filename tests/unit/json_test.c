/* json_test: commas, nesting, and strings of any bytes.
 *
 * Lives in: a test program. May: compute, fork to see a CHECK end its process. */
#include "base/json.h"
#include "unit.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_sample(struct json *j)
{
    json_open(j, NULL, '{');
    json_str(j, "s", "x");
    json_open(j, "list", '[');
    json_num(j, NULL, -1);
    json_open(j, NULL, '{');
    json_close(j, '}');
    json_open(j, NULL, '{');
    json_bool(j, "t", true);
    json_bool(j, "f", false);
    json_close(j, '}');
    json_null(j, NULL);
    json_close(j, ']');
    json_open(j, "none", '[');
    json_close(j, ']');
    json_str(j, "null", NULL);
    json_close(j, '}');
}

static void nests(void **state)
{
    char text[256];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};
    (void)state;
    write_sample(&j);
    assert_string_equal(
        text, "{\"s\":\"x\",\"list\":[-1,{},{\"t\":true,\"f\":false},null],\"none\":[],\"null\":null}");
    assert_int_equal(j.depth, 0);
    assert_false(b.full);
}

static void pretty(void **state)
{
    char text[512];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b, .pretty = true};
    (void)state;
    write_sample(&j);
    assert_string_equal(text, "{\n"
                              "  \"s\": \"x\",\n"
                              "  \"list\": [\n"
                              "    -1,\n"
                              "    {},\n"
                              "    {\n"
                              "      \"t\": true,\n"
                              "      \"f\": false\n"
                              "    },\n"
                              "    null\n"
                              "  ],\n"
                              "  \"none\": [],\n"
                              "  \"null\": null\n"
                              "}");
}

static void numbers(void **state)
{
    char text[128];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};
    (void)state;
    json_open(&j, NULL, '[');
    json_num(&j, NULL, INT64_MIN);
    json_num(&j, NULL, INT64_MAX);
    json_unum(&j, NULL, UINT64_MAX);
    json_unum(&j, NULL, 0);
    json_close(&j, ']');
    assert_string_equal(text, "[-9223372036854775808,9223372036854775807,18446744073709551615,0]");
}

static void strings(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", "\"\""},
        {"a/b", "\"a/b\""},
        {"\"\\", "\"\\\"\\\\\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1b\x7f", "\"\\u0001\\u001b\\u007f\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {"\xc2\x9b", "\"\\u009b\""},
        {"\xe2\x80\xae", "\"\\u202e\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"a\xc0\xaf"
         "b",
         "\"a\xef\xbf\xbd\xef\xbf\xbd"
         "b\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sbuf b = SBUF(text);
        struct json j = {.out = &b};

        json_str(&j, NULL, rows[i].in);
        assert_string_equal(text, rows[i].out);
    }
}

static void keys_are_strings(void **state)
{
    char text[64];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};
    (void)state;
    json_open(&j, NULL, '{');
    json_bool(&j, "a\"\n\xff", true);
    json_close(&j, '}');
    assert_string_equal(text, "{\"a\\\"\\n\xef\xbf\xbd\":true}");
}

static void too_long(void **state)
{
    char text[16];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};
    (void)state;
    json_open(&j, NULL, '[');
    json_str(&j, NULL, "0123456789abcdef0123456789");
    json_close(&j, ']');
    assert_true(b.full);
    assert_int_equal(strlen(text), 15);
    assert_int_equal(j.depth, 0);
}

/* The deepest that may be, and one more, in a process of its own. */
static int dig(unsigned depth, unsigned closes)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        char text[64];
        struct sbuf b = SBUF(text);
        struct json j = {.out = &b};

        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        for (unsigned i = 0; i < depth; i++)
            json_open(&j, NULL, '[');
        for (unsigned i = 0; i < closes; i++)
            json_close(&j, ']');
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(dig(JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX - 1), 0);
    assert_int_equal(dig(JSON_DEPTH_MAX, 0), SIGABRT);
    assert_int_equal(dig(1, 2), SIGABRT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nests),
        cmocka_unit_test(pretty),
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(keys_are_strings),
        cmocka_unit_test(too_long),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
