/* gate_test: what the gate makes of packets, names and the host's files. */
#include "gate/answer.h"
#include "gate/hosts.h"
#include "gate/pins.h"
#include "gate/proxy.h"
#include "gate/refused.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct egress_rule table[8];
static struct egress_rules rules = {.rules = table};
static struct egress_words words[8];

static int read_rules(void **state)
{
    static const char text[] = "allow allowed.test:443\nallow *.w.test:80\ndeny x.w.test\n";
    (void)state;
    struct egress_texts texts = {.at = (char *)words, .left = sizeof words};
    return egress_read_lines(text, sizeof text - 1, &texts, table, 8, &rules.count);
}

static size_t ask(const char *name, uint16_t type, uint8_t out[DNS_PACKET_MAX], enum answer_told *told)
{
    uint8_t packet[DNS_PACKET_MAX];
    char said[DNS_NAME_MAX];
    int n = dns_query_write(0x1234, name, type, packet);
    assert_true(n > 0);
    return answer_make(&rules, packet, (size_t)n, out, told, said);
}

static void listed_names_have_a_pin(void **state)
{
    uint8_t out[DNS_PACKET_MAX];
    enum answer_told told;
    struct dns_result r;
    int pin;

    (void)state;
    size_t n = ask("allowed.test", DNS_A, out, &told);
    assert_int_equal(dns_result_parse(out, n, 0x1234, "allowed.test", DNS_A, &r), 0);
    assert_int_equal(r.count, 1);
    assert_true(pins_find(&r.addrs[0], &pin));
    assert_string_equal(pins_name((unsigned)pin), "allowed.test");
    n = ask("a.b.w.test", DNS_AAAA, out, &told);
    assert_int_equal(dns_result_parse(out, n, 0x1234, "a.b.w.test", DNS_AAAA, &r), 0);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.addrs[0].bytes[0], 0xfd);
    n = ask("allowed.test", 16, out, &told); /* TXT: the name is there, the type is not */
    assert_int_equal(out[3] & 15, DNS_NOERROR);
    assert_int_equal(out[7], 0);
    assert_int_equal(told, ANSWER_QUIET);
}

static void other_names_do_not_exist(void **state)
{
    static const char *const names[] = {"denied.test", "w.test", "x.w.test", "allowed.test.denied.test",
                                        "xallowed.test"};
    uint8_t out[DNS_PACKET_MAX];
    enum answer_told told;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)ask(names[i], DNS_A, out, &told);
        assert_int_equal(out[3] & 15, DNS_NXDOMAIN);
        assert_int_equal(told, ANSWER_DENIED);
    }
}

static void pointers_come_to_an_end(void **state)
{
    static const uint8_t self[] = {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1};
    static const uint8_t answer[] = {1, 2, 0x40};
    struct dns_question q;

    (void)state;
    assert_int_equal(dns_question_parse(self, sizeof self, &q), -EPROTO);
    assert_int_equal(dns_question_parse(answer, sizeof answer, &q), -EBADMSG);
}

static void the_letters_of_a_question_come_back(void **state)
{
    uint8_t bits[DNS_MIX_BYTES], q[DNS_PACKET_MAX], other[DNS_PACKET_MAX];
    struct dns_result r;
    int n = dns_query_write(7, "a-2.allowed.test", DNS_A, q);

    (void)state;
    memset(bits, 0xff, sizeof bits);
    memcpy(other, q, sizeof q);
    dns_query_mix(q, bits);
    assert_memory_equal(q + 12, "\3A-2\7ALLOWED\4TEST", 18);
    assert_false(dns_result_repeats(other, (size_t)n, q));
    q[2] = 0x81;
    assert_true(dns_result_repeats(q, (size_t)n, q));
    assert_false(dns_result_repeats(q, 20, q));
    assert_int_equal(dns_result_parse(q, (size_t)n, 7, "a-2.allowed.test", DNS_A, &r), 0);
}

