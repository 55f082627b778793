/* mounts: which paths are in the room.
 *
 * Lives in: any process. Trusts: nothing of a value. May: join and tidy text. Must not: look at a file system, so that
 * host paths keep their ".." (only the kernel knows where it leads) and paths of the room may have none.
 *
 * Who wins. Mounts are kept sorted by destination, so a parent always comes before what lies in it and the order in
 * which they were given does not matter. Two mounts on one destination: the later source (or the later file) wins,
 * within one file it is a contradiction. `hide` wins over every mount below it; on exactly one path the later wins. */
#include "base/num.h"
#include "policy/inner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_ 255 /* of one component, in every file system that matters */

bool path_has_dotdot(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
            return true;
    return false;
}

/* Appends the components of `path` to `out`, without "." and empty ones. False: one is too long. */
static bool put_components(struct sbuf *out, const char *path, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && path[i + n] != '/')
            n++;
        if (n > NAME_MAX_)
            return false;
        if (n > 1 || (n == 1 && path[i] != '.')) {
            sbuf_char(out, '/');
            sbuf_bytes(out, path + i, n);
        }
        i += n + 1;
    }
    return true;
}

/* What a host path that is not absolute is taken from; NULL with e filled when there is nothing. */
static const char *base_of(const struct policy *p, const struct field *f, const char *value, const char *text,
                           size_t len, size_t *ret_skip, struct err *e)
{
    const char *base = NULL;
    bool home = text[0] == '~' && (len == 1 || text[1] == '/');
    bool here =
        text[0] == '.' && (len == 1 || text[1] == '/' || (text[1] == '.' && (len == 2 || text[2] == '/')));

    const struct origin *o = &p->arena->now;
    const bool bare = f->flags & FIELD_BARE && text[0] != '~' && o->source == SOURCE_FLAG &&
                      o->line == 0; /* as shells have it */

    *ret_skip = home ? 1 : 0;
    if (!home && !here && !bare) {
        value_bad(p, f, value, e, "\"%.*s\" is not a full path", len > 60 ? 60 : (int)len, text);
        err_hint(e, "start it with / or, from the current directory, with ./");
        return NULL;
    }
    base = home ? p->arena->home : p->arena->cwd;
    if (!base || base[0] != '/') {
        value_bad(p, f, value, e, home ? "no home directory is known" : "the current directory is not known");
        err_hint(e, "write the full path");
        return NULL;
    }
    return base;
}

int path_take(struct policy *p, const struct field *f, const char *value, const char *text, size_t len,
              bool room, const char **ret, struct err *e)
{
    char buf[POLICY_PATH_MAX];
    struct sbuf b = SBUF(buf);
    bool good = true;

    if (len == 0)
        return value_bad(p, f, value, e, room ? "the path in the room is empty" : "the host path is empty");
    if (text[0] != '/') {
        size_t skip;
        if (room) {
            value_bad(p, f, value, e, "the path in the room must start with /");
            return err_hint(e, "%s is: %s", f->arg, f->help);
        }
        const char *base = base_of(p, f, value, text, len, &skip, e);
        if (!base)
            return -EINVAL;
        good = put_components(&b, base, strlen(base));
        text += skip;
        len -= skip;
    }
    good = put_components(&b, text, len) && good;
    if (!good)
        return value_bad(p, f, value, e, "a name in the path is longer than %d bytes", NAME_MAX_);
    if (b.full)
        return value_bad(p, f, value, e, "the path is longer than %d bytes", POLICY_PATH_MAX - 1);
    if (b.len == 0)
        sbuf_char(&b, '/');
    if (room && path_has_dotdot(buf)) {
        value_bad(p, f, value, e, "a path in the room cannot have \"..\"");
        return err_hint(e, "write where it should be, without \"..\"");
    }
    *ret = arena_text(p, buf, b.len);
    return *ret ? 0 : arena_full(p, e);
}

static bool below(const char *path, const char *top)
{
    size_t n = strlen(top);
    return strncmp(path, top, n) == 0 && path[n] == '/';
}

int mount_dst_allowed(const struct policy *p, const struct field *f, const char *value, const char *dst,
                      struct err *e)
{
    static const char *const own[] = {"/proc", "/sys", "/dev"};

    if (strcmp(dst, "/") == 0) {
        value_bad(p, f, value, e, "the root of the room cannot be covered");
        return err_hint(e, "to replace the whole system use --rootfs DIR");
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(dst, own[i]) == 0 || (i < 2 && below(dst, own[i]))) {
            value_bad(p, f, value, e, "%s is the room's own and cannot be covered", own[i]);
            return err_hint(e, "choose another path in the room, such as /work/...");
        }
    return 0;
}

