/* gate: the supervisor's side of strongroom-gate, the one process that stands between a room and the network.
 *
 * Theory of operation. The program is started while the room is being built; rules go to it at once, listeners when
 * pid 1 has made them. When the gate says that it serves, pid 1 may go on to the program. Afterwards the gate tells
 * each decision, which is only recorded. It ends when told to, and at the latest when its control socket closes, which
 * our death does too. A gate that dies takes the room's network with it, and nothing else.
 *
 * Lives in: the supervisor. Trusts: the program beside ours, its frames by size and bound only.
 * Must not: wait long for the gate, start it with anything of the caller's (descriptors, environment, terminal). */
#include "engine/helper.h"
#include "engine/inner.h"
#include "gate/frames.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

static_assert((int)ROOM_LISTEN_DNS_UDP == (int)GATE_LISTEN_DNS_UDP &&
                  (int)ROOM_LISTEN_DNS_TCP == (int)GATE_LISTEN_DNS_TCP &&
                  (int)ROOM_LISTEN_TPROXY == (int)GATE_LISTEN_TPROXY &&
                  (int)ROOM_LISTEN_PORT == (int)GATE_LISTEN_PORT &&
                  (int)ROOM_LISTEN_UNIX == (int)GATE_LISTEN_UNIX &&
                  (int)ROOM_LISTEN_SEEN == (int)GATE_LISTEN_SEEN &&
                  (int)ROOM_LISTEN_REFUSED == (int)GATE_LISTEN_REFUSED,
              "one set of numbers");
#if GATE_CONTROL_FD != HELPER_CONTROL_FD
#error "a helper finds its socket at one number"
#endif
static_assert(GATE_FRAME_FDS_MAX == FD_FRAME_FDS_MAX, "one frame carries as many as the other");

enum { STOP_MS = 500 };
#define PROGRAM "strongroom-gate"

static struct network record;
static struct gate_command command; /* large; one at a time */

static int send_command(struct room *r, const int *fds, size_t n)
{
    command.version = GATE_FRAMES_VERSION;
    int c = fd_frame_send(r->gate_ctl, &command, sizeof command, fds, n, 0);
    memset(&command, 0, sizeof command);
    return c;
}

static int send_rules(struct room *r)
{
    const struct egress_rules *rules = &r->policy->egress;
    char line[EGRESS_LINE_MAX];
    struct sbuf b = SBUF(line);
    int c = 0;
    command.type = GATE_RULES;
    for (size_t i = 0; c == 0 && i < rules->count; i++) {
        b = SBUF(line);
        egress_line(&rules->rules[i], &b);
        if (command.size + b.len > sizeof command.text) {
            c = send_command(r, NULL, 0);
            command.type = GATE_RULES;
        }
        memcpy(command.text + command.size, line, b.len);
        command.size += (uint32_t)b.len;
    }
    return c == 0 && command.size ? send_command(r, NULL, 0) : c;
}

/* Puts the login where the policy says it is into *u. */
static int take_login(const char *where, struct upstream *u, struct err *e)
{
    char text[2 * UPSTREAM_WORD_MAX + 8];
    const char *value = text;
    ssize_t n = 0;
    if (strncmp(where, "env:", 4) == 0) {
        value = getenv(where + 4);
        n = value ? (ssize_t)strlen(value) : -ENOENT;
    } else {
        n = fd_read_file(AT_FDCWD, where + 5, text, sizeof text);
    }
    int c = n < 0 ? (int)n : upstream_read_login(value, (size_t)n, u);
    explicit_bzero(text, sizeof text);
    if (n == -ENOENT && strncmp(where, "env:", 4) == 0)
        err_set(e, ERR_USAGE, 0, "--upstream-login %s: that variable is not set", where);
    else if (n < 0)
        err_set(e, ERR_USAGE, (int)-n, "--upstream-login %s: read the login", where);
    else if (c < 0)
        err_set(e, ERR_USAGE, 0,
                "--upstream-login %s: does not hold USER:PASSWORD, of at most 127 bytes each", where);
    return c;
}

