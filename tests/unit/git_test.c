/* git_test: what strongroom-tree reads of a git repository: its index, .gitignore files, packed refs, packed commits.
 *
 * Lives in: a test program. May: compute. */
#include "tree/git_ignore.h"
#include "tree/git_index.h"
#include "tree/git_view.h"
#include "tree/git_words.h"
#include "tree/handoff.h"
#include "tree/inflate.h"
#include "tree/sha1.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

/* --- the index ---------------------------------------------------------------------------------------- */

static struct {
    uint8_t bytes[8192];
    size_t size, hash;
    unsigned version, count;
    char last[128];
} made;

static void put(const void *bytes, size_t n)
{
    memcpy(made.bytes + made.size, bytes, n);
    made.size += n;
}

static void put32(uint32_t n)
{
    const uint8_t b[] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    put(b, 4);
}

static void begin(unsigned version, size_t hash)
{
    memset(&made, 0, sizeof made);
    made.version = version;
    made.hash = hash;
    put("DIRC", 4);
    put32(version);
    put32(0);
}

static void entry(const char *path, uint32_t mode, unsigned flags)
{
    static const uint8_t zeros[64];
    const size_t from = made.size, len = strlen(path);
    const unsigned word = flags | (unsigned)len;
    const uint8_t low[] = {(uint8_t)(word >> 8), (uint8_t)word};

    put(zeros, 24);
    put32(mode);
    put(zeros, 12 + made.hash);
    put(low, 2);
    if (flags & 0x4000)
        put("\x20\x00", 2);
    if (made.version == 4) {
        size_t same = 0;
        while (made.last[same] && made.last[same] == path[same])
            same++;
        const uint8_t cut = (uint8_t)(strlen(made.last) - same);
        put(&cut, 1);
        put(path + same, len - same + 1);
        memcpy(made.last, path, len + 1);
    } else {
        put(path, len);
        const size_t used = made.size - from;
        put(zeros, ((used + 8) & ~(size_t)7) - used);
    }
    made.bytes[11] = (uint8_t)++made.count;
}

static void end(const char *extension)
{
    static const uint8_t zeros[32];
    if (extension) {
        put(extension, 4);
        put32(5);
        put("12345", 5);
    }
    put(zeros, made.hash);
}

static char seen[1024];

static int see(void *ctx, const char *path, size_t len, int folder)
{
    (void)ctx;
    assert_int_equal(strlen(path), len);
    (void)strncat(seen, path, sizeof seen - strlen(seen) - 1);
    (void)strncat(seen, folder ? "/ " : " ", sizeof seen - strlen(seen) - 1);
    return 0;
}

static int read_made(void)
{
    seen[0] = '\0';
    return git_index_each(made.bytes, made.size, see, NULL);
}

static void reads_every_version(void **state)
{
    (void)state;
    for (unsigned version = 2; version <= 4; version++)
        for (size_t hash = 20; hash <= 32; hash += 12) {
            begin(version, hash);
            entry("a", 0100644, 0);
            entry("dir/b", 0100755, version > 2 ? 0x4000 : 0);
            entry("dir/bc", 0120000, 0);
            entry("merge", 0100644, 0x1000);
            entry("merge", 0100644, 0x2000);
            entry("sub", 0160000, 0);
            entry("thin/", 0040000, 0);
            end("TREE");
            assert_int_equal(read_made(), 0);
            assert_string_equal(seen, "a dir/b dir/bc merge merge sub/ thin/ ");
        }
    begin(2, 20);
    end(NULL);
    assert_int_equal(read_made(), 0);
    assert_string_equal(seen, "");
}

static void refuses_what_is_no_index(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"b", "a"},  {"a", "a"},  {"a", "a/../b"},
                                         {"/a", "b"}, {"a", "b/"}, {"./a", "b"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        begin(2, 20);
        entry(bad[i][0], 0100644, 0);
        entry(bad[i][1], 0100644, 0);
        end(NULL);
        assert_int_equal(read_made(), -EBADMSG);
        assert_string_equal(seen, "");
    }
    begin(2, 20);
    entry("a", 0100644, 0);
    end("link");
    assert_int_equal(read_made(), -ENOTSUP);
    begin(2, 20);
    entry("", 0100644, 0);
    end("link");
    assert_int_equal(read_made(), -ENOTSUP);
    begin(2, 20);
    entry("a", 0100644, 0x4000); /* version 2 has none of these */
    end(NULL);
    assert_int_equal(read_made(), -EBADMSG);
    begin(3, 20);
    entry("a", 0100644, 0);
    entry("b", 0100644, 0);
    end("TREE");
    const size_t whole = made.size;
    for (made.size = 0; made.size < whole; made.size++)
        if (made.size != whole - 13) /* what is left of the part could be the hash, which is not looked at */
            assert_int_equal(read_made(), -EBADMSG);
    made.size = whole;
    made.bytes[11] = 200; /* more than there are */
    assert_int_equal(read_made(), -EBADMSG);
}

