/* verb_mcp: `strongroom mcp [options of run]`: checks the options, writes down what they allow at most, and becomes
 * strongroom-mcp, which speaks with the client. `strongroom mcp install` and `strongroom hook` check their options in
 * the same way and leave the rest to the same program.
 *
 * Lives in: the command. Trusts: nothing of argv. May: read the files that options name. Must not: build a room. */
#include "base/json.h"
#include "base/num.h"
#include "cli/options.h"
#include "cli/policy_reader.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "policy/fields.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define HELPER     "strongroom-mcp"
#define ROOMS_MAX  64  /* --rooms, at most */
#define WORDS_MAX  256 /* options of one server */
#define FACTS_SIZE 512

enum { HOOK_REFUSED = 2 };

/* What concerns the server itself; all else are options of run. */
struct mcp_options {
    char *words[WORDS_MAX + 1]; /* words[0] is the verb */
    int count;
    uint64_t rooms;
    bool let_apply, help, dry_run, approve;
    const char *folder; /* of a hook: "rw", "ro", "none" */
};

enum role { ROLE_SERVE, ROLE_INSTALL, ROLE_HOOK };

static int usage(enum role role)
{
    static char mcp[] =
        "Usage: strongroom mcp [OPTION…]\n"
        "       strongroom mcp install CLIENT [--dry-run] [OPTION…]\n"
        "Serves the Model Context Protocol on stdin and stdout: an agent's hands, in rooms.\n"
        "With install, writes that into the configuration of CLIENT: claude, claude-code,\n"
        "cursor, vscode, zed or codex.\n\n"
        "All options of `strongroom run` that say what a room may do: they are the ceiling of\n"
        "every room of this server; an agent can only tighten.\n\n"
        "      --rooms N               rooms at once [twice the processors, 2 to 8]\n"
        "      --let-apply             the agent may make changes to a workspace real\n"
        "      --dry-run               install: show what would be written\n"
        "  -h, --help                  show this text\n";
    static char hook[] =
        "Usage: strongroom hook [OPTION…]\n"
        "A PreToolUse hook of Claude Code: reads a tool call on stdin and answers with the same\n"
        "shell command in a room. Other tools are let go on.\n\n"
        "All options of `strongroom run` that say what a room may do, and:\n"
        "      --folder rw|ro|none     show the agent's working directory, and start there [rw]\n"
        "      --approve               let the command run without asking, for it is in a room\n"
        "  -h, --help                  show this text\n";
    struct sbuf b = {.text = mcp, .size = sizeof mcp, .len = sizeof mcp - 1};

    if (role == ROLE_HOOK)
        b = (struct sbuf){.text = hook, .size = sizeof hook, .len = sizeof hook - 1};
    return say_stdout(&b);
}

static int find_helper(char *ret, size_t size, struct err *e)
{
    static const char *const tails[] = {
        ".", "../libexec/strongroom", "../build-host/src", "../../build-host/src", STRONGROOM_LIBEXECDIR,
        NULL};

    if (beside_program(tails, HELPER, ret, size) == 0)
        return 0;
    err_set(e, ERR_ROOM, 0, "mcp: " HELPER " is not installed");
    return err_hint(e, "it belongs beside strongroom or in %s", STRONGROOM_LIBEXECDIR);
}

static int rooms_set(const char *value, uint64_t *ret, struct err *e)
{
    if (value && num_u64(value, ret) == 0 && *ret >= 1 && *ret <= ROOMS_MAX)
        return 0;
    err_set(e, ERR_USAGE, 0, "--rooms: \"%.60s\": not a number of rooms", value ? value : "");
    return err_hint(e, "wanted a number from 1 to %d", ROOMS_MAX);
}

static int folder_set(const char *value, const char **ret, struct err *e)
{
    static const char *const words[] = {"rw", "ro", "none"};

    for (size_t i = 0; value && i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], value) == 0) {
            *ret = words[i];
            return 0;
        }
    }
    return err_set(e, ERR_USAGE, 0, "--folder: wanted rw, ro or none");
}

