/* jobs: programs of a room that nobody sits before: what they print is kept, and what they read can be sent later.
 *
 * Theory of operation. Such a program's pipes end here. Each stream goes into a ring in a memory file of its own,
 * which keeps the last part and counts every byte (relay.h); an epoll that the supervisor's poll looks at tells
 * which have more. Readers get descriptors that can only read, writers a copy of the pipe that the program reads, so
 * that nobody's speed concerns the keeper. One that has ended stays in the list until its row is needed.
 *
 * Lives in: the supervisor of a room that has a name. Trusts: its user; no byte that a program prints. Must not:
 * wait. */
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/words.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void release(struct keeper_job *j)
{
    for (int i = 0; i < 2; i++) {
        relay_end(&j->out[i]);
        fd_close(&j->rings[i]);
    }
    fd_close(&j->in);
    j->handle = 0;
}

void jobs_init(struct keeper *k)
{
    for (size_t n = 0; n < JOBS_MAX; n++) {
        k->jobs[n] = (struct keeper_job){.in = -1, .rings = {-1, -1}};
        for (int i = 0; i < 2; i++)
            k->jobs[n].out[i] = (struct relay){.from = -1, .to = -1, .ended = true};
    }
    k->jobs_epoll = -1;
}

void jobs_close(struct room *r)
{
    for (size_t n = 0; n < JOBS_MAX; n++)
        release(&r->keeper.jobs[n]);
    fd_close(&r->keeper.jobs_epoll);
}

static struct keeper_job *find(struct room *r, uint32_t handle)
{
    for (size_t n = 0; n < JOBS_MAX && handle; n++) {
        if (r->keeper.jobs[n].handle == handle)
            return &r->keeper.jobs[n];
    }
    return NULL;
}

/* A free row, or that of the one which ended and is the oldest. */
static struct keeper_job *vacant(struct room *r)
{
    struct keeper_job *oldest = NULL;
    for (size_t n = 0; n < JOBS_MAX; n++) {
        struct keeper_job *j = &r->keeper.jobs[n];
        if (!j->handle)
            return j;
        if (j->ended && (!oldest || j->handle < oldest->handle))
            oldest = j;
    }
    if (oldest)
        release(oldest);
    return oldest;
}

/* --- starting ------------------------------------------------------------------------------------------- */

/* The rings are shared with those who read them: their end is the relay's only to write to. */
static int open_stream(struct room *r, struct keeper_job *j, int i, int *ret_theirs)
{
    static char buffers[2][RELAY_BUFFER]; /* empty between two calls of jobs_move() */
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)(j - r->keeper.jobs) * 2 + (uint32_t)i};
    int p[2];

    j->rings[i] = (int)syscall(SYS_memfd_create, i ? "stderr" : "stdout", 1u /* MFD_CLOEXEC */);
    if (j->rings[i] < 0 || ftruncate(j->rings[i], RELAY_RING_FILE) < 0 || pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    relay_init_ring(&j->out[i], p[0], j->rings[i], buffers[i]);
    *ret_theirs = p[1];
    return epoll_ctl(r->keeper.jobs_epoll, EPOLL_CTL_ADD, p[0], &e) < 0 ? -errno : 0;
}

static int open_all(struct room *r, struct keeper_job *j, int theirs[3])
{
    int p[2];

    if (r->keeper.jobs_epoll < 0)
        r->keeper.jobs_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->keeper.jobs_epoll < 0 || pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    j->in = p[1];
    theirs[0] = p[0];
    int n = open_stream(r, j, 0, &theirs[1]);
    return n < 0 ? n : open_stream(r, j, 1, &theirs[2]);
}

static void note_command(struct keeper_job *j, const struct rooms_frame *f, char *const *args)
{
    char name[ROOMS_TEXT_MAX + 1];
    struct sbuf b = SBUF(j->command);

    rooms_frame_text(f, name);
    if (name[0]) {
        sbuf_escaped(&b, name);
        return;
    }
    for (size_t i = 0; args[i] && !b.full; i++) {
        if (i)
            sbuf_char(&b, ' ');
        sbuf_escaped(&b, args[i]);
    }
}

