/* reapers: those processes of a room that start programs for us (room/exec.h), and the names that programs get.
 *
 * Theory of operation. A reaper is made by pid 1 and told what to start by us, over a socket of its own. One of them,
 * the newest, is kept for the next program, from the moment at which nothing is left of its last one: then a program
 * costs neither a copy of pid 1 nor a word to it. Any other goes when its program has gone, for its socket is closed.
 * A room without a program of its own is there for nothing else: its first one is made as soon as it lives, and the
 * kept one stays (some 100 KiB). In any other room it goes after IDLE_MS. One that pid 1 was asked to end is never used
 * again, and for one that a program of the room killed none comes before somebody wants it.
 *
 * Lives in: the supervisor of a room that has a name. Trusts: pid 1. Must not: wait. */
#include "engine/inner.h"
#include "sys/fd.h"

#include <errno.h>
#include <sys/socket.h>

#define IDLE_MS 2000 /* it counts among the room's processes */

/* --- names ---------------------------------------------------------------------------------------------- */

static bool names_program(const struct keeper *k, uint32_t name)
{
    for (size_t i = 0; i < EXEC_MAX; i++) {
        if (k->execs[i].state != KEEPER_FREE && k->execs[i].handle == name)
            return true;
    }
    for (size_t i = 0; i < JOBS_MAX; i++) {
        if (k->jobs[i].handle == name) /* also one that has ended: its output can be asked for */
            return true;
    }
    return false;
}

static bool names_reaper(const struct keeper *k, uint32_t name)
{
    for (size_t i = 0; i < EXEC_MAX; i++) {
        if (k->execs[i].state != KEEPER_FREE && k->execs[i].reaper == name)
            return true;
    }
    return k->reaper.orders >= 0 && k->reaper.number == name;
}

/* Frames carry it as an int that is not negative, and 0 means none. There are fewer of them at once than numbers. */
static uint32_t next(const struct keeper *k, uint32_t *last, bool is_taken(const struct keeper *, uint32_t))
{
    do
        *last = *last >= INT32_MAX ? 1 : *last + 1;
    while (is_taken(k, *last));
    return *last;
}

uint32_t keeper_next_handle(struct keeper *k)
{
    return next(k, &k->handles, names_program);
}

uint32_t keeper_next_reaper(struct keeper *k)
{
    return next(k, &k->reapers, names_reaper);
}

/* --- the one that is kept ------------------------------------------------------------------------------- */

static void let_go(struct keeper_reaper *k)
{
    fd_close(&k->orders);
    *k = (struct keeper_reaper){.orders = -1};
}

void reapers_init(struct keeper *k)
{
    k->reaper = (struct keeper_reaper){.orders = -1};
}

void reapers_close(struct keeper *k)
{
    let_go(&k->reaper);
}

/* When it goes; 0: it stays. */
static uint64_t idle_until(const struct room *r)
{
    return r->plan.argv ? engine_now_ms() + IDLE_MS : 0;
}

static int make(struct room *r)
{
    int pair[2];
    struct command c = {.type = COMMAND_REAPER};

    let_go(&r->keeper.reaper); /* if it runs a program it goes after that one */
    int n = fd_frame_pair(pair);
    if (n < 0)
        return n;
    c.handle = keeper_next_reaper(&r->keeper);
    n = fd_frame_send(r->ctl, &c, sizeof c, &pair[1], 1, MSG_DONTWAIT);
    fd_close(&pair[1]);
    if (n < 0)
        fd_close(&pair[0]);
    else
        r->keeper.reaper =
            (struct keeper_reaper){.orders = pair[0], .number = c.handle, .idle_ms = idle_until(r)};
    return n;
}

static bool is_idle(const struct keeper_reaper *k)
{
    return k->orders >= 0 && k->handle == 0;
}

void reapers_begin(struct room *r)
{
    if (r->policy->name && !r->plan.argv)
        (void)make(r); /* then the first order finds out */
}

void reapers_prepare(struct room *r)
{
    if (!is_idle(&r->keeper.reaper))
        (void)make(r); /* then the order finds out */
}

int reapers_order(struct room *r, const struct command *c, const int *fds, size_t n, uint32_t *ret_number)
{
    struct keeper_reaper *k = &r->keeper.reaper;
    int sent = is_idle(k) ? fd_frame_send(k->orders, c, sizeof *c, fds, n, MSG_DONTWAIT) : -EPIPE;

    if (sent == -EPIPE || sent == -ECONNRESET) { /* there is none, or a program of the room has ended it */
        sent = make(r);
        if (sent == 0)
            sent = fd_frame_send(k->orders, c, sizeof *c, fds, n, MSG_DONTWAIT);
    }
    if (sent < 0)
        return sent;
    k->handle = c->handle;
    k->idle_ms = 0;
    *ret_number = k->number;
    return 0;
}

void reapers_free(struct room *r, uint32_t handle)
{
    struct keeper_reaper *k = &r->keeper.reaper;
    if (k->orders < 0 || k->handle != handle)
        return;
    k->handle = 0;
    k->idle_ms = idle_until(r);
}

void reapers_forget(struct room *r, uint32_t number)
{
    if (r->keeper.reaper.number == number)
        let_go(&r->keeper.reaper);
}

uint64_t reapers_next_ms(const struct room *r)
{
    return r->keeper.reaper.idle_ms;
}

void reapers_tick(struct room *r, uint64_t now_ms)
{
    const struct keeper_reaper *k = &r->keeper.reaper;
    if (k->idle_ms && now_ms >= k->idle_ms)
        let_go(&r->keeper.reaper);
}
