/* wall_files: probes of the room's tree.
 *
 * Lives in: a child of the room's program. Trusts: what the host told. Must not: leave anything behind where
 * there is no room: what could be made is removed at once, what could be opened is not written to. */
#include "policy/limit.h"
#include "probe/wall_inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

void wall_root_write(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const dirs[] = {"",     "/usr", "/usr/bin", "/usr/lib", "/etc", "/bin",
                                       "/dev", "/run", "/var",     "/proc",    "/sys", "/run/strongroom"};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        char path[64];
        struct sbuf b = SBUF(path);
        sbuf_fmt(&b, "%s/strongroom-selftest", dirs[i]);
        FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        wall_tried(&t, fd >= 0, dirs[i][0] ? dirs[i] : "/");
        if (fd >= 0)
            (void)unlink(path); /* ours a moment ago */
    }
    wall_sum(v, &t, "could make a file in", "nowhere");
}

void wall_root_open(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {"/etc/passwd",  "/etc/hosts", "/etc/ld.so.cache", "/etc/resolv.conf",
                                        "/usr/bin/env", "/bin/ls",    WALL_PROGRAM};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        FD_AUTO fd = open(files[i], O_WRONLY | O_CLOEXEC);
        wall_tried(&t, fd >= 0, files[i]);
    }
    wall_sum(v, &t, "opens for writing", "none opens");
}

void wall_root_flags(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const places[] = {"/", "/usr", "/etc", WALL_PROGRAM};
    static const unsigned long wanted = ST_RDONLY | ST_NOSUID | 4 /* ST_NODEV */;
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct statvfs fs;
        if (statvfs(places[i], &fs) == 0)
            wall_tried(&t, (fs.f_flag & wanted) != wanted, places[i]);
    }
    wall_sum(v, &t, "not read-only, nosuid and nodev", "read-only, nosuid, nodev");
}

static bool has_entries(const char *path)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    while (readdir(dir))
        n++;
    (void)closedir(dir); /* read-only */
    return n > 2;
}

