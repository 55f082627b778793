/* words_test: the memory file of a program's words comes back as it was written, and nothing else is believed.
 *
 * Lives in: a test program. May: make memory files. */
#include "sys/fd.h"
#include "sys/words.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORD(s) ((char *)(uintptr_t)(s)) /* nobody writes to them */
#define SEALS   (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

static char *some_paths[] = {WORD("/bin/a"), WORD("/usr/bin/a"), NULL},
            *some_args[] = {WORD("a"), WORD(""), WORD("b c"), NULL}, *none[] = {NULL};

static void comes_back_as_it_was(void **state)
{
    const struct words w = {.workdir = "/tmp", .paths = some_paths, .args = some_args, .vars = none};
    struct words r;
    (void)state;
    FD_AUTO fd = words_write(&w);
    assert_true(fd >= 0);
    assert_int_equal(words_read(fd, &r), 0);
    assert_string_equal(r.workdir, "/tmp");
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(r.paths[i], some_paths[i]);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(r.args[i], some_args[i]);
    assert_null(r.paths[2]);
    assert_null(r.args[3]);
    assert_null(r.vars[0]);
    words_release(&r);
    assert_null(r.map);
}

static void refuses_too_much(void **state)
{
    char **many = calloc(WORDS_COUNT_MAX + 2, sizeof *many), *long_word = malloc(WORDS_BYTES_MAX + 1),
         *two[] = {WORD("a"), long_word, NULL};
    struct words w = {.workdir = "", .paths = none, .args = many, .vars = none};
    (void)state;
    assert_non_null(many);
    assert_non_null(long_word);
    for (size_t i = 0; i <= WORDS_COUNT_MAX; i++)
        many[i] = WORD("x");
    assert_int_equal(words_write(&w), -E2BIG);
    memset(long_word, 'x', WORDS_BYTES_MAX);
    long_word[WORDS_BYTES_MAX] = '\0';
    w.args = two;
    assert_int_equal(words_write(&w), -E2BIG);
    free(many);
    free(long_word);
}

static int file_of(const void *data, size_t size, int seals)
{
    int fd = memfd_create("words-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, data, size), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void believes_nothing(void **state)
{
    /* bytes of all strings; how many paths, arguments, variables; the strings */
    static const struct {
        uint32_t head[4];
        const char *text;
        size_t size;
        int seals, want;
    } rows[] = {
        {{5, 1, 1, 0}, "\0p\0a\0", 5, SEALS, 0},
        {{5, 1, 1, 0}, "\0p\0a\0", 5, SEALS & ~F_SEAL_WRITE, -EPERM},
        {{5, 1, 1, 0}, "\0p\0a\0", 5, 0, -EPERM},
        {{6, 1, 1, 0}, "\0p\0a\0", 5, SEALS, -EBADMSG},           /* says more than there is */
        {{4, 1, 1, 0}, "\0p\0a\0", 5, SEALS, -EBADMSG},           /* or less */
        {{5, 1, 2, 0}, "\0p\0a\0", 5, SEALS, -EBADMSG},           /* a word too few */
        {{5, 1, 0, 0}, "\0p\0a\0", 5, SEALS, -EBADMSG},           /* too many */
        {{4, 1, 1, 0}, "\0p\0a", 4, SEALS, -EBADMSG},             /* the last one does not end */
        {{0, 0, 0, 0}, "", 0, SEALS, -EBADMSG},                   /* not even a folder */
        {{1, WORDS_COUNT_MAX + 1, 0, 0}, "\0", 1, SEALS, -E2BIG}, /* more than can be */
        {{1, UINT32_MAX, UINT32_MAX, UINT32_MAX}, "\0", 1, SEALS, -E2BIG},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char all[64];
        struct words r;
        memcpy(all, rows[i].head, sizeof rows[i].head);
        memcpy(all + sizeof rows[i].head, rows[i].text, rows[i].size);
        FD_AUTO fd = file_of(all, sizeof rows[i].head + rows[i].size, rows[i].seals);
        assert_int_equal(words_read(fd, &r), rows[i].want);
        words_release(&r);
    }
    struct words r;
    FD_AUTO small = file_of("abc", 3, SEALS);
    assert_int_equal(words_read(small, &r), -E2BIG);
    words_release(&r);
    FD_AUTO null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(words_read(null, &r), -EPERM);
    words_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(refuses_too_much),
        cmocka_unit_test(believes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
