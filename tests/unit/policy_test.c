/* policy_test: words → policy: values, precedence, contradictions, text and hash. */
#include "base/num.h"
#include "base/sbuf.h"
#include "policy/env.h"
#include "policy/fields.h"
#include "policy/nearest.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct policy *p;
static struct err e;
static char notes[4096];

static int fresh(void **state)
{
    (void)state;
    policy_free(p);
    p = policy_new();
    policy_set_base(p, "/cwd", "/home/u");
    memset(&e, 0, sizeof e);
    notes[0] = '\0';
    return p ? 0 : -1;
}

static int done(void **state)
{
    (void)state;
    policy_free(p);
    p = NULL;
    return 0;
}

static void note(void *ctx, const char *text)
{
    (void)ctx;
    size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static int flag(const char *name, const char *value)
{
    return policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, name, value, &e);
}

static int file(unsigned line, const char *name, const char *value)
{
    return policy_set(p, SOURCE_FILE, "p.yaml", line, name, value, &e);
}

static int project(unsigned line, const char *name, const char *value)
{
    return policy_set(p, SOURCE_PROJECT, ".strongroom.yaml", line, name, value, &e);
}

static int profile(unsigned line, const char *name, const char *value)
{
    return policy_set(p, SOURCE_PROFILE, "python", line, name, value, &e);
}

static void good(int r)
{
    if (r != 0)
        fail_msg("%s (%s)", e.text, e.hint);
}

static void bad(int r, const char *text)
{
    assert_true(r < 0);
    assert_string_equal(e.text, text);
}

static void check(void)
{
    good(policy_check(p, note, NULL, &e));
}

static char *text_of(const struct policy *q, bool explain)
{
    size_t size = policy_text_size(q);
    char *text = malloc(size);
    struct sbuf b = {.text = text, .size = size};

    text[0] = '\0';
    if (explain)
        policy_explain(q, &b);
    else
        policy_text(q, &b);
    assert_false(b.full);
    return text;
}

static void defaults_are_those_of_the_tables(void **state)
{
    (void)state;
    check();
    assert_int_equal(p->limits[LIMIT_ID_MEMORY], 1ull << 30);
    assert_int_equal(p->limit_demand[LIMIT_ID_MEMORY], LAYER_PREFER);
    assert_int_equal(p->limit_demand[LIMIT_ID_TIMEOUT], LAYER_REQUIRE);
    assert_int_equal(p->layers[LAYER_ID_SECCOMP], LAYER_REQUIRE);
    assert_int_equal(p->layers[LAYER_ID_LANDLOCK], LAYER_PREFER);
    assert_int_equal(p->uid, 1000);
    assert_int_equal(p->net, NET_NONE);
    assert_int_equal(p->mount_count + p->env_count + p->hide_count, 0);
}

static void help_tells_the_true_defaults(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++) {
        const struct field *f = field_find(limit_rows[i].name);
        assert_non_null(f);
        assert_int_equal(f->row, i);
        char said[NUM_TEXT_MAX] = "";
        const char *bracket = strrchr(f->help, '[');
        assert_non_null(bracket);
        snprintf(said, sizeof said, "%.*s", (int)strcspn(bracket + 1, "]"), bracket + 1);
        good(flag(f->name, said));
        assert_int_equal(p->limits[i], limit_rows[i].preset);
    }
}

static void limits_take_their_units(void **state)
{
    (void)state;
    good(flag("memory", "1.5G"));
    good(flag("cpus", "0.5"));
    good(flag("timeout", "90"));
    good(flag("cpu-time", "2h"));
    good(flag("pids-limit", "33"));
    good(flag("output", "0"));
    good(flag("inodes", "unlimited"));
    check();
    assert_int_equal(p->limits[LIMIT_ID_MEMORY], 3ull << 29);
    assert_int_equal(p->limits[LIMIT_ID_CPUS], 500);
    assert_int_equal(p->limits[LIMIT_ID_TIMEOUT], 90000);
    assert_int_equal(p->limits[LIMIT_ID_CPU_TIME], 7200000);
    assert_int_equal(p->limits[LIMIT_ID_PIDS], 33);
    assert_int_equal(p->limits[LIMIT_ID_OUTPUT], 0);
    assert_true(p->limits[LIMIT_ID_INODES] == LIMIT_UNLIMITED);
    assert_int_equal(p->limit_demand[LIMIT_ID_INODES], LAYER_PREFER);
}

