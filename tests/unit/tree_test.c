/* tree_test: the parts of strongroom-tree that compute: differences, what would run outside, links, records, hashes.
 *
 * Lives in: a test program. May: compute. */
#include "tree/diff.h"
#include "tree/handoff.h"
#include "tree/index.h"
#include "tree/journal.h"
#include "tree/myers.h"
#include "tree/record.h"
#include "tree/sha1.h"
#include "tree/store.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char said[1 << 16];
static size_t said_len;

static void keep(void *ctx, const char *bytes, size_t size)
{
    (void)ctx;
    assert_true(said_len + size < sizeof said);
    memcpy(said + said_len, bytes, size);
    said_len += size;
    said[said_len] = '\0';
}

static const char *hunks(const char *a, const char *b)
{
    long gone, come;

    said_len = 0;
    said[0] = '\0';
    (void)diff_hunks((struct diff_text){a, strlen(a)}, (struct diff_text){b, strlen(b)}, keep, NULL, &gone,
                     &come);
    return said;
}

static void tells_differences(void **state)
{
    (void)state;
    assert_string_equal(hunks("", ""), "");
    assert_string_equal(hunks("a\n", "a\n"), "");
    assert_string_equal(hunks("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    assert_string_equal(hunks("a\nb\n", ""), "@@ -1,2 +0,0 @@\n-a\n-b\n");
    assert_string_equal(hunks("a\nb\nc\n", "a\nx\nc\n"), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    assert_string_equal(hunks("a", "a\n"), "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
    assert_string_equal(hunks("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\nz\n"),
                        "@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+z\n");
}

static void parts_hunks(void **state)
{
    (void)state;
    /* Six equal lines between two changes: one hunk; seven: two. */
    assert_string_equal(hunks("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n"),
                        "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
    assert_string_equal(hunks("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n"),
                        "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

/* What is left of both when the differences are taken out must be the same; against the least possible by brute
 * force. */
static void marks_least(void **state)
{
    static size_t lcs[24][24];
    uint32_t a[20], b[20];
    uint8_t gone[20], come[20];
    void *room = calloc(1, myers_room(20, 20));

    (void)state;
    srandom(7);
    for (int round = 0; round < 3000; round++) {
        const size_t n = (size_t)random() % 20, m = (size_t)random() % 20;
        size_t i = 0, k = 0, out = 0;
        for (size_t j = 0; j < 20; j++) {
            a[j] = (uint32_t)random() % 4;
            b[j] = (uint32_t)random() % 4;
        }
        memset(gone, 0, sizeof gone);
        memset(come, 0, sizeof come);
        myers(a, n, b, m, gone, come, room);
        memset(lcs, 0, sizeof lcs);
        for (size_t x = 1; x <= n; x++)
            for (size_t y = 1; y <= m; y++)
                lcs[x][y] = a[x - 1] == b[y - 1]            ? lcs[x - 1][y - 1] + 1
                            : lcs[x - 1][y] > lcs[x][y - 1] ? lcs[x - 1][y]
                                                            : lcs[x][y - 1];
        while (i < n || k < m) {
            if (i < n && gone[i]) {
                i++;
                out++;
            } else if (k < m && come[k]) {
                k++;
                out++;
            } else {
                assert_true(i < n && k < m && a[i] == b[k]);
                i++;
                k++;
            }
        }
        assert_int_equal(out, n + m - 2 * lcs[n][m]);
    }
    free(room);
}

static void knows_paths(void **state)
{
    (void)state;
    assert_int_equal(handoff_path(".git/hooks/pre-commit"), ALARM_GIT_HOOK);
    assert_int_equal(handoff_path("sub/.GIT/Hooks/x"), ALARM_GIT_HOOK);
    assert_int_equal(handoff_path(".git/modules/a/b/hooks/x"), ALARM_GIT_HOOK);
    assert_int_equal(handoff_path(".git/modules/a/config"), ALARM_GIT_CONFIG);
    assert_int_equal(handoff_path("a/.envrc"), ALARM_SHELL_ENTRY);
    assert_int_equal(handoff_path(".vscode/tasks.json"), ALARM_EDITOR);
    assert_int_equal(handoff_path("x/y.pth"), ALARM_PYTHON_START);
    assert_int_equal(handoff_path("package.json"), ALARM_PACKAGE_SCRIPT);
    assert_int_equal(handoff_path("node_modules/x/package.json"), ALARM_NONE);
    assert_int_equal(handoff_path("node_modules/x/.git/hooks/y"), ALARM_GIT_HOOK);
    assert_int_equal(handoff_path("docker-compose.prod.yml"), ALARM_BUILD);
    assert_int_equal(handoff_path(".github/workflows/ci.yml"), ALARM_CI);
    assert_int_equal(handoff_path("hooks"), ALARM_NONE);
    assert_int_equal(handoff_path(".git/hooks"), ALARM_NONE);
    assert_int_equal(handoff_path("src/main.c"), ALARM_NONE);
    assert_int_equal(handoff_path("notMakefile"), ALARM_NONE);
}

static void knows_links(void **state)
{
    (void)state;
    assert_true(handoff_leaves("a", "/etc/passwd"));
    assert_true(handoff_leaves("a", "../x"));
    assert_true(handoff_leaves("d/a", "../../x"));
    assert_true(handoff_leaves("d/a", "b/../../../x"));
    assert_false(handoff_leaves("d/a", "../x"));
    assert_false(handoff_leaves("a", "./b//c"));
    assert_false(handoff_leaves("a", "..x"));
}

static const char *line_of(unsigned alarm, const char *path, const char *old, const char *new)
{
    static char text[512];
    struct sbuf b = SBUF(text);

    return handoff_line(alarm, path, (struct handoff_text){old, strlen(old)},
                        (struct handoff_text){new, strlen(new)}, &b)
               ? text
               : NULL;
}

static void reads_git(void **state)
{
    const unsigned a = ALARM_GIT_CONFIG;

    (void)state;
    assert_null(line_of(a, ".git/config", "", "[user]\n\tname = x\n"));
    assert_null(line_of(a, ".git/config", "", "[core]\n\tbare = false\n; hooksPath = x\n"));
    assert_string_equal(line_of(a, ".git/config", "", "[core]\n\tbare = false\n\tHooksPath = x\n"),
                        "HooksPath = x");
    assert_string_equal(line_of(a, ".git/config", "", "[Core] fsmonitor=y"), "fsmonitor=y");
    assert_string_equal(line_of(a, ".git/config", "", "\xef\xbb\xbf[core]\nhookspath=z"), "hookspath=z");
    assert_string_equal(line_of(a, ".git/config", "", "[filter \"a]b\"]\nclean = evil"), "clean = evil");
    assert_string_equal(line_of(a, ".git/config", "", "[alias]\n ll = !sh"), "ll = !sh");
    assert_string_equal(line_of(a, ".git/config", "", "[filter.x]\n smudge = q"), "smudge = q");
    assert_null(line_of(a, ".git/config", "[alias]\n ll = !sh\n", "[user]\nname = b\n[alias]\n ll = !sh\n"));
    /* A value that goes on could hide where a section begins: then every line counts. */
    assert_string_equal(line_of(a, ".git/config", "", "[core]\na = \"b\\\n[user]\\\n\"\nhooksPath = x\n"),
                        "a = \"b\\\\");
}

static void reads_package(void **state)
{
    const unsigned a = ALARM_PACKAGE_SCRIPT;
    const char *const p = "package.json";

    (void)state;
    assert_null(line_of(a, p, "", "{\"name\":\"x\",\"version\":\"1\"}"));
    assert_null(line_of(a, p, "{\"scripts\":{\"a\":\"b\"}}", "{\"v\":1,\"scripts\": {\"a\":\"b\"}}"));
    assert_string_equal(
        line_of(a, p, "{\"scripts\":{\"a\":\"b\"}}", "{\"scripts\":{\"a\":\"b\",\"c\":\"d\"}}"),
        "\"c\":\"d\"");
    assert_string_equal(line_of(a, p, "", "{\"x\":{\"scripts\":{}},\"scripts\":{\"q\" : \"r\"}}"),
                        "\"q\" : \"r\"");
    /* The last one counts for those who read it. */
    assert_string_equal(
        line_of(a, p, "{\"scripts\":{\"a\":\"b\"}}", "{\"scripts\":{\"a\":\"b\"},\"scripts\":{\"e\":\"f\"}}"),
        "\"e\":\"f\"");
    assert_string_equal(line_of(a, p, "", "{\"scr\\u0069pts\":{\"e\":\"f\"}}"), "\"e\":\"f\"");
    assert_null(line_of(a, p, "", "{\"a\":\"\\\"scripts\\\":{\"}"));
}

static void reads_lines(void **state)
{
    (void)state;
    assert_string_equal(line_of(ALARM_SHELL_ENTRY, ".envrc", "a\n", "#!/bin/sh\na\n  evil  \n"), "evil");
    assert_string_equal(line_of(ALARM_SHELL_ENTRY, ".envrc", "", "# only\n"), "# only");
    assert_string_equal(line_of(ALARM_SHELL_ENTRY, ".envrc", "", "x\033[2Jy\n"), "x\\x1b[2Jy");
    assert_string_equal(line_of(ALARM_SHELL_ENTRY, ".envrc", "a\n", ""), "");
}

static void hashes_as_git(void **state)
{
    char hex[SHA1_HEX_SIZE], big[200];

    (void)state;
    sha1_blob("", 0, hex);
    assert_string_equal(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    sha1_blob("hello\n", 6, hex);
    assert_string_equal(hex, "ce013625030ba8dba906f756967f9e9ca394464a");
    memset(big, 'x', sizeof big);
    sha1_blob(big, sizeof big, hex);
    assert_string_equal(hex, "debcf03c10222209e6ac75be3fa2c1796d204d91");
}

static void judges_paths(void **state)
{
    static const char *const bad[] = {"", "/a", "a/", "a//b", "..", "a/../b", ".", "a/./b"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(record_good_path(bad[i], strlen(bad[i])));
    assert_true(record_good_path("a/..b/c", 7));
    assert_false(record_good_path("a\0b", 3));
}

static void reads_meta(void **state)
{
    static struct store_meta m;

    (void)state;
    assert_int_equal(store_parse_meta("", &m), -EBADMSG);
    assert_int_equal(
        store_parse_meta("id abcdef\ndir /x\\ny\nat /w\nupper tmpfs\ncommand ls\npolicy \noutcome ok\n"
                         "exit-status 0\nended-sec 5\ndev 1\nino 2\nstarted-sec 3\nstarted-nsec 4\nlater x\n",
                         &m),
        0);
    assert_string_equal(m.dir, "/x\ny");
    assert_int_equal(m.started_nsec, 4);
    assert_int_equal(store_parse_meta("id abcdef\nid abcdef\n", &m), -EBADMSG);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_differences), cmocka_unit_test(parts_hunks), cmocka_unit_test(marks_least),
        cmocka_unit_test(knows_paths),       cmocka_unit_test(knows_links), cmocka_unit_test(reads_git),
        cmocka_unit_test(reads_package),     cmocka_unit_test(reads_lines), cmocka_unit_test(hashes_as_git),
        cmocka_unit_test(judges_paths),      cmocka_unit_test(reads_meta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
