/* commit_changes: see commit_changes.h.
 *
 * Theory of operation. A repository is full of words that make git run programs: hooks, filters, fsmonitor, aliases,
 * included files, helpers of remotes, signing. So git runs in a room of its own, over a layer above the workspace,
 * without network and without anything else of the host's; it is told what was applied as a stream for fast-import,
 * which asks neither attributes nor the work tree; each of these words is overruled besides. Of what it leaves
 * behind, new objects, the branch, its log and the index become real, by the same apply as everything: all or nothing,
 * checked against what the host changed meanwhile, and undoable.
 * The index keeps what the user had staged: a merge of two trees leaves the rest of it alone, and refuses files that
 * are concerned. A file that had changes of the user's that no commit has, is refused too: they would be the agent's.
 *
 * Lives in: the command, after an apply. Trusts: the user's environment and git configuration for who commits; nothing
 * that the room says. */
#include "cli/commit_changes.h"
#include "base/sbuf.h"
#include "engine/engine.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GIT         "/usr/bin/git"
#define HEADS       "refs/heads/"
#define MESSAGE_MAX (64 << 10)
#define SAID_MAX    4096

static const char script[] =
    "set -eu\n"
    "cd \"$ROOM_DIR\"; export GIT_DIR=\"$PWD/.git\" GIT_WORK_TREE=\"$PWD\" LC_ALL=C\n"
    "export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0\n"
    "export GIT_NO_LAZY_FETCH=1 GIT_NO_REPLACE_OBJECTS=1 GIT_ALLOW_PROTOCOL=none GIT_OPTIONAL_LOCKS=0\n"
    "export GIT_EDITOR=false GIT_PAGER=cat GIT_SSH_COMMAND=false GIT_ASKPASS=false\n"
    "g() { " GIT " -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.untrackedCache=false \\\n"
    "  -c core.attributesFile=/dev/null -c core.excludesFile=/dev/null -c core.alternateRefsCommand=false "
    "\\\n"
    "  -c core.sparseCheckout=false -c core.preloadIndex=false -c gc.auto=0 -c maintenance.auto=false \\\n"
    "  -c commit.gpgSign=false -c gpg.program=false -c i18n.commitEncoding=UTF-8 -c safe.directory='*' "
    "\"$@\"; }\n"
    "fail() { printf '%s\\n' \"$1\" >&2; exit 9; }\n"
    "for m in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD rebase-merge rebase-apply; do\n"
    "  [ ! -e \".git/$m\" ] || fail \"the repository is in the middle of something else ($m)\"; done\n"
    "[ \"$(g symbolic-ref -q HEAD)\" = \"$ROOM_BRANCH\" ] || fail 'no branch is checked out'\n"
    "empty=$(g hash-object -w -t tree /dev/null)\n"
    "o() { GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x \\\n"
    "  g commit-tree -m x \"$empty\"; }\n"
    "old=$(g rev-parse -q --verify 'HEAD^{commit}') || old=\n"
    "base=${old:-$(o)}\n"
    "g update-ref refs/strongroom/old \"$base\"\n"
    "g fast-import --quiet --done >&2\n"
    "R=refs/strongroom\n"
    "[ \"$(g rev-parse $R/old^{tree})\" = \"$(g rev-parse $R/before^{tree})\" ] || fail \"not as in the last "
    "commit: $(\n"
    "  g diff-tree -r --name-only --no-ext-diff $R/old $R/before | head -n 3 | tr '\\n' ' ')\"\n"
    "export GIT_INDEX_FILE=/tmp/index\n"
    "g read-tree $R/new\n"
    "g diff-tree -r -z --no-renames --no-ext-diff --name-only --diff-filter=A $R/old $R/new |\n"
    "  g check-ignore -z --stdin --no-index >/tmp/ignored || [ $? = 1 ]\n"
    "g update-index -z --force-remove --stdin </tmp/ignored\n"
    "tree=$(g write-tree)\n"
    "unset GIT_INDEX_FILE\n"
    "[ \"$tree\" != \"$(g rev-parse $R/old^{tree})\" ] || fail 'nothing that git would keep was applied'\n"
    "g read-tree -m -i --no-sparse-checkout \"$(g rev-parse $R/old^{tree})\" \"$tree\" ||\n"
    "  fail 'something of the same files is staged'\n"
    "export GIT_AUTHOR_NAME=\"$ROOM_AUTHOR\" GIT_AUTHOR_EMAIL=\"$ROOM_AUTHOR_EMAIL\"\n"
    "name=$(g config user.name) || name=$ROOM_NAME; email=$(g config user.email) || email=$ROOM_EMAIL\n"
    "[ -z \"$ROOM_SAID\" ] || { name=$ROOM_NAME; email=$ROOM_EMAIL; }\n"
    "[ -n \"$name\" ] && [ -n \"$email\" ] || fail 'nobody says who commits (user.name, user.email)'\n"
    "export GIT_COMMITTER_NAME=\"$name\" GIT_COMMITTER_EMAIL=\"$email\"\n"
    "new=$(printf '%s\\n' \"$ROOM_MESSAGE\" | g commit-tree ${old:+-p \"$old\"} \"$tree\")\n"
    "g update-ref --create-reflog -m \"commit: strongroom apply\" HEAD \"$new\" \"$old\"\n"
    "printf '%s\\n' \"$new\"\n";

