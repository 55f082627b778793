/* guard: mass deletion while the room lives: counted from outside, so that nothing inside can keep it from being seen.
 *
 * Theory of operation. Every GUARD_MS a strongroom-tree, confined to the layer and the folder below it, counts the
 * files of the folder that the layer hides by now. It is asked and heard through the supervisor's poll, which waits for
 * nothing; a count that takes long is followed by a rest ten times as long. Above the bound every process of the room
 * is stopped; who sits at the terminal is asked, and elsewhere, or without a clear word, the room ends. A bound in
 * percent waits for the first deletion; then the files of the folders are counted, which no room changes, so that a
 * start costs the same in a folder of any size. The folder itself is untouched in any case: what is guarded is the work
 * of the room and the time of who reviews it.
 *
 * Lives in: the supervisor. Trusts: strongroom-tree, its frames by size. A count that fails ends the room: a guard
 * that does not see is none. */
#include "engine/inner.h"
#include "engine/tree.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { GUARD_MS = 250, REST = 10, ANSWER_MS = 120000 };

static struct tree_report report;
static struct tree_command command;

static const struct plan_mount *workspace_of(const struct room *r, unsigned slot)
{
    for (size_t i = 0; i < r->plan.mount_count; i++) {
        const struct plan_mount *m = &r->plan.mounts[i];
        if (m->kind == MOUNT_WORKSPACE && m->slot == slot && !m->fleeting)
            return m;
    }
    return NULL;
}

static void blind(struct room *r)
{
    struct sbuf b = SBUF(r->result->guard_note);
    sbuf_text(&b, "what was deleted could not be counted");
    r->guard.waiting = -1;
    room_kill(r, OUTCOME_GUARD);
}

