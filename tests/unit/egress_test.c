/* egress_test: rules about peers as text, their verdicts, and which addresses are nobody's business.
 *
 * Lives in: a test program. */
#include "policy/egress.h"
#include "policy/policy.h"
#include "unit.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *why, *hint;

static const char *canonical(const char *text, bool deny)
{
    static char out[EGRESS_RULE_MAX];
    struct egress_words words;
    struct egress_rule r;
    struct sbuf b = SBUF(out);

    if (egress_read(text, deny, &words, &r, &why, &hint) < 0)
        return NULL;
    egress_text(&r, &b);
    assert_false(b.full);
    return out;
}

static void reads_and_writes(void **state)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"example.org", "example.org:80,443"},
        {"Example.ORG.:443", "example.org:443"},
        {"*.a.org:8000-8010,443,8005", "*.a.org:443,8000-8010"},
        {"10.0.0.0/8:5432", "10.0.0.0/8:5432"},
        {"192.0.2.1", "192.0.2.1:80,443"},
        {"[2001:DB8:0:0::1]:443", "[2001:db8::1]:443"},
        {"2001:db8::1", "[2001:db8::1]:80,443"},
        {"[2001:db8::/32]:1", "[2001:db8::/32]:1"},
        {"::/0", "[::/0]:80,443"},
        {"0.0.0.0/0:25", "0.0.0.0/0:25"},
        {"db.test:5432;internal;note=our own", "db.test:5432 internal note=our own"},
        {"db.test:5432  internal", "db.test:5432 internal"},
        {"x:1,2,3,4,5,6,7,8", "x:1,2,3,4,5,6,7,8"},
        {"a_b.c-d:1", "a_b.c-d:1"},
        {"a:1 rate=10/s max-conns=4;max-bytes=1024k internal note= x  y ",
         "a:1 internal max-bytes=1M max-conns=4 rate=10/s note=x  y"},
        {"10.0.0.1:1 rate=90/m", "10.0.0.1:1 rate=90/m"},
        {"a:1 max-bytes=1000", "a:1 max-bytes=1000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = canonical(rows[i].text, false);
        assert_non_null(got);
        assert_string_equal(got, rows[i].wanted);
        assert_string_equal(canonical(rows[i].wanted, false), rows[i].wanted);
    }
    assert_string_equal(canonical("a.org", true), "a.org");
    assert_string_equal(canonical("a.org note=x", true), "a.org note=x");
    assert_null(canonical("a.org rate=5/s", true));
    assert_non_null(canonical("a.org http=GET:/* max-bytes=1M", false));
    assert_non_null(canonical("a.org max-bytes=1M http=GET:/* note=x", false));
}

