/* undertaker: removes what a killed supervisor cannot.
 *
 * Theory of operation. Processes of a room end with its pid 1, and pid 1 ends with the supervisor. A cgroup leaf does
 * not: somebody with the supervisor's rights must remove the directory. The undertaker is a process of its own (so that
 * a SIGKILL to the supervisor does not reach it) that shares the supervisor's memory (so that it costs a kernel stack
 * and nothing else). It holds the read end of the lifeline and the leaf, and sleeps. A closed lifeline means that the
 * supervisor died: it kills the room, removes the leaf and ends. At a normal end the supervisor ends it.
 *
 * A room that is over within ENGINE_UNDERTAKER_MS never has one: should its supervisor be killed in just that time, the
 * next start sweeps the empty leaf.
 *
 * Lives in: beside the supervisor, own session. May: kill this room, remove this leaf.
 * Must not: malloc, stdio, write to any memory but its own stack (the memory is shared while both live). */
#include "engine/inner.h"
#include "sys/fault.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define UNDERTAKER_STACK 16384

struct undertaking {
    struct leaf_place place;
    struct leaf leaf;
    int lifeline, pidfd;
};

/* Static, not on the supervisor's stack: it must stay as it is for as long as the undertaker lives. */
static struct undertaking task;
static char stack[UNDERTAKER_STACK] __attribute__((aligned(16)));

/* Until the supervisor is dead, nothing here may touch errno or any other memory that it uses: raw calls only. */
static int undertake(void *arg)
{
    (void)arg;
    char byte;
    uint64_t all = ~0ull;
    int keep[2 + 2 * LEAF_HIERARCHIES], n = 0;
    (void)kernel_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0,
                     sizeof all); /* own mask, not the supervisor's */
    (void)kernel_raw(SYS_setsid, 0, 0, 0, 0);
    (void)kernel_raw(SYS_prctl, PR_SET_NAME, (long)"strongroom-end", 0, 0);
    keep[n++] = task.lifeline;
    keep[n++] = task.pidfd;
    for (int i = 0; i < LEAF_HIERARCHIES; i++) {
        keep[n++] = task.leaf.dir_fd[i];
        keep[n++] = task.leaf.place->parent_fd[i];
    }
    /* Everything else is the supervisor's business; most of all the lifeline's write end. */
    if (fd_close_all_but(keep, (size_t)n) < 0)
        _exit(1);
    for (int fd = 0; fd < 3; fd++)
        (void)kernel_raw(SYS_close, fd, 0, 0, 0);
    while (kernel_raw(SYS_read, task.lifeline, (long)&byte, 1, 0) == -EINTR) {
    }
    (void)kernel_pidfd_send_signal(task.pidfd, SIGKILL); /* ESRCH: it ended by itself, as it should */
    (void)leaf_kill(&task.leaf);
    (void)leaf_remove(&task.leaf, ENGINE_TEARDOWN_MS); /* what stays, the next start sweeps */
    leaf_place_close(&task.place);
    _exit(0);
}

void undertaker_start(struct room *r)
{
    int pair[2];
    if (fault_at("call", "undertaker") < 0)
        return;
    r->undertaker_ms = 0;
    if (!r->has_leaf || pipe2(pair, O_CLOEXEC) < 0)
        return; /* too few descriptors: the next start's sweep is what remains */
    task = (struct undertaking){.place = r->place, .leaf = r->leaf, .lifeline = pair[0], .pidfd = r->pidfd};
    task.leaf.place = &task.place;
    for (int i = 0; i < LEAF_HIERARCHIES; i++)
        task.leaf.join_fd[i] = -1;
    /* No CLONE_FILES: its descriptors are its own. No exit signal: nobody is told when it ends. */
    r->undertaker = clone(undertake, stack + sizeof stack, CLONE_VM, NULL);
    fd_close(&pair[0]);
    r->lifeline = pair[1];
    if (r->undertaker < 0) {
        r->undertaker = 0;
        fd_close(&r->lifeline);
    }
}

void undertaker_dismiss(struct room *r)
{
    if (r->undertaker <= 0)
        return;
    (void)kill(r->undertaker, SIGKILL); /* our own child, not reaped yet: the pid is still its */
    while (waitpid(r->undertaker, NULL, __WALL) < 0 && errno == EINTR) {
    }
    r->undertaker = 0;
    fd_close(&r->lifeline);
}