static void limits_refuse_nonsense(void **state)
{
    (void)state;
    bad(flag("memory", "-1"), "--memory: \"-1\": must not be negative");
    bad(flag("memory", "12Q"), "--memory: \"12Q\": not understood");
    assert_string_equal(e.hint, "wanted a size: 64k, 512M, 1.5G, or unlimited");
    bad(flag("memory", "1k"), "--memory: \"1k\": must be at least 8M");
    bad(flag("memory", "9999999P"), "--memory: \"9999999P\": must be at most 1P");
    bad(flag("memory", ""), "--memory: empty value");
    bad(flag("memory", "\xff"), "--memory: \"\\xff\": not valid UTF-8");
    bad(flag("cpus", "0"), "--cpus: \"0\": must be at least 0.01");
    bad(flag("cpus", "1e3"), "--cpus: \"1e3\": not understood");
    bad(flag("timeout", "0"), "--timeout: \"0\": must be at least 1ms");
    bad(flag("pids", "1"), "--pids: \"1\": must be at least 2");
    bad(file(7, "files", "0x10"), "p.yaml:7: files: \"0x10\": not understood");
    assert_int_equal(e.kind, ERR_POLICY);
}

static void a_long_value_is_shown_in_part(void **state)
{
    char value[5000];

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_true(flag("memory", value) < 0);
    assert_non_null(strstr(e.text, "xxx...\": not understood"));
}

static void given_limits_are_required(void **state)
{
    (void)state;
    good(profile(1, "memory", "256M"));
    good(file(1, "cpus", "2"));
    good(flag("cpu-time", "1m"));
    check();
    assert_int_equal(p->limit_demand[LIMIT_ID_MEMORY], LAYER_PREFER);
    assert_int_equal(p->limit_demand[LIMIT_ID_CPUS], LAYER_REQUIRE);
    assert_int_equal(p->limit_demand[LIMIT_ID_CPU_TIME], LAYER_REQUIRE);
}

/* The user's file asks for a bound, so there is no room without; a project must not make a wish of it. */
static void a_project_takes_no_demand_back(void **state)
{
    (void)state;
    good(file(1, "memory", "1G"));
    good(file(2, "pids", "100"));
    good(file(3, "prefer", "pids"));
    good(project(1, "memory", "512M"));
    good(project(2, "pids", "50"));
    good(project(3, "cpus", "0.5"));
    check();
    assert_int_equal(p->limits[LIMIT_ID_MEMORY], 512 << 20);
    assert_int_equal(p->limit_demand[LIMIT_ID_MEMORY], LAYER_REQUIRE);
    assert_int_equal(p->limit_demand[LIMIT_ID_PIDS], LAYER_PREFER);
    assert_int_equal(p->limit_demand[LIMIT_ID_CPUS], LAYER_PREFER);
}

static void demands_go_by_their_source(void **state)
{
    (void)state;
    good(file(1, "memory", "256M"));
    good(file(2, "prefer", "memory,seccomp"));
    good(file(3, "require", "landlock"));
    good(flag("prefer", "cpus"));
    good(flag("cpus", "2"));
    good(flag("require", "seccomp"));
    check();
    assert_int_equal(p->limit_demand[LIMIT_ID_MEMORY], LAYER_PREFER);
    assert_int_equal(p->limit_demand[LIMIT_ID_CPUS], LAYER_PREFER);
    assert_int_equal(p->layers[LAYER_ID_SECCOMP], LAYER_REQUIRE);
    assert_int_equal(p->layers[LAYER_ID_LANDLOCK], LAYER_REQUIRE);
}

