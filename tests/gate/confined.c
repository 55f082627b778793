/* confined: what strongroom-gate could still do if its bytes were the enemy's: nothing but TCP and UDP.
 *
 * Confines itself with the gate's own code (gate/confine.c), each attempt in a child of its own. First the walls
 * without the list of system calls, for a list that hides a missing wall would show nothing; then the list alone:
 * each number that the kernel knows, then each argument that the list looks at. As root everything is tried once more
 * as a user. 
 * Lives in: a test program, static like the product. */
#include "gate/confine.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER     4242
#define CALL_MAX 480

static int passed, failed, skipped, port;
static pid_t tester;
static const char *who = "as ourselves";

static void say(bool good, const char *name, const char *why)
{
    printf(good ? "PASS %s %s\n" : "FAIL %s %s: %s\n", name, who, why);
    passed += good;
    failed += !good;
}

/* --- attempts behind the walls: true when the enemy got something ------------------------------------------- */

static bool opens_files(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/status", O_RDONLY) >= 0 ||
           open("/dev/null", O_RDWR) >= 0 || open("../../../../../../etc/passwd", O_RDONLY) >= 0;
}

static bool makes_files(void)
{
    return open("/x", O_WRONLY | O_CREAT, 0600) >= 0 || mkdir("/x", 0700) == 0 ||
           mknod("/x", S_IFIFO | 0600, 0) == 0;
}

static bool finds_descriptors_that_lead_out(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        if (faccessat(fd, "etc", F_OK, 0) == 0 || fchdir(fd) == 0)
            return true;
    }
    return false;
}

static bool leaves_the_root(void)
{
    return chroot("..") == 0 || chroot(".") == 0 || syscall(SYS_pivot_root, ".", ".") == 0;
}

static bool runs_a_program(void)
{
    static char name[] = "sh";
    char *const argv[] = {name, NULL};
    execv("/bin/sh", argv);
    execv("/proc/self/exe", argv);
    return false; /* who ran something did not come here */
}

static bool forks(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool traces_others(void)
{
    char c;
    struct iovec here = {&c, 1}, there = {&passed, 1};
    return ptrace(PTRACE_SEIZE, tester, 0, 0) == 0 ||
           syscall(SYS_process_vm_readv, tester, &here, 1L, &there, 1L, 0L) >= 0;
}

static bool signals_others(void)
{
    int pidfd = kernel_pidfd_open(tester, 0);
    return kill(tester, 0) == 0 || (pidfd >= 0 && kernel_pidfd_send_signal(pidfd, 0) == 0);
}

static bool mounts(void)
{
    return mount("x", "/", "tmpfs", 0, NULL) == 0 || mount("/", "/", NULL, MS_BIND, NULL) == 0 ||
           fd_new_mount("proc", NULL, 0) >= 0;
}

static bool makes_raw_sockets(void)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_TCP) >= 0 || socket(AF_INET6, SOCK_RAW, IPPROTO_UDP) >= 0 ||
           socket(AF_PACKET, SOCK_RAW, 0) >= 0;
}

static bool changes_the_network(void)
{
    struct {
        struct nlmsghdr head;
        uint8_t body[16];
    } q = {.head = {.nlmsg_len = sizeof q,
                    .nlmsg_type = 17 /* RTM_DELLINK */,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    struct {
        struct nlmsghdr head;
        int error;
        uint8_t rest[64];
    } r = {.error = -1};
    FD_AUTO fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    q.body[4] = 1; /* loopback's index */
    return fd >= 0 && send(fd, &q, sizeof q, 0) > 0 && recv(fd, &r, sizeof r, 0) > 0 && r.error != -EPERM;
}

static bool listens_on_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a) == 0;
}

static bool talks_to_abstract_sockets(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "confined-%d", (int)tester);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0;
}

