/* ask: the person at the terminal decides about endpoints that no rule lists.
 *
 * Theory of operation. The gate sends a question, and its connection waits there; here one question at a time goes to
 * the controlling terminal, which is written and read as it becomes ready, so that nothing else waits. While it stands
 * there, what the program prints to that terminal stays in its pipe, and what is typed goes to us. Time runs out as no.
 *   The program must neither ask in our name nor answer. It cannot write while a question stands; what it wrote before
 * may have left the terminal in any state, which is put right first. A question of its own has no effect: nobody reads
 * the answer but itself. And an answer that allows has two characters that are drawn for each question and shown with
 * it only, so what was typed too early, or what a terminal says by itself when a program makes it, never allows.
 *   Refusals are counted: after a few nothing is asked any more, so that nobody is worn down.
 *
 * Lives in: the supervisor. Trusts: the terminal. Must not: wait for it, show a byte of the room's but names. */
#include "engine/inner.h"
#include "engine/network.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    ASK_MS = 30000,
    PAUSE_MS = 60, /* between two questions, for what was held back */
    REFUSALS_MAX = 8
};

static int open_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && tcgetpgrp(fd) != getpgrp())
        fd_close(&fd); /* reading there would stop us */
    return fd;
}

bool engine_can_ask(void)
{
    FD_AUTO fd = open_terminal();
    return fd >= 0;
}

void ask_open(struct room *r)
{
    r->ask.fd = r->req->asks ? open_terminal() : -1;
}

bool ask_holds(const struct room *r, int fd)
{
    return r->ask.open && isatty(fd);
}

/* --- what stands there ---------------------------------------------------------------------------------------- */

/* Two characters that are not taken for each other. */
static bool draw_code(struct ask *a)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789z";
    unsigned char bytes[2];
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != sizeof bytes)
        return false;
    for (int i = 0; i < 2; i++)
        a->code[i] = letters[bytes[i] % 32];
    a->code[2] = '\0';
    return true;
}

/* Whatever the program left behind: an unfinished sequence, colours, hidden text, margins, an unseen cursor. */
static void put_calm(struct sbuf *out)
{
    const char *term = getenv("TERM");
    sbuf_char(out, '\030'); /* CAN ends any sequence */
    if (term && strcmp(term, "dumb") != 0)
        sbuf_text(out, "\033\\\033[!p\033[0m\033(B\017\033[?25h");
    sbuf_text(out, "\n");
}

static void show(struct ask *a, const struct sbuf *b)
{
    a->at = 0;
    a->len = b->len;
}

static void put_question(struct ask *a)
{
    struct sbuf b = SBUF(a->text);
    put_calm(&b);
    sbuf_text(&b, "strongroom asks: the program in the room wants to connect to\n    ");
    sbuf_escaped(&b, a->queue[0].rule);
    sbuf_fmt(&b,
             "\nwhich no rule lists. Allow it?  once: o%s   always in this room: a%s   no: n   (no in %d "
             "s)\n> ",
             a->code, a->code, ASK_MS / 1000);
    if (b.full)
        b.len = 0;
    show(a, &b);
}

static bool begin(struct room *r)
{
    struct ask *a = &r->ask;
    if (tcgetpgrp(a->fd) != getpgrp())
        return false;
    terminal_leave(r); /* lines, and an echo; Ctrl-C is a signal */
    a->open = draw_code(a);
    a->line_len = 0;
    a->too_long = false;
    a->until_ms = engine_now_ms() + ASK_MS;
    if (a->open)
        put_question(a);
    if (a->open && a->len > 0)
        return true;
    a->open = false;
    return false;
}

/* --- answers -------------------------------------------------------------------------------------------------- */