static void who_says_that_there_is_nothing_says_of_what(void **state)
{
    static const uint8_t nothing[] = {0, 7, 0x81, 0x83, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t refused[] = {0, 7, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0};
    struct dns_result r;

    (void)state;
    assert_int_equal(dns_result_parse(nothing, sizeof nothing, 7, "a.test", DNS_A, &r), -EBADMSG);
    assert_int_equal(dns_result_parse(refused, sizeof refused, 7, "a.test", DNS_A, &r), 0);
}

static void aliases_are_followed_and_loops_end(void **state)
{
    uint8_t p[DNS_PACKET_MAX];
    struct dns_result r;
    int n = dns_query_write(7, "allowed.test", DNS_A, p) - 11; /* without the OPT record */
    static const uint8_t alias[] = {0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 3, 1, 'a', 0};
    static const uint8_t loop[] = {1, 'a', 0, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12};
    static const uint8_t addr[] = {1, 'a', 0, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1};

    (void)state;
    p[2] = 0x81, p[11] = 0, p[7] = 2;
    memcpy(p + n, alias, sizeof alias);
    memcpy(p + n + sizeof alias, addr, sizeof addr);
    assert_int_equal(
        dns_result_parse(p, (size_t)n + sizeof alias + sizeof addr, 7, "allowed.test", DNS_A, &r), 0);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.ttl, 5);
    memcpy(p + n + sizeof alias, loop, sizeof loop);
    assert_int_equal(
        dns_result_parse(p, (size_t)n + sizeof alias + sizeof loop, 7, "allowed.test", DNS_A, &r), 0);
    assert_int_equal(r.count, 0);
    assert_int_equal(dns_result_parse(p, (size_t)n + sizeof alias + 3, 7, "allowed.test", DNS_A, &r),
                     -EPROTO);
    assert_int_equal(dns_result_parse(p, (size_t)n, 8, "allowed.test", DNS_A, &r), -EBADMSG);
    assert_int_equal(dns_result_parse(p, (size_t)n, 7, "other.test", DNS_A, &r), -EBADMSG);
}

static void a_full_table_of_pins_reuses_the_oldest_but_not_its_address(void **state)
{
    char name[32];
    int pin;

    (void)state;
    unsigned first = pins_of("first.test");
    struct gate_addr a = pins_v4(first), b = pins_v6(first);
    for (unsigned i = 0; i < PINS_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%u.test", i);
        (void)pins_of(name);
    }
    for (unsigned round = 0; round < 5;
         round++) { /* nor do those of later names come to stand for others soon */
        assert_true(pins_find(&a, &pin) && pin == -1);
        assert_true(pins_find(&b, &pin) && pin == -1);
        for (unsigned i = 0; i < PINS_MAX; i++) {
            (void)snprintf(name, sizeof name, "m%u-%u.test", round, i);
            unsigned now = pins_of(name);
            struct gate_addr v4 = pins_v4(now), v6 = pins_v6(now);
            assert_true(pins_find(&v4, &pin) && pin == (int)now && pins_find(&v6, &pin) && pin == (int)now);
        }
    }
    assert_int_equal(pins_of("n9999.test"), pins_of("n9999.test"));
    assert_string_equal(pins_name(pins_of("first.test")), "first.test");
}

static void the_hosts_files_are_read(void **state)
{
    static const char conf[] =
        "# x\nsearch a\nnameserver 192.0.2.1 # y\n nameserver\t2001:db8::1\r\nnameserver nonsense\n"
        "search B.test c..d e.test. # f\noptions rotate ndots:2 ndots:x2x\n";
    static const char names[] = "192.0.2.9 One.Test one # two\nnonsense x\n2001:db8::9\tone.test";
    struct hosts_servers s;
    struct gate_addr a[4];

    (void)state;
    hosts_read_servers(conf, sizeof conf - 1, &s);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.at[1].size, 16);
    static const char *const attempts[] = {"x.y.b.test", "x.y.e.test", "x.y"};
    char name[EGRESS_NAME_MAX];
    for (size_t i = 0; i < 3; i++) {
        assert_true(hosts_attempt(&s, "x.y", i, name));
        assert_string_equal(name, attempts[i]);
    }
    assert_false(hosts_attempt(&s, "x.y", 3, name));
    assert_true(hosts_attempt(&s, "x.y.z", 0, name));
    assert_string_equal(name, "x.y.z");
    assert_false(hosts_attempt(&s, "x.y.z", 1, name));
    hosts_read_servers("search a.b", 10, &s);
    assert_true(hosts_attempt(&s, "x", 0, name));
    assert_string_equal(name, "x.a.b");
    hosts_read_servers("", 0, &s);
    assert_true(hosts_attempt(&s, "x", 0, name));
    assert_string_equal(name, "x");
    assert_int_equal(s.at[0].bytes[0], 127);
    static const char zones[] = "nameserver fe80::1%eth0\nnameserver 192.0.2.1%eth0\nnameserver fe80::1%\n"
                                "nameserver fe80::2%a-name-of-15-ch\nnameserver "
                                "fe80::2%a-name-of-16-chr\nnameserver fe80::3%2\nnameserver ::1";
    hosts_read_servers(zones, sizeof zones - 1, &s);
    assert_int_equal(s.count, 3);
    assert_string_equal(s.zone[0], "eth0");
    assert_string_equal(s.zone[1], "a-name-of-15-ch");
    assert_string_equal(s.zone[2], "2");
    hosts_read_names(names, sizeof names - 1);
    assert_int_equal(hosts_find("one.test", a, 4), 2);
    assert_int_equal(hosts_find("two", a, 4), 0);
}

