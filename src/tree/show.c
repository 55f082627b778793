/* show: see show.h.
 *
 * Lives in: strongroom-tree. Trusts: the index by form; its names, not at all: what is for people is escaped, what
 * is for programs is exact. */
#include "tree/show.h"
#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"
#include "sys/mem.h"
#include "tree/alarms.h"
#include "tree/git_view.h"
#include "tree/git_words.h"
#include "tree/items.h"
#include "tree/store.h"

#include <errno.h>
#include <string.h>

#define FOLDED_FROM 8   /* a folder that comes or goes whole is one line from so many entries on */
#define ALARMS_MAX  40  /* told one by one */
#define LINE_MAX    512 /* bytes of one line's path */
#define WIDTH       80  /* columns, where nobody says how many there are */
#define WIDTH_MAX   240 /* sizes further away from their names are no help */
#define JSON_ROW    (64 << 10)

enum show_group show_group_of(const struct index_row *row, size_t n)
{
    const enum git_class class = git_view_class(n);

    if (git_view_summed(n))
        return SHOW_GIT;
    if (row->kind == TREE_DELETED)
        return SHOW_DELETED;
    if (row->alarm)
        return SHOW_ALARMED;
    if (class == GIT_IGNORED)
        return SHOW_IGNORED;
    return row->kind == TREE_MODIFIED ? SHOW_MODIFIED : class == GIT_UNTRACKED ? SHOW_UNTRACKED : SHOW_ADDED;
}

/* A size for people: three digits. */
static void put_size(struct sbuf *b, uint64_t bytes)
{
    static const char units[] = " KMGTPE";
    size_t u = 0;
    uint64_t tenths = bytes >> 60 ? bytes : bytes * 10;

    while (tenths >= 10240 && u < sizeof units - 2) {
        tenths /= 1024;
        u++;
    }
    if (u == 0)
        sbuf_fmt(b, "%llu B", (unsigned long long)bytes);
    else if (tenths < 100)
        sbuf_fmt(b, "%llu.%llu %c", (unsigned long long)tenths / 10, (unsigned long long)tenths % 10,
                 units[u]);
    else
        sbuf_fmt(b, "%llu %c", (unsigned long long)tenths / 10, units[u]);
}

void show_totals(const struct index *x, const uint8_t *chosen, struct tree_totals *ret)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0, n = 0;
    struct tree_totals t = {0};

    for (; index_next(x, &at, &row, &path, &detail) > 0; n++) {
        if (!select_has(chosen, n) && !(row->flags & ROW_LEFT_OUT && session_named(path)))
            continue;
        index_count(&t, row);
    }
    t.alarms += x->head->mass != 0;
    *ret = t;
}

static const char *colour(bool on, const char *code)
{
    return on ? code : "";
}
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

static void put_path(struct sbuf *b, const char *path, const struct index_row *row)
{
    sbuf_escaped(b, path);
    if (row->file == TREE_FOLDER)
        sbuf_char(b, '/');
}

static void mode_text(struct sbuf *b, const struct index_row *row)
{
    sbuf_fmt(b, "mode %o -> %o", row->old.mode & 07777, row->new_mode);
}

static char letter(const struct index_row *row)
{
    return row->kind == TREE_DELETED ? '-' : row->kind == TREE_MODIFIED ? 'M' : '+';
}

static unsigned width = WIDTH;

void show_width(unsigned columns)
{
    width = columns == 0 ? WIDTH : columns > WIDTH_MAX ? WIDTH_MAX : columns;
}

static size_t characters(const char *s)
{
    const size_t len = strlen(s);
    size_t n = 0;
    uint32_t code;

    for (size_t at = 0; at < len; n++) {
        const unsigned size = utf8_next(s + at, len - at, &code);
        at += size ? size : 1;
    }
    return n;
}

