/* git_words: see git_words.h.
 *
 * Theory of operation. What a branch was is read from the workspace, what it is from the layer, where the list of
 * changes says that the layer has it. New commits are counted by reading them: from the branch's new value along the
 * parents, as long as the layer or the workspace has them as single objects whose hash is their name. A commit that is
 * not found so ends the counting, and what is then not known is not said. The log of a branch is a text that the room
 * wrote; it is not asked.
 *
 * Lives in: strongroom-tree. Trusts: nothing of either tree. Must not: change anything. */
#include "tree/git_words.h"
#include "base/sbuf.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "tree/beneath.h"
#include "tree/git_view.h"
#include "tree/inflate.h"
#include "tree/session.h"
#include "tree/sha1.h"

#include <string.h>

#define TOP          ".git/"
#define TOP_LEN      (sizeof TOP - 1)
#define HEADS        "refs/heads/"
#define REPOS_MAX    8
#define BRANCHES_MAX 64
#define SHOWN_MAX    8 /* branches with a line of their own */
#define REF_MAX      512
#define PACKED_MAX   ((size_t)1 << 20)
#define COMMITS_MAX  1024
#define LOOSE_MAX    ((size_t)64 << 10) /* bytes of a commit, packed or not, that is read */
#define HASH_MAX     64
#define HASH_SHOWN   7
#define HEX          "0123456789abcdef"

struct counts {
    const char *repo; /* its path, up to and with ".git" */
    size_t len;
    uint64_t objects[TREE_KIND_COUNT], branches, tags, remotes, index, other;
};

struct hash {
    char hex[HASH_MAX + 1];
};

struct branch {
    char name[REF_MAX]; /* behind refs/heads/ */
    uint8_t kind;       /* enum tree_kind of its file's row, 0: none */
};

static struct words {
    struct counts repos[REPOS_MAX];
    size_t repo_count;
    uint64_t beyond; /* rows of further repositories */
    struct branch branches[BRANCHES_MAX];
    size_t branch_count;
    uint64_t unnamed;     /* branches beyond these */
    uint8_t head, packed; /* enum tree_kind of their rows, 0: none */
} words;

static char packed[2][PACKED_MAX]; /* before, now */
static size_t packed_len[2];

enum { BEFORE, NOW };

/* --- refs ------------------------------------------------------------------------------------------------ */

static size_t hash_len(const char *s)
{
    const size_t n = strspn(s, HEX);

    return n == 40 || n == 64 ? n : 0;
}

const char *git_packed_ref(const char *text, size_t size, const char *name, size_t *ret_len)
{
    const size_t n = strlen(name);

    for (size_t at = 0; at < size;) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        const size_t len = end ? (size_t)(end - line) : size - at;
        at += len + 1;
        const char *space = memchr(line, ' ', len);
        const size_t value = space ? (size_t)(space - line) : 0;
        if ((value != 40 && value != 64) || len - value - 1 != n || memcmp(space + 1, name, n) != 0)
            continue;
        if (strspn(line, HEX) != value) /* the blank ends it */
            return NULL;
        *ret_len = value;
        return line;
    }
    return NULL;
}

/* A small file of one side, NUL-terminated. Bytes, or -1. */
static ssize_t read_side(bool upper, const char *path, char *ret, size_t size)
{
    const int root = upper ? session.upper : session.lower;
    struct stat s;
    FD_AUTO fd = root < 0 ? -1 : beneath_open_path(root, path, strlen(path), O_RDONLY);

    if (fd < 0 || fstat(fd, &s) < 0 || !S_ISREG(s.st_mode) || (uint64_t)s.st_size >= size)
        return -1;
    ssize_t n = pread(fd, ret, size - 1, 0);
    if (n >= 0)
        ret[n] = '\0';
    return n;
}

/* What a branch is at; "" for nothing. */
static void value_of(const struct branch *branch, int when, struct hash *ret)
{
    char path[TOP_LEN + sizeof HEADS + REF_MAX], text[256];
    struct sbuf b = SBUF(path);
    size_t len;

    sbuf_fmt(&b, TOP HEADS "%s", branch->name);
    const uint8_t kind = when == NOW ? branch->kind : 0;
    const bool loose = kind != TREE_DELETED && read_side(kind != 0, path, text, sizeof text) >= 0;
    const char *value = loose ? text : git_packed_ref(packed[when], packed_len[when], path + TOP_LEN, &len);
    len = !value ? 0 : loose ? hash_len(value) : len;
    memcpy(ret->hex, value ? value : "", len);
    ret->hex[len] = '\0';
}

