/* confine: what the gate gives up: everything but the network and the descriptors at hand. How is sys/confine.c's.
 *
 * Lives in: strongroom-gate, called once, before the first byte from the room is read. Trusts: the kernel.
 * Must not: go on without the list of calls. */
#include "gate/confine.h"
#include "sys/confine.h"
#include "sys/kernel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define YES                  CONFINE_YES
#define NO                   CONFINE_NO
#define JUMP(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ARG(n)               CONFINE_ARG(n)
#define CALL(name)           CONFINE_CALL(SYS_##name)
/* The next `len` rows are about this call only, and decide. */
#define ONLY(name, len)       JUMP(SYS_##name, 0, len)
#define EXACT(name, n, value) ONLY(name, 4), ARG(n), JUMP(value, 0, 1), YES, NO

/* Each row says what for; tests/gate/confined.c compares the whole list with its own. */
static const struct sock_filter filter[] = {
    CONFINE_HEAD,
    CALL(splice), /* bytes of a connection */
    CALL(write),  /* the words that were looked at, into their pipe */
    CALL(epoll_pwait),
#ifdef SYS_epoll_wait
    CALL(epoll_wait),
#endif
    CALL(epoll_ctl),
    EXACT(accept4, 3, SOCK_NONBLOCK | SOCK_CLOEXEC), /* from the room's listeners */
    CALL(connect),                                   /* to peers and name servers */
    CALL(close),
    CALL(recvmsg), /* the room's questions, the supervisor's frames */
    CALL(sendmsg),
    CALL(recvfrom), /* name servers, the routing table */
    CALL(sendto),
    EXACT(socketpair, 0, AF_UNIX),           /* what is said inside TLS to a proxy */
    CALL(shutdown),                          /* half of a connection ends */
    CALL(getsockname),                       /* which peer was meant */
    EXACT(pipe2, 1, O_CLOEXEC | O_NONBLOCK), /* what splice goes through */
    EXACT(fcntl, 1, F_SETPIPE_SZ),           /* speed */
    CALL(getrandom),                         /* ids of questions */
    CALL(clock_gettime),                     /* where the vDSO cannot tell */
    CALL(exit_group),
    /* Only TCP and UDP of the two families, by their default protocols. */
    ONLY(socket, 10),
    ARG(0),
    JUMP(AF_INET, 1, 0),
    JUMP(AF_INET6, 0, 6),
    ARG(1),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SOCK_DGRAM, 3, 0), /* SOCK_STREAM is 1, SOCK_DGRAM 2 */
    ARG(2),
    JUMP(0, 0, 1),
    YES,
    NO,
    /* How a connection ends, small packets at once, who is gone. No upper-layer protocols, filters, multicast. */
    ONLY(setsockopt, 11),
    ARG(1),
    JUMP(SOL_SOCKET, 0, 3),
    ARG(2),
    JUMP(SO_LINGER, 6, 0),
    JUMP(SO_KEEPALIVE, 5, 4),
    JUMP(IPPROTO_TCP, 0, 3),
    ARG(2),
    JUMP(TCP_NODELAY, 2, 0),
    JUMP(TCP_KEEPIDLE, 1, 0),
    NO,
    YES,
    ONLY(getsockopt, 6), /* why a connection failed */
    ARG(1),
    JUMP(SOL_SOCKET, 0, 2),
    ARG(2),
    JUMP(SO_ERROR, 1, 0),
    NO,
    YES,
    NO,
};

static const struct confine_bound bounds[] = {
    {RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_NPROC, 0}, {RLIMIT_AS, 256 << 20}};

static const struct confinement gate = {
    .filter = filter,
    .filter_len = sizeof filter / sizeof *filter,
    .bounds = bounds,
    .bound_count = sizeof bounds / sizeof *bounds,
    .net = KERNEL_LANDLOCK_BIND_TCP, /* connecting is our work; to which ports changes */
    .ends_with_parent = true,
};

int confine_calls(void)
{
    return confine_process_calls(&gate);
}

int confine_walls(const char **ret_what)
{
    return confine_process_walls(&gate, ret_what);
}

int confine(const char **ret_what)
{
    return confine_process(&gate, ret_what);
}