static void refuses(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        ":443",
        "a.org:",
        "a.org:0",
        "a.org:65536",
        "a.org:1-",
        "a.org:9-1",
        "a.org:x",
        "a.org:1,,2",
        "x:1,2,3,4,5,6,7,8,9",
        "https://a.org/",
        "a.org/path",
        "*",
        "*.",
        "**.a.org",
        "a.*.org",
        "*a.org",
        "-a.org",
        "a-.org",
        "a..org",
        ".a.org",
        "1.2.3",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0x7f000001",
        "010.0.0.1",
        "1.2.3.4.5",
        "1.2.3.256",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/08",
        "[::1",
        "[1.2.3.4]:80",
        "[::1]80",
        "[::1]/128:80",
        "::ffff:1.2.3.4",
        "[::ffff:7f00:1]:80",
        "1::2::3",
        "12345::",
        "a.org:443 what",
        "a.org max-bytes",
        "a.org max-bytes=",
        "a.org max-bytes=0",
        "a.org max-bytes=x",
        "a.org max-bytes=99999999999999999999999999999999999",
        "a.org max-conns=0",
        "a.org max-conns=65536",
        "a.org rate=0/s",
        "a.org rate=5",
        "a.org rate=5/h",
        "a.org rate=5/s/s",
        "a.org rate=/s",
        "a.org rate=1000001/s",
        "a.org internal=yes",
        "a.org internal internal",
        "a.org rate=5/s rate=6/s",
        "1.2.3.4:80 internal",
        "localhost",
        "b\xc3\xbc.org",
        "a b.org",
        "a.org:1 note=\x01",
        "a\\.org",
        "a.123",
        "fe80::1%eth0",
        "a.org,b.org",
        "a.org, b.org",
        "a.org:443/tcp",
        "a.org http=CONNECT:/",
        "a.org http=get:/",
        "a.org any http=GET:/",
        "a.org http=GET:/ any",
        "198.18.0.1",
        "198.19.255.255:1",
        "198.18.0.0/15:1-65535",
        "[fd57::7]:80",
        "[fd57::/64]:80",
        "224.0.0.251:5353",
        "255.255.255.255",
        "[ff02::1]:80",
        "[fe80::1]:80",
    };
    char big[300];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (canonical(rows[i], false))
            fail_msg("\"%s\" was taken", rows[i]);
        assert_non_null(why);
    }
    assert_null(canonical("a.org,b.org", false));
    assert_string_equal(why, "one rule names one host");
    assert_null(canonical("a.org:53/udp", false));
    assert_string_equal(why, "a rule has no protocol: TCP is what leaves a room");
    assert_null(canonical("198.18.7.7:80", false));
    assert_string_equal(why, "can never match: in a room such an address stands for a name");
    assert_non_null(canonical("198.18.7.7", true)); /* to deny it does no harm */
    assert_non_null(canonical("198.0.0.0/8:80", false));
    assert_non_null(canonical("[fd57:0:0:1::1]:80", false));
    memset(big, 'a', sizeof big);
    big[64] = '\0';
    assert_null(canonical(big, false));
    big[63] = '\0';
    assert_non_null(canonical(big, false));
    for (size_t i = 0; i < sizeof big - 1; i++)
        big[i] = i % 50 == 49 ? '.' : 'a';
    big[254] = '\0';
    assert_null(canonical(big, false));
    big[253] = '\0';
    assert_non_null(canonical(big, false));
}

static struct egress_rule rules[16];
static struct egress_words words_of[16];

static struct egress_rules list(const char *const *texts)
{
    size_t n = 0;

    for (; texts[n]; n++) {
        bool deny = texts[n][0] == '-';
        assert_int_equal(egress_read(texts[n] + deny, deny, &words_of[n], &rules[n], &why, &hint), 0);
    }
    return (struct egress_rules){.rules = rules, .count = n};
}

static void names(void **state)
{
    static const char *const texts[] = {"a.org",       "*.b.org:80-90",    "-x.b.org",
                                        "-y.b.org:85", "a.org:7 internal", NULL};
    struct egress_rules r = list(texts);

    (void)state;
    assert_int_equal(egress_verdict_name(&r, "a.org", 443).rule, 0);
    assert_true(egress_verdict_name(&r, "a.org", 80).allowed);
    assert_int_equal(egress_verdict_name(&r, "a.org", 81).rule, -1);
    assert_false(egress_verdict_name(&r, "b.org", 80).allowed);
    assert_false(egress_verdict_name(&r, "xb.org", 80).allowed);
    assert_true(egress_verdict_name(&r, "z.b.org", 90).allowed);
    assert_true(egress_verdict_name(&r, "y.x.b.org", 90).allowed);
    assert_int_equal(egress_verdict_name(&r, "x.b.org", 80).rule, 2);
    assert_false(egress_verdict_name(&r, "x.b.org", 80).allowed);
    assert_true(egress_verdict_name(&r, "y.b.org", 84).allowed);
    assert_false(egress_verdict_name(&r, "y.b.org", 85).allowed);
    assert_true(egress_knows_name(&r, "a.org"));
    assert_true(egress_knows_name(&r, "y.b.org"));
    assert_false(egress_knows_name(&r, "x.b.org"));
    assert_false(egress_knows_name(&r, "b.org"));
    assert_false(egress_knows_name(&r, "org"));
    assert_true(egress_name_denied_by(&r, "x.b.org") >= 0);
    assert_true(r.rules[egress_name_denied_by(&r, "x.b.org")].deny);
    assert_int_equal(egress_name_denied_by(&r, "a.org"), -1);
}