static void answer(struct room *r, enum gate_answer answer)
{
    struct ask *a = &r->ask;
    struct ask_one one = a->queue[0];
    int number = 0;
    memmove(a->queue, a->queue + 1, --a->count * sizeof *a->queue);
    if (answer != GATE_ANSWER_NO) {
        const bool once = answer == GATE_ANSWER_ONCE;
        struct egress_words words;
        struct egress_rule rule;
        const char *why, *hint;
        number = egress_read(one.rule, false, &words, &rule, &why, &hint);
        rule.note = once ? "asked, allowed once" : "asked, allowed for this room";
        number = number < 0 ? number : live_add(r, &rule, once);
        answer = number < 0 ? GATE_ANSWER_NO : answer;
    }
    struct network *n = gate_record();
    if (answer == GATE_ANSWER_ALWAYS && n->kept_count < NETWORK_KEPT_MAX)
        n->kept[n->kept_count++] = (uint16_t)number;
    /* A gate that has ended has nobody waiting. */
    if (answer == GATE_ANSWER_ALWAYS)
        (void)gate_change(r, (uint32_t)number);
    (void)gate_answer(r, one.id, answer, answer == GATE_ANSWER_NO ? 0 : (uint32_t)number);
}

static void end_question(struct room *r, enum gate_answer what, const char *words)
{
    struct ask *a = &r->ask;
    char text[200];
    struct sbuf b = SBUF(text);
    if (what == GATE_ANSWER_NO)
        a->refusals++;
    sbuf_fmt(&b, "strongroom: %s\n", words);
    if (what == GATE_ANSWER_NO && a->refusals == REFUSALS_MAX)
        sbuf_fmt(&b, "strongroom: %d were refused: nothing is asked any more, all else is denied\n",
                 REFUSALS_MAX);
    (void)!write(a->fd, b.text, b.len); /* a terminal that takes no more has not shown the question either */
    a->open = false;
    answer(r, what);
    a->until_ms = a->count > 0 ? engine_now_ms() + PAUSE_MS : 0;
    if (r->plan.tty && r->started && !r->dead)
        terminal_enter(r);
}

/* Questions go on until one stands there, or none is left. */
static void next(struct room *r)
{
    struct ask *a = &r->ask;
    while (a->count > 0 && !a->open && (a->refusals >= REFUSALS_MAX || !begin(r)))
        answer(r, GATE_ANSWER_NO);
    a->until_ms = a->open ? a->until_ms : 0;
}

static bool is_word(const struct ask *a, char letter)
{
    return a->line_len == 3 && a->line[0] == letter && memcmp(a->line + 1, a->code, 2) == 0;
}

static void take_line(struct room *r)
{
    static const char again[] = "\nn, or one of the words with its two characters, please: ";
    struct ask *a = &r->ask;
    while (a->line_len > 0 && (a->line[a->line_len - 1] == ' ' || a->line[a->line_len - 1] == '\r'))
        a->line_len--;
    const bool no =
        (a->line_len == 1 && a->line[0] == 'n') || (a->line_len == 2 && memcmp(a->line, "no", 2) == 0);
    if (a->too_long || (!no && !is_word(a, 'o') && !is_word(a, 'a'))) {
        a->line_len = 0;
        a->too_long = false;
        (void)!write(a->fd, again, sizeof again - 1); /* only a courtesy */
        return;
    }
    if (no)
        end_question(r, GATE_ANSWER_NO, "denied");
    else if (is_word(a, 'o'))
        end_question(r, GATE_ANSWER_ONCE, "allowed once");
    else
        end_question(r, GATE_ANSWER_ALWAYS, "allowed for as long as this room lives");
}

/* What was typed before is thrown away before the last byte is shown: who answers as soon as the question stands
 * there is heard, however late we get the processor again. */