static void require_all_leaves_named_exceptions(void **state)
{
    (void)state;
    good(flag("prefer", "landlock"));
    good(flag("require", "all"));
    good(flag("prefer", "cpus"));
    check();
    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        assert_int_equal(p->layers[i], i == LAYER_ID_LANDLOCK ? LAYER_PREFER
                                       : i == LAYER_ID_GATE || i == LAYER_ID_WORKSPACE
                                           ? LAYER_OFF /* none, so none */
                                           : LAYER_REQUIRE);
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++)
        assert_int_equal(p->limit_demand[i], i == LIMIT_ID_CPUS ? LAYER_PREFER : LAYER_REQUIRE);
}

static void demands_refuse_contradictions(void **state)
{
    (void)state;
    good(flag("require", "landlock,memory"));
    bad(flag("prefer", "memory"), "--prefer: \"memory\": memory is both required and preferred");
    bad(flag("require", "secomp"), "--require: \"secomp\": no layer or limit is called \"secomp\"");
    assert_string_equal(e.hint, "did you mean seccomp?");
    bad(flag("prefer", "all"), "--prefer: \"all\": no layer or limit is called \"all\"");
    bad(flag("prefer", "user,"), "--prefer: \"user,\": empty name");
}

static void host_network_and_a_required_net_contradict(void **state)
{
    (void)state;
    good(flag("require", "net"));
    good(flag("net", "host"));
    bad(policy_check(p, NULL, NULL, &e),
        "--net: host: the layer net is required, and the host's network is asked for");

    fresh(NULL);
    good(file(1, "require", "net"));
    good(flag("net", "host"));
    check();
    assert_int_equal(p->layers[LAYER_ID_NET], LAYER_OFF);
}

static void volumes_are_tidied(void **state)
{
    (void)state;
    good(flag("volume", "/a//b/./c/:/x//y/."));
    good(flag("volume", "~/d:/d:rw"));
    good(flag("volume", "/a/../b:/e:ro"));
    good(flag("tmpfs", "/scratch:64M"));
    good(flag("tmpfs", "/more"));
    good(flag("ro", "/with:colon"));
    check();
    assert_int_equal(p->mount_count, 6);
    assert_string_equal(p->mounts[0].dst, "/d");
    assert_string_equal(p->mounts[0].src, "/home/u/d");
    assert_string_equal(p->mounts[1].src, "/a/../b");
    assert_string_equal(p->mounts[2].dst, "/more");
    assert_null(p->mounts[2].src);
    assert_int_equal(p->mounts[3].size, 64u << 20);
    assert_string_equal(p->mounts[4].src, "/with:colon");
    assert_string_equal(p->mounts[5].src, "/a/b/c");
    assert_string_equal(p->mounts[5].dst, "/x/y");
    assert_int_equal(p->mounts[5].kind, MOUNT_RO);
}

static void volumes_refuse_nonsense(void **state)
{
    (void)state;
    bad(flag("volume", "/a"), "--volume: \"/a\": no path in the room");
    bad(flag("volume", "a:/b"), "--volume: \"a:/b\": \"a\" is not a full path");
    bad(flag("volume", ":/b"), "--volume: \":/b\": the host path is empty");
    bad(flag("volume", "/a:"), "--volume: \"/a:\": the path in the room is empty");
    bad(flag("volume", "/a:b"), "--volume: \"/a:b\": the path in the room must start with /");
    bad(flag("volume", "/a:/b:z"), "--volume: \"/a:/b:z\": \"z\" is not a mode");
    bad(flag("volume", "/a:/b:ro:x"), "--volume: \"/a:/b:ro:x\": \"ro:x\" is not a mode");
    bad(flag("volume", "/a:/b/../c"), "--volume: \"/a:/b/../c\": a path in the room cannot have \"..\"");
    bad(flag("volume", "/a:/"), "--volume: \"/a:/\": the root of the room cannot be covered");
    bad(flag("volume", "/a:/proc/self"),
        "--volume: \"/a:/proc/self\": /proc is the room's own and cannot be covered");
    bad(flag("ro", "/dev"), "--ro: \"/dev\": /dev is the room's own and cannot be covered");
    bad(flag("ro", "/"), "--ro: \"/\": the root of the room cannot be covered");
    bad(flag("rw", "~other/x"), "--rw: \"~other/x\": \"~other/x\" is not a full path");
    bad(flag("rw", "../x"), "--rw: \"../x\": a path with \"..\" has no place of its own in the room");
    bad(flag("tmpfs", "/t:0"), "--tmpfs: \"/t:0\": size is out of range");
    bad(flag("tmpfs", "/t:x"), "--tmpfs: \"/t:x\": \"x\" is not a size");
    bad(flag("hide", "/"), "--hide: \"/\": no program can run without it");
    bad(flag("rootfs", "/"), "--rootfs: \"/\": the host's own root is not shown as a whole");
    policy_set_base(p, NULL, NULL);
    bad(flag("ro", "x"), "--ro: \"x\": the current directory is not known");
    bad(flag("hide", "x"), "--hide: \"x\": \"x\" is not a full path");
    bad(file(3, "ro", "x"), "p.yaml:3: ro: \"x\": \"x\" is not a full path");
    bad(flag("rw", "/usr"), "--rw: \"/usr\": /usr of the room stays read-only");
    bad(flag("tmpfs", "/etc"), "--tmpfs: \"/etc\": /etc of the room stays read-only");
    good(flag("ro", "/etc"));
    bad(flag("ro", "~"), "--ro: \"~\": no home directory is known");
}