static int send_upstream(struct room *r, struct err *e)
{
    if (!r->policy->upstream)
        return 0;
    struct upstream u = *r->policy->upstream;
    int c = r->policy->upstream_login ? take_login(r->policy->upstream_login, &u, e) : 0;
    if (c == 0) {
        struct sbuf b = {.text = command.text, .size = sizeof command.text};
        upstream_text(&u, true, &b);
        command.type = GATE_UPSTREAM;
        command.size = (uint32_t)b.len;
        c = send_command(r, NULL, 0);
        if (c < 0)
            err_set(e, ERR_ROOM, -c, "tell the gate its proxy");
    }
    explicit_bzero(&u, sizeof u);
    return c;
}

int gate_start(struct room *r, struct err *e)
{
    const struct timeval patience = {.tv_sec = 2};
    if (!r->plan.gate_serves)
        return 0;
    r->result->network = &record;
    record.rules = live_rules(r);
    record.outward = r->policy->net == NET_GATE;
    int n = helper_start(PROGRAM, &r->gate_ctl, &r->gate_pid, e);
    if (n < 0)
        return n;
    (void)setsockopt(r->gate_ctl, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    n = send_rules(r);
    if (n == 0)
        n = intercept_join(r);
    if (n == 0)
        n = publish_hand_over(r);
    if (n == 0 && r->policy->net != NET_GATE) { /* the room will hand out no listeners */
        command.type = GATE_START;
        n = send_command(r, NULL, 0);
    }
    if (n == -EPIPE || n == -ECONNRESET)
        return helper_missing(PROGRAM, e);
    return n < 0 ? err_set(e, ERR_ROOM, -n, "tell the gate its rules") : send_upstream(r, e);
}

struct network *gate_record(void)
{
    return &record;
}

static void hand_late(struct room *r, enum gate_listener kind, int listener, uint32_t rule)
{
    command.type = GATE_LISTENERS;
    command.count = 1;
    command.kinds[0] = (uint8_t)kind;
    command.numbers[0] = (uint16_t)rule;
    (void)send_command(r, &listener, 1); /* the gate's end is told by its socket */
}

void gate_listen(struct room *r, int listener, uint32_t rule)
{
    hand_late(r, GATE_LISTEN_UNIX, listener, rule);
}

void gate_listen_port(struct room *r, int listener)
{
    hand_late(r, GATE_LISTEN_PORT, listener, 0);
}

int gate_change(struct room *r, uint32_t number)
{
    const struct egress_rule *rule = &live_rules(r)->rules[number];
    char line[EGRESS_LINE_MAX];
    struct sbuf b = SBUF(line);
    if (r->gate_ctl < 0)
        return -EPIPE;
    command.type = rule->gone ? GATE_DROP : GATE_ADD;
    command.number = number;
    if (!rule->gone) {
        egress_line(rule, &b);
        memcpy(command.text, line, b.len);
        command.size = (uint32_t)b.len;
    }
    int c = send_command(r, NULL, 0);
    if (c == 0 && !rule->gone)
        ports_follow(r, rule);
    return c;
}

int gate_answer(struct room *r, uint32_t question, enum gate_answer answer, uint32_t number)
{
    char line[EGRESS_LINE_MAX];
    struct sbuf b = SBUF(line);
    if (r->gate_ctl < 0)
        return -EPIPE;
    if (answer == GATE_ANSWER_ONCE) {
        egress_line(&live_rules(r)->rules[number], &b);
        memcpy(command.text, line, b.len);
        command.size = (uint32_t)b.len;
    }
    command.type = GATE_ANSWER;
    command.number = number;
    command.count = question;
    command.kinds[0] = (uint8_t)answer;
    return send_command(r, NULL, 0);
}

static void give_up(struct room *r, const char *why)
{
    if (!record.failed[0]) {
        struct sbuf b = SBUF(record.failed);
        sbuf_escaped(&b, why);
    }
    fd_close(&r->gate_ctl);
    room_kill(r, OUTCOME_NO_ROOM);
}

void gate_listeners(struct room *r, const struct report *got, int *fds, size_t n)
{
    int on[GATE_FRAME_FDS_MAX];
    if (r->gate_ctl < 0 || n != got->fds)
        return give_up(r, "the room's listeners did not arrive");
    command.type = GATE_LISTENERS;
    for (size_t i = 0; i < n; i++) {
        if (got->listeners[i] == ROOM_LISTEN_SPARE) {
            fds[i] = ports_keep(fds[i]) == 0 ? -1 : fds[i];
            continue;
        }
        if (got->listeners[i] == ROOM_LISTEN_PORT)
            ports_see(fds[i]);
        command.kinds[command.count] = got->listeners[i];
        command.numbers[command.count] = got->numbers[i];
        on[command.count++] = fds[i];
    }
    int c = command.count == 0 ? 0 : send_command(r, on, command.count);
    if (c == 0 && got->status == 1) {
        command.type = GATE_START;
        command.number = r->ask.fd >= 0   ? GATE_EVERY_NAME | GATE_ASKS
                         : r->req->learns ? GATE_EVERY_NAME | (r->req->opens ? GATE_OPEN : 0)
                                          : 0;
        c = send_command(r, NULL, 0);
    }
    if (c < 0)
        give_up(r, PROGRAM " is not there or ended at once");
}

/* Nobody may hold the room up by not reading: what does not go into the pipe now is lost, and counted. */
static void tell_event(struct room *r, struct gate_report *got, uint64_t at_ms)
{
    static uint32_t lost;
    char line[NETWORK_LINE_MAX];
    struct sbuf b = SBUF(line);
    struct pollfd p = {.fd = r->req->events_fd, .events = POLLOUT};
    if (p.fd < 0)
        return;
    got->lost += lost;
    network_line(&record, got, at_ms, &b);
    const bool ready = poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
    if (!b.full && ready && write(p.fd, b.text, b.len) == (ssize_t)b.len)
        lost = 0;
    else
        lost = got->lost + 1;
}

static void take_event(struct room *r, struct gate_report *got)
{
    const struct timespec *t = &r->req->started;
    const uint64_t at_ms = engine_now_ms() - ((uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_nsec / 1000000);
    network_note(&record, got, at_ms);
    tell_event(r, got, at_ms);
}

static void let_go_on(struct room *r)
{
    struct command c = {.type = COMMAND_SERVED};
    r->gate_serves = true;
    if (r->ctl < 0 || fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT) < 0)
        room_kill(r, OUTCOME_NO_ROOM);
}

/* One frame. False when there is none now, or never will be. */
static bool take_one(struct room *r)
{
    static struct gate_report got;
    int n = fd_frame_recv(r->gate_ctl, &got, sizeof got, NULL, 0, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return false;
    if (n < 0) {
        if (!r->gate_serves && !r->dead)
            give_up(r, PROGRAM " is not there or ended early");
        record.lost = record.lost || (r->gate_serves && !r->gate_stopped);
        fd_close(&r->gate_ctl);
        ports_end(); /* they would keep the link */
        live_gate_lost(r);
        return false;
    }
    got.text[sizeof got.text - 1] = '\0';
    switch (got.type) {
    case GATE_READY:
        if (got.version != GATE_FRAMES_VERSION)
            give_up(r, PROGRAM " is of another version");
        else if (!r->gate_serves)
            let_go_on(r);
        break;
    case GATE_WANT:
        publish_wanted(r, got.count);
        break;
    case GATE_DIAL:
        unixes_dial(r, (uint32_t)got.rule, got.count, got.generation);
        break;
    case GATE_CHANGED:
        live_changed(r, (uint32_t)got.rule, got.count);
        break;
    case GATE_FAILED:
        give_up(r, got.text);
        return false;
    case GATE_EVENT:
        take_event(r, &got);
        break;
    case GATE_ASK:
        ask_take(r, &got);
        break;
    default:
        fd_close(&r->gate_ctl); /* FINISHED: nothing more comes */
        return false;
    }
    return true;
}

void gate_take(struct room *r)
{
    for (int i = 0; i < 64 && take_one(r); i++) {
    }
}

void gate_stop(struct room *r)
{
    if (r->gate_pid <= 0)
        return;
    const uint64_t until = engine_now_ms() + STOP_MS;
    ports_end();
    r->gate_stopped = true;
    if (r->gate_serves && r->gate_ctl >= 0) {
        command.type = GATE_STOP;
        (void)send_command(r, NULL, 0); /* it may have ended */
    } else {
        fd_close(&r->gate_ctl);
    }
    while (r->gate_ctl >= 0) {
        struct pollfd p = {.fd = r->gate_ctl, .events = POLLIN};
        uint64_t now = engine_now_ms();
        if (now >= until || poll(&p, 1, (int)(until - now)) <= 0)
            break;
        gate_take(r);
    }
    fd_close(&r->gate_ctl);
    const uint64_t now = engine_now_ms();
    helper_end(&r->gate_pid, now < until ? (unsigned)(until - now) : 0);
}
