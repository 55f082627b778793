/* tell: events to the supervisor.
 *
 * What was allowed is told when it is over, and nobody waits for it: such events wait for each other for a moment, so
 * that many short connections do not wake the supervisor for each. Whatever else is told lets them out first.
 *
 * A room that asks for the same refused thing again and again must not fill the record: the first refusal is told at
 * once, equal ones within HOLD_MS are counted and told as one. A table of fixed size; who falls into a taken place lets
 * its holder out first.
 *
 * Lives in: strongroom-gate. Trusts: its callers. May: send. Must not: wait. */
#include "gate/tell.h"
#include "gate/loop.h"
#include "sys/fd.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define HELD_MAX 128
#define HOLD_MS  1000
#define BURST    500 /* events of refusals in a second; the others are counted as lost */
#define QUEUE    32
#define QUEUE_MS 20

struct held {
    bool used;
    uint64_t until;
    uint32_t more; /* equal ones that are not told yet */
    struct gate_report event;
};

static struct held table[HELD_MAX];
static struct gate_report queue[QUEUE];
static size_t queued;
static uint64_t queue_until;
static int control_fd = -1;
static uint32_t lost;
static unsigned burst;
static uint64_t burst_since;

void tell_open(int control)
{
    control_fd = control;
}

static void put(struct gate_report *r)
{
    r->lost = lost;
    if (fd_frame_send(control_fd, r, sizeof *r, NULL, 0, MSG_DONTWAIT) < 0)
        lost += r->count;
    else
        lost = 0;
}

static void let_queue_out(void)
{
    for (size_t i = 0; i < queued; i++)
        put(&queue[i]);
    queued = 0;
}

static void send_now(const struct gate_report *event, uint32_t count)
{
    struct gate_report r = *event;

    let_queue_out();
    r.type = GATE_EVENT;
    r.count = count;
    put(&r);
}

static void send_soon(const struct gate_report *event)
{
    if (queued == 0)
        queue_until = loop_now() + QUEUE_MS;
    queue[queued] = *event;
    queue[queued].type = GATE_EVENT;
    queue[queued].count = 1;
    if (++queued == QUEUE)
        let_queue_out();
}

void tell_reply(const struct gate_report *report)
{
    let_queue_out();
    (void)fd_frame_send(control_fd, report, sizeof *report, NULL, 0,
                        0); /* without a supervisor we end anyway */
}

int tell_now(const struct gate_report *report)
{
    let_queue_out();
    return fd_frame_send(control_fd, report, sizeof *report, NULL, 0, MSG_DONTWAIT);
}

static void send_bounded(const struct gate_report *event, uint32_t count)
{
    if (loop_now() - burst_since >= 1000) {
        burst_since = loop_now();
        burst = 0;
    }
    if (burst >= BURST) {
        lost += count;
        return;
    }
    burst++;
    send_now(event, count);
}

static void let_out(struct held *h)
{
    if (h->used && h->more > 0)
        send_bounded(&h->event, h->more);
    h->used = false;
    h->more = 0;
}

static bool equal(const struct gate_report *a, const struct gate_report *b)
{
    return a->verdict == b->verdict && a->kind == b->kind && a->reason == b->reason && a->port == b->port &&
           a->code == b->code && strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
           strcmp(a->text, b->text) == 0;
}

static unsigned place(const struct gate_report *e)
{
    uint32_t h = 2166136261u ^ e->port ^ e->kind << 16;

    for (const char *p = e->name; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    for (const char *p = e->address; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    return (h ^ h >> 16) % HELD_MAX;
}

void tell_event(const struct gate_report *event)
{
    if (event->verdict == GATE_ALLOWED || event->up != 0 || event->down != 0) { /* these sums are its own */
        send_soon(event);
        return;
    }
    struct held *h = &table[place(event)];
    if (h->used && equal(&h->event, event) && loop_now() < h->until) {
        h->more++;
        return;
    }
    let_out(h);
    h->used = true;
    h->event = *event;
    h->until = loop_now() + HOLD_MS;
    send_bounded(event, 1);
}

int tell_tick(void)
{
    int wait = -1;

    if (queued > 0 && loop_now() >= queue_until)
        let_queue_out();
    else if (queued > 0)
        wait = (int)(queue_until - loop_now());
    for (size_t i = 0; i < HELD_MAX; i++) {
        struct held *h = &table[i];
        if (!h->used || (h->more == 0 && loop_now() < h->until))
            continue; /* nothing to say: no reason to wake up */
        if (loop_now() >= h->until)
            let_out(h);
        else if (wait < 0 || (int)(h->until - loop_now()) < wait)
            wait = (int)(h->until - loop_now());
    }
    return wait;
}

void tell_finish(void)
{
    burst = 0;
    let_queue_out();
    for (size_t i = 0; i < HELD_MAX; i++)
        let_out(&table[i]);
    const struct gate_report last = {.type = GATE_FINISHED, .lost = lost};
    (void)fd_frame_send(control_fd, &last, sizeof last, NULL, 0,
                        0); /* the supervisor may be gone: so are we, then */
}
