/* store: see store.h.
 *
 * Lives in: strongroom (all of it) and strongroom-tree (the state word). Trusts: its own directories, which nobody
 * else may write to: that is checked. Must not: follow a link below $STATE. */
#include "tree/store.h"
#include "base/num.h"
#include "base/sbuf.h"
#include "base/utf8.h"
#include "sys/fd.h"
#include "sys/kernel.h"
#include "sys/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_MAX      (4 * (2 * STORE_PATH_MAX + STORE_COMMAND_MAX) + 1024)
#define DIRENTS_BYTES 32768
#define NEW_TRIES     64
#define NEW           ".new" /* what is not under its name yet */

static const char *const state_names[STORE_STATE_COUNT] = {
    [STORE_RUNNING] = "running",   [STORE_PENDING] = "pending", [STORE_APPLYING] = "applying",
    [STORE_APPLIED] = "applied",   [STORE_UNDOING] = "undoing", [STORE_UNDONE] = "undone",
    [STORE_UNLISTED] = "unlisted",
};

const char *store_state_name(enum store_state s)
{
    return s > 0 && s < STORE_STATE_COUNT ? state_names[s] : "unknown";
}

int store_path(const char *below, char *ret, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;

    /* Who is root in name only (a user namespace) owns nothing there. */
    if (geteuid() == 0 && access("/var/lib", W_OK) == 0)
        n = snprintf(ret, size, "/var/lib/strongroom/%s", below);
    else if (state && state[0] == '/')
        n = snprintf(ret, size, "%s/strongroom/%s", state, below);
    else if (home && home[0] == '/')
        n = snprintf(ret, size, "%s/.local/state/strongroom/%s", home, below);
    else
        return -ENOENT;
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Each missing folder of the path, as mkdir -p would, but private. */
static int make_folders(char *path)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char was = *at;
        *at = '\0';
        int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        *at = was;
        if (r < 0 || was == '\0')
            return r;
    }
}

static int private_to_us(int fd)
{
    struct stat s;

    if (fstat(fd, &s) < 0)
        return -errno;
    return s.st_uid == geteuid() && (s.st_mode & 022) == 0 ? 0 : -EPERM;
}

int store_open(struct err *e)
{
    char path[STORE_PATH_MAX];
    int r = store_path("changes", path, sizeof path);

    if (r < 0) {
        err_set(e, ERR_IO, r, "find the place for changes");
        return err_hint(e, "set HOME or XDG_STATE_HOME to an absolute path");
    }
    r = make_folders(path);
    if (r < 0) {
        err_set(e, ERR_IO, r, "make the folder for changes: %s", path);
        return err_hint(e, "set XDG_STATE_HOME to a folder that is yours and can be written to");
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(e, ERR_IO, errno, "open the folder for changes: %s", path);
    r = private_to_us(fd);
    if (r < 0) {
        fd_close(&fd);
        err_set(e, ERR_IO, 0, "keep changes in %s: it belongs to or may be written by others", path);
        return err_hint(e, "chown and chmod 700 it");
    }
    return fd;
}

static bool id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
}

static bool is_id(const char *s, size_t min)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (!id_char(s[i]))
            return false;
    return n >= min && n <= STORE_ID_LENGTH;
}

/* The first is always a letter, so that an ID is never taken for a number. */
int store_draw_id(char ret[STORE_ID_SIZE])
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[STORE_ID_LENGTH];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return -errno;
    for (size_t i = 0; i < STORE_ID_LENGTH; i++)
        ret[i] = set[bytes[i] % (i == 0 ? 26 : 32)];
    ret[STORE_ID_LENGTH] = '\0';
    return 0;
}

