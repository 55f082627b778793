/* workspace: folders of the host that the room may change as it likes, and what becomes of the changes.
 *
 * Lives in: any process. Trusts: nothing of a value. May: join and tidy text. Must not: look at a file system. */
#include "base/num.h"
#include "policy/inner.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

size_t workspaces_count(const struct policy *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->mount_count; i++)
        n += p->mounts[i].kind == MOUNT_WORKSPACE || p->mounts[i].kind == MOUNT_COPY_IN;
    return n;
}

/* "DIR:/AT": the last colon with a slash behind it. A name that has such a colon itself is written with --at. */
const char *place_in(const char *value)
{
    const char *found = NULL;
    for (const char *at = strstr(value, ":/"); at; at = strstr(at + 1, ":/"))
        found = at;
    return found;
}

SET_FUNCTION(set_workspace)
{
    struct policy_mount m = {.kind = MOUNT_WORKSPACE};
    const char *colon = place_in(value);
    size_t len = colon ? (size_t)(colon - value) : strlen(value);

    (void)source;
    int r = path_take(p, f, value, value, len, false, &m.src, e);
    if (r == 0 && colon)
        r = path_take(p, f, value, colon + 1, strlen(colon + 1), true, &m.dst, e);
    else if (r == 0 && !path_has_dotdot(m.src))
        m.dst = m.src;
    if (r == 0 && strcmp(m.src, "/") == 0) {
        value_bad(p, f, value, e, "the host's root is no workspace");
        return err_hint(e, "name the folder that the program shall change");
    }
    if (r == 0 && workspaces_count(p) == POLICY_WORKSPACES_MAX)
        return field_bad(p, f, e, "more than %d workspaces", POLICY_WORKSPACES_MAX);
    return r < 0 ? r : mount_add(p, f, m, value, e);
}

/* The latest workspace of the command line. */
static struct policy_mount *latest(struct policy *p)
{
    struct policy_mount *found = NULL;
    for (size_t i = 0; i < p->mount_count; i++) {
        struct policy_mount *m = &p->mounts[i];
        if (m->kind == MOUNT_WORKSPACE && m->source == SOURCE_FLAG && (!found || m->order > found->order))
            found = m;
    }
    return found;
}

SET_FUNCTION(set_at)
{
    struct policy_mount *m = latest(p);

    if (source != SOURCE_FLAG || p->arena->now.line) {
        field_bad(p, f, e, "has a meaning on the command line only");
        return err_hint(e, "in a file write it behind the folder: workspace: DIR:AT");
    }
    if (!m) {
        value_bad(p, f, value, e, "no workspace before it");
        return err_hint(e, "wanted --workspace DIR --at PATH");
    }
    int r = path_take(p, f, value, value, strlen(value), true, &m->dst, e);
    return r < 0 ? r : mount_dst_writable(p, f, value, m->dst, e);
}

static const char *const apply_names[] = {
    [APPLY_ASK] = "ask", [APPLY_NEVER] = "never", [APPLY_CLEAN] = "clean", [APPLY_ALWAYS] = "always"};
static const char *const upper_names[] = {
    [UPPER_SCRATCH] = "scratch", [UPPER_TMPFS] = "tmpfs", [UPPER_DISK] = "disk"};

static int find_word(const char *const *names, size_t n, const char *value, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], value, len) == 0 && names[i][len] == '\0')
            return (int)i;
    }
    return -1;
}

SET_FUNCTION(set_apply)
{
    int found = find_word(apply_names, sizeof apply_names / sizeof *apply_names, value, strlen(value));

    (void)source;
    if (found < 0) {
        value_bad(p, f, value, e, "no such mode");
        return err_hint(e, "wanted never, ask, clean or always");
    }
    p->apply = (enum apply_mode)found;
    return 0;
}

SET_FUNCTION(set_upper)
{
    const size_t len = strcspn(value, ":");
    uint64_t size = 0;
    int found = find_word(upper_names, sizeof upper_names / sizeof *upper_names, value, len);

    (void)source;
    if (found < 0) {
        value_bad(p, f, value, e, "no such place");
        return err_hint(e, "wanted scratch, tmpfs:SIZE or disk[:SIZE]");
    }
    if (value[len] == ':' && found != UPPER_SCRATCH) {
        int r = num_size(value + len + 1, &size);
        if (r == 0 && (size < limit_rows[LIMIT_ID_DISK].min || size > limit_rows[LIMIT_ID_DISK].max))
            r = -ERANGE;
        if (r < 0) {
            value_bad(p, f, value, e, r == -ERANGE ? "size is out of range" : "\"%.60s\" is not a size",
                      value + len + 1);
            return err_hint(e, "wanted a size of at least 1M, such as 512M");
        }
    } else if (value[len] == ':') {
        value_bad(p, f, value, e, "the scratch file system has its size from --disk");
        return err_hint(e, "wanted scratch, tmpfs:SIZE or disk[:SIZE]");
    }
    p->upper = (enum upper_kind)found;
    p->upper_size = size;
    return 0;
}

/* What has no meaning without a workspace is only shown when somebody said it. */
static bool is_said(const struct policy *p, const struct field *f)
{
    return workspaces_count(p) || field_origin(p, f)->where;
}