static struct egress_addr addr(const char *text)
{
    struct egress_addr a;

    assert_int_equal(egress_addr_read(text, &a), 0);
    return a;
}

static void addresses(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8:5432", "[2001:db8::/33]:1",   "-10.9.0.0/16:1-65535",
                                        "n.org:5432",      "i.org:5432 internal", NULL};
    struct egress_rules r = list(texts);
    struct egress_addr in = addr("10.1.2.3"), out = addr("10.9.2.3"), lan = addr("192.168.0.1"),
                       far = addr("192.0.2.1");
    struct egress_addr six = addr("2001:db8:7fff::1"), other = addr("2001:db8:8000::1");

    (void)state;
    assert_true(egress_verdict_addr(&r, &in, 5432).allowed);
    assert_false(egress_verdict_addr(&r, &in, 5433).allowed);
    assert_int_equal(egress_verdict_addr(&r, &out, 5432).rule, 2);
    assert_true(egress_verdict_addr(&r, &six, 1).allowed);
    assert_false(egress_verdict_addr(&r, &other, 1).allowed);
    assert_true(egress_may_dial(&r, r.rules[3].internal, &in, 5432));
    assert_false(egress_may_dial(&r, r.rules[3].internal, &out, 5432));
    assert_false(egress_may_dial(&r, r.rules[4].internal, &out, 5432));
    assert_false(egress_may_dial(&r, r.rules[3].internal, &lan, 5432));
    assert_true(egress_may_dial(&r, r.rules[4].internal, &lan, 5432));
    assert_true(egress_may_dial(&r, r.rules[3].internal, &far, 5432));
}

static void all_of_ipv6_is_not_ipv4(void **state)
{
    static const char *const texts[] = {"[::/0]:80", NULL};
    struct egress_rules r = list(texts);
    struct egress_addr a = addr("127.0.0.1");

    (void)state;
    assert_false(egress_verdict_addr(&r, &a, 80).allowed);
}

static void wide_networks_do_not_open_private_ones(void **state)
{
    static const char *const texts[] = {
        "0.0.0.0/0:80",      "[::/0]:80", "192.0.0.0/2:80", "127.0.0.0/8:81", "-203.0.113.0/24:80",
        "n.org:82 internal", NULL};
    static const char *const closed[] = {"127.0.0.1",        "169.254.169.254", "10.1.1.1",
                                         "192.168.1.1",      "224.0.0.1",       "::1",
                                         "fd00::1",          "fe80::1",         "64:ff9b::10.0.0.1",
                                         "2002:7f00:1::1",   "203.0.113.9",     "64:ff9b::203.0.113.9",
                                         "2002:cb00:7109::1"};
    static const char *const open[] = {"192.0.2.1", "9.9.9.9", "2001:db8::1", "64:ff9b::9.9.9.9"};
    struct egress_rules r = list(texts);
    struct egress_addr a;

    (void)state;
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        a = addr(closed[i]);
        if (egress_verdict_addr(&r, &a, 80).allowed)
            fail_msg("%s is open", closed[i]);
    }
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        a = addr(open[i]);
        if (!egress_verdict_addr(&r, &a, 80).allowed)
            fail_msg("%s is closed", open[i]);
    }
    a = addr("127.0.0.1");
    assert_true(egress_verdict_addr(&r, &a, 81).allowed);
    assert_true(egress_may_dial(&r, r.rules[5].internal, &a, 82));
    assert_true(egress_net_is_private(&a, 104));
}