static void refused_packets_are_read(void **state)
{
    /* Two messages as the kernel writes them: IPv4 to 203.0.113.9:8443, IPv6 to [2001:db8::9]:8443. */
    static const char hex[] =
        "5000000000040000000000000000000002000039080001000800010008000a006e6574002c00090045000028000000004006"
        "0000c6"
        "120001cb0071099c4020fb0000000100000000500203e800000000"
        "6400000000040000000000000000000002000039080001000800010008000a006e657400400009006000000000140640fd57"
        "000000"
        "000000000000000000000120010db80000000000000000000000099c4020fb0000000100000000500203e800000000";
    uint8_t bytes[sizeof hex / 2];
    struct gate_addr a;
    uint16_t port;
    char text[46];
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        unsigned v;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
        bytes[i] = (uint8_t)v;
    }
    assert_int_equal(refused_next(bytes, sizeof bytes, &at, &a, &port), 1);
    assert_string_equal(addr_text(&a, text), "203.0.113.9");
    assert_int_equal(port, 8443);
    assert_int_equal(refused_next(bytes, sizeof bytes, &at, &a, &port), 1);
    assert_string_equal(addr_text(&a, text), "2001:db8::9");
    assert_int_equal(refused_next(bytes, sizeof bytes, &at, &a, &port), 0);
    for (size_t size = 0; size < 80; size++) {
        at = 0;
        assert_int_equal(refused_next(bytes, size, &at, &a, &port), 0);
    }
}

static void first_packets_are_read(void **state)
{
    /* From their IP headers on: 203.0.113.9:8443 behind four bytes of options, [2001:db8::9]:8443. */
    static const uint8_t four[] = {0x46, [9] = 6, [16] = 203, 0, 113, 9, [24] = 0x9c, 0x40, 0x20, 0xfb};
    static const uint8_t six[] = {
        0x60, [6] = 6, [24] = 0x20, 0x01, 0x0d, 0xb8, [39] = 9, 0x9c, 0x40, 0x20, 0xfb};
    struct gate_addr a;
    uint16_t port = 0;
    char text[46];

    (void)state;
    assert_int_equal(seen_read(four, sizeof four, &a, &port), 1);
    assert_string_equal(addr_text(&a, text), "203.0.113.9");
    assert_int_equal(port, 8443);
    port = 0;
    assert_int_equal(seen_read(six, sizeof six, &a, &port), 1);
    assert_string_equal(addr_text(&a, text), "2001:db8::9");
    assert_int_equal(port, 8443);
    for (size_t size = 0; size < sizeof four; size++)
        assert_int_equal(seen_read(four, size, &a, &port), 0);
    for (size_t size = 0; size < sizeof six; size++)
        assert_int_equal(seen_read(six, size, &a, &port), 0);
}

static const char *canonical(const char *url)
{
    static char text[UPSTREAM_TEXT_MAX];
    struct sbuf b = SBUF(text);
    struct upstream u;
    const char *why, *hint;

    if (upstream_read(url, &u, &why, &hint) < 0)
        return NULL;
    upstream_text(&u, true, &b);
    return text;
}

