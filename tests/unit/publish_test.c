/* publish_test: words about published ports. */
#include "base/sbuf.h"
#include "policy/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct policy *p;
static struct err e;
static char notes[1024];

static int fresh(void **state)
{
    (void)state;
    policy_free(p);
    p = policy_new();
    memset(&e, 0, sizeof e);
    notes[0] = '\0';
    return p ? 0 : -1;
}

static int done(void **state)
{
    (void)state;
    policy_free(p);
    p = NULL;
    return 0;
}

static int flag(const char *value)
{
    return policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "publish", value, &e);
}

static void note(void *ctx, const char *text)
{
    struct sbuf b = {.text = notes, .size = sizeof notes, .len = strlen(notes)};
    (void)ctx;
    sbuf_fmt(&b, "%s\n", text);
}

static void ports_are_read(void **state)
{
    char *text = malloc(policy_text_size(p) + 4096);
    struct sbuf b = {.text = text, .size = policy_text_size(p) + 4096};

    (void)state;
    assert_int_equal(flag("[::1]:8080:80"), 0);
    assert_int_equal(flag("65535:1"), 0);
    assert_int_equal(flag("127.0.0.1:65535:1"), 0); /* said before */
    assert_int_equal(flag("0:80"), 0);
    assert_int_equal(flag("0:80"), 0); /* another free one */
    assert_int_equal(policy_check(p, note, NULL, &e), 0);
    policy_text(p, &b);
    assert_non_null(strstr(text, "publish:\n  - 127.0.0.1:0:80\n  - 127.0.0.1:0:80\n  - 127.0.0.1:65535:1\n"
                                 "  - \"[::1]:8080:80\"\n"));
    assert_string_equal(notes, "");
    assert_int_equal(p->net, NET_NONE);
    free(text);
}

static void nonsense_is_refused(void **state)
{
    static const char *const values[] = {"80",
                                         "80:",
                                         ":80",
                                         "80:0",
                                         "65536:80",
                                         "080:80",
                                         "0x50:80",
                                         "80:80:80",
                                         "-1:80",
                                         "80: 80",
                                         "1:2:3:4",
                                         "[::1]80:80",
                                         "[::1",
                                         "[]:1:1",
                                         "[127.0.0.1]:1:1",
                                         "[::ffff:1.2.3.4]:1:1",
                                         "::1:1:1",
                                         "1.2.3.4:1",
                                         "host:1:1",
                                         "1.2.3.4.5:1:1",
                                         "80:99999",
                                         "80:1/udp"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        memset(&e, 0, sizeof e);
        if (flag(values[i]) == 0)
            fail_msg("%s was taken", values[i]);
        assert_non_null(strstr(e.hint, "as 8080:80"));
    }
    assert_int_equal(p->publish_count, 0);
    assert_int_equal(flag("8080:80"), 0);
    assert_true(flag("8080:81") < 0);
    assert_non_null(strstr(e.text, "leads elsewhere already"));
    assert_int_equal(policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "net", "host", &e), 0);
    assert_true(policy_check(p, note, NULL, &e) < 0);
}

static void wide_addresses_are_told(void **state)
{
    (void)state;
    assert_int_equal(flag("0.0.0.0:8080:80"), 0);
    assert_int_equal(flag("127.9.9.9:8080:80"), 0);
    assert_int_equal(flag("[::]:8080:80"), 0);
    assert_int_equal(policy_check(p, note, NULL, &e), 0);
    assert_non_null(strstr(notes, "--publish 0.0.0.0:8080:80: whoever reaches"));
    assert_non_null(strstr(notes, "--publish [::]:8080:80: whoever reaches"));
    assert_null(strstr(notes, "127.9.9.9"));
    fresh(NULL);
    for (unsigned i = 0; i < POLICY_PUBLISH_MAX; i++)
        assert_int_equal(flag("0:80"), 0);
    assert_true(flag("0:80") < 0);
    fresh(NULL);
    assert_true(policy_set(p, SOURCE_PROJECT, "x", 1, "publish", "8080:80", &e) < 0);
}

#define T(name) cmocka_unit_test_setup(name, fresh)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ports_are_read),
        T(nonsense_is_refused),
        T(wide_addresses_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