static int write_new(int dir, const char *text, size_t size, bool durably)
{
    FD_AUTO fd = openat(dir, NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? -errno : fd_write_all(fd, text, size);

    return r == 0 && durably && fsync(fd) < 0 ? -errno : r;
}

static int take_new(int dir, const char *name)
{
    int r = renameat(dir, NEW, dir, name) < 0 ? -errno : 0;

    return r == 0 && fsync(dir) < 0 ? -errno : r;
}

static int write_durably(int dir, const char *name, const char *text, size_t size)
{
    int r = write_new(dir, text, size, true);

    return r < 0 ? r : take_new(dir, name);
}

int store_get_state(int entry, enum store_state *ret)
{
    char text[32];
    ssize_t n = fd_read_file(entry, "state", text, sizeof text);

    if (n < 0)
        return (int)n;
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    for (int s = 1; s < STORE_STATE_COUNT; s++)
        if (strcmp(text, state_names[s]) == 0) {
            *ret = (enum store_state)s;
            return 0;
        }
    return -EBADMSG;
}

int store_set_state(int entry, enum store_state s)
{
    int r = store_get_ready(entry, s, true);

    return r < 0 ? r : store_take_ready(entry);
}

int store_get_ready(int entry, enum store_state s, bool durably)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%s\n", store_state_name(s));

    return write_new(entry, text, (size_t)n, durably);
}

int store_take_ready(int entry)
{
    return take_new(entry, "state");
}

/* Backslash, newline and NUL cannot stand in a line; all else can, so that a path comes back byte for byte. */
static void put_line(struct sbuf *b, const char *key, const char *value)
{
    sbuf_text(b, key);
    sbuf_char(b, ' ');
    for (; *value; value++) {
        if (*value == '\\' || *value == '\n')
            sbuf_text(b, *value == '\n' ? "\\n" : "\\\\");
        else
            sbuf_char(b, *value);
    }
    sbuf_char(b, '\n');
}

int store_write_meta(int entry, const struct store_meta *m, struct err *e)
{
    char *text = mem_reserve(META_MAX);
    char number[32];
    struct sbuf b = {.text = text, .size = META_MAX};

    if (!text)
        return err_set(e, ERR_INTERNAL, ENOMEM, "keep what the changes are about");
    put_line(&b, "id", m->id);
    put_line(&b, "dir", m->dir);
    put_line(&b, "at", m->at);
    put_line(&b, "upper", m->upper);
    put_line(&b, "command", m->command);
    put_line(&b, "policy", m->policy);
    put_line(&b, "outcome", m->outcome);
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"exit-status", (uint64_t)m->exit_status},
                {"ended-sec", (uint64_t)m->ended_sec},
                {"dev", m->dev},
                {"ino", m->ino},
                {"started-sec", (uint64_t)m->started_sec},
                {"started-nsec", (uint64_t)m->started_nsec}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)rows[i].value);
        put_line(&b, rows[i].key, number);
    }
    int r = b.full ? -E2BIG : write_durably(entry, "meta", b.text, b.len);
    mem_release(text, META_MAX);
    return r < 0 ? err_set(e, ERR_IO, r, "keep what the changes are about") : 0;
}

/* One line's value into ret; false when it does not fit or is not of the form. */
static bool take_value(const char *from, size_t n, char *ret, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c == '\\') {
            if (++i == n || (from[i] != 'n' && from[i] != '\\'))
                return false;
            c = from[i] == 'n' ? '\n' : '\\';
        }
        if (len + 1 >= size)
            return false;
        ret[len++] = c;
    }
    ret[len] = '\0';
    return true;
}