static void the_most_exact_rule_decides(void **state)
{
    static const char *const texts[] = {
        "*.org:1",     "*.a.org:1 max-bytes=1", "b.a.org:1 rate=1/s", "*.c.a.org:1 internal",
        "0.0.0.0/0:1", "9.0.0.0/8:1",           "9.9.9.9:1",          "-*.d.a.org",
        NULL};
    struct egress_rules r = list(texts);
    struct egress_addr nine = addr("9.9.9.9"), near = addr("9.9.9.8"), far = addr("8.8.8.8");

    (void)state;
    assert_int_equal(egress_verdict_name(&r, "x.org", 1).rule, 0);
    assert_int_equal(egress_verdict_name(&r, "c.a.org", 1).rule, 1);
    assert_int_equal(egress_verdict_name(&r, "b.a.org", 1).rule, 2);
    assert_false(egress_verdict_name(&r, "b.a.org", 1).internal);
    assert_int_equal(egress_verdict_name(&r, "x.c.a.org", 1).rule, 3);
    assert_true(egress_verdict_name(&r, "x.c.a.org", 1).internal);
    assert_int_equal(egress_verdict_name(&r, "x.d.a.org", 1).rule, 7);
    assert_false(egress_verdict_name(&r, "x.d.a.org", 1).allowed);
    assert_int_equal(egress_verdict_addr(&r, &nine, 1).rule, 6);
    assert_int_equal(egress_verdict_addr(&r, &near, 1).rule, 5);
    assert_int_equal(egress_verdict_addr(&r, &far, 1).rule, 4);
    assert_true(egress_covered_by(&r, 2, false) >= 0);
    assert_int_equal(egress_covered_by(&r, 1, false), 0);
    assert_int_equal(egress_covered_by(&r, 0, false), -1);
    assert_int_equal(egress_covered_by(&r, 6, false), 4);
    assert_int_equal(egress_covered_by(&r, 3, true), -1);
}

static uint32_t dice;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 8) % sides;
}

static void roll_name(char *ret, size_t size)
{
    struct sbuf b = {.text = ret, .size = size};

    ret[0] = '\0';
    for (uint32_t n = 1 + roll(4); n > 0; n--)
        sbuf_fmt(&b, "%s%c", b.len ? "." : "", 'a' + (int)roll(3));
}

static void roll_rule(struct egress_words *words, struct egress_rule *ret)
{
    char text[EGRESS_RULE_MAX], name[64];
    struct sbuf b = SBUF(text);
    bool deny = roll(4) == 0;

    roll_name(name, sizeof name);
    switch (roll(4)) {
    case 0:
        sbuf_text(&b, name);
        break;
    case 1:
        sbuf_fmt(&b, "*.%s", name);
        break;
    case 2:
        sbuf_fmt(&b, roll(2) ? "%u.0.0.0/8" : "%u.0.0.%u", 8 + roll(3), roll(2));
        break;
    default:
        sbuf_fmt(&b, roll(2) ? "[2002:%u00:0::/40]" : "[64:ff9b::%u.0.0.1]", 8 + roll(3));
        break;
    }
    sbuf_fmt(&b, ":%u", 1 + roll(2));
    if (egress_read(text, deny, words, ret, &why, &hint) < 0)
        assert_int_equal(egress_read("a:1", false, words, ret, &why, &hint), 0);
}