/* "  M path                         what": the right column where it fits. */
static void put_line(const struct index_row *row, const char *path, const char *right, bool colours)
{
    static char text[LINE_MAX * 4 + 256];
    struct sbuf b = SBUF(text), p = {.text = text, .size = LINE_MAX};

    put_path(&p, path, row);
    if (p.full)
        sbuf_text(&(struct sbuf){.text = text + p.len, .size = sizeof text - p.len}, "...");
    const size_t len = characters(text), right_len = characters(right);
    const size_t pad = len + right_len + 6 < width ? width - 4 - len - right_len : 2;
    session_fmt("  %s%c%s ",
                colour(colours, row->kind == TREE_DELETED ? RED
                                : row->kind == TREE_ADDED ? GREEN
                                                          : YELLOW),
                letter(row), colour(colours, PLAIN));
    session_text(text);
    if (right_len)
        session_fmt("%*s%s", (int)pad, "", right);
    session_text("\n");
    (void)b;
}

static void put_decision(struct sbuf *b, enum tree_decision said)
{
    static const char *const words[] = {"", "accepted", "rejected", "decided"};

    if (said != TREE_UNDECIDED)
        sbuf_fmt(b, "%s%s", b->len ? ", " : "", words[said]);
}

/* Where the heading does not say it: what git has no copy of. */
static void put_class(struct sbuf *b, const struct index_row *row, size_t n)
{
    const enum git_class class = git_view_class(n);
    const enum show_group group = show_group_of(row, n);

    if ((class == GIT_UNTRACKED && row->kind != TREE_ADDED) ||
        (class == GIT_IGNORED && group != SHOW_IGNORED))
        sbuf_fmt(b, "%s%s", b->len ? ", " : "", git_class_name(class));
}

static void put_row(const struct index_row *row, size_t n, const char *path, const char *detail,
                    enum tree_decision said, bool colours)
{
    char text[256];
    struct sbuf b = SBUF(text);

    if (row->flags & ROW_LEFT_OUT)
        sbuf_text(&b, "left out");
    else if (row->kind == TREE_MODIFIED && !(row->flags & ROW_CONTENT))
        mode_text(&b, row);
    else if (row->file == TREE_LINK)
        sbuf_text(&b, "link");
    else if (row->file == TREE_REGULAR)
        put_size(&b, row->kind == TREE_DELETED ? row->old.size : row->new_size);
    if (row->kind == TREE_MODIFIED && row->flags & ROW_CONTENT && row->flags & ROW_MODE) {
        sbuf_text(&b, ", ");
        mode_text(&b, row);
    }
    if (row->flags & ROW_CONFLICT) {
        sbuf_text(&b, b.len ? ", CONFLICT: " : "CONFLICT: ");
        sbuf_text(&b, detail[0] && !row->alarm ? detail : "changed on the host");
    }
    put_class(&b, row, n);
    put_decision(&b, said);
    put_line(row, path, text, colours);
}

static int list_group(const struct index *x, const struct decisions *d, const uint8_t *chosen,
                      enum show_group group, bool colours)
{
    static const char *const titles[SHOW_GROUPS] = {"Deleted",
                                                    "To be looked at",
                                                    "Modified",
                                                    "Added",
                                                    "Untracked (git does not know them)",
                                                    "Ignored by git",
                                                    ""};
    const struct index_row *row;
    const char *path, *detail, *folded = NULL;
    size_t at = 0, n = 0, folded_len = 0;
    bool titled = false;
    int r;

