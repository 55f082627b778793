/* confined: what the server of `strongroom mcp` could still do if a client's or a room's bytes had taken it over: what
 * it is for, over the descriptors that it has, and nothing else. Confines itself with the program's own code
 * (mcp/confine.c); how, stands in tests/confined.h. What it may have run is tried in tests/unit/launch_test.c.
 *
 * Lives in: a test program. */
#include "mcp/confine.h"

#include <stdint.h>

#include "../confined.h"

#include <string.h>
#include <sys/stat.h>

static int launcher, kept;
static bool whole; /* with the list of calls, or only the walls behind it */

static int confine(void)
{
    const char *what = "";
    return whole ? server_confine(&what) : server_confine_walls(&what);
}

static bool speaks_to_the_launcher(void)
{
    char c = 'x';
    struct iovec iov = {.iov_base = &c, .iov_len = 1};
    const struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return sendmsg(launcher, &m, MSG_DONTWAIT) == 1;
}

static bool keeps_outputs(void)
{
    char c = 'x';
    int fd = memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct stat st;
    return fd >= 0 && write(fd, &c, 1) == 1 && pread(fd, &c, 1, 0) == 1 && fstat(fd, &st) == 0 &&
           fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0 &&
           mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED;
}

static bool goes_into_a_folder(void)
{
    return confined_made(openat(kept, "etc/passwd", O_RDONLY));
}

static bool reaches_a_network(void)
{
    int pair[2];
    return confined_made(socket(AF_INET6, SOCK_DGRAM, 0)) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

static bool gets_rights_back(void)
{
    return setuid(0) == 0 && geteuid() == 0 && confined_made(open("/etc/shadow", O_RDONLY));
}

static bool copies_descriptors(void)
{
    return confined_made(fcntl(launcher, F_DUPFD, 100));
}

/* What must hold behind the list of calls, too. */
#define WALLS                                                                                                \
    {"opens files by path", opens_by_path, false}, {"goes into a folder", goes_into_a_folder, false},        \
    {                                                                                                        \
        "gets rights back", gets_rights_back, false                                                          \
    }

static const struct confined_row rows[] = {{"speaks to the launcher", speaks_to_the_launcher, true},
                                           {"keeps outputs", keeps_outputs, true},
                                           {"reaches a network", reaches_a_network, false},
                                           {"copies descriptors", copies_descriptors, false},
                                           WALLS,
                                           CONFINED_COMMON};
static const struct confined_row walls[] = {{"speaks to the launcher", speaks_to_the_launcher, true}, WALLS};

int main(void)
{
    int pair[2];

    kept = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (kept < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        printf("FAIL confined: %s\n0 passed, 1 failed, 0 skipped\n", strerror(errno));
        return 1;
    }
    launcher = pair[0];
    whole = true;
    confined_try("the server ", rows, sizeof rows / sizeof *rows, confine);
    whole = false;
    confined_try("without the list of calls, it ", walls, sizeof walls / sizeof *walls, confine);
    return confined_close();
}
