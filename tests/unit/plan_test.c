/* plan_test: what a policy becomes before anything is done: order, lateness, nesting, environment, refusals.
 *
 * Lives in: a test program. May: look at the host's own files. */
#include "base/sbuf.h"
#include "room/plan.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[PLAN_TEXT_MAX];
static char *argv_true[2]; /* made anew for each plan: plan_make() keeps the words and may replace one */

struct word {
    const char *name, *value;
};

static int make(struct room_plan *plan, struct policy **ret, const struct word *words, size_t n, char **argv,
                struct err *e)
{
    struct policy *p = policy_new();
    assert_non_null(p);
    *ret = p;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, words[i].name, words[i].value, e),
                         0);
    assert_int_equal(policy_check(p, NULL, NULL, e), 0);
    memset(plan, 0, sizeof *plan);
    argv_true[0] = (char *)(uintptr_t) "true";
    return plan_make(plan, p, argv, text, sizeof text, e);
}

static const struct plan_mount *mount_at(const struct room_plan *plan, const char *dst)
{
    for (size_t i = 0; i < plan->mount_count; i++) {
        if (strcmp(plan->mounts[i].dst, dst) == 0)
            return &plan->mounts[i];
    }
    return NULL;
}

/* A file that a word of the command named may have become a link meanwhile. */
static void keeps_argument_files_in_their_folder(void **state)
{
    char dir[] = "/tmp/plan-test-XXXXXX", link_path[64], target[64], volume[256];
    struct sbuf lb = SBUF(link_path), tb = SBUF(target), vb = SBUF(volume);
    static const struct {
        const char *to;
        int want;
    } rows[] = {{"file", 0}, {"/etc/passwd", -EXDEV}, {"../etc/passwd", -EXDEV}};
    (void)state;

    assert_non_null(mkdtemp(dir));
    sbuf_fmt(&lb, "%s/word", dir);
    sbuf_fmt(&tb, "%s/file", dir);
    sbuf_fmt(&vb, "%s:/work/word", link_path);
    FILE *f = fopen(target, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        static struct room_plan plan;
        struct err e = {0};
        struct policy *p = policy_new();
        assert_non_null(p);
        assert_int_equal(symlink(rows[i].to, link_path), 0);
        assert_int_equal(policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "volume", volume, &e), 0);
        p->mounts[0].beneath = strlen(dir);
        assert_int_equal(policy_check(p, NULL, NULL, &e), 0);
        memset(&plan, 0, sizeof plan);
        argv_true[0] = (char *)(uintptr_t) "true";
        assert_int_equal(plan_make(&plan, p, argv_true, text, sizeof text, &e), rows[i].want);
        if (rows[i].want == 0)
            assert_string_equal(mount_at(&plan, "work/word")->src, target);
        policy_free(p);
        assert_int_equal(unlink(link_path), 0);
    }
    assert_int_equal(unlink(target), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void knows_late_and_nested(void **state)
{
    static const struct word words[] = {
        {"volume", "/etc:/data"},      {"volume", "/usr/share:/data/deep"}, {"volume", "/usr/lib:/work/lib"},
        {"volume", "/usr:/out:rw"},    {"volume", "/etc:/out/share"},       {"tmpfs", "/cache:1M"},
        {"volume", "/etc:/usr/share"},
    };
    static const struct {
        const char *dst;
        bool late, nested;
    } rows[] = {{"data", false, false},    {"data/deep", false, true}, {"work/lib", true, false},
                {"out", true, false},      {"out/share", true, true},  {"cache", true, false},
                {"usr/share", false, true}};
    static struct room_plan plan;
    struct policy *p;
    struct err e = {0};
    (void)state;
    assert_int_equal(make(&plan, &p, words, COUNT(words), argv_true, &e), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct plan_mount *m = mount_at(&plan, rows[i].dst);
        assert_non_null(m);
        assert_int_equal(m->late, rows[i].late);
        assert_int_equal(m->nested, rows[i].nested);
    }
    policy_free(p);
}

/* What /usr shows anyway costs no mount; a link is resolved once. */
static void leaves_out_what_is_there(void **state)
{
    static const struct word words[] = {{"ro", "/usr/share"}, {"ro", "/usr/lib"}};
    static struct room_plan plan;
    struct policy *p;
    struct err e = {0};
    (void)state;
    assert_int_equal(make(&plan, &p, words, COUNT(words), argv_true, &e), 0);
    assert_int_equal(plan.mount_count, 0);
    policy_free(p);
}

static void resolves_links_once(void **state)
{
    char dir[] = "/tmp/plan_test.XXXXXX", link[64], volume[128];
    static struct room_plan plan;
    struct policy *p;
    struct err e = {0};
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    struct sbuf b = SBUF(link);
    sbuf_fmt(&b, "%s/link", dir);
    assert_int_equal(symlink("/usr/share", link), 0);
    b = SBUF(volume);
    sbuf_fmt(&b, "%s:/seen", link);
    const struct word words[] = {{"volume", volume}};
    assert_int_equal(make(&plan, &p, words, 1, argv_true, &e), 0);
    assert_string_equal(plan.mounts[0].src, "/usr/share");
    assert_int_equal(stat("/usr/share", &st), 0);
    assert_true(plan.mounts[0].dev == st.st_dev && plan.mounts[0].ino == st.st_ino && plan.mounts[0].is_dir);
    policy_free(p);
    unlink(link);
    rmdir(dir);
}

static void refuses_what_is_not_there(void **state)
{
    static const struct word words[] = {{"ro", "/nonexistent/\033]0;x"}};
    static struct room_plan plan;
    struct policy *p;
    struct err e = {0};
    (void)state;
    assert_true(make(&plan, &p, words, 1, argv_true, &e) < 0);
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.text, "/nonexistent/"));
    assert_null(strchr(e.text, '\033'));
    assert_true(e.hint[0]);
    policy_free(p);
}

