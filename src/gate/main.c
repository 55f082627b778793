/* strongroom-gate: the only way out of a room with a network, and it goes by name.
 *
 * Theory of operation. The supervisor starts it in the host's network namespace, hands it the rules and listeners
 * that were
 * made inside the room's namespace, where every address is local. Whatever the room's programs ask or connect to
 * ends at
 * these listeners. The gate answers questions itself (answer.c), turns a connection back into a name (pins.c), decides
 * (policy/egress.h), looks the name up (resolve.c), dials and moves bytes (conn.c). One process, one thread, one
 * epoll, fixed
 * tables. If it dies the room loses its network, and no wall.
 *
 * Lives in: a process of its own, one for each room. Trusts: the supervisor, the host's resolv.conf and hosts.
 * May: connect to what the rules allow, ask the host's name servers. Must not: open anything once it serves. */
#include "gate/answer.h"
#include "gate/ask.h"
#include "gate/budget.h"
#include "gate/confine.h"
#include "gate/conn.h"
#include "gate/frames.h"
#include "gate/live.h"
#include "gate/local.h"
#include "gate/loop.h"
#include "gate/own.h"
#include "gate/publish.h"
#include "gate/refused.h"
#include "gate/secret.h"
#include "gate/serve.h"
#include "gate/tell.h"
#include "gate/via.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONFIG_MAX 65536
#define FDS_SPARE  512 /* besides connections: listeners, look-ups, peers, pooled pipes */
#define FDS_CONN   3   /* two sockets; pipes while bytes are stuck, which they are in few at once */
#define REST_MS    100 /* for a listener when descriptors are short */

static char rule_text[GATE_PIECE_MAX + EGRESS_LINE_MAX]; /* a piece, and what was left of the one before */
static size_t rule_text_len;
static struct egress_rule rule_table[EGRESS_RULES_MAX];
static char rule_words[EGRESS_TEXTS_MAX];
static struct egress_texts texts = {.at = rule_words, .left = sizeof rule_words};
static struct egress_index rule_index;
static struct egress_rules rules = {.rules = rule_table};
static struct {
    int fd;
    enum gate_listener kind;
    uint16_t number;      /* as the frame has it */
    bool late;            /* it came after START for its rule, and goes with it; then fd is -1 */
    uint64_t rests_until; /* 0: it does not rest */
} listeners[GATE_LISTENERS_MAX];
static size_t listener_count, resting;
static struct gate_command command;

static int fail(int code, const char *text, const char *what)
{
    struct gate_report r = {
        .type = GATE_FAILED, .version = GATE_FRAMES_VERSION, .code = code < 0 ? -code : code};

    (void)snprintf(r.text, sizeof r.text, "%s%s", text, what);
    (void)fd_frame_send(GATE_CONTROL_FD, &r, sizeof r, NULL, 0, 0); /* nobody else is there to tell */
    return 1;
}

