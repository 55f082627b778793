/* flow_test: what may pass inside a connection: TLS hellos, HTTP heads and bodies, and the order of both sides. */
#include "gate/edit.h"
#include "gate/flow.h"
#include "gate/head.h"
#include "gate/hello.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BOTH (FLOW_TLS | FLOW_HTTP)

static uint8_t made[4096];

static void put16(uint8_t *at, size_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* A hello in records of at most `piece` bytes; `extra`: the type of one more extension, 0 none. */
static size_t make_hello(const char *name, unsigned extra, size_t piece)
{
    uint8_t m[1024] = {1, 0, 0, 0, 3, 3};
    size_t n = 6 + 32, ext, len = strlen(name), at = 0;

    m[n++] = 0;
    put16(m + n, 2);
    put16(m + n + 2, 0x1301);
    n += 4;
    m[n++] = 1;
    m[n++] = 0;
    ext = n;
    n += 2;
    if (len > 0) {
        put16(m + n, 0);
        put16(m + n + 2, len + 5);
        put16(m + n + 4, len + 3);
        m[n + 6] = 0;
        put16(m + n + 7, len);
        memcpy(m + n + 9, name, len);
        n += len + 9;
    }
    if (extra != 0) {
        put16(m + n, extra);
        put16(m + n + 2, 0);
        n += 4;
    }
    put16(m + ext, n - ext - 2);
    put16(m + 2, n - 4);
    for (size_t done = 0; done < n;) {
        size_t part = n - done < piece ? n - done : piece;
        memcpy(made + at, (const uint8_t[]){22, 3, 1}, 3);
        put16(made + at + 3, part);
        memcpy(made + at + 5, m + done, part);
        at += part + 5;
        done += part;
    }
    return at;
}

static enum flow_step say(struct flow *f, unsigned takes, enum flow_side side, const void *bytes, size_t size,
                          struct flow_verdict *v)
{
    const struct flow_rules r = {.takes = takes, .name = "allowed.test", .port = 80};
    flow_next(f, &r, side, bytes, size, v);
    return v->step;
}

static enum flow_step text(struct flow *f, enum flow_side side, const char *s, struct flow_verdict *v)
{
    return say(f, BOTH, side, s, strlen(s), v);
}

static struct flow fresh(unsigned takes)
{
    struct flow f;
    assert_int_equal(flow_begin(&f, takes), (takes & BOTH) != 0);
    return f;
}

static void a_hello_names_the_host(void **state)
{
    struct hello h;

    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        size_t n = make_hello("Allowed.TEST", 0, piece);
        assert_int_equal(hello_parse(made, n, &h), 0);
        assert_true(h.named && !h.hidden && h.size == n);
        assert_string_equal(h.name, "allowed.test");
        for (size_t cut = 1; cut < n; cut++)
            assert_int_equal(hello_parse(made, cut, &h), -EAGAIN);
    }
    assert_int_equal(hello_parse(made, make_hello("", 0, 999), &h), 0);
    assert_false(h.named);
    assert_int_equal(hello_parse(made, make_hello("a.test", 0x0a0a, 999), &h), 0); /* GREASE */
    assert_false(h.hidden);
    assert_int_equal(hello_parse(made, make_hello("a.test", 0xfe0d, 999), &h), 0);
    assert_true(h.hidden);
}

static void what_is_no_hello_is_refused(void **state)
{
    static const char *const bad[] = {"SSH-2.0-probe\r\n",    "GET / HTTP/1.0\r\n\r\n",
                                      "\x80\x2e\x01\x03\x01", "\x16\x02\x01\x00\x20",
                                      "\x16\x03\x01\x7f\xff", "\x17\x03\x03\x00\x20"};
    struct hello h;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hello_parse((const uint8_t *)bad[i], i > 2 ? 5 : strlen(bad[i]), &h), -EPROTO);
    assert_int_equal(hello_parse((const uint8_t *)"\x16\x03\x01\x00\x00", 5, &h),
                     -EPROTO); /* an empty record */
    n = make_hello("a.test", 0, 999);
    made[6] = 1; /* a length beyond any hello */
    assert_int_equal(hello_parse(made, n, &h), -EMSGSIZE);
    n = make_hello("a.test", 0, 999);
    made[8]++; /* the message is said to be longer than what is in it */
    assert_int_equal(hello_parse(made, n, &h), -EAGAIN);
    n = make_hello("a.test", 0, 999); /* the same extension twice */
    assert_int_equal(hello_parse(made, n, &h), 0);
    assert_int_equal(hello_parse(made, make_hello("a.test", 0x0000, 999), &h), 0);
    n = make_hello("a..test", 0, 999);
    assert_int_equal(hello_parse(made, n, &h), -EPROTO);
    n = make_hello("192.0.2.1 ", 0, 999);
    assert_int_equal(hello_parse(made, n, &h), -EPROTO);
}

