/* watch: looks at a room's own process table, through the /proc that pid 1 handed out.
 *
 * Two uses: to count survivors after the end, and, where no cgroup bounds memory, to sample it.
 * Lives in: the supervisor. Trusts: the kernel's text. Must not: allocate, follow anything the room made. */
#include "base/sbuf.h"
#include "engine/inner.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls `each` for every process; stops early when it returns false. */
static int each_process(int proc, bool (*each)(int proc, const char *pid, void *ctx), void *ctx)
{
    struct dirent64 {
        uint64_t ino;
        int64_t off;
        uint16_t len;
        uint8_t type;
        char name[];
    };
    char buf[4096] __attribute__((aligned(8)));
    if (lseek(proc, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long n = syscall(SYS_getdents64, proc, buf, sizeof buf);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        for (long at = 0; at < n;) {
            const struct dirent64 *d = (const struct dirent64 *)(buf + at);
            at += d->len;
            if (d->name[0] >= '1' && d->name[0] <= '9' && !each(proc, d->name, ctx))
                return 0;
        }
    }
}

static bool count_one(int proc, const char *pid, void *ctx)
{
    (void)proc;
    (void)pid;
    ++*(unsigned *)ctx;
    return true;
}

unsigned watch_count(int proc)
{
    unsigned n = 0;
    return each_process(proc, count_one, &n) < 0 ? ~0u : n;
}

/* The number behind `key` in a text of lines "Key:\t123 kB", in bytes; 0 when absent. A key begins with the
 * newline before it: the first line of a status is the process's name, which may read like any key, but has
 * no newline in it. */
static uint64_t status_bytes(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    uint64_t v = 0;
    if (!p)
        return 0;
    for (p += strlen(key); *p == ' ' || *p == '\t'; p++) {
    }
    for (; *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    return v << 10;
}

/* Field `n` (from 1, proc(5)) of a stat line; the name in field 2 may contain anything, so count from its last ')'. */
static uint64_t stat_field(const char *text, int n)
{
    const char *p = strrchr(text, ')');
    uint64_t v = 0;
    if (!p)
        return 0;
    p++;
    for (int at = 3; *p == ' ' && at <= n; at++) {
        p++;
        if (at == n)
            break;
        while (*p && *p != ' ')
            p++;
    }
    for (; *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    return v;
}

static bool add_one(int proc, const char *pid, void *ctx)
{
    struct watch_sample *s = ctx;
    char path[32], text[4096];
    struct sbuf b = SBUF(path);
    s->processes++;
    sbuf_fmt(&b, "%s/status", pid);
    if (fd_read_file(proc, path, text, sizeof text) > 0) {
        const uint64_t tables = status_bytes(text, "\nVmPTE:");
        s->memory += status_bytes(text, "\nRssAnon:") + status_bytes(text, "\nRssShmem:") + tables;
        s->tables += tables;
    }
    b = SBUF(path);
    sbuf_fmt(&b, "%s/stat", pid);
    if (fd_read_file(proc, path, text, sizeof text) > 0) {
        const uint64_t tick_us = 10000; /* USER_HZ is 100 on every architecture that we support */
        /* own time, and that of children that ended and were waited for */
        s->cpu_us +=
            (stat_field(text, 14) + stat_field(text, 15) + stat_field(text, 16) + stat_field(text, 17)) *
            tick_us;
    }
    return true;
}

int watch_sample(int proc, struct watch_sample *ret)
{
    *ret = (struct watch_sample){0};
    return each_process(proc, add_one, ret);
}

static bool add_share(int proc, const char *pid, void *ctx)
{
    uint64_t *sum = ctx;
    char path[32], text[4096];
    struct sbuf b = SBUF(path);
    sbuf_fmt(&b, "%s/smaps_rollup", pid);
    if (fd_read_file(proc, path, text, sizeof text) > 0) {
        *sum += status_bytes(text, "\nPss_Anon:") + status_bytes(text, "\nPss_Shmem:") +
                status_bytes(text, "\nSwapPss:");
    } else { /* it ends this instant, or may not be looked at so closely */
        b = SBUF(path);
        sbuf_fmt(&b, "%s/status", pid);
        if (fd_read_file(proc, path, text, sizeof text) > 0)
            *sum += status_bytes(text, "\nRssAnon:") + status_bytes(text, "\nRssShmem:");
    }
    return true;
}

uint64_t watch_shares(int proc)
{
    uint64_t sum = 0;
    return each_process(proc, add_share, &sum) < 0 ? 0 : sum;
}
