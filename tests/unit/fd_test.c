/* fd_test: frames carry exactly what their row says, and drop everything that came with anything else.
 *
 * Lives in: a test program. May: make sockets and pipes of its own. */
#include "sys/fd.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void carries_bytes_and_descriptors(void **state)
{
    int pair[2], got[4], pipes[2];
    char text[8] = "";
    (void)state;
    assert_int_equal(fd_frame_pair(pair), 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(fd_frame_send(pair[0], "12345678", 8, pipes, 2, 0), 0);
    assert_int_equal(fd_frame_recv(pair[1], text, 8, got, 4, 0), 2);
    assert_memory_equal(text, "12345678", 8);
    assert_int_equal(write(got[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], text, 1), 1);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        fd_close(&got[i]);
        fd_close(&pipes[i]);
        fd_close(&pair[i]);
        assert_int_equal(got[i], -1);
    }
}

/* A record that is too short, too long, or brings too much: refused, and nothing of it stays open. */
static void refuses_what_does_not_fit(void **state)
{
    static const struct {
        size_t sent, wanted, fds, allowed;
    } rows[] = {{4, 8, 0, 0}, {9, 8, 0, 0}, {8, 8, 2, 1}, {4, 8, 3, 4}, {8, 8, 1, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int pair[2], got[8], null[3];
        char in[16], out[16] = "0123456789abcde";
        assert_int_equal(fd_frame_pair(pair), 0);
        for (int k = 0; k < 3; k++)
            null[k] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int before = count_fds();
        assert_int_equal(fd_frame_send(pair[0], out, rows[i].sent, null, rows[i].fds, 0), 0);
        assert_int_equal(fd_frame_recv(pair[1], in, rows[i].wanted, got, rows[i].allowed, 0), -EBADMSG);
        assert_int_equal(count_fds(), before);
        for (int k = 0; k < 3; k++)
            fd_close(&null[k]);
        fd_close(&pair[0]);
        fd_close(&pair[1]);
    }
}

static void tells_the_end(void **state)
{
    int pair[2];
    char in[4] = "";
    (void)state;
    assert_int_equal(fd_frame_pair(pair), 0);
    assert_int_equal(fd_frame_recv(pair[1], in, 4, NULL, 0, MSG_DONTWAIT), -EAGAIN);
    fd_close(&pair[0]);
    assert_int_equal(fd_frame_recv(pair[1], in, 4, NULL, 0, 0), -EPIPE);
    assert_int_equal(fd_frame_send(pair[1], in, 4, NULL, 0, 0), -EPIPE);
    fd_close(&pair[1]);
}

static void closes_all_but(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        int fds[6], keep[4];
        for (int i = 0; i < 6; i++)
            fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        keep[0] = fds[4];
        keep[1] = -1;
        keep[2] = fds[1];
        keep[3] = fds[4];
        bool good = fd_close_all_but(keep, 4) == 0;
        for (int i = 0; i < 6; i++)
            good = good && (fcntl(fds[i], F_GETFD) >= 0) == (i == 1 || i == 4);
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void reads_small_files_only(void **state)
{
    char text[16] = "";
    (void)state;
    ssize_t n = fd_read_file(AT_FDCWD, "/proc/self/comm", text, sizeof text);
    assert_true(n > 0 && (size_t)n == strlen(text));
    assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/status", text, sizeof text), -EFBIG);
    assert_int_equal(fd_read_file(AT_FDCWD, "/nonexistent", text, sizeof text), -ENOENT);
    assert_int_equal(fd_write_file(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_bytes_and_descriptors),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(tells_the_end),
        cmocka_unit_test(closes_all_but),
        cmocka_unit_test(reads_small_files_only),
    };
    return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
