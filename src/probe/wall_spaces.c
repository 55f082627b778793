/* wall_spaces: probes of processes, mounts, network, objects, names and clocks.
 *
 * Lives in: a child of the room's program. Trusts: what the host told. Must not: do harm where there is no
 * room: calls that change something are made with arguments that fail after the permission was checked. */
#include "probe/wall_inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* Permission was refused, by a filter, a capability check or because the call is not there. */
static bool refused(long r)
{
    return r < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES);
}

static void own(const struct wall_ask *a, int which, struct wall_verdict *v)
{
    char path[32], ours[64];
    struct sbuf b = SBUF(path);
    sbuf_fmt(&b, "/proc/self/ns/%s", wall_spaces[which]);
    ssize_t n = readlink(path, ours, sizeof ours - 1);
    ours[n > 0 ? n : 0] = '\0';
    if (n <= 0 || !a->spaces[which])
        wall_skip(v, "cannot be compared");
    else if (strcmp(ours, a->spaces[which]) == 0)
        wall_broke(v, "the host's: %s", ours);
    else
        wall_held(v, "an own one");
}

#define OWN(name, which)                                                                                     \
    void name(const struct wall_ask *a, struct wall_verdict *v)                                              \
    {                                                                                                        \
        own(a, which, v);                                                                                    \
    }
OWN(wall_user_own, 0)
OWN(wall_pid_own, 1)
OWN(wall_mount_own, 2)
OWN(wall_net_own, 3)
OWN(wall_ipc_own, 4)

void wall_user_map(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
    (void)a;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char map[256];
        ssize_t n = fd_read_file(AT_FDCWD, files[i], map, sizeof map);
        if (n <= 0) {
            wall_skip(v, "%s cannot be read", files[i]);
            return;
        }
        char *end = strchr(map, '\n');
        if (!end || end[1] || strcmp(end - 2, " 1\n") != 0) {
            wall_broke(v, "%s holds more than one id", files[i]);
            return;
        }
    }
    wall_held(v, "one uid, one gid");
}

/* --- processes ------------------------------------------------------------------------------------------ */

/* Below this a room has processes of its own: the supervisor's number, as small in a container, tells nothing. */
enum { TELLING_PID = 64 };

void wall_pid_signal(const struct wall_ask *a, struct wall_verdict *v)
{
    if (a->supervisor < TELLING_PID)
        wall_skip(v, a->supervisor ? "its number is one that the room has too" : "not told which");
    else if (kill((pid_t)a->supervisor, 0) == 0 || errno == EPERM)
        wall_broke(v, "process %u of the host is there", (unsigned)a->supervisor);
    else
        wall_held(v, "nobody under its number");
}

void wall_pid_list(const struct wall_ask *a, struct wall_verdict *v)
{
    unsigned count = 0;
    bool supervisor = false;
    DIR *dir = opendir("/proc");
    if (!dir) {
        wall_skip(v, "no /proc");
        return;
    }
    for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] < '1' || d->d_name[0] > '9')
            continue;
        char number[24];
        struct sbuf b = SBUF(number);
        sbuf_fmt(&b, "%llu", (unsigned long long)a->supervisor);
        supervisor |= a->supervisor >= TELLING_PID && strcmp(number, d->d_name) == 0;
        count++;
    }
    (void)closedir(dir); /* read-only */
    if (supervisor || count > 8)
        wall_broke(v, "%u processes%s", count, supervisor ? ", the supervisor among them" : "");
    else
        wall_held(v, "%u processes, all the room's", count);
}

/* --- mounts --------------------------------------------------------------------------------------------- */

void wall_mount_list(const struct wall_ask *a, struct wall_verdict *v)
{
    char text[64];
    (void)a;
    FD_AUTO fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        wall_held(v, "not readable: %s", strerror(errno));
    else if (read(fd, text, sizeof text) > 0)
        wall_broke(v, "it lists mounts");
    else
        wall_held(v, "it reads empty");
}