int store_parse_meta(const char *text, struct store_meta *ret)
{
    static struct store_meta m;
    uint64_t sec = 0, nsec = 0, status = 0, ended = 0;
    char number[32];
    const struct {
        const char *key;
        char *text;
        size_t size;
        uint64_t *number;
    } rows[] = {{"id", m.id, sizeof m.id, NULL},
                {"dir", m.dir, sizeof m.dir, NULL},
                {"at", m.at, sizeof m.at, NULL},
                {"upper", m.upper, sizeof m.upper, NULL},
                {"command", m.command, sizeof m.command, NULL},
                {"policy", m.policy, sizeof m.policy, NULL},
                {"outcome", m.outcome, sizeof m.outcome, NULL},
                {"exit-status", number, sizeof number, &status},
                {"ended-sec", number, sizeof number, &ended},
                {"dev", number, sizeof number, &m.dev},
                {"ino", number, sizeof number, &m.ino},
                {"started-sec", number, sizeof number, &sec},
                {"started-nsec", number, sizeof number, &nsec}};
    unsigned seen = 0;

    memset(&m, 0, sizeof m);
    while (*text) {
        const char *space = strchr(text, ' '), *end = strchr(text, '\n');
        if (!space || !end || space > end)
            return -EBADMSG;
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
            if (strlen(rows[i].key) != (size_t)(space - text) ||
                strncmp(rows[i].key, text, (size_t)(space - text)) != 0)
                continue;
            if ((seen & 1u << i) ||
                !take_value(space + 1, (size_t)(end - space - 1), rows[i].text, rows[i].size))
                return -EBADMSG;
            if (rows[i].number && num_u64(number, rows[i].number) < 0)
                return -EBADMSG;
            seen |= 1u << i;
        }
        text = end + 1; /* a key that we do not know is a later version's */
    }
    if (seen != (1u << sizeof rows / sizeof *rows) - 1 || !is_id(m.id, STORE_ID_LENGTH) || m.dir[0] != '/')
        return -EBADMSG;
    m.started_sec = (int64_t)sec;
    m.started_nsec = (int64_t)nsec;
    m.exit_status = (int64_t)status;
    m.ended_sec = (int64_t)ended;
    *ret = m;
    return 0;
}

int store_read_meta(int entry, struct store_meta *ret, struct err *e)
{
    char *text = mem_reserve(META_MAX);

    if (!text)
        return err_set(e, ERR_INTERNAL, ENOMEM, "read what the changes are about");
    ssize_t n = fd_read_file(entry, "meta", text, META_MAX);
    int r = n < 0 ? (int)n : store_parse_meta(text, ret);
    mem_release(text, META_MAX);
    return r < 0 ? err_set(e, ERR_IO, r, "read what the changes are about") : 0;
}

int store_new(int changes, struct store_meta *m, struct err *e)
{
    int r = -EEXIST;

    for (int i = 0; i < NEW_TRIES && r == -EEXIST; i++) {
        r = store_draw_id(m->id);
        if (r == 0 && mkdirat(changes, m->id, 0700) < 0)
            r = -errno;
    }
    if (r < 0)
        return err_set(e, ERR_IO, r, "make a place for the changes");
    int fd = openat(changes, m->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = err_set(e, ERR_IO, errno, "take the place for the changes: %s", m->id);
        fd_close(&fd);
        return r;
    }
    r = store_write_meta(fd, m, e);
    if (r == 0) {
        r = store_set_state(fd, STORE_RUNNING);
        if (r < 0)
            r = err_set(e, ERR_IO, r, "keep the state of the changes: %s", m->id);
    }
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    return fd;
}

struct seen {
    char id[STORE_ID_SIZE];
    struct timespec born;
};

static int newest_first(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    if (x->born.tv_sec != y->born.tv_sec)
        return x->born.tv_sec < y->born.tv_sec ? 1 : -1;
    if (x->born.tv_nsec != y->born.tv_nsec)
        return x->born.tv_nsec < y->born.tv_nsec ? 1 : -1;
    return strcmp(x->id, y->id);
}