/* One of our own options at argv[*i]: 1, with *i on its last word; 0: it is an option of run; -errno. */
static int own_option(char **argv, int *i, enum role role, struct mcp_options *o, struct err *e)
{
    const char *w = argv[*i];
    int n = 0;

    if (strcmp(w, "--help") == 0 || strcmp(w, "-h") == 0)
        o->help = true;
    else if (role != ROLE_HOOK && strcmp(w, "--rooms") == 0)
        n = rooms_set(argv[++*i], &o->rooms, e);
    else if (role != ROLE_HOOK && strncmp(w, "--rooms=", 8) == 0)
        n = rooms_set(w + 8, &o->rooms, e);
    else if (role != ROLE_HOOK && strcmp(w, "--let-apply") == 0)
        o->let_apply = true;
    else if (role == ROLE_INSTALL && strcmp(w, "--dry-run") == 0)
        o->dry_run = true;
    else if (role == ROLE_HOOK && strcmp(w, "--approve") == 0)
        o->approve = true;
    else if (role == ROLE_HOOK && strcmp(w, "--folder") == 0)
        n = folder_set(argv[++*i], &o->folder, e);
    else if (role == ROLE_HOOK && strncmp(w, "--folder=", 9) == 0)
        n = folder_set(w + 9, &o->folder, e);
    else
        return 0;
    return n < 0 ? n : 1;
}

/* Takes our own options out of argv. A missing value is the NULL at the end of argv, and an error. */
static int split(int argc, char **argv, enum role role, struct mcp_options *o, struct err *e)
{
    for (int i = 0; i < argc; i++) {
        const int n = own_option(argv, &i, role, o, e);
        if (n < 0)
            return n;
        if (n == 0 && o->count == WORDS_MAX)
            return err_set(e, ERR_USAGE, 0, "%s: more than %d words", argv[0], WORDS_MAX);
        if (n == 0)
            o->words[o->count++] = argv[i];
    }
    return 0;
}

/* Options that have no meaning where nobody watches a single run. */
static int check(const struct run_options *r, char **words, struct err *e)
{
    for (char **w = words; *w; w++) {
        if (strcmp(*w, "--") == 0)
            return err_set(e, ERR_USAGE, 0, "%s: takes no command: the agent says what runs", words[0]);
    }
    if (r->dry_run || r->explain || r->json || r->quiet || r->trace_steps || r->result_path ||
        r->result_fd >= 0 || r->reply_fd >= 0 || r->policy->tty == TTY_YES || r->policy->interactive) {
        err_set(e, ERR_USAGE, 0, "%s: one of the options is about the output of a single run", words[0]);
        return err_hint(e, "leave out --dry-run, --explain, --json, --quiet, --trace-steps, --result, --tty");
    }
    return 0;
}

/* Seconds that a room of the server may live on: as `run --detach` has it. */
static uint64_t lifetime(const struct policy *p)
{
    const struct field *f = field_find("timeout");
    const uint64_t ms = p->limits[LIMIT_ID_TIMEOUT];

    if (p->origin[f - fields] == SOURCE_DEFAULT)
        return 3600;
    return ms == LIMIT_UNLIMITED ? 0 : ms < 1000 ? 1 : ms / 1000;
}

static void write_facts(const struct policy *p, const struct mcp_options *o, struct sbuf *out)
{
    struct json j = {.out = out};
    const uint64_t time = p->limits[LIMIT_ID_TIMEOUT], memory = p->limits[LIMIT_ID_MEMORY];
    bool writes = false;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    cpus = cpus < 1 ? 2 : cpus > 4 ? 8 : 2 * cpus;
    for (size_t i = 0; i < p->mount_count; i++)
        writes = writes || p->mounts[i].kind == MOUNT_RW;
    json_open(&j, NULL, '{');
    json_unum(&j, "timeout_s", time == LIMIT_UNLIMITED ? 0 : time < 1000 ? 1 : time / 1000);
    json_unum(&j, "memory_mb", memory == LIMIT_UNLIMITED ? 0 : memory >> 20);
    json_unum(&j, "lifetime_s", lifetime(p));
    json_unum(&j, "output", p->limits[LIMIT_ID_OUTPUT] == LIMIT_UNLIMITED ? 0 : p->limits[LIMIT_ID_OUTPUT]);
    json_bool(&j, "prefers_memory", p->limit_demand[LIMIT_ID_MEMORY] == LAYER_PREFER);
    json_bool(&j, "network", p->net != NET_NONE);
    json_bool(&j, "writes", writes);
    json_bool(&j, "may_apply", o->let_apply);
    json_unum(&j, "rooms", o->rooms ? o->rooms : (uint64_t)cpus);
    json_close(&j, '}');
}

