/* bait: see bait.h.
 *
 * Lives in: the command, for `selftest`. May: make files whose names nobody else has (O_EXCL, random). Must
 * not: leave them, also when a signal ends us. */
#include "engine/bait.h"
#include "base/sbuf.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct bait *planted; /* for the signal handler */

static void take_away(struct bait *b)
{
    for (size_t i = 0; i < b->file_count; i++)
        (void)unlink(b->files[i]); /* gone already is as good */
    if (b->shm >= 0)
        /* The C library's wrapper may not be used on a signal. */
        (void)kernel_raw(SYS_shmctl, b->shm, IPC_RMID, 0, 0);
}

/* Only calls that are safe on a signal; the handler is taken off by SA_RESETHAND, and the signal, sent once
 * more, ends us. */
static void on_signal(int n)
{
    if (planted)
        take_away(planted);
    (void)raise(n);
}

static void make_token(struct bait *b)
{
    unsigned char r[12] = {0};
    struct sbuf t = SBUF(b->token);
    (void)getrandom(r, sizeof r, GRND_NONBLOCK); /* early boot: the pid must do */
    sbuf_fmt(&t, "strongroom-selftest-%d-", getpid());
    for (size_t i = 0; i < sizeof r; i++)
        sbuf_fmt(&t, "%02x", r[i] & 0xff);
}

static void listen_tcp(struct bait *b)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->listener >= 0 && bind(b->listener, (struct sockaddr *)&in, sizeof in) == 0 &&
        listen(b->listener, 8) == 0 && getsockname(b->listener, (struct sockaddr *)&in, &size) == 0)
        b->port = ntohs(in.sin_port);
}

static void listen_abstract(struct bait *b)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path + 1, b->token, strlen(b->token));
    b->abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->abstract < 0 ||
        bind(b->abstract, (struct sockaddr *)&un,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(b->token))) < 0 ||
        listen(b->abstract, 8) < 0)
        fd_close(&b->abstract);
}

static void write_file(struct bait *b, const char *dir)
{
    char *path = b->files[b->file_count];
    struct sbuf p = {.text = path, .size = sizeof b->files[0]};
    sbuf_fmt(&p, "%s/.%s", dir, b->token);
    if (p.full)
        return;
    FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    b->file_count++;
    (void)fd_write_all(fd, b->token, strlen(b->token)); /* its being there is what counts */
}

void bait_plant(struct bait *b, bool lasting)
{
    static const int spots[] = {21, 22, 900};
    *b = (struct bait){.listener = -1, .abstract = -1, .shm = -1};
    make_token(b);
    (void)setenv("STRONGROOM_SELFTEST", b->token, 1);
    listen_tcp(b);
    listen_abstract(b);
    FD_AUTO root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; root >= 0 && i < sizeof spots / sizeof *spots; i++) {
        if (fcntl(spots[i], F_GETFD) < 0)
            (void)dup2(root, spots[i]); /* above our own bound: then not */
    }
    if (!lasting)
        return;
    planted = b;
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const struct sigaction once = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        (void)sigaction(ends[i], &once, NULL); /* fails for no signal of these */
    const char *home = getenv("HOME");
    if (home && home[0] == '/' && home[1])
        write_file(b, home);
    write_file(b, "/tmp");
    write_file(b, "/dev/shm");
    b->shm = (int)syscall(SYS_shmget, IPC_PRIVATE, 4096, 0666);
}

void bait_remove(struct bait *b)
{
    take_away(b);
    planted = NULL;
    fd_close(&b->listener);
    fd_close(&b->abstract);
}
