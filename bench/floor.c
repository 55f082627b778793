/* floor: the least that a room can cost when one program builds it from nothing, for one command, and ends.
 *
 * What it does, each time, and `--show` proves from inside: user, mount, pid, network, ipc, uts and cgroup
 * namespaces; an id map that the child writes itself; a private tmpfs root with /usr bound, all read-only,
 * nosuid, nodev; a fresh /proc; a size-capped tmpfs /work; the host's tree pivoted away and detached;
 * no_new_privs; every capability gone from all five sets; Landlock; the product's seccomp allow-list; every
 * descriptor above stderr closed; the program's exit status.
 *
 * What it does not: no limit of any kind (cgroup, rlimit, clock), no pid 1 of its own (the program is pid 1),
 * no /dev, /etc or /tmp, no loopback, no relayed stdio, no new session, no environment scrubbing, no host uid
 * of its own (as root the inner user is the host's uid 0 without capabilities), no check from inside, no
 * result; when it is killed, its program is not. A product has to do these too: its distance from the floor
 * is what they cost.
 *
 * Lives in: one process, and a child that shares its memory until exec. Trusts: its caller. Must not: be used
 * to hold anything. */
#include "policy/seccomp.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACES                                                                                           \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |               \
     CLONE_NEWCGROUP)
#define INNER_ID    "1000"
#define CHILD_STACK 16384
#define NO_ROOM     125 /* exit status when the room could not be built */

/* What musl's headers do not know yet; values of the kernel's ABI. */
#define TREE_CLONE     1u
#define TREE_CLOEXEC   O_CLOEXEC
#define FROM_EMPTY     4u
#define RECURSIVE      0x8000u
#define ATTR_READ_ONLY 1u
#define ATTR_NOSUID    2u
#define ATTR_NODEV     4u
#define CAPABILITY_V3  0x20080522u

struct attributes {
    uint64_t set, clear, propagation, userns_fd;
};

struct job {
    char **argv;
    const char *tool; /* a file that is to be at /tool, or NULL */
    unsigned uid, gid;
    int tree_fd, tool_fd;
};

__attribute__((noreturn)) static void fail(const char *what)
{
    dprintf(2, "floor: %s: %s\n", what, strerror(errno));
    _exit(NO_ROOM);
}

static void must(const char *what, long result)
{
    if (result < 0)
        fail(what);
}

static void write_file(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(path, fd);
    must(path, write(fd, text, size));
    must(path, close(fd));
}

static size_t map_line(char *out, unsigned outer)
{
    char digits[12];
    size_t used = sizeof INNER_ID - 1, n = 0;
    memcpy(out, INNER_ID, used);
    out[used++] = ' ';
    do
        digits[n++] = (char)('0' + outer % 10);
    while (outer /= 10);
    while (n)
        out[used++] = digits[--n];
    out[used++] = ' ';
    out[used++] = '1';
    return used;
}

static void map_ids(const struct job *job)
{
    char line[32];
    write_file("/proc/self/setgroups", "deny", 4);
    write_file("/proc/self/uid_map", line, map_line(line, job->uid));
    write_file("/proc/self/gid_map", line, map_line(line, job->gid));
}

static void attach_tool(struct job *job)
{
    must("make /tool", mknod("tool", S_IFREG | 0444, 0));
    must("attach /tool", syscall(SYS_move_mount, job->tool_fd, "", AT_FDCWD, "tool", FROM_EMPTY));
}

