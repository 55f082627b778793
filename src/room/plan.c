/* plan: turns a policy and the facts of the host into what will be done.
 *
 * Lives in: the supervisor, before the clone. Trusts: the policy's form (checked), nothing of the host's paths.
 * May: look at paths (openat2, fstat). Must not: change anything on the host. */
#include "base/sbuf.h"
#include "policy/notice.h"
#include "room/plan_inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* --- paths of the host ---------------------------------------------------------------------------------- */

/* The kernel's name for what is open, links resolved. */
static int real_name(struct text *t, int fd, const char *path, const char **ret, struct err *e)
{
    char link[32], real[POLICY_PATH_MAX];
    struct sbuf b = SBUF(link);
    sbuf_fmt(&b, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof real - 1);
    if (n < 0) {
        int r = err_set(e, ERR_IO, errno, "find the real name of %s: %s", path, link);
        err_hint(e, "the host's /proc must be mounted");
        return r;
    }
    if (n == sizeof real - 1 || real[0] != '/')
        return err_set(e, ERR_IO, ENAMETOOLONG, "find the real name of %s", path);
    real[n] = '\0';
    *ret = text_join(t, real, "");
    return *ret ? 0 : out_of_text(e);
}

static void remember(const struct stat *st, struct plan_mount *m)
{
    m->dev = st->st_dev;
    m->ino = st->st_ino;
    m->is_dir = S_ISDIR(st->st_mode);
}

/* Asks the kernel for the real name of what is open, and remembers what it is. */
static int describe(struct text *t, int fd, const char *path, struct plan_mount *m, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, ERR_IO, errno, "look at %s", path);
    remember(&st, m);
    return real_name(t, fd, path, &m->src, e);
}