static void long_paths_are_refused(void **state)
{
    char path[6000];

    (void)state;
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[300] = '\0';
    assert_true(flag("ro", path) < 0);
    assert_non_null(strstr(e.text, "a name in the path is longer than 255 bytes"));
    for (size_t i = 0; i < sizeof path; i += 2)
        memcpy(path + i, "/a", 2);
    path[5000] = '\0';
    assert_true(flag("ro", path) < 0);
    assert_non_null(strstr(e.text, "the path is longer than 4095 bytes"));
}

static void two_mounts_on_one_path_contradict(void **state)
{
    (void)state;
    good(file(3, "volume", "/a:/x"));
    good(file(7, "volume", "/b:/x"));
    bad(policy_check(p, NULL, NULL, &e), "two mounts on one path: /x: p.yaml:3 and p.yaml:7");

    fresh(NULL);
    good(file(3, "volume", "/a:/x"));
    good(file(4, "volume", "/a:/x"));
    good(flag("rw", "/x"));
    check();
    assert_int_equal(p->mount_count, 1);
    assert_int_equal(p->mounts[0].kind, MOUNT_RW);
}

static void hidden_and_shown_contradict(void **state)
{
    (void)state;
    good(file(3, "ro", "/x"));
    good(file(4, "hide", "/x/"));
    bad(policy_check(p, NULL, NULL, &e), "one path is both shown and hidden: /x: p.yaml:3 and p.yaml:4");

    fresh(NULL);
    good(profile(3, "hide", "/x"));
    good(profile(3, "hide", "/y"));
    good(project(3, "hide", "/z"));
    good(flag("ro", "/x"));
    good(flag("ro", "/y/below"));
    check();
    assert_int_equal(p->mount_count, 2);
    assert_int_equal(p->hide_count, 2);
    assert_string_equal(p->hide[0], "/y");
    assert_string_equal(notes, "/x: shown, not hidden, as the later source says\n"
                               "/y/below: cannot be seen, for /y is hidden\n");
}

/* Whatever the order in a file: the text is the same, sorted, without what is there twice, and each rule keeps the line
 * that it came from. */
static void many_rules_are_sorted_and_keep_their_origin(void **state)
{
    enum { COUNT = 3000, STEP = 1009 }; /* STEP and COUNT have no common factor: each number comes once */
    static char text[COUNT * 80], expected[COUNT * 80];
    struct sbuf b = SBUF(text), x = SBUF(expected);
    char rule[40];
    (void)state;

    for (unsigned i = 0, k = 0; i < COUNT; i++, k = (k + STEP) % COUNT) {
        (void)snprintf(rule, sizeof rule, "a-long-beginning-%05u.org:443", k);
        good(file(k + 1, "allow", rule));
    }
    good(file(COUNT + 7, "allow", "a-long-beginning-00500.org:443")); /* once more: the later one stands */
    good(file(COUNT + 8, "deny", "z.org"));
    good(file(COUNT + 9, "deny", "b.org"));
    good(policy_check(p, note, NULL, &e));
    assert_int_equal(p->egress.count, COUNT + 2);
    assert_non_null(strstr(notes, "--allow a-long-beginning-00500.org:443 is there twice"));
    sbuf_text(&x, "allow:\n");
    for (unsigned k = 0; k < COUNT; k++)
        sbuf_fmt(&x, "  - a-long-beginning-%05u.org:443  # p.yaml:%u\n", k, k == 500 ? COUNT + 7 : k + 1);
    sbuf_fmt(&x, "deny:\n  - b.org  # p.yaml:%u\n  - z.org  # p.yaml:%u\n", COUNT + 9, COUNT + 8);
    policy_explain(p, &b);
    assert_false(b.full || x.full);
    assert_non_null(strstr(text, expected));
    assert_int_equal(egress_verdict_name(&p->egress, "a-long-beginning-02999.org", 443).rule, COUNT - 1);
}

