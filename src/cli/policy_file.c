/* policy_file: profiles, policy files, settings, the project's policy, environment files.
 *
 * Lives in: strongroom, before anything is built. Trusts: the directories of profiles; nothing of a file's content.
 * May: open files that were named, search for profiles. Must not: parse YAML or JSON itself (policy_reader.h). */
#include "cli/policy_file.h"
#include "cli/policy_reader.h"
#include "policy/env.h"
#include "policy/nearest.h"
#include "policy/records.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENV_FILE_MAX (1 << 20)

/* What one call of policy_files_apply() works with. */
struct loader {
    struct policy *p;
    const char *cwd, *home;
    const struct policy_notes *notes;
};

int policy_files_add(struct policy_files *files, const char *option, const char *value, struct err *e)
{
    if (value[0] == '\0')
        return err_set(e, ERR_USAGE, 0, "--%s: empty value", option);
    if (strnlen(value, PATH_MAX) == PATH_MAX)
        return err_set(e, ERR_USAGE, 0, "--%s: value is longer than %d bytes", option, PATH_MAX - 1);
    if (files->count == POLICY_FILES_MAX)
        return err_set(e, ERR_USAGE, 0, "--%s: more than %d files", option, POLICY_FILES_MAX);
    files->words[files->count++] = (struct policy_file_word){.option = option, .value = value};
    return 0;
}

static bool ends_in(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n > t && strcmp(s + n - t, tail) == 0;
}

bool policy_word_is_file(const char *word)
{
    return strchr(word, '/') || ends_in(word, ".yaml") || ends_in(word, ".yml");
}

/* Opens for reading what is not a directory; waits for nobody. */
static int open_file(const char *path, int extra, struct stat *ret_st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | extra);

    if (fd < 0)
        return -errno;
    if (fd < 3) { /* a closed stdio would mix them up with the reader's own */
        int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        close(fd);
        fd = higher;
    }
    if (fd < 0 || fstat(fd, ret_st) < 0 || fcntl(fd, F_SETFL, 0) < 0) {
        int r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    if (S_ISDIR(ret_st->st_mode)) {
        close(fd);
        return -EISDIR;
    }
    return fd;
}

/* One place of profiles; -ENOENT when the name is not there or is `not_this`. */
static int try_profile(const char *dir, const char *tail, const char *name, const char *not_this, char *ret)
{
    int n = snprintf(ret, PATH_MAX, "%s%s/%s.yaml", dir, tail, name);

    if (n < 0 || n >= PATH_MAX || (not_this && strcmp(ret, not_this) == 0) || access(ret, F_OK) < 0)
        return -ENOENT;
    return 0;
}

static int profile_unknown(const char *name, struct err *e)
{
    static const char *const shipped[] = {"default", "python", "node", "build", "locked"};
    struct nearest n = {.given = name};

    for (size_t i = 0; i < sizeof shipped / sizeof *shipped; i++)
        nearest_offer(&n, shipped[i]);
    err_set(e, ERR_USAGE, 0, "--policy: no profile is called \"%.60s\"", name);
    if (n.best)
        return err_hint(e, "did you mean %s?", n.best);
    return err_hint(
        e, "profiles are NAME.yaml in ~/.config/strongroom or /etc/strongroom; a file is named with a slash");
}

/* The user's profiles come first, then the system's, then the shipped ones. A profile may extend the next one of its
 * own name (`not_this` is where the search must not end). */
static int find_profile(const struct loader *l, const char *name, const char *not_this, char *ret,
                        struct err *e)
{
    static const char installed[] = STRONGROOM_DATADIR "/policies";
    static const char *const shipped[] = {"../share/strongroom/policies", "../policies", "../../policies",
                                          installed, NULL};
    const char *config = getenv("XDG_CONFIG_HOME");
    char file[NAME_MAX + 8];

    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != '\0' ||
        name[0] == '.' || strlen(name) >= NAME_MAX) {
        err_set(e, ERR_USAGE, 0, "--policy: \"%.60s\": not a profile's name", name);
        return err_hint(e, "a file is named with a slash, such as ./%.60s", name);
    }
    if (config && config[0] == '/' && try_profile(config, "/strongroom", name, not_this, ret) == 0)
        return 0;
    if (!(config && config[0] == '/') && l->home && l->home[0] == '/' &&
        try_profile(l->home, "/.config/strongroom", name, not_this, ret) == 0)
        return 0;
    if (try_profile("/etc", "/strongroom", name, not_this, ret) == 0)
        return 0;
    (void)snprintf(file, sizeof file, "%s.yaml", name);
    if (beside_program(shipped, file, ret, PATH_MAX) == 0 && !(not_this && strcmp(ret, not_this) == 0))
        return 0;
    return profile_unknown(name, e);
}

