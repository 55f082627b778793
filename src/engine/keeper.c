/* keeper: see keeper.h.
 *
 * Lives in: the supervisor of a room that has a name. Trusts: its user, who alone reaches the socket; no byte of a
 * frame. Must not: wait. */
#include "engine/keeper.h"
#include "base/num.h"
#include "engine/inner.h"
#include "engine/network.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READERS_MAX (sizeof((struct keeper *)0)->readers / sizeof(struct keeper_reader))

int keeper_words(char *text, char **ret, int max)
{
    int n = 0;
    for (char *at = text; *at;) {
        if (n == max)
            return -1;
        ret[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    ret[n] = NULL;
    return n;
}

void keeper_refuse(struct room *r, uint32_t client, int status, const char *why, const char *hint)
{
    char text[1024];
    struct sbuf b = SBUF(text);
    sbuf_escaped(&b, why);
    const char *name = hint ? strstr(hint, "ROOM") : NULL;
    if (hint)
        sbuf_char(&b, '\n');
    if (name) {
        sbuf_fmt(&b, "%.*s%s", (int)(name - hint), hint, r->policy->name);
        hint = name + strlen("ROOM");
    }
    if (hint)
        sbuf_escaped(&b, hint);
    rooms_reply(&r->live.server, client, ROOMS_REFUSED, status, text);
}

static void done(struct room *r, uint32_t client)
{
    rooms_reply(&r->live.server, client, ROOMS_DONE, 0, "");
}

/* --- logs ----------------------------------------------------------------------------------------------- */

int keeper_open(struct room *r)
{
    for (int i = 0; i < 2; i++) {
        int fd = (int)syscall(SYS_memfd_create, i ? "stderr" : "stdout", 1u /* MFD_CLOEXEC */);
        if (fd < 0)
            return -errno;
        r->keeper.logs[i] = fd;
        if (ftruncate(fd, RELAY_RING_FILE) < 0)
            return -errno;
    }
    return 0;
}

int keeper_to_read(int fd)
{
    char path[32];
    struct sbuf b = SBUF(path);
    sbuf_fmt(&b, "/proc/self/fd/%d", fd);
    return openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

static void send_logs(struct room *r, uint32_t client, const char *state)
{
    char text[128];
    struct sbuf b = SBUF(text);
    int fds[2] = {keeper_to_read(r->keeper.logs[0]), keeper_to_read(r->keeper.logs[1])};
    sbuf_fmt(&b, "%llu %llu %u %s", (unsigned long long)r->out.bytes, (unsigned long long)r->err.bytes,
             RELAY_RING_SIZE, state);
    if (fds[0] >= 0 && fds[1] >= 0)
        rooms_reply_fds(&r->live.server, client, ROOMS_LOG, 0, text, fds, 2);
    else
        keeper_refuse(r, client, 0, "the logs cannot be opened", NULL);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

/* The row of one that follows the logs; NULL: there is none, and none is free. */
static struct keeper_reader *reader_of(struct room *r, uint32_t client)
{
    struct keeper_reader *vacant = NULL;
    for (size_t i = 0; i < READERS_MAX; i++) {
        struct keeper_reader *x = &r->keeper.readers[i];
        if (x->here && x->client == client)
            return x;
        if (!x->here && !vacant)
            vacant = x;
    }
    if (vacant)
        *vacant = (struct keeper_reader){.client = client, .here = true};
    return vacant;
}

/* How the room stands, for who reads its logs. */
static void tell_logs(struct room *r, uint32_t client)
{
    char state[32];
    struct sbuf b = SBUF(state);
    if (r->keeper.closing)
        sbuf_fmt(&b, "ended %d", r->result->exit_status);
    else
        sbuf_text(&b, "runs");
    send_logs(r, client, state);
}

static void take_logs(struct room *r, uint32_t client, const struct rooms_frame *f)
{
    char text[ROOMS_TEXT_MAX + 1], *w[3];
    uint64_t seen[2] = {0, 0};
    struct keeper_reader *x = NULL;

    rooms_frame_text(f, text);
    const int n = keeper_words(text, w, 2);
    if (n != 0 && (n != 2 || num_u64(w[0], &seen[0]) < 0 || num_u64(w[1], &seen[1]) < 0)) {
        keeper_refuse(r, client, 0, "the request makes no sense", NULL);
        return;
    }
    if (r->keeper.logs[0] < 0) {
        keeper_refuse(r, client, 0, "this room's output went to who started it",
                      "only rooms that were started with --detach have logs");
        return;
    }
    if (f->value > 0 && !(x = reader_of(r, client))) {
        keeper_refuse(r, client, 0, "too many follow its logs at once", NULL);
        return;
    }
    if (n == 0 || !x || r->keeper.closing || r->out.bytes > seen[0] || r->err.bytes > seen[1]) {
        tell_logs(r, client);
        if (x && r->keeper.closing)
            x->here = false;
        return;
    }
    memcpy(x->seen, seen, sizeof seen);
    x->waits = true;
}

void keeper_logged(struct room *r)
{
    for (size_t i = 0; i < READERS_MAX; i++) {
        struct keeper_reader *x = &r->keeper.readers[i];
        if (!x->here || !x->waits || (r->out.bytes <= x->seen[0] && r->err.bytes <= x->seen[1]))
            continue;
        x->waits = false;
        tell_logs(r, x->client);
    }
}

static bool somebody_follows(struct room *r)
{
    bool some = false;
    for (size_t i = 0; i < READERS_MAX; i++) {
        struct keeper_reader *x = &r->keeper.readers[i];
        if (x->here && x->waits) {
            x->here = false;
            tell_logs(r, x->client);
        }
        some = some || x->here;
    }
    return some;
}

void keeper_close(struct room *r)
{
    const uint64_t until = engine_now_ms() + ENGINE_FAREWELL_MS;
    r->keeper.closing = true;
    for (int i = 0; i < 2 && r->keeper.logs[i] >= 0; i++)
        relay_ring_end(r->keeper.logs[i], r->result->exit_status);
    while (somebody_follows(r) && engine_now_ms() < until) {
        struct pollfd p = {.fd = r->live.server.epoll, .events = POLLIN};
        if (poll(&p, 1, ENGINE_WATCH_MS) > 0)
            live_take(r);
    }
    fd_close(&r->keeper.logs[0]);
    fd_close(&r->keeper.logs[1]);
}

/* --- how it is ------------------------------------------------------------------------------------------ */

static void put_usage(struct room *r, struct sbuf *out)
{
    struct leaf_usage u;
    struct watch_sample s = {0};

    if (r->has_leaf)
        leaf_read(&r->leaf, &u, true);
    else
        memset(&u, 0xff, sizeof u);
    if (r->proc >= 0 && watch_sample(r->proc, &s) == 0) {
        sbuf_fmt(out, "processes %u\n", s.processes);
        if (u.cpu_us == UINT64_MAX)
            u.cpu_us = s.cpu_us;
        if (u.memory_now == UINT64_MAX)
            u.memory_now = s.memory;
    }
    if (u.memory_now != UINT64_MAX)
        sbuf_fmt(out, "memory %llu\n", (unsigned long long)u.memory_now);
    if (u.memory_peak != UINT64_MAX)
        sbuf_fmt(out, "memory-peak %llu\n", (unsigned long long)u.memory_peak);
    if (u.cpu_us != UINT64_MAX)
        sbuf_fmt(out, "cpu-us %llu\n", (unsigned long long)u.cpu_us);
}

static void put_limit(const struct room *r, enum limit_id id, struct sbuf *out)
{
    const uint64_t v = r->policy->limits[id];
    if (v != LIMIT_UNLIMITED)
        sbuf_fmt(out, "limit-%s %llu\n", limit_rows[id].name, (unsigned long long)v);
}

static void put_command(const struct room *r, struct sbuf *out)
{
    sbuf_text(out, "command");
    for (size_t i = 0; r->plan.argv && r->plan.argv[i] && out->len < ROOMS_TEXT_MAX / 2; i++) {
        sbuf_char(out, ' ');
        sbuf_escaped(out, r->plan.argv[i]);
    }
    sbuf_char(out, '\n');
}

static void status(struct room *r, uint32_t client)
{
    static char text[ROOMS_TEXT_MAX + 1];
    static const char *const nets[] = {[NET_NONE] = "none", [NET_GATE] = "gate", [NET_HOST] = "host"};
    const uint64_t now = engine_now_ms();
    const uint64_t born =
        (uint64_t)r->req->started.tv_sec * 1000 + (uint64_t)r->req->started.tv_nsec / 1000000;
    struct sbuf b = SBUF(text);
    unsigned execs = 0;

    for (size_t i = 0; i < EXEC_MAX; i++)
        execs += r->keeper.execs[i].state != KEEPER_FREE;
    sbuf_fmt(&b, "name %s\nid %s\npid %d\nstate %s\nage-ms %llu\n", r->policy->name, r->live.place.id,
             getpid(),
             r->exited || r->killed ? "ending"
             : r->keeper.paused     ? "paused"
             : r->started           ? "running"
                                    : "starting",
             (unsigned long long)(now - born));
    if (r->deadline_ms)
        sbuf_fmt(&b, "left-ms %llu\n", (unsigned long long)(r->deadline_ms > now ? r->deadline_ms - now : 0));
    sbuf_fmt(&b, "programs %u\nnet %s\nhost-uid %u\n", execs, nets[r->policy->net], r->plan.uid_outside);
    if (gate_record()->port_count) {
        sbuf_text(&b, "published ");
        network_ports(gate_record(), " ", &b);
        sbuf_char(&b, '\n');
    }
    sbuf_fmt(&b, "stdout %llu\nstderr %llu\n", (unsigned long long)r->out.bytes,
             (unsigned long long)r->err.bytes);
    put_usage(r, &b);
    put_limit(r, LIMIT_ID_MEMORY, &b);
    put_limit(r, LIMIT_ID_PIDS, &b);
    put_command(r, &b);
    rooms_reply(&r->live.server, client, ROOMS_LINES, 0, text);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static int signal_all(const struct room *r, int sig, int group)
{
    const struct command c = {.type = COMMAND_SIGNAL, .signal = sig, .group = group};
    return r->started && r->ctl >= 0 ? fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT) : -EAGAIN;
}

static void pause_room(struct room *r, uint32_t client, bool pause)
{
    if (signal_all(r, pause ? SIGSTOP : SIGCONT, 2) < 0) {
        keeper_refuse(r, client, 0, "the room does not answer", "try again in a moment");
        return;
    }
    r->keeper.paused = pause;
    done(r, client);
}

/* Before it runs, the bound is that of its building; afterwards, that of its end. */
static void renew(struct room *r, uint32_t client, int seconds)
{
    if (!r->started || r->exited || r->killed) {
        keeper_refuse(r, client, 0, "the room does not run", r->started ? NULL : "try again in a moment");
        return;
    }
    r->deadline_ms = engine_now_ms() + (uint64_t)seconds * 1000;
    done(r, client);
}

static void signal_room(struct room *r, uint32_t client, const struct rooms_frame *f)
{
    if (f->value < 1 || f->value > 64)
        keeper_refuse(r, client, 0, "no such signal", NULL);
    else if (!r->plan.argv)
        keeper_refuse(r, client, 0, "the room has no program of its own", "strongroom rm ROOM ends the room");
    else if (signal_all(r, f->value, 1) < 0)
        keeper_refuse(r, client, 0, "the room does not answer", "try again in a moment");
    else
        done(r, client);
}

bool keeper_take(struct room *r, uint32_t client, const struct rooms_frame *f, int *fds, int n)
{
    switch (f->type) {
    case ROOMS_STATUS:
        status(r, client);
        return true;
    case ROOMS_EXEC:
        execs_start(r, client, f, fds, n);
        return true;
    case ROOMS_WAIT:
        execs_wait(r, client, (uint32_t)f->value);
        return true;
    case ROOMS_SIGNAL:
        if (f->size == 4 && memcmp(f->text, "room", 4) == 0)
            signal_room(r, client, f);
        else
            execs_signal(r, client, f);
        return true;
    case ROOMS_JOB:
        jobs_start(r, client, f, n == 1 ? fds[0] : -1);
        return true;
    case ROOMS_JOBS:
        jobs_list(r, client);
        return true;
    case ROOMS_OUTPUT:
        jobs_output(r, client, (uint32_t)f->value);
        return true;
    case ROOMS_INPUT:
        jobs_input(r, client, (uint32_t)f->value, f->size > 0);
        return true;
    case ROOMS_LEASE:
        interpreters_lend(r, client, f);
        return true;
    case ROOMS_RELEASE:
        interpreters_release(r, client, f->value == 1);
        return true;
    case ROOMS_LOGS:
        take_logs(r, client, f);
        return true;
    case ROOMS_PAUSE:
    case ROOMS_RESUME:
        pause_room(r, client, f->type == ROOMS_PAUSE);
        return true;
    case ROOMS_RENEW:
        renew(r, client, f->value);
        return true;
    case ROOMS_END:
        room_kill(r, OUTCOME_INTERRUPTED); /* the reply is that the connection closes */
        return true;
    default:
        return false;
    }
}

void keeper_farewell(struct room *r, uint32_t client)
{
    for (size_t i = 0; i < READERS_MAX; i++) {
        if (r->keeper.readers[i].client == client)
            r->keeper.readers[i].here = false;
    }
    execs_farewell(r, client);
    interpreters_farewell(r, client);
}