static void make_root(struct job *job)
{
    const struct attributes private = {.propagation = MS_PRIVATE};
    const struct attributes read_only = {.set = ATTR_READ_ONLY | ATTR_NOSUID | ATTR_NODEV,
                                         .propagation = MS_PRIVATE};

    must("make mounts private",
         syscall(SYS_mount_setattr, AT_FDCWD, "/", RECURSIVE, &private, sizeof private));
    job->tree_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/usr", TREE_CLONE | TREE_CLOEXEC | RECURSIVE);
    must("open /usr", job->tree_fd);
    if (job->tool) {
        job->tool_fd = (int)syscall(SYS_open_tree, AT_FDCWD, job->tool, TREE_CLONE | TREE_CLOEXEC);
        must(job->tool, job->tool_fd);
    }
    must("mount root",
         mount("root", "/usr", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,nr_inodes=16,mode=755"));
    must("enter root", chdir("/usr"));
    must("make /usr", mkdir("usr", 0755));
    must("make /proc", mkdir("proc", 0755));
    must("make /work", mkdir("work", 0755));
    must("link /bin", symlink("usr/bin", "bin"));
    must("link /lib", symlink("usr/lib", "lib"));
    must("link /lib64", symlink("usr/lib64", "lib64"));
    must("attach /usr", syscall(SYS_move_mount, job->tree_fd, "", AT_FDCWD, "usr", FROM_EMPTY));
    if (job->tool)
        attach_tool(job);
    must("make root read-only",
         syscall(SYS_mount_setattr, AT_FDCWD, ".", RECURSIVE, &read_only, sizeof read_only));
    must("mount /proc", mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    must("mount /work",
         mount("work", "work", "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,nr_inodes=4096,mode=755"));
    must("pivot", syscall(SYS_pivot_root, ".", "."));
    must("detach host", umount2(".", MNT_DETACH));
    must("enter /work", chdir("/work"));
}

static void drop_capabilities(void)
{
    struct {
        uint32_t version;
        int pid;
    } header = {.version = CAPABILITY_V3};
    const uint32_t none[6] = {0};
    int capability = 0;

    while (!prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
        capability++;
    if (errno != EINVAL || capability < 38)
        fail("drop the bounding set");
    /* the ambient set is cleared by the kernel along with the permitted one */
    must("drop capabilities", syscall(SYS_capset, &header, none));
}

static void allow_beneath(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    must(path, rule.parent_fd);
    must(path, syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
}

static void wall_files(void)
{
    struct landlock_ruleset_attr all = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1};
    const uint64_t look =
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);

    must("create Landlock ruleset", ruleset);
    allow_beneath(ruleset, "/", look);
    allow_beneath(ruleset, "/work", all.handled_access_fs);
    must("enforce Landlock", syscall(SYS_landlock_restrict_self, ruleset, 0));
}

static void wall_calls(void)
{
    const struct seccomp_program *p = seccomp_program(SECCOMP_ROOM);
    const struct sock_fprog program = {.len = p->len, .filter = (struct sock_filter *)(uintptr_t)p->insns};
    must("install filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static int in_room(void *arg)
{
    struct job *job = arg;

    must("set no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    map_ids(job);
    make_root(job);
    drop_capabilities();
    wall_files();
    must("close descriptors", syscall(SYS_close_range, 3, ~0u, 0));
    wall_calls();
    execv(job->argv[0], job->argv);
    dprintf(2, "floor: run %s: %s\n", job->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* Run by the room's own shell: the words $1… are the host's namespaces. One line a fact, status 1 when one
 * fails. */
static char show_script[] = "bad=0\n"
                            "say() { if [ \"$2\" = \"$3\" ]; then echo \"held  $1: $2\"; else echo \"FAIL  "
                            "$1: $2, wanted $3\"; bad=1; fi; }\n"
                            "refused() { if out=$(eval \"$2\" 2>&1); then echo \"FAIL  $1: done\"; bad=1; "
                            "else echo \"held  $1: ${out##*: }\"; fi; }\n"
                            "while read -r key value; do case $key in\n"
                            "  NoNewPrivs:) say no_new_privs $value 1;;\n"
                            "  Seccomp:) say seccomp $value 2;;\n"
                            "  Seccomp_filters:) say filters $((value > 0)) 1;;\n"
                            "  Cap*) say ${key%:} $value 0000000000000000;;\n"
                            "  Pid:) say pid $value 1;;\n"
                            "  esac; done </proc/self/status\n"
                            "for n in user mnt pid net ipc uts cgroup; do\n"
                            "  say \"own $n namespace\" $([ \"$(readlink /proc/self/ns/$n)\" != \"$1\" ] && "
                            "echo yes || echo no) yes; shift; done\n"
                            "set -- $(cut -d' ' -f5,6 /proc/self/mountinfo | sed 's/,.*//')\n"
                            "say mounts \"$*\" \"/usr ro / ro /proc rw /work rw\"\n"
                            "say root \"$(echo /*)\" \"/bin /lib /lib64 /proc /usr /work\"\n"
                            "say descriptors \"$(ls /proc/self/fd | tr '\\n' ' ')\" '0 1 2 3 '\n"
                            "say network \"$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ')\" lo\n"
                            "refused 'write to /usr' ': >/usr/floor-was-here'\n"
                            "refused 'new user namespace' 'unshare -U true'\n"
                            "refused 'write to /proc (Landlock)' 'echo x >/proc/self/comm'\n"
                            "if : >/work/file; then echo 'held  /work: writable'; else bad=1; fi\n"
                            "exit $bad\n";

#define SHOW_NAMESPACES 7
static char show_text[SHOW_NAMESPACES][64];
static char show_words[3][8] = {"/bin/sh", "-c", "show"};
static char *show_argv[5 + SHOW_NAMESPACES] = {show_words[0], show_words[1], show_script, show_words[2]};

static void prepare_show(void)
{
    static const char *const paths[SHOW_NAMESPACES] = {
        "/proc/self/ns/user", "/proc/self/ns/mnt", "/proc/self/ns/pid",   "/proc/self/ns/net",
        "/proc/self/ns/ipc",  "/proc/self/ns/uts", "/proc/self/ns/cgroup"};
    for (int i = 0; i < SHOW_NAMESPACES; i++) {
        must(paths[i], readlink(paths[i], show_text[i], sizeof show_text[i] - 1));
        show_argv[4 + i] = show_text[i];
    }
}

int main(int argc, char **argv)
{
    static char stack[CHILD_STACK] __attribute__((aligned(16)));
    struct job job = {.argv = argv + 1, .uid = geteuid(), .gid = getegid(), .tree_fd = -1, .tool_fd = -1};
    int status;

    if (argc > 2 && !strcmp(argv[1], "--tool")) {
        job.tool = argv[2];
        job.argv += 2;
    }
    if (argc == 2 && !strcmp(argv[1], "--show")) {
        prepare_show();
        job.argv = show_argv;
    }
    if (!job.argv[0])
        return dprintf(2, "usage: floor [--tool FILE] PROGRAM [ARGUMENT...] | floor --show\n"), NO_ROOM;

    pid_t pid = clone(in_room, stack + sizeof stack, NAMESPACES | CLONE_VM | CLONE_VFORK | SIGCHLD, &job);
    must("make namespaces", pid);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail("wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