static void an_index_finds_what_a_search_finds(void **state)
{
    static struct egress_words texts[40];
    static struct egress_rule table[40];
    static struct egress_index index;
    static const char *const addrs[] = {"8.0.0.1",     "9.0.0.0",          "10.0.0.1",
                                        "2002:800::1", "64:ff9b::9.0.0.1", "64:ff9b::8.0.0.1"};

    (void)state;
    for (uint32_t round = 0; round < 400; round++) {
        struct egress_rules plain = {.rules = table, .count = roll(40)}, quick = plain;
        for (size_t i = 0; i < plain.count; i++)
            roll_rule(&texts[i], &table[i]);
        egress_index_make(&plain, &index);
        quick.index = &index;
        for (int i = 0; i < 40; i++) {
            char name[64];
            roll_name(name, sizeof name);
            struct egress_verdict v = egress_verdict_name(&plain, name, 1),
                                  q = egress_verdict_name(&quick, name, 1);
            assert_true(v.rule == q.rule && v.allowed == q.allowed && v.internal == q.internal);
            assert_int_equal(egress_knows_name(&plain, name), egress_knows_name(&quick, name));
        }
        for (size_t i = 0; i < sizeof addrs / sizeof *addrs; i++) {
            struct egress_addr a = addr(addrs[i]);
            assert_int_equal(egress_verdict_addr(&plain, &a, 1).rule,
                             egress_verdict_addr(&quick, &a, 1).rule);
        }
        for (size_t i = 0; i < plain.count; i++)
            assert_int_equal(egress_covered_by(&plain, i, true) >= 0,
                             egress_covered_by(&quick, i, true) >= 0);
    }
}

static double verdict_ns(struct egress_words *words, struct egress_rule *table, struct egress_index *index,
                         size_t count)
{
    struct egress_rules r = {.rules = table, .count = count, .index = index};
    struct timespec a, b;
    char text[64], name[64];
    const int rounds = 20000;
    int allowed = 0;

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(text, sizeof text, "%sn%zu.some.example.org:443", i % 2 ? "*." : "", i);
        assert_int_equal(egress_read(text, false, &words[i], &table[i], &why, &hint), 0);
    }
    egress_index_make(&r, index);
    (void)snprintf(name, sizeof name, "x.n%zu.some.example.org", count - 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < rounds; i++)
        allowed += egress_verdict_name(&r, name, 443).allowed;
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    assert_int_equal(allowed, (count - 1) % 2 ? rounds : 0);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / rounds;
}

static void a_verdict_costs_the_same_for_ten_thousand_names(void **state)
{
    static struct egress_words words[10000];
    static struct egress_rule table[10000];
    static struct egress_index index;
    double one = verdict_ns(words, table, &index, 2), thousand = verdict_ns(words, table, &index, 1000),
           all = verdict_ns(words, table, &index, 10000);

    (void)state;
    print_message("# a verdict takes %.0f ns with 2 names, %.0f with 1000, %.0f with 10000\n", one, thousand,
                  all);
    assert_true(all < 10 * one + 2000); /* a search would take a thousand times as long; machines are busy */
}

static void private_addresses(void **state)
{
    char yes[] = "0.0.0.0 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 "
                 "169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.168.1.1 198.18.0.1 "
                 "198.19.255.255 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 "
                 "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 fe80::1 fc00::1 fd57::1 fd00:ec2::254 "
                 "ff02::1 64:ff9b::10.0.0.1 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2001::1 "
                 "100::1 4000::1",
         *rest = yes;
    static const char *const no[] = {"1.1.1.1",          "9.9.9.9",         "11.0.0.1",      "100.63.0.1",
                                     "100.128.0.1",      "126.255.255.255", "128.0.0.1",     "172.15.0.1",
                                     "172.32.0.1",       "192.0.2.1",       "198.51.100.7",  "198.17.0.1",
                                     "198.20.0.1",       "223.255.255.255", "2001:db8::1",   "2606:4700::1",
                                     "64:ff9b::9.9.9.9", "2002:909:909::1", "::ffff:9.9.9.9"};

    (void)state;
    for (const char *x; (x = strsep(&rest, " ")) != NULL;) {
        struct egress_addr a = addr(x);
        if (!egress_is_private(&a))
            fail_msg("%s counts as public", x);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        struct egress_addr a = addr(no[i]);
        if (egress_is_private(&a))
            fail_msg("%s counts as private", no[i]);
    }
}