static struct {
    char branch[512];               /* "refs/heads/…" */
    char author[256], address[256]; /* of who changed */
    char name[256], email[256];     /* of who commits, as far as known outside */
    bool said;                      /* in the environment: counts more than what the repository says */
} known;

static bool one_line(const char *s)
{
    return s[strcspn(s, "\n\r<>")] == '\0';
}

/* "NAME <ADDRESS>" */
static int take_author(const char *word, struct err *e)
{
    const char *at = strstr(word, " <"), *end = strrchr(word, '>');
    struct sbuf name = SBUF(known.author), address = SBUF(known.address);
    if (at && end && end > at && end[1] == '\0' && at > word) {
        sbuf_bytes(&name, word, (size_t)(at - word));
        sbuf_bytes(&address, at + 2, (size_t)(end - at - 2));
    }
    if (name.len && address.len && !name.full && !address.full && one_line(known.author) &&
        one_line(known.address))
        return 0;
    err_set(e, ERR_USAGE, 0, "apply: --author %.80s: not of the form NAME <ADDRESS>", word);
    return err_hint(e, "as --author '" COMMIT_AUTHOR "'");
}

/* The value of `key` in the section [user] of a git configuration of the user's own; quotes go. */
static void take_setting(const char *text, const char *key, char *ret, size_t size)
{
    bool inside = false;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        line += strspn(line, " \t");
        if (*line == '[')
            inside = strncasecmp(line, "[user]", 6) == 0;
        const size_t n = strlen(key);
        if (!inside || strncasecmp(line, key, n) != 0)
            continue;
        const char *at = line + n + strspn(line + n, " \t");
        if (*at++ != '=')
            continue;
        at += strspn(at, " \t\"");
        size_t len = strcspn(at, "\n\r\"#;");
        while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        struct sbuf b = {.text = ret, .size = size};
        ret[0] = '\0';
        sbuf_bytes(&b, at, len);
    }
}

static void find_committer(void)
{
    static char text[64 << 10];
    char path[STORE_PATH_MAX];
    const char *name = getenv("GIT_COMMITTER_NAME"), *email = getenv("GIT_COMMITTER_EMAIL"),
               *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
    struct sbuf n = SBUF(known.name), m = SBUF(known.email);
    known.said = name && email && name[0] && email[0];
    if (known.said) {
        sbuf_text(&n, name);
        sbuf_text(&m, email);
        return;
    }
    for (int i = 0; i < 2; i++) { /* as git: the second counts more */
        struct sbuf b = SBUF(path);
        if (i == 0 && xdg && xdg[0] == '/')
            sbuf_fmt(&b, "%s/git/config", xdg);
        else if (home && home[0] == '/')
            sbuf_fmt(&b, "%s/%s", home, i == 0 ? ".config/git/config" : ".gitconfig");
        if (b.len == 0 || b.full || fd_read_file(AT_FDCWD, path, text, sizeof text) < 0)
            continue;
        take_setting(text, "name", known.name, sizeof known.name);
        take_setting(text, "email", known.email, sizeof known.email);
    }
}

