/* leaf_parse_test: lines of /proc/self/cgroup and /proc/self/mountinfo, well and badly formed.
 *
 * Lives in: a test program. May: compute. */
#include "limits/leaf_file.h"
#include "limits/leaf_parse.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

static void member_lines(void **state)
{
    static const struct {
        const char *line;
        int result;
        enum leaf_version version;
        unsigned controllers;
        const char *path;
    } rows[] = {
        {"4:cpu,cpuacct:/a/b", 0, LEAF_V1, LEAF_HAS_CPU | LEAF_HAS_CPUACCT, "/a/b"},
        {"2:cpuacct:/", 0, LEAF_V1, LEAF_HAS_CPUACCT, "/"},
        {"11:memory:/x:y", 0, LEAF_V1, LEAF_HAS_MEMORY, "/x:y"},
        {"9:name=systemd:/", 0, LEAF_V1, 0, "/"},
        {"3:cpuset,pidsx:/", 0, LEAF_V1, 0, "/"},
        {"0::/user.slice/a b", 0, LEAF_V2, 0, "/user.slice/a b"},
        {"1::/", -EINVAL, LEAF_NONE, 0, NULL},
        {"", -EINVAL, LEAF_NONE, 0, NULL},
        {"0:", -EINVAL, LEAF_NONE, 0, NULL},
        {"0::", -EINVAL, LEAF_NONE, 0, NULL},
        {"0::x", -EINVAL, LEAF_NONE, 0, NULL},
        {"pids", -EINVAL, LEAF_NONE, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct leaf_member m = {0};

        assert_int_equal(leaf_parse_member(rows[i].line, strlen(rows[i].line), &m), rows[i].result);
        if (rows[i].result < 0)
            continue;
        assert_int_equal(m.version, rows[i].version);
        assert_int_equal(m.controllers, rows[i].controllers);
        assert_string_equal(m.path, rows[i].path);
    }
}

static void mount_lines(void **state)
{
    static const struct {
        const char *line;
        int result;
        enum leaf_version version;
        unsigned controllers;
        const char *root, *point;
    } rows[] = {
        {"39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids", 0, LEAF_V1, LEAF_HAS_PIDS,
         "/", "/sys/fs/cgroup/pids"},
        {"39 31 0:36 /docker/1 /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:11 - cgroup x rw,cpu,cpuacct", 0,
         LEAF_V1, LEAF_HAS_CPU | LEAF_HAS_CPUACCT, "/docker/1", "/sys/fs/cgroup/cpu,cpuacct"},
        {"41 31 0:38 / /sys/fs/cgroup rw shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate", 0, LEAF_V2, 0,
         "/", "/sys/fs/cgroup"},
        {"41 31 0:38 /a\\040b /c\\134d rw - cgroup2 none rw", 0, LEAF_V2, 0, "/a b", "/c\\d"},
        {"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw", -ENOENT, LEAF_NONE, 0, NULL, NULL},
        {"27 1 254:0 / /x rw - cgroup3 cgroup rw", -ENOENT, LEAF_NONE, 0, NULL, NULL},
        {"27 1 254:0 / /x rw - cgroups cgroup rw", -ENOENT, LEAF_NONE, 0, NULL, NULL},
        {"27 1 254:0 / /x rw - cgroup cgroup", -EINVAL, LEAF_NONE, 0, NULL, NULL},
        {"27 1 254:0 / - cgroup cgroup rw", -EINVAL, LEAF_NONE, 0, NULL, NULL},
        {" - cgroup cgroup rw", -EINVAL, LEAF_NONE, 0, NULL, NULL},
        {"27 1 254:0 x /x rw - cgroup cgroup rw", -EINVAL, LEAF_NONE, 0, NULL, NULL},
        {"27 1 254:0 / /x\\000 rw - cgroup cgroup rw", -EINVAL, LEAF_NONE, 0, NULL, NULL},
        {"", -ENOENT, LEAF_NONE, 0, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct leaf_mount m = {0};

        assert_int_equal(leaf_parse_mount(rows[i].line, strlen(rows[i].line), &m), rows[i].result);
        if (rows[i].result < 0)
            continue;
        assert_int_equal(m.version, rows[i].version);
        assert_int_equal(m.controllers, rows[i].controllers);
        assert_string_equal(m.root, rows[i].root);
        assert_string_equal(m.point, rows[i].point);
    }
}

static void long_paths(void **state)
{
    char line[3 * LEAF_PATH_MAX];
    struct leaf_member m;

    (void)state;
    memset(line, 'a', sizeof line);
    memcpy(line, "0::/", 4);
    assert_int_equal(leaf_parse_member(line, 3 + LEAF_PATH_MAX - 1, &m), 0);
    assert_int_equal(strlen(m.path), LEAF_PATH_MAX - 1);
    assert_int_equal(leaf_parse_member(line, 3 + LEAF_PATH_MAX, &m), -ENAMETOOLONG);
}

static void below(void **state)
{
    static const struct {
        const char *path, *root, *want;
    } rows[] = {
        {"/", "/", ""},         {"/a/b", "/", "a/b"}, {"/a/b", "/a", "b"}, {"/a/b", "/a/b", ""},
        {"/ab", "/a", NULL},    {"/", "/a", NULL},    {"/a", "/b", NULL},  {"/../x", "/", NULL},
        {"/a", "/../..", NULL}, {"/a//b", "/a", "b"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = leaf_parse_below(rows[i].path, rows[i].root);

        if (rows[i].want)
            assert_string_equal(got, rows[i].want);
        else
            assert_null(got);
    }
}

static void leaf_names(void **state)
{
    (void)state;
    assert_true(leaf_parse_leaf_name("strongroom-0"));
    assert_true(leaf_parse_leaf_name("strongroom-4294967295"));
    assert_false(leaf_parse_leaf_name("strongroom-4294967296"));
    assert_false(leaf_parse_leaf_name("strongroom-"));
    assert_false(leaf_parse_leaf_name("strongroom-1x"));
    assert_false(leaf_parse_leaf_name("strongroom--1"));
    assert_false(leaf_parse_leaf_name("strongroom-sup-1"));
    assert_false(leaf_parse_leaf_name("Strongroom-1"));
}

static void texts(void **state)
{
    char buf[LEAF_DIGITS_MAX];
    const char *p = "18446744073709551616";
    uint64_t v = 5;

    (void)state;
    assert_int_equal(leaf_text_u64(UINT64_MAX, buf), 20);
    assert_string_equal(buf, "18446744073709551615");
    assert_int_equal(leaf_text_u64(0, buf), 1);
    assert_string_equal(buf, "0");
    assert_false(leaf_text_digits(&p, &v));
    assert_true(leaf_text_field("low 0\nmax 3\noom_kill 7\noom_group_kill 9\n", "oom_kill", &v));
    assert_int_equal(v, 7);
    assert_false(leaf_text_field("xoom_kill 7\n", "oom_kill", &v));
    assert_false(leaf_text_field("oom_kill\n", "oom_kill", &v));
    assert_false(leaf_text_field("oom_kill x\n", "oom_kill", &v));
    assert_false(leaf_text_field("", "oom_kill", &v));
    assert_int_equal(v, 7);
    assert_true(leaf_text_has("cpuset cpu io memory\n", 21, "cpu"));
    assert_false(leaf_text_has("cpuset cpuacct\n", 15, "cpu"));
    assert_false(leaf_text_has("", 0, "cpu"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(member_lines), cmocka_unit_test(mount_lines), cmocka_unit_test(long_paths),
        cmocka_unit_test(below),        cmocka_unit_test(leaf_names),  cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
