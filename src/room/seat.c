/* seat: see seat.h.
 *
 * Theory of operation. The program is started by vfork: memory is shared until execve, so what the child finds out
 * from the program's own seat lands with its parent without a message, and pid 1's memory need not be copied.
 *
 * Lives in: the room, in pid 1 or a reaper, and in their child until execve. Trusts: its parent.
 * Must not: malloc, stdio, keep anything open that a later program could inherit. */
#include "room/seat.h"
#include "sys/kernel.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Filled by the vfork child through the shared memory. Static and volatile: a compiler that knows a local
 * object's whole life may keep it in registers, which vfork does not share. */
static volatile struct {
    int code;  /* errno of a failing execve or step, 0 while all is well */
    int layer; /* layer_id that did not hold, -1, SEAT_WORKDIR */
} answer;

/* Tried from where the program will sit, under every wall: must all fail or read back as closed. */
static int look_around(const struct room_plan *plan)
{
    /* Without the filter, clone3 of nothing says EINVAL. Only calls that the filter answers itself may be
     * tried here: the listener is served from STARTED on. */
    if (plan_wants(plan, LAYER_ID_SECCOMP) && !(syscall(435 /* clone3 */, NULL, 0) < 0 && errno == ENOSYS))
        return LAYER_ID_SECCOMP;
    if (plan_wants(plan, LAYER_ID_NNP) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return LAYER_ID_NNP;
    if (getuid() != plan->uid || geteuid() != plan->uid || getgid() != plan->gid)
        return LAYER_ID_USER;
    for (int fd = 3; fd < 16; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            return LAYER_ID_FDS;
    }
    /* Not /proc/1/environ: until execve we share pid 1's memory, and the kernel lets memory's users read it.
     * A link asks for the right to trace. No /proc at all is a matter of another layer. */
    char link[8];
    if (readlink("/proc/1/cwd", link, sizeof link) >= 0)
        return LAYER_ID_INIT;
    return -1;
}

static void sit_down(const struct seat *seat)
{
    sigset_t none;

    answer.layer = LAYER_ID_SESSION; /* whatever fails here */
    if (setsid() < 0)
        return;
    if (seat->terminal >= 0 && ioctl(seat->terminal, TIOCSCTTY, 0) < 0)
        return;
    for (int i = 0; i < 3; i++) {
        int from = seat->terminal >= 0 ? seat->terminal : seat->stdio[i] >= 0 ? seat->stdio[i] : seat->null;
        if (dup2(from, i) < 0)
            return;
    }
    if (kernel_close_range(3, ~0u, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return;
    answer.layer = SEAT_WORKDIR;
    if (seat->workdir && chdir(seat->workdir) < 0)
        return;
    answer.layer = -1;
}

__attribute__((noreturn)) static void start(const struct room_plan *plan, const struct seat *seat)
{
    sit_down(seat);
    if (answer.layer != -1) {
        answer.code = errno;
        _exit(125);
    }
    answer.layer = look_around(plan);
    if (answer.layer != -1)
        _exit(125);
    if (!seat->paths)
        _exit(0);
    int code = ENOENT;
    for (size_t i = 0; seat->paths[i]; i++) {
        execve(seat->paths[i], seat->argv, seat->envp);
        if (errno != ENOENT && errno != ENOTDIR)
            code = errno;
    }
    answer.code = code;
    _exit(127);
}

pid_t seat_start(const struct room_plan *plan, const struct seat *seat, int *ret_layer)
{
    answer.code = 0;
    answer.layer = -1;
    *ret_layer = -1;
    /* vfork costs nothing to copy, and its shared memory is how the answer comes back. */
    pid_t pid =
        vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): the child calls the kernel only */
    if (pid == 0)
        start(plan, seat); /* NOLINT(clang-analyzer-unix.Vfork): noreturn; ends in execve or _exit */
    if (pid < 0)
        return -errno;
    if (seat->paths && answer.layer == -1 && answer.code == 0)
        return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *ret_layer = answer.layer;
    if (answer.layer >= 0)
        return answer.code ? -answer.code : -EPROTO;
    return -answer.code;
}

int seat_terminal(const char *ptmx, unsigned short rows, unsigned short cols, int *ret_master, int *ret_slave)
{
    int unlock = 0;
    struct winsize size = {.ws_row = rows, .ws_col = cols};
    *ret_master = openat(AT_FDCWD, ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*ret_master < 0)
        return -errno;
    if (ioctl(*ret_master, TIOCSPTLCK, &unlock) < 0)
        return -errno;
    *ret_slave = ioctl(*ret_master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*ret_slave < 0)
        return -errno;
    if (rows && ioctl(*ret_master, TIOCSWINSZ, &size) < 0)
        return -errno;
    return 0;
}