/* The branch that .git/HEAD names. */
static int find_branch(const struct changes *c, struct err *e)
{
    char text[sizeof known.branch + 8];
    struct sbuf b = SBUF(known.branch);
    FD_AUTO git = openat(c->lower, ".git", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = git < 0 ? -1 : fd_read_file(git, "HEAD", text, sizeof text);
    if (n < 0) {
        err_set(e, ERR_USAGE, 0, "apply --commit: %s is not the top folder of a git repository", c->meta.dir);
        return err_hint(e, "apply without --commit, and commit by hand");
    }
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "ref: " HEADS, sizeof "ref: " HEADS - 1) == 0)
        sbuf_text(&b, text + 5);
    if (b.len > sizeof HEADS - 1 && !b.full && !strstr(known.branch, "..") && !strstr(known.branch, "//") &&
        !strstr(known.branch, "/."))
        return 0;
    err_set(e, ERR_USAGE, 0, "apply --commit: no branch is checked out in %s", c->meta.dir);
    return err_hint(e, "git switch BRANCH, and apply again");
}

int commit_ready(const struct changes *c, const struct commit_words *w, struct err *e)
{
    const size_t len = strlen(w->message);
    if (take_author(w->author ? w->author : COMMIT_AUTHOR, e) < 0)
        return -EINVAL;
    if (len == 0 || len > MESSAGE_MAX || strspn(w->message, " \t\n") == len) {
        err_set(e, ERR_USAGE, 0, "apply: --commit: %s message",
                len > MESSAGE_MAX ? "too long a" : "an empty");
        return err_hint(e, "wanted --commit MESSAGE");
    }
    if (access(GIT, X_OK) < 0) {
        err_set(e, ERR_IO, errno, "apply --commit: run " GIT);
        return err_hint(e, "install git, or apply without --commit");
    }
    if (find_branch(c, e) < 0)
        return -EINVAL;
    find_committer();
    if (one_line(known.name) && one_line(known.email))
        return 0;
    err_set(e, ERR_USAGE, 0, "apply --commit: the committer's name and address cannot be used");
    return err_hint(e, "set GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL");
}

/* --- the room ------------------------------------------------------------------------------------------- */

static int keep_text(void *ctx, const struct tree_report *r)
{
    return r->type == TREE_TEXT ? fd_write_all(*(int *)ctx, r->text, r->size) : 0;
}

static int set_variable(struct policy *p, const char *name, const char *value, struct err *e)
{
    static char word[MESSAGE_MAX + 64];
    struct sbuf b = SBUF(word);
    sbuf_fmt(&b, "%s=", name);
    sbuf_text(&b, value);
    return policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "env", word, e);
}

static int fill_policy(struct policy *p, const struct changes *c, const struct commit_words *w, struct err *e)
{
    const struct {
        const char *name, *value;
    } words[] = {{"workspace", c->meta.dir}, {"apply", "never"}, {"disk", "2G"},  {"inodes", "1000000"},
                 {"file-size", "2G"},        {"timeout", "10m"}, {"args", "none"}},
      env[] = {
          {"ROOM_DIR", c->meta.dir},     {"ROOM_BRANCH", known.branch},         {"ROOM_MESSAGE", w->message},
          {"ROOM_AUTHOR", known.author}, {"ROOM_AUTHOR_EMAIL", known.address},  {"ROOM_NAME", known.name},
          {"ROOM_EMAIL", known.email},   {"ROOM_SAID", known.said ? "yes" : ""}};
    int r = 0;
    policy_set_base(p, "/", NULL);
    for (size_t i = 0; i < sizeof words / sizeof *words && r == 0; i++)
        r = policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, words[i].name, words[i].value, e);
    for (size_t i = 0; i < sizeof env / sizeof *env && r == 0; i++)
        r = set_variable(p, env[i].name, env[i].value, e);
    if (r == 0 && strcmp(c->meta.upper, "copy") == 0) /* no overlay could be had there */
        r = policy_set(p, SOURCE_FLAG, POLICY_COMMAND_LINE, 0, "copy-workspaces", NULL, e);
    return r < 0 ? r : policy_check(p, NULL, NULL, e);
}