static void note_branch(const char *name, size_t len, uint8_t kind)
{
    for (size_t i = 0; i < words.branch_count; i++)
        if (strlen(words.branches[i].name) == len && memcmp(words.branches[i].name, name, len) == 0)
            return;
    if (words.branch_count == BRANCHES_MAX || len >= REF_MAX || len == 0) {
        words.unnamed++;
        return;
    }
    struct branch *b = &words.branches[words.branch_count++];
    memcpy(b->name, name, len);
    b->name[len] = '\0';
    b->kind = kind;
}

/* The branches of one packed-refs that are not so in the other. */
static void note_packed(int a, int other)
{
    for (size_t at = 0; at < packed_len[a];) {
        const char *line = packed[a] + at, *end = memchr(line, '\n', packed_len[a] - at);
        const size_t len = end ? (size_t)(end - line) : packed_len[a] - at;
        at += len + 1;
        const char *space = memchr(line, ' ', len);
        const size_t left = space ? len - (size_t)(space + 1 - line) : 0;
        if (left > sizeof HEADS - 1 && memcmp(space + 1, HEADS, sizeof HEADS - 1) == 0 &&
            !memmem(packed[other], packed_len[other], line, len))
            note_branch(space + sizeof HEADS, left - (sizeof HEADS - 1), 0);
    }
}

static void load_packed(void)
{
    static const char path[] = TOP "packed-refs";

    for (int when = BEFORE; when <= NOW; when++) {
        const bool changed = when == NOW && words.packed != 0;
        const ssize_t n =
            changed && words.packed == TREE_DELETED ? 0 : read_side(changed, path, packed[when], PACKED_MAX);
        packed_len[when] = n > 0 ? (size_t)n : 0;
    }
    if (words.packed) {
        note_packed(NOW, BEFORE);
        note_packed(BEFORE, NOW);
    }
}

/* --- commits --------------------------------------------------------------------------------------------- */

static struct walking {
    struct hash commit[COMMITS_MAX];
    size_t count, at;
    uint64_t made; /* in the layer alone */
    bool lost;     /* some could not be read, or there are too many */
} walking;

static void want(const char *hex)
{
    for (size_t i = 0; i < walking.count; i++)
        if (memcmp(walking.commit[i].hex, hex, 40) == 0)
            return;
    if (walking.count == COMMITS_MAX) {
        walking.lost = true;
        return;
    }
    memcpy(walking.commit[walking.count].hex, hex, 40);
    walking.commit[walking.count++].hex[40] = '\0';
}

/* A commit whose bytes have the hash that they are called by, NUL-terminated: its text. NULL: not here. */
static const char *read_commit(const char *hex, bool upper)
{
    static uint8_t in[LOOSE_MAX], out[LOOSE_MAX + 1];
    char path[TOP_LEN + 64], hash[SHA1_HEX_SIZE];
    struct sbuf b = SBUF(path);

    sbuf_fmt(&b, TOP "objects/%.2s/%s", hex, hex + 2);
    const ssize_t n = read_side(upper, path, (char *)in, sizeof in);
    const long size = n > 0 ? inflate_bytes(in, (size_t)n, out, LOOSE_MAX) : -1;
    if (size < 8 || memcmp(out, "commit ", 7) != 0)
        return NULL;
    sha1_bytes(out, (size_t)size, hash);
    const uint8_t *text = memchr(out, '\0', (size_t)size);
    out[size] = '\0';
    return memcmp(hash, hex, 40) == 0 && text && text - out < 32 ? (const char *)text + 1 : NULL;
}

/* From `new` along the parents. True: `old` is among them. */
static bool walk_to(const char *new, const char *old)
{
    bool found = false;

    memset(&walking, 0, sizeof walking);
    want(new);
    while (walking.at < walking.count) {
        const char *hex = walking.commit[walking.at++].hex;
        if (strcmp(hex, old) == 0) {
            found = true;
            continue;
        }
        const char *text = read_commit(hex, true);
        walking.made += text != NULL;
        if (!text)
            text = read_commit(hex, false);
        walking.lost |= text == NULL;
        while (text && (text = strchr(text, '\n')) && strncmp(++text, "parent ", 7) == 0)
            if (hash_len(text + 7) == 40)
                want(text + 7);
    }
    return found;
}

