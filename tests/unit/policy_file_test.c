/* policy_file_test: files → policy, by way of the real reader program. Skipped where that was not built. */
#include "cli/options.h"
#include "cli/policy_file.h"
#include "cli/policy_reader.h"
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/strongroom-policy-test-XXXXXX";
static struct run_options o;
static struct err e;
static char notes[2048];

static void note(void *ctx, const char *text)
{
    (void)ctx;
    size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int parse(const char *first, ...)
{
    static char words[32][256];
    static char *argv[33];
    int argc = 1;
    va_list ap;

    snprintf(words[0], sizeof words[0], "show");
    argv[0] = words[0];
    va_start(ap, first);
    for (const char *s = first; s && argc < 32; s = va_arg(ap, const char *)) {
        snprintf(words[argc], sizeof words[argc], "%s", s);
        argv[argc] = words[argc];
        argc++;
    }
    va_end(ap);
    argv[argc] = NULL;
    memset(&e, 0, sizeof e);
    return options_parse_policy(argc, argv, &o, &e);
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

static int check(const char *word)
{
    const struct policy_notes n = {.note = note};

    memset(&e, 0, sizeof e);
    notes[0] = '\0';
    return policy_file_check(word, &n, &e);
}

static int setup(void **state)
{
    static const char *const tails[] = {"../../build-host/src/helpers/policy", NULL};
    char path[4096];
    struct stat st;

    (void)state;
    if (beside_program(tails, "strongroom-policy", path, sizeof path) < 0 || stat(path, &st) < 0)
        skip();
    (void)unlink(POLICY_PROJECT_FILE);
    return 0;
}

static void sources_are_applied_in_rising_order(void **state)
{
    (void)state;
    put("p.yaml", "memory: 300M\ncpus: 0.3\npids: 30\nfiles: 30\nrequire: landlock\n");
    put(POLICY_PROJECT_FILE, "pids: 20\nhide: [/usr/bin/curl]\n");
    good(parse("-m100M", "-p", "p.yaml", "-p", "python", NULL));
    assert_int_equal(o.policy->limits[LIMIT_ID_MEMORY], 100u << 20);
    assert_int_equal(o.policy->limits[LIMIT_ID_CPUS], 300);
    assert_int_equal(o.policy->limits[LIMIT_ID_PIDS], 20);
    assert_int_equal(o.policy->limits[LIMIT_ID_DISK], 1u << 30);
    assert_int_equal(o.policy->layers[LAYER_ID_LANDLOCK], LAYER_REQUIRE);
    assert_int_equal(o.policy->hide_count, 1);
    options_free(&o);
}

static void shipped_profiles_are_good(void **state)
{
    static const char *const names[] = {"default", "python", "node", "build", "locked"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        good(check(names[i]));
        assert_string_equal(notes, "");
    }
}

static void the_default_profile_changes_nothing(void **state)
{
    char a[POLICY_HASH_MAX], b[POLICY_HASH_MAX];

    (void)state;
    good(parse(NULL));
    policy_hash(o.policy, a);
    options_free(&o);
    good(parse("-p", "default", NULL));
    policy_hash(o.policy, b);
    options_free(&o);
    assert_string_equal(a, b);
}

static void what_is_shown_reads_back(void **state)
{
    char a[POLICY_HASH_MAX], b[POLICY_HASH_MAX], text[16384];
    struct sbuf s = SBUF(text);

    (void)state;
    good(parse("-v", "./a b:/x:rw", "--ro", "/caf\xc3\xa9 \"q\"\\", "-e", "A=line\nline\t\x1b # : -", "-e",
               "null", "-e", "Z=true", "--hide", "/usr/bin/x", "--tmpfs", "/t:9999", "-it", "--net=host",
               "--cpus=1.5", "--inodes", "unlimited", "--prefer", "seccomp,memory", "--hostname", "true",
               "--name", "null", "-u77", "-C", "/x", "--rootfs", "/srv/root", NULL));
    policy_hash(o.policy, a);
    policy_text(o.policy, &s);
    assert_false(s.full);
    options_free(&o);
    put("shown.yaml", text);
    good(parse("-p", "./shown.yaml", NULL));
    policy_hash(o.policy, b);
    options_free(&o);
    assert_string_equal(a, b);
}

static void files_extend_each_other(void **state)
{
    (void)state;
    put("base.yaml", "memory: 100M\ncpus: 0.5\nvolume: /a:/x\nprefer: landlock\n");
    put("top.yaml", "extends: base.yaml\nmemory: 200M\nvolume: /b:/x\n");
    put("top2.yaml", "extends: ./base.yaml\nrequire: landlock\n");
    good(parse("-p", "top2.yaml", "-p", "./top.yaml", NULL));
    assert_int_equal(o.policy->limits[LIMIT_ID_MEMORY], 200u << 20);
    assert_int_equal(o.policy->limits[LIMIT_ID_CPUS], 500);
    assert_string_equal(o.policy->mounts[0].src, "/b");
    options_free(&o);
    put("ring.yaml", "extends: ./ring.yaml\n");
    assert_true(check("ring.yaml") < 0);
    assert_non_null(strstr(e.text, "extends: in a circle"));
    put("lost.yaml", "\nextends: pyhton\n");
    bad(check("lost.yaml"), "--policy: no profile is called \"pyhton\"");
}

static void a_project_names_what_it_may_not(void **state)
{
    (void)state;
    put(POLICY_PROJECT_FILE, "# x\nmemory: 2G\n");
    bad(parse(NULL),
        ".strongroom.yaml:2: memory: \"2G\": a policy found in a project may only tighten; now 1G "
        "(built in)");
    put(POLICY_PROJECT_FILE, "rw: .\n");
    bad(parse(NULL), ".strongroom.yaml:1: rw: a policy found in a project may only tighten, and this could "
                     "widen the room");
    bad(check(POLICY_PROJECT_FILE), e.text);
    put(POLICY_PROJECT_FILE, "extends: build\n");
    bad(parse(NULL), ".strongroom.yaml:1: extends: a project's policy stands alone");
    assert_int_equal(unlink(POLICY_PROJECT_FILE), 0);
    assert_int_equal(symlink("/etc/passwd", POLICY_PROJECT_FILE), 0);
    bad(parse(NULL), "read policy: .strongroom.yaml: Too many levels of symbolic links");
    assert_int_equal(unlink(POLICY_PROJECT_FILE), 0);
    assert_int_equal(mkfifo(POLICY_PROJECT_FILE, 0600), 0);
    bad(parse(NULL), "read policy: .strongroom.yaml: not a plain file");
    assert_int_equal(unlink(POLICY_PROJECT_FILE), 0);
}

static void wrong_yaml_is_named_by_line(void **state)
{
    static const struct {
        const char *yaml, *text;
    } rows[] = {
        {"memroy: 1G\n", "y.yaml:1: unknown key \"memroy\""},
        {"memory: 1G\n\nmemory: 2G\n", "y.yaml:3: memory: given twice; first on line 1"},
        {"a: &x [1]\nb: *x\n", "y.yaml:1: anchors and tags are not allowed in a policy"},
        {"b: *x\n", "y.yaml:1: aliases are not allowed in a policy"},
        {"memory: !!int 5\n", "y.yaml:1: anchors and tags are not allowed in a policy"},
        {"memory: [1G\n",
         "y.yaml:2: column 1: did not find expected ',' or ']' while parsing a flow sequence"},
        {"memory: 1G\n---\nmemory: 2G\n", "y.yaml:2: more than one document in the file"},
        {"env: {A: {B: c}}\n", "y.yaml:1: env: nested too deep"},
        {"ro: [[/a]]\n",
         "y.yaml:1: ro: nested too deep: in a list, a text that begins with a bracket needs quotes"},
        {"allow:\n  - a.org: 443\n",
         "y.yaml:2: allow: nested too deep: in a list, a text with a colon and a blank needs quotes"},
        {"- a\n", "y.yaml:1: a policy is a list of \"name: value\" lines"},
        {"text", "y.yaml:1: a policy is a list of \"name: value\" lines"},
        {"memory:\n", "y.yaml:1: memory: needs a value"},
        {"limits: {memory: }\n", "y.yaml:1: memory: needs a value"},
        {"volume: {a: b}\n", "y.yaml:1: volume: takes a value or a list, not \"name: value\" pairs"},
        {"? {a: b}\n: c\n", "y.yaml:1: a key must be a text"},
        {"\"=complete\": x\n", "y.yaml:1: not a key: \"=complete\""},
        {"memory: \"1\\0G\"\n", "y.yaml:1: NUL character in a text"},
        {"memory: \"\xff\"\n", "y.yaml: byte 9: invalid leading UTF-8 octet"},
        {"", "y.yaml: empty"},
        {"limits:\n  pids: 1\n", "y.yaml:2: pids: \"1\": must be at least 2"},
        {"\nenv:\n  A B: c\n",
         "y.yaml:3: env: \"A B=c\": blanks and control characters cannot be in a variable's name"},
        {"policy: x\n", "y.yaml:1: policy: has a meaning on the command line only"},
        {"ro: /a\nrequire: net\nnet: host\n",
         "y.yaml:3: net: host: the layer net is required, and the host's network is asked for"},
        {"tty: maybe\n", "y.yaml:1: tty: \"maybe\": neither yes nor no"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put("y.yaml", rows[i].yaml);
        bad(check("y.yaml"), rows[i].text);
        assert_int_equal(e.kind, ERR_POLICY);
    }
}

static void unreadable_files_are_named(void **state)
{
    (void)state;
    bad(check("./missing.yaml"), "read policy: ./missing.yaml: No such file or directory");
    bad(check("./"), "read policy: ./: Is a directory");
    bad(check("/dev/zero"), "/dev/zero: larger than 1024 KiB");
    bad(check("/dev/null"), "/dev/null: empty");
    bad(check("../no-such-file"), "read policy: ../no-such-file: No such file or directory");
    bad(check("a b"), "--policy: \"a b\": not a profile's name");
    assert_int_equal(symlink("loop.yaml", "loop.yaml"), 0);
    bad(check("loop.yaml"), "read policy: loop.yaml: Too many levels of symbolic links");
    bad(parse("--env-file", "missing.env", NULL), "--env-file: read missing.env: No such file or directory");
    bad(parse("--env-file", "/dev/zero", NULL), "--env-file: /dev/zero: larger than 1024 KiB");
}

static void env_files_come_before_flags(void **state)
{
    (void)state;
    put("e.env", "A=1\nB=2\n");
    good(parse("-e", "A=flag", "--env-file=e.env", NULL));
    assert_int_equal(o.policy->env_count, 2);
    assert_string_equal(o.policy->env[0].value, "flag");
    options_free(&o);
}

static void settings_are_translated(void **state)
{
    char here[1024], want[8192];
    char text[16384] = "";
    struct sbuf s = SBUF(text);

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    put("s.json", "{\"network\": {\"allowedDomains\": [], \"deniedDomains\": [\"x.org\"]}, \"filesystem\": {"
                  "\"denyRead\": [\"~/.ssh\", \"secret/\", \"/usr/bin/gdb\"], \"allowRead\": [\"/srv/data\"],"
                  "\"allowWrite\": [\".\", \"/tmp\", \"/opt/x/\"],"
                  "\"denyWrite\": [\".env\", \"/opt/x\", \"/elsewhere\", \"secret/a\"]}}");
    good(parse("--settings", "s.json", NULL));
    policy_text(o.policy, &s);
    snprintf(want, sizeof want,
             "ro:\n  - /opt/x\n  - /srv/data\n  - %s/.env\nrw:\n  - %s\nhide:\n  - %s/secret\n"
             "  - /usr/bin/gdb\n",
             here, here, here);
    assert_int_equal(strncmp(text, want, strlen(want)), 0);
    assert_string_equal(o.policy->workdir, here);
    options_free(&o);
}

static void wrong_settings_are_named(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"{\"network\": {\"allowedDomains\": [\"a.org/x\"]}}",
         "s.json: allow: \"a.org/x\": a rule has no path"},
        {"{\"filesystem\": {\"denyRead\": [\"**/*.pem\"]}}",
         "s.json: denyRead: \"**/*.pem\": patterns are not supported; name the path itself"},
        {"{\"filesystem\": {\"denyRead\": [\"/\"]}}",
         "s.json: denyRead: \"/\": a room always shows the system; it shows no home and no secret"},
        {"{\"filesystem\": {\"allowWrite\": [\"../x\"]}}",
         "s.json: allowWrite: \"../x\": a path with \"..\" is not supported"},
        {"{\"filesystem\": {\"allowWrite\": [\"/\"]}}",
         "s.json: rw: \"/\": the root of the room cannot be covered"},
        {"{\"filesystem\": {\"allowWrite\": \"/x\"}}", "s.json: filesystem.allowWrite: is not a list"},
        {"{\"filesystem\": {\"allowWrite\": [1]}}",
         "s.json: filesystem.allowWrite: has something that is not a text"},
        {"{\"filesystem\": {\"denyreed\": []}}", "s.json: filesystem.denyreed: unknown key"},
        {"{\"filesystem\": []}", "s.json: filesystem: is not an object"},
        {"{\"credentials\": {}}", "s.json: credentials: unknown key"},
        {"{\"network\": {\"allowUnixSockets\": \"/x\"}}", "s.json: network.allowUnixSockets: is not a list"},
        {"{\"network\": {\"allowUnixSockets\": [1]}}",
         "s.json: network.allowUnixSockets: entry 1 is not text"},
        {"{\"network\": {\"allowUnixSockets\": [\"/x/*\"]}}",
         "s.json: allowUnixSockets: \"/x/*\": patterns are not supported; name the path itself"},
        {"{\"network\": {\"httpProxyPort\": 0}}", "s.json: network.httpProxyPort: is not a port"},
        {"{\"network\": {\"socksProxyPort\": \"1080\"}}", "s.json: network.socksProxyPort: is not a port"},
        {"{\"network\": {\"allowLocalBinding\": 1}}",
         "s.json: network.allowLocalBinding: is neither true nor false"},
        {"[]", "s.json: settings are one JSON object"},
        {"{\"a\": 1,\n}", "s.json:2: column 1: string or '}' expected near '}'"},
        {"{\"network\": {}, \"network\": {}}",
         "s.json:1: column 25: duplicate object key near '\"network\"'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put("s.json", rows[i].json);
        bad(check("s.json"), rows[i].text);
    }
    put("s.json", "{\"network\": {\"allowedDomains\": []}}");
    assert_true(parse("-p", "./s.json", NULL) < 0);
    assert_string_equal(e.hint, "settings of sandbox-runtime are read with --settings ./s.json");
    put("s.json", "{\"ignoreViolations\": {}, \"network\": {\"mitmProxy\": []}}");
    good(check("s.json"));
    assert_string_equal(notes, "s.json: ignoreViolations is not followed\n"
                               "s.json: network.mitmProxy is not followed\n");
}

static void settings_of_the_network_are_followed(void **state)
{
    (void)state;
    put("s.json", "{\"network\": {\"allowedDomains\": [\"a.org\"], \"allowUnixSockets\": [\"/run/x.sock\"], "
                  "\"allowAllUnixSockets\": true, \"allowLocalBinding\": false, \"httpProxyPort\": 3128, "
                  "\"socksProxyPort\": 1080}}");
    good(check("s.json"));
    assert_non_null(strstr(notes, "s.json: network.allowAllUnixSockets is not followed: name each socket"));
    assert_non_null(strstr(notes, "s.json: network.allowLocalBinding is not followed: a room may always"));
    assert_non_null(
        strstr(notes, "s.json: network.socksProxyPort is not followed: the gate goes out by one"));
    put("s.json", "{\"network\": {\"allowedDomains\": [\"localhost\", \"localhost:3000\", \"127.0.0.1\"]}}");
    good(check("s.json"));
    assert_non_null(
        strstr(notes, "allowedDomains: localhost:3000 is not followed: in a room it is the room"));
    put("s.json", "{\"network\": {\"allowLocalBinding\": true, \"allowAllUnixSockets\": false}}");
    good(check("s.json"));
    assert_string_equal(notes, "");
}

static void requests_have_a_list_of_their_own(void **state)
{
    (void)state;
    put("h.yaml", "http: [\"GET docs.python.org/*\", \"POST api.example.org:8443/v1/items\"]\n");
    good(check("h.yaml"));
    put("h.yaml", "http: [\"GET docs.python.org\"]\n");
    bad(check("h.yaml"), "h.yaml:1: http: \"GET docs.python.org\": not a method, a host and a path");
    put("h.yaml", "http: [\"GET 192.0.2.1/x\"]\n");
    bad(check("h.yaml"), "h.yaml:1: http: \"GET 192.0.2.1/x\": http= is for names that are allowed");
}

/* Value of one "Name:\tvalue" line of /proc/PID/status. */
static void status_of(pid_t pid, const char *name, char *ret, size_t size)
{
    char path[64], line[256];
    size_t n = strlen(name);

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    ret[0] = '\0';
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            snprintf(ret, size, "%.*s", (int)strcspn(line + n + 2, "\n"), line + n + 2);
    fclose(f);
}

/* The reader waits for its input with nothing left to lose. */
static void the_reader_is_confined(void **state)
{
    static const char *const tails[] = {"../../build-host/src/helpers/policy", NULL};
    char program[4096], name[] = "strongroom-policy", format[] = "yaml", value[64];
    char *argv[] = {name, format, NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t acts;
    int in[2], out[2];
    pid_t pid;

    (void)state;
    assert_int_equal(beside_program(tails, name, program, sizeof program), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&acts), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&acts, in[0], 0), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&acts, out[1], 1), 0);
    assert_int_equal(posix_spawn(&pid, program, &acts, NULL, argv, env), 0);
    posix_spawn_file_actions_destroy(&acts);
    close(in[0]);
    close(out[1]);
    for (int i = 0; i < 500; i++) {
        status_of(pid, "Seccomp", value, sizeof value);
        if (strcmp(value, "2") == 0)
            break;
        usleep(10000);
    }
    assert_string_equal(value, "2");
    status_of(pid, "NoNewPrivs", value, sizeof value);
    assert_string_equal(value, "1");
    struct rlimit l;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &l), 0);
    assert_int_equal(l.rlim_max, 3);
    assert_int_equal(prlimit(pid, RLIMIT_CPU, NULL, &l), 0);
    assert_int_equal(l.rlim_max, 3);
    assert_int_equal(write(in[1], "memory: 1G\n", 11), 11);
    close(in[1]);
    ssize_t got = read(out[0], value, sizeof value);
    assert_true(got > 10 && memcmp(value + got - 10, "complete\0", 10) == 0);
    close(out[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(sources_are_applied_in_rising_order),
        T(shipped_profiles_are_good),
        T(the_default_profile_changes_nothing),
        T(what_is_shown_reads_back),
        T(files_extend_each_other),
        T(a_project_names_what_it_may_not),
        T(wrong_yaml_is_named_by_line),
        T(unreadable_files_are_named),
        T(env_files_come_before_flags),
        T(the_reader_is_confined),
        T(settings_are_translated),
        T(wrong_settings_are_named),
        T(settings_of_the_network_are_followed),
        T(requests_have_a_list_of_their_own),
    };

    if (!mkdtemp(dir) || chdir(dir) < 0)
        return 1;
    (void)setenv("HOME", "/nonexistent", 1);
    (void)unsetenv("XDG_CONFIG_HOME");
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const made[] = {
        "p.yaml", "base.yaml", "top.yaml", "top2.yaml", "ring.yaml", "lost.yaml",        "shown.yaml",
        "y.yaml", "loop.yaml", "e.env",    "s.json",    "h.yaml",    POLICY_PROJECT_FILE};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        (void)unlink(made[i]);
    return rmdir(dir) < 0 ? 1 : r;
}