static void another_name_ends_it(void **state)
{
    struct flow_verdict v;
    struct flow f = fresh(FLOW_TLS);

    (void)state;
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, make_hello("evil.test", 0, 999), &v), FLOW_BAD);
    assert_int_equal(v.fault, FLOW_FAULT_NAME);
    assert_string_equal(v.why, "its TLS hello names evil.test");
    f = fresh(FLOW_TLS);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, make_hello("", 0, 999), &v), FLOW_BAD);
    f = fresh(FLOW_TLS);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, make_hello("allowed.test", 0xfe0d, 999), &v), FLOW_BAD);
    assert_int_equal(v.fault, FLOW_FAULT_HIDDEN);
    f = fresh(FLOW_TLS);
    assert_int_equal(
        say(&f, FLOW_TLS | FLOW_HIDDEN, FLOW_UP, made, make_hello("allowed.test", 0xfe0d, 999), &v),
        FLOW_PASS);
}

static const char again[] = "\x16\x03\x03\x00\x30\x02\x00\x00\x2c\x03\x03"
                            "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
                            "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";

static void a_second_hello_is_read_too(void **state)
{
    struct flow_verdict v;
    struct flow f = fresh(FLOW_TLS);
    size_t n = make_hello("allowed.test", 0, 999);

    (void)state;
    assert_int_equal(say(&f, FLOW_TLS, FLOW_DOWN, again, 4, &v), FLOW_HOLD); /* the server may not begin */
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, n, &v), FLOW_PASS);
    assert_int_equal(v.count, n);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, n, &v), FLOW_HOLD);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_DOWN, again, 20, &v), FLOW_MORE);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_DOWN, again, sizeof again - 1, &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, "\x14\x03\x03\x00\x01\x01", 6, &v), FLOW_PASS);
    assert_int_equal(v.count, 6);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, make_hello("evil.test", 0, 999), &v), FLOW_BAD);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, make_hello("allowed.test", 0, 999), &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL);
}

static void an_ordinary_answer_lets_both_go(void **state)
{
    struct flow_verdict v;
    struct flow f = fresh(FLOW_TLS);
    char plain[sizeof again];

    (void)state;
    memcpy(plain, again, sizeof plain);
    plain[20] ^= 1;
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, made, make_hello("allowed.test", 0, 999), &v), FLOW_PASS);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_DOWN, plain, sizeof plain - 1, &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL);
    assert_int_equal(say(&f, FLOW_TLS, FLOW_UP, "x", 1, &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL);
}

static void requests_for_the_host_pass(void **state)
{
    static const char *const good[] = {
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhOST:\tALLOWED.test.:80 \r\n\r\n",
        "GET http://allowed.test/x HTTP/1.1\r\nHost: allowed.test:80\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    };
    struct flow_verdict v;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct flow f = fresh(BOTH);
        for (size_t cut = 0; cut < strlen(good[i]); cut++)
            assert_int_equal(say(&f, BOTH, FLOW_UP, good[i], cut, &v), FLOW_MORE);
        assert_int_equal(text(&f, FLOW_UP, good[i], &v), FLOW_PASS);
        assert_int_equal(v.count, strlen(good[i]));
    }
}

#define CHUNKED "Transfer-Encoding: chunked\r\n"

static void other_requests_do_not(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: evil.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test:81\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test@evil.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test, evil.test\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://evil.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "GET http://allowed.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "GET http://evil.test@allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test\r\nHost: evil.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test\r\nHost: allowed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : allowed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: allowed.test\r\n\r\n",
        "GET / HTTP/1.1\nHost: allowed.test\n\n",
        "GET / HTTP/1.1\r\nHost: allowed.test\r\nX: a\rb\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: allowed.test\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT evil.test:443 HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "CONNECT allowed.test:80 HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "GET gopher://evil.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: allowed.test\r\n" CHUNKED CHUNKED "\r\n",
        "POST / HTTP/1.0\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\n\r\n",
        "SSH-2.0-probe\r\n",
        "\x80\x2e\x01\x03\x01",
    };
    struct flow_verdict v;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct flow f = fresh(BOTH);
        if (text(&f, FLOW_UP, bad[i], &v) != FLOW_BAD || v.why[0] == '\0')
            fail_msg("%s", bad[i]);
    }
}

