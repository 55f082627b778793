/* rooms_test: the frames of a room's control socket, and the folder of rooms that have a name.
 *
 * Lives in: a test program. May: make folders below a temporary one. */
#include "base/sbuf.h"
#include "rooms/frames.h"
#include "rooms/place.h"
#include "sys/fd.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void frames_fit_their_rows(void **state)
{
    static const struct {
        enum rooms_frame_type type;
        const char *text;
        int value;
        int client, room;
    } rows[] = {
        {ROOMS_RULES, "", 0, 0, -EBADMSG},           {ROOMS_RULES, "", 12, 0, -EBADMSG},
        {ROOMS_ALLOW, "a.org", 0, 0, -EBADMSG},      {ROOMS_ALLOW, "", 0, -EBADMSG, -EBADMSG},
        {ROOMS_DENY, "a\nb", 0, 0, -EBADMSG},        {ROOMS_LEASE, "a\nb", 0, -EBADMSG, -EBADMSG},
        {ROOMS_DENY, "a\tb", 0, -EBADMSG, -EBADMSG}, {ROOMS_WITHDRAW, "a\x7f", 0, -EBADMSG, -EBADMSG},
        {ROOMS_LINES, "a\nb\n", 1, -EBADMSG, 0},     {ROOMS_DONE, "", 3, -EBADMSG, 0},
        {ROOMS_REFUSED, "", 0, -EBADMSG, -EBADMSG},  {ROOMS_REFUSED, "no", -1, -EBADMSG, -EBADMSG},
    };
    static struct rooms_frame f;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rooms_frame_fill(&f, rows[i].type, rows[i].value, rows[i].text);
        assert_int_equal(rooms_frame_check(&f, ROOMS_CLIENT, 0), rows[i].client);
        assert_int_equal(rooms_frame_check(&f, ROOMS_ROOM, 0), rows[i].room);
    }
    rooms_frame_fill(&f, ROOMS_RULES, 0, "");
    f.version = 2;
    assert_int_equal(rooms_frame_check(&f, ROOMS_CLIENT, 0), -EPROTO);
    rooms_frame_fill(&f, ROOMS_RULES, 0, "");
    f.text[100] = 'x'; /* behind the end */
    assert_int_equal(rooms_frame_check(&f, ROOMS_CLIENT, 0), -EBADMSG);
}

static void long_texts_are_cut_between_characters(void **state)
{
    static struct rooms_frame f;
    char text[ROOMS_TEXT_MAX + 8];
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + ROOMS_TEXT_MAX - 1, "\xc3\xa9", 3);
    rooms_frame_fill(&f, ROOMS_ALLOW, 0, text);
    assert_int_equal(f.size, ROOMS_TEXT_MAX - 1);
    assert_int_equal(rooms_frame_check(&f, ROOMS_CLIENT, 0), 0);
}

/* A name of this run's own, for root's rooms have one home, whoever runs tests there. */
static const char *name(const char *word)
{
    static char texts[4][32];
    static pid_t self;
    static unsigned turn;

    if (self == 0)
        self = getpid(); /* a child has it from its parent */
    char *text = texts[turn++ % COUNT(texts)];
    (void)snprintf(text, sizeof texts[0], "unit-%s-%d", word, self);
    return text;
}

static int home_setup(void **state)
{
    static char path[] = "/tmp/rooms-test-XXXXXX";
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    *state = mkdtemp(path);
    return *state && setenv("XDG_RUNTIME_DIR", path, 1) == 0 ? 0 : -1;
}

static int home_teardown(void **state)
{
    char path[64];
    const char *const tails[] = {"/strongroom/rooms", "/strongroom", ""};
    for (size_t i = 0; i < COUNT(tails); i++) {
        struct sbuf b = SBUF(path);
        sbuf_text(&b, *state);
        sbuf_text(&b, tails[i]);
        (void)rmdir(path);
    }
    return 0;
}

