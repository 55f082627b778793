/* secret_test: marks become values for their host only, and requests are judged by their decoded path. */
#include "gate/edit.h"
#include "gate/secret.h"
#include "policy/egress_http.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MARK  "srs_0123456789abcdef0123456789abcdef0123"
#define OTHER "srs_ffffffffffffffffffffffffffffffffffff"

static char out[4096];

static void add(const char *mark, const char *where, const char *value)
{
    char text[SECRET_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%s%c%s%c%s", mark, 0, where, 0, value);

    assert_int_equal(secret_add(text, (size_t)n + 1), 0);
}

static int two_secrets(void **state)
{
    (void)state;
    secret_forget();
    add(MARK, "a.test:443", "top secret/1");
    add(OTHER, "*.b.test:8080", "x");
    return 0;
}

static const char *put(const char *head, const char *name, uint16_t port, enum secret_way way)
{
    size_t n = secret_put(head, strlen(head), name, port, way, out, sizeof out - 1);
    out[n] = '\0';
    return out;
}

static void a_mark_becomes_the_value(void **state)
{
    (void)state;
    assert_string_equal(put("GET /?k=" MARK " HTTP/1.1\r\nA: x" MARK "y" MARK "\r\nB: " OTHER "\r\n\r\n",
                            "a.test", 443, SECRET_BY_TLS),
                        "GET /?k=top%20secret%2F1 HTTP/1.1\r\nA: xtop secret/1ytop secret/1\r\nB: " OTHER
                        "\r\n\r\n");
    assert_string_equal(put("GET / HTTP/1.1\r\nA: " MARK "\r\n\r\n", "a.test", 443, SECRET_CLEAR),
                        "GET / HTTP/1.1\r\nA: " MARK "\r\n\r\n");
    assert_string_equal(put("GET / HTTP/1.1\r\nA: " MARK "\r\n\r\n", "b.test", 443, SECRET_BY_TLS),
                        "GET / HTTP/1.1\r\nA: " MARK "\r\n\r\n");
    assert_string_equal(put("GET / HTTP/1.1\r\nA: " OTHER "\r\n\r\n", "c.b.test", 8080, SECRET_CLEAR),
                        "GET / HTTP/1.1\r\nA: x\r\n\r\n");
}

static void it_does_so_in_basic_credentials(void **state)
{
    (void)state;
    /* user:MARK, user:top secret/1 */
    assert_string_equal(put("GET / HTTP/1.1\r\nAuthorization: Basic "
                            "dXNlcjpzcnNfMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIz\r\n\r\n",
                            "a.test", 443, SECRET_BY_TLS),
                        "GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjp0b3Agc2VjcmV0LzE=\r\n\r\n");
    assert_string_equal(
        put("GET / HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n", "a.test", 443, SECRET_BY_TLS),
        "GET / HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n");
    assert_string_equal(put("GET / HTTP/1.1\r\nAuthorization: Basic *\r\n\r\n", "a.test", 443, SECRET_BY_TLS),
                        "GET / HTTP/1.1\r\nAuthorization: Basic *\r\n\r\n");
}

static void an_answer_has_the_mark_again(void **state)
{
    static const char head[] = "HTTP/1.1 302 Go\r\nLocation: /top secret/1/top secret/1x\r\n\r\n";

    (void)state;
    size_t n = secret_hide(head, strlen(head), "a.test", 443, SECRET_BY_TLS, out, sizeof out - 1);
    out[n] = '\0';
    assert_string_equal(out, "HTTP/1.1 302 Go\r\nLocation: /" MARK "/" MARK "x\r\n\r\n");
}

static const char *hidden(const char *value)
{
    char head[1024];
    int len = snprintf(head, sizeof head, "HTTP/1.1 302 Go\r\nA: %s\r\n\r\n", value);
    size_t n = secret_hide(head, (size_t)len, "a.test", 443, SECRET_BY_TLS, out, sizeof out - 1);

    assert_true(n > 26);
    out[n - 4] = '\0';
    return out + 20;
}

static void every_form_of_a_value_is_hidden(void **state)
{
    (void)state;
    assert_string_equal(hidden("/x?k=top%20secret%2f1&l=top+secret/1"), "/x?k=" MARK "&l=" MARK);
    assert_string_equal(hidden("%74%6F%70%20%73ecret%2F1"), MARK);
    /* user:top secret/1, xtop secret/1y, top secret/1, xxtop secret/1 in the alphabet for URLs and without an end */
    assert_string_equal(hidden("Basic dXNlcjp0b3Agc2VjcmV0LzE="), "Basic dXNlcj" MARK "=");
    assert_string_equal(hidden("eHRvcCBzZWNyZXQvMXk="), "e" MARK "k=");
    assert_string_equal(hidden("dG9wIHNlY3JldC8x"), MARK);
    assert_string_equal(hidden("eHh0b3Agc2VjcmV0LzE"), "eH" MARK);
    assert_string_equal(hidden("/x?next=%2Fy%3Fk%3Dtop%2520secret%252f1"), "/x?next=%2Fy%3Fk%3D" MARK);
    assert_string_equal(hidden("top%252520secret/%2531"), MARK);
    assert_string_equal(hidden("top%25%32%35%32%30secret/1"),
                        "top%25%32%35%32%30secret/1"); /* no decoder does that */
    assert_string_equal(hidden("top secret/2 dG9wIHNlY3JldC8y top%20secret"),
                        "top secret/2 dG9wIHNlY3JldC8y top%20secret");
}

static void a_value_with_a_per_cent_is_hidden(void **state)
{
    (void)state;
    secret_forget();
    add(MARK, "a.test:443", "a%41b%");
    assert_string_equal(hidden("a%41b% a%2541b%25 a%252541b%2525 %61%2541b%25"),
                        MARK " " MARK " " MARK " " MARK);
}

static void the_longest_of_several_values_is_hidden(void **state)
{
    (void)state;
    secret_forget();
    add(OTHER, "a.test:443", "abcd");
    add(MARK, "a.test:443", "abcdefgh");
    assert_string_equal(hidden("xabcdefghx abcd"), "x" MARK "x " OTHER);
    secret_forget();
    add(OTHER, "a.test:443", "xabcd");
    add(MARK, "a.test:443", "abcdefgh");
    assert_string_equal(hidden("xabcdefgh"), OTHER); /* nothing of either stays */
}

static void what_does_not_fit_is_refused(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nA: " OTHER "\r\n\r\n";

    (void)state;
    assert_int_equal(secret_put(head, strlen(head), "a.test", 443, SECRET_BY_TLS, out, 20), 0);
    assert_int_equal(secret_add("x", 1), -EINVAL);
    assert_int_equal(secret_add(MARK "\0a.test\0v", sizeof(MARK "\0a.test\0v") - 1), -EINVAL); /* no end */
}

static bool asks(const char *list, const char *method, const char *path)
{
    const char *why = "";
    return egress_http_matches(list, method, strlen(method), path, strlen(path), &why);
}

static void requests_are_judged(void **state)
{
    static const char list[] = "GET:/a/* POST:/b *:/c/*/d";
    static const char *const no[] = {
        "/", "/a", "/a/../x", "/a/%2e%2e/x", "/a/.%2E/x", "/a/./x", "/a//x", "//a/x", "/a/..;/x",
        "/a/..;a=b/x", "/a/;/x", "/a/%2fx", "/a/%5c..x", "/a/%00", "/a/%25", "/a/%", "/a/%2", "/a/%zz",
        "/a/\\x", "/a/x#y", "a/x", "/A/x", "/a/..", "/a/x/%2e", "/a/x;/..", "*", "/a/ x",
        /* blanks that some servers cut off, and parts of dots */
        "/a/..%20/x", "/a/%2e%2e%20/x", "/a/%20../x", "/a/.%20./x", "/a/%20/x", "/a/.../x", "/a/..%20;x/y",
        "/a/..%c2%a0/x", "/a/..%e3%80%80/x", "/a/%e2%80%a5/x", "/a/%ef%bc%8e%ef%bc%8e/x",
        /* what is no UTF-8: overlong dots and slashes, surrogates, Latin-1 */
        "/a/%c0%ae%c0%ae/x", "/a/%c0%ae./x", "/a/%e0%80%ae%e0%80%ae/x", "/a/..%c0%af/x", "/a/%c1%9c/x",
        "/a/%f0%80%80%af/x", "/a/%ed%a0%80", "/a/%e9", "/a/%80", "/a/\xc0\xae\xc0\xae/x",
        /* characters that become slashes and per cents */
        "/a/x%ef%bc%8f..", "/a/%ef%bc%8fx", "/a/%ef%bc%bcx", "/a/%ef%bc%852e", "/a/%e2%84%80"};

    (void)state;
    assert_true(asks(list, "GET", "/a/x") && asks(list, "HEAD", "/a/x?y=/../") && asks(list, "GET", "/a/"));
    assert_true(asks(list, "POST", "/b?x") && asks(list, "PUT", "/c/x/y/d") &&
                asks(list, "GET", "/%61/%20b"));
    assert_true(asks(list, "GET", "/a/%c3%a9/\xe6\x97\xa5/..b/b../a%20b"));
    assert_true(asks("GET:/*", "GET", "") && asks("GET:/*", "GET", "?x") && asks("*:/*", "GET", "/..a/b.."));
    assert_false(asks(list, "POST", "/a/x") || asks(list, "get", "/a/x") || asks(list, "PUT", "/c/d"));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        if (asks(list, "GET", no[i]))
            fail_msg("%s", no[i]);
    }
}

