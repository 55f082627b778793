/* relay_test: bytes arrive exactly, nobody is waited for, budgets and ends are kept.
 *
 * Lives in: a test program. May: make pipes, sockets and files of its own. */
#include "engine/relay.h"
#include "sys/fd.h"
#include "unit.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[RELAY_BUFFER];

static void fill(int fd, size_t n)
{
    char block[4096];
    memset(block, 'x', sizeof block);
    while (n > 0) {
        size_t now = n < sizeof block ? n : sizeof block;
        assert_int_equal(write(fd, block, now), now);
        n -= now;
    }
}

static size_t drain(int fd)
{
    static char block[65536];
    size_t sum = 0;
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0)
        sum += (size_t)n;
    return sum;
}

static void splices_until_the_end(void **state)
{
    int in[2], out[2];
    struct relay r;
    (void)state;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    relay_init(&r, in[0], out[1], true, true, buffer);
    assert_int_equal(r.kind, RELAY_SPLICE);
    assert_int_equal(relay_move(&r, UINT64_MAX), 0);
    assert_false(r.ended);
    fill(in[1], 10000);
    assert_true(relay_has_more(&r));
    assert_int_equal(relay_move(&r, 100), 100);
    assert_int_equal(relay_move(&r, UINT64_MAX), 9900);
    assert_int_equal(r.bytes, 10000);
    close(in[1]);
    assert_int_equal(relay_move(&r, UINT64_MAX), 0);
    assert_true(r.ended);
    assert_int_equal(drain(out[0]), 10000);
    close(out[0]);
}

/* A full reader is noticed, not waited for. */
static void does_not_wait_for_a_reader(void **state)
{
    int in[2], out[2];
    struct relay r;
    (void)state;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fill(out[1], 65536);
    fill(in[1], 4096);
    relay_init(&r, in[0], out[1], true, true, buffer);
    assert_int_equal(relay_move(&r, UINT64_MAX), 0);
    assert_true(r.wait_out);
    struct pollfd p = relay_poll(&r);
    assert_int_equal(p.fd, out[1]);
    assert_int_equal(p.events, POLLOUT);
    relay_end(&r);
    assert_int_equal(relay_poll(&r).fd, -1);
    close(in[1]);
    close(out[0]);
}

/* A file opened for appending cannot be spliced to; the bytes still arrive, behind what was there. */
static void copies_to_an_appending_file(void **state)
{
    char path[] = "/tmp/relay_test.XXXXXX", text[16] = "";
    int in[2], file = mkstemp(path);
    struct relay r;
    (void)state;
    assert_true(file >= 0);
    fill(file, 3);
    int append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "abc", 3), 3);
    relay_init(&r, in[0], append, true, true, buffer);
    assert_int_equal(relay_move(&r, UINT64_MAX), 3);
    assert_int_equal(r.kind, RELAY_COPY);
    assert_int_equal(pread(file, text, sizeof text, 0), 6);
    assert_string_equal(text, "xxxabc");
    relay_end(&r);
    close(in[1]);
    close(file);
    unlink(path);
}

static void sends_to_a_socket_without_waiting(void **state)
{
    int in[2], pair[2];
    struct relay r;
    (void)state;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    relay_init(&r, in[0], pair[0], true, true, buffer);
    assert_int_equal(r.kind, RELAY_SOCKET);
    uint64_t sum = 0;
    for (int i = 0; i < 200 && !r.wait_out; i++) {
        fill(in[1], 16384);
        sum += relay_move(&r, UINT64_MAX);
    }
    assert_true(r.wait_out);
    assert_int_equal(r.bytes, sum);
    relay_end(&r);
    assert_int_equal(drain(pair[1]), sum);
    close(in[1]);
    close(pair[1]);
}

static void ends_with_its_reader(void **state)
{
    int in[2], out[2];
    struct relay r;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    close(out[0]);
    fill(in[1], 10);
    relay_init(&r, in[0], out[1], true, true, buffer);
    assert_int_equal(relay_move(&r, UINT64_MAX), 0);
    assert_true(r.ended);
    assert_int_equal(write(in[1], "x", 1), -1); /* so the room's writer learns it too */
    close(in[1]);
}

/* Byte n of all is n modulo 251, so that what was overwritten shows. */
static void a_ring_tells_what_was_overwritten(void **state)
{
    static char block[RELAY_BUFFER];
    int in[2];
    struct relay r;
    uint64_t made = 0, lost = 0;
    char path[] = "/tmp/relay-test-XXXXXX";
    (void)state;
    int ring = mkstemp(path);
    assert_true(ring >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(ring, RELAY_RING_FILE), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    relay_init_ring(&r, in[0], ring, buffer);
    while (made < RELAY_RING_SIZE + 3 * RELAY_BUFFER / 2) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)((made + i) % 251);
        assert_int_equal(write(in[1], block, sizeof block), sizeof block);
        made += relay_move(&r, UINT64_MAX);
    }
    assert_int_equal(r.bytes, made);
    const uint64_t kept = made - RELAY_RING_SIZE;
    assert_int_equal(relay_ring_read(ring, kept, made, block, sizeof block, &lost), sizeof block);
    assert_int_equal(lost, 0);
    assert_int_equal((uint8_t)block[0], kept % 251);
    assert_int_equal(relay_ring_read(ring, kept - 100, made, block, sizeof block, &lost), sizeof block - 100);
    assert_int_equal(lost, 100);
    assert_int_equal((uint8_t)block[0], kept % 251);
    assert_int_equal(relay_ring_read(ring, 0, made, block, 100, &lost), 0);
    assert_int_equal(lost, 100);
    assert_int_equal(relay_ring_read(ring, made - 10, made, block, sizeof block, &lost), 10);
    assert_int_equal((uint8_t)block[9], (made - 1) % 251);
    close(in[1]);
    relay_end(&r);
    close(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_tells_what_was_overwritten), cmocka_unit_test(splices_until_the_end),
        cmocka_unit_test(does_not_wait_for_a_reader),        cmocka_unit_test(copies_to_an_appending_file),
        cmocka_unit_test(sends_to_a_socket_without_waiting), cmocka_unit_test(ends_with_its_reader),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