static int take_listeners(int *fds, int count)
{
    if (count < 0 || (uint32_t)count != command.count || listener_count + command.count > GATE_LISTENERS_MAX)
        return -EPROTO;
    for (int i = 0; i < count; i++) {
        uint8_t kind = command.kinds[i];
        if (kind < GATE_LISTEN_DNS_UDP || kind > GATE_LISTEN_SEEN)
            return -EPROTO;
        int flags = fcntl(fds[i], F_GETFL);
        if (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
        listeners[listener_count].fd = fds[i];
        listeners[listener_count].kind = (enum gate_listener)kind;
        listeners[listener_count].number = command.numbers[i];
        listener_count++;
    }
    return 0;
}

static int take_upstream(void)
{
    struct upstream u;
    const char *why, *hint;

    if (command.size >= sizeof command.text)
        return -EPROTO;
    command.text[command.size] = '\0';
    if (upstream_read(command.text, &u, &why, &hint) < 0)
        return -EPROTO;
    via_open(&u);
    explicit_bzero(&u, sizeof u);
    explicit_bzero(command.text, sizeof command.text);
    return 0;
}

/* Reads the lines that are whole by now. They come while the supervisor still builds the room. */
static int take_rules(void)
{
    size_t whole, count = 0;

    if (command.size > GATE_PIECE_MAX || command.size > sizeof rule_text - rule_text_len)
        return -EPROTO;
    memcpy(rule_text + rule_text_len, command.text, command.size);
    rule_text_len += command.size;
    for (whole = rule_text_len; whole > 0 && rule_text[whole - 1] != '\n'; whole--)
        ;
    int r = egress_read_lines(rule_text, whole, &texts, rule_table + rules.count,
                              EGRESS_RULES_MAX - rules.count, &count);
    if (r < 0)
        return r;
    rules.count += count;
    rule_text_len -= whole;
    memmove(rule_text, rule_text + whole, rule_text_len);
    return 0;
}

/* Each socket file of the room stands for a rule about one. */
static bool is_socket_rule(uint16_t rule)
{
    return rule < rules.count && rule_table[rule].kind == EGRESS_UNIX && !rule_table[rule].deny;
}

static int listeners_fit(void)
{
    for (size_t i = 0; i < listener_count; i++) {
        if (listeners[i].kind == GATE_LISTEN_UNIX && !is_socket_rule(listeners[i].number))
            return -EPROTO;
    }
    return 0;
}

/* Once we serve: the socket file of a rule that has just come, or a port of it. */
static int take_late(int fd)
{
    const uint16_t rule = command.numbers[0];
    const bool is_port = command.kinds[0] == GATE_LISTEN_PORT;
    uint32_t i = 0;

    while (i < listener_count && listeners[i].fd >= 0)
        i++;
    if (is_port) {
        conn_listener(fd);
        seen_listener(fd);
    }
    if (i == GATE_LISTENERS_MAX || command.count != 1 ||
        (!is_port &&
         (command.kinds[0] != GATE_LISTEN_UNIX || !is_socket_rule(rule) || rule_table[rule].gone)) ||
        loop_add(fd, EPOLLIN, LOOP_LISTENER, i, 0) < 0) {
        fd_close(&fd);
        return -EPROTO;
    }
    listeners[i].fd = fd;
    listeners[i].kind = (enum gate_listener)command.kinds[0];
    listeners[i].number = rule;
    listeners[i].late = !is_port;
    listener_count += i == listener_count;
    return 0;
}

static void drop_late(uint32_t rule)
{
    for (size_t i = 0; i < listener_count; i++) {
        if (listeners[i].fd < 0 || !listeners[i].late || listeners[i].number != rule)
            continue;
        fd_close(&listeners[i].fd);
        resting -= listeners[i].rests_until != 0;
        listeners[i].rests_until = 0;
    }
}

/* Everything up to START. */
static int configure(void)
{
    for (;;) {
        int fds[GATE_FRAME_FDS_MAX];
        int n = fd_frame_recv(GATE_CONTROL_FD, &command, sizeof command, fds, GATE_FRAME_FDS_MAX, 0);
        if (n < 0)
            return n;
        if (command.version != GATE_FRAMES_VERSION || (n > 0 && command.type != GATE_LISTENERS))
            return -EPROTO;
        switch (command.type) {
        case GATE_RULES:
            n = take_rules();
            if (n < 0)
                return n;
            break;
        case GATE_UPSTREAM:
            n = take_upstream();
            if (n < 0)
                return n;
            break;
        case GATE_SECRET:
            n = command.size <= GATE_PIECE_MAX ? secret_add(command.text, command.size) : -EPROTO;
            memset(command.text, 0, sizeof command.text);
            if (n < 0)
                return n;
            break;
        case GATE_LISTENERS:
            n = take_listeners(fds, n);
            if (n < 0)
                return n;
            break;
        case GATE_START:
            answer_every_name((command.number & GATE_EVERY_NAME) != 0);
            if (command.number & GATE_OPEN)
                conn_open_all();
            if (command.number & GATE_ASKS)
                ask_open();
            egress_index_make(&rules, &rule_index);
            rules.index = &rule_index;
            return rule_text_len > 0 ? -EPROTO : listeners_fit();
        default:
            return -EPROTO;
        }
    }
}

/* The whole lines at the beginning of a file of the host's. Both files that we read are links on many hosts. */
static size_t read_lines(const char *path, char *text, size_t size)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t len = 0;
    ssize_t n = 0;

    while (fd >= 0 && len < size && (n = read(fd, text + len, size - len)) > 0)
        len += (size_t)n;
    bool cut = len == size; /* then it may end in half a line */
    while (cut && len > 0 && text[len - 1] != '\n')
        len--;
    return n < 0 ? 0 : len;
}

