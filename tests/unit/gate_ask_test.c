/* gate_ask_test: connections that wait for a person's word: who is asked about, how often, how many; what answers do.
 *
 * Lives in: a test program, which is the supervisor on one end of a socket and the gate on the other. The clock is
 * ours. The tests share the module's state, and run in their order. */
#include "gate/ask.h"
#include "gate/budget.h"
#include "gate/loop.h"
#include "gate/own.h"
#include "gate/resolve.h"
#include "gate/tell.h"
#include "sys/fd.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAITING = 256, REFUSED = 64 };

static struct egress_rule table[4];
static struct egress_rules rules = {.rules = table};
static struct egress_words words[4];
static int supervisor = -1;
static struct gate_report got;
static int64_t later_ms;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    int r = __real_clock_gettime(clock, t);
    t->tv_sec += later_ms / 1000;
    return r;
}

static void let_pass(int64_t ms)
{
    struct loop_event events[LOOP_EVENTS_MAX];

    later_ms += ms;
    (void)loop_wait(events, 0); /* it looks at the clock */
}

static int begin(void **state)
{
    static const char text[] = "allow once.test:443\n";
    static const struct hosts_servers none;
    int s[2];

    (void)state;
    struct egress_texts texts = {.at = (char *)words, .left = sizeof words};
    assert_int_equal(egress_read_lines(text, sizeof text - 1, &texts, table, 4, &rules.count), 0);
    table[0].gone = true; /* as one that came with ONCE */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
    supervisor = s[0];
    tell_open(s[1]);
    resolve_open(&none, conn_resolved);
    budget_open(&rules);
    assert_int_equal(own_open(), 0);
    conn_open(&rules, WAITING + 64);
    return loop_open();
}

/* The next frame of that type; false: there is none. Other events of the gate's are passed over. */
static bool next(enum gate_report_type type)
{
    while (fd_frame_recv(supervisor, &got, sizeof got, NULL, 0, MSG_DONTWAIT) == 0)
        if (got.type == (uint32_t)type)
            return true;
    return false;
}

/* A program's connection; *ret_fd is its end. */
static struct conn *arrive(const char *name, const char *address, uint16_t port, int *ret_fd)
{
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    struct conn *c = conn_new(s[1]);
    assert_non_null(c);
    c->state = CONN_RESOLVING;
    c->port = port;
    if (name)
        memcpy(c->name, name, strlen(name) + 1);
    else
        assert_int_equal(addr_parse(address, &c->peer), 0);
    if (ret_fd)
        *ret_fd = s[0];
    else
        close(s[0]);
    return c;
}

static int answer(uint32_t id, unsigned kind)
{
    const struct gate_command c = {.type = GATE_ANSWER, .count = id, .kinds = {(uint8_t)kind}};

    return ask_answered(&c);
}