/* Runs it with these three descriptors in the place of ours. */
static int run_room(struct policy *p, const int fds[3], struct result *result, struct err *e)
{
    static char text[sizeof script];
    char *argv[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c", text, NULL};
    struct engine_request req = {.policy = p, .argv = argv, .events_fd = -1};
    int saved[3], r = 0;
    memcpy(text, script, sizeof script);
    (void)clock_gettime(CLOCK_MONOTONIC, &req.started); /* cannot fail */
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
        if (saved[i] < 0 || dup2(fds[i], i) < 0)
            r = err_set(e, ERR_INTERNAL, errno, "hand a stream to git");
    }
    if (r == 0)
        r = engine_run(&req, result, e);
    for (int i = 0; i < 3; i++) {
        if (saved[i] >= 0)
            (void)dup2(saved[i], i); /* cannot fail: it was open there */
        fd_close(&saved[i]);
    }
    return r;
}

/* What was said, up to the first newline, or all on one line. */
static void take_said(int fd, bool first, char *ret, size_t size)
{
    ssize_t n = pread(fd, ret, size - 1, 0);
    ret[n > 0 ? n : 0] = '\0';
    if (first)
        ret[strcspn(ret, "\n")] = '\0';
    for (size_t len = strlen(ret); len && ret[len - 1] == '\n';)
        ret[--len] = '\0';
    for (char *at = ret; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
}

/* Of what git left behind, what a commit is made of. */
static int make_real(const char *id, struct err *e)
{
    static struct changes c;
    static char log[sizeof known.branch + 16], ref[sizeof known.branch + 16];
    struct sbuf l = SBUF(log), b = SBUF(ref);
    char *paths[] = {(char *)(uintptr_t) ".git/objects", (char *)(uintptr_t) ".git/index",
                     (char *)(uintptr_t) ".git/logs/HEAD", log, ref};
    const struct tree_command say = {.type = TREE_APPLY};
    sbuf_fmt(&l, ".git/logs/%s", known.branch);
    sbuf_fmt(&b, ".git/%s", known.branch);
    int r = changes_open(&c, id, CHANGES_WRITE, e);
    if (r == 0)
        r = tree_paths(&c.tree, paths, sizeof paths / sizeof *paths, e);
    if (r == 0)
        r = changes_say(&c, &say, NULL, NULL, NULL, e);
    changes_close(&c);
    return r;
}

static int commit(const struct commit_words *w, const struct changes *c, int stream, char ret_commit[72],
                  char ret_id[STORE_ID_SIZE], struct err *e)
{
    static struct result result;
    static char said[SAID_MAX];
    FD_AUTO out = memfd_create("commit", MFD_CLOEXEC);
    FD_AUTO err = memfd_create("commit", MFD_CLOEXEC);
    const int fds[] = {stream, out, err};
    struct policy *p = policy_new();
    int r = p && out >= 0 && err >= 0 ? fill_policy(p, c, w, e)
                                      : err_set(e, ERR_INTERNAL, ENOMEM, "prepare a room for git");
    if (r == 0)
        r = run_room(p, fds, &result, e);
    if (r == 0 && result.exit_status != 0) {
        take_said(err, false, said, sizeof said);
        r = err_set(e, ERR_IO, 0, "commit: %.300s", said[0] ? said : outcome_text(result.outcome));
        err_hint(e, "commit by hand what is yours, or apply without --commit");
    }
    if (r == 0 && (result.workspace_count != 1 || !result.workspaces[0].id[0]))
        r = err_set(e, ERR_IO, 0, "commit: git left nothing behind");
    if (r == 0) {
        memcpy(ret_id, result.workspaces[0].id, STORE_ID_SIZE);
        take_said(out, true, ret_commit, 72);
        r = make_real(ret_id, e);
    }
    policy_free(p);
    return r;
}

int commit_changes(struct changes *c, const struct commit_words *w, char ret_commit[72],
                   char ret_id[STORE_ID_SIZE], struct err *e)
{
    static struct changes now;
    const struct tree_command say = {.type = TREE_SHOW, .what = TREE_IMPORT};
    FD_AUTO stream = openat(c->entry, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (stream < 0)
        stream = memfd_create("stream", MFD_CLOEXEC); /* a file system without files that have no name */
    int r = stream < 0 ? err_set(e, ERR_IO, errno, "make a place for what git is told")
                       : changes_say(c, &say, keep_text, &stream, NULL, e);
    if (r == 0 && lseek(stream, 0, SEEK_SET) < 0)
        r = err_set(e, ERR_IO, errno, "tell git what was applied");
    now = *c; /* its words; its descriptors go */
    changes_close(c);
    return r < 0 ? r : commit(w, &now, stream, ret_commit, ret_id, e);
}