static void say_notes(const struct run_options *r)
{
    char text[sizeof r->notes + 64];
    struct sbuf b = SBUF(text);

    if (r->notes[0] == '\0')
        return;
    sbuf_text(&b, "strongroom: note: ");
    sbuf_text(&b, r->notes);
    say_stderr(&b);
}

struct helper_words {
    char *argv[WORDS_MAX + 8];
    size_t count;
};

static void add(struct helper_words *h, const char *word)
{
    CHECK(h->count < sizeof h->argv / sizeof *h->argv - 1);
    h->argv[h->count++] = (char *)(uintptr_t)word;
}

/* Becomes the helper; returns only on failure. */
static int become(struct helper_words *h, const struct mcp_options *o, struct err *e)
{
    char helper[PATH_MAX], self[PATH_MAX];

    int r = find_helper(helper, sizeof helper, e);
    if (r < 0)
        return r;
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return err_set(e, ERR_IO, errno, "mcp: find the path of strongroom itself");
    self[len] = '\0';
    h->argv[2] = self;
    for (char *const *word = o->words + 1; *word; word++)
        add(h, *word);
    execv(helper, h->argv);
    return err_set(e, ERR_IO, errno, "mcp: start %s", helper);
}

/* What stands between the role and the options of run. */
static void add_own(struct helper_words *h, enum role role, const struct mcp_options *o, const char *client,
                    const char *facts, struct sbuf *rooms)
{
    if (role == ROLE_SERVE)
        add(h, facts);
    if (role == ROLE_INSTALL) {
        add(h, client);
        add(h, o->dry_run ? "show" : "write");
        if (o->let_apply)
            add(h, "--let-apply");
        sbuf_fmt(rooms, "--rooms=%llu", (unsigned long long)o->rooms);
        if (o->rooms)
            add(h, rooms->text);
    }
    if (role == ROLE_HOOK) {
        add(h, o->approve ? "allow" : "ask");
        add(h, o->folder);
    }
}

static int run(int argc, char **argv, enum role role, const char *client)
{
    static const char *const roles[] = {
        [ROLE_SERVE] = "serve", [ROLE_INSTALL] = "install", [ROLE_HOOK] = "hook"};
    static struct mcp_options o = {.folder = "rw"};
    struct helper_words h = {.count = 0};
    struct run_options r;
    struct err e = {0};
    char facts[FACTS_SIZE], rooms_text[32];
    struct sbuf b = SBUF(facts), rooms = SBUF(rooms_text);

    if (split(argc, argv, role, &o, &e) < 0)
        return say_error(&e);
    if (o.help)
        return usage(role);
    if (options_parse_policy(o.count, o.words, &r, &e) < 0)
        return say_error(&e);
    const int n = check(&r, o.words, &e);
    if (n == 0) {
        write_facts(r.policy, &o, &b);
        say_notes(&r);
    }
    options_free(&r);
    if (n < 0)
        return say_error(&e);
    add(&h, HELPER);
    add(&h, roles[role]);
    add(&h, NULL); /* our own path */
    add_own(&h, role, &o, client, facts, &rooms);
    (void)become(&h, &o, &e);
    return say_error(&e);
}

int verb_mcp(int argc, char **argv)
{
    static char dry[] = "--dry-run";
    struct err e = {0};

    if (argc < 2 || strcmp(argv[1], "install") != 0)
        return run(argc, argv, ROLE_SERVE, NULL);
    if (argc > 3 && strcmp(argv[2], "--dry-run") == 0) { /* it may stand before the client, too */
        argv[2] = argv[3];
        argv[3] = dry;
    }
    if (argc < 3 || argv[2][0] == '-') {
        if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
            return usage(ROLE_INSTALL);
        err_set(&e, ERR_USAGE, 0, "mcp install: no client given");
        err_hint(&e, "claude, claude-code, cursor, vscode, zed or codex");
        return say_error(&e);
    }
    const char *client = argv[2];
    argv[2] = argv[0]; /* the options behind it are read as those of the verb */
    return run(argc - 2, argv + 2, ROLE_INSTALL, client);
}

/* Status 2 refuses the agent's command: no mistake of ours may let it through. */
int verb_hook(int argc, char **argv)
{
    const int status = run(argc, argv, ROLE_HOOK, NULL);

    return status == 0 ? 0 : HOOK_REFUSED;
}
