/* confined: what strongroom-intercept could still do if a server's or a room's bytes had taken it over: move bytes
 * between the sockets that it was handed, no more.
 *
 * Confines itself with the program's own code (helpers/intercept/confine.c), each attempt in a child of its own. First
 * what it must be able to do, for a test that found everything shut would show nothing; then the attempts, which are
 * tried without walls too; then the list: each number that the kernel knows, and the arguments that it looks at. As
 * root all of it once more as a user.
 *
 * Lives in: a test program, with the libraries of the program itself. */
#include "helpers/intercept/confine.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USER     4242
#define CALL_MAX 480
#define WANTED   3 /* how a child ends that got what it wanted; nothing else ends so */

static int passed, failed, skipped;
static const char *who = "as ourselves";
static pid_t tester;
static int pair[2], file, epoll, port;
static EVP_PKEY *key;

static void say(bool good, const char *name, const char *why)
{
    printf(good ? "PASS %s %s\n" : "FAIL %s %s: %s\n", name, who, why);
    passed += good;
    failed += !good;
}

/* --- what it is for ---------------------------------------------------------------------------------------- */

static bool moves_bytes(void)
{
    struct epoll_event e = {.events = EPOLLIN};
    char c = 'x';
    return write(pair[0], &c, 1) == 1 && epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &e) == 0 &&
           epoll_wait(epoll, &e, 1, 1000) == 1 && read(pair[1], &c, 1) == 1 &&
           shutdown(pair[0], SHUT_WR) == 0;
}

static bool takes_descriptors(void)
{
    char c = 'x';
    int fds[1] = {-1};
    return fd_frame_send(pair[0], &c, 1, &pair[1], 1, 0) == 0 &&
           fd_frame_recv(pair[1], &c, 1, fds, 1, 0) == 1 && fds[0] >= 0 && close(fds[0]) == 0;
}

static bool signs(void)
{
    unsigned char out[256];
    size_t len = sizeof out;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    return c != NULL && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
           EVP_DigestSign(c, out, &len, (const unsigned char *)"x", 1) == 1;
}

static bool has_memory(void)
{
    char *p = malloc(20 << 20);
    if (p == NULL)
        return false;
    memset(p, 1, 20 << 20);
    free(p);
    return true;
}

static bool knows_the_time(void)
{
    struct timespec t;
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0;
}

/* --- attempts: true when the enemy got something ------------------------------------------------------------ */

static bool opens_files(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/mem", O_RDWR) >= 0 ||
           open("/dev/null", O_RDWR) >= 0;
}

#ifdef SYS_open
static bool opens_files_of_old(void)
{
    return syscall(SYS_open, "/etc/passwd", O_RDONLY) >= 0;
}
#endif

static bool opens_files_newly(void)
{
    uint64_t how[3] = {O_RDONLY, 0, 0};
    return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how) >= 0;
}

static bool makes_files(void)
{
    return mkdir("/tmp/confined-intercept", 0700) == 0 && rmdir("/tmp/confined-intercept") == 0;
}

static bool writes_a_file(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    return write(file, "x", 1) == 1;
}

static bool maps_a_file(void)
{
    return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED;
}

static bool makes_sockets(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_INET6, SOCK_DGRAM, 0) >= 0 ||
           socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool makes_a_pair(void)
{
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}

static bool connects(void)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    return connect(pair[0], (struct sockaddr *)&a, sizeof a) == 0 || errno == EINVAL || errno == EISCONN ||
           errno == EAFNOSUPPORT; /* the kernel looked at it */
}

static bool accepts(void)
{
    return accept(pair[0], NULL, NULL) >= 0 || errno == EOPNOTSUPP || errno == EINVAL;
}

