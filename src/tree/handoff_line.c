/* handoff_line: the line that matters of a file that would run outside.
 *
 * Lives in: strongroom-tree, tests and fuzzers. Trusts: nothing of the bytes. Pure.
 *
 * For most files it is the first line that was not there before. Of a git configuration only the settings count
 * that make git run something, of a package.json only its scripts: a change of anything else in them is no alarm.
 * Neither reader wants to understand the whole format: what it is unsure about, it reports. */
#include "tree/handoff.h"

#include <stdint.h>
#include <string.h>

#define LINE_SHOWN 120  /* bytes */
#define PIECES_MAX 4096 /* settings or scripts of one file */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void put(struct sbuf *out, struct handoff_text t)
{
    char text[LINE_SHOWN + 1];
    size_t n = 0;

    for (size_t i = 0; i < t.size && n < LINE_SHOWN; i++)
        text[n++] = t.bytes[i] == '\0' ? ' ' : t.bytes[i] == '\n' ? ' ' : t.bytes[i];
    while (n && (text[n - 1] & 0xc0) == 0x80 && t.size > n)
        n--; /* not within a character */
    text[n] = '\0';
    sbuf_escaped(out, text);
    if (t.size > LINE_SHOWN)
        sbuf_text(out, "...");
}

static bool contains(struct handoff_text t, struct handoff_text part)
{
    return part.size == 0 || (t.size >= part.size && memmem(t.bytes, t.size, part.bytes, part.size) != NULL);
}

/* A line without the blanks around it. */
static struct handoff_text next_line(struct handoff_text t, size_t *at)
{
    const char *from = t.bytes + *at, *stop = memchr(from, '\n', t.size - *at);
    struct handoff_text line = {from, stop ? (size_t)(stop - from) : t.size - *at};

    *at += line.size + (stop != NULL);
    while (line.size && blank(line.bytes[0])) {
        line.bytes++;
        line.size--;
    }
    while (line.size && blank(line.bytes[line.size - 1]))
        line.size--;
    return line;
}

/* The first line that says something and was not there before; a first line "#!…" and comments come last. */
static bool first_new(struct handoff_text old, struct handoff_text new, struct sbuf *out)
{
    struct handoff_text comment = {NULL, 0};

    for (size_t at = 0; at < new.size;) {
        struct handoff_text line = next_line(new, &at);
        if (line.size < 2 || contains(old, line))
            continue;
        if (line.bytes[0] != '#') {
            put(out, line);
            return true;
        }
        if (!comment.bytes)
            comment = line;
    }
    if (comment.bytes)
        put(out, comment);
    return true; /* something changed, if only what is left */
}

static bool same_word(const char *s, size_t n, const char *word)
{
    if (strlen(word) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] - 'A' + 'a') : s[i];
        if (c != word[i])
            return false;
    }
    return true;
}

