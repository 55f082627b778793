/* engine_ask_test: questions at a terminal: what is shown, what answers, what time, crowds and a dead terminal do.
 *
 * Lives in: a test program that makes itself a session with a terminal of its own: it is the person at the one end, and
 * the gate at the other end of the control socket. */
#include "engine/inner.h"
#include "gate/frames.h"
#include "sys/fd.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TABLE = 32 };

static struct room room;
static struct policy policy;
static struct engine_request req = {.asks = true};
static struct egress_rule table[EGRESS_RULES_MAX];
static char rule_words[1 << 16];
static int person = -1, gate = -1; /* the terminal's other end; the control socket's */
static char seen[65536];           /* what the person has seen since it last looked away */
static struct gate_command said;

/* A new terminal, which is that of this session from now on, and a new gate. */
static int begin(void **state)
{
    int s[2];

    (void)state;
    person = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (person < 0 || grantpt(person) < 0 || unlockpt(person) < 0)
        return -1;
    int slave = open(ptsname(person), O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 1) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s) < 0)
        return -1;
    memset(&room, 0, sizeof room);
    policy.net = NET_GATE;
    room.policy = &policy;
    room.req = &req;
    room.gate_ctl = s[0];
    room.live.notice = room.tty_fd = -1;
    room.live.table = table;
    room.live.texts = (struct egress_texts){.at = rule_words, .left = sizeof rule_words};
    room.live.rules = (struct egress_rules){.rules = table};
    gate = s[1];
    ask_open(&room);
    close(slave);
    seen[0] = '\0';
    return room.ask.fd >= 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    ask_close(&room);
    fd_close(&person);
    fd_close(&room.gate_ctl);
    fd_close(&gate);
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (tty >= 0) /* so that the next test can have one */
        (void)ioctl(tty, TIOCNOTTY);
    fd_close(&tty);
    return 0;
}

static void look(void)
{
    size_t n = strlen(seen);
    ssize_t got;

    while ((got = read(person, seen + n, sizeof seen - 1 - n)) > 0)
        n += (size_t)got;
    seen[n] = '\0';
}

/* As the supervisor's poll would: until the terminal has nothing more to do. */
static void turn(void)
{
    for (int i = 0; i < 50; i++) {
        struct pollfd p = ask_poll(&room);
        if (p.fd < 0 || poll(&p, 1, 20) <= 0)
            break;
        ask_event(&room);
        look();
    }
    look();
}

static void want(uint32_t id, const char *name, const char *address, uint32_t port)
{
    struct gate_report r = {.type = GATE_ASK, .count = id, .port = port};

    (void)snprintf(r.name, sizeof r.name, "%s", name);
    (void)snprintf(r.address, sizeof r.address, "%s", address);
    ask_take(&room, &r);
}

static void show(void)
{
    ask_tick(&room, engine_now_ms());
    turn();
}

static void type(const char *words)
{
    assert_int_equal(write(person, words, strlen(words)), strlen(words));
    turn();
}

/* What the gate was told next, and nothing behind it if `last`. */
static bool told(void)
{
    return fd_frame_recv(gate, &said, sizeof said, NULL, 0, MSG_DONTWAIT) == 0;
}

static void is_answer(uint32_t id, enum gate_answer what)
{
    assert_true(told());
    assert_int_equal(said.type, GATE_ANSWER);
    assert_int_equal(said.count, id);
    assert_int_equal(said.kinds[0], what);
}

/* "oXY\n" as the question has it. */
static void word(char letter, char ret[8])
{
    char before[8];

    (void)snprintf(before, sizeof before, "%s", letter == 'o' ? "once: o" : "room: a");
    const char *at = strstr(seen, before);
    assert_non_null(at);
    for (const char *more; (more = strstr(at + 1, before)) != NULL;)
        at = more;
    (void)snprintf(ret, 8, "%c%.2s\n", letter, at + 7);
}

static void once_and_always_are_told_with_their_rules(void **state)
{
    char answer[8];

    (void)state;
    want(7, "a.test", "", 443);
    show();
    assert_non_null(strstr(seen, "wants to connect to\r\n    a.test:443\r\n"));
    word('o', answer);
    type(answer);
    assert_non_null(strstr(seen, "strongroom: allowed once"));
    is_answer(7, GATE_ANSWER_ONCE);
    assert_string_equal(said.text, "allow a.test:443 note=asked, allowed once\n");
    assert_true(table[said.number].gone); /* for nobody else */
    assert_false(told());

    want(8, "", "2001:db8::7", 80);
    show();
    assert_non_null(strstr(seen, "    [2001:db8::7]:80\r\n"));
    word('a', answer);
    type(answer);
    assert_true(told());
    assert_int_equal(said.type, GATE_ADD);
    assert_string_equal(said.text, "allow [2001:db8::7]:80 note=asked, allowed for this room\n");
    is_answer(8, GATE_ANSWER_ALWAYS);
    assert_false(table[said.number].gone);
}