static void lines(void **state)
{
    static const char text[] = "allow a.org:443\ndeny 10.0.0.0/8\n";
    char out[EGRESS_LINE_MAX];
    struct sbuf b = SBUF(out);
    static char memory[64];
    struct egress_texts texts = {.at = memory, .left = sizeof memory};
    struct egress_rule got[2];
    size_t n = 0;

    (void)state;
    assert_int_equal(egress_read_lines(text, sizeof text - 1, &texts, got, 2, &n), 0);
    assert_int_equal(n, 2);
    egress_line(&got[0], &b);
    egress_line(&got[1], &b);
    assert_string_equal(out, text);
    assert_int_equal(egress_read_lines(text, sizeof text - 1, &texts, got, 1, &n), -7 /* E2BIG */);
    assert_true(egress_read_lines(text, sizeof text - 2, &texts, got, 2, &n) < 0);
    assert_true(egress_read_lines("a.org:443\n", 10, &texts, got, 2, &n) < 0);
    assert_true(egress_read_lines("allow a\0b\n", 10, &texts, got, 2, &n) < 0);
    assert_int_equal(egress_read_lines("", 0, &texts, got, 2, &n), 0);
    assert_int_equal(n, 0);
    texts = (struct egress_texts){.at = memory, .left = strlen("a.org") + 2};
    assert_int_equal(egress_read_lines(text, sizeof text - 1, &texts, got, 2, &n), -28 /* ENOSPC */);
    texts = (struct egress_texts){.at = memory, .left = strlen("a.org") + 3 + 3};
    assert_int_equal(egress_read_lines(text, sizeof text - 1, &texts, got, 2, &n), 0);
    assert_string_equal(got[0].name, "a.org");
    assert_true(got[0].name >= memory && got[0].name < memory + sizeof memory);
    assert_string_equal(got[1].name, "");
}

static struct policy *p;
static struct err e;

static int set(enum policy_source source, const char *name, const char *value)
{
    return policy_set(p, source, source == SOURCE_FLAG ? POLICY_COMMAND_LINE : "f",
                      source == SOURCE_FLAG ? 0 : 1, name, value, &e);
}

static void begin(void)
{
    policy_free(p);
    p = policy_new();
    assert_non_null(p);
    e = (struct err){0};
}