static void tells_what_an_index_says(void **state)
{
    (void)state;
    static uint8_t first[sizeof made.bytes];
    begin(3, 20);
    entry("a", 0100644, 0);
    entry("b", 0100644, 0x4000);
    end("TREE");
    const size_t size = made.size;
    memcpy(first, made.bytes, size);
    assert_true(git_index_same(first, size, made.bytes, made.size));
    made.bytes[12 + 8] = 9; /* a time */
    assert_true(git_index_same(first, size, made.bytes, made.size));
    begin(4, 20);
    entry("a", 0100644, 0);
    entry("b", 0100644, 0x4000);
    end(NULL);
    assert_true(git_index_same(first, size, made.bytes, made.size)); /* in another form */
    made.bytes[12 + 40] = 9;                                         /* a hash */
    assert_false(git_index_same(first, size, made.bytes, made.size));
    static const struct {
        const char *path;
        uint32_t mode;
        unsigned flags;
    } rows[] = {{"c", 0100644, 0x4000},
                {"b", 0100755, 0x4000},
                {"b", 0100644, 0},
                {"b", 0100644, 0x5000},
                {"b", 0100644, 0xc000}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        begin(3, 20);
        entry("a", 0100644, 0);
        entry(rows[i].path, rows[i].mode, rows[i].flags);
        end(NULL);
        assert_false(git_index_same(first, size, made.bytes, made.size));
    }
    begin(3, 20);
    entry("a", 0100644, 0);
    end(NULL);
    assert_false(git_index_same(first, size, made.bytes, made.size));
    assert_false(git_index_same(first, 30, first, 30));
}

/* --- .gitignore --------------------------------------------------------------------------------------- */

static int says(const char *rules, const char *path)
{
    static struct git_ignore_rule list[64];
    const size_t n = git_ignore_read(rules, strlen(rules), list, 64), len = strlen(path);
    const bool folder = len && path[len - 1] == '/';
    return git_ignore_says(list, n, path, len - folder, folder);
}

