/* host_spaces: trials of processes and namespaces.
 *
 * Lives in: a child that is thrown away. Trusts: nothing. May: change everything of itself. Must not: change
 * the host. */
#include "probe/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

void try_kernel(const struct host_facts *h, struct facility_answer *a)
{
    if (h->kernel == 0)
        answer_not(a, FACILITY_DEGRADED, 0, "%s: not understood", h->release);
    else if (h->kernel < 5012) /* mount_setattr arrived */
        answer_not(a, FACILITY_MISSING, 0, "%s: rooms need 5.12, 6.1 is supported", h->release);
    else if (h->kernel < 6001)
        answer_not(a, FACILITY_DEGRADED, 0, "%s: older than the oldest that is tested", h->release);
    else
        answer_ok(a, "%s", h->release);
}

void try_proc(const struct host_facts *h, struct facility_answer *a)
{
    if (h->proc)
        answer_ok(a, "shows our own processes");
    else if (access("/proc/self", F_OK) == 0)
        answer_not(a, FACILITY_MISSING, 0, "shows another pid namespace");
    else
        answer_not(a, FACILITY_MISSING, 0, "not mounted");
}

void try_clone3(const struct host_facts *h, struct facility_answer *a)
{
    int pidfd = -1;
    siginfo_t info;
    struct kernel_clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    (void)h;
    long pid = kernel_clone3(&args);
    if (pid == 0)
        _exit(0);
    if (pid < 0) {
        answer_not(a, FACILITY_MISSING, errno, "clone3");
        return;
    }
    memset(&info, 0, sizeof info);
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
        answer_not(a, FACILITY_MISSING, errno, "wait for a pidfd");
    else
        answer_ok(a, "with a pidfd");
}