/* Settings that name a program, or a file with more settings. A section of "*" is any. */
static bool git_runs(struct handoff_text section, struct handoff_text key)
{
    static const struct {
        const char *section, *key;
    } rows[] = {{"core", "hookspath"},
                {"core", "fsmonitor"},
                {"core", "sshcommand"},
                {"core", "pager"},
                {"core", "editor"},
                {"core", "askpass"},
                {"core", "gitproxy"},
                {"core", "attributesfile"},
                {"core", "alternaterefscommand"},
                {"core", "worktree"},
                {"alias", NULL},
                {"filter", NULL},
                {"include", NULL},
                {"includeif", NULL},
                {"diff", "external"},
                {"diff", "command"},
                {"diff", "textconv"},
                {"difftool", NULL},
                {"mergetool", NULL},
                {"merge", "driver"},
                {"credential", "helper"},
                {"gpg", NULL},
                {"sequence", "editor"},
                {"pager", NULL},
                {"uploadpack", "packobjectshook"},
                {"remote", "uploadpack"},
                {"remote", "receivepack"},
                {"remote", "vcs"},
                {"remote", "proxy"},
                {"url", NULL},
                {"http", "proxy"},
                {"http", "sslverify"},
                {"protocol", NULL},
                {"submodule", "update"},
                {"init", "templatedir"},
                {"interactive", "difffilter"},
                {"browser", NULL},
                {"man", NULL},
                {"guitool", NULL},
                {"sendemail", NULL},
                {"trailer", NULL},
                {"web", NULL},
                {"instaweb", NULL},
                {"receive", NULL},
                {"ssh", NULL},
                {"tar", NULL},
                {"safe", NULL}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (same_word(section.bytes, section.size, rows[i].section) &&
            (!rows[i].key || same_word(key.bytes, key.size, rows[i].key)))
            return true;
    return false;
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static size_t word_len(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && word_char(s[i]))
        i++;
    return i;
}

/* The section that a "[" opens on this line: its first word. What is behind the "]" may be a setting already. */
static struct handoff_text take_section(struct handoff_text *line)
{
    struct handoff_text s = {line->bytes + 1, line->size - 1};
    bool quoted = false;
    size_t i = 1;

    while (s.size && blank(s.bytes[0])) {
        s.bytes++;
        s.size--;
    }
    s.size = word_len(s.bytes, s.size);
    const char *dot = memchr(s.bytes, '.', s.size); /* [section.sub], the old form */
    if (dot)
        s.size = (size_t)(dot - s.bytes);
    for (; i < line->size; i++) {
        if (line->bytes[i] == '\\' && quoted)
            i++;
        else if (line->bytes[i] == '"')
            quoted = !quoted;
        else if (line->bytes[i] == ']' && !quoted)
            break;
    }
    i = i < line->size ? i + 1 : line->size;
    line->bytes += i;
    line->size -= i;
    while (line->size && blank(line->bytes[0])) {
        line->bytes++;
        line->size--;
    }
    return s;
}

/* Values that go on over lines could hide the place where a section begins: then no line is taken to be harmless. */
static bool goes_on(struct handoff_text t)
{
    for (size_t at = 0; at < t.size;) {
        struct handoff_text line = next_line(t, &at);
        if (line.size && line.bytes[line.size - 1] == '\\')
            return true;
    }
    return false;
}

bool handoff_git_next(struct handoff_reader *r, struct handoff_text *ret_setting)
{
    if (r->at == 0) {
        r->unsure = goes_on(r->text);
        if (r->text.size >= 3 && memcmp(r->text.bytes, "\xef\xbb\xbf", 3) == 0)
            r->at = 3;
    }
    while (r->at < r->text.size) {
        struct handoff_text line = next_line(r->text, &r->at);
        while (line.size && line.bytes[0] == '[')
            r->section = take_section(&line);
        if (!line.size || line.bytes[0] == '#' || line.bytes[0] == ';')
            continue;
        struct handoff_text key = {line.bytes, word_len(line.bytes, line.size)};
        if (!r->unsure && !git_runs(r->section, key))
            continue;
        *ret_setting = line;
        return true;
    }
    return false;
}

/* --- package.json ----------------------------------------------------------------------------------------- */

/* Past a JSON text that starts at `at` (its quote): the place behind its closing quote. */
static size_t past_text(struct handoff_text t, size_t at)
{
    for (at++; at < t.size && t.bytes[at] != '"'; at++)
        if (t.bytes[at] == '\\')
            at++;
    return at < t.size ? at + 1 : t.size;
}

static size_t past_space(struct handoff_text t, size_t at)
{
    while (at < t.size && (blank(t.bytes[at]) || t.bytes[at] == '\n'))
        at++;
    return at;
}

/* A member whose parts are commands. One that is written with escapes is taken for one: that only tells more. */
static bool holds_commands(struct handoff_text key)
{
    static const char *const names[] = {"\"scripts\"", "\"husky\"", "\"lint-staged\"", "\"simple-git-hooks\"",
                                        "\"pre-commit\""};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (key.size == strlen(names[i]) && memcmp(key.bytes, names[i], key.size) == 0)
            return true;
    return key.size && memchr(key.bytes, '\\', key.size) != NULL;
}

/* At a text: true when it is to be told. r->at comes to stand behind it, and behind its value where that is text. */
static bool take_text(struct handoff_reader *r, struct handoff_text *ret)
{
    const struct handoff_text t = r->text;
    const size_t from = r->at, name_end = past_text(t, from), colon = past_space(t, name_end);
    const bool named = colon < t.size && t.bytes[colon] == ':';
    const size_t value = named ? past_space(t, colon + 1) : t.size;
    const bool text = value < t.size && t.bytes[value] == '"';
    const struct handoff_text key = {t.bytes + from, name_end - from};

    r->at = text ? past_text(t, value) : name_end;
    *ret = (struct handoff_text){t.bytes + from, r->at - from};
    if (r->inside)
        return true;
    if (r->depth != 1 || !named || !holds_commands(key))
        return false;
    if (value < t.size && (t.bytes[value] == '{' || t.bytes[value] == '['))
        r->inside = r->depth + 1;
    return text;
}

bool handoff_package_next(struct handoff_reader *r, struct handoff_text *ret_script)
{
    while (r->at < r->text.size) {
        const char c = r->text.bytes[r->at];
        if (c == '"') {
            if (take_text(r, ret_script))
                return true;
            continue;
        }
        r->depth += c == '{' || c == '[';
        if (c == '}' || c == ']') {
            r->depth--;
            if (r->depth < r->inside)
                r->inside = 0;
        }
        r->at++;
    }
    return false;
}

/* --- both ------------------------------------------------------------------------------------------------- */

static uint64_t hash(struct handoff_text t)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < t.size; i++)
        h = (h ^ (unsigned char)t.bytes[i]) * 0x100000001b3u;
    return h;
}

/* The first piece of `new` that `old` does not have. Of more than PIECES_MAX old ones the rest counts as not there.
 * */
static bool first_new_piece(bool (*next)(struct handoff_reader *, struct handoff_text *),
                            struct handoff_text old, struct handoff_text new, struct sbuf *line)
{
    static uint64_t known[PIECES_MAX];
    struct handoff_reader o = {.text = old}, n = {.text = new};
    struct handoff_text piece;
    size_t count = 0;

    while (count < PIECES_MAX && next(&o, &piece))
        known[count++] = hash(piece);
    while (next(&n, &piece)) {
        const uint64_t h = hash(piece);
        bool there = false;
        for (size_t i = 0; i < count && !there; i++)
            there = known[i] == h;
        if (!there) {
            put(line, piece);
            return true;
        }
    }
    return false;
}

/* A file that only says where the rest of a repository is. */
static bool names_repository(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    return same_word(name, strlen(name), ".git") || same_word(name, strlen(name), "commondir");
}

bool handoff_line(unsigned alarm, const char *path, struct handoff_text old, struct handoff_text new,
                  struct sbuf *line)
{
    const size_t n = strlen(path);
    const bool package = n >= 12 && strcmp(path + n - 12, "package.json") == 0;

    if (alarm == ALARM_GIT_CONFIG && !names_repository(path))
        return first_new_piece(handoff_git_next, old, new, line);
    if (alarm == ALARM_PACKAGE_SCRIPT && package)
        return first_new_piece(handoff_package_next, old, new, line);
    return first_new(old, new, line);
}