static void many_mounts_meet_their_bound(void **state)
{
    char path[64];

    (void)state;
    for (int i = 0; i < POLICY_MOUNTS_MAX; i++) {
        snprintf(path, sizeof path, "/m/%d", i);
        good(flag("ro", path));
    }
    bad(flag("ro", "/m/x"), "--ro: more than 1024 mounts");
    check();
    for (size_t i = 1; i < p->mount_count; i++)
        assert_true(strcmp(p->mounts[i - 1].dst, p->mounts[i].dst) < 0);
}

static void the_arena_has_an_end(void **state)
{
    static char value[100000];
    int r = 0;

    (void)state;
    memset(value, 'v', sizeof value - 1);
    memcpy(value, "A=", 2);
    for (int i = 0; i < POLICY_ENV_MAX && r == 0; i++)
        r = flag("env", value);
    assert_int_equal(r, -ENOMEM);
    assert_non_null(strstr(e.text, "policy: more than 48 MiB of text"));
}

static void variables_keep_the_last_word(void **state)
{
    (void)state;
    good(file(1, "env", "B=1"));
    good(flag("env", "A=x=y"));
    good(flag("env", "B=2"));
    good(flag("env", "C"));
    good(flag("env", "D="));
    bad(flag("env", "=x"), "--env: \"=x\": the name is empty");
    bad(flag("env", "a b=x"),
        "--env: \"a b=x\": blanks and control characters cannot be in a variable's name");
    check();
    assert_int_equal(p->env_count, 4);
    assert_string_equal(p->env[0].value, "x=y");
    assert_string_equal(p->env[1].value, "2");
    assert_null(p->env[2].value);
    assert_string_equal(p->env[3].value, "");
}

static void env_files_are_dockers(void **state)
{
    static const char text[] = "# comment\n\nA=\"quoted\"\r\n   B=b # not a comment\nC\nlast=1";

    (void)state;
    good(env_file_apply(p, "e.env", text, sizeof text - 1, &e));
    good(flag("env", "last=2"));
    check();
    assert_int_equal(p->env_count, 4);
    assert_string_equal(p->env[0].value, "\"quoted\"");
    assert_string_equal(p->env[1].value, "b # not a comment");
    assert_null(p->env[2].value);
    assert_string_equal(p->env[3].value, "2");

    fresh(NULL);
    bad(env_file_apply(p, "e.env", "A=1\n=x\n", 7, &e), "e.env:2: env: \"=x\": the name is empty");
    bad(env_file_apply(p, "e.env", "A=\0\n", 4, &e), "e.env:1: env-file: NUL byte in the line");
}

static void identity_is_narrow(void **state)
{
    (void)state;
    good(flag("hostname", "my-room.local"));
    good(flag("name", "job_7"));
    good(flag("uid", "4242"));
    bad(flag("uid", "0"), "--uid: \"0\": there is no root inside a room");
    bad(flag("uid", "4294967295"), "--uid: \"4294967295\": not a user id");
    bad(flag("hostname", "a b"), "--hostname: \"a b\": has a character that a name cannot have");
    bad(flag("hostname", "-a"), "--hostname: \"-a\": must start and end with a letter or digit");
    bad(flag("name", "../x"), "--name: \"../x\": has a character that a name cannot have");
    bad(flag("net", "bridge"), "--net: \"bridge\": no such network mode");
    check();
    assert_string_equal(p->hostname, "my-room.local");
    assert_int_equal(p->uid, 4242);
}