static void a_name_is_claimed_once(void **state)
{
    struct rooms_place a, b;
    struct err e = {0};
    struct stat st;
    (void)state;
    assert_int_equal(rooms_find(name("one"), &e), -ENOENT);
    assert_int_equal(rooms_claim(name("one"), &a, &e), 0);
    assert_int_equal(strlen(a.id), 32);
    assert_int_equal(fstatat(a.dir, ROOMS_IDENTITY, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rooms_claim(name("one"), &b, &e), -EEXIST);
    assert_non_null(strstr(e.text, "is there already"));
    int dir = rooms_find(name("one"), &e);
    assert_true(dir >= 0);
    fd_close(&dir);
    rooms_release(&a);
    assert_int_equal(rooms_find(name("one"), &e), -ENOENT);
    rooms_release(&a); /* nothing is held: nothing happens */
}

/* As after kill -9: the files are there, and nobody holds the lock. */
static void a_dead_rooms_name_is_free(void **state)
{
    struct rooms_place a, b;
    struct err e = {0};
    (void)state;
    assert_int_equal(rooms_claim(name("dead"), &a, &e), 0);
    fd_close(&a.lock);
    assert_int_equal(rooms_find(name("dead"), &e), -ENOENT);
    assert_int_equal(rooms_claim(name("other"), &b, &e), 0);
    assert_true(faccessat(b.rooms, name("dead"), F_OK, 0) < 0); /* swept away */
    rooms_release(&b);
    fd_close(&a.dir);
    fd_close(&a.rooms);
}

/* Too few descriptors to ask whether a room lives are no proof that it does not. */
static void what_cannot_be_asked_is_left_alone(void **state)
{
    static char names[8][POLICY_NAME_MAX];
    struct rooms_place a;
    struct err e = {0};
    struct rlimit was, now;
    (void)state;
    assert_int_equal(rooms_claim(name("busy"), &a, &e), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    for (rlim_t n = 3; n < 24; n++) {
        now = (struct rlimit){.rlim_cur = n, .rlim_max = was.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
        (void)rooms_list(names, COUNT(names), NULL); /* it may fail, and must not harm */
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    int dir = rooms_find(name("busy"), &e);
    assert_true(dir >= 0);
    fd_close(&dir);
    rooms_release(&a);
}

/* Who looks for a room just when it takes its name is not in its way. */
static void a_look_hinders_no_claim(void **state)
{
    struct rooms_place a;
    struct err e = {0};
    (void)state;
    pid_t looker = fork();
    if (looker == 0) {
        for (;;) {
            int dir = rooms_find(name("one"), &e);
            fd_close(&dir);
        }
    }
    int wrong = 0;
    for (int i = 0; i < 800 && wrong == 0; i++) {
        const struct timespec pause = {.tv_nsec = 100000}; /* for the real rooms of this machine */
        wrong = rooms_claim(name("one"), &a, &e);
        if (wrong == 0)
            rooms_release(&a);
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(kill(looker, SIGKILL), 0);
    assert_int_equal(waitpid(looker, NULL, 0), looker);
    assert_int_equal(wrong, 0);
}

static void names_that_lead_elsewhere_are_not_found(void **state)
{
    static const char *const names[] = {"", ".", "..", "../rooms", "a/b", "/"};
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(rooms_find(names[i], &e), -ENOENT);
}

/* A home that others may write is not used: the next one is. */
static void a_home_of_others_is_not_used(void **state)
{
    char path[64];
    struct sbuf b = SBUF(path);
    struct rooms_place a;
    struct err e = {0};
    struct stat st;
    if (geteuid() == 0)
        skip(); /* root's home is another one, and not to be touched here */
    sbuf_text(&b, *state);
    sbuf_text(&b, "/strongroom");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0777), 0);
    int r = rooms_claim(name("one"), &a, &e);
    assert_true(lstat(path, &st) == 0 && st.st_nlink == 2); /* nothing was made in it */
    if (r == 0)
        rooms_release(&a);
}

int main(void)
{
    (void)name("");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_fit_their_rows),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test_setup_teardown(a_name_is_claimed_once, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(a_dead_rooms_name_is_free, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_asked_is_left_alone, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(a_look_hinders_no_claim, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(names_that_lead_elsewhere_are_not_found, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(a_home_of_others_is_not_used, home_setup, home_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