void jobs_start(struct room *r, uint32_t client, const struct rooms_frame *f, int words)
{
    struct keeper_job *j = vacant(r);
    const char *why = "too many of them run at once";
    int theirs[3] = {-1, -1, -1};
    struct words w;

    if (words_read(words, &w) < 0) {
        keeper_refuse(r, client, 125, "its words make no sense", NULL);
    } else if (!j) {
        keeper_refuse(r, client, 125, why, "strongroom job kill ROOM ID ends one");
    } else {
        why = "there is no memory for its output";
        if (open_all(r, j, theirs) == 0)
            j->handle = execs_start_job(r, client, &w, theirs, &why);
        for (int i = 0; i < 3; i++)
            fd_close(&theirs[i]);
        if (j->handle) {
            note_command(j, f, w.args);
            j->ended = false;
            j->began_ms = engine_now_ms();
        } else {
            release(j);
            keeper_refuse(r, client, 125, why, r->keeper.paused ? "strongroom resume ROOM" : NULL);
        }
    }
    words_release(&w);
}

/* --- while they live ------------------------------------------------------------------------------------ */

void jobs_move(struct room *r)
{
    struct epoll_event events[2 * JOBS_MAX];
    const int n = epoll_wait(r->keeper.jobs_epoll, events, 2 * JOBS_MAX, 0);

    for (int k = 0; k < n; k++) {
        struct relay *x = &r->keeper.jobs[events[k].data.u32 / 2].out[events[k].data.u32 % 2];
        /* The buffer is that of all of them: it is left empty. */
        do
            (void)relay_move(x, UINT64_MAX);
        while (!x->ended && x->have > x->at);
    }
}

void jobs_ended(struct room *r, uint32_t handle, int wait_status)
{
    struct keeper_job *j = find(r, handle);

    if (!j)
        return;
    j->ended = true;
    j->status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    fd_close(&j->in);
    if (r->keeper.jobs_epoll >= 0)
        jobs_move(r); /* what it printed last is told with its end */
}

void jobs_failed(struct room *r, uint32_t handle)
{
    struct keeper_job *j = find(r, handle);

    if (j)
        release(j);
}

/* --- requests ------------------------------------------------------------------------------------------- */

void jobs_list(struct room *r, uint32_t client)
{
    static char text[ROOMS_TEXT_MAX + 1];
    const uint64_t now = engine_now_ms();
    struct sbuf b = SBUF(text);

    for (size_t n = 0; n < JOBS_MAX; n++) {
        const struct keeper_job *j = &r->keeper.jobs[n];
        if (j->handle)
            sbuf_fmt(&b, "%u %s %d %llu %llu %llu %s\n", j->handle, j->ended ? "ended" : "runs",
                     j->ended ? j->status : 0, (unsigned long long)(now - j->began_ms),
                     (unsigned long long)j->out[0].bytes, (unsigned long long)j->out[1].bytes, j->command);
    }
    rooms_reply(&r->live.server, client, ROOMS_LINES, 0, text);
}

static struct keeper_job *asked_for(struct room *r, uint32_t client, uint32_t handle)
{
    struct keeper_job *j = find(r, handle);

    if (!j)
        keeper_refuse(r, client, 0, "no such program is kept",
                      "strongroom job list ROOM lists those that are");
    return j;
}

void jobs_output(struct room *r, uint32_t client, uint32_t handle)
{
    const struct keeper_job *j = asked_for(r, client, handle);
    char text[128];
    struct sbuf b = SBUF(text);

    if (!j)
        return;
    int fds[2] = {keeper_to_read(j->rings[0]), keeper_to_read(j->rings[1])};
    sbuf_fmt(&b, "%llu %llu %u ", (unsigned long long)j->out[0].bytes, (unsigned long long)j->out[1].bytes,
             RELAY_RING_SIZE);
    if (j->ended)
        sbuf_fmt(&b, "ended %d", j->status);
    else
        sbuf_text(&b, "runs");
    if (fds[0] >= 0 && fds[1] >= 0)
        rooms_reply_fds(&r->live.server, client, ROOMS_LOG, 0, text, fds, 2);
    else
        keeper_refuse(r, client, 0, "its output cannot be opened", NULL);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

void jobs_input(struct room *r, uint32_t client, uint32_t handle, bool close)
{
    struct keeper_job *j = asked_for(r, client, handle);

    if (!j)
        return;
    if (j->in < 0) {
        keeper_refuse(r, client, 0, j->ended ? "it has ended" : "its stdin was closed", NULL);
        return;
    }
    rooms_reply_fds(&r->live.server, client, ROOMS_PIPE, 0, "", &j->in, 1);
    if (close)
        fd_close(&j->in);
}