static void only_the_words_of_this_question_allow(void **state)
{
    static const char *const wrong[] = {"\n",      "y\n",      "yes\n",         "o\n",  "a\n",
                                        "once\n",  "always\n", "o11\n",         "a \n", "o\0ab\n",
                                        "no no\n", "N\n",      "\033[24;80R\n", " n\n"};
    char answer[8], longer[1000], old[8];

    (void)state;
    want(1, "a.test", "", 443);
    show();
    for (size_t i = 0; i < COUNT(wrong); i++)
        type(wrong[i]);
    memset(longer, 'n', sizeof longer - 2);
    longer[998] = '\n';
    longer[999] = '\0';
    type(longer);
    word('o', answer);
    answer[0] = 'O';
    type(answer);
    assert_false(told());
    assert_true(room.ask.open);
    assert_non_null(strstr(seen, "n, or one of the words with its two characters"));
    answer[0] = 'o';
    (void)snprintf(old, sizeof old, "%s", answer);
    type("n\n");
    is_answer(1, GATE_ANSWER_NO);
    for (int i = 0; i < 3; i++) { /* the word of another question allows nothing in this one */
        seen[0] = '\0';
        want(2, "b.test", "", 443);
        show();
        word('o', answer);
        if (strcmp(answer, old) != 0)
            break;
        type("n\n"); /* drawn the same by chance */
        is_answer(2, GATE_ANSWER_NO);
    }
    type(old);
    assert_false(told());
    type(answer);
    is_answer(2, GATE_ANSWER_ONCE);
}

static void what_was_typed_before_the_question_is_thrown_away(void **state)
{
    (void)state;
    assert_int_equal(write(person, "n\n", 2), 2);
    want(1, "a.test", "", 443);
    show();
    assert_false(told());
    assert_true(room.ask.open);
    /* nor does what stands behind an answer count for the next question */
    want(2, "b.test", "", 443);
    type("n\nn\nn\n");
    is_answer(1, GATE_ANSWER_NO);
    assert_false(told());
    ask_tick(&room, room.ask.until_ms);
    turn();
    assert_true(room.ask.open);
    assert_false(told());
}

/* The last byte of the question comes behind the moment at which the terminal is emptied: who has seen it is heard. */
static void what_is_typed_as_soon_as_it_stands_there_is_an_answer(void **state)
{
    bool typed = false;

    (void)state;
    want(7, "four.test", "", 80);
    ask_tick(&room, engine_now_ms());
    for (int i = 0; i < 50 && room.ask.at < room.ask.len; i++) {
        if (room.ask.at == room.ask.len - 1 && !typed) {
            assert_int_equal(write(person, "early\n", 6), 6);
            typed = true;
        }
        ask_event(&room);
    }
    assert_true(typed);
    assert_int_equal(write(person, "n\n", 2), 2);
    turn();
    is_answer(7, GATE_ANSWER_NO);
    assert_null(strstr(seen, "please: "));
}

static void silence_is_no(void **state)
{
    (void)state;
    want(1, "a.test", "", 443);
    show();
    const uint64_t until = room.ask.until_ms;
    assert_true(until > engine_now_ms() + 29000 && until <= engine_now_ms() + 30000);
    ask_tick(&room, until - 1);
    assert_false(told());
    assert_true(room.ask.open);
    ask_tick(&room, until);
    is_answer(1, GATE_ANSWER_NO);
    assert_false(room.ask.open);
    look();
    assert_non_null(strstr(seen, "nobody has answered: denied"));
}

static void many_wait_their_turn_and_after_eight_refusals_none_is_asked(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= GATE_ASKS_MAX + 3; i++)
        want(i, "a.test", "", i);
    assert_int_equal(room.ask.count, GATE_ASKS_MAX); /* more than the gate may have open: not listened to */
    for (uint32_t i = 1; i <= 8; i++) {
        char line[32];
        ask_tick(&room, room.ask.until_ms);
        turn();
        (void)snprintf(line, sizeof line, "    a.test:%u\r\n", i);
        assert_non_null(strstr(seen, line));
        type("no\n");
        is_answer(i, GATE_ANSWER_NO);
        assert_false(told());
    }
    assert_non_null(strstr(seen, "8 were refused: nothing is asked any more"));
    seen[0] = '\0';
    ask_tick(&room, room.ask.until_ms);
    turn();
    for (uint32_t i = 9; i <= GATE_ASKS_MAX; i++)
        is_answer(i, GATE_ANSWER_NO);
    assert_string_equal(seen, "");
    want(99, "late.test", "", 443);
    show();
    is_answer(99, GATE_ANSWER_NO);
    assert_string_equal(seen, "");
}