int mount_dst_writable(const struct policy *p, const struct field *f, const char *value, const char *dst,
                       struct err *e)
{
    static const char *const system[] = {"/usr", "/etc"};
    int r = mount_dst_allowed(p, f, value, dst, e);

    for (size_t i = 0; r == 0 && i < sizeof system / sizeof *system; i++)
        if (strcmp(dst, system[i]) == 0) {
            value_bad(p, f, value, e, "%s of the room stays read-only", dst);
            r = err_hint(e, "name a folder below it, or another place in the room");
        }
    return r;
}

int mount_add(struct policy *p, const struct field *f, struct policy_mount m, const char *value,
              struct err *e)
{
    const struct origin *o = &p->arena->now;
    void *array = p->mounts;

    int r = !m.dst               ? 0
            : m.kind == MOUNT_RO ? mount_dst_allowed(p, f, value, m.dst, e)
                                 : mount_dst_writable(p, f, value, m.dst, e);
    if (r < 0)
        return r;
    if (p->mount_count == POLICY_MOUNTS_MAX)
        return field_bad(p, f, e, "more than %d mounts", POLICY_MOUNTS_MAX);
    if (arena_grow(p, &array, &p->arena->mount_room, p->mount_count, sizeof *p->mounts) < 0)
        return arena_full(p, e);
    p->mounts = array;
    m.source = o->source;
    m.line = o->line;
    m.where = o->where;
    m.order = p->arena->order++;
    p->mounts[p->mount_count++] = m;
    return 0;
}

SET_FUNCTION(set_volume)
{
    const char *colon = strchr(value, ':');
    struct policy_mount m = {.kind = MOUNT_RO};

    (void)source;
    if (!colon) {
        value_bad(p, f, value, e, "no path in the room");
        return err_hint(e, "wanted SRC:DST[:ro|:rw]; for the same path on both sides --ro PATH");
    }
    const char *dst = colon + 1, *mode = strchr(dst, ':');
    size_t dst_len = mode ? (size_t)(mode - dst) : strlen(dst);
    if (mode && strcmp(mode, ":rw") == 0) {
        m.kind = MOUNT_RW;
    } else if (mode && strcmp(mode, ":ro") != 0) {
        value_bad(p, f, value, e, "\"%.60s\" is not a mode", mode + 1);
        return err_hint(e, "wanted ro or rw; a path with a colon can be given with --ro or --rw");
    }
    int r = path_take(p, f, value, value, (size_t)(colon - value), false, &m.src, e);
    if (r == 0)
        r = path_take(p, f, value, dst, dst_len, true, &m.dst, e);
    return r < 0 ? r : mount_add(p, f, m, value, e);
}

/* A host path that is shown under its own name, so it can have no ".." either. */
static int take_same(struct policy *p, const struct field *f, const char *value, const char **ret,
                     struct err *e)
{
    int r = path_take(p, f, value, value, strlen(value), false, ret, e);

    if (r == 0 && path_has_dotdot(*ret)) {
        value_bad(p, f, value, e, "a path with \"..\" has no place of its own in the room");
        return err_hint(e, "write the path without \"..\", or say where it goes with --volume SRC:DST");
    }
    return r;
}

SET_FUNCTION(set_bind)
{
    struct policy_mount m = {.kind = (enum mount_kind)f->row};

    (void)source;
    int r = take_same(p, f, value, &m.src, e);
    m.dst = m.src;
    return r < 0 ? r : mount_add(p, f, m, value, e);
}

SET_FUNCTION(set_tmpfs)
{
    enum { SIZE_MIN_ = 4096 };
    const char *colon = strrchr(value, ':');
    struct policy_mount m = {.kind = MOUNT_TMPFS};

    (void)source;
    if (colon) {
        int r = num_size(colon + 1, &m.size);
        if (r == 0 && (m.size < SIZE_MIN_ || m.size > limit_rows[LIMIT_ID_DISK].max))
            r = -ERANGE;
        if (r < 0) {
            value_bad(p, f, value, e, r == -ERANGE ? "size is out of range" : "\"%.60s\" is not a size",
                      colon + 1);
            return err_hint(e, "wanted DST:SIZE with a size of at least 4k, such as 64M");
        }
    }
    int r = path_take(p, f, value, value, colon ? (size_t)(colon - value) : strlen(value), true, &m.dst, e);
    return r < 0 ? r : mount_add(p, f, m, value, e);
}

