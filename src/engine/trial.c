/* trial: see trial.h.
 *
 * Lives in: the caller and its child, the supervisor. The result comes back through a shared page. Trusts:
 * the child, which is ourselves. Must not: let a supervisor outlive its time. */
#include "engine/trial.h"
#include "engine/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct trial_page {
    bool done;
    struct trial_end end;
};

__attribute__((noreturn)) static void supervise(struct trial_page *page, const struct policy *p, char **argv,
                                                const int stdio[3])
{
    struct engine_request req = {.policy = p, .argv = argv, .wants_record = true, .events_fd = -1};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* the caller's own clock ends us otherwise */
    for (int i = 0; i < 3; i++) {
        FD_AUTO null = stdio[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
        const int from = stdio[i] < 0 ? null : stdio[i];
        if (from >= 0 && from != i)
            (void)dup2(from, i); /* without: the room gets ours */
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &req.started);      /* cannot fail */
    (void)engine_run(&req, &page->end.result, &page->end.e); /* the page says the same */
    page->end.exit_status = page->end.result.exit_status;
    page->done = true;
    _exit(0);
}

int trial_start(struct trial *t, const struct policy *p, char **argv, const int stdio[3],
                void (*prepare)(void *), void *arg)
{
    *t = (struct trial){0};
    void *page = mmap(NULL, sizeof *t->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -errno;
    t->page = page;
    t->pid = fork();
    if (t->pid == 0) {
        if (prepare)
            prepare(arg);
        supervise(t->page, p, argv, stdio);
    }
    if (t->pid > 0)
        return 0;
    int n = -errno;
    t->pid = 0;
    (void)munmap(page, sizeof *t->page);
    t->page = NULL;
    return n;
}

void trial_finish(struct trial *t, unsigned ms, struct trial_end *ret)
{
    memset(ret, 0, sizeof *ret);
    if (!t->page)
        return;
    const uint64_t until = engine_now_ms() + ms;
    while (waitpid(t->pid, NULL, WNOHANG) == 0) {
        if (engine_now_ms() >= until) {
            (void)kill(t->pid, SIGKILL);
            (void)waitpid(t->pid, NULL, 0);
            break;
        }
        (void)poll(NULL, 0, 1);
    }
    if (t->page->done) {
        *ret = t->page->end;
        ret->ended = true;
    }
    (void)munmap(t->page, sizeof *t->page);
    *t = (struct trial){0};
}