static bool has_rights(void)
{
    struct {
        uint32_t version;
        int pid;
    } head = {0x20080522, 0};
    uint32_t caps[6] = {0};
    syscall(SYS_capget, &head, caps);
    for (int i = 0; i < 6; i++) {
        if (caps[i] != 0)
            return true;
    }
    for (int i = 0; i < 41; i++) {
        if (geteuid() == 0 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            return true;
    }
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0;
}

static bool becomes_root(void)
{
    return setresuid(0, 0, 0) == 0 || setuid(USER) == 0 || setgroups(0, NULL) == 0 ||
           unshare(CLONE_NEWUSER) == 0;
}

static bool writes_files(void)
{
    static const char text[] = "x";
    int fd = (int)syscall(SYS_memfd_create, "x", 0u);
    (void)signal(SIGXFSZ, SIG_IGN);
    return fd >= 0 && write(fd, text, 1) == 1;
}

static bool takes_memory(void)
{
    return mmap(NULL, 300u << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

/* --- the machinery ------------------------------------------------------------------------------------------- */

static void become_user(bool user)
{
    if (user &&
        (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0))
        _exit(9);
    if (user)
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as after execve */
}

/* 0: refused; 1: the enemy got it; 9: could not be confined; 128 + n: ended by a signal. */
static int attempt(bool user, bool (*f)(void))
{
    const char *what;
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        become_user(user);
        _exit(confine_walls(&what) < 0 ? 9 : f());
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void behind_the_walls(bool user)
{
    const struct {
        const char *name;
        bool (*f)(void);
        int landlock; /* the version of Landlock without which this wall is not there */
    } rows[] = {
        {"opens files", opens_files, 0},
        {"makes files", makes_files, 0},
        {"finds descriptors that lead out", finds_descriptors_that_lead_out, 0},
        {"leaves the root", leaves_the_root, 0},
        {"runs a program", runs_a_program, 0},
        {"forks", forks, 0},
        {"traces others", traces_others, 0},
        {"signals others", signals_others, geteuid() == 0 ? 0 : 6},
        {"mounts", mounts, 0},
        {"makes raw sockets", makes_raw_sockets, 0},
        {"changes the network", changes_the_network, 0},
        {"listens on tcp", listens_on_tcp, 4},
        {"talks to abstract sockets", talks_to_abstract_sockets, 6},
        {"has rights", has_rights, 0},
        {"becomes root", becomes_root, 0},
        {"writes files", writes_files, 0},
        {"takes memory", takes_memory, 0},
    };
    int abi = kernel_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (abi < rows[i].landlock) {
            printf("SKIP never %s %s: this kernel's Landlock is of version %d\n", rows[i].name, who, abi);
            skipped++;
            continue;
        }
        char name[64], why[32];
        int r = attempt(user, rows[i].f);
        (void)snprintf(name, sizeof name, "never %s", rows[i].name);
        (void)snprintf(why, sizeof why, "ended with %d", r);
        say(r == 0, name, why);
    }
}

/* --- the list ------------------------------------------------------------------------------------------------ */

/* A call under the list: SIGSYS, or not. */
static bool is_ended(long nr, long a, long b, long c, long d)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confine_calls() < 0)
            kill(getpid(), SIGKILL);
        (void)kernel_raw(nr, a, b, c, d);
        (void)kernel_raw(SYS_exit_group, 0, 0, 0, 0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* What the gate needs, and nothing else; the reasons stand beside the list. */
static void the_list(void)
{
    static const long wanted[] = {
        SYS_write,       SYS_splice,     SYS_epoll_pwait, SYS_epoll_ctl,  SYS_accept4,       SYS_connect,
        SYS_close,       SYS_recvmsg,    SYS_sendmsg,     SYS_recvfrom,   SYS_sendto,        SYS_shutdown,
        SYS_getsockname, SYS_pipe2,      SYS_fcntl,       SYS_getrandom,  SYS_clock_gettime, SYS_exit_group,
        SYS_socket,      SYS_socketpair, SYS_setsockopt,  SYS_getsockopt,
#ifdef SYS_epoll_wait
        SYS_epoll_wait,
#endif
    };
    char why[64] = "";

    for (long nr = 0; nr < CALL_MAX; nr++) {
        bool is_wanted = false;
#ifdef __x86_64__
        is_wanted = nr == 335 || nr == 336; /* probes: the kernel answers before it asks any filter */
#endif
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            is_wanted = is_wanted || wanted[i] == nr;
        if (!is_wanted && !is_ended(nr, -1, -1, -1, -1))
            (void)snprintf(why, sizeof why, "number %ld goes through", nr);
    }
    say(why[0] == '\0', "no other system call", why);
#ifdef __x86_64__
    say(is_ended(SYS_close | 0x40000000, -1, 0, 0, 0), "no x32", "goes through");
#endif
}

static void the_arguments(void)
{
    static const struct {
        const char *name;
        long nr, a, b, c, d;
        bool ends;
    } rows[] = {
        {"tcp", SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, false},
        {"udp of ipv6", SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0, 0, false},
        {"unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, true},
        {"netlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0, true},
        {"packet", SYS_socket, AF_PACKET, SOCK_DGRAM, 0, 0, true},
        {"vsock", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0, true},
        {"raw", SYS_socket, AF_INET, SOCK_RAW, IPPROTO_TCP, 0, true},
        {"seqpacket", SYS_socket, AF_INET, SOCK_SEQPACKET, 0, 0, true},
        {"ping", SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0, true},
        {"sctp", SYS_socket, AF_INET, SOCK_STREAM, 132, 0, true},
        {"mptcp", SYS_socket, AF_INET, SOCK_STREAM, 262, 0, true},
        {"l2tp", SYS_socket, AF_INET6, SOCK_DGRAM, 115, 0, true},
        {"pair", SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, false},
        {"pair of tipc", SYS_socketpair, AF_TIPC, SOCK_STREAM, 0, 0, true},
        {"linger", SYS_setsockopt, -1, SOL_SOCKET, SO_LINGER, 0, false},
        {"keepalive", SYS_setsockopt, -1, SOL_SOCKET, SO_KEEPALIVE, 0, false},
        {"nodelay", SYS_setsockopt, -1, IPPROTO_TCP, TCP_NODELAY, 0, false},
        {"idle time", SYS_setsockopt, -1, IPPROTO_TCP, TCP_KEEPIDLE, 0, false},
        {"tls in the kernel", SYS_setsockopt, -1, IPPROTO_TCP, 31 /* TCP_ULP */, 0, true},
        {"congestion control", SYS_setsockopt, -1, IPPROTO_TCP, TCP_CONGESTION, 0, true},
        {"filters", SYS_setsockopt, -1, SOL_SOCKET, SO_ATTACH_FILTER, 0, true},
        {"netfilter", SYS_setsockopt, -1, IPPROTO_IP, 64, 0, true},
        {"multicast", SYS_setsockopt, -1, IPPROTO_IP, IP_ADD_MEMBERSHIP, 0, true},
        {"options of ipv6", SYS_setsockopt, -1, IPPROTO_IPV6, SO_LINGER, 0, true},
        {"the error", SYS_getsockopt, -1, SOL_SOCKET, SO_ERROR, 0, false},
        {"peer's label", SYS_getsockopt, -1, SOL_SOCKET, SO_PEERSEC, 0, true},
        {"netfilter's tables", SYS_getsockopt, -1, IPPROTO_IP, SO_ERROR, 0, true},
        {"pipe", SYS_pipe2, -1, O_CLOEXEC | O_NONBLOCK, 0, 0, false},
        {"notification pipe", SYS_pipe2, -1, O_CLOEXEC | O_NONBLOCK | O_EXCL, 0, 0, true},
        {"size of a pipe", SYS_fcntl, -1, F_SETPIPE_SZ, 0, 0, false},
        {"owner of a descriptor", SYS_fcntl, -1, F_SETOWN, 0, 0, true},
        {"more descriptors", SYS_fcntl, -1, F_DUPFD, 0, 0, true},
        {"accept", SYS_accept4, -1, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC, false},
        {"accept without marks", SYS_accept4, -1, 0, 0, 0, true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64];
        bool ends = is_ended(rows[i].nr, rows[i].a, rows[i].b, rows[i].c, rows[i].d);
        (void)snprintf(name, sizeof name, "%s: %s", rows[i].ends ? "no" : "still", rows[i].name);
        say(ends == rows[i].ends, name, ends ? "ended" : "goes through");
    }
}

/* All of it together, in the gate's own order. */
static void connects_still(void)
{
    const char *what = "";
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (confine(&what) < 0)
            (void)kernel_raw(SYS_exit_group, 9, 0, 0, 0);
        long fd = kernel_raw(SYS_socket, AF_INET, SOCK_STREAM, 0, 0);
        (void)kernel_raw(SYS_exit_group, kernel_raw(SYS_connect, fd, (long)&a, sizeof a, 0) == 0 ? 0 : 1, 0,
                         0, 0);
    }
    waitpid(pid, &status, 0);
    say(status == 0, "still connects", "does not");
}

static void open_doors(void)
{
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int n = snprintf(u.sun_path + 1, sizeof u.sun_path - 1, "confined-%d", (int)tester);
    int named = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(named, (struct sockaddr *)&u,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0 ||
        listen(named, 64) < 0 || bind(tcp, (struct sockaddr *)&a, len) < 0 || listen(tcp, 64) < 0 ||
        getsockname(tcp, (struct sockaddr *)&a, &len) < 0)
        _exit(9);
    port = ntohs(a.sin_port);
}

/* Would the attempts show a missing wall? Without any wall most of them get what they want. */
static void attempts_are_real(void)
{
    bool (*const rows[])(void) = {opens_files,    finds_descriptors_that_lead_out, forks,      signals_others,
                                  listens_on_tcp, talks_to_abstract_sockets,       has_rights, writes_files,
                                  takes_memory};
    int n = 0, status;
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* bait, and gone before anything else runs */
    fflush(stdout);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(rows[i]());
        waitpid(pid, &status, 0);
        n += WIFEXITED(status) && WEXITSTATUS(status) == 1;
    }
    fd_close(&folder);
    say(n == sizeof rows / sizeof *rows, "attempts succeed without walls", "some do not");
}

int main(void)
{
    tester = getpid();
    open_doors();
    attempts_are_real();
    behind_the_walls(false);
    connects_still();
    the_list();
    the_arguments();
    if (geteuid() == 0) {
        who =
            "as a user"; /* the tester is another one then: signals and tracing are tried by a user's own run */
        behind_the_walls(true);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}