/* The age of an entry is its meta's, which is written once. */
static int gather(int changes, struct seen *list, size_t max, size_t *ret_count)
{
    char *buf = mem_reserve(DIRENTS_BYTES);
    FD_AUTO fd = openat(changes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t count = 0;
    long n = fd < 0 || !buf ? -1 : 1;

    while (n > 0 && (n = syscall(SYS_getdents64, fd, buf, DIRENTS_BYTES)) > 0)
        for (long at = 0; at < n;) {
            const char *name = buf + at + 19; /* struct linux_dirent64: u64, s64, u16, u8, name */
            unsigned short len;
            char path[STORE_ID_SIZE + 8];
            struct stat s;
            memcpy(&len, buf + at + 16, sizeof len);
            at += len;
            if (!is_id(name, STORE_ID_LENGTH) || count == max)
                continue;
            (void)snprintf(path, sizeof path, "%s/meta", name);
            if (fstatat(changes, path, &s, AT_SYMLINK_NOFOLLOW) < 0)
                continue;
            memcpy(list[count].id, name, STORE_ID_SIZE);
            list[count++].born = s.st_mtim;
        }
    int r = n < 0 ? -errno : 0;
    mem_release(buf, DIRENTS_BYTES);
    if (r < 0)
        return r;
    qsort(list, count, sizeof *list, newest_first);
    *ret_count = count;
    return 0;
}

int store_list(int changes, char (*ret)[STORE_ID_SIZE], size_t max, struct err *e)
{
    struct seen *list = mem_reserve(STORE_ENTRIES_MAX * sizeof *list);
    size_t count = 0;
    int r = list ? gather(changes, list, STORE_ENTRIES_MAX, &count) : -ENOMEM;

    for (size_t i = 0; i < count && i < max; i++)
        memcpy(ret[i], list[i].id, STORE_ID_SIZE);
    mem_release(list, STORE_ENTRIES_MAX * sizeof *list);
    return r < 0 ? err_set(e, ERR_IO, r, "list the changes") : (int)(count < max ? count : max);
}

int store_find(int changes, const char *word, char ret[STORE_ID_SIZE], struct err *e)
{
    struct seen *list = mem_reserve(STORE_ENTRIES_MAX * sizeof *list);
    const struct seen *found = NULL;
    size_t count = 0, hits = 0;
    int r = list ? gather(changes, list, STORE_ENTRIES_MAX, &count) : -ENOMEM;

    for (size_t i = 0; i < count; i++)
        if (!word || strncmp(list[i].id, word, strlen(word)) == 0) {
            if (!found)
                found = &list[i];
            hits++;
        }
    if (r < 0) {
        r = err_set(e, ERR_IO, r, "list the changes");
    } else if (!found && !word) {
        r = err_set(e, ERR_NOT_FOUND, 0, "no changes are kept");
        err_hint(e, "strongroom run -w . -- COMMAND makes some");
    } else if (!found || !is_id(word ? word : "a", 1)) {
        r = err_set(e, ERR_NOT_FOUND, 0, "changes \"%s\": there are none with this ID", word);
        err_hint(e, "strongroom ls lists what is kept");
    } else if (word && hits > 1) {
        r = err_set(e, ERR_USAGE, 0, "changes \"%s\": %zu IDs begin so", word, hits);
        err_hint(e, "give more letters; strongroom ls lists what is kept");
    } else {
        memcpy(ret, found->id, STORE_ID_SIZE);
        r = openat(changes, ret, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (r < 0)
            r = err_set(e, ERR_IO, errno, "open the changes %s", ret);
    }
    mem_release(list, STORE_ENTRIES_MAX * sizeof *list);
    return r;
}

int store_remove(int changes, const char *id, struct err *e)
{
    static const char *const names[] = {"state",       STORE_INDEX, STORE_DECISIONS, STORE_RESTORED,
                                        STORE_JOURNAL, ".new",      "meta"};
    FD_AUTO fd = openat(changes, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_set(e, ERR_IO, errno, "open the changes %s", id);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (unlinkat(fd, names[i], 0) < 0 && errno != ENOENT)
            return err_set(e, ERR_IO, errno, "remove the changes %s: %s", id, names[i]);
    if (unlinkat(changes, id, AT_REMOVEDIR) < 0)
        return err_set(e, ERR_IO, errno, "remove the changes %s", id);
    return 0;
}
