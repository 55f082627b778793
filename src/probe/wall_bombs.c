/* wall_bombs: the hazardous programs of `selftest --attack`, and the survivor.
 *
 * Lives in: a room of its own with tight bounds; each has a bound of its own too, so that a wall that is not
 * there costs the host little. What became of them is judged outside; some say a number on stdout. */
#include "base/sbuf.h"
#include "probe/wall.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define OWN_SECONDS 8 /* alarm of everything that runs for ever */

static void say_number(const char *what, unsigned long long n)
{
    char line[64];
    struct sbuf b = SBUF(line);
    sbuf_fmt(&b, "%s %llu\n", what, n);
    (void)fd_write_all(1, b.text, b.len); /* nobody else to tell */
}

/* Two forks away, deaf, in a session of its own, holding our pipes; a third one that is stopped. */
static int survivor(void)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return 1;
    if (fork() == 0) {
        (void)setsid();
        for (int i = 0; i < 2; i++) {
            if (fork() != 0)
                continue;
            for (int n = 1; n < 65; n++)
                (void)signal(n, SIG_IGN); /* all that can be */
            (void)alarm(OWN_SECONDS);
            (void)!write(ready[1], "", 1);
            if (i == 1)
                (void)raise(SIGSTOP);
            for (;;)
                (void)pause();
        }
        _exit(0);
    }
    for (int i = 0; i < 2; i++)
        (void)!read(ready[0], &byte, 1);
    return 0;
}

__attribute__((noreturn)) static int forks(void)
{
    unsigned long long n = 0;
    for (; n < 200; n++) {
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0) {
            (void)alarm(OWN_SECONDS);
            for (;;)
                (void)pause();
        }
    }
    say_number("forked", n);
    /* And now all of them at once, until the room's time is over. */
    (void)alarm(OWN_SECONDS);
    for (;;)
        (void)!fork();
}

/* Touches up to `most` MiB; returns how many it got. */
static unsigned long long touch(unsigned most)
{
    static const size_t step = 1 << 20;
    unsigned n = 0;
    for (; n < most; n++) {
        const struct timespec nap = {.tv_nsec = 300000};
        char *p = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            break;
        memset(p, 1, step);
        if (n % 4 == 0)
            (void)nanosleep(&nap, NULL);
    }
    return n;
}

/* Four that are each below the bound, so that only a bound of the whole room meets them; then one that is
 * not. */
static int memory(void)
{
    const struct timespec meanwhile = {.tv_nsec = 600000000};
    for (int i = 0; i < 4; i++) {
        if (fork() != 0)
            continue;
        (void)touch(48);
        (void)alarm(OWN_SECONDS);
        for (;;)
            (void)pause();
    }
    (void)nanosleep(&meanwhile, NULL);
    say_number("touched", touch(512));
    return 0;
}

static int disk(void)
{
    static const char *const places[] = {"/work/big", "/tmp/big", "/dev/shm/big"};
    static char block[64 << 10];
    unsigned long long n = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        FD_AUTO fd = open(places[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        for (ssize_t w; fd >= 0 && n < 128u << 20 && (w = write(fd, block, sizeof block)) > 0;)
            n += (unsigned long long)w;
    }
    say_number("wrote", n);
    return 0;
}

static int inodes(void)
{
    static const char *const places[] = {"/work", "/tmp", "/dev/shm"};
    unsigned long long n = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (unsigned k = 0; k < 3000; k++, n++) {
            char path[64];
            struct sbuf b = SBUF(path);
            sbuf_fmt(&b, "%s/f%u", places[i], k);
            if (mkdir(path, 0700) < 0)
                break;
        }
    }
    say_number("made", n);
    return 0;
}

static int output(void)
{
    static char block[64 << 10];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 1024; i++) {
        if (fd_write_all(1, block, sizeof block) < 0)
            return 1;
    }
    return 0;
}

__attribute__((noreturn)) static int forever(void)
{
    for (int n = 1; n < 65; n++)
        (void)signal(n, SIG_IGN); /* all that can be */
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(OWN_SECONDS);
    for (;;) {
    }
}

/* pid 1 among the addressees; the sender is spared by kill(-1). */
static int signals(void)
{
    char state[256];
    for (int n = 1; n < 65; n++)
        (void)signal(n, SIG_IGN);
    for (int round = 0; round < 20; round++) {
        for (int n = 1; n < 65; n++) {
            (void)kill(-1, n);
            (void)kill(1, n);
        }
    }
    ssize_t got = fd_read_file(AT_FDCWD, "/proc/1/stat", state, sizeof state);
    const char *after = got > 0 ? strrchr(state, ')') : NULL;
    say_number(after && (after[2] == 'S' || after[2] == 'R') ? "alive" : "hurt", 1);
    return 0;
}

static int terminal(void)
{
    static const char typed[] = "touch /tmp/strongroom-broken\n";
    unsigned long long n = 0;
    FD_AUTO tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 4; fd++) {
        const int to = fd < 3 ? fd : tty;
        for (const char *p = typed; *p; p++) {
            if (ioctl(to, TIOCSTI, p) == 0 ||
                syscall(SYS_ioctl, to, (unsigned long)TIOCSTI | 1ul << 32, p) == 0)
                n++;
        }
        (void)ioctl(to, TIOCSCTTY, 1);
    }
    say_number("typed", n);
    return 0;
}

int wall_bomb(const char *name)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } rows[] = {{"life.survivor", survivor}, {"attack.forks", forks},     {"attack.memory", memory},
                {"attack.disk", disk},       {"attack.inodes", inodes},   {"attack.output", output},
                {"attack.time", forever},    {"attack.signals", signals}, {"attack.terminal", terminal}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].run();
    }
    return -1;
}