static void read_host(void)
{
    static char text[CONFIG_MAX];
    struct hosts_servers servers;

    hosts_read_servers(text, read_lines("/etc/resolv.conf", text, sizeof text), &servers);
    hosts_read_names(text, read_lines("/etc/hosts", text, sizeof text));
    resolve_open(&servers, conn_resolved);
}

static size_t room_for_conns(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return 64;
    l.rlim_cur =
        l.rlim_max < CONNS_MAX * FDS_CONN + FDS_SPARE ? l.rlim_max : CONNS_MAX * FDS_CONN + FDS_SPARE;
    l.rlim_max = l.rlim_cur;
    (void)setrlimit(RLIMIT_NOFILE, &l); /* then the old limit holds, and accepting fails earlier */
    return l.rlim_cur > FDS_SPARE + 64 * FDS_CONN ? (size_t)(l.rlim_cur - FDS_SPARE) / FDS_CONN : 64;
}

static int listen_all(void)
{
    int r = loop_add(GATE_CONTROL_FD, EPOLLIN, LOOP_CONTROL, 0, 0);

    for (size_t i = 0; i < listener_count && r == 0; i++) {
        if (listeners[i].kind == GATE_LISTEN_TPROXY || listeners[i].kind == GATE_LISTEN_PORT)
            conn_listener(listeners[i].fd);
        if (listeners[i].kind == GATE_LISTEN_PORT || listeners[i].kind == GATE_LISTEN_DNS_TCP)
            seen_listener(listeners[i].fd);
        r = listeners[i].kind == GATE_LISTEN_INTERCEPT
                ? hand_open(listeners[i].fd)
                : loop_add(listeners[i].fd, EPOLLIN, LOOP_LISTENER, (uint32_t)i, 0);
    }
    return r;
}

static void listener_event(uint32_t i)
{
    int r = 0;

    if (listeners[i].fd < 0) /* closed since the kernel told of it */
        return;
    switch (listeners[i].kind) {
    case GATE_LISTEN_DNS_UDP:
        serve_udp(listeners[i].fd);
        break;
    case GATE_LISTEN_DNS_TCP:
        r = serve_accept(listeners[i].fd);
        break;
    case GATE_LISTEN_TPROXY:
    case GATE_LISTEN_PORT:
        r = conn_accept(listeners[i].fd);
        break;
    case GATE_LISTEN_REFUSED:
        refused_take(listeners[i].fd);
        break;
    case GATE_LISTEN_SEEN:
        seen_take(listeners[i].fd);
        break;
    case GATE_LISTEN_PUBLISH:
        r = publish_accept(listeners[i].fd, listeners[i].number);
        break;
    case GATE_LISTEN_UNIX:
        r = local_accept(listeners[i].fd, listeners[i].number);
        break;
    case GATE_LISTEN_INTERCEPT:
        break; /* has a kind of event of its own */
    }
    /* What waits stays ready, and would wake us again and again. */
    if (r < 0 && loop_change(listeners[i].fd, 0, LOOP_LISTENER, i, 0) == 0) {
        listeners[i].rests_until = loop_now() + REST_MS;
        resting++;
    }
}

/* Those of `kind` rest no longer; 0: of none. */
static int listeners_tick(enum gate_listener kind)
{
    for (uint32_t i = 0; resting > 0 && i < listener_count; i++) {
        const bool woken = listeners[i].kind == kind;
        if (listeners[i].rests_until == 0 || (loop_now() < listeners[i].rests_until && !woken))
            continue;
        listeners[i].rests_until = 0;
        resting--;
        (void)loop_change(listeners[i].fd, EPOLLIN, LOOP_LISTENER, i,
                          0); /* it is in there, and nothing is made */
    }
    return resting > 0 ? REST_MS : -1;
}