static void sockets(void **state)
{
    static const char *const bad[] = {"unix:",      "unix:/",      "unix:a",           "unix:@a",
                                      "unix:/a/",   "unix://a",    "unix:/a/../b",     "unix:/./a",
                                      "unix:/a=",   "unix:/a=b",   "unix:/a=/b/",      "unix:/a=/../b",
                                      "unix:/a\tb", "unix:/a tls", "unix:/a internal", "unix:/a http=GET:/*",
                                      "unix:/a any"};
    char text[400] = "unix:/";
    static struct egress_words words[4];
    struct egress_rule r[4];
    struct egress_rules all = {.rules = r, .count = 3};
    static struct egress_index index;

    (void)state;
    assert_string_equal(canonical("unix:/run/a.sock", false), "unix:/run/a.sock");
    assert_string_equal(canonical("unix:/run/a.sock=/run/a.sock", false), "unix:/run/a.sock");
    assert_string_equal(canonical("unix:/run/a=/b=c rate=5/s;max-bytes=1M max-conns=2 note=x y", false),
                        "unix:/run/a=/b=c max-bytes=1M max-conns=2 rate=5/s note=x y");
    assert_string_equal(canonical("unix:/run/a:b", false), "unix:/run/a:b");
    assert_string_equal(canonical("unix:/run/a", true), "unix:/run/a");
    assert_null(canonical("unix:/run/a=/b", true));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (canonical(bad[i], false))
            fail_msg("%s was taken", bad[i]);
    }
    memset(text + 6, 'x', 300);
    assert_null(canonical(text, false)); /* the host's path is too long */
    text[6 + 200] = '\0';
    assert_null(canonical(text, false)); /* the room's, which is the same */
    memcpy(text + 206, "=/a", 4);
    assert_non_null(canonical(text, false));
    assert_int_equal(egress_read("unix:/a=/x", false, &words[0], &r[0], &why, &hint), 0);
    assert_int_equal(egress_read("unix:/a=/y", false, &words[1], &r[1], &why, &hint), 0);
    assert_int_equal(egress_read("a.org", false, &words[2], &r[2], &why, &hint), 0);
    assert_false(egress_covers(&r[0], &r[1]));
    for (int with = 0; with < 2; with++) {
        assert_true(egress_verdict_unix(&all, "/a").allowed);
        assert_int_equal(egress_verdict_unix(&all, "/b").rule, -1);
        assert_false(egress_knows_name(&all, "b.org"));
        assert_int_equal(egress_covered_by(&all, 0, false), -1);
        egress_index_make(&all, &index);
        all.index = &index;
    }
    assert_int_equal(egress_read("unix:/a", true, &words[3], &r[3], &why, &hint), 0);
    all = (struct egress_rules){.rules = r, .count = 4};
    for (int with = 0; with < 2; with++) {
        assert_false(egress_verdict_unix(&all, "/a").allowed);
        assert_int_equal(egress_name_denied_by(&all, "/a"), 3);
        assert_int_equal(egress_covered_by(&all, 1, true), 3);
        egress_index_make(&all, &index);
        all.index = &index;
    }
}

static void rules_choose_the_network(void **state)
{
    (void)state;
    begin();
    assert_int_equal(set(SOURCE_FLAG, "net-allow", "a.org"), 0);
    assert_int_equal(policy_check(p, NULL, NULL, &e), 0);
    assert_int_equal(p->net, NET_GATE);
    assert_int_equal(p->layers[LAYER_ID_GATE], LAYER_PREFER);
    begin();
    assert_int_equal(set(SOURCE_FILE, "allow", "a.org"), 0);
    assert_int_equal(set(SOURCE_FLAG, "net", "none"), 0);
    assert_int_equal(policy_check(p, NULL, NULL, &e), 0);
    assert_int_equal(p->net, NET_NONE);
    assert_int_equal(p->egress.count, 0);
    assert_int_equal(p->layers[LAYER_ID_GATE], LAYER_OFF);
    begin();
    assert_int_equal(set(SOURCE_FILE, "net", "none"), 0);
    assert_int_equal(set(SOURCE_FLAG, "allow", "a.org"), 0);
    assert_int_equal(policy_check(p, NULL, NULL, &e), 0);
    assert_int_equal(p->net, NET_GATE);
    begin();
    assert_int_equal(set(SOURCE_FLAG, "net", "host"), 0);
    assert_int_equal(set(SOURCE_FLAG, "allow", "a.org"), 0);
    assert_true(policy_check(p, NULL, NULL, &e) < 0);
    begin();
    assert_int_equal(set(SOURCE_FLAG, "net", "host"), 0);
    assert_int_equal(set(SOURCE_PROJECT, "deny", "a.org"), 0);
    assert_true(policy_check(p, NULL, NULL, &e) < 0);
    begin();
    assert_true(set(SOURCE_PROJECT, "allow", "a.org") < 0);
    assert_true(set(SOURCE_PROJECT, "net", "gate") < 0);
    policy_free(p);
    p = NULL;
}

static char notes[4096];

static void keep_note(void *ctx, const char *text)
{
    struct sbuf b = {.text = notes, .size = sizeof notes, .len = strlen(notes)};

    (void)ctx;
    sbuf_fmt(&b, "%s\n", text);
}