void wall_root_places(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const places[] = {"/root",     "/home",     "/sys",       "/boot",    "/mnt",
                                         "/media",    "/srv",      "/var/log",   "/var/lib", "/run/systemd",
                                         "/run/user", "/run/dbus", "/lost+found"};
    struct wall_tries t = {0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        wall_tried(&t, has_entries(places[i]), places[i]);
    if (a->home && strcmp(a->home, "/") != 0)
        wall_tried(&t, has_entries(a->home), a->home);
    wall_sum(v, &t, "lists", "nothing to list");
}

/* A file from which at least one byte can be had. */
static bool readable(const char *path)
{
    char byte;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

void wall_root_secrets(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {"/etc/shadow",
                                        "/etc/gshadow",
                                        "/etc/machine-id",
                                        "/etc/sudoers",
                                        "/etc/ssh/ssh_host_ed25519_key",
                                        "/etc/fstab",
                                        "/var/lib/dbus/machine-id",
                                        "/etc/crontab",
                                        "/run/docker.sock",
                                        "/var/run/docker.sock"};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        wall_tried(&t, readable(files[i]), files[i]);
    wall_sum(v, &t, "readable", "none is readable");
}

void wall_canary_files(const struct wall_ask *a, struct wall_verdict *v)
{
    struct wall_tries t = {0};
    for (size_t i = 0; i < a->file_count; i++) {
        char below[600];
        struct sbuf b = SBUF(below);
        sbuf_fmt(&b, "/proc/1/root%s", a->files[i]);
        wall_tried(&t, readable(a->files[i]) || readable(below), a->files[i]);
    }
    if (t.tried)
        wall_sum(v, &t, "readable", "none is there");
    else
        wall_skip(v, "nothing was planted");
}

/* --- /proc and /dev ------------------------------------------------------------------------------------- */

void wall_proc_write(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {
        "/proc/sys/kernel/core_pattern",     "/proc/sys/kernel/hostname",      "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/drop_caches",          "/proc/sys/fs/file-max",          "/proc/sysrq-trigger",
        "/proc/sys/net/ipv4/ip_forward",     "/proc/irq/default_smp_affinity", "/proc/self/uid_map",
        "/proc/sys/user/max_user_namespaces"};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        FD_AUTO fd = open(files[i], O_WRONLY | O_CLOEXEC);
        wall_tried(&t, fd >= 0, files[i] + 6);
    }
    wall_sum(v, &t, "opens for writing", "none opens");
}

void wall_proc_facts(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {"/proc/cmdline",      "/proc/keys",        "/proc/key-users",
                                        "/proc/timer_list",   "/proc/sched_debug", "/proc/config.gz",
                                        "/proc/latency_stats"};
    struct wall_tries t = {0};
    char id[64];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        wall_tried(&t, readable(files[i]), files[i] + 6);
    ssize_t n = fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", id, sizeof id);
    if (n > 0 && a->boot_id)
        wall_tried(&t, strncmp(id, a->boot_id, strcspn(id, "\n")) == 0, "boot_id");
    wall_sum(v, &t, "tells", "nothing is told");
}

void wall_proc_kernel(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const files[] = {"/proc/kcore",
                                        "/proc/kmsg",
                                        "/dev/mem",
                                        "/dev/kmsg",
                                        "/dev/port",
                                        "/sys/kernel/debug",
                                        "/sys/kernel/security/lsm",
                                        "/proc/kpagecount"};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char c;
        FD_AUTO fd = open(files[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        wall_tried(&t, fd >= 0 && read(fd, &c, 1) != 0, files[i]); /* a mask is an empty file */
    }
    wall_tried(&t, syscall(SYS_syslog, 10 /* size of the log */, NULL, 0) >= 0, "syslog");
    wall_sum(v, &t, "opens", "none opens");
}

void wall_dev_list(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const known[] = {".",   "..",   "null", "zero", "full",  "random", "urandom", "tty",
                                        "pts", "ptmx", "shm",  "fd",   "stdin", "stdout", "stderr"};
    struct wall_tries t = {0};
    DIR *dir = opendir("/dev");
    (void)a;
    if (!dir) {
        wall_held(v, "nothing to list");
        return;
    }
    for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
        bool ok = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            ok |= strcmp(d->d_name, known[i]) == 0;
        wall_tried(&t, !ok, d->d_name);
    }
    (void)closedir(dir); /* read-only */
    wall_sum(v, &t, "also", "only the harmless ones");
}

void wall_dev_make(const struct wall_ask *a, struct wall_verdict *v)
{
    static const char *const dirs[] = {"/work", "/tmp", "/dev/shm"};
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        char path[64];
        struct sbuf b = SBUF(path);
        sbuf_fmt(&b, "%s/strongroom-selftest-node", dirs[i]);
        int n = mknod(path, S_IFCHR | 0600, makedev(1, 1));
        wall_tried(&t, n == 0, dirs[i]);
        if (n == 0)
            (void)unlink(path); /* ours a moment ago */
    }
    wall_sum(v, &t, "made /dev/mem's twin in", "refused");
}

/* --- scratch -------------------------------------------------------------------------------------------- */

static const char *const scratch[] = {"/work", "/tmp", "/dev/shm"};

void wall_scratch_size(const struct wall_ask *a, struct wall_verdict *v)
{
    const uint64_t bytes = limit_rows[LIMIT_ID_DISK].preset, inodes = limit_rows[LIMIT_ID_INODES].preset;
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) {
        struct statvfs fs;
        if (statvfs(scratch[i], &fs) < 0)
            continue;
        wall_tried(&t, fs.f_blocks * fs.f_frsize > bytes || fs.f_files > inodes || !fs.f_files, scratch[i]);
    }
    if (!t.tried)
        wall_broke(v, "there is none");
    else
        wall_sum(v, &t, "larger than the default bounds", "bounded");
}

void wall_scratch_flags(const struct wall_ask *a, struct wall_verdict *v)
{
    static const unsigned long wanted = ST_NOSUID | 4 /* ST_NODEV */;
    struct wall_tries t = {0};
    (void)a;
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) {
        struct statvfs fs;
        if (statvfs(scratch[i], &fs) == 0)
            wall_tried(&t, (fs.f_flag & wanted) != wanted, scratch[i]);
    }
    wall_sum(v, &t, "not nosuid and nodev", "nosuid, nodev");
}

void wall_cgroup_tree(const struct wall_ask *a, struct wall_verdict *v)
{
    (void)a;
    if (has_entries("/sys/fs/cgroup"))
        wall_broke(v, "/sys/fs/cgroup is there");
    else
        wall_held(v, "not there");
}