static void patterns_are_checked(void **state)
{
    static const char *const bad[] = {"GET",         "GET:x",    "get:/x",   "GET:/x?y",  "GET:/%2e",
                                      "GET:/a/../b", "GET://a",  "GET:/./a", "GET:/a/..", ":/x",
                                      "**:/x",       "GET:/a b", "GET:/a;b"};
    char list[EGRESS_HTTP_MAX] = "";
    const char *why, *hint;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (egress_http_add(list, bad[i], &why, &hint) == 0)
            fail_msg("%s", bad[i]);
    }
    assert_int_equal(egress_http_add(list, "GET:/a/*", &why, &hint), 0);
    assert_int_equal(egress_http_add(list, "*:/", &why, &hint), 0);
    assert_string_equal(list, "GET:/a/* *:/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_mark_becomes_the_value, two_secrets),
        cmocka_unit_test_setup(it_does_so_in_basic_credentials, two_secrets),
        cmocka_unit_test_setup(an_answer_has_the_mark_again, two_secrets),
        cmocka_unit_test_setup(every_form_of_a_value_is_hidden, two_secrets),
        cmocka_unit_test(a_value_with_a_per_cent_is_hidden),
        cmocka_unit_test(the_longest_of_several_values_is_hidden),
        cmocka_unit_test_setup(what_does_not_fit_is_refused, two_secrets),
        cmocka_unit_test(requests_are_judged),
        cmocka_unit_test(patterns_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