/* Where `extends: word` in the file `from` leads. */
static int find_extended(const struct loader *l, const char *from, const char *word, char *ret, struct err *e)
{
    const char *slash = strrchr(from, '/');
    size_t dir = word[0] != '/' && slash ? (size_t)(slash - from) + 1 : 0;

    if (!policy_word_is_file(word))
        return find_profile(l, word, from, ret, e);
    if (dir + strlen(word) >= PATH_MAX)
        return err_set(e, ERR_POLICY, 0, "%s: extends: path is too long", from);
    memcpy(ret, from, dir);
    memcpy(ret + dir, word, strlen(word) + 1);
    return 0;
}

/* Asks the reader about one file. A project's file must be a plain file of that very name; -ENOENT without e when it
 * is not there. */
static int ask(const struct loader *l, enum policy_source source, const char *path, const char *format,
               char **ret, size_t *ret_len, struct err *e)
{
    bool project = source == SOURCE_PROJECT;
    struct stat st;
    int fd = open_file(path, project ? O_NOFOLLOW : 0, &st);

    if (fd == -ENOENT && project)
        return -ENOENT;
    if (fd < 0) {
        err_set(e, ERR_POLICY, -fd, "read %s: %s", strcmp(format, "srt") == 0 ? "settings" : "policy", path);
        return project ? err_hint(e, "it was found in the current directory: mend or remove it") : fd;
    }
    if (project && !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, ERR_POLICY, 0, "read policy: %s: not a plain file", path);
    }
    int r = policy_reader_ask(path, fd, format, l->cwd, l->home, ret, ret_len, e);
    close(fd);
    return r;
}

/* A file and what it extends, read from the top down and applied from the bottom up. */
struct chain {
    size_t count;
    struct link {
        char path[PATH_MAX];
        char *answer;
        size_t len;
    } at[POLICY_EXTENDS_MAX + 1];
};

static int chain_read(const struct loader *l, enum policy_source source, struct chain *c, struct err *e)
{
    for (;;) {
        struct link *f = &c->at[c->count];
        const char *word;
        unsigned line;

        int r = ask(l, source, f->path, "yaml", &f->answer, &f->len, e);
        if (r < 0)
            return r;
        c->count++;
        r = records_extends(f->path, f->answer, f->len, &word, &line, e);
        if (r < 0 || !word)
            return r;
        if (source == SOURCE_PROJECT)
            return err_set(e, ERR_POLICY, 0, "%s:%u: extends: a project's policy stands alone", f->path,
                           line);
        if (c->count > POLICY_EXTENDS_MAX) {
            err_set(e, ERR_POLICY, 0, "%s:%u: extends: in a circle, or more than %d deep", f->path, line,
                    POLICY_EXTENDS_MAX);
            return -EINVAL;
        }
        r = find_extended(l, f->path, word, c->at[c->count].path, e);
        if (r < 0)
            return r;
    }
}

static int load_yaml(const struct loader *l, enum policy_source source, const char *path, struct err *e)
{
    struct chain *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return err_set(e, ERR_INTERNAL, ENOMEM, "read policy: %s", path);
    (void)snprintf(c->at[0].path, sizeof c->at[0].path, "%s", path); /* bounded by policy_files_add() */
    r = chain_read(l, source, c, e);
    for (size_t i = c->count; i > 0 && r == 0; i--)
        r = records_apply(l->p, source, c->at[i - 1].path, c->at[i - 1].answer, c->at[i - 1].len,
                          l->notes->note, l->notes->ctx, e);
    for (size_t i = 0; i < c->count; i++)
        free(c->at[i].answer);
    free(c);
    if (r < 0 && e->hint[0] == '\0' && ends_in(path, ".json"))
        return err_hint(e, "settings of sandbox-runtime are read with --settings %.200s", path);
    return r;
}

static int load_settings(const struct loader *l, const char *path, struct err *e)
{
    char *answer;
    size_t len;
    int r = ask(l, SOURCE_FILE, path, "srt", &answer, &len, e);

    if (r < 0)
        return r;
    r = records_apply(l->p, SOURCE_FILE, path, answer, len, l->notes->note, l->notes->ctx, e);
    free(answer);
    return r;
}

