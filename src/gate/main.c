/* strongroom-gate: stands between a room and the network. Started by the supervisor with a control socket and nothing
 * else; takes rules and listeners, gives up every right, and serves until it is told to stop or the socket closes.
 *
 * Lives in: a process of its own, outside the room. Trusts: the supervisor's frames by form. See frames.h. */
#include "gate/asks.h"
#include "gate/confine.h"
#include "gate/conn.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_MAX = 256 * 1024, FDS_EACH = 6, FDS_OTHER = 700 };

static char rules_text[GATE_RULES_TEXT_MAX];
static size_t rules_size;
static struct egress_rule rules[EGRESS_RULES_MAX];
static struct {
    int fd;
    uint8_t kind;
} listeners[GATE_LISTENERS_MAX];
static size_t listener_count;

__attribute__((noreturn)) static void fail(const char *what, int code)
{
    struct gate_report r = {.type = GATE_FAILED, .code = code};
    struct sbuf b = SBUF(r.text);

    sbuf_text(&b, what);
    if (code)
        sbuf_fmt(&b, ": %s", strerror(code));
    (void)fd_frame_send(GATE_CONTROL_FD, &r, sizeof r, NULL, 0, 0); /* nobody else to tell */
    _exit(1);
}

/* --- what the supervisor gives ------------------------------------------------------------------------------ */

static void take_rules(const struct gate_command *c)
{
    if (c->size > sizeof c->text || c->size > sizeof rules_text - rules_size)
        fail("the rules are too long", 0);
    memcpy(rules_text + rules_size, c->text, c->size);
    rules_size += c->size;
}

static void take_listeners(const struct gate_command *c, const int *fds, size_t n)
{
    if (n != c->count || n > GATE_FRAME_FDS_MAX || n > GATE_LISTENERS_MAX - listener_count)
        fail("listeners and their descriptors differ", 0);
    for (size_t i = 0; i < n; i++) {
        if (c->kinds[i] < GATE_LISTEN_DNS_UDP || c->kinds[i] > GATE_LISTEN_PORT)
            fail("a listener of an unknown kind", 0);
        listeners[listener_count].fd = fds[i];
        listeners[listener_count++].kind = c->kinds[i];
    }
}

static void take_all(struct egress_rules *ret)
{
    static struct gate_command c;
    int fds[GATE_FRAME_FDS_MAX];

    for (;;) {
        int n = fd_frame_recv(GATE_CONTROL_FD, &c, sizeof c, fds, GATE_FRAME_FDS_MAX, 0);
        if (n < 0)
            _exit(1); /* the supervisor is gone, or is none */
        if (c.version != GATE_FRAMES_VERSION)
            fail("the supervisor is of another version", 0);
        if (c.type == GATE_RULES && n == 0)
            take_rules(&c);
        else if (c.type == GATE_LISTENERS)
            take_listeners(&c, fds, (size_t)n);
        else if (c.type == GATE_START && n == 0)
            break;
        else
            fail("an unexpected frame", 0);
    }
    ret->rules = rules;
    if (egress_read_lines(rules_text, rules_size, rules, EGRESS_RULES_MAX, &ret->count) < 0)
        fail("the rules cannot be read", 0);
}

/* --- the host's words ---------------------------------------------------------------------------------------- */

static size_t read_file(const char *path, char *buf, size_t size)
{
    size_t have = 0;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    while (fd >= 0 && have < size) {
        ssize_t n = read(fd, buf + have, size - have);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    return have;
}

static void read_host(void)
{
    static char text[FILE_MAX];
    struct hosts_servers servers;

    hosts_read_servers(text, read_file("/etc/resolv.conf", text, sizeof text), &servers);
    hosts_read_names(text, read_file("/etc/hosts", text, sizeof text));
    resolve_open(&servers, conn_resolved);
}

/* --- serving --------------------------------------------------------------------------------------------------- */

static void take_control(void)
{
    static struct gate_command c;
    int fds[GATE_FRAME_FDS_MAX];
    int n = fd_frame_recv(GATE_CONTROL_FD, &c, sizeof c, fds, GATE_FRAME_FDS_MAX, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return;
    if (n == 0 && c.type == GATE_STOP) {
        conn_end_all();
        tell_finish();
    }
    _exit(0);
}

static void serve_listener(size_t i)
{
    if (i >= listener_count)
        return;
    if (listeners[i].kind == GATE_LISTEN_DNS_UDP)
        asks_datagrams(listeners[i].fd);
    else if (listeners[i].kind == GATE_LISTEN_DNS_TCP)
        asks_accept(listeners[i].fd);
    else
        conn_accept(listeners[i].fd);
}

static void serve(const struct loop_event *e)
{
    switch (e->kind) {
    case LOOP_CONTROL:
        take_control();
        break;
    case LOOP_LISTENER:
        serve_listener(e->index);
        break;
    case LOOP_DNS_PEER:
        asks_peer(e);
        break;
    case LOOP_LOOKUP:
        resolve_event(e->index, e->generation, e->events);
        break;
    case LOOP_ROOM:
    case LOOP_DIAL:
    case LOOP_UPSTREAM:
        conn_event(e);
        break;
    }
}

static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

static void open_loop(void)
{
    int r = loop_open();

    if (r == 0)
        r = loop_add(GATE_CONTROL_FD, EPOLLIN, LOOP_CONTROL, 0, 0);
    for (size_t i = 0; r == 0 && i < listener_count; i++)
        r = loop_add(listeners[i].fd, EPOLLIN, LOOP_LISTENER, (uint32_t)i, 0);
    if (r < 0)
        fail("watch the listeners", -r);
}

int main(void)
{
    static struct loop_event events[LOOP_EVENTS_MAX];
    struct egress_rules all;
    struct rlimit files = {0};
    const char *what = "";

    take_all(&all);
    read_host();
    open_loop();
    int r = confine(&what);
    if (r < 0)
        fail(what, -r);
    size_t fds = getrlimit(RLIMIT_NOFILE, &files) == 0 ? (size_t)files.rlim_cur : 1024;
    conn_open(&all, fds > FDS_OTHER + FDS_EACH ? (fds - FDS_OTHER) / FDS_EACH : 32);
    asks_open(&all);
    tell_open(GATE_CONTROL_FD);
    const struct gate_report ready = {.type = GATE_READY, .version = GATE_FRAMES_VERSION};
    if (fd_frame_send(GATE_CONTROL_FD, &ready, sizeof ready, NULL, 0, 0) < 0)
        return 1;
    for (;;) {
        int wait = sooner(sooner(asks_tick(), conn_tick()), sooner(resolve_tick(), tell_tick()));
        int n = loop_wait(events, wait);
        if (n < 0)
            return 1;
        for (int i = 0; i < n; i++)
            serve(&events[i]);
    }
}
