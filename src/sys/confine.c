/* confine: see confine.h.
 *
 * Lives in: strongroom-gate, strongroom-intercept and strongroom-tree, called once, before the first hostile byte is
 * read. Trusts: the kernel. Must not: go on without the list of calls. */
#include "sys/confine.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define NOBODY    65534
#define READ_ONLY (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* An empty folder of our own as root, in namespaces of our own. */
static int empty_root(int spaces)
{
    if (unshare(spaces) < 0)
        return -errno;
    FD_AUTO root = fd_new_mount("tmpfs", (const char *const[]){"size", "4096", NULL},
                                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (root < 0 || fchdir(root) < 0 || chroot(".") < 0)
        return -errno;
    return chdir("/") < 0 ? -errno : 0;
}

static int few_files(const struct confinement *c)
{
    int abi = kernel_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct kernel_landlock_attr attr = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};

    if (abi < 0)
        return -errno;
    if (abi < 2 && c->dir_count)
        return -EOPNOTSUPP; /* it would refuse every rename between two folders */
    if (abi >= 2)
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= KERNEL_LANDLOCK_TRUNCATE;
    if (abi >= 4)
        attr.handled_access_net = c->net;
    if (abi >= 5)
        attr.handled_access_fs |= KERNEL_LANDLOCK_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX | KERNEL_LANDLOCK_SCOPE_SIGNAL;
    size_t size = abi >= 6   ? sizeof attr
                  : abi >= 4 ? offsetof(struct kernel_landlock_attr, scoped)
                             : offsetof(struct kernel_landlock_attr, handled_access_net);
    FD_AUTO rules = kernel_landlock_create(&attr, size, 0);
    if (rules < 0)
        return -errno;
    const uint64_t write =
        attr.handled_access_fs & ~(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                                   LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK);
    for (size_t i = 0; i < c->dir_count; i++) {
        struct landlock_path_beneath_attr rule = {.allowed_access = c->writable[i] ? write : READ_ONLY,
                                                  .parent_fd = c->dirs[i]};
        if (kernel_landlock_add(rules, &rule) < 0)
            return -errno;
    }
    return kernel_landlock_restrict(rules) < 0 ? -errno : 0;
}

static void no_new_rights(uint64_t keep)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* none without rights */
    for (int cap = 0; cap < 64; cap++) {
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
            break; /* the last one was before */
    }
}

static int few_rights(uint64_t keep)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    no_new_rights(keep);
    memset(data, 0, sizeof data);
    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    for (int half = 0; half < 2; half++) {
        data[half].permitted &= (uint32_t)(keep >> 32 * half);
        data[half].effective = data[half].permitted;
        data[half].inheritable = 0;
    }
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* Root of the host becomes nobody: files that only root may open stay shut even if all other walls fell. 1: root of a
 * user namespace without a nobody, which is some other user of the host's already. */
static int no_root(void)
{
    no_new_rights(0); /* while we may */
    bool groups = setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0;
    if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return errno == EINVAL ? 1 : -errno;
    return groups ? 0 : -EPERM;
}

/* Root steps into the empty root by its own right, and only then becomes nobody: the other way round, in a user
 * namespace without ids, it would look like nobody and be root still. Who keeps rights over the host's files must not
 * have a user namespace of its own: there they would mean nothing. */
static int leave(bool keeps_rights, bool *ret_walled)
{
    const int spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    const bool root = geteuid() == 0;
    int r = root ? empty_root(spaces) : -EPERM;

    *ret_walled = r == 0;
    if (keeps_rights)
        return 0;
    if (root && (r = no_root()) < 0)
        return r;
    if (!*ret_walled || r == 1)
        *ret_walled = empty_root(CLONE_NEWUSER | spaces) == 0 || *ret_walled;
    return 0;
}

/* Where the caller may have less, so may we. */
static int set_bounds(const struct confinement *c)
{
    for (size_t i = 0; i < c->bound_count; i++) {
        const struct confine_bound *b = &c->bounds[i];
        struct rlimit l;
        if (getrlimit(b->what, &l) < 0)
            return -errno;
        l.rlim_max = l.rlim_max < b->value ? l.rlim_max : b->value;
        l.rlim_cur = l.rlim_max;
        if (setrlimit(b->what, &l) < 0)
            return -errno;
    }
    return 0;
}

int confine_process_calls(const struct confinement *c)
{
    const struct sock_fprog program = {.len = (unsigned short)c->filter_len,
                                       .filter = (struct sock_filter *)(uintptr_t)c->filter};

    return kernel_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

int confine_process_walls(const struct confinement *c, const char **ret_what)
{
    const bool keeps_rights = c->keep_caps && geteuid() == 0;
    bool walled;
    int r;

    *ret_what = "giving up root";
    if ((r = leave(keeps_rights, &walled)) < 0)
        return r;
    /* The death signal is forgotten when ids change. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        (c->ends_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0))
        return -errno;
    *ret_what = "an empty root or Landlock";
    r = few_files(c);
    if (!walled && r < 0)
        return r;
    *ret_what = "capabilities";
    if ((r = few_rights(keeps_rights ? c->keep_caps : 0)) < 0)
        return r;
    *ret_what = "limits";
    return set_bounds(c);
}

int confine_process(const struct confinement *c, const char **ret_what)
{
    int r = confine_process_walls(c, ret_what);

    if (r < 0)
        return r;
    *ret_what = "the system-call filter";
    return confine_process_calls(c);
}