static int load_env_file(const struct loader *l, const char *path, struct err *e)
{
    struct stat st;
    size_t len = 0;
    int fd = open_file(path, 0, &st);

    if (fd < 0)
        return err_set(e, ERR_USAGE, -fd, "--env-file: read %s", path);
    char *text = malloc(ENV_FILE_MAX + 1);
    int r = text ? 0 : -ENOMEM;
    while (r == 0 && len <= ENV_FILE_MAX) {
        ssize_t n = read(fd, text + len, ENV_FILE_MAX + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = -errno;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fd);
    if (r < 0)
        err_set(e, ERR_USAGE, -r, "--env-file: read %s", path);
    else if (len > ENV_FILE_MAX)
        r = err_set(e, ERR_USAGE, 0, "--env-file: %s: larger than %d KiB", path, ENV_FILE_MAX >> 10);
    else
        r = env_file_apply(l->p, path, text, len, e);
    free(text);
    return r;
}

static int load_word(const struct loader *l, const struct policy_file_word *w, enum policy_source source,
                     struct err *e)
{
    bool policy = strcmp(w->option, "policy") == 0, settings = strcmp(w->option, "settings") == 0;
    char path[PATH_MAX];

    if (policy && policy_word_is_file(w->value))
        return source == SOURCE_FILE ? load_yaml(l, source, w->value, e) : 0;
    if (policy && source == SOURCE_PROFILE) {
        int r = find_profile(l, w->value, NULL, path, e);
        return r < 0 ? r : load_yaml(l, source, path, e);
    }
    if (settings && source == SOURCE_FILE)
        return load_settings(l, w->value, e);
    if (!policy && !settings && source == SOURCE_FLAG)
        return load_env_file(l, w->value, e);
    return 0;
}

/* Nearly no folder has one, and every start asks: so before anything is got ready to read it. A link counts as one. */
static bool has_project_file(void)
{
    struct stat st;
    return fstatat(AT_FDCWD, POLICY_PROJECT_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int policy_files_apply(const struct policy_files *files, struct policy *p, const char *cwd, const char *home,
                       const struct policy_notes *notes, struct err *e)
{
    const struct loader l = {.p = p, .cwd = cwd, .home = home, .notes = notes};
    static const enum policy_source order[] = {SOURCE_PROFILE, SOURCE_FILE, SOURCE_PROJECT, SOURCE_FLAG};
    int r = 0;

    for (size_t k = 0; k < sizeof order / sizeof *order && r == 0; k++) {
        if (order[k] == SOURCE_PROJECT && has_project_file()) {
            r = load_yaml(&l, SOURCE_PROJECT, POLICY_PROJECT_FILE, e);
            r = r == -ENOENT ? 0 : r;
        }
        for (size_t i = 0; i < files->count && r == 0; i++)
            r = load_word(&l, &files->words[i], order[k], e);
    }
    return r;
}

static int check_into(struct policy *p, const char *word, const struct policy_notes *notes, struct err *e)
{
    char cwd[PATH_MAX];
    const struct loader l = {.p = p, .cwd = getcwd(cwd, sizeof cwd), .home = getenv("HOME"), .notes = notes};
    const char *slash = strrchr(word, '/');
    struct policy_files one = {0};
    bool project = strcmp(slash ? slash + 1 : word, POLICY_PROJECT_FILE) == 0;

    policy_set_base(p, l.cwd, l.home);
    int r = policy_files_add(&one, ends_in(word, ".json") ? "settings" : "policy", word, e);
    if (r == 0 && project)
        r = load_yaml(&l, SOURCE_PROJECT, word, e);
    else if (r == 0)
        r = load_word(&l, one.words,
                      ends_in(word, ".json") || policy_word_is_file(word) ? SOURCE_FILE : SOURCE_PROFILE, e);
    if (r == -ENOENT && project)
        return err_set(e, ERR_POLICY, ENOENT, "read policy: %s", word);
    return r < 0 ? r : policy_check(p, notes->note, notes->ctx, e);
}

int policy_file_check(const char *word, const struct policy_notes *notes, struct err *e)
{
    struct policy *p = policy_new();

    if (!p)
        return err_set(e, ERR_INTERNAL, ENOMEM, "policy: no memory");
    int r = check_into(p, word, notes, e);
    policy_free(p);
    return r;
}