static bool is_over(int fd)
{
    char c;
    ssize_t n = read(fd, &c, 1);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void where_nobody_can_be_asked_nothing_is(void **state)
{
    (void)state;
    struct conn *c = arrive("a.test", NULL, 443, NULL);
    assert_false(ask_about(c));
    assert_false(next(GATE_ASK));
    conn_free(c, true);
    ask_open();
}

static void one_question_is_for_all_who_want_the_same(void **state)
{
    int fd[4];

    (void)state;
    struct conn *a = arrive("a.test", NULL, 443, &fd[0]);
    assert_true(ask_about(a));
    assert_int_equal(a->state, CONN_WAITING);
    assert_true(next(GATE_ASK));
    assert_string_equal(got.name, "a.test");
    assert_string_equal(got.address, "");
    assert_int_equal(got.port, 443);
    const uint32_t id = got.count;
    struct conn *b = arrive("a.test", NULL, 443, &fd[1]);
    assert_true(ask_about(b));
    assert_false(next(GATE_ASK));
    assert_int_equal(a->question, b->question);
    assert_false(ask_about(a)); /* nor is one connection asked about twice */
    struct conn *other = arrive("a.test", NULL, 80, &fd[2]);
    assert_true(ask_about(other));
    assert_true(next(GATE_ASK));
    assert_int_not_equal(got.count, id);
    const uint32_t second = got.count;

    assert_int_equal(answer(id, GATE_ANSWER_NO), 0);
    assert_true(next(GATE_EVENT));
    assert_int_equal(got.verdict, GATE_DENIED);
    assert_int_equal(got.reason, GATE_WHY_NO_RULE);
    assert_true(is_over(fd[0]) && is_over(fd[1]));
    assert_false(is_over(fd[2]));
    struct conn *again = arrive("a.test", NULL, 443, &fd[3]);
    assert_false(ask_about(again)); /* no is no */
    conn_free(again, true);
    assert_int_equal(answer(second, GATE_ANSWER_NO), 0);
    assert_true(is_over(fd[2]));
    for (int i = 0; i < 4; i++)
        close(fd[i]);
}

static void addresses_are_asked_about_but_for_private_ones(void **state)
{
    static const char *const closed[] = {"127.0.0.1", "10.1.2.3",   "169.254.169.254", "192.168.1.1",
                                         "::1",       "fe80::1",    "fd00::1",         "0.0.0.0",
                                         "224.0.0.1", "100.64.0.1", "::ffff:10.1.2.3", "64:ff9b::a01:203"};

    (void)state;
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        struct conn *c = arrive(NULL, closed[i], 80, NULL);
        if (ask_about(c))
            fail_msg("%s is asked about", closed[i]);
        conn_free(c, true);
    }
    assert_false(next(GATE_ASK));
    struct conn *c = arrive(NULL, "2001:db8::7", 80, NULL);
    assert_true(ask_about(c));
    assert_true(next(GATE_ASK));
    assert_string_equal(got.name, "");
    assert_string_equal(got.address, "2001:db8::7");
    assert_int_equal(answer(got.count, GATE_ANSWER_NO), 0);
}

static void an_answer_that_nobody_asked_for_ends_the_gate(void **state)
{
    (void)state;
    assert_int_equal(answer(0, GATE_ANSWER_NO), -EPROTO);
    assert_int_equal(answer(12345, GATE_ANSWER_ONCE), -EPROTO);
    assert_true(ask_about(arrive("odd.test", NULL, 443, NULL)));
    assert_true(next(GATE_ASK));
    const uint32_t id = got.count;
    assert_int_equal(answer(id, 0), -EPROTO);
    assert_int_equal(answer(id, GATE_ANSWER_ALWAYS + 1), -EPROTO);
    assert_int_equal(answer(id, 255), -EPROTO);
    assert_int_equal(answer(id, GATE_ANSWER_NO), 0);
    assert_int_equal(answer(id, GATE_ANSWER_NO), -EPROTO);
}

static void once_is_for_those_who_wait_and_under_its_rule(void **state)
{
    (void)state;
    assert_true(ask_about(arrive("once.test", NULL, 443, NULL)));
    assert_true(next(GATE_ASK));
    const uint32_t id = got.count;
    assert_int_equal(answer(id, GATE_ANSWER_ONCE), 0);
    let_pass(60000);
    (void)conn_tick();
    assert_true(next(GATE_EVENT)); /* there are no name servers: it got that far */
    assert_int_equal(got.verdict, GATE_BROKEN);
    assert_int_equal(got.rule, 0);
    struct conn *c = arrive("once.test", NULL, 443, NULL);
    assert_true(ask_about(c)); /* the next one is asked about again */
    assert_true(next(GATE_ASK));
    assert_int_equal(answer(got.count, GATE_ANSWER_NO), 0);
}