void wall_mount_calls(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
    wall_tried(&t, !refused(kernel_fsopen("tmpfs", 1 /* FSOPEN_CLOEXEC */)), "fsopen");
    wall_tried(&t, !refused(kernel_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | O_CLOEXEC)), "open_tree");
    wall_tried(&t, !refused(kernel_pivot_root("/", "/")), "pivot_root");
    wall_tried(&t, !refused(chroot("/")), "chroot");
    wall_tried(&t, !refused(umount2("/", 0x7ffffff0 /* no such flags */)), "umount2");
    wall_tried(&t, !refused(syscall(SYS_setns, -1, CLONE_NEWNS)), "setns");
    wall_tried(&t, !refused(unshare(CLONE_NEWNS)), "unshare");
    wall_sum(v, &t, "not refused", "all refused");
}

/* --- network -------------------------------------------------------------------------------------------- */

void wall_net_devices(const struct wall_ask *a, struct wall_verdict *v)
{
    static char text[16384];
    unsigned others = 0;
    char first[32] = "";
    (void)a;
    if (fd_read_file(AT_FDCWD, "/proc/self/net/dev", text, sizeof text) <= 0) {
        wall_skip(v, "no list of devices");
        return;
    }
    for (char *line = text; *line;) {
        char *end = line + strcspn(line, "\n");
        char *colon = memchr(line, ':', (size_t)(end - line));
        while (*line == ' ')
            line++;
        if (colon && !(colon - line == 2 && memcmp(line, "lo", 2) == 0) && others++ == 0) {
            struct sbuf b = SBUF(first);
            sbuf_bytes(&b, line, (size_t)(colon - line));
        }
        line = *end ? end + 1 : end;
    }
    if (others)
        wall_broke(v, "%u besides loopback, %s the first", others, first);
    else
        wall_held(v, "only loopback");
}

static int try_connect(int family, int type, const void *to, socklen_t size)
{
    FD_AUTO sock = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return -errno;
    return connect(sock, to, size) < 0 && errno != EINPROGRESS ? -errno : 0;
}

/* Connecting a UDP socket sends nothing: it asks for a route. The addresses: RFC 5737, a metadata service, a
 * resolver. */
void wall_net_route(const struct wall_ask *a, struct wall_verdict *v)
{
    static const struct {
        uint32_t ip;
        const char *name;
    } to[] = {{0xc0000201, "192.0.2.1"},
              {0xa9fea9fe, "169.254.169.254"},
              {0x08080808, "8.8.8.8"},
              {0x0a000001, "10.0.0.1"}};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        const struct sockaddr_in in = {
            .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(to[i].ip)};
        wall_tried(&t, try_connect(AF_INET, SOCK_DGRAM, &in, sizeof in) == 0, to[i].name);
    }
    const struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = {{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}}}};
    wall_tried(&t, try_connect(AF_INET6, SOCK_DGRAM, &six, sizeof six) == 0, "2001:db8::1");
    wall_sum(v, &t, "a route to", "no route");
}

void wall_net_listener(const struct wall_ask *a, struct wall_verdict *v)
{
    const struct sockaddr_in in = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)a->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!a->port) {
        wall_skip(v, "not told where");
        return;
    }
    FD_AUTO sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock >= 0 && connect(sock, (const struct sockaddr *)&in, sizeof in) == 0)
        wall_broke(v, "connected to 127.0.0.1:%u", (unsigned)a->port);
    else
        wall_held(v, "%s", strerror(errno));
}

void wall_net_abstract(const struct wall_ask *a, struct wall_verdict *v)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (!a->token || strlen(a->token) + 1 >= sizeof un.sun_path) {
        wall_skip(v, "not told where");
        return;
    }
    memcpy(un.sun_path + 1, a->token, strlen(a->token));
    int n = try_connect(AF_UNIX, SOCK_STREAM, &un,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->token)));
    if (n == 0)
        wall_broke(v, "connected");
    else
        wall_held(v, "%s", strerror(-n));
}