    for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
        if (show_group_of(row, n) != group ||
            (!select_has(chosen, n) && !(row->flags & ROW_LEFT_OUT && session_named(path))))
            continue;
        if (folded && strncmp(path, folded, folded_len) == 0 && path[folded_len] == '/')
            continue;
        if (!titled)
            session_fmt("\n%s%s%s\n", colour(colours, BOLD), titles[group], colour(colours, PLAIN));
        titled = true;
        struct inside in = {0};
        if (row->file == TREE_FOLDER && row->kind != TREE_MODIFIED && !row->alarm)
            folder_inside(x, at, n, row, path, chosen, d, &in);
        if (in.count >= FOLDED_FROM && in.agreed) {
            char text[64];
            struct sbuf b = SBUF(text);
            folded = path;
            folded_len = row->path_len;
            sbuf_fmt(&b, "%llu in it, ", (unsigned long long)in.count);
            put_size(&b, in.bytes);
            if (in.unkept && group == SHOW_DELETED)
                sbuf_fmt(&b, ", %llu not in git", (unsigned long long)in.unkept);
            put_decision(&b, in.said);
            put_line(row, path, text, colours);
        } else {
            put_row(row, n, path, detail, decision_of(d, n), colours);
        }
    }
    return r;
}

static void put_alarm(unsigned alarm, const char *path, const struct index_row *row, const char *detail,
                      bool colours)
{
    static char text[LINE_MAX * 4];
    struct sbuf b = SBUF(text);

    session_fmt("  %s!%s %-16s ", colour(colours, RED), colour(colours, PLAIN), alarm_name(alarm));
    if (row)
        put_path(&b, path, row);
    session_text(text);
    session_text(row ? "\n" : "");
    session_fmt("%s%s%s%s\n", row ? "      " : "", alarm_why(alarm), detail[0] ? ": " : "", detail);
}

static int list_alarms(const struct index *x, const uint8_t *chosen, bool colours)
{
    const struct index_row *row;
    const char *path, *detail;
    size_t at = 0, n = 0;
    uint64_t told = 0;
    int r;

    if (x->head->mass)
        put_alarm(x->head->mass, NULL, NULL, x->head->mass_detail, colours);
    for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
        if (!row->alarm || (!select_has(chosen, n) && !(row->flags & ROW_LEFT_OUT && session_named(path))))
            continue;
        if (told++ < ALARMS_MAX)
            put_alarm(row->alarm, path, row, detail, colours);
    }
    if (told > ALARMS_MAX)
        session_fmt("  and %llu more\n", (unsigned long long)(told - ALARMS_MAX));
    return r;
}

static void put_git(const struct git_words *w, bool colours)
{
    if (w->rows == 0)
        return;
    session_fmt("\n%sIn .git%s: %llu %s, summed up (--all lists them)\n", colour(colours, BOLD),
                colour(colours, PLAIN), (unsigned long long)w->rows, w->rows == 1 ? "change" : "changes");
    for (size_t i = 0; i < w->lines; i++)
        session_fmt("  %s\n", w->line[i]);
}

void show_git(const struct index *x, const uint8_t *chosen, bool colours)
{
    static struct git_words w;

    git_words_make(x, chosen, &w);
    put_git(&w, colours);
}

int show_list(const struct index *x, const struct decisions *d, const uint8_t *chosen, bool colours)
{
    static struct git_words git;
    const struct tree_totals *t = &session.totals;
    char text[256];
    struct sbuf b = SBUF(text);

    git_words_make(x, chosen, &git);
    sbuf_fmt(&b, "%llu deleted, %llu modified, %llu added (+", (unsigned long long)t->deleted,
             (unsigned long long)t->modified, (unsigned long long)t->added);
    put_size(&b, t->bytes_added);
    sbuf_text(&b, ", -");
    put_size(&b, t->bytes_deleted);
    sbuf_text(&b, ")");
    if (git.rows)
        sbuf_fmt(&b, "; %llu of these in .git", (unsigned long long)git.rows);
    sbuf_char(&b, '\n');
    session_text(text);
    if (d->any)
        session_fmt(
            "%llu accepted, %llu rejected, %llu undecided\n", (unsigned long long)session.decided.accepted,
            (unsigned long long)session.decided.rejected, (unsigned long long)session.decided.undecided);
    if (t->conflicts)
        session_fmt("%llu in conflict: the host changed them while the room ran\n",
                    (unsigned long long)t->conflicts);
    if (git_view_note()[0])
        session_fmt("what git tracks is not known: %s\n", git_view_note());
    if (t->alarms) {
        session_fmt("\n%s%llu %s%s\n", colour(colours, BOLD), (unsigned long long)t->alarms,
                    t->alarms == 1 ? "alarm" : "alarms", colour(colours, PLAIN));
        int r = list_alarms(x, chosen, colours);
        if (r < 0)
            return r;
    }
    for (int group = 0; group < SHOW_GIT; group++) {
        int r = list_group(x, d, chosen, (enum show_group)group, colours);
        if (r < 0)
            return r;
    }
    put_git(&git, colours);
    return 0;
}