static void write_question(struct room *r)
{
    struct ask *a = &r->ask;
    const size_t last = a->len - 1;
    if (a->at == last)
        (void)tcflush(a->fd, TCIFLUSH); /* it was not typed for us */
    ssize_t n = write(a->fd, a->text + a->at, (a->at < last ? last : a->len) - a->at);
    if (n < 0 && errno != EAGAIN &&
        errno != EINTR) { /* the terminal is gone, and is ready to say so for ever */
        (void)ask_refuse(r);
        return;
    }
    if (n > 0)
        a->at += (size_t)n;
    if (a->at < a->len)
        return;
    a->until_ms = engine_now_ms() + ASK_MS;
}

struct pollfd ask_poll(const struct room *r)
{
    const struct ask *a = &r->ask;
    return (struct pollfd){.fd = a->open ? a->fd : -1, .events = a->at < a->len ? POLLOUT : POLLIN};
}

void ask_event(struct room *r)
{
    struct ask *a = &r->ask;
    char keys[64];
    if (!a->open)
        return;
    if (a->at < a->len) {
        write_question(r);
        return;
    }
    ssize_t n = read(a->fd, keys, sizeof keys);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* Ctrl-D, or the terminal is gone */
        (void)ask_refuse(r);
        return;
    }
    for (ssize_t i = 0; i < n && a->open; i++) {
        if (keys[i] == '\n') {
            take_line(r);
            return; /* what stands behind it was typed before the next question */
        }
        if (a->line_len < sizeof a->line)
            a->line[a->line_len++] = keys[i];
        else
            a->too_long = true;
    }
}

void ask_tick(struct room *r, uint64_t now)
{
    if (r->ask.count == 0 || now < r->ask.until_ms)
        return;
    if (r->ask.open)
        end_question(r, GATE_ANSWER_NO, "nobody has answered: denied");
    else
        next(r);
}

bool ask_refuse(struct room *r)
{
    if (!r->ask.open)
        return false;
    end_question(r, GATE_ANSWER_NO, "denied");
    return true;
}

/* Whatever the gate says: one name or one address, on one port. */
static bool is_one_endpoint(const struct egress_rule *x)
{
    const bool address = (x->kind == EGRESS_V4 || x->kind == EGRESS_V6) && x->bits == 128;
    return (x->kind == EGRESS_NAME || address) && x->port_count == 1 && x->ports[0].from == x->ports[0].to;
}

void ask_take(struct room *r, const struct gate_report *got)
{
    struct ask *a = &r->ask;
    struct ask_one *one = &a->queue[a->count];
    char text[EGRESS_RULE_MAX], name[GATE_NAME_MAX];
    struct egress_words words;
    struct egress_rule rule;
    const char *why, *hint;
    struct sbuf b = SBUF(text);
    if (a->fd < 0 || a->count == GATE_ASKS_MAX)
        return; /* it was not told that anybody can be asked, or asks more than it may */
    memcpy(name, got->name[0] ? got->name : got->address,
           got->name[0] ? sizeof got->name : sizeof got->address);
    name[got->name[0] ? sizeof got->name - 1 : sizeof got->address - 1] = '\0';
    one->id = got->count;
    sbuf_fmt(&b, strchr(name, ':') ? "[%s]:%u" : "%s:%u", name, got->port);
    a->count++;
    const bool fits =
        !b.full && egress_read(text, false, &words, &rule, &why, &hint) == 0 && is_one_endpoint(&rule);
    struct sbuf asked = SBUF(one->rule);
    if (fits)
        egress_text(&rule, &asked);
    if (!fits || asked.full || r->dead) {
        a->count--;
        (void)gate_answer(r, got->count, GATE_ANSWER_NO, 0); /* a gate that has ended has nobody waiting */
        return;
    }
    if (a->count == 1)
        a->until_ms = engine_now_ms(); /* in this round, when what was printed before is shown */
}

void ask_close(struct room *r)
{
    struct ask *a = &r->ask;
    static const char over[] = "\nstrongroom: the room has ended\n";
    if (a->open)
        (void)!write(a->fd, over, sizeof over - 1);
    a->open = false;
    a->until_ms = 0;
    a->count = 0;
    fd_close(&a->fd);
}