void wall_net_families(const struct wall_ask *a, struct wall_verdict *v)
{
    static const struct {
        int family, type, protocol;
        const char *name;
    } rows[] = {
        {17, SOCK_RAW, 0, "packet"},
        {40, SOCK_STREAM, 0, "vsock"},
        {38, SOCK_SEQPACKET, 0, "alg"},
        {16, SOCK_RAW, 0, "netlink"},
        {16, SOCK_RAW, 12, "netfilter"},
        {16, SOCK_RAW, 15, "uevent"},
        {15, SOCK_RAW, 2, "key"},
        {31, SOCK_RAW, 1, "bluetooth"},
        {30, SOCK_SEQPACKET, 0, "tipc"},
        {29, SOCK_RAW, 1, "can"},
        {21, SOCK_SEQPACKET, 0, "rds"},
        {44, SOCK_RAW, 0, "xdp"},
        {AF_INET, SOCK_RAW, 1, "raw"},
        {AF_INET, SOCK_STREAM, 132, "sctp"},
        {AF_INET, SOCK_STREAM, 262, "mptcp"},
    };
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        FD_AUTO sock = socket(rows[i].family, rows[i].type | SOCK_CLOEXEC, rows[i].protocol);
        wall_tried(&t, sock >= 0, rows[i].name);
    }
    wall_sum(v, &t, "open", "none opens");
}

/* --- objects, names, clocks ----------------------------------------------------------------------------- */

void wall_ipc_calls(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
    int id = (int)syscall(SYS_shmget, IPC_PRIVATE, 4096, 0600);
    wall_tried(&t, id >= 0, "shmget");
    if (id >= 0)
        (void)syscall(SYS_shmctl, id, IPC_RMID, NULL); /* ours a moment ago */
    wall_tried(&t, !refused(syscall(SYS_semget, IPC_PRIVATE, 0, 0600)), "semget");
    wall_tried(&t, !refused(syscall(SYS_msgrcv, -1, NULL, 0, 0, 0)), "msgrcv");
    wall_tried(&t, !refused(syscall(SYS_mq_open, "strongroom-none", O_RDONLY, 0, NULL)), "mq_open");
    wall_sum(v, &t, "not refused", "all refused");
}

void wall_canary_shm(const struct wall_ask *a, struct wall_verdict *v)
{
    if (!a->told_shm)
        wall_skip(v, "nothing was planted");
    else if (syscall(SYS_shmat, (int)a->shm_id, NULL, SHM_RDONLY) != -1)
        wall_broke(v, "attached");
    else
        wall_held(v, "%s", strerror(errno));
}

void wall_uts_own(const struct wall_ask *a, struct wall_verdict *v)
{
    char name[128] = "";
    if (!a->name || gethostname(name, sizeof name - 1) < 0)
        wall_skip(v, "cannot be compared");
    else if (strcmp(name, a->name) == 0)
        wall_broke(v, "the host's: %s", name);
    else
        wall_held(v, "%s", name);
}

void wall_uts_set(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    (void)a;
    /* Too long, which is looked at after the right to do it. */
    wall_tried(&t, !refused(syscall(SYS_sethostname, "x", 4096)), "sethostname");
    wall_tried(&t, !refused(syscall(SYS_setdomainname, "x", 4096)), "setdomainname");
    wall_sum(v, &t, "not refused", "refused");
}

void wall_cgroup_ns(const struct wall_ask *a, struct wall_verdict *v)
{
    static char text[8192];
    (void)a;
    if (fd_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) <= 0) {
        wall_held(v, "nothing to read");
        return;
    }
    for (const char *line = text; *line;) {
        const char *path = strchr(line, '/');
        size_t n = path ? strcspn(path, "\n") : 0;
        if (n > 1 && strncmp(path, "/..", 3) != 0) {
            wall_broke(v, "%.*s", n > 100 ? 100 : (int)n, path);
            return;
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    own(a, 6, v);
}

void wall_time_own(const struct wall_ask *a, struct wall_verdict *v)
{
    struct timespec now;
    if (a->uptime < 120)
        wall_skip(v, "the host itself is up for less than two minutes");
    else if (clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        wall_skip(v, "no such clock");
    else if ((uint64_t)now.tv_sec >= a->uptime / 2)
        wall_broke(v, "%lld s, as on the host", (long long)now.tv_sec);
    else
        wall_held(v, "%lld s", (long long)now.tv_sec);
}