#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"

static void each_request_of_a_connection_is_read(void **state)
{
    struct flow f = fresh(BOTH);
    struct flow_verdict v;

    (void)state;
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 200 OK\r\n\r\n", &v), FLOW_HOLD);
    assert_int_equal(text(&f, FLOW_UP, GET("allowed.test") GET("evil.test"), &v), FLOW_PASS);
    assert_int_equal(v.count, strlen(GET("allowed.test")));
    assert_int_equal(text(&f, FLOW_UP, GET("evil.test"), &v), FLOW_HOLD);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 100 Continue\r\n\r\n", &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_UP, GET("evil.test"), &v), FLOW_HOLD);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", &v), FLOW_PASS);
    assert_int_equal(v.count, 38 + 7);
    assert_int_equal(text(&f, FLOW_UP, GET("evil.test"), &v), FLOW_HOLD); /* the body has not passed yet */
    assert_int_equal(text(&f, FLOW_DOWN, "", &v), FLOW_MORE);
    assert_int_equal(text(&f, FLOW_UP, GET("evil.test"), &v), FLOW_BAD);
    assert_string_equal(v.why, "its request has the Host evil.test");
}

static void bodies_pass_by_their_length(void **state)
{
    static const char post[] = "POST / HTTP/1.1\r\nHost: allowed.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct flow f = fresh(BOTH);
    struct flow_verdict v;

    (void)state;
    assert_int_equal(text(&f, FLOW_UP, post, &v), FLOW_PASS);
    assert_int_equal(v.count, strlen(post));
    assert_int_equal(text(&f, FLOW_UP, "1", &v), FLOW_MORE);
    assert_int_equal(text(&f, FLOW_UP, "1f;a=b\r\nGET", &v), FLOW_PASS);
    assert_int_equal(v.count, 8 + 0x1f);
    assert_int_equal(text(&f, FLOW_UP, "\r\nA\r\n", &v), FLOW_PASS);
    assert_int_equal(v.count, 5 + 10);
    assert_int_equal(text(&f, FLOW_UP, "\r\n0\r\n", &v), FLOW_PASS);
    assert_int_equal(v.count, 5);
    assert_int_equal(text(&f, FLOW_UP, "X: y\r\n\r\n", &v), FLOW_PASS);
    assert_int_equal(v.count, 6);
    assert_int_equal(text(&f, FLOW_UP, "\r\n", &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &v),
                     FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "0\r\n\r\n", &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_HOLD);
    assert_int_equal(text(&f, FLOW_DOWN, "\r\n", &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_HOLD);
    assert_int_equal(text(&f, FLOW_DOWN, "", &v), FLOW_MORE);
    assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 200 OK\r\n\r\n", &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL); /* to the end of the connection */
    assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_HOLD);
}

static void bad_chunks_end_it(void **state)
{
    static const char *const bad[] = {"x\r\n",    "-1\r\n", "1\n", "1\r\r\n", "ffffffffffffffff\r\n",
                                      "0x10\r\n", ";\r\n",  "\r\n"};
    size_t size;
    uint64_t length;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(head_chunk(bad[i], strlen(bad[i]), true, &size, &length), -EPROTO);
    assert_int_equal(head_chunk("x\r\n", 3, false, &size, &length), -EPROTO);
}