/* --- words ----------------------------------------------------------------------------------------------- */

static struct sbuf next_line(struct git_words *w)
{
    char *text = w->line[w->lines < GIT_WORDS_LINES ? w->lines : GIT_WORDS_LINES - 1];

    w->lines += w->lines < GIT_WORDS_LINES;
    text[0] = '\0';
    return (struct sbuf){.text = text, .size = GIT_WORDS_LINE};
}

static void put_name(struct sbuf *b, const char *name)
{
    char text[48];
    struct sbuf n = SBUF(text);

    sbuf_escaped(&n, name);
    sbuf_text(b, text);
    sbuf_text(b, n.full ? "..." : "");
}

static void put_commits(struct sbuf *b, const struct hash *old, const struct hash *new)
{
    const bool found = strlen(new->hex) == 40 && walk_to(new->hex, old->hex),
               whole = strlen(new->hex) == 40 && !walking.lost;
    const unsigned long long made = strlen(new->hex) == 40 ? walking.made : 0;
    const char *const many = made == 1 ? "" : "s";

    if (made)
        sbuf_fmt(b, "%llu new commit%s", made, many);
    if (!old->hex[0])
        sbuf_fmt(b, "%sa new branch, at %.*s", made ? ", " : "", HASH_SHOWN, new->hex);
    else if (found)
        sbuf_fmt(b, "%s%.*s..%.*s", made ? ", " : "moved on, ", HASH_SHOWN, old->hex, HASH_SHOWN, new->hex);
    else if (whole)
        sbuf_fmt(b, "%sHISTORY REWRITTEN: %.*s is not in it, now %.*s", made ? ", " : "", HASH_SHOWN,
                 old->hex, HASH_SHOWN, new->hex);
    else
        sbuf_fmt(b, "%s%.*s -> %.*s", made ? ", not known to be on top: " : "moved, ", HASH_SHOWN, old->hex,
                 HASH_SHOWN, new->hex);
}

/* One branch, unless it is as before. */
static void put_branch(const struct branch *branch, struct git_words *w, uint64_t *beyond)
{
    struct hash old, new;

    value_of(branch, BEFORE, &old);
    value_of(branch, NOW, &new);
    if (strcmp(old.hex, new.hex) == 0)
        return;
    if (w->lines >= SHOWN_MAX) {
        ++*beyond;
        return;
    }
    struct sbuf b = next_line(w);
    put_name(&b, branch->name);
    sbuf_text(&b, ": ");
    if (!new.hex[0])
        sbuf_fmt(&b, "BRANCH DELETED, was %.*s", HASH_SHOWN, old.hex);
    else
        put_commits(&b, &old, &new);
}

static void put_head(struct git_words *w)
{
    char text[REF_MAX + 32];
    const char *const ref = "ref: " HEADS;

    if (!words.head)
        return;
    struct sbuf b = next_line(w);
    sbuf_text(&b, "HEAD: ");
    const ssize_t n = words.head == TREE_DELETED ? -1 : read_side(true, TOP "HEAD", text, sizeof text);
    if (n >= 0)
        text[strcspn(text, "\n")] = '\0';
    if (n < 0) {
        sbuf_text(&b, words.head == TREE_DELETED ? "deleted" : "changed");
    } else if (strncmp(text, ref, strlen(ref)) == 0) {
        sbuf_text(&b, "now on the branch ");
        put_name(&b, text + strlen(ref));
    } else if (hash_len(text)) {
        sbuf_fmt(&b, "now at %.*s, on no branch", HASH_SHOWN, text);
    } else {
        sbuf_text(&b, "now ");
        put_name(&b, text);
    }
}