static void rules_in_a_policy(void **state)
{
    char text[8192];
    struct sbuf b = SBUF(text);

    (void)state;
    begin();
    assert_int_equal(set(SOURCE_FLAG, "allow", "b.org:443"), 0);
    assert_int_equal(set(SOURCE_FLAG, "allow", "a.org:443"), 0);
    assert_int_equal(set(SOURCE_FLAG, "allow", "A.org:443"), 0);
    assert_int_equal(set(SOURCE_FLAG, "allow", "a.org:1-443"), 0);
    assert_int_equal(set(SOURCE_FLAG, "deny", "c.org"), 0);
    assert_int_equal(policy_check(p, keep_note, NULL, &e), 0);
    assert_non_null(strstr(notes, "--allow a.org:443 adds nothing: --allow a.org:1-443 covers it"));
    policy_text(p, &b);
    assert_non_null(
        strstr(text, "allow:\n  - a.org:1-443\n  - a.org:443\n  - b.org:443\ndeny:\n  - c.org\nnet: gate\n"));
    begin();
    assert_int_equal(set(SOURCE_FLAG, "allow", "x.b.org:443"), 0);
    assert_int_equal(set(SOURCE_FLAG, "deny", "*.b.org"), 0);
    assert_true(policy_check(p, NULL, NULL, &e) < 0);
    assert_non_null(
        strstr(e.text, "\"x.b.org:443\": can never match: --deny *.b.org (command line) covers it"));
    begin();
    notes[0] = '\0';
    static const char *const odd[] = {"a.c.org:443", "*.c.org:443",    "a.c.org:443",
                                      "*.com",       "d.org rate=1/s", "d.org rate=2/s"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(set(SOURCE_FLAG, "allow", odd[i]), 0);
    assert_int_equal(policy_check(p, keep_note, NULL, &e), 0);
    assert_non_null(strstr(notes, "--allow a.c.org:443 is there twice"));
    assert_non_null(strstr(notes, "--allow a.c.org:443 adds nothing: --allow *.c.org:443 covers it"));
    assert_non_null(strstr(notes, "--allow *.com:80,443 opens every name below \"com\""));
    assert_non_null(strstr(
        notes, "--allow d.org:80,443 rate=1/s has no effect: --allow d.org:80,443 rate=2/s comes later"));
    assert_int_equal(p->egress.count, 4);
    begin();
    assert_true(set(SOURCE_FLAG, "allow", "http://a.org") < 0);
    assert_non_null(strstr(e.text, "that is a URL"));
    begin();
    assert_int_equal(set(SOURCE_FLAG, "allow", "a.org"), 0);
    assert_int_equal(set(SOURCE_FLAG, "deny", "a.org:443"), 0);
    assert_int_equal(set(SOURCE_FLAG, "secret", "T@a.org"), 0);
    assert_true(policy_check(p, NULL, NULL, &e) < 0);
    assert_non_null(strstr(e.text, "can never be used: --deny a.org:443 covers that host"));
    begin();
    notes[0] = '\0';
    assert_int_equal(set(SOURCE_FLAG, "net", "host"), 0);
    assert_int_equal(policy_check(p, keep_note, NULL, &e), 0);
    assert_non_null(strstr(notes, "--net host: no gate"));
    policy_free(p);
    p = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(names),
        cmocka_unit_test(addresses),
        cmocka_unit_test(all_of_ipv6_is_not_ipv4),
        cmocka_unit_test(wide_networks_do_not_open_private_ones),
        cmocka_unit_test(the_most_exact_rule_decides),
        cmocka_unit_test(an_index_finds_what_a_search_finds),
        cmocka_unit_test(a_verdict_costs_the_same_for_ten_thousand_names),
        cmocka_unit_test(private_addresses),
        cmocka_unit_test(lines),
        cmocka_unit_test(sockets),
        cmocka_unit_test(rules_choose_the_network),
        cmocka_unit_test(rules_in_a_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