static void a_project_only_tightens(void **state)
{
    (void)state;
    good(profile(1, "memory", "512M"));
    good(project(1, "memory", "256M"));
    good(project(2, "require", "landlock"));
    good(project(3, "hide", "/usr/bin/curl"));
    bad(project(5, "cpus", "2"),
        ".strongroom.yaml:5: cpus: \"2\": a policy found in a project may only tighten; "
        "now 1 (built in)");
    bad(project(6, "rw", "/home"), ".strongroom.yaml:6: rw: a policy found in a project may only tighten, "
                                   "and this could widen the room");
    bad(project(7, "net", "host"),
        ".strongroom.yaml:7: net: \"host\": a policy found in a project may only tighten");
    good(project(8, "net", "none"));
    assert_true(project(8, "prefer", "seccomp") < 0);
    assert_true(project(8, "env", "LD_PRELOAD=x") < 0);
    assert_true(project(8, "timeout", "unlimited") < 0);
    assert_true(project(8, "tty", "true") < 0);
    assert_true(project(8, "workdir", "/tmp") < 0);
    good(flag("memory", "2G"));
    check();
    assert_int_equal(p->limits[LIMIT_ID_MEMORY], 2ull << 30);
}

static void files_say_things_once(void **state)
{
    (void)state;
    good(file(2, "memory", "1G"));
    bad(file(9, "memory", "2G"), "p.yaml:9: memory: given twice; first on line 2");
    bad(file(3, "memroy", "2G"), "p.yaml:3: unknown key \"memroy\"");
    assert_string_equal(e.hint, "did you mean \"memory\"?");
    bad(file(3, "policy", "x"), "p.yaml:3: policy: has a meaning on the command line only");
    bad(file(3, "memory\n\x1b", "x"), "p.yaml:3: unknown key \"memory\\n\\x1b\"");
}

/* Reads canonical text back the way the YAML reader would, for the plain values used here. */
static struct policy *read_back(const char *text)
{
    struct policy *q = policy_new();
    char line[512], key[64] = "";

    while (*text) {
        size_t n = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        text += n + 1;
        bool item = strncmp(line, "  - ", 4) == 0;
        char *value = item ? line + 4 : strchr(line, ':');
        if (!item) {
            snprintf(key, sizeof key, "%.*s", (int)(value - line), line);
            if (value[1] == '\0')
                continue;
            value += 2;
        }
        good(policy_set(q, SOURCE_FILE, "again", 1, key, value, &e));
    }
    return q;
}

static void the_text_reads_back_to_the_same_policy(void **state)
{
    char hash[POLICY_HASH_MAX], again[POLICY_HASH_MAX];

    (void)state;
    good(flag("volume", "/a:/b"));
    good(flag("rw", "/c"));
    good(flag("tmpfs", "/t:12345"));
    good(flag("hide", "/h"));
    good(flag("env", "A=b"));
    good(flag("env", "C"));
    good(flag("memory", "123456789"));
    good(flag("cpus", "1.25"));
    good(flag("timeout", "1500ms"));
    good(flag("inodes", "unlimited"));
    good(flag("net", "host"));
    good(flag("prefer", "seccomp"));
    good(flag("tty", NULL));
    check();
    policy_hash(p, hash);
    char *text = text_of(p, false);
    struct policy *q = read_back(text);
    good(policy_check(q, NULL, NULL, &e));
    policy_hash(q, again);
    char *text2 = text_of(q, false);
    assert_string_equal(text, text2);
    assert_string_equal(hash, again);
    free(text);
    free(text2);
    policy_free(q);
}

static void odd_values_are_quoted(void **state)
{
    (void)state;
    good(flag("ro", "/a b"));
    good(flag("ro", "/new\nline\x1b\"\\"));
    good(flag("ro", "/caf\xc3\xa9\xe2\x80\xae"));
    good(flag("env", "A=#x"));
    good(flag("env", "null"));
    check();
    char *text = text_of(p, false);
    assert_non_null(strstr(text, "  - \"/a b\"\n"));
    assert_non_null(strstr(text, "  - \"/new\\nline\\x1b\\\"\\\\\"\n"));
    assert_non_null(strstr(text, "  - \"/caf\xc3\xa9\\u202e\"\n"));
    assert_non_null(strstr(text, "  - \"A=#x\"\n"));
    assert_non_null(strstr(text, "  - \"null\"\n"));
    free(text);
}

