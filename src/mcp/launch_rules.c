/* launch_rules: the command lines that a server which speaks with a client may have run.
 *
 * Theory of operation. The server is confined, but it has strongroom started, and that is not. So each command line
 * must be one that the tools make: a verb, the user's own options where it makes a room, and behind them only words of
 * the table below, with numbers that are within what the user allowed. Whoever takes the server over can do with this
 * what an agent may ask for anyway.
 *
 * Lives in: the launcher; unit tests. Trusts: no word. Pure. */
#include "mcp/launch.h"

#include <stddef.h>
#include <string.h>

/* Verbs, as a letter each. */
enum {
    RUN = 'r',
    EXEC = 'e',
    JOB = 'j',
    WHY = 'w',
    PS = 'p',
    RENEW = 'n',
    RM = 'k',
    REVIEW = 'v',
    APPLY = 'a'
};

static const struct {
    const char *name;
    char letter;
} verbs[] = {{"run", RUN},     {"exec", EXEC}, {"job", JOB},       {"why", WHY},    {"ps", PS},
             {"renew", RENEW}, {"rm", RM},     {"review", REVIEW}, {"apply", APPLY}};

/* Which words may stand in front of "--", or at all. In a form, # is a number, @ the handle of a sandbox, & the name
 * of a change, $ a name, the sign = and any text, * any text. */
static const struct {
    const char *verbs, *form;
} rows[] = {
    {"r", "--args"},
    {"r", "none"},
    {"r", "--quiet"},
    {"r", "--memory=#M"},
    {"r", "--prefer=memory"},
    {"r", "--explain"},
    {"r", "--reply-fd=4"},
    {"r", "--detach"},
    {"r", "--offline"},
    {"r", "--name=@"},
    {"e", "--interpreter=*"},
    {"e", "--output=#"},
    {"re", "--timeout=#s"},
    {"rej", "--result-fd=3"},
    {"rej", "--env=$"},
    {"ej", "--workdir=*"},
    {"ejnk", "@"},
    {"n", "#s"},
    {"j", "#"},
    {"j", "start"},
    {"j", "list"},
    {"j", "output"},
    {"j", "input"},
    {"j", "kill"},
    {"j", "--script"},
    {"j", "--stderr"},
    {"j", "--close"},
    {"j", "--offset=#"},
    {"j", "--limit=#"},
    {"j", "--signal=#"},
    {"jp", "--json"},
    {"v", "--no-pager"},
    {"a", "--only-clean"},
    {"va", "&"},
};

static size_t number(const char *word)
{
    return strspn(word, "0123456789");
}

static size_t handle(const char *word)
{
    const size_t n = strncmp(word, "sbx-", 4) == 0 ? strspn(word + 4, "0123456789abcdef") : 0;
    return n == 32 ? 4 + n : 0;
}

static size_t change(const char *word)
{
    return *word == '-' ? 0 : strspn(word, "0123456789abcdefghijklmnopqrstuvwxyz-");
}

/* Without the sign it would be the user's own variable of that name. */
static size_t variable(const char *word)
{
    const size_t n = strcspn(word, "=");
    return n > 0 && word[n] == '=' ? strlen(word) : 0;
}

static bool fits(const char *form, const char *word)
{
    for (; *form; form++) {
        if (*form == '*')
            return true;
        const size_t n = *form == '#'   ? number(word)
                         : *form == '@' ? handle(word)
                         : *form == '&' ? change(word)
                         : *form == '$' ? variable(word)
                                        : *word == *form;
        if (n == 0)
            return false;
        word += n;
    }
    return *word == '\0';
}

static bool may_stand(char verb, const char *word)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strchr(rows[i].verbs, verb) && fits(rows[i].form, word))
            return true;
    }
    return false;
}

/* The number in it, from `at` on, is at most that; 0: any. */
static bool within(const char *at, int64_t most)
{
    int64_t n = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (n > (INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (*at - '0');
    }
    return most == 0 || (n > 0 && n <= most);
}

static bool has(char *const *argv, const char *word)
{
    for (; *argv && strcmp(*argv, "--") != 0; argv++) {
        if (strcmp(*argv, word) == 0)
            return true;
    }
    return false;
}

/* What says how much a room may have. */
static bool is_within(const struct launch_rules *r, char verb, const char *word, bool lives)
{
    if (verb == RUN && strncmp(word, "--timeout=", 10) == 0)
        return within(word + 10, lives ? r->lifetime_s : r->timeout_s);
    if (verb == RUN && strncmp(word, "--memory=", 9) == 0)
        return within(word + 9, r->memory_mb);
    if (strcmp(word, "--prefer=memory") == 0)
        return r->prefers_memory;
    return verb != RENEW || *word == 's' || within(word, r->lifetime_s);
}

/* The user's own options stand at *at, all of them. */
static bool takes_users(const struct launch_rules *r, char *const **at)
{
    for (char **word = r->user; *word; word++, (*at)++) {
        if (!**at || strcmp(**at, *word) != 0)
            return false;
    }
    return true;
}

static char letter_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].letter;
    }
    return '\0';
}

bool launch_allowed(const struct launch_rules *r, char *const *argv)
{
    if (!argv[0] || strcmp(argv[0], "strongroom") != 0)
        return false;
    const char verb = letter_of(argv[1]);
    if (!verb || (verb == APPLY && !r->may_apply))
        return false;
    char *const *at = argv + 2;
    if (verb == WHY) {
        if (!*at || **at == '-' || **at == '\0')
            return false;
        at++;
        return takes_users(r, &at) && !*at;
    }
    if (verb == RUN && !takes_users(r, &at))
        return false;
    const bool lives = has(at, "--detach");
    for (; *at && strcmp(*at, "--") != 0; at++) {
        if (!may_stand(verb, *at) || !is_within(r, verb, *at, lives))
            return false;
    }
    return !*at || strchr("reva", verb) != NULL; /* what stands behind it is a program's, or names of files */
}
