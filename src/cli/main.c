/* main: the way into the strongroom program.
 *
 * Lives in: the command itself, with the user's own rights.
 * Trusts: nothing of argv but that it is NUL-terminated. Must not: decide anything; verbs do. */
#include "cli/say.h"
#include "cli/verbs.h"
#include "sys/fd.h"
#include "sys/title.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct verb verbs[] = {
    {"run", "[OPTION…] [--] COMMAND [ARG…]", "run COMMAND in a room of its own", verb_run},
    {"review", "[OPTION…] [ID] [--] [PATH…]", "show what a room changed in a workspace", verb_review},
    {"apply", "[OPTION…] [ID] [--] [PATH…]", "make such changes real", verb_apply},
    {"undo", "[ID]", "take an apply back", verb_undo},
    {"discard", "[ID]", "forget changes", verb_discard},
    {"save", "NAME [ID]", "keep changes under a name, to begin rooms with", verb_save},
    {"ls", "[--json|--name-only]", "list the changes that are kept", verb_ls},
    {"prune", "[--older TIME] [--pending]", "forget old changes", verb_prune},
    {"exec", "[OPTION…] ROOM [--] COMMAND…", "run COMMAND in a room that lives (run --detach)", verb_exec},
    {"job", "start|list|output|input|kill ROOM …", "programs of a room whose output is kept", verb_job},
    {"cp", "[OPTION…] ROOM:SRC DST | SRC ROOM:DST", "copy out of a room that lives, or into it", verb_cp},
    {"ps", "[-q] [--json]", "list the rooms that live", verb_rooms},
    {"logs", "[-f] ROOM", "show what a room's program wrote", verb_logs},
    {"attach", "ROOM", "follow a room's program to its end", verb_logs},
    {"stats", "[--json] [ROOM…]", "show what rooms use", verb_rooms},
    {"pause", "ROOM…", "stop every process of a room", verb_rooms},
    {"resume", "ROOM…", "let a paused room go on", verb_rooms},
    {"renew", "ROOM TIME", "let a room live longer", verb_rooms},
    {"kill", "[-s SIGNAL] ROOM…", "end a room, or signal its program", verb_rooms},
    {"rm", "ROOM…", "end a room and wait until nothing of it is left", verb_rooms},
    {"policy", "check|show|explain …", "check a policy file; show what a room would have, and why",
     verb_policy},
    {"why", "HOST[:PORT] [OPTION…]", "would a room reach HOST? which rule says so", verb_why},
    {"learn", "[--open] [OPTION…] [--] COMMAND [ARG…]",
     "run COMMAND behind a closed gate, and print what it would need", verb_learn},
    {"allow", "ROOM RULE…", "open an endpoint for a running room that has a name", verb_rules},
    {"deny", "ROOM RULE…", "close an endpoint for a running room", verb_rules},
    {"withdraw", "ROOM RULE…", "take a rule of a running room back", verb_rules},
    {"rules", "[--json] ROOM", "list the rules of a running room", verb_rules},
    {"doctor", "[--json] [--fix [--dry-run]]", "try what rooms need of this host, and say how to mend it",
     verb_doctor},
    {"selftest", "[--attack] [--json]", "attack rooms on this host, and say which walls held", verb_selftest},
    {"mcp", "[install CLIENT] [OPTION…]", "serve agents: the Model Context Protocol on stdin and stdout",
     verb_mcp},
    {"hook", "[OPTION…]", "wrap an agent's own shell commands: a PreToolUse hook", verb_hook},
    {"completion", "bash", "print the completion words for a shell", verb_completion},
    {"version", "", "print the version", verb_version},
    {"help", "[VERB]", "print this, or the help of a verb", verb_help},
};
const size_t verb_count = sizeof verbs / sizeof *verbs;

int verb_version(int argc, char **argv)
{
    static char text[] = "strongroom " STRONGROOM_VERSION "\n";
    struct sbuf b = {.text = text, .size = sizeof text, .len = sizeof text - 1};
    (void)argc;
    (void)argv;
    return say_stdout(&b);
}

static const struct verb *find(const char *name)
{
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

int verb_help(int argc, char **argv)
{
    char text[4096];
    struct sbuf b = SBUF(text);
    const struct verb *v = argc > 1 ? find(argv[1]) : NULL;
    if (v && v->run != verb_help) {
        char *words[] = {argv[1], (char *)(uintptr_t) "--help", NULL};
        return v->run(2, words);
    }
    sbuf_text(&b, "Usage: strongroom VERB [ARG…]\n\n");
    for (size_t i = 0; i < verb_count; i++)
        sbuf_fmt(&b, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    sbuf_text(&b, "\n`strongroom VERB --help` tells more.\n");
    return say_stdout(&b);
}

/* Our static buffers are large and hardly touched. Where huge pages are handed out unasked (Debian's default), each
 * touch would cost two megabytes of zeroes, in time and for as long as a room idles. */
static void stay_small(void)
{
    extern char __bss_start[], _end[];
    const uintptr_t page = 4096, from = ((uintptr_t)__bss_start + page - 1) & ~(page - 1);
    const uintptr_t to = ((uintptr_t)_end + page - 1) & ~(page - 1);
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_NOHUGEPAGE); /* EINVAL: this kernel knows no huge pages */
}

int main(int argc, char **argv)
{
    struct err e = {0};
    stay_small();
    (void)signal(
        SIGXFSZ,
        SIG_IGN); /* the caller's bound of file sizes is an error value; rooms begin with it as it was */
    title_remember(argc, argv);
    int n = fd_fill_stdio();
    if (n < 0) {
        (void)err_set(&e, ERR_IO, -n, "open /dev/null in the place of a closed standard descriptor");
        return say_error(&e);
    }
    if (argc < 2) {
        (void)err_set(&e, ERR_USAGE, 0, "no verb given");
        (void)err_hint(&e, "strongroom run -- COMMAND; or strongroom help");
        return say_error(&e);
    }
    const struct verb *v = find(argv[1]);
    if (!v && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        v = find("help");
    if (!v && strcmp(argv[1], "--version") == 0)
        v = find("version");
    if (strcmp(argv[1], "skeleton") ==
        0) /* for the build and the installation: no row, so no help and no completion */
        return verb_skeleton(argc - 1, argv + 1);
    if (!v) {
        (void)err_set(&e, ERR_USAGE, 0, "unknown verb: %s", argv[1]);
        (void)err_hint(&e, "strongroom help lists them; to run a program: strongroom run -- %s", argv[1]);
        return say_error(&e);
    }
    return v->run(argc - 1, argv + 1);
}