SET_FUNCTION(set_from)
{
    (void)source;
    if (strlen(value) > 64 || strchr(value, '/') || value[0] == '.') {
        value_bad(p, f, value, e, "not the name of a saved layer");
        return err_hint(e, "strongroom save --list names them");
    }
    p->from = arena_text(p, value, strlen(value));
    return p->from ? 0 : arena_full(p, e);
}

SHOW_FUNCTION(show_from)
{
    if (p->from)
        show_line(f, out, p->from, field_origin(p, f), explain);
}

SHOW_FUNCTION(show_apply)
{
    if (!is_said(p, f))
        return;
    show_line(f, out, apply_names[p->apply], field_origin(p, f), explain);
}

SHOW_FUNCTION(show_upper)
{
    char text[64];
    struct sbuf b = SBUF(text);
    if (!is_said(p, f))
        return;
    sbuf_text(&b, upper_names[p->upper]);
    if (p->upper_size)
        sbuf_fmt(&b, ":%" PRIu64, p->upper_size);
    show_line(f, out, text, field_origin(p, f), explain);
}

SET_FUNCTION(set_guard)
{
    const size_t len = strlen(value);
    const bool share = len > 0 && value[len - 1] == '%';
    char digits[24];
    struct sbuf b = SBUF(digits);
    uint64_t n = 0;

    sbuf_bytes(&b, value, len - share);
    if (b.full || num_u64(digits, &n) < 0 || n == 0 || n > (share ? 99 : 1000000000)) {
        value_bad(p, f, value, e, "not a number of files");
        return err_hint(e, "wanted 1 to 1000000000, or 1%% to 99%% of the files that are there");
    }
    if (source == SOURCE_PROJECT && p->guard_deletes && (n > p->guard_deletes || share != p->guard_share)) {
        value_bad(p, f, value, e, "a policy found in a project may only tighten");
        return err_hint(e, "say it on the command line");
    }
    p->guard_deletes = n;
    p->guard_share = share;
    return 0;
}

SHOW_FUNCTION(show_guard)
{
    char text[32];
    struct sbuf b = SBUF(text);
    if (!p->guard_deletes)
        return;
    sbuf_fmt(&b, "%" PRIu64 "%s", p->guard_deletes, p->guard_share ? "%" : "");
    show_line(f, out, text, field_origin(p, f), explain);
}

/* Does `path` lie in `dir`? Then what comes behind it ("" or "/…"), else NULL. */
static const char *within(const char *path, const char *dir)
{
    const size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0') ? path + n : NULL;
}

/* The program starts where the caller is, as the room shows it, else in the first workspace. */
static int start_in_workspace(struct policy *p, struct err *e)
{
    const struct policy_mount *first = NULL;
    char text[2 * POLICY_PATH_MAX];
    struct sbuf b = SBUF(text);

    if (p->workdir)
        return 0;
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct policy_mount *m = &p->mounts[i];
        if (m->kind != MOUNT_WORKSPACE)
            continue;
        const char *rest = p->arena->cwd ? within(p->arena->cwd, m->src) : NULL;
        if (rest && b.len == 0)
            sbuf_fmt(&b, "%s%s", m->dst, rest);
        if (!first || m->order < first->order)
            first = m;
    }
    if (first && b.len == 0)
        sbuf_text(&b, first->dst);
    if (b.len == 0 || b.full)
        return 0;
    p->workdir = arena_text(p, text, b.len);
    return p->workdir ? 0 : arena_full(p, e);
}

/* One workspace in another: a change would have two homes. */
static int overlap(const struct policy *p, const struct policy_mount *m, struct err *e)
{
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct policy_mount *o = &p->mounts[i];
        if (o == m || o->kind != MOUNT_WORKSPACE || !within(m->src, o->src))
            continue;
        if (strcmp(m->src, o->src) == 0 && strcmp(m->dst, o->dst) == 0)
            continue; /* said twice */
        err_set(e, source_err_kind(m->source), 0, "workspace %s: lies in the workspace %s", m->src, o->src);
        return err_hint(e, "name one of the two: changes can only be kept once");
    }
    return 0;
}

bool policy_has_workspace(const struct policy *p)
{
    return workspaces_count(p) > 0;
}

/* What was saved is of one folder. */
static int from_has_one(const struct policy *p, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < p->mount_count; i++)
        n += p->mounts[i].kind == MOUNT_WORKSPACE;
    if (!p->from || n == 1)
        return 0;
    err_set(e, source_err_kind(field_origin(p, field_find("from"))->source), 0,
            "from %s: wants one workspace, and there %s", p->from, n ? "are several" : "is none");
    return err_hint(e, "strongroom run -w DIR --from NAME -- COMMAND");
}

int workspaces_check(struct policy *p, const struct note_sink *n, struct err *e)
{
    if (from_has_one(p, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct policy_mount *m = &p->mounts[i];
        if (m->kind != MOUNT_WORKSPACE)
            continue;
        if (!m->dst) {
            err_set(e, source_err_kind(m->source), 0,
                    "workspace %s: a path with \"..\" has no place of its own in the room", m->src);
            return err_hint(e, "write the path without \"..\", or say where it goes with --at PATH");
        }
        int r = overlap(p, m, e);
        if (r < 0)
            return r;
        if (p->arena->home && strcmp(p->arena->home, m->src) == 0)
            note_fmt(n, "workspace %s: the program can read all of your home, keys and tokens included",
                     m->src);
    }
    return start_in_workspace(p, e);
}