int show_names(const struct index *x, const uint8_t *chosen)
{
    static char text[LINE_MAX * 32];
    const struct index_row *row;
    const char *path, *detail, *last = NULL;
    size_t last_len = 0;

    for (int group = 0; group < SHOW_GROUPS; group++) {
        size_t at = 0, n = 0;
        int r;
        for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
            struct sbuf b = SBUF(text);
            if (show_group_of(row, n) != (enum show_group)group || !select_has(chosen, n))
                continue;
            if (group == SHOW_GIT) { /* the folder stands for them */
                const size_t len = git_internal(path);
                if (last && last_len == len && memcmp(last, path, len) == 0)
                    continue;
                last = path;
                last_len = len;
                struct sbuf dir = {.text = text + sizeof text / 2, .size = sizeof text / 2};
                sbuf_bytes(&dir, path, len);
                sbuf_escaped(&b, dir.text);
                session_text(text);
                session_text("/\n");
                continue;
            }
            put_path(&b, path, row);
            session_text(text);
            session_text("\n");
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* A path as JSON text; where it is not UTF-8, its bytes in hex beside it. */
static void json_path(struct json *j, const char *path, size_t len)
{
    uint32_t code;
    bool exact = true;

    for (size_t at = 0; at < len && exact;) {
        unsigned n = utf8_next(path + at, len - at, &code);
        exact = n != 0;
        at += n;
    }
    json_str(j, "path", path);
    if (exact || len > JSON_ROW / 8)
        return;
    static char hex[JSON_ROW / 4 + 1];
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = "0123456789abcdef"[(unsigned char)path[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[path[i] & 15];
    }
    hex[2 * len] = '\0';
    json_str(j, "path_hex", hex);
}

static const char *file_name(uint8_t file)
{
    static const char *const names[] = {"", "file", "folder", "link", "special"};

    return file < sizeof names / sizeof *names ? names[file] : "";
}

static void json_mode(struct json *j, const char *key, uint32_t mode)
{
    char text[16];
    struct sbuf b = SBUF(text);

    sbuf_fmt(&b, "%04o", mode & 07777);
    json_str(j, key, text);
}

static int json_row(const struct index_row *row, size_t n, const char *path, const char *detail,
                    enum tree_decision said, bool first, bool chosen)
{
    static char text[JSON_ROW];
    static const char *const kinds[] = {"", "deleted", "modified", "added"};
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};

    json_open(&j, NULL, '{');
    json_path(&j, path, row->path_len);
    json_str(&j, "change", kinds[row->kind]);
    json_str(&j, "type", file_name(row->file));
    if (row->kind != TREE_ADDED) {
        json_mode(&j, "old_mode", row->old.mode);
        json_unum(&j, "old_size", S_ISREG(row->old.mode) ? row->old.size : 0);
    }
    if (row->kind != TREE_DELETED) {
        json_mode(&j, "mode", row->new_mode);
        json_unum(&j, "size", row->new_size);
    }
    if (row->kind == TREE_MODIFIED)
        json_bool(&j, "content", row->flags & ROW_CONTENT);
    json_bool(&j, "binary", row->flags & (ROW_BINARY | ROW_WAS_BINARY));
    json_bool(&j, "conflict", row->flags & ROW_CONFLICT);
    json_bool(&j, "left_out", row->flags & ROW_LEFT_OUT);
    json_bool(&j, "selected", chosen);
    if (git_view_class(n) != GIT_NONE)
        json_str(&j, "git", git_class_name(git_view_class(n)));
    if (said != TREE_UNDECIDED)
        json_str(&j, "decision", said == TREE_ACCEPTED ? "accepted" : "rejected");
    if (row->alarm) {
        json_str(&j, "alarm", alarm_name(row->alarm));
        json_str(&j, "reason", alarm_why(row->alarm));
    }
    if (detail[0])
        json_str(&j, "detail", detail);
    json_close(&j, '}');
    if (b.full)
        return -ENAMETOOLONG;
    session_text(first ? "\n" : ",\n");
    session_bytes(b.text, b.len);
    return 0;
}

/* The sums, as in the list. */
static void json_git(const struct index *x, const uint8_t *chosen)
{
    static struct git_words w;
    static char text[GIT_WORDS_LINES * (2 * GIT_WORDS_LINE + 8)];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};

    git_words_make(x, chosen, &w);
    if (w.rows == 0)
        return;
    json_open(&j, NULL, '[');
    for (size_t i = 0; i < w.lines; i++)
        json_str(&j, NULL, w.line[i]);
    json_close(&j, ']');
    session_text(",\"git\":");
    session_bytes(b.text, b.len);
}

/* Whose changes these are: "{" and the first keys. */
static void json_whose(void)
{
    static char text[8 * STORE_PATH_MAX];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};
    struct store_meta *m = mem_reserve(sizeof *m);
    enum store_state state;

    session_text("{");
    if (m && store_read_meta(session.entry, m, NULL) == 0 && store_get_state(session.entry, &state) == 0) {
        json_open(&j, NULL, '{');
        json_str(&j, "id", m->id);
        json_str(&j, "state", store_state_name(state));
        json_str(&j, "dir", m->dir);
        session_bytes(b.text + 1, b.len - 1);
        session_text(",");
    }
    mem_release(m, m ? sizeof *m : 0);
}