/* What `path` names, links followed; with `beneath` (policy.h) only such as stay in that folder. */
static int follow(const char *path, size_t beneath)
{
    char folder[POLICY_PATH_MAX];

    if (beneath == 0) {
        int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    if (beneath >= sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, path, beneath);
    folder[beneath] = '\0';
    FD_AUTO dir = openat(AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    return fd_resolve(dir, path + beneath + (beneath > 1), 0x08 | 0x02 /* RESOLVE_BENEATH | NO_MAGICLINKS */);
}

/* The folder of the host's that a path was found in last: many flags often name what lies side by side. */
struct folder {
    int fd; /* -1: none yet */
    const char *path;
    size_t len;
};

/* Remembers what `path` is when no link leads there. False: another way must be tried. */
static bool found_without_links(struct folder *in, const char *path, struct plan_mount *m)
{
    char folder[POLICY_PATH_MAX];
    struct kernel_statx x;
    const char *slash = strrchr(path, '/');
    const size_t len = (size_t)(slash - path);
    if (slash[1] == '\0' || len >= sizeof folder)
        return false;
    if (in->fd < 0 || in->len != len || memcmp(in->path, path, len) != 0) {
        memcpy(folder, path, len);
        folder[len] = '\0';
        fd_close(&in->fd);
        *in = (struct folder){
            .fd = fd_resolve(AT_FDCWD, len > 0 ? folder : "/", 0x04 /* RESOLVE_NO_SYMLINKS */),
            .path = path,
            .len = len};
    }
    if (in->fd < 0 || kernel_statx(in->fd, slash + 1, AT_SYMLINK_NOFOLLOW, KERNEL_STATX_BASIC, &x) < 0 ||
        S_ISLNK(x.mode))
        return false;
    m->dev = makedev(x.dev_major, x.dev_minor);
    m->ino = x.ino;
    m->is_dir = S_ISDIR(x.mode);
    m->uid = x.uid;
    m->gid = x.gid;
    m->plain = S_ISREG(x.mode) && (x.attributes_mask & ~x.attributes & KERNEL_STATX_MOUNT_ROOT);
    return true;
}

/* Resolves `path` once. Most paths have no link in them: then the path is the real name. */
static int resolve(struct text *t, struct folder *in, const char *path, size_t beneath, struct plan_mount *m,
                   struct err *e)
{
    if (found_without_links(in, path, m)) {
        m->src = path;
        return 0;
    }
    FD_AUTO fd = follow(path, beneath);
    if (fd >= 0)
        return describe(t, fd, path, m, e);
    int r = err_set(e, ERR_IO, -fd, "open for the room: %s", path);
    if (r == -ENOENT)
        err_hint(e, "only paths that exist can be shown to a room; check the spelling");
    return r;
}

static bool is_below(const char *path, const char *dir)
{
    while (*dir && *path == *dir) {
        path++;
        dir++;
    }
    return *dir == '\0' && *path == '/';
}

static bool is_scratch(const char *dst)
{
    static const char *const roots[] = {"work", "tmp", "dev/shm"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (strcmp(dst, roots[i]) == 0 || is_below(dst, roots[i]))
            return true;
    }
    return false;
}

/* By name, and what lies below a path directly behind it, before others that only begin like it ("a", "a/b", "a-b"). */
static int by_place(const void *a, const void *b)
{
    const char *x = ((const struct plan_mount *)a)->dst, *y = ((const struct plan_mount *)b)->dst;
    while (*x && *x == *y) {
        x++;
        y++;
    }
    const int c = *x == '/' ? 1 : (unsigned char)*x, d = *y == '/' ? 1 : (unsigned char)*y;
    return c - d;
}

/* Parents before children; which one each lies below, and what follows from it. */
static void place_mounts(struct room_plan *plan)
{
    size_t sorted = 1; /* often all are: the policy sorts them by name */
    while (sorted < plan->mount_count && by_place(&plan->mounts[sorted - 1], &plan->mounts[sorted]) <= 0)
        sorted++;
    if (sorted < plan->mount_count)
        qsort(plan->mounts, plan->mount_count, sizeof *plan->mounts, by_place);
    for (size_t i = 0; i < plan->mount_count; i++) {
        struct plan_mount *m = &plan->mounts[i];
        m->late = m->kind != MOUNT_RO || is_scratch(m->dst);
        for (size_t k = 0; k < plan->system_count; k++)
            m->nested = m->nested || is_below(m->dst, plan->system[k].dst) ||
                        strcmp(m->dst, plan->system[k].dst) == 0;
        m->parent = (int)i - 1;
        while (m->parent >= 0 && !is_below(m->dst, plan->mounts[m->parent].dst))
            m->parent = plan->mounts[m->parent].parent;
        if (m->parent >= 0) {
            const struct plan_mount *parent = &plan->mounts[m->parent];
            m->nested = parent->kind != MOUNT_TMPFS || parent->nested;
            m->late = m->late || parent->late;
        }
    }
}

bool plan_is_covered(const struct room_plan *plan, const char *dst)
{
    for (size_t i = 0; i < plan->cover_count; i++) {
        if (is_below(dst, plan->covers[i].path))
            return true;
    }
    return false;
}

static int plan_mount(struct room_plan *plan, const struct policy_mount *from, struct text *t,
                      struct folder *in, struct err *e)
{
    struct plan_mount *m = &plan->mounts[plan->mount_count];
    m->kind = from->kind;
    m->dst = from->dst + 1;
    m->tree = m->upper_tree = m->file = -1;
    m->is_dir = true;
    m->size = from->size ? from->size : plan->scratch_bytes;
    m->stream = from->kind == MOUNT_COPY_IN && strcmp(from->src, "-") == 0;
    if (m->stream)
        m->src = from->src;
    int r = from->kind == MOUNT_TMPFS || m->stream ? 0 : resolve(t, in, from->src, from->beneath, m, e);
    if (r == 0 && m->kind == MOUNT_WORKSPACE && !m->is_dir) {
        r = err_set(e, ERR_IO, ENOTDIR, "use as a workspace: %s", from->src);
        err_hint(e, "a workspace is a folder; a single file can be shown with --ro or --rw");
    }
    if (r < 0)
        return r;
    if (m->kind == MOUNT_COPY_IN &&
        m->is_dir) { /* laid over, which takes no time; for the program it is the same */
        m->kind = MOUNT_WORKSPACE;
        m->fleeting = true;
    }
    if (m->kind == MOUNT_WORKSPACE)
        m->slot = plan->workspace_count++;
    /* What the read-only system shows anyway needs no mount of its own. */
    if (m->kind != MOUNT_RO || plan->policy->rootfs || strcmp(from->src, from->dst) != 0 ||
        strcmp(m->src, from->dst) != 0 || !is_below(m->src, "/usr") || plan_is_covered(plan, m->dst))
        plan->mount_count++;
    return 0;
}

static int plan_mounts(struct room_plan *plan, struct text *t, struct err *e)
{
    const struct policy *p = plan->policy;
    struct folder in = {.fd = -1};
    int r = 0;
    plan->mounts = text_array(t, sizeof *plan->mounts, p->mount_count);
    if (!plan->mounts)
        return out_of_text(e);
    for (size_t i = 0; r == 0 && i < p->mount_count; i++)
        r = plan_mount(plan, &p->mounts[i], t, &in, e);
    fd_close(&in.fd);
    if (r == 0)
        place_mounts(plan);
    return r;
}

/* Rules may come while the room lives, and nothing that the policy names lies where their sockets appear. */
static bool wants_live_sockets(const struct room_plan *plan)
{
    bool wants = plan->policy->name && plan->policy->net == NET_GATE &&
                 plan->policy->layers[LAYER_ID_GATE] != LAYER_OFF;
    for (size_t i = 0; i < plan->mount_count; i++) {
        const char *dst = plan->mounts[i].dst;
        wants = wants && strcmp(dst, PLAN_SOCKETS_DIR) != 0 && !is_below(dst, PLAN_SOCKETS_DIR) &&
                !is_below(PLAN_SOCKETS_DIR, dst);
    }
    return wants;
}

/* A place that is the room's own and nobody else's yet: nothing is ever created in what is bound. */
static int plan_unixes(struct room_plan *plan, struct err *e)
{
    static const char *const own[] = {"run",     "run/strongroom", "etc", "var",           "dev",
                                      "dev/shm", "work",           "tmp", PLAN_SOCKETS_DIR};
    const struct egress_rules *rules = &plan->policy->egress;
    for (size_t i = 0; i < rules->count; i++) {
        const struct egress_rule *x = &rules->rules[i];
        if (x->kind != EGRESS_UNIX || x->deny)
            continue;
        struct plan_unix u = {.dst = x->path + 1, .rule = (uint32_t)i, .late = is_scratch(x->path + 1)};
        bool taken = false;
        u.late = u.late || (plan->live_sockets && is_below(u.dst, PLAN_SOCKETS_DIR));
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            taken = taken || strcmp(u.dst, own[k]) == 0;
        for (size_t k = 0; k < plan->system_count; k++)
            taken = taken || is_below(u.dst, plan->system[k].dst) || strcmp(u.dst, plan->system[k].dst) == 0;
        for (size_t k = 0; k < plan->mount_count; k++) {
            const struct plan_mount *m = &plan->mounts[k];
            const bool in = is_below(u.dst, m->dst);
            taken = taken || is_below(m->dst, u.dst) || strcmp(u.dst, m->dst) == 0 ||
                    (in && (m->kind != MOUNT_TMPFS || m->nested));
            u.late = u.late || in;
        }
        for (size_t k = 0; k < plan->file_count; k++)
            taken = taken || strcmp(u.dst, plan->files[k].path) == 0 || is_below(u.dst, plan->files[k].path);
        if (taken) {
            err_set(e, ERR_USAGE, 0, "show the socket %s in the room as %s: that place is taken", x->name,
                    x->path);
            return err_hint(e, "name another place, as unix:%s=/run/other.sock", x->name);
        }
        plan->unixes[plan->unix_count++] = u;
    }
    return 0;
}

/* --- the system ----------------------------------------------------------------------------------------- */

/* Pieces of the host's system that programs need; absent ones are skipped. */
static const struct {
    const char *path;
    bool is_dir;
} system_pieces[] = {
    {"/etc/ld.so.cache", false},     {"/etc/alternatives", true},    {"/etc/ssl/certs", true},
    {"/etc/ssl/openssl.cnf", false}, {"/etc/java-17-openjdk", true}, {"/etc/java-21-openjdk", true},
    {"/etc/matplotlibrc", false},    {"/etc/fonts", true},
};

/* Folders of the administrator's own below /usr/local: settings, data, sources. No part of a system that programs need
 * and, being anybody's, a place for secrets and sockets. Covered by empty folders, unless the policy names them. */
static const char *const local_folders[] = {"usr/local/etc", "usr/local/share", "usr/local/src"};

static const char *const top_names[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

static int add_system(struct room_plan *plan, const char *src, const char *dst, bool is_dir, struct err *e)
{
    if (plan->system_count == PLAN_SYSTEM_MAX)
        return err_set(e, ERR_INTERNAL, E2BIG, "plan the room's system");
    plan->system[plan->system_count++] = (struct plan_mount){
        .kind = MOUNT_RO, .src = src, .dst = dst, .is_dir = is_dir, .optional = true, .tree = -1};
    return 0;
}

static int add_file(struct room_plan *plan, const char *path, const char *text, bool is_link, struct err *e)
{
    if (plan->file_count == PLAN_SYSTEM_MAX)
        return err_set(e, ERR_INTERNAL, E2BIG, "plan the room's files");
    plan->files[plan->file_count++] = (struct plan_file){.path = path, .text = text, .is_link = is_link};
    return 0;
}

/* A piece of the system at `path`, if there is one. Of a rootfs nothing is trusted: its links lead where they
 * would lead if it were the root, never to the host's files, and what was found is what the child must find. */
static int add_piece(struct room_plan *plan, struct text *t, int rootfs, const char *path, bool is_dir,
                     struct err *e)
{
    struct plan_mount m;
    if (rootfs < 0)
        return plan->for_skeleton || access(path, F_OK) == 0 ? add_system(plan, path, path + 1, is_dir, e)
                                                             : 0;
    FD_AUTO fd = fd_resolve(rootfs, path, 0x10 | 0x02 /* RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS */);
    if (fd < 0)
        return errno == ENOENT
                   ? 0
                   : err_set(e, ERR_IO, errno, "open for the room: %s%s", plan->policy->rootfs, path);
    int r = describe(t, fd, path, &m, e);
    if (r == 0)
        r = add_system(plan, m.src, path + 1, m.is_dir, e);
    if (r < 0)
        return r;
    plan->system[plan->system_count - 1].dev = m.dev;
    plan->system[plan->system_count - 1].ino = m.ino;
    return 0;
}

/* /bin and its like: a link where the system has a link (merged /usr), else a bind. */
static int plan_top_names(struct room_plan *plan, struct text *t, int rootfs, struct err *e)
{
    char target[256];
    for (size_t i = 0; i < sizeof top_names / sizeof *top_names; i++) {
        ssize_t n =
            readlinkat(rootfs, rootfs < 0 ? top_names[i] : top_names[i] + 1, target, sizeof target - 1);
        int r = 0;
        if (n > 0) {
            target[n] = '\0';
            char *copy = text_join(t, target, "");
            r = copy ? add_file(plan, top_names[i] + 1, copy, true, e) : out_of_text(e);
        } else {
            r = add_piece(plan, t, rootfs, top_names[i], true, e);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* With the host's network come the host's ways to find names. */
static int plan_host_names(struct room_plan *plan, struct text *t, struct err *e)
{
    static const char *const paths[] = {"/etc/resolv.conf", "/etc/hosts"};
    struct folder in = {.fd = -1};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof paths / sizeof *paths; i++) {
        struct plan_mount m = {0};
        if (access(paths[i], F_OK) < 0)
            continue;
        r = resolve(t, &in, paths[i], 0, &m, e); /* often a link into /run */
        if (r == 0)
            r = add_system(plan, m.src, paths[i] + 1, false, e);
    }
    fd_close(&in.fd);
    return r;
}

static void plan_covers(struct room_plan *plan)
{
    const struct policy *p = plan->policy;
    struct stat st;
    if (p->rootfs)
        return;
    FD_AUTO root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof local_folders / sizeof *local_folders; i++) {
        bool named = false, own = false;
        for (size_t k = 0; k < p->mount_count; k++) {
            const char *dst = p->mounts[k].dst + 1;
            named = named || strcmp(dst, local_folders[i]) == 0 || is_below(local_folders[i], dst);
            own = own || is_below(dst, local_folders[i]);
        }
        if (!named && fstatat(root, local_folders[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            plan->covers[plan->cover_count++] = (struct plan_cover){.path = local_folders[i], .own = own};
    }
}

static int plan_system(struct room_plan *plan, struct text *t, struct err *e)
{
    const char *root = plan->policy->rootfs;
    FD_AUTO rootfs = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (root && rootfs < 0) {
        int n = err_set(e, ERR_IO, errno, "open the root of the room: %s", root);
        err_hint(e, "--rootfs wants a folder with a system in it (usr, bin, lib)");
        return n;
    }
    int r =
        rootfs < 0 ? add_system(plan, "/usr", "usr", true, e) : add_piece(plan, t, rootfs, "/usr", true, e);
    if (r == 0)
        r = plan_top_names(plan, t, rootfs, e);
    if (r == 0 && plan->policy->net == NET_HOST)
        r = plan_host_names(plan, t, e);
    for (size_t i = 0; r == 0 && i < sizeof system_pieces / sizeof *system_pieces; i++)
        if (!plan->trust_bundle ||
            strcmp(system_pieces[i].path, "/etc/ssl/certs") != 0) /* a folder of its own */
            r = add_piece(plan, t, rootfs, system_pieces[i].path, system_pieces[i].is_dir, e);
    return r;
}

/* Files that every room has. %-less: what varies is made below. */
/* The names that programs ask for most (IANA's registry of service names). */
static const char services[] =
    "ftp 21/tcp\nssh 22/tcp\ntelnet 23/tcp\nsmtp 25/tcp\ndomain 53/tcp\ndomain 53/udp\n"
    "http 80/tcp\npop3 110/tcp\nntp 123/udp\nimap 143/tcp\nldap 389/tcp\nhttps 443/tcp\n"
    "submission 587/tcp\nldaps 636/tcp\nimaps 993/tcp\npop3s 995/tcp\nmysql 3306/tcp\n"
    "postgresql 5432/tcp\nredis 6379/tcp\ngit 9418/tcp\n";

static const struct plan_file fixed_files[] = {
    {"etc/nsswitch.conf",
     "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n", false},
    {"etc/host.conf", "multi on\n", false},
    {"etc/resolv.conf", "# this room has no network\n", false},
    {"etc/shells", "/bin/sh\n/bin/bash\n", false},
    {"etc/locale.alias", "", false},
    {"etc/localtime", "../usr/share/zoneinfo/UTC", true},
    {"etc/services", services, false},
    {"etc/protocols", "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n", false},
    {"etc/machine-id", "", false},
    {"etc/os-release", "../usr/lib/os-release", true},
    {"var/tmp", "../tmp", true},
    {"dev/fd", "/proc/self/fd", true},
    {"dev/stdin", "/proc/self/fd/0", true},
    {"dev/stdout", "/proc/self/fd/1", true},
    {"dev/stderr", "/proc/self/fd/2", true},
    {"dev/ptmx", "pts/ptmx", true},
};

static char *random_uuid(struct text *t)
{
    unsigned char r[16];
    if (getrandom(r, sizeof r, GRND_NONBLOCK) != sizeof r)
        memset(r, 0, sizeof r); /* early boot: any value that is not the host's will do */
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    return text_fmt(t, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", r[0], r[1],
                    r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

/* What the room may read about its network. */
static int plan_notice(struct room_plan *plan, struct text *t, struct err *e)
{
    struct sbuf b = {.text = t->next, .size = NOTICE_MAX};
    if (t->end - t->next < NOTICE_MAX)
        return out_of_text(e);
    notice_text(plan->policy, &plan->policy->egress, &b);
    t->next += b.len + 1;
    return add_file(plan, NOTICE_PATH, b.text, false, e);
}

/* The certificate of the room's own authority: in a bundle with the host's, and by its hash. */
static int plan_trust(struct room_plan *plan, struct text *t, struct err *e)
{
    if (!plan->trust_bundle)
        return 0;
    char *path = text_fmt(t, "etc/ssl/certs/%s.0", plan->trust_hash);
    int r = path ? add_file(plan, path, plan->trust_pem, false, e) : out_of_text(e);
    return r < 0 ? r : add_file(plan, "etc/ssl/certs/ca-certificates.crt", plan->trust_bundle, false, e);
}

static int plan_files(struct room_plan *plan, struct text *t, struct err *e)
{
    char *passwd = text_fmt(t,
                            "root:x:0:0:root:/:/usr/sbin/nologin\nroom:x:%u:%u:room:/work:/bin/sh\n"
                            "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
                            plan->uid, plan->gid);
    char *group = text_fmt(t, "root:x:0:\nroom:x:%u:\nnogroup:x:65534:\n", plan->gid);
    char *hosts = text_fmt(t, "127.0.0.1 localhost %s\n::1 localhost ip6-localhost\n", plan->hostname);
    char *boot_id = random_uuid(t);
    if (!passwd || !group || !hosts || !boot_id)
        return out_of_text(e);
    int r = add_file(plan, "etc/passwd", passwd, false, e);
    if (r == 0)
        r = add_file(plan, "etc/group", group, false, e);
    if (r == 0 && plan->policy->net != NET_HOST)
        r = add_file(plan, "etc/hosts", hosts, false, e);
    if (r == 0)
        r = add_file(plan, "run/strongroom/boot_id", boot_id, false, e);
    if (r == 0)
        r = plan_notice(plan, t, e);
    if (r == 0)
        r = plan_trust(plan, t, e);
    for (size_t i = 0; r == 0 && i < sizeof fixed_files / sizeof *fixed_files; i++) {
        if (plan->policy->net == NET_HOST && strcmp(fixed_files[i].path, "etc/resolv.conf") == 0)
            continue; /* the host's own is bound there */
        if (plan->policy->net == NET_GATE && strcmp(fixed_files[i].path, "etc/resolv.conf") == 0) {
            r = add_file(plan, "etc/resolv.conf", "nameserver 198.18.0.1\n", false, e);
            continue;
        }
        r = add_file(plan, fixed_files[i].path, fixed_files[i].text, fixed_files[i].is_link, e);
    }
    return r;
}

/* --- the skeleton --------------------------------------------------------------------------------------- */

#define SKELETON "skeleton-4" /* the number changes with its contents; meson.build names it too */

/* A folder that somebody else could change is no foundation. */
static bool is_trusted(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* Beside the program (in a build folder), where it is installed, or nowhere. */
static const char *find_skeleton(struct text *t)
{
    char self[POLICY_PATH_MAX], path[POLICY_PATH_MAX + 64];
    static const char *const tails[] = {"/" SKELETON, "/../share/strongroom/" SKELETON};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct sbuf b = SBUF(path);
        sbuf_text(&b, self);
        sbuf_text(&b, tails[i]);
        if (is_trusted(path))
            return text_join(t, path, "");
    }
    return NULL;
}

/* Does the skeleton have a place for everything that this plan mounts, and are its texts this room's? */
static bool fits_skeleton(const struct room_plan *plan)
{
    const struct policy *p = plan->policy;
    if (p->rootfs || p->hostname || p->net != NET_NONE || p->publish_count || plan->uid != 1000)
        return false;
    for (size_t i = 0; i < plan->mount_count; i++) {
        if (!plan->mounts[i].nested && !is_scratch(plan->mounts[i].dst))
            return false;
    }
    for (size_t i = 0; i < plan->cover_count; i++) {
        if (plan->covers[i].own)
            return false;
    }
    for (size_t i = 0; i < plan->system_count; i++) { /* hosts without merged /usr */
        if (!strchr(plan->system[i].dst, '/') && strcmp(plan->system[i].dst, "usr") != 0)
            return false;
    }
    return true;
}

/* --- bounds of each process ----------------------------------------------------------------------------- */

static void add_rlimit(struct room_plan *plan, int resource, uint64_t value)
{
    if (value == LIMIT_UNLIMITED || plan->rlimit_count == PLAN_RLIMITS_MAX)
        return;
    plan->rlimits[plan->rlimit_count++] = (struct plan_rlimit){.resource = resource, .value = (rlim_t)value};
}

/* Does the host give cores to a program or a socket of its own? If nobody can tell, yes. */
static bool cores_are_taken(void)
{
    char first;
    FD_AUTO pattern = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
    return pattern < 0 || read(pattern, &first, 1) != 1 || first == '|' || first == '@';
}

static void plan_rlimits(struct room_plan *plan)
{
    const uint64_t *l = plan->policy->limits;
    uint64_t cpu = l[LIMIT_ID_CPU_TIME];
    add_rlimit(plan, RLIMIT_CORE, cores_are_taken() ? 1 : 0); /* policy/seccomp_rules.h says why */
    add_rlimit(plan, RLIMIT_NOFILE, l[LIMIT_ID_FILES]);
    add_rlimit(plan, RLIMIT_FSIZE, l[LIMIT_ID_FILE_SIZE]);
    /* pid 1 counts too. Inside a user namespace of its own this counts only the room's processes. */
    add_rlimit(plan, RLIMIT_NPROC,
               l[LIMIT_ID_PIDS] == LIMIT_UNLIMITED ? LIMIT_UNLIMITED : l[LIMIT_ID_PIDS] + 1);
    /* The supervisor counts the room as a whole and says so; this ends a single process that it did not see in time. */
    add_rlimit(plan, RLIMIT_CPU, cpu == LIMIT_UNLIMITED ? cpu : (cpu + 999) / 1000 + 1);
    add_rlimit(plan, RLIMIT_MEMLOCK, 8 << 20);
    add_rlimit(plan, RLIMIT_MSGQUEUE, 0);
    add_rlimit(plan, RLIMIT_RTPRIO, 0);
    add_rlimit(plan, RLIMIT_NICE, 0);
    add_rlimit(plan, RLIMIT_SIGPENDING, 1024);
}

int plan_make(struct room_plan *plan, const struct policy *policy, char **argv, char *text, size_t text_size,
              struct err *e)
{
    struct text t = {.next = text, .end = text + text_size};
    plan->policy = policy;
    plan->argv = argv;
    plan->uid = plan->gid = policy->uid;
    plan->hostname = policy->hostname ? policy->hostname : "room";
    plan->workdir = policy->workdir ? policy->workdir : "/work";
    plan->tty = policy->tty == TTY_YES;
    plan->scratch_bytes =
        policy->limits[LIMIT_ID_DISK] == LIMIT_UNLIMITED ? 0 : policy->limits[LIMIT_ID_DISK];
    plan->scratch_inodes =
        policy->limits[LIMIT_ID_INODES] == LIMIT_UNLIMITED ? 0 : policy->limits[LIMIT_ID_INODES];
    plan->oom_first = true;
    plan->upper = policy->upper;
    plan->upper_bytes = policy->upper_size ? policy->upper_size : plan->scratch_bytes;
    for (int i = 0; i < LAYER_ID_COUNT; i++) {
        if (policy->layers[i] == LAYER_OFF)
            plan->layers_off |= 1ull << i;
    }
    int r = plan_system(plan, &t, e);
    plan_covers(plan);
    if (r == 0)
        r = plan_mounts(plan, &t, e);
    plan->skeleton_tree = -1;
    plan->live_sockets = wants_live_sockets(plan);
    if (r == 0 && !plan->for_skeleton && !plan->live_sockets && fits_skeleton(plan))
        plan->skeleton = find_skeleton(&t);
    if (r == 0 && !plan->skeleton)
        r = plan_files(plan, &t, e);
    if (r == 0)
        r = plan_unixes(plan, e);
    if (r == 0)
        r = plan_masks(plan, &t, e);
    if (r == 0)
        r = plan_env(plan, &t, e);
    if (r == 0)
        r = plan_program(plan, &t, e);
    plan_rlimits(plan);
    return r;
}
