/* local: socket files of the room that lead to socket files of the host.
 *
 * Theory of operation. The listener was bound by pid 1 in the room's files. What it accepts is judged by the rule that
 * it was made for; then the supervisor, which has files, connects outside and hands over what is connected. From there
 * on the connection is one like any other: relayed by splice, counted, bounded, cut when its rule goes. Splice carries
 * bytes only: descriptors and credentials that are sent along end here, in either direction.
 *
 * Lives in: strongroom-gate. Trusts: the supervisor. Must not: wait, make or name a local socket itself. */
#include "gate/local.h"
#include "gate/budget.h"
#include "gate/conn_row.h"
#include "gate/loop.h"
#include "gate/tell.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>

#define ACCEPT_MAX 64
#define ASKED_MAX  12 /* at once: the answers must fit our socket, beside eight frames of SOCKETS */

static size_t asked;

/* What stands for it: nobody else is named by a path. */
bool local_allowed(const struct conn *c)
{
    const struct egress_rule *x = &conn_rules->rules[c->rule];

    return !x->gone && egress_name_denied_by(conn_rules, x->name) < 0;
}

static void begin(int fd, uint32_t rule)
{
    struct conn *c = conn_new(fd);

    if (c == NULL) {
        struct gate_report full = {.verdict = GATE_BROKEN,
                                   .kind = GATE_KIND_UNIX,
                                   .reason = GATE_WHY_TABLE_FULL,
                                   .rule = (int32_t)rule};
        memcpy(full.name, conn_rules->rules[rule].name, EGRESS_NAME_MAX);
        tell_event(&full);
        conn_close_hard(&fd);
        return;
    }
    c->local = true;
    c->rule = (int)rule;
    memcpy(c->name, conn_rules->rules[rule].name, EGRESS_NAME_MAX);
    c->state = CONN_RESOLVING;
    if (loop_add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_ROOM, conn_index(c), c->generation) <
        0) {
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
        return;
    }
    if (!local_allowed(c)) {
        conn_end_denied(c, conn_rules->rules[rule].gone ? GATE_WHY_WITHDRAWN : GATE_WHY_RULE);
        return;
    }
    if (!conn_enter(c))
        return;
    const struct gate_report want = {
        .type = GATE_DIAL, .rule = c->rule, .count = conn_index(c), .generation = c->generation};
    c->state = CONN_DIALING;
    conn_set_due(c, loop_now() + DIAL_MS);
    c->asked = true;
    asked++;
    if (tell_now(&want) < 0)
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
}

void local_release(struct conn *c)
{
    asked -= c->asked;
    c->asked = false;
}

int local_accept(int listener, uint32_t rule)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        if (asked == ASKED_MAX)
            return -EAGAIN; /* who waits is taken when answers have come */
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return loop_is_short(errno) ? -errno : 0;
        begin(fd, rule);
    }
    return 0;
}

void local_dialled(uint32_t index, uint32_t generation, int fd, int code)
{
    struct conn *c = conn_at(index, generation);

    if (c == NULL || !c->local || c->state != CONN_DIALING) { /* it has left, or was cut */
        fd_close(&fd);
        return;
    }
    local_release(c);
    if (fd < 0) {
        c->code = code;
        conn_end_broken(c, GATE_WHY_UNREACHABLE);
        return;
    }
    c->fd[1] = fd;
    if (loop_add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, LOOP_UPSTREAM, conn_index(c), c->generation) <
        0)
        conn_end_broken(c, GATE_WHY_TABLE_FULL);
    else
        dial_opened(c);
}
