/* host_files: trials of devices, mounts and file systems, each in a mount namespace of its own.
 *
 * Lives in: a child that is thrown away, with its mount namespace. Trusts: nothing.
 * Must not: mount anything where the host could see it. */
#include "probe/inner.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

void try_dev(const struct host_facts *h, struct facility_answer *a)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                 {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    (void)h;
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        struct stat st;
        if (stat(nodes[i].path, &st) < 0) {
            answer_not(a, FACILITY_MISSING, errno, "%s", nodes[i].path);
            return;
        }
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(nodes[i].major, nodes[i].minor)) {
            answer_not(a, FACILITY_MISSING, 0, "%s is not the device of that name", nodes[i].path);
            return;
        }
    }
    FD_AUTO null = open("/dev/null", O_RDWR | O_CLOEXEC);
    FD_AUTO random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    char byte;
    if (null < 0 || write(null, "x", 1) != 1)
        answer_not(a, FACILITY_MISSING, errno, "write to /dev/null");
    else if (random < 0 || read(random, &byte, 1) != 1)
        answer_not(a, FACILITY_MISSING, errno, "read from /dev/urandom");
    else
        answer_ok(a, "all there");
}

static bool entered(int flags, struct facility_answer *a)
{
    int n = host_enter(CLONE_NEWNS | flags);
    if (n < 0)
        answer_not(a, FACILITY_MISSING, -n, "not tried: no namespaces to try it in");
    else if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        answer_not(a, FACILITY_MISSING, errno, "make the mounts private");
    else
        return true;
    return false;
}

static int make_tmpfs(void)
{
    static const char *const options[] = {"size", "64k", "nr_inodes", "16", "mode", "0755", NULL};
    return fd_new_mount("tmpfs", options, MOUNT_ATTR_NOSUID);
}