static void proxies_are_read(void **state)
{
    static const char *const bad[] = {"",
                                      "proxy:3128",
                                      "http://",
                                      "http://p",
                                      "http://p:0",
                                      "http://p:1,2",
                                      "http://p:1-2",
                                      "http://*.p.org:1",
                                      "http://10.0.0.0/8:1",
                                      "http://p:1/path",
                                      "http://@p:1",
                                      "http://a%3ab:c@p:1",
                                      "http://a:%zz@p:1",
                                      "http://a:%0a@p:1",
                                      "http://p:1 internal",
                                      "http://::1:1"};

    (void)state;
    assert_string_equal(canonical("http://Proxy.Example:3128/"), "http://proxy.example:3128");
    assert_string_equal(canonical("socks5h://me:p%20w@d@[2001:DB8::1]:1080"),
                        "socks5://me:p%20w%40d@[2001:db8::1]:1080");
    assert_string_equal(canonical("https://me:w@Proxy.Example:443"), "https://me:w@proxy.example:443");
    assert_string_equal(canonical("http://localhost:1"), "http://localhost:1");
    assert_string_equal(canonical("http://127.0.0.1:1"), "http://127.0.0.1:1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (canonical(bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
}

static enum proxy_heard hears(enum upstream_kind kind, const char *in, size_t size, size_t *used,
                              unsigned *code)
{
    const struct upstream u = {.kind = kind};
    struct proxy_talk t = {.step = PROXY_CONNECT};
    enum proxy_heard heard = proxy_hear(&u, &t, (const uint8_t *)in, size, used);

    *code = t.code;
    return heard;
}

static void answers_of_proxies_are_read(void **state)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nVia: x\r\n\r\nmore", no[] = "HTTP/1.0 403 No\r\n\r\n",
                      nonsense[] = "220 ready\r\n\r\n", socks[] = "\5\0\0\1\1\2\3\4\0\5more",
                      refused[] = "\5\5\0\1\0\0\0\0\0\0";
    size_t used, whole = sizeof ok - 1 - 4;
    unsigned code;

    (void)state;
    for (size_t n = 0; n < whole; n++)
        assert_int_equal(hears(UPSTREAM_HTTP, ok, n, &used, &code), PROXY_MORE);
    assert_int_equal(hears(UPSTREAM_HTTP, ok, sizeof ok - 1, &used, &code), PROXY_OPEN);
    assert_int_equal(used, whole);
    assert_int_equal(hears(UPSTREAM_HTTP, no, sizeof no - 1, &used, &code), PROXY_REFUSED);
    assert_int_equal(code, 403);
    for (size_t n = 1; n < sizeof nonsense; n++)
        assert_int_equal(hears(UPSTREAM_HTTP, nonsense, n, &used, &code), PROXY_BAD);
    for (size_t n = 0; n < 10; n++)
        assert_int_equal(hears(UPSTREAM_SOCKS5, socks, n, &used, &code), PROXY_MORE);
    assert_int_equal(hears(UPSTREAM_SOCKS5, socks, sizeof socks - 1, &used, &code), PROXY_OPEN);
    assert_int_equal(used, 10);
    assert_int_equal(hears(UPSTREAM_SOCKS5, refused, 10, &used, &code), PROXY_REFUSED);
    assert_int_equal(code, 5);
    assert_int_equal(hears(UPSTREAM_SOCKS5, ok, 20, &used, &code), PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_names_have_a_pin),
        cmocka_unit_test(other_names_do_not_exist),
        cmocka_unit_test(pointers_come_to_an_end),
        cmocka_unit_test(the_letters_of_a_question_come_back),
        cmocka_unit_test(who_says_that_there_is_nothing_says_of_what),
        cmocka_unit_test(aliases_are_followed_and_loops_end),
        cmocka_unit_test(a_full_table_of_pins_reuses_the_oldest_but_not_its_address),
        cmocka_unit_test(the_hosts_files_are_read),
        cmocka_unit_test(refused_packets_are_read),
        cmocka_unit_test(first_packets_are_read),
        cmocka_unit_test(proxies_are_read),
        cmocka_unit_test(answers_of_proxies_are_read),
    };
    return cmocka_run_group_tests(tests, read_rules, NULL);
}