static void put_count(struct sbuf *b, bool *any, uint64_t n, const char *one, const char *many)
{
    if (n == 0)
        return;
    sbuf_text(b, *any ? ", " : "");
    *any = true;
    if (many)
        sbuf_fmt(b, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
    else
        sbuf_text(b, one);
}

static void put_counts(const struct counts *c, bool top, uint64_t beyond, struct git_words *w)
{
    bool any = false;
    struct sbuf b = next_line(w);

    if (!top) {
        char path[80];
        struct sbuf p = SBUF(path);
        sbuf_bytes(&p, c->repo, c->len);
        put_name(&b, path);
        sbuf_text(&b, ": ");
    }
    put_count(&b, &any, top ? beyond : c->branches, top ? "more branch" : "branch",
              top ? "more branches" : "branches");
    put_count(&b, &any, c->tags, "tag", "tags");
    put_count(&b, &any, c->remotes, "remote branch", "remote branches");
    put_count(&b, &any, c->index, "index", NULL);
    put_count(&b, &any, c->objects[TREE_ADDED], "new object", "new objects");
    put_count(&b, &any, c->objects[TREE_MODIFIED], "object CHANGED", "objects CHANGED");
    put_count(&b, &any, c->objects[TREE_DELETED], "object REMOVED", "objects REMOVED");
    put_count(&b, &any, c->other, any ? "other entry" : "entry", any ? "other entries" : "entries");
    if (!any) /* logs alone, or what other lines tell */
        w->lines--;
}

static void count_row(struct counts *c, bool top, const struct index_row *row, const char *rest)
{
    const bool file = row->file != TREE_FOLDER;
    static const struct {
        const char *prefix;
        size_t at;
    } refs[] = {{HEADS, offsetof(struct counts, branches)},
                {"refs/tags/", offsetof(struct counts, tags)},
                {"refs/remotes/", offsetof(struct counts, remotes)}};

    if (!file || strncmp(rest, "logs/", 5) == 0)
        return;
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++)
        if (strncmp(rest, refs[i].prefix, strlen(refs[i].prefix)) == 0) {
            ++*(uint64_t *)((char *)c + refs[i].at);
            if (top && i == 0)
                note_branch(rest + sizeof HEADS - 1, strlen(rest + sizeof HEADS - 1), row->kind);
            return;
        }
    if (strncmp(rest, "objects/", 8) == 0)
        c->objects[row->kind]++;
    else if (strcmp(rest, "index") == 0)
        c->index++;
    else if (top && strcmp(rest, "HEAD") == 0)
        words.head = row->kind;
    else if (top && strcmp(rest, "packed-refs") == 0)
        words.packed = row->kind;
    else
        c->other++;
}

static struct counts *repo_of(const char *path, size_t len)
{
    for (size_t i = 0; i < words.repo_count; i++)
        if (words.repos[i].len == len && memcmp(words.repos[i].repo, path, len) == 0)
            return &words.repos[i];
    if (words.repo_count == REPOS_MAX)
        return NULL;
    struct counts *c = &words.repos[words.repo_count++];
    *c = (struct counts){.repo = path, .len = len};
    return c;
}

void git_words_make(const struct index *x, const uint8_t *chosen, struct git_words *ret)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0;
    uint64_t beyond = 0;

    memset(&words, 0, sizeof words);
    memset(ret, 0, sizeof *ret);
    for (size_t n = 0; index_next(x, &at, &row, &path, &detail) > 0; n++) {
        if (!git_view_summed(n) || (chosen ? !select_has(chosen, n) : !session_named(path)))
            continue;
        if (ret->rows++ == 0)
            ret->first = n;
        const size_t len = git_internal(path);
        struct counts *c = repo_of(path, len);
        if (!c)
            words.beyond++;
        else if (path[len])
            count_row(c, len == TOP_LEN - 1, row, path + len + 1);
    }
    if (ret->rows == 0)
        return;
    load_packed();
    beyond = words.unnamed;
    for (size_t i = 0; i < words.branch_count; i++)
        put_branch(&words.branches[i], ret, &beyond);
    put_head(ret);
    for (size_t i = 0; i < words.repo_count && ret->lines + 1 < GIT_WORDS_LINES; i++) {
        const bool top = words.repos[i].len == TOP_LEN - 1;
        put_counts(&words.repos[i], top, beyond, ret);
    }
    if (words.beyond || ret->lines == 0) {
        struct sbuf b = next_line(ret);
        const uint64_t n = words.beyond ? words.beyond : ret->rows;
        sbuf_fmt(&b, "%llu %s of %s", (unsigned long long)n, n == 1 ? "entry" : "entries",
                 words.beyond ? "further repositories" : "logs and their like");
    }
}