/* Asks for the next folder's count. False: there is none any more. */
static bool ask_next(struct room *r, unsigned slot)
{
    struct err e = {0};
    for (; slot < POLICY_WORKSPACES_MAX; slot++) {
        const struct plan_mount *m = workspace_of(r, slot);
        struct tree_session *t = &r->guard.tree[slot];
        if (!m)
            continue;
        if (!r->guard.open[slot]) {
            FD_AUTO upper = changes_open_upper(r, m);
            const struct tree_dirs dirs = {.upper = upper, .lower = r->lowers[slot], .entry = -1};
            if (upper < 0 || tree_open(t, &dirs, &e) < 0) {
                blind(r);
                return true;
            }
            r->guard.open[slot] = true;
        }
        const bool all = r->guard.all;
        const uint64_t most = r->guard.most < UINT32_MAX && !all ? r->guard.most : UINT32_MAX;
        command = (struct tree_command){.type = TREE_COUNT,
                                        .version = TREE_FRAMES_VERSION,
                                        .flags = all ? TREE_ALL : 0,
                                        .count = (uint32_t)most};
        r->guard.waiting = (int)slot;
        if (fd_frame_send(t->ctl, &command, sizeof command, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            blind(r);
        return true;
    }
    return false;
}

void guard_begin(struct room *r)
{
    r->guard.waiting = -1;
    r->guard.unknown = r->policy->guard_share;
    r->guard.most = r->guard.unknown ? 0 : r->policy->guard_deletes;
    r->guard.next_ms = r->policy->guard_deletes && r->plan.workspace_count ? engine_now_ms() + GUARD_MS : 0;
}

void guard_tick(struct room *r, uint64_t now)
{
    if (!r->guard.next_ms || now < r->guard.next_ms || r->guard.waiting >= 0 || r->exited || r->killed)
        return;
    r->guard.sum = 0;
    r->guard.began_ms = now;
    if (!ask_next(r, 0))
        r->guard.next_ms = 0;
}

int guard_fd(const struct room *r)
{
    const int slot = r->guard.waiting; /* 0 and closed: nothing has begun */
    return slot >= 0 && r->guard.open[slot] ? r->guard.tree[slot].ctl : -1;
}

/* A whole line that says so, typed after the question stood there. */
static bool may_go_on(const struct room *r)
{
    static const char word[] = "go on";
    char text[256], line[64] = "";
    size_t len = 0;
    struct sbuf b = SBUF(text);
    FD_AUTO tty = r->req->detached ? -1 : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0 || tcgetpgrp(tty) != getpgrp())
        return false;
    sbuf_fmt(&b,
             "\r\nstrongroom: the program has deleted more than %llu files; every process is stopped\r\n"
             "strongroom: type \"%s\" to let it go on, anything else ends it: ",
             (unsigned long long)r->guard.most, word);
    (void)tcflush(tty, TCIFLUSH); /* what was typed before is no answer */
    if (fd_write_all(tty, b.text, b.len) < 0)
        return false;
    const uint64_t until = engine_now_ms() + ANSWER_MS;
    for (uint64_t now = until - ANSWER_MS; now < until && len + 1 < sizeof line; now = engine_now_ms()) {
        struct pollfd p[] = {{.fd = tty, .events = POLLIN}, {.fd = r->signals, .events = POLLIN}};
        int n = poll(p, 2, (int)(until - now));
        if ((n < 0 && errno != EINTR) || n == 0 || p[1].revents || (n > 0 && read(tty, line + len, 1) != 1))
            return false; /* a signal is looked at by who waits for signals */
        if (n > 0 && (line[len] == '\n' || line[len] == '\r'))
            break;
        len += n > 0;
    }
    line[len] = '\0';
    return strcmp(line, word) == 0;
}

static void trip(struct room *r)
{
    struct command c = {.type = COMMAND_SIGNAL, .signal = SIGSTOP, .group = 2};
    struct sbuf b = SBUF(r->result->guard_note);
    sbuf_fmt(&b, "more than %llu files of the workspace were deleted", (unsigned long long)r->guard.most);
    if (r->policy->guard_share)
        sbuf_fmt(&b, " (%llu%%)", (unsigned long long)r->policy->guard_deletes);
    if (r->ctl >= 0 && fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT) == 0 && may_go_on(r)) {
        r->result->guard_note[0] = '\0';
        r->guard.most = r->guard.most ? r->guard.most * 2 : 1; /* and asks again */
        c.signal = SIGCONT;
        if (fd_frame_send(r->ctl, &c, sizeof c, NULL, 0, MSG_DONTWAIT) == 0)
            return;
    }
    room_kill(r, OUTCOME_GUARD);
}

/* The first deletion was seen: only now it matters how many files there are. */
static bool count_all(struct room *r)
{
    r->guard.all = true;
    r->guard.sum = 0;
    return ask_next(r, 0);
}

void guard_take(struct room *r)
{
    const unsigned slot = (unsigned)r->guard.waiting;
    int n = fd_frame_recv(r->guard.tree[slot].ctl, &report, sizeof report, NULL, 0, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return;
    if (n < 0 || report.type != TREE_DONE || report.code) {
        blind(r);
        return;
    }
    r->guard.waiting = -1;
    r->guard.sum += report.totals.deleted;
    if (r->exited || r->killed)
        return;
    if (r->guard.all) {
        if (ask_next(r, slot + 1))
            return;
        r->guard.most = r->guard.sum * r->policy->guard_deletes / 100;
        r->guard.all = r->guard.unknown = false;
        r->guard.next_ms = engine_now_ms();
        return;
    }
    if (r->guard.sum > r->guard.most && r->guard.unknown && count_all(r))
        return;
    if (r->guard.sum > r->guard.most)
        trip(r);
    else if (ask_next(r, slot + 1))
        return;
    const uint64_t now = engine_now_ms(), rest = (now - r->guard.began_ms) * REST;
    r->guard.next_ms = now + (rest > GUARD_MS ? rest : GUARD_MS);
}

void guard_close(struct room *r)
{
    for (unsigned i = 0; i < POLICY_WORKSPACES_MAX; i++) {
        if (r->guard.open[i])
            tree_close(&r->guard.tree[i]);
        r->guard.open[i] = false;
    }
    r->guard.waiting = -1;
}
