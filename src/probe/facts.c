/* facts: see facts.h.
 *
 * Lives in: the command, for `doctor`. Trusts: the host's own files, of which only bounded parts are read.
 * May: read. Must not: change anything. */
#include "probe/facts.h"
#include "base/num.h"
#include "limits/leaf.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

const struct sysctl_row sysctl_rows[SYSCTL_COUNT] = {
#define X(id, name, path) {name, path},
    SYSCTL_TABLE(X)
#undef X
};

#define TEXT_MAX 8192

static void take_value(const char *line, const char *key, char *ret, size_t size)
{
    size_t len = strlen(key);
    if (strncmp(line, key, len) != 0 || line[len] != '=')
        return;
    const char *from = line + len + 1;
    size_t n = strcspn(from, "\n");
    if (n >= 2 && (*from == '"' || *from == '\'') && from[n - 1] == *from) {
        from++;
        n -= 2;
    }
    if (n >= size)
        n = size - 1;
    memcpy(ret, from, n);
    ret[n] = '\0';
}

void facts_parse_release(const char *text, struct host_facts *ret)
{
    for (const char *line = text; *line;) {
        take_value(line, "ID", ret->distro, sizeof ret->distro);
        take_value(line, "PRETTY_NAME", ret->distro_name, sizeof ret->distro_name);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

unsigned facts_parse_kernel(const char *release)
{
    unsigned part[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        if (*release < '0' || *release > '9')
            return 0;
        for (; *release >= '0' && *release <= '9' && part[i] < 1000; release++)
            part[i] = part[i] * 10 + (unsigned)(*release - '0');
        if (i == 0 && *release++ != '.')
            return 0;
    }
    return part[0] < 1000 && part[1] < 1000 ? part[0] * 1000 + part[1] : 0;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The number that a small file holds, -1 when there is none. */
static int64_t read_number(const char *path)
{
    char text[32];
    uint64_t v;
    ssize_t n = fd_read_file(AT_FDCWD, path, text, sizeof text);
    if (n <= 0)
        return -1;
    text[strcspn(text, "\n")] = '\0';
    return num_u64(text, &v) == 0 && v < INT64_MAX ? (int64_t)v : -1;
}

static void read_self(struct host_facts *h)
{
    char self[16], pid[16], text[TEXT_MAX];
    struct sbuf b = SBUF(pid);
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);
    sbuf_fmt(&b, "%d", getpid());
    self[n > 0 ? n : 0] = '\0';
    h->proc = strcmp(self, pid) == 0;
    n = readlink("/proc/self/exe", h->exe, sizeof h->exe - 1);
    h->exe[n > 0 && (size_t)n < sizeof h->exe - 1 ? n : 0] = '\0';
    if (fd_read_file(AT_FDCWD, "/proc/self/status", text, sizeof text) > 0)
        h->filtered = strstr(text, "\nSeccomp:\t2") != NULL;
    if (fd_read_file(AT_FDCWD, "/proc/self/uid_map", text, sizeof text) > 0)
        h->nested = strstr(text, "4294967295") == NULL;

    struct {
        uint32_t version;
        int pid;
    } head = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    uint32_t data[6] = {0};
    h->admin = syscall(SYS_capget, &head, data) == 0 && (data[0] >> 21 /* CAP_SYS_ADMIN */ & 1);
}

/* The kernel gives the namespaces that it starts with fixed inode numbers (include/linux/proc_ns.h); a
 * machine made from a container's image has that image's marks, but these namespaces. */
static bool is_whole_machine(void)
{
    static const struct {
        const char *path;
        ino_t initial;
    } spaces[] = {{"/proc/self/ns/pid", 0xeffffffc},
                  {"/proc/self/ns/uts", 0xeffffffe},
                  {"/proc/self/ns/ipc", 0xefffffff}};
    struct stat st;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (stat(spaces[i].path, &st) < 0 || st.st_ino != spaces[i].initial)
            return false;
    }
    return true;
}

/* `container=` in pid 1's environment is systemd's convention; it is readable by root only. */
static enum container find_container(void)
{
    char text[TEXT_MAX];
    if (is_whole_machine())
        return CONTAINER_NONE;
    if (exists("/.dockerenv"))
        return CONTAINER_DOCKER;
    if (exists("/run/.containerenv"))
        return CONTAINER_PODMAN;
    const char *word = getenv("container");
    if ((word && *word) || exists("/run/host/container-manager") || exists("/run/systemd/container"))
        return CONTAINER_OTHER;
    if (fd_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) > 0) {
        if (strstr(text, "/docker/") || strstr(text, "/docker-"))
            return CONTAINER_DOCKER;
        if (strstr(text, "/libpod") || strstr(text, "/kubepods") || strstr(text, "/lxc/"))
            return CONTAINER_OTHER;
    }
    return CONTAINER_NONE;
}

static void read_delegation(struct host_facts *h)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {{"cpu", LEAF_HAS_CPU}, {"memory", LEAF_HAS_MEMORY}, {"pids", LEAF_HAS_PIDS}};
    char path[128], text[512];
    struct sbuf b = SBUF(path);
    struct statfs fs;
    h->unified = statfs("/sys/fs/cgroup", &fs) == 0 && (long)fs.f_type == CGROUP2_SUPER_MAGIC;
    sbuf_fmt(&b, "/sys/fs/cgroup/user.slice/user-%u.slice/user@%u.service/cgroup.controllers",
             (unsigned)h->other_uid, (unsigned)h->other_uid);
    ssize_t n = fd_read_file(AT_FDCWD, path, text, sizeof text);
    h->user_manager = n >= 0;
    for (char *word = n > 0 ? text : NULL; word && *word;) {
        size_t len = strcspn(word, " \n");
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (strlen(names[i].name) == len && memcmp(names[i].name, word, len) == 0)
                h->delegated |= names[i].bit;
        }
        word += len;
        word += strspn(word, " \n");
    }
}

void facts_read(struct host_facts *ret)
{
    struct host_facts *h = ret;
    char text[TEXT_MAX];
    struct utsname u;
    uint64_t sudo;

    *h = (struct host_facts){.uid = geteuid()};
    if (fd_read_file(AT_FDCWD, "/etc/os-release", text, sizeof text) > 0 ||
        fd_read_file(AT_FDCWD, "/usr/lib/os-release", text, sizeof text) > 0)
        facts_parse_release(text, h);
    if (uname(&u) == 0) {
        struct sbuf b = SBUF(h->release);
        sbuf_text(&b, u.release);
        h->kernel = facts_parse_kernel(u.release);
    }
    const char *word = getenv("SUDO_UID");
    h->other_uid = h->uid != 0 ? h->uid : 65534;
    if (h->uid == 0 && word && num_u64(word, &sudo) == 0 && sudo > 0 && sudo < UINT32_MAX)
        h->other_uid = (uid_t)sudo;
    read_self(h);
    for (int i = 0; i < SYSCTL_COUNT; i++) {
        char path[128];
        struct sbuf b = SBUF(path);
        sbuf_fmt(&b, "/proc/sys/%s", sysctl_rows[i].path);
        h->sysctls[i] = read_number(path);
    }
    if (fd_read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", text, sizeof text) > 0)
        h->apparmor = text[0] == 'Y';
    h->apparmor_tools = exists("/sbin/apparmor_parser") || exists("/usr/sbin/apparmor_parser");
    h->systemd = exists("/run/systemd/system");
    h->container = find_container();
    read_delegation(h);
}
