/* verb_mcp: `strongroom mcp [options of run]`: checks the options, writes down what they allow at most, and becomes
 * strongroom-mcp, which speaks with the client.
 *
 * Lives in: the command. Trusts: nothing of argv. May: read the files that options name. Must not: build a room. */
#include "base/json.h"
#include "base/num.h"
#include "cli/options.h"
#include "cli/policy_reader.h"
#include "cli/say.h"
#include "cli/verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define HELPER     "strongroom-mcp"
#define ROOMS_MAX  64  /* --rooms, at most */
#define WORDS_MAX  256 /* options of one server */
#define FACTS_SIZE 512

/* What concerns the server itself; all else are options of run. */
struct mcp_options {
    char *words[WORDS_MAX + 1]; /* words[0] is the verb */
    int count;
    uint64_t rooms;
    bool let_apply, help;
};

static int usage(void)
{
    static char text[] =
        "Usage: strongroom mcp [OPTION…]\n"
        "Serves the Model Context Protocol on stdin and stdout: an agent's hands, in rooms.\n\n"
        "All options of `strongroom run` that say what a room may do: they are the ceiling of\n"
        "every room of this server; an agent can only tighten.\n\n"
        "      --rooms N               rooms at once [twice the processors, 2 to 8]\n"
        "  -h, --help                  show this text\n";
    struct sbuf b = {.text = text, .size = sizeof text, .len = sizeof text - 1};

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

/* Takes our own options out of argv. */
static int split(int argc, char **argv, struct mcp_options *o, struct err *e)
{
    for (int i = 0; i < argc; i++) {
        const char *w = argv[i];
        int n = 0;
        if (strcmp(w, "--rooms") == 0)
            n = rooms_set(argv[++i], &o->rooms, e);
        else if (strncmp(w, "--rooms=", 8) == 0)
            n = rooms_set(w + 8, &o->rooms, e);
        else if (strcmp(w, "--help") == 0 || strcmp(w, "-h") == 0)
            o->help = true;
        else if (o->count == WORDS_MAX)
            n = err_set(e, ERR_USAGE, 0, "mcp: more than %d words", WORDS_MAX);
        else
            o->words[o->count++] = argv[i];
        if (n < 0)
            return n;
    }
    return 0;
}

/* Options that have no meaning where nobody watches a single run. */
static int check(const struct run_options *r, char **words, struct err *e)
{
    for (char **w = words; *w; w++) {
        if (strcmp(*w, "--") == 0)
            return err_set(e, ERR_USAGE, 0, "mcp: takes no command: the agent says what runs");
    }
    if (r->dry_run || r->explain || r->json || r->quiet || r->trace_steps || r->result_path ||
        r->result_fd >= 0 || r->policy->tty == TTY_YES || r->policy->interactive) {
        err_set(e, ERR_USAGE, 0, "mcp: one of the options is about the output of a single run");
        return err_hint(e, "leave out --dry-run, --explain, --json, --quiet, --trace-steps, --result, --tty");
    }
    return 0;
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

/* Becomes the helper; returns only on failure. */
static int become(const char *job, const char *facts, char **words, struct err *e)
{
    char helper[PATH_MAX], self[PATH_MAX];
    char *argv[WORDS_MAX + 5];
    size_t n = 0;

    int r = find_helper(helper, sizeof helper, e);
    if (r < 0)
        return r;
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return err_set(e, ERR_IO, errno, "mcp: find the path of strongroom itself");
    self[len] = '\0';
    argv[n++] = (char *)(uintptr_t)HELPER;
    argv[n++] = (char *)(uintptr_t)job;
    argv[n++] = self;
    argv[n++] = (char *)(uintptr_t)facts;
    for (; *words; words++)
        argv[n++] = *words;
    argv[n] = NULL;
    execv(helper, argv);
    return err_set(e, ERR_IO, errno, "mcp: start %s", helper);
}

int verb_mcp(int argc, char **argv)
{
    static struct mcp_options o;
    struct run_options r;
    struct err e = {0};
    char facts[FACTS_SIZE];
    struct sbuf b = SBUF(facts);

    if (split(argc, argv, &o, &e) < 0)
        return say_error(&e);
    if (o.help)
        return usage();
    if (options_parse_policy(o.count, o.words, &r, &e) < 0)
        return say_error(&e);
    int n = check(&r, o.words, &e);
    if (n == 0) {
        write_facts(r.policy, &o, &b);
        say_notes(&r);
    }
    options_free(&r);
    if (n == 0)
        (void)become("serve", facts, o.words + 1, &e);
    return say_error(&e);
}