SET_FUNCTION(set_hide)
{
    struct policy_arena *a = p->arena;
    struct hide_item h = {.origin = a->now, .order = a->order};
    void *array = a->hide;

    (void)source;
    int r = take_same(p, f, value, &h.path, e);
    if (r < 0)
        return r;
    if (strcmp(h.path, "/") == 0 || strcmp(h.path, "/proc") == 0 || strcmp(h.path, "/dev") == 0) {
        value_bad(p, f, value, e, "no program can run without it");
        return err_hint(e, "hide single paths");
    }
    if (p->hide_count == POLICY_HIDE_MAX)
        return field_bad(p, f, e, "more than %d hidden paths", POLICY_HIDE_MAX);
    if (arena_grow(p, &array, &a->hide_room, p->hide_count, sizeof *a->hide) < 0)
        return arena_full(p, e);
    a->hide = array;
    a->hide[p->hide_count++] = h;
    a->order++;
    return 0;
}

SET_FUNCTION(set_rootfs)
{
    const char *path;
    int r = path_take(p, f, value, value, strlen(value), false, &path, e);

    (void)source;
    if (r == 0 && strcmp(path, "/") == 0) {
        value_bad(p, f, value, e, "the host's own root is not shown as a whole");
        return err_hint(e, "leave --rootfs out for the host's system without its secrets");
    }
    if (r == 0)
        p->rootfs = path;
    return r;
}

SET_FUNCTION(set_workdir)
{
    (void)source;
    return path_take(p, f, value, value, strlen(value), true, &p->workdir, e);
}