int show_json(const struct index *x, const struct decisions *d, const uint8_t *chosen)
{
    const struct tree_totals *t = &session.totals;
    static char text[2048];
    struct sbuf b = SBUF(text);
    struct json j = {.out = &b};
    const struct index_row *row;
    const char *path, *detail;
    bool first = true;
    int r = 0;

    json_open(&j, NULL, '{');
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"deleted", t->deleted},
                {"modified", t->modified},
                {"added", t->added},
                {"bytes_deleted", t->bytes_deleted},
                {"bytes_added", t->bytes_added},
                {"alarms", t->alarms},
                {"conflicts", t->conflicts},
                {"left_out", t->left_out},
                {"accepted", session.decided.accepted},
                {"rejected", session.decided.rejected}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_unum(&j, rows[i].key, rows[i].value);
    if (x->head->mass) {
        json_str(&j, "alarm", alarm_name(x->head->mass));
        json_str(&j, "detail", x->head->mass_detail);
    }
    json_close(&j, '}');
    json_whose();
    session_text("\"totals\":");
    session_text(text);
    session_text(",\"changes\":[");
    for (int group = 0; group < SHOW_GROUPS && r >= 0; group++) {
        size_t at = 0, n = 0;
        for (; (r = index_next(x, &at, &row, &path, &detail)) > 0; n++) {
            if (show_group_of(row, n) != (enum show_group)group || !session_named(path))
                continue;
            r = json_row(row, n, path, detail, decision_of(d, n), first, select_has(chosen, n));
            if (r < 0)
                break;
            first = false;
        }
    }
    session_text("]");
    json_git(x, chosen);
    session_text("}\n");
    return r;
}
