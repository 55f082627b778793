/* hook: rewrites a shell command of Claude Code (PreToolUse) so that it runs in a room.
 *
 * Every command is wrapped, also one that seems to be wrapped already: what the agent writes proves nothing. What is
 * not understood is refused by status 2, for a hook that fails must not let a command through. The question is what an
 * agent writes: a child reads and answers it, confined as the server is, and asks us one thing, whether a folder may be
 * shown.
 *
 * Lives in: strongroom-mcp, started by the agent for each command. Trusts: the user's options.
 * Must not: run anything, read a byte of the question outside of the child. */
#include "mcp/hook.h"
#include "mcp/confine.h"
#include "sys/fd.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUESTION_MAX (8 << 20)
#define REFUSE       2
#define FOLDER_MAX   4096

static int parent = -1; /* the child's way to ask */

static int refuse(const char *why)
{
    fprintf(stderr, "strongroom: hook: %s; the command was not run\n", why);
    return REFUSE;
}

static char *read_question(size_t *ret_len)
{
    char *text = malloc(QUESTION_MAX + 1);
    size_t len = 0;

    while (text && len <= QUESTION_MAX) {
        const ssize_t n = read(STDIN_FILENO, text + len, QUESTION_MAX + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            *ret_len = len;
            if (n == 0)
                return text;
            break;
        }
        len += (size_t)n;
    }
    free(text);
    return NULL;
}

/* 'word', with each ' as '\'' */
static void put_word(FILE *out, const char *word)
{
    fputs(" '", out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

/* Of the parent. */
static bool plain_folder(const char *cwd)
{
    const char *home = getenv("HOME");
    char real[FOLDER_MAX];

    if (cwd[0] != '/' || !realpath(cwd, real) || strcmp(real, "/") == 0)
        return false;
    char *real_home = home ? realpath(home, NULL) : NULL;
    const size_t n = strlen(real);
    /* Neither the home itself nor a folder that holds it. */
    const bool inside =
        real_home && strncmp(real_home, real, n) == 0 && (real_home[n] == '/' || real_home[n] == '\0');
    free(real_home);
    return !inside;
}

/* Of the child, which sees no folder. */
static bool may_be_shown(const char *cwd)
{
    const size_t n = cwd ? strlen(cwd) : 0;
    char yes = 0;

    return n > 0 && n < FOLDER_MAX && write(parent, cwd, n) == (ssize_t)n && read(parent, &yes, 1) == 1 &&
           yes;
}

static char *wrap(const char *program, const char *folder, const char *cwd, char **words, const char *command)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    put_word(out, program);
    fputs(" run", out);
    for (; *words; words++)
        put_word(out, *words);
    fputs(" --args none", out);
    if (strcmp(folder, "none") != 0) {
        fprintf(out, " --%s", folder);
        put_word(out, cwd);
        fputs(" -C", out);
        put_word(out, cwd);
    }
    fputs(" -- bash -c", out);
    put_word(out, command);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int answer(json_t *input, const char *decision, const char *wrapped)
{
    json_t *updated = json_copy(input);

    (void)json_object_set_new(updated, "command", json_string(wrapped + 1));
    json_t *o = json_pack("{s:{s:s, s:s, s:s, s:o}}", "hookSpecificOutput", "hookEventName", "PreToolUse",
                          "permissionDecision", decision, "permissionDecisionReason",
                          "runs in a room of strongroom", "updatedInput", updated);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    const bool said = text && fd_write_all(STDOUT_FILENO, text, strlen(text)) == 0 &&
                      fd_write_all(STDOUT_FILENO, "\n", 1) == 0;

    free(text);
    json_decref(o);
    return said ? 0 : refuse("the answer could not be written");
}

static int decide(const char *program, char **words, const json_t *q)
{
    const char *tool = json_string_value(json_object_get(q, "tool_name"));
    const char *cwd = json_string_value(json_object_get(q, "cwd"));
    json_t *input = json_object_get(q, "tool_input");
    const json_t *value = json_object_get(input, "command");
    const char *command = json_string_value(value), *folder = words[1];
    const char *event = json_string_value(json_object_get(q, "hook_event_name"));

    if (event && strcmp(event, "PreToolUse") != 0)
        return refuse(
            "the question comes too late or too early: this is a hook for PreToolUse"); /* it would be unheard */
    if (!tool)
        return refuse("the question names no tool");
    if (strcmp(tool, "Bash") != 0)
        return 0; /* no shell command: none of our business */
    if (!command || strlen(command) != json_string_length(value))
        return refuse("the question holds no command");
    if (strcmp(folder, "none") != 0 && !may_be_shown(cwd))
        return refuse(
            "the working directory is not there, or is /, or holds the home directory, which a room "
            "must not show whole (--folder none shows nothing)");
    char *wrapped = wrap(program, folder, cwd, words + 2, command);
    const int status = wrapped ? answer(input, words[0], wrapped) : refuse("no memory");
    free(wrapped);
    return status;
}

static int answer_confined(const char *program, char **words)
{
    const char *what = "";
    size_t len = 0;

    if (server_confine(&what) < 0)
        return refuse("what reads the question could not be confined");
    char *text = read_question(&len);
    json_t *q = text ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const int status = json_is_object(q) ? decide(program, words, q) : refuse("the question is not JSON");

    json_decref(q);
    free(text);
    return status;
}

/* Until the child has gone. */
static void answer_child(int child)
{
    char cwd[FOLDER_MAX];
    ssize_t n;

    while ((n = read(child, cwd, sizeof cwd - 1)) > 0) {
        cwd[n] = '\0';
        const char yes = memchr(cwd, '\0', (size_t)n) == NULL && plain_folder(cwd);
        if (write(child, &yes, 1) != 1)
            return;
    }
}

int hook_run(const char *program, char **words)
{
    int pair[2], status = 0;

    json_object_seed(0); /* it reads a file for that, which the child cannot */
    if (fd_frame_pair(pair) < 0)
        return refuse("no socket");
    const pid_t pid = fork();
    if (pid == 0) {
        fd_close(&pair[0]);
        parent = pair[1];
        _exit(answer_confined(program, words));
    }
    fd_close(&pair[1]);
    if (pid < 0)
        return refuse("no process");
    answer_child(pair[0]);
    fd_close(&pair[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : refuse("what read the question was ended by a signal");
}
