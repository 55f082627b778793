/* leaf_find_test: finding a place in simulated hosts: a directory tree stands for the cgroup file systems,
 * two files for those of /proc.
 *
 * Lives in: a test program. May: make and remove a directory of its own below the temporary folder. */
#include "limits/leaf_find.h"
#include "unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL_LIMITS (1u << LIMIT_ID_MEMORY | 1u << LIMIT_ID_PIDS | 1u << LIMIT_ID_CPUS)

static char top[64];

static void path_of(char *ret, size_t size, const char *name)
{
    assert_true(snprintf(ret, size, "%s/%s", top, name) < (int)size);
}

static void put(const char *name, const char *text)
{
    char path[256];
    FILE *f;

    path_of(path, sizeof path, name);
    for (char *p = path + strlen(top) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        (void)mkdir(path, 0755); /* mostly there */
        *p = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void get(const char *name, char *ret, size_t size)
{
    char path[256];
    FILE *f;
    size_t n;

    path_of(path, sizeof path, name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(ret, 1, size - 1, f);
    ret[n] = '\0';
    assert_int_equal(fclose(f), 0);
}

/* A directory of a simulated v2 tree. */
static void put_v2(const char *dir, const char *controllers, const char *subtree, const char *procs)
{
    char name[128];

    snprintf(name, sizeof name, "%s/cgroup.controllers", dir);
    put(name, controllers);
    snprintf(name, sizeof name, "%s/cgroup.subtree_control", dir);
    put(name, subtree);
    snprintf(name, sizeof name, "%s/cgroup.procs", dir);
    put(name, procs);
}

static void find(bool root, const char *members, const char *mounts, struct leaf_place *ret)
{
    char member_file[80], mount_file[80];
    struct leaf_host host = {
        .member_file = member_file, .mount_file = mount_file, .root = root, .any_fs = true};

    path_of(member_file, sizeof member_file, "cgroup");
    path_of(mount_file, sizeof mount_file, "mountinfo");
    put("cgroup", members);
    put("mountinfo", mounts);
    leaf_find_in(&host, ret);
}

static void assert_parent(const struct leaf_place *p, int h, const char *name)
{
    char want[256], got[256], link[64];
    ssize_t n;

    path_of(want, sizeof want, name);
    snprintf(link, sizeof link, "/proc/self/fd/%d", p->parent_fd[h]);
    n = readlink(link, got, sizeof got - 1);
    assert_true(n > 0);
    got[n] = '\0';
    assert_string_equal(got, want);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    memcpy(top, "/tmp/leaf-XXXXXX", sizeof "/tmp/leaf-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(top, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *mounts_v1(void)
{
    static char text[1024];

    snprintf(text, sizeof text,
             "22 1 0:1 / /proc rw - proc proc rw\n"
             "32 1 0:2 /box %1$s/memory rw - cgroup cgroup rw,memory\n"
             "33 1 0:3 / %1$s/pids rw - cgroup cgroup rw,pids\n"
             "34 1 0:4 / %1$s/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
             "41 1 0:5 / %1$s/unified rw - cgroup2 cgroup2 rw\n",
             top);
    return text;
}

static void v1_hierarchies(void **state)
{
    static const char members[] = "9:name=systemd:/\n8:pids:/a\n4:memory:/box/me\n1:cpu,cpuacct:/c/d\n0::/\n";
    struct leaf_place p;

    (void)state;
    put("pids/a/tasks", "");
    put("memory/me/tasks", "");
    put("cpu,cpuacct/c/d/tasks", "");
    put_v2("unified", "hugetlb\n", "", "");
    find(false, members, mounts_v1(), &p);
    assert_int_equal(p.version, LEAF_V1);
    assert_int_equal(p.count, 3);
    assert_int_equal(p.limits, ALL_LIMITS);
    assert_string_equal(p.why, "");
    assert_parent(&p, 0, "pids/a");
    assert_parent(&p, 1, "memory/me");
    assert_parent(&p, 2, "cpu,cpuacct/c/d");
    assert_int_equal(p.controllers[2], LEAF_HAS_CPU | LEAF_HAS_CPUACCT);
    leaf_place_close(&p);

    find(true, members, mounts_v1(), &p); /* root claims slots host-wide */
    assert_parent(&p, 0, "pids");
    assert_parent(&p, 1, "memory/me");
    assert_parent(&p, 2, "cpu,cpuacct/c/d");
    leaf_place_close(&p);
}

static void v1_missing(void **state)
{
    struct leaf_place p;
    char mounts[256];

    (void)state;
    put("pids/a/tasks", "");
    find(false, "8:pids:/a\n4:memory:/other\n1:cpu:/gone\n", mounts_v1(), &p);
    assert_int_equal(p.version, LEAF_V1);
    assert_int_equal(p.limits, 1u << LIMIT_ID_PIDS);
    assert_non_null(strstr(p.why, "/other"));
    leaf_place_close(&p);

    snprintf(mounts, sizeof mounts, "33 1 0:3 / %s/pids rw - cgroup cgroup rw,pids\n", top);
    find(false, "8:pids:/../up\n", mounts, &p);
    assert_int_equal(p.version, LEAF_NONE);
    assert_int_equal(p.limits, 0);
    assert_non_null(strstr(p.why, "/../up"));
    leaf_place_close(&p);
}

static void nothing(void **state)
{
    const struct leaf_host none = {.member_file = "/nonexistent/cgroup",
                                   .mount_file = "/nonexistent/mountinfo"};
    struct leaf_place p;

    (void)state;
    leaf_find_in(&none, &p);
    assert_int_equal(p.version, LEAF_NONE);
    assert_non_null(strstr(p.why, "/nonexistent/cgroup"));
    leaf_place_close(&p);
    find(true, "", "", &p);
    assert_int_equal(p.version, LEAF_NONE);
    assert_string_not_equal(p.why, "");
    leaf_place_close(&p);
    find(true, "9:name=systemd:/\n", "\n", &p);
    assert_int_equal(p.version, LEAF_NONE);
    leaf_place_close(&p);
    find(true, "0::/a (deleted)\n", "", &p);
    assert_int_equal(p.version, LEAF_NONE);
    leaf_place_close(&p);
}

static const char *mounts_v2(void)
{
    static char text[256];

    snprintf(text, sizeof text, "41 1 0:5 / %s/v2 rw - cgroup2 cgroup2 rw\n", top);
    return text;
}

/* The nearest cgroup that carries everything, as root the topmost. */
static void v2_carries(void **state)
{
    struct leaf_place p;

    (void)state;
    put_v2("v2", "cpu memory pids\n", "cpu memory pids\n", "");
    put_v2("v2/user.slice", "cpu memory pids\n", "cpuset io cpu memory pids\n", "");
    put_v2("v2/user.slice/a.scope", "cpu memory pids\n", "", "1\n");
    find(false, "0::/user.slice/a.scope\n", mounts_v2(), &p);
    assert_int_equal(p.version, LEAF_V2);
    assert_int_equal(p.limits, ALL_LIMITS);
    assert_parent(&p, 0, "v2/user.slice");
    assert_string_equal(p.why, "");
    leaf_place_close(&p);
    find(true, "0::/user.slice/a.scope\n", mounts_v2(), &p);
    assert_parent(&p, 0, "v2");
    leaf_place_close(&p);
}

/* Missing controllers are asked for in a plain directory, never in a unit of systemd's. */
static void v2_enables(void **state)
{
    struct leaf_place p;
    char text[128];

    (void)state;
    put_v2("v2", "cpu memory pids\n", "", "");
    put_v2("v2/x.slice", "cpu memory pids\n", "pids memory\n", "");
    put_v2("v2/x.slice/mine", "memory pids\n", "", "7\n8\n");
    find(false, "0::/x.slice/mine\n", mounts_v2(), &p);
    assert_int_equal(p.version, LEAF_V2);
    assert_int_equal(p.limits, ALL_LIMITS & ~(1u << LIMIT_ID_CPUS));
    assert_parent(&p, 0, "v2/x.slice");
    assert_string_not_equal(p.why, "");
    leaf_place_close(&p);
    get("v2/x.slice/mine/cgroup.subtree_control", text, sizeof text);
    assert_string_equal(text, "+memory +pids");
    get("v2/x.slice/cgroup.subtree_control", text, sizeof text);
    assert_string_equal(text, "pids memory\n");
}

/* Alone in our own cgroup we may move; the simulated kernel does not enable anything, so all is undone. */
static void v2_moves_and_undoes(void **state)
{
    struct leaf_place p;
    char text[128], path[128];

    (void)state;
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    put_v2("v2", "", "", "");
    put_v2("v2/mine", "cpu memory pids\n", "", text);
    find(false, "0::/mine\n", mounts_v2(), &p);
    assert_int_equal(p.version, LEAF_NONE);
    assert_string_equal(p.sup, "");
    assert_non_null(strstr(p.why, "/mine"));
    leaf_place_close(&p);
    snprintf(text, sizeof text, "v2/mine/" LEAF_SUP_PREFIX "%d", (int)getpid());
    path_of(path, sizeof path, text);
    assert_int_equal(access(path, F_OK), -1);
}

static void long_lines(void **state)
{
    static char mounts[40000];
    struct leaf_place p;
    size_t n;

    (void)state;
    put_v2("v2", "cpu memory pids\n", "cpu memory pids\n", "");
    n = (size_t)snprintf(mounts, sizeof mounts, "50 1 0:9 / /o rw - overlay o rw,lowerdir=");
    memset(mounts + n, 'l', 30000);
    memcpy(mounts + n + 20000, " - cgroup2 x rw", 15); /* inside a line that is too long: not believed */
    n += 30000;
    snprintf(mounts + n, sizeof mounts - n, "\n%s", mounts_v2());
    find(true, "0::/\n", mounts, &p);
    assert_int_equal(p.version, LEAF_V2);
    assert_parent(&p, 0, "v2");
    leaf_place_close(&p);
}

/* What is read from a v2 leaf; what its kernel does not have stays unknown. */
static void v2_usage(void **state)
{
    struct leaf_place p = {.version = LEAF_V2, .count = 1, .controllers = {LEAF_CONTROLLERS}};
    struct leaf l = {
        .place = &p, .name = "strongroom-1", .dir_fd = {-1, -1, -1, -1}, .join_fd = {-1, -1, -1, -1}};
    struct leaf_usage u;
    char path[128], text[64];

    (void)state;
    put("v2/strongroom-1/memory.peak", "1048576\n");
    put("v2/strongroom-1/memory.current", "max\n"); /* not a number: unknown */
    put("v2/strongroom-1/memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n");
    put("v2/strongroom-1/pids.current", "3\n");
    put("v2/strongroom-1/pids.events", "max 9\n");
    put("v2/strongroom-1/cpu.stat",
        "usage_usec 77\nuser_usec 7\nnr_periods 5\nnr_throttled 4\nthrottled_usec 33\n");
    put("v2/strongroom-1/cgroup.procs", "");
    put("v2/strongroom-1/cgroup.kill", "");
    path_of(path, sizeof path, "v2");
    p.parent_fd[0] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 1; i < LEAF_HIERARCHIES; i++)
        p.parent_fd[i] = -1;
    l.dir_fd[0] = openat(p.parent_fd[0], l.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(l.dir_fd[0] >= 0);
    leaf_read(&l, &u, true);
    assert_int_equal(u.memory_peak, 1048576);
    assert_true(u.memory_now == UINT64_MAX);
    assert_int_equal(u.oom_kills, 2);
    assert_true(l.killed_oom);
    assert_true(u.pids_peak == UINT64_MAX);
    assert_int_equal(u.pids_now, 3);
    assert_int_equal(u.pids_refused, 9);
    assert_int_equal(u.cpu_us, 77);
    assert_int_equal(u.throttled, 4);
    assert_int_equal(u.throttled_us, 33);
    assert_int_equal(leaf_members(&l), 0);
    assert_int_equal(leaf_kill(&l), 0);
    get("v2/strongroom-1/cgroup.kill", text, sizeof text);
    assert_string_equal(text, "1");
    put("v2/strongroom-1/cgroup.events", "populated 0\n");
    assert_int_equal(leaf_remove(&l, 5), 1); /* a plain directory with files in it stays */
    assert_int_equal(l.dir_fd[0], -1);
    leaf_place_close(&p);
}

/* A control file that is not there makes leaf_make fail and leave nothing. */
static void v2_make_fails(void **state)
{
    struct leaf_place p = {.version = LEAF_V2, .count = 1, .controllers = {LEAF_CONTROLLERS}};
    uint64_t limits[LIMIT_ID_COUNT];
    struct leaf l;
    struct err e;
    char path[128];

    (void)state;
    for (int i = 0; i < LIMIT_ID_COUNT; i++)
        limits[i] = LIMIT_UNLIMITED;
    limits[LIMIT_ID_CPUS] = 1000;
    put_v2("v2", "cpu\n", "cpu\n", "");
    path_of(path, sizeof path, "v2");
    p.parent_fd[0] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 1; i < LEAF_HIERARCHIES; i++)
        p.parent_fd[i] = -1;
    assert_int_equal(leaf_make(&p, 5, 5, 9, limits, &l, &e), -ENOENT);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.text, "cpu.max"));
    path_of(path, sizeof path, "v2/strongroom-5");
    assert_int_equal(access(path, F_OK), -1);
    leaf_place_close(&p);
    assert_int_equal(leaf_make(&p, 5, 5, 9, limits, &l, &e), -ENOTSUP);
}

static int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    assert_int_equal(closedir(d), 0);
    return n;
}

static int fds_before;

static int remember_fds(void **state)
{
    (void)state;
    fds_before = count_fds();
    return 0;
}

static int compare_fds(void **state)
{
    (void)state;
    return count_fds() == fds_before ? 0 : -1;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(v1_hierarchies),      TEST(v1_missing), TEST(nothing),  TEST(v2_carries),    TEST(v2_enables),
        TEST(v2_moves_and_undoes), TEST(long_lines), TEST(v2_usage), TEST(v2_make_fails),
    };

    return cmocka_run_group_tests(tests, remember_fds, compare_fds);
}
