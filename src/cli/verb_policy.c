/* verb_policy: `strongroom policy check|show|explain`.
 *
 * Lives in: strongroom. Trusts: nothing of argv. May: read the files that are named. Must not: build a room. */
#include "cli/options.h"
#include "cli/policy_file.h"
#include "cli/say.h"
#include "cli/verbs.h"
#include "policy/nearest.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void tell(void *ctx, const char *text)
{
    char line[1024];
    struct sbuf b = SBUF(line);

    (void)ctx;
    sbuf_fmt(&b, "strongroom: note: %s\n", text);
    say_stderr(&b);
}

/* `policy check FILE|NAME...`: each is told; one bad one makes the status. */
static int check(int argc, char **argv)
{
    const struct policy_notes notes = {.note = tell};
    int status = 0;

    if (argc < 2) {
        struct err e = {0};
        err_set(&e, ERR_USAGE, 0, "policy check: no file given");
        err_hint(&e, "strongroom policy check FILE|NAME...");
        return say_error(&e);
    }
    for (int i = 1; i < argc; i++) {
        struct err e = {0};
        char line[1024];
        struct sbuf b = SBUF(line);
        int r = policy_file_check(argv[i], &notes, &e);
        if (r < 0) {
            status = say_error(&e);
            continue;
        }
        sbuf_escaped(&b, argv[i]);
        sbuf_text(&b, ": ok\n");
        r = say_stdout(&b);
        status = r ? r : status;
    }
    return status;
}

static int print(const struct run_options *o, bool explain)
{
    char hash[POLICY_HASH_MAX];
    size_t size = policy_text_size(o->policy) + 128;
    char *text = malloc(size);
    struct sbuf b = {.text = text, .size = size};
    struct err e = {0};

    if (!text) {
        err_set(&e, ERR_INTERNAL, ENOMEM, "policy: no memory");
        return say_error(&e);
    }
    text[0] = '\0';
    (explain ? policy_explain : policy_text)(o->policy, &b);
    policy_hash(o->policy, hash);
    sbuf_fmt(&b, "# hash %s\n", hash);
    int status = say_stdout(&b);
    free(text);
    return status;
}

static void tell_notes(const struct run_options *o)
{
    for (const char *at = o->notes; *at && !o->quiet;) {
        char line[1024];
        size_t n = strcspn(at, "\n");
        struct sbuf b = SBUF(line);
        sbuf_bytes(&b, at, n);
        tell(NULL, line);
        at += n + (at[n] == '\n');
    }
}

/* `policy show|explain [options of run]`: the policy that a room would have. */
static int show(int argc, char **argv, bool explain)
{
    struct run_options o;
    struct err e = {0};

    if (options_parse_policy(argc, argv, &o, &e) < 0)
        return say_error(&e);
    if (o.help) {
        static char text[16384];
        struct sbuf b = SBUF(text);
        sbuf_fmt(&b, "Usage: strongroom policy %s [OPTION...]\n\n", argv[0]);
        options_help(&b);
        return say_stdout(&b);
    }
    tell_notes(&o);
    int status = print(&o, explain);
    options_free(&o);
    return status;
}

int verb_policy(int argc, char **argv)
{
    static const char *const words[] = {"check", "show", "explain"};
    const char *word = argc > 1 ? argv[1] : "";
    struct nearest n = {.given = word};
    struct err e = {0};

    if (strcmp(word, "check") == 0)
        return check(argc - 1, argv + 1);
    if (strcmp(word, "show") == 0 || strcmp(word, "explain") == 0)
        return show(argc - 1, argv + 1, word[0] == 'e');
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        char text[] = "Usage: strongroom policy check FILE|NAME...\n"
                      "       strongroom policy show [OPTION...]\n"
                      "       strongroom policy explain [OPTION...]\n";
        struct sbuf b = {.text = text, .size = sizeof text, .len = sizeof text - 1};
        return say_stdout(&b);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        nearest_offer(&n, words[i]);
    err_set(&e, ERR_USAGE, 0, argc > 1 ? "policy: unknown word \"%.60s\"" : "policy: no word given%s", word);
    if (n.best)
        err_hint(&e, "did you mean strongroom policy %s?", n.best);
    else
        err_hint(&e, "strongroom policy check|show|explain");
    return say_error(&e);
}