static void what_is_no_endpoint_is_not_shown(void **state)
{
    static const struct {
        const char *name, *address;
        uint32_t port;
    } rows[] = {{"", "", 443},          {"a b.test", "", 443}, {"a.test", "", 0},       {"a.test", "", 65536},
                {"*.test", "", 443},    {"a.test;any", "", 4}, {"\033[2Ja", "", 443},   {"unix:/x", "", 443},
                {"localhost", "", 443}, {"", "1.2.3.4/8", 80}, {"a.test:1,2", "", 443}, {"1.2.3", "", 80},
                {"", "1.2.0.0/16", 80}};

    (void)state;
    for (uint32_t i = 0; i < COUNT(rows); i++) {
        want(i + 1, rows[i].name, rows[i].address, rows[i].port);
        if (room.ask.count > 0)
            fail_msg("row %u is asked about", i);
        is_answer(i + 1, GATE_ANSWER_NO);
    }
    show();
    assert_string_equal(seen, "");
}

static void an_end_of_input_is_no(void **state)
{
    (void)state;
    want(1, "a.test", "", 443);
    show();
    type("\004");
    is_answer(1, GATE_ANSWER_NO);
    assert_false(room.ask.open);
}

/* SIGHUP is not for us to judge here: whoever ignores it (nohup) goes on without a terminal. */
static void a_terminal_that_dies_is_no_and_costs_no_time(void **state)
{
    (void)state;
    want(1, "a.test", "", 443);
    want(2, "b.test", "", 443);
    show();
    fd_close(&person);
    for (int i = 0; i < 3 && room.ask.open; i++) {
        struct pollfd p = ask_poll(&room);
        assert_int_equal(poll(&p, 1, 1000), 1);
        ask_event(&room);
    }
    is_answer(1, GATE_ANSWER_NO);
    ask_tick(&room, room.ask.until_ms);
    for (int i = 0; i < 3 && room.ask.open; i++) {
        struct pollfd p = ask_poll(&room);
        assert_int_equal(poll(&p, 1, 1000), 1);
        ask_event(&room);
    }
    is_answer(2, GATE_ANSWER_NO);
    assert_false(room.ask.open);
}

/* A question that cannot be written must not be tried again and again until its time is up. */
static void a_terminal_that_dies_before_the_question_is_seen_is_no(void **state)
{
    (void)state;
    want(1, "a.test", "", 443);
    ask_tick(&room, engine_now_ms());
    assert_true(room.ask.open);
    fd_close(&person);
    for (int i = 0; i < 3 && room.ask.open; i++) {
        struct pollfd p = ask_poll(&room);
        assert_int_equal(poll(&p, 1, 1000), 1);
        ask_event(&room);
    }
    is_answer(1, GATE_ANSWER_NO);
    assert_false(room.ask.open);
}

static void in_the_background_nobody_is_asked(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        for (;;)
            (void)pause();
    }
    assert_true(pid > 0);
    (void)setpgid(pid, pid);
    assert_int_equal(tcsetpgrp(room.ask.fd, pid), 0);
    want(1, "a.test", "", 443);
    show();
    is_answer(1, GATE_ANSWER_NO);
    assert_string_equal(seen, "");
    (void)tcsetpgrp(room.ask.fd, getpgrp());
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void a_gate_that_has_ended_and_a_room_that_is_dead_are_borne(void **state)
{
    char answer[8];

    (void)state;
    want(1, "a.test", "", 443);
    show();
    fd_close(&room.gate_ctl);
    word('o', answer);
    type(answer);
    assert_false(room.ask.open);
    room.dead = true;
    want(2, "b.test", "", 443);
    assert_int_equal(room.ask.count, 0);
    ask_close(&room);
    assert_int_equal(ask_poll(&room).fd, -1);
    want(3, "c.test", "", 443);
    assert_int_equal(room.ask.count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

static int tests(void)
{
    const struct CMUnitTest all[] = {
        T(once_and_always_are_told_with_their_rules),
        T(only_the_words_of_this_question_allow),
        T(what_was_typed_before_the_question_is_thrown_away),
        T(what_is_typed_as_soon_as_it_stands_there_is_an_answer),
        T(silence_is_no),
        T(many_wait_their_turn_and_after_eight_refusals_none_is_asked),
        T(what_is_no_endpoint_is_not_shown),
        T(an_end_of_input_is_no),
        T(a_terminal_that_dies_is_no_and_costs_no_time),
        T(a_terminal_that_dies_before_the_question_is_seen_is_no),
        T(in_the_background_nobody_is_asked),
        T(a_gate_that_has_ended_and_a_room_that_is_dead_are_borne),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

/* In a child, which can have a session and so a terminal of its own. */
int main(void)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)setsid();
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGTTOU, SIG_IGN); /* to be put into the foreground again */
        exit(tests());
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