static const char *env_of(const struct room_plan *plan, const char *name)
{
    size_t len = strlen(name);
    for (char *const *v = plan->envp; *v; v++) {
        if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
            return *v + len + 1;
    }
    return NULL;
}

static void makes_the_environment_anew(void **state)
{
    static const struct word words[] = {{"env", "HOME=/elsewhere"}, {"env", "A="}, {"env", "B=x=y"}};
    static struct room_plan plan;
    struct policy *p;
    struct err e = {0};
    (void)state;
    setenv("LEAKED", "secret", 1);
    assert_int_equal(make(&plan, &p, words, COUNT(words), argv_true, &e), 0);
    assert_string_equal(env_of(&plan, "HOME"), "/elsewhere");
    assert_string_equal(env_of(&plan, "A"), "");
    assert_string_equal(env_of(&plan, "B"), "x=y");
    assert_null(env_of(&plan, "LEAKED"));
    assert_non_null(env_of(&plan, "PATH"));
    policy_free(p);
}

static void searches_the_path(void **state)
{
    char *slash[] = {(char *)(uintptr_t) "./tool", NULL}, *empty[] = {(char *)(uintptr_t) "", NULL};
    static struct room_plan plan;
    struct policy *p;
    struct err e = {0};
    (void)state;
    assert_int_equal(make(&plan, &p, NULL, 0, argv_true, &e), 0);
    assert_string_equal(plan.exec_paths[0], "/usr/local/sbin/true");
    assert_string_equal(plan.exec_paths[5], "/bin/true");
    assert_null(plan.exec_paths[6]);
    policy_free(p);
    assert_int_equal(make(&plan, &p, NULL, 0, slash, &e), 0);
    assert_string_equal(plan.exec_paths[0], "./tool");
    assert_null(plan.exec_paths[1]);
    policy_free(p);
    assert_true(make(&plan, &p, NULL, 0, empty, &e) < 0);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    policy_free(p);
}

static void says_what_it_would_do(void **state)
{
    static const struct word words[] = {{"volume", "/etc:/data"}};
    static struct room_plan plan;
    static char words_out[32768];
    struct policy *p;
    struct err e = {0};
    struct sbuf b = SBUF(words_out);
    (void)state;
    assert_int_equal(make(&plan, &p, words, 1, argv_true, &e), 0);
    plan_text(&plan, &b);
    assert_false(b.full);
    assert_non_null(strstr(words_out, "/etc -> /data"));
    assert_non_null(strstr(words_out, "seccomp"));
    assert_non_null(strstr(words_out, "exec  true"));
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_late_and_nested),     cmocka_unit_test(keeps_argument_files_in_their_folder),
        cmocka_unit_test(leaves_out_what_is_there),  cmocka_unit_test(resolves_links_once),
        cmocka_unit_test(refuses_what_is_not_there), cmocka_unit_test(makes_the_environment_anew),
        cmocka_unit_test(searches_the_path),         cmocka_unit_test(says_what_it_would_do),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