void try_mount_api(const struct host_facts *h, struct facility_answer *a)
{
    struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};
    (void)h;
    if (!entered(0, a))
        return;
    FD_AUTO mnt = make_tmpfs();
    if (mnt < 0) {
        answer_not(a, FACILITY_MISSING, -mnt, "fsopen to fsmount");
        return;
    }
    if (kernel_move_mount(mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(mnt) < 0 ||
        mkdirat(mnt, "usr", 0755) < 0) {
        answer_not(a, FACILITY_MISSING, errno, "move_mount");
        return;
    }
    FD_AUTO tree = kernel_open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
    if (tree < 0)
        answer_not(a, FACILITY_MISSING, errno, "open_tree");
    else if (kernel_move_mount(tree, "", mnt, "usr", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        answer_not(a, FACILITY_MISSING, errno, "move_mount of a clone");
    else if (kernel_mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &ro) < 0)
        answer_not(a, FACILITY_MISSING, errno, "mount_setattr");
    else if (mkdirat(mnt, "probe", 0755) == 0 || errno != EROFS)
        answer_not(a, FACILITY_MISSING, 0, "mount_setattr did not make it read-only");
    else
        answer_ok(a, "a tree cloned and made read-only");
}

void try_proc_mount(const struct host_facts *h, struct facility_answer *a)
{
    int status;
    (void)h;
    if (!entered(CLONE_NEWPID, a))
        return;
    pid_t pid = fork();
    if (pid < 0) {
        answer_not(a, FACILITY_MISSING, errno, "start a pid 1");
    } else if (pid > 0) {
        (void)waitpid(pid, &status, 0); /* the answer is in the shared page */
    } else {
        FD_AUTO mnt = fd_new_mount("proc", NULL, MOUNT_ATTR_NOSUID);
        if (mnt >= 0)
            answer_ok(a, "mounted");
        else
            answer_not(a, FACILITY_MISSING, -mnt, "mount one");
        _exit(0);
    }
}

void try_devpts(const struct host_facts *h, struct facility_answer *a)
{
    static const char *const options[] = {"ptmxmode", "0666", "mode", "0620", "max", "64", NULL};
    int unlock = 0;
    (void)h;
    if (!entered(0, a))
        return;
    FD_AUTO mnt = fd_new_mount("devpts", options, MOUNT_ATTR_NOSUID);
    if (mnt < 0) {
        answer_not(a, FACILITY_MISSING, -mnt, "mount one");
        return;
    }
    /* Opened where it is attached: nothing may be opened in a mount that lies nowhere. */
    FD_AUTO tmp = make_tmpfs();
    if (tmp < 0 || kernel_move_mount(tmp, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        mkdirat(tmp, "pts", 0755) < 0 ||
        kernel_move_mount(mnt, "", tmp, "pts", MOVE_MOUNT_F_EMPTY_PATH) < 0) {
        answer_not(a, FACILITY_MISSING, errno, "attach it");
        return;
    }
    FD_AUTO tty = openat(mnt, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0 || ioctl(tty, TIOCSPTLCK, &unlock) < 0)
        answer_not(a, FACILITY_MISSING, errno, "open a terminal of it");
    else
        answer_ok(a, "mounted, with a terminal");
}

void try_tmpfs(const struct host_facts *h, struct facility_answer *a)
{
    static char block[128 << 10];
    (void)h;
    if (!entered(0, a))
        return;
    FD_AUTO mnt = make_tmpfs();
    if (mnt < 0) {
        answer_not(a, FACILITY_MISSING, -mnt, "mount one");
        return;
    }
    FD_AUTO file = openat(mnt, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        answer_not(a, FACILITY_MISSING, errno, "make a file in it");
        return;
    }
    ssize_t n = write(file, block, sizeof block);
    int made = 0;
    for (; made < 64; made++) {
        char name[8];
        struct sbuf b = SBUF(name);
        sbuf_fmt(&b, "d%d", made);
        if (mkdirat(mnt, name, 0700) < 0)
            break;
    }
    if (n > 64 << 10)
        answer_not(a, FACILITY_MISSING, 0, "size= does not bound it");
    else if (made >= 16)
        answer_not(a, FACILITY_MISSING, 0, "nr_inodes= does not bound it");
    else
        answer_ok(a, "both bounds are exact");
}

void try_pivot(const struct host_facts *h, struct facility_answer *a)
{
    (void)h;
    if (!entered(0, a))
        return;
    FD_AUTO mnt = make_tmpfs();
    if (mnt < 0 || kernel_move_mount(mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(mnt) < 0)
        answer_not(a, FACILITY_MISSING, mnt < 0 ? -mnt : errno, "make a new root");
    else if (kernel_pivot_root(".", ".") < 0)
        answer_not(a, FACILITY_MISSING, errno, "pivot into it");
    else if (umount2(".", MNT_DETACH) < 0)
        answer_not(a, FACILITY_MISSING, errno, "let go of the old root");
    else
        answer_ok(a, "done");
}

void try_overlay(const struct host_facts *h, struct facility_answer *a)
{
    static const char *const parts[] = {"lower", "upper", "work"};
    (void)h;
    if (!entered(0, a))
        return;
    FD_AUTO mnt = make_tmpfs();
    if (mnt < 0 || kernel_move_mount(mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(mnt) < 0 || chroot(".") < 0) {
        answer_not(a, FACILITY_MISSING, mnt < 0 ? -mnt : errno, "not tried: no tmpfs to try it on");
        return;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        (void)mkdir(parts[i], 0755); /* the mount says when one is missing */
    FD_AUTO fs = kernel_fsopen("overlay", 1 /* FSOPEN_CLOEXEC */);
    if (fs < 0)
        answer_not(a, FACILITY_MISSING, errno, "no such file system");
    else if (kernel_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", "/lower", 0) < 0 ||
             kernel_fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", "/upper", 0) < 0 ||
             kernel_fsconfig(fs, FSCONFIG_SET_STRING, "workdir", "/work", 0) < 0 ||
             kernel_fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0 ||
             kernel_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        answer_not(a, FACILITY_MISSING, errno, "mount one");
    else
        answer_ok(a, "with userxattr");
}