static int by_dst(const void *a, const void *b)
{
    const struct policy_mount *x = a, *y = b;
    int r = strcmp(x->dst, y->dst);

    if (r == 0)
        r = (x->source > y->source) - (x->source < y->source);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int by_path(const void *a, const void *b)
{
    const struct hide_item *x = a, *y = b;
    int r = strcmp(x->path, y->path);

    if (r == 0)
        r = (x->origin.source > y->origin.source) - (x->origin.source < y->origin.source);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

static struct origin mount_origin(const struct policy_mount *m)
{
    return (struct origin){.where = m->where, .line = m->line, .source = m->source};
}

static int contradiction(const struct origin *a, const struct origin *b, const char *what, const char *path,
                         const char *hint, struct err *e)
{
    char first[256], second[256];
    struct sbuf s = SBUF(first), t = SBUF(second);

    origin_text(a, &s);
    origin_text(b, &t);
    err_set(e, source_err_kind(b->source), 0, "%s: %s: %s and %s", what, path, first, second);
    return err_hint(e, "%s", hint);
}

static bool same_mount(const struct policy_mount *a, const struct policy_mount *b)
{
    return a->kind == b->kind && a->size == b->size && (!a->src || strcmp(a->src, b->src) == 0);
}

/* One mount for each destination, the latest source's. */
static int mounts_settle(struct policy *p, struct err *e)
{
    size_t kept = 0;

    if (p->mount_count)
        qsort(p->mounts, p->mount_count, sizeof *p->mounts, by_dst);
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct policy_mount *m = &p->mounts[i], *next = i + 1 < p->mount_count ? m + 1 : NULL;
        bool covered = next && strcmp(m->dst, next->dst) == 0;
        struct origin a = mount_origin(m), b = next ? mount_origin(next) : a;
        if (covered && origin_same(&a, &b) && !same_mount(m, next))
            return contradiction(&a, &b, "two mounts on one path", m->dst, "keep one of the two", e);
        if (!covered)
            p->mounts[kept++] = *m;
    }
    p->mount_count = kept;
    return 0;
}

static void hide_settle(struct policy *p)
{
    struct hide_item *h = p->arena->hide;
    size_t kept = 0;

    if (p->hide_count)
        qsort(h, p->hide_count, sizeof *h, by_path);
    for (size_t i = 0; i < p->hide_count; i++)
        if (i + 1 == p->hide_count || strcmp(h[i].path, h[i + 1].path) != 0)
            h[kept++] = h[i];
    p->hide_count = kept;
}

/* A path that is both shown and hidden: both lists are sorted, so one walk finds them. */
static int shown_or_hidden(struct policy *p, const struct note_sink *n, struct err *e)
{
    struct hide_item *h = p->arena->hide;
    size_t mounts = 0, hides = 0, i = 0, j = 0;

    while (i < p->mount_count || j < p->hide_count) {
        const struct policy_mount *m = i < p->mount_count ? &p->mounts[i] : NULL;
        int r = !m ? 1 : j == p->hide_count ? -1 : strcmp(m->dst, h[j].path);
        if (r == 0) {
            struct origin o = mount_origin(m);
            bool shown =
                m->source != h[j].origin.source ? m->source > h[j].origin.source : m->order > h[j].order;
            if (origin_same(&o, &h[j].origin))
                return contradiction(&o, &h[j].origin, "one path is both shown and hidden", m->dst,
                                     "leave out one of the two", e);
            note_fmt(n, "%s: %s, as the later source says", m->dst,
                     shown ? "shown, not hidden" : "hidden, not shown");
            if (shown)
                p->mounts[mounts++] = *m;
            else
                h[hides++] = h[j];
            i++;
            j++;
        } else if (r < 0) {
            p->mounts[mounts++] = *m;
            i++;
        } else {
            h[hides++] = h[j++];
        }
    }
    p->mount_count = mounts;
    p->hide_count = hides;
    return 0;
}

int mounts_check(struct policy *p, const struct note_sink *n, struct err *e)
{
    int r = workspaces_check(p, n, e);

    if (r == 0)
        r = mounts_settle(p, e);
    if (r < 0)
        return r;
    hide_settle(p);
    r = shown_or_hidden(p, n, e);
    if (r < 0 || p->hide_count == 0)
        return r;
    p->hide = arena_alloc(p, p->hide_count * sizeof *p->hide);
    if (!p->hide)
        return arena_full(p, e);
    for (size_t j = 0; j < p->hide_count; j++) {
        p->hide[j] = p->arena->hide[j].path;
        for (size_t i = 0; i < p->mount_count && n->note; i++)
            if (below(p->mounts[i].dst, p->hide[j]))
                note_fmt(n, "%s: cannot be seen, for %s is hidden", p->mounts[i].dst, p->hide[j]);
        if (p->workdir && (strcmp(p->workdir, p->hide[j]) == 0 || below(p->workdir, p->hide[j])))
            note_fmt(n, "workdir %s: is hidden, so it will be empty or missing", p->workdir);
    }
    return 0;
}

/* Which row shows a mount: one with the same path on both sides is `ro` or `rw`. */
static const char *mount_word(const struct policy_mount *m)
{
    if (m->kind == MOUNT_TMPFS)
        return "tmpfs";
    if (m->kind == MOUNT_WORKSPACE)
        return "workspace";
    if (m->kind == MOUNT_COPY_IN)
        return "copy-in";
    if (strcmp(m->src, m->dst) != 0)
        return "volume";
    return m->kind == MOUNT_RW ? "rw" : "ro";
}

static void mount_text(const struct policy_mount *m, struct sbuf *b)
{
    if (m->kind == MOUNT_TMPFS) {
        sbuf_text(b, m->dst);
        if (m->size)
            sbuf_fmt(b, ":%" PRIu64, m->size);
    } else if (strcmp(m->src, m->dst) == 0 && m->kind != MOUNT_COPY_IN) {
        sbuf_text(b, m->src);
    } else if (m->kind == MOUNT_WORKSPACE || m->kind == MOUNT_COPY_IN) {
        sbuf_fmt(b, "%s:%s", m->src, m->dst);
    } else {
        sbuf_fmt(b, "%s:%s:%s", m->src, m->dst, m->kind == MOUNT_RW ? "rw" : "ro");
    }
}

SHOW_FUNCTION(show_mounts)
{
    bool any = false;

    for (size_t i = 0; i < p->mount_count; i++) {
        const struct policy_mount *m = &p->mounts[i];
        char text[2 * POLICY_PATH_MAX + 32];
        struct sbuf b = SBUF(text);

        if (strcmp(mount_word(m), f->name) != 0)
            continue;
        if (!any)
            sbuf_fmt(out, "%s:\n", f->name);
        any = true;
        mount_text(m, &b);
        struct origin o = mount_origin(m);
        show_item(out, text, &o, explain);
    }
}

SHOW_FUNCTION(show_hide)
{
    if (p->hide_count)
        sbuf_fmt(out, "%s:\n", f->name);
    for (size_t i = 0; i < p->hide_count; i++)
        show_item(out, p->arena->hide[i].path, &p->arena->hide[i].origin, explain);
}

SHOW_FUNCTION(show_rootfs)
{
    if (p->rootfs)
        show_line(f, out, p->rootfs, field_origin(p, f), explain);
}

SHOW_FUNCTION(show_workdir)
{
    show_line(f, out, p->workdir ? p->workdir : "/work", field_origin(p, f), explain);
}