static void who_leaves_waits_no_more_and_time_ends_waiting(void **state)
{
    int fd;

    (void)state;
    struct conn *c = arrive("late.test", NULL, 443, &fd);
    assert_true(ask_about(c));
    assert_true(next(GATE_ASK));
    const uint32_t id = got.count;
    let_pass(299000);
    (void)conn_tick();
    assert_false(is_over(fd));
    let_pass(2000);
    (void)conn_tick();
    assert_true(is_over(fd));
    assert_true(next(GATE_EVENT));
    assert_int_equal(got.verdict, GATE_DENIED);
    close(fd);
    assert_int_equal(answer(id, GATE_ANSWER_ONCE), 0); /* comes too late for anybody, and harms nobody */
    assert_false(next(GATE_EVENT));
}

static void questions_and_waiting_are_bounded(void **state)
{
    static struct conn *waiting[WAITING];
    uint32_t ids[GATE_ASKS_MAX];
    char name[32];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < GATE_ASKS_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%d.many.test", i);
        assert_true(ask_about(waiting[n++] = arrive(name, NULL, 443, NULL)));
        assert_true(next(GATE_ASK));
        ids[i] = got.count;
    }
    struct conn *more = arrive("one-more.test", NULL, 443, NULL);
    assert_false(ask_about(more));
    while (n < WAITING)
        assert_true(ask_about(waiting[n++] = arrive("n3.many.test", NULL, 443, NULL)));
    assert_false(next(GATE_ASK));
    struct conn *last = arrive("n3.many.test", NULL, 443, NULL);
    assert_false(ask_about(last));
    conn_free(waiting[40], true); /* its program has left: there is a place again */
    assert_true(ask_about(last));
    for (int i = 0; i < GATE_ASKS_MAX; i++)
        assert_int_equal(answer(ids[i], GATE_ANSWER_NO), 0);
    assert_true(ask_about(more)); /* the questions are answered: it can be asked */
    assert_true(next(GATE_ASK));
    assert_int_equal(answer(got.count, GATE_ANSWER_NO), 0);
}

static void a_supervisor_that_does_not_read_is_not_waited_for(void **state)
{
    int sent = 0;

    (void)state;
    got = (struct gate_report){.type = GATE_EVENT};
    while (tell_now(&got) == 0)
        sent++;
    assert_true(sent > 0);
    struct conn *c = arrive("unheard.test", NULL, 443, NULL);
    assert_false(ask_about(c)); /* denied, then */
    assert_int_not_equal(c->state, CONN_WAITING);
    assert_false(next(GATE_ASK)); /* empties it */
    assert_true(ask_about(c));    /* and what was not asked was not kept as if it were */
    assert_true(next(GATE_ASK));
    assert_int_equal(answer(got.count, GATE_ANSWER_NO), 0);
}

static void after_many_refusals_nothing_is_asked(void **state)
{
    char name[32];
    int i = 0;

    (void)state;
    for (; i < REFUSED; i++) {
        (void)snprintf(name, sizeof name, "r%d.test", i);
        struct conn *c = arrive(name, NULL, 443, NULL);
        if (!ask_about(c))
            break;
        assert_true(next(GATE_ASK));
        assert_int_equal(answer(got.count, GATE_ANSWER_NO), 0);
    }
    assert_true(i < REFUSED); /* those of the tests before count, too */
    assert_false(ask_about(arrive("a-new-one.test", NULL, 443, NULL)));
    assert_false(next(GATE_ASK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_nobody_can_be_asked_nothing_is),
        cmocka_unit_test(one_question_is_for_all_who_want_the_same),
        cmocka_unit_test(addresses_are_asked_about_but_for_private_ones),
        cmocka_unit_test(an_answer_that_nobody_asked_for_ends_the_gate),
        cmocka_unit_test(once_is_for_those_who_wait_and_under_its_rule),
        cmocka_unit_test(who_leaves_waits_no_more_and_time_ends_waiting),
        cmocka_unit_test(questions_and_waiting_are_bounded),
        cmocka_unit_test(a_supervisor_that_does_not_read_is_not_waited_for),
        cmocka_unit_test(after_many_refusals_nothing_is_asked),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