static bool sets_options(void)
{
    static const int on = 1;
    return setsockopt(pair[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0;
}

static bool runs_a_program(void)
{
    static char name[] = "sh", c[] = "-c", line[] = "exit 3";
    char *const argv[] = {name, c, line, NULL};
    (void)execv("/bin/sh", argv);
    return false;
}

static bool has_children(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool has_threads(void)
{
    return syscall(SYS_clone3, NULL, 0) >= 0 || errno == EINVAL;
}

static bool traces_others(void)
{
    return ptrace(PTRACE_SEIZE, tester, 0, 0) == 0;
}

static bool reads_others(void)
{
    char c;
    struct iovec here = {&c, 1}, there = {&passed, 1};
    return process_vm_readv(tester, &here, 1, &there, 1, 0) == 1;
}

static bool signals_others(void)
{
    return kill(tester, 0) == 0;
}

static bool runs_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool makes_memory_run(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool takes_all_memory(void)
{
    return mmap(NULL, 300u << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool can_be_dumped(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool leaves_its_root(void)
{
    return chroot(".") == 0 || unshare(CLONE_NEWUSER) == 0;
}

static bool becomes_somebody(void)
{
    return setresuid(0, 0, 0) == 0;
}

static bool polls_otherwise(void)
{
    char room[248] = {0};
    return syscall(SYS_io_uring_setup, 4, room) >= 0 || syscall(SYS_memfd_create, "x", 0u) >= 0;
}

/* --- the machinery ------------------------------------------------------------------------------------------ */

enum how { BARE, WHOLE };

/* The wait status. */
static int child(enum how how, bool user, bool (*f)(void))
{
    const char *what = "";
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (user &&
            (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0))
            _exit(8);
        if (user)
            (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as after execve */
        if (fd_frame_pair(pair) < 0 || (epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
            _exit(8);
        if (how == WHOLE && intercept_confine(&what) < 0)
            _exit(9);
        (void)syscall(SYS_exit_group, f() ? WANTED : 0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static bool got_it(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == WANTED;
}

static bool was_refused(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGSYS : WEXITSTATUS(status) == 0;
}

static void all(bool user)
{
    static const struct {
        const char *name;
        bool (*f)(void);
        bool wanted;
    } rows[] = {
        {"moves bytes", moves_bytes, true},
        {"takes descriptors", takes_descriptors, true},
        {"signs", signs, true},
        {"has memory", has_memory, true},
        {"knows the time", knows_the_time, true},
        {"opens files", opens_files, false},
        {"opens files by openat2", opens_files_newly, false},
#ifdef SYS_open
        {"opens files by open", opens_files_of_old, false},
#endif
        {"makes files", makes_files, false},
        {"writes a file that it has open", writes_a_file, false},
        {"maps a file that it has open", maps_a_file, false},
        {"makes sockets", makes_sockets, false},
        {"makes a pair of sockets", makes_a_pair, false},
        {"connects", connects, false},
        {"accepts", accepts, false},
        {"sets options", sets_options, false},
        {"runs a program", runs_a_program, false},
        {"has children", has_children, false},
        {"has threads", has_threads, false},
        {"traces others", traces_others, false},
        {"reads the memory of others", reads_others, false},
        {"signals others", signals_others, false},
        {"runs memory that it wrote", runs_memory, false},
        {"makes memory run", makes_memory_run, false},
        {"takes all memory", takes_all_memory, false},
        {"can be dumped", can_be_dumped, false},
        {"leaves its root", leaves_its_root, false},
        {"becomes somebody else", becomes_somebody, false},
        {"makes rings and memory files", polls_otherwise, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64], why[48];
        int status = child(WHOLE, user, rows[i].f);
        (void)snprintf(name, sizeof name, "%s %s", rows[i].wanted ? "still" : "never", rows[i].name);
        (void)snprintf(why, sizeof why, "wait status %d", status);
        say(rows[i].wanted ? got_it(status) : was_refused(status), name, why);
        /* Would the attempt show a missing wall? What needs root, a user does not get anyway. */
        const bool by_root = rows[i].f == traces_others || rows[i].f == reads_others ||
                             rows[i].f == leaves_its_root || rows[i].f == becomes_somebody ||
                             rows[i].f == signals_others || rows[i].f == polls_otherwise;
        if (!rows[i].wanted && (!by_root || geteuid() == 0) && !user && !got_it(child(BARE, user, rows[i].f)))
            say(false, name, "it does not get that without walls either");
    }
}

/* --- the list ------------------------------------------------------------------------------------------------ */

enum fate { ENDS, REFUSED, GOES };

static enum fate fate_of(long nr, long a, long b, long c, long d)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || intercept_confine_calls() < 0)
            (void)kill(getpid(), SIGSYS);
        long r = syscall(nr, a, b, c, d, -1L, -1L);
        (void)syscall(SYS_exit_group, r < 0 && errno == EPERM ? 1 : 0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? ENDS
           : WIFEXITED(status) && WEXITSTATUS(status) == 1   ? REFUSED
                                                             : GOES;
}

/* mmap and mprotect are looked at by their arguments: with these they end. */
static void the_list(void)
{
    static const long go[] = {
        SYS_read,        SYS_write,        SYS_recvmsg,  SYS_sendmsg,       SYS_epoll_ctl,
        SYS_epoll_pwait, SYS_close,        SYS_shutdown, SYS_brk,           SYS_munmap,
        SYS_mremap,      SYS_madvise,      SYS_futex,    SYS_getrandom,     SYS_getpid,
        SYS_exit_group,  SYS_rt_sigreturn, SYS_exit,     SYS_clock_gettime, SYS_gettimeofday,
#ifdef SYS_epoll_wait
        SYS_epoll_wait,
#endif
    };
    static const long refused[] = {SYS_openat, SYS_newfstatat, SYS_fstat,      SYS_ioctl,
                                   SYS_socket, SYS_setsockopt, SYS_getsockopt, SYS_fcntl};
    char why[64] = "";

    for (long nr = 0; nr < CALL_MAX; nr++) {
        enum fate wanted = ENDS;
#ifdef __x86_64__
        wanted = nr == 335 || nr == 336 ? GOES : ENDS; /* probes: the kernel answers before any filter */
#endif
        for (size_t i = 0; i < sizeof go / sizeof *go; i++)
            wanted = go[i] == nr ? GOES : wanted;
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
            wanted = refused[i] == nr ? REFUSED : wanted;
        if (fate_of(nr, -1, -1, -1, -1) != wanted)
            (void)snprintf(why, sizeof why, "number %ld has another fate", nr);
    }
    say(why[0] == '\0', "no other system call", why);
    const int anon = MAP_PRIVATE | MAP_ANONYMOUS;
    say(fate_of(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, anon) == GOES, "still: memory", "ended");
    say(fate_of(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, anon) == ENDS, "no: memory that runs",
        "goes through");
    say(fate_of(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE) == ENDS, "no: files as memory", "goes through");
    say(fate_of(SYS_mprotect, 0, 4096, PROT_EXEC, 0) == ENDS, "no: memory made to run", "goes through");
#ifdef __x86_64__
    say(fate_of(SYS_read | 0x40000000, -1, 0, 0, 0) == ENDS, "no x32", "goes through");
#endif
}

static void prepare(void)
{
    char name[] = "/tmp/confined-intercept-XXXXXX";
    file = mkostemp(name, O_CLOEXEC);
    key = EVP_EC_gen("P-256");
    port = 9;
    if (file < 0 || unlink(name) < 0 || write(file, "some", 4) != 4 || key == NULL || !signs()) {
        printf("FAIL confined-intercept: %s\n0 passed, 1 failed, 0 skipped\n", strerror(errno));
        exit(1);
    }
}

int main(void)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    tester = getpid();
    prepare();
    all(false);
    the_list();
    if (geteuid() == 0 && !got_it(child(BARE, true, knows_the_time))) {
        printf("SKIP as a user: there is no user %d in this namespace\n", USER);
        skipped++;
    } else if (geteuid() == 0) {
        who = "as a user";
        all(true);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}
