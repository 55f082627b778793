/* execer: a client that stays, starting one program after another in a room that lives.
 *
 *   execer ROOM SECONDS COMMAND [ARG...]
 *
 * Each round is a vfork and exec of the command outside, to reaped, then a fork and exec of it (this process has
 * somewhat more memory of its own than the keeper of a room), and then the same command in the room: a connection of
 * its own, EXEC, STARTED, ENDED, closed; stdin, stdout and stderr are /dev/null. Prints, tab-separated, `bare`,
 * `fork` and `room`: runs, p10 and median, in microseconds; `first`: the first one of all in the room. There is one
 * round at least.
 *
 * Lives in: one static process. Trusts: its words. Must not: pin, raise priorities. */
#include "base/num.h"
#include "rooms/client.h"
#include "sys/fd.h"
#include "sys/words.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 20000

static double samples[3][SAMPLES_MAX];

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool bare(char **argv, int null, bool copies)
{
    int status;
    /* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): as timer does */
    const pid_t pid = copies ? fork() : vfork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            (void)dup2(null, i); /* cannot fail: both are open */
        (void)execv(argv[0], argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool in_room(const char *room, char **argv, int null)
{
    static char *none[] = {NULL};
    static struct rooms_frame f;
    struct words w = {.workdir = "", .args = argv, .vars = none};
    struct err e = {0};
    int words = words_write(&w);
    int sock = rooms_connect(room, &e);
    struct rooms_fds fds = {.send = {words, null, null, null}, .n_send = 4};
    const bool ok = words >= 0 && sock >= 0 &&
                    rooms_call_fds(sock, ROOMS_EXEC, 0, "wait", &fds, &f, &e) == 0 &&
                    f.type == ROOMS_STARTED && fd_frame_recv(sock, &f, sizeof f, NULL, 0, 0) == 0 &&
                    rooms_frame_check(&f, ROOMS_ROOM, 0) == 0 && f.type == ROOMS_ENDED && f.value == 0;
    if (!ok)
        fprintf(stderr, "execer: %s\n", e.text);
    fd_close(&words);
    fd_close(&sock);
    return ok;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    uint64_t seconds;
    size_t n = 0;
    if (argc < 4 || num_u64(argv[2], &seconds) < 0)
        return 2;
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return 1;
    const double until = now_us() + (double)seconds * 1e6;
    double first = 0;
    for (; n < SAMPLES_MAX && (n == 0 || now_us() < until); n++) {
        double at[4] = {now_us()};
        for (int i = 0; i < 3; i++) {
            if (!(i < 2 ? bare(argv + 3, null, i == 1) : in_room(argv[1], argv + 3, null)))
                return 1;
            at[i + 1] = now_us();
            samples[i][n] = at[i + 1] - at[i];
        }
        first = n == 0 ? at[3] - at[2] : first;
    }
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"bare", "fork", "room"};
        qsort(samples[i], n, sizeof samples[i][0], by_size);
        printf("%s\t%zu\t%.1f\t%.1f\n", names[i], n, samples[i][n / 10], samples[i][n / 2]);
    }
    printf("first\t1\t%.1f\t%.1f\n", first, first);
    return 0;
}