static void ignores_as_git_does(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *path;
        int says;
    } rows[] = {
        {"*.o", "a.o", 1},
        {"*.o", "d/a.o", 1},
        {"*.o", "a.c", -1},
        {"*.o\n!a.o", "a.o", 0},
        {"!a.o\n*.o", "a.o", 1},
        {"build/", "build/", 1},
        {"build/", "build", -1},
        {"build/", "x/build/", 1},
        {"/build", "build", 1},
        {"/build", "x/build", -1},
        {"a/b", "a/b", 1},
        {"a/b", "x/a/b", -1},
        {"**/b", "b", 1},
        {"**/b", "x/y/b", 1},
        {"**/a/b", "x/a/b", 1},
        {"a/**", "a/b/c", 1},
        {"a/**", "a/", -1},
        {"a/**/b", "a/b", 1},
        {"a/**/b", "a/x/y/b", 1},
        {"a/**/b", "a/x/c", -1},
        {"a/*", "a/b", 1},
        {"a/*", "a/b/c", -1},
        {"foo/**/bar/**", "foo/1/bar/x", 1},
        {"a/**/b/**/c", "a/b/x/b/y/c", 1},
        {"a**b", "axxb", 1},
        {"a**b/c", "axb/c", 1},
        {"a**b/c", "ax/yb/c", -1},
        {"?.c", "a.c", 1},
        {"?.c", ".c", -1},
        {"[a-c].h", "b.h", 1},
        {"[a-c].h", "d.h", -1},
        {"[!a-c].h", "d.h", 1},
        {"[^a-c].h", "a.h", -1},
        {"[]-].h", "].h", 1},
        {"[[:digit:]]x", "7x", 1},
        {"[[:digit:]]x", "ax", -1},
        {"[a", "[a", -1},
        {"[\\]]", "]", 1},
        {"a[/]b", "a/b", -1},
        {"\\#x", "#x", 1},
        {"#x", "#x", -1},
        {"\\!x", "!x", 1},
        {"x  ", "x", 1},
        {"x\\ ", "x ", 1},
        {"x\\ ", "x", -1},
        {"x\r\n", "x", 1},
        {"\xef\xbb\xbfx", "x", 1},
        {"\\*", "*", 1},
        {"\\*", "a", -1},
        {"*", "a/b", 1},
        {"", "a", -1},
        {"\n\n/\n!\n", "a", -1},
        {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (says(rows[i].rules, rows[i].path) != rows[i].says)
            fail_msg("\"%s\" of \"%s\": %d", rows[i].rules, rows[i].path, says(rows[i].rules, rows[i].path));
}

/* --- the rest ----------------------------------------------------------------------------------------- */

static void unpacks(void **state)
{
    (void)state;
    static const uint8_t fixed[] = {0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
                                    0xc8, 0x40, 0x90, 0x00, 0x3a, 0x2e, 0x06, 0x7d};
    static const uint8_t stored[] = {0x78, 0x01, 0x01, 0x02, 0x00, 0xfd, 0xff, 'o', 'k', 0, 0, 0, 0};
    uint8_t out[64];
    assert_int_equal(inflate_bytes(fixed, sizeof fixed, out, sizeof out), 17);
    assert_memory_equal(out, "hello hello hello", 17);
    assert_int_equal(inflate_bytes(fixed, sizeof fixed, out, 16), -EFBIG);
    for (size_t n = 0; n + 5 < sizeof fixed; n++)
        assert_int_equal(inflate_bytes(fixed, n, out, sizeof out), -EBADMSG);
    assert_int_equal(inflate_bytes(stored, sizeof stored, out, sizeof out), 2);
    assert_memory_equal(out, "ok", 2);
    static const uint8_t far_back[] = {0x78, 0x9c, 0x03, 0x02, 0x00, 0x00},
                         kind3[] = {0x78, 0x9c, 0x07, 0x00};
    assert_int_equal(inflate_bytes(far_back, sizeof far_back, out, sizeof out),
                     -EBADMSG); /* a copy of nothing */
    assert_int_equal(inflate_bytes(kind3, sizeof kind3, out, sizeof out), -EBADMSG);
    char hash[SHA1_HEX_SIZE];
    sha1_bytes("abc", 3, hash);
    assert_string_equal(hash, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

static void knows_what_git_writes(void **state)
{
    (void)state;
    static const char *const yes[] = {"HEAD",
                                      "index",
                                      "packed-refs",
                                      "refs/heads/a/b",
                                      "logs/HEAD",
                                      "objects/ab",
                                      "objects/ab/0123456789abcdef0123456789abcdef012345",
                                      "objects/pack/pack-0123456789abcdef0123456789abcdef01234567.idx"};
    static const char *const no[] = {"hooks",
                                     "hooks/pre-commit",
                                     "config",
                                     "config.worktree",
                                     "commondir",
                                     "info/attributes",
                                     "info/exclude",
                                     "objects/info/alternates",
                                     "objects/ab/hooks",
                                     "objects/pack/evil.pack",
                                     "modules/a/hooks/x",
                                     "objects/abc",
                                     "worktrees/x/gitdir",
                                     "index.sh",
                                     "",
                                     "x"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(git_known(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (git_known(no[i]))
            fail_msg("%s", no[i]);
    assert_int_equal(git_internal(".git/index"), 4);
    assert_int_equal(git_internal("a/.git"), 6);
    assert_int_equal(git_internal("a/.gitignore"), 0);
    assert_int_equal(git_internal("a.git/x"), 0);
    assert_int_equal(handoff_path("a/.git"), ALARM_GIT_CONFIG);
    assert_int_equal(handoff_path("bare/config"), ALARM_GIT_CONFIG);
    assert_int_equal(handoff_path(".ssh/config"), ALARM_SSH);
    char text[256];
    static const struct {
        const char *path, *text;
        bool alarm;
    } rows[] = {{"a/.git", "gitdir: evil\n", true},
                {".git/commondir", "../evil\n", true},
                {"bare/config", "[core]\n\tbare = true\n", false},
                {"bare/config", "[core]\n\tfsmonitor = evil\n", true},
                {"app/config", "[server]\nport = 1\n", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sbuf b = SBUF(text);
        assert_int_equal(handoff_line(ALARM_GIT_CONFIG, rows[i].path, (struct handoff_text){"", 0},
                                      (struct handoff_text){rows[i].text, strlen(rows[i].text)}, &b),
                         rows[i].alarm);
    }
}

static void finds_packed_refs(void **state)
{
    (void)state;
    static const char text[] =
        "# pack-refs with: peeled fully-peeled sorted\n"
        "0123456789abcdef0123456789abcdef01234567 refs/heads/ab\n"
        "1123456789abcdef0123456789abcdef01234567 refs/heads/a\n^2123456789abcdef0123456789abcdef01234567\n"
        "short refs/heads/c\nXX23456789abcdef0123456789abcdef01234567 refs/heads/d";
    size_t len = 0;
    const char *value = git_packed_ref(text, sizeof text - 1, "refs/heads/a", &len);
    assert_non_null(value);
    assert_int_equal(len, 40);
    assert_int_equal(value[0], '1');
    assert_null(git_packed_ref(text, sizeof text - 1, "refs/heads/b", &len));
    assert_null(git_packed_ref(text, sizeof text - 1, "refs/heads/c", &len));
    assert_null(git_packed_ref(text, sizeof text - 1, "refs/heads/d", &len));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_version),
        cmocka_unit_test(refuses_what_is_no_index),
        cmocka_unit_test(tells_what_an_index_says),
        cmocka_unit_test(ignores_as_git_does),
        cmocka_unit_test(unpacks),
        cmocka_unit_test(knows_what_git_writes),
        cmocka_unit_test(finds_packed_refs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