/* 1: it is over. */
static int control_event(void)
{
    int fds[GATE_FRAME_FDS_MAX];
    int n = fd_frame_recv(GATE_CONTROL_FD, &command, sizeof command, fds, GATE_FRAME_FDS_MAX, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return 0;
    if (n >= 0 && command.version == GATE_FRAMES_VERSION && command.type == GATE_SOCKETS) {
        publish_sockets(fds, (size_t)n);
        (void)listeners_tick(GATE_LISTEN_PUBLISH); /* when the others are due is asked for in each round */
        return 0;
    }
    if ((n == 0 || n == 1) && command.version == GATE_FRAMES_VERSION && command.type == GATE_DIALLED) {
        local_dialled(command.number, command.generation, n == 1 ? fds[0] : -1, (int)command.size);
        (void)listeners_tick(GATE_LISTEN_UNIX);
        return 0;
    }
    if (n == 1 && command.version == GATE_FRAMES_VERSION && command.type == GATE_LISTENERS)
        return take_late(fds[0]) < 0;
    if (n == 0 && command.version == GATE_FRAMES_VERSION && live_command(&command) == 0) {
        if (command.type == GATE_DROP)
            drop_late(command.number);
        return 0;
    }
    if (n == 0 && command.version == GATE_FRAMES_VERSION && command.type == GATE_STOP) {
        for (size_t i = 0; i < listener_count; i++) {
            if (listeners[i].kind == GATE_LISTEN_REFUSED) /* what the program's last moment left */
                refused_take(listeners[i].fd);
            if (listeners[i].kind == GATE_LISTEN_SEEN)
                seen_take(listeners[i].fd);
        }
        conn_close_all();
        tell_finish();
    }
    return 1;
}

static int dispatch(const struct loop_event *e)
{
    switch (e->kind) {
    case LOOP_CONTROL:
        return control_event();
    case LOOP_LISTENER:
        listener_event(e->index);
        break;
    case LOOP_DNS_PEER:
        serve_peer_event(e->index, e->generation, e->events);
        break;
    case LOOP_LOOKUP:
        resolve_event(e->index, e->generation, e->events);
        break;
    case LOOP_ROOM:
        conn_room_event(e->index, e->generation, e->events);
        break;
    case LOOP_DIAL:
        conn_dial_event(e->index, e->generation, e->events);
        break;
    case LOOP_HAND:
        hand_event();
        break;
    case LOOP_UPSTREAM:
        conn_upstream_event(e->index, e->generation, e->events);
        break;
    }
    return 0;
}

static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static int run(void)
{
    static struct loop_event events[LOOP_EVENTS_MAX];

    for (;;) {
        int wait = sooner(sooner(conn_tick(), resolve_tick()), sooner(serve_tick(), tell_tick()));
        wait = sooner(wait, listeners_tick((enum gate_listener)0));
        int n = loop_wait(events, wait);
        if (n < 0)
            return 1;
        for (int i = 0; i < n; i++) {
            if (dispatch(&events[i]) != 0)
                return 0;
        }
    }
}

int main(void)
{
    const char *what = "";

    if (fcntl(GATE_CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0) {
        fputs("strongroom-gate: strongroom starts this program by itself\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* splice to a peer that is gone */
    (void)signal(SIGINT, SIG_IGN);  /* a terminal's: the supervisor decides when it is over */
    (void)signal(SIGQUIT, SIG_IGN);
    int keep[] = {0, 1, 2, GATE_CONTROL_FD};
    int r = fd_close_all_but(keep, sizeof keep / sizeof *keep);
    if (r < 0 || (r = configure()) < 0)
        return r == -EPIPE ? 0 : fail(r, "the supervisor's frames make no sense", "");
    read_host();
    conn_open(&rules, room_for_conns());
    budget_open(&rules);
    serve_open(&rules);
    refused_open(&rules);
    live_open(&rules, rule_table, &texts, &rule_index);
    tell_open(GATE_CONTROL_FD);
    if ((r = own_open()) < 0)
        return fail(r, "cannot ask for routes", "");
    if ((r = loop_open()) < 0 || (r = listen_all()) < 0)
        return fail(r, "cannot listen", "");
    if ((r = confine(&what)) < 0)
        return fail(r, "cannot confine itself: ", what);
    const struct gate_report ready = {.type = GATE_READY, .version = GATE_FRAMES_VERSION};
    if (fd_frame_send(GATE_CONTROL_FD, &ready, sizeof ready, NULL, 0, 0) < 0)
        return 0;
    for (size_t i = 0; i < listener_count; i++)
        publish_open(listeners[i].kind == GATE_LISTEN_PUBLISH);
    return run();
}