/* That the namespace is made is not enough: a security module may take away the rights in it. */
static void try_rights(struct facility_answer *a)
{
    if (unshare(CLONE_NEWUSER) < 0)
        answer_not(a, FACILITY_MISSING, errno, "make one");
    else if (unshare(CLONE_NEWUTS) < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but without rights in it");
    else if (sethostname("room", 4) < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but the host name in it cannot be set");
    else
        answer_ok(a, "made, with all rights in it");
}

void try_userns(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    try_rights(a);
}

void try_users(const struct host_facts *h, struct facility_answer *a)
{
    char who[48];
    struct sbuf b = SBUF(who);
    if (h->uid != 0) {
        answer_not(a, FACILITY_SKIPPED, 0, "not root: the row user-ns is about this user");
        return;
    }
    if (setgroups(0, NULL) < 0 || setresgid(h->other_uid, h->other_uid, h->other_uid) < 0 ||
        setresuid(h->other_uid, h->other_uid, h->other_uid) < 0) {
        answer_not(a, FACILITY_SKIPPED, errno, "root here cannot become another user");
        return;
    }
    try_rights(a);
    sbuf_fmt(&b, " (uid %u)", (unsigned)h->other_uid);
    struct sbuf d = {.text = a->detail, .size = sizeof a->detail, .len = strlen(a->detail)};
    sbuf_text(&d, who);
}

/* Enters a namespace of its own kind; false with the answer given. */
static bool entered(int flags, struct facility_answer *a)
{
    int n = host_enter(flags);
    if (n == 0)
        return true;
    answer_not(a, FACILITY_MISSING, -n, "make one");
    return false;
}

void try_ns_mount(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (!entered(CLONE_NEWNS, a))
        return;
    struct mount_attr attr = {.propagation = 1 << 18 /* MS_PRIVATE */};
    if (kernel_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr) < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but not to be made private");
    else
        answer_ok(a, "made, private");
}

void try_ns_pid(const struct host_facts *h, struct facility_answer *a)
{
    int status = 0;
    (void)h;
    if (!entered(CLONE_NEWPID, a))
        return;
    pid_t pid = fork();
    if (pid == 0)
        _exit(getpid() == 1 ? 0 : 1);
    if (pid < 0)
        answer_not(a, FACILITY_MISSING, errno, "start its pid 1");
    else if (waitpid(pid, &status, 0) < 0 || status != 0)
        answer_not(a, FACILITY_MISSING, 0, "its first process is not pid 1");
    else
        answer_ok(a, "made, with a pid 1");
}

void try_ns_net(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (!entered(CLONE_NEWNET, a))
        return;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    FD_AUTO sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but no socket in it");
    else if (ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but loopback cannot be switched on");
    else
        answer_ok(a, "made, loopback is up");
}

void try_ns_ipc(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (entered(CLONE_NEWIPC, a))
        answer_ok(a, "made");
}

void try_ns_uts(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (!entered(CLONE_NEWUTS, a))
        return;
    if (sethostname("room", 4) < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but its name cannot be set");
    else
        answer_ok(a, "made, named");
}

void try_ns_cgroup(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (entered(CLONE_NEWCGROUP, a))
        answer_ok(a, "made");
}

void try_ns_time(const struct host_facts *h, struct facility_answer *a)
{
    struct timespec now;
    (void)h;
    if (!entered(CLONE_NEWTIME, a))
        return;
    int n = fd_write_file(AT_FDCWD, "/proc/self/timens_offsets", "boottime 1000000 0\n");
    FD_AUTO ns = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (n < 0 || ns < 0)
        answer_not(a, FACILITY_MISSING, n < 0 ? -n : errno, "made, but its clock cannot be set");
    else if (setns(ns, CLONE_NEWTIME) < 0)
        answer_not(a, FACILITY_MISSING, errno, "made, but not entered");
    else if (clock_gettime(CLOCK_BOOTTIME, &now) < 0 || now.tv_sec < 1000000)
        answer_not(a, FACILITY_MISSING, 0, "entered, but the clock did not move");
    else
        answer_ok(a, "made, clock moved");
}

/* --- id maps -------------------------------------------------------------------------------------------- */

/* A host uid of the range that rooms take theirs from. */
#define ROOM_UID 0x70000001u

/* The child that is mapped from outside: waits for a byte, becomes uid 1000, says whether it is. */
static void mapped_child(int sock)
{
    char go;
    if (read(sock, &go, 1) == 1 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0 &&
        getuid() == 1000)
        _exit(0);
    _exit(1);
}

/* Maps uid and gid 1000 of the child to `outside`. -errno, or the child's own answer: 0 or -EPROTO. */
static int map_one(uid_t outside_uid, gid_t outside_gid)
{
    int sock[2], status = 0;
    char path[32], map[48];
    struct sbuf p = SBUF(path), m = SBUF(map);
    if (fd_frame_pair(sock) < 0)
        return -errno;
    struct kernel_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long pid = kernel_clone3(&args);
    if (pid == 0) {
        fd_close(&sock[0]);
        mapped_child(sock[1]);
    }
    if (pid < 0)
        return -errno;
    fd_close(&sock[1]);
    sbuf_fmt(&p, "/proc/%ld", pid);
    FD_AUTO dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int n = dir < 0 ? -errno : 0;
    if (n == 0)
        (void)fd_write_file(dir, "setgroups", "deny"); /* the maps below say whether it was needed */
    sbuf_fmt(&m, "1000 %u 1", (unsigned)outside_uid);
    if (n == 0)
        n = fd_write_file(dir, "uid_map", map);
    m = SBUF(map);
    sbuf_fmt(&m, "1000 %u 1", (unsigned)outside_gid);
    if (n == 0)
        n = fd_write_file(dir, "gid_map", map);
    if (n == 0 && write(sock[0], "", 1) != 1)
        n = -errno;
    fd_close(&sock[0]);
    if (waitpid((pid_t)pid, &status, 0) < 0)
        return -errno;
    return n < 0 ? n : status == 0 ? 0 : -EPROTO;
}

void try_idmap(const struct host_facts *h, struct facility_answer *a)
{
    int own = map_one(ROOM_UID, ROOM_UID);
    if (own == 0) {
        answer_ok(
            a, h->admin
                   ? "each room gets a uid of its own"
                   : "each room gets a uid of its own, but those with files of the host (no CAP_SYS_ADMIN)");
        return;
    }
    int single = map_one(geteuid(), getegid());
    if (single == 0 && h->uid == 0)
        answer_not(a, FACILITY_DEGRADED, -own, "root here has no ids to give away");
    else if (single == 0)
        answer_not(a, FACILITY_DEGRADED, 0, "not root: rooms run as uid %u outside", (unsigned)h->uid);
    else
        answer_not(a, FACILITY_MISSING, -single, "map even our own id");
}