static void an_upgrade_counts_when_the_server_agrees(void **state)
{
    static const char ws[] = "GET / HTTP/1.1\r\nHost: allowed.test\r\nUpgrade: websocket\r\n\r\n";
    struct flow f = fresh(BOTH);
    struct flow_verdict v;

    (void)state;
    assert_int_equal(text(&f, FLOW_UP, ws, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_UP, "raw", &v), FLOW_HOLD);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "", &v), FLOW_MORE);
    assert_int_equal(text(&f, FLOW_UP, "\x01raw", &v), FLOW_BAD);
    f = fresh(BOTH);
    assert_int_equal(text(&f, FLOW_UP, ws, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 101 Switching\r\n\r\n", &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL);
    assert_int_equal(text(&f, FLOW_UP, "raw", &v), FLOW_PASS);
    assert_true(v.count == FLOW_ALL);
    f = fresh(BOTH);
    assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 101 Switching\r\n\r\n", &v), FLOW_BAD);
    assert_int_equal(v.fault, FLOW_FAULT_UPSTREAM);
}

/* A body that a server sends where none is due must not be read as answers that free the connection. */
static void bodies_of_head_answers_free_nothing(void **state)
{
    static const char head[] = "HEAD / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
                      lower[] = "head / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
                      ws[] = "GET / HTTP/1.1\r\nHost: allowed.test\r\nUpgrade: websocket\r\n\r\n",
                      answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    struct flow f = fresh(BOTH);
    struct flow_verdict v;

    (void)state;
    assert_int_equal(text(&f, FLOW_UP, lower, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, answer, &v), FLOW_PASS);
    assert_int_equal(v.count, sizeof answer - 1 + 5); /* with its body */
    f = fresh(BOTH);
    assert_int_equal(text(&f, FLOW_UP, head, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, answer, &v), FLOW_PASS);
    assert_int_equal(v.count, sizeof answer - 1);
    assert_int_equal(text(&f, FLOW_DOWN, answer, &v), FLOW_BAD); /* nothing was asked */
    assert_int_equal(v.fault, FLOW_FAULT_UPSTREAM);
    f = fresh(BOTH);
    assert_int_equal(text(&f, FLOW_UP, head, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, answer, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "", &v), FLOW_MORE);
    assert_int_equal(text(&f, FLOW_UP, ws, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 101 Switching\r\n\r\n", &v), FLOW_BAD);
}

/* Each end of an answer, asked for after all of it but its last byte has passed, and after that. */
static void a_request_waits_for_the_end_of_the_answer(void **state)
{
    static const struct {
        const char *method;
        const char *answer[4]; /* what is let pass, one by one */
    } rows[] = {
        {"GET", {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"}},
        {"GET", {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}},
        {"HEAD", {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"}},
        {"HEAD", {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}},
        {"GET", {"HTTP/1.1 204 No\r\n\r\n"}},
        {"GET", {"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n"}},
        {"GET", {"HTTP/1.1 103 Hints\r\n\r\n", "HTTP/1.1 100 Go\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"}},
        {"GET", {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx", "\r\n0\r\n", "\r\n"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct flow f = fresh(BOTH);
        struct flow_verdict v;
        char request[99];
        (void)snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
                       rows[i].method);
        assert_int_equal(text(&f, FLOW_UP, request, &v), FLOW_PASS);
        for (size_t k = 0; k < 4 && rows[i].answer[k] != NULL; k++) {
            assert_int_equal(text(&f, FLOW_DOWN, rows[i].answer[k], &v), FLOW_PASS);
            assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_HOLD);
        }
        assert_int_equal(text(&f, FLOW_DOWN, "", &v), FLOW_MORE);
        assert_int_equal(text(&f, FLOW_UP, GET("allowed.test"), &v), FLOW_PASS);
        assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 204 No\r\n\r\n", &v), FLOW_PASS);
    }
}

static enum flow_step trail(const char *line, const char *http, struct flow_verdict *v)
{
    static const char head[] = "POST /b HTTP/1.1\r\nHost: allowed.test\r\n" CHUNKED "\r\n";
    const struct flow_rules r = {.takes = BOTH, .name = "allowed.test", .port = 80, .http = http};
    struct flow f = fresh(BOTH);

    flow_next(&f, &r, FLOW_UP, (const void *)head, strlen(head), v);
    assert_int_equal(v->step, FLOW_PASS);
    flow_next(&f, &r, FLOW_UP, (const void *)"0\r\n", 3, v);
    assert_int_equal(v->step, FLOW_PASS);
    flow_next(&f, &r, FLOW_UP, (const void *)line, strlen(line), v);
    return v->step;
}

static void trailers_obey_the_rules_of_fields(void **state)
{
    static const char *const bad[] = {
        "Host: evil.test\r\n", "content-length: 4\r\n", "Transfer-Encoding: chunked\r\n",
        "Upgrade: h2c\r\n",    "Connection: x\r\n",     "TE: trailers\r\n",
        "Trailer: Host\r\n",   "Expect: x\r\n",         "Host : allowed.test\r\n"};
    struct flow_verdict v;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (trail(bad[i], NULL, &v) != FLOW_BAD || v.fault != FLOW_FAULT_FORM)
            fail_msg("%s", bad[i]);
    }
    assert_int_equal(trail("X-HTTP-Method-Override: DELETE\r\n", "*:/b", &v), FLOW_BAD);
    assert_int_equal(v.fault, FLOW_FAULT_REQUEST);
    assert_string_equal(v.why,
                        "behind its body stands a field that belongs before it: X-HTTP-Method-Override");
    assert_int_equal(trail("X-HTTP-Method-Override: DELETE\r\n", NULL, &v), FLOW_PASS);
    assert_int_equal(trail("x-amz-checksum-crc32: AAAA\r\n", "*:/b", &v), FLOW_PASS);
    assert_int_equal(v.count, strlen("x-amz-checksum-crc32: AAAA\r\n"));
}

static void trailers_end(void **state)
{
    static const char head[] = "POST /b HTTP/1.1\r\nHost: allowed.test\r\n" CHUNKED "\r\n";
    struct flow f = fresh(BOTH);
    struct flow_verdict v;

    (void)state;
    assert_int_equal(text(&f, FLOW_UP, head, &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_UP, "0\r\n", &v), FLOW_PASS);
    for (int i = 0; i < HEAD_LINES; i++)
        assert_int_equal(text(&f, FLOW_UP, "X: y\r\n", &v), FLOW_PASS);
    assert_int_equal(text(&f, FLOW_UP, "X: y\r\n", &v), FLOW_BAD);
}

static void a_body_without_a_meaning_is_the_last(void **state)
{
    static const struct {
        const char *method, *fields;
        bool last;
    } rows[] = {{"GET", "Content-Length: 5\r\nConnection: keep-alive\r\n", true},
                {"get", "connection: a\r\nContent-Length: 5\r\nConnection: b\r\n", true},
                {"HEAD", CHUNKED "Upgrade: x\r\nConnection: upgrade\r\n", true},
                {"DELETE", "Content-Length: 1\r\n", true},
                {"OPTIONS", CHUNKED, true},
                {"GET", "Content-Length: 0\r\n", false},
                {"GET", "", false},
                {"POST", "Content-Length: 5\r\n", false},
                {"PUT", CHUNKED, false}};
    static char out[EDIT_MAX];
    const struct flow_rules rules = {.name = "allowed.test", .port = 80};
    const char *why;
    struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct flow f = fresh(BOTH);
        struct flow_verdict v;
        struct head_field field;
        char request[199];
        size_t at = 0, connections = 0;
        (void)snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: allowed.test\r\n%s\r\n",
                       rows[i].method, rows[i].fields);
        assert_int_equal(text(&f, FLOW_UP, request, &v), FLOW_PASS);
        assert_int_equal(v.last, rows[i].last);
        assert_int_equal(edit_wanted(&rules, &v), rows[i].last);
        if (!v.last)
            continue;
        size_t n = edit_head(request, &rules, FLOW_UP, SECRET_CLEAR, &v, out);
        assert_int_equal(head_request(out, n, &h, &why), 0);
        assert_true(h.size == n && h.has_host && !h.upgrade && !f.upgrading);
        while (head_field(out, &h, &at, &field)) {
            if (!head_is(out, field.name, "connection"))
                continue;
            connections++;
            assert_true(head_is(out, field.value, "close"));
        }
        assert_int_equal(connections, 1);
    }
}

/* The server may not hear of the wish: some take what follows their refusal for a new request. */
static void the_word_before_the_body_is_ours(void **state)
{
    static const struct {
        const char *fields;
        bool drops, go_on;
    } rows[] = {{"Expect: 100-continue\r\nContent-Length: 5\r\n", true, true},
                {"expect:100-Continue\r\n" CHUNKED, true, true},
                {"Expect: 100-continue\r\n", true, false},
                {"Expect: 100-continue\r\nContent-Length: 0\r\n", true, false},
                {"Expect: something\r\nContent-Length: 5\r\n", true, false},
                {"Content-Length: 5\r\n", false, false}};
    static char out[EDIT_MAX];
    const struct flow_rules rules = {.name = "allowed.test", .port = 80};
    const char *why;
    struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct flow f = fresh(BOTH);
        struct flow_verdict v;
        char request[199];
        (void)snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: allowed.test\r\n%sX: y\r\n\r\n",
                       rows[i].fields);
        assert_int_equal(text(&f, FLOW_UP, request, &v), FLOW_PASS);
        assert_int_equal(v.without_expect, rows[i].drops);
        assert_int_equal(v.go_on, rows[i].go_on);
        assert_int_equal(edit_wanted(&rules, &v), rows[i].drops);
        size_t n = edit_head(request, &rules, FLOW_UP, SECRET_CLEAR, &v, out);
        assert_int_equal(head_request(out, n, &h, &why), 0);
        assert_true(h.size == n && !h.expects && h.has_host);
    }
}

static void what_cannot_be_judged_is_refused(void **state)
{
    static const struct {
        const char *request;
        bool secret;
        enum flow_step want;
    } rows[] = {
        {"CONNECT /x HTTP/1.1\r\nHost: allowed.test\r\n\r\n", false, FLOW_BAD},
        {"POST / HTTP/1.1\r\nHost: allowed.test\r\nX_HTTP_Method_Override: PUT\r\n\r\n", true, FLOW_BAD},
        {"POST / HTTP/1.1\r\nHost: allowed.test\r\nX-HTTP-Method-Override: PUT\r\n\r\n", true, FLOW_BAD},
        {"TRACK / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", true, FLOW_BAD},
        {"TRACK / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", false, FLOW_PASS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct flow_rules r = {
            .takes = BOTH, .name = "allowed.test", .port = 80, .secret = rows[i].secret};
        struct flow f = fresh(BOTH);
        struct flow_verdict v;
        flow_next(&f, &r, FLOW_UP, (const void *)rows[i].request, strlen(rows[i].request), &v);
        assert_int_equal(v.step, rows[i].want);
    }
}

static void http2_is_not_asked_for(void **state)
{
    static const char h2c[] = "GET / HTTP/1.1\r\nHost: allowed.test\r\nUpgrade: h2c\r\nX: y\r\n\r\n";
    static char out[EDIT_MAX];
    const struct flow_rules rules = {.name = "allowed.test", .port = 80};
    struct flow f = fresh(BOTH);
    struct flow_verdict v;

    (void)state;
    assert_int_equal(text(&f, FLOW_UP, h2c, &v), FLOW_PASS);
    assert_true(edit_wanted(&rules, &v));
    size_t n = edit_head(h2c, &rules, FLOW_UP, SECRET_CLEAR, &v, out);
    out[n] = '\0';
    assert_string_equal(out, "GET / HTTP/1.1\r\nHost: allowed.test\r\nX: y\r\n\r\n");
    assert_int_equal(text(&f, FLOW_DOWN, "HTTP/1.1 101 Switching\r\n\r\n", &v), FLOW_BAD);
}

static void a_long_head_ends_it(void **state)
{
    static char head[HEAD_MAX + 1];
    const char *why = NULL;
    struct head h;

    (void)state;
    memset(head, 'a', sizeof head);
    memcpy(head, "GET / HTTP/1.1\r\nX: ", 19);
    assert_int_equal(head_request(head, HEAD_MAX - 1, &h, &why), -EAGAIN);
    assert_int_equal(head_request(head, HEAD_MAX, &h, &why), -EPROTO);
    assert_string_equal(why, "a head that is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_names_the_host),
        cmocka_unit_test(what_is_no_hello_is_refused),
        cmocka_unit_test(another_name_ends_it),
        cmocka_unit_test(a_second_hello_is_read_too),
        cmocka_unit_test(an_ordinary_answer_lets_both_go),
        cmocka_unit_test(requests_for_the_host_pass),
        cmocka_unit_test(other_requests_do_not),
        cmocka_unit_test(each_request_of_a_connection_is_read),
        cmocka_unit_test(bodies_pass_by_their_length),
        cmocka_unit_test(bad_chunks_end_it),
        cmocka_unit_test(an_upgrade_counts_when_the_server_agrees),
        cmocka_unit_test(bodies_of_head_answers_free_nothing),
        cmocka_unit_test(a_request_waits_for_the_end_of_the_answer),
        cmocka_unit_test(trailers_obey_the_rules_of_fields),
        cmocka_unit_test(trailers_end),
        cmocka_unit_test(a_body_without_a_meaning_is_the_last),
        cmocka_unit_test(the_word_before_the_body_is_ours),
        cmocka_unit_test(what_cannot_be_judged_is_refused),
        cmocka_unit_test(http2_is_not_asked_for),
        cmocka_unit_test(a_long_head_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