static void explain_names_every_source(void **state)
{
    (void)state;
    good(profile(4, "memory", "512M"));
    good(project(2, "memory", "256M"));
    good(file(3, "hide", "/h"));
    good(flag("env", "A=1"));
    good(env_file_apply(p, "e.env", "\nB=2", 4, &e));
    check();
    char *text = text_of(p, true);
    assert_non_null(strstr(text, "memory: 256M  # .strongroom.yaml:2\n"));
    assert_non_null(strstr(text, "cpus: 1  # built in\n"));
    assert_non_null(strstr(text, "  - /h  # p.yaml:3\n"));
    assert_non_null(strstr(text, "  - A=1  # command line\n"));
    assert_non_null(strstr(text, "  - B=2  # e.env:2\n"));
    free(text);
}

static void order_does_not_change_the_hash(void **state)
{
    char a[POLICY_HASH_MAX], b[POLICY_HASH_MAX];

    (void)state;
    good(flag("ro", "/a"));
    good(flag("ro", "/b"));
    good(flag("env", "X=1"));
    good(flag("env", "A=1"));
    check();
    policy_hash(p, a);
    fresh(NULL);
    good(flag("env", "A=1"));
    good(flag("env", "X=1"));
    good(flag("volume", "/b:/b:ro"));
    good(flag("ro", "/a"));
    check();
    policy_hash(p, b);
    assert_string_equal(a, b);
}

static void doubtful_wholes_are_told(void **state)
{
    (void)state;
    check();
    assert_string_equal(notes, "");
    fresh(NULL);
    good(flag("disk", "4G"));
    good(flag("file-size", "8G"));
    good(flag("cpu-time", "1h"));
    good(flag("workdir", "/h/x"));
    good(flag("hide", "/h"));
    check();
    assert_non_null(strstr(notes, "disk is larger than memory"));
    assert_non_null(strstr(notes, "file-size is larger than disk"));
    assert_non_null(strstr(notes, "cpu-time can never be reached"));
    assert_non_null(strstr(notes, "workdir /h/x: is hidden"));
}

static void slips_are_understood(void **state)
{
    (void)state;
    assert_string_equal(field_nearest("volum"), "volume");
    assert_string_equal(field_nearest("timout"), "timeout");
    assert_string_equal(field_nearest("readonly-nonsense") ? "x" : "none", "none");
    assert_null(field_nearest("x"));
    assert_null(field_nearest("a-word-that-is-much-longer-than-any-option-there-is"));
}

#define T(name) cmocka_unit_test_setup(name, fresh)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(defaults_are_those_of_the_tables),
        T(help_tells_the_true_defaults),
        T(limits_take_their_units),
        T(limits_refuse_nonsense),
        T(a_long_value_is_shown_in_part),
        T(given_limits_are_required),
        T(demands_go_by_their_source),
        T(require_all_leaves_named_exceptions),
        T(demands_refuse_contradictions),
        T(host_network_and_a_required_net_contradict),
        T(volumes_are_tidied),
        T(volumes_refuse_nonsense),
        T(long_paths_are_refused),
        T(two_mounts_on_one_path_contradict),
        T(hidden_and_shown_contradict),
        T(many_mounts_meet_their_bound),
        T(many_rules_are_sorted_and_keep_their_origin),
        T(the_arena_has_an_end),
        T(variables_keep_the_last_word),
        T(env_files_are_dockers),
        T(identity_is_narrow),
        T(a_project_only_tightens),
        T(a_project_takes_no_demand_back),
        T(files_say_things_once),
        T(the_text_reads_back_to_the_same_policy),
        T(odd_values_are_quoted),
        T(explain_names_every_source),
        T(order_does_not_change_the_hash),
        T(doubtful_wholes_are_told),
        T(slips_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
