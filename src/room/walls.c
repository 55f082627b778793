/* walls: the steps that take rights away.
 *
 * Lives in: the room's pid 1. Trusts: nothing that it did not read back (and probes.c tries afterwards). */
#include "room/steps.h"
#include "sys/fd.h"
#include "sys/kernel.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>

int step_nesting(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s; /* the sysctl was written when /proc was still writable: see step_proc; the probe decides */
    return 0;
}

static int set_caps_empty(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

bool walls_caps_are_empty(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2];
    if (syscall(SYS_capget, &head, have) < 0)
        return false;
    uint32_t any = 0;
    for (int i = 0; i < 2; i++)
        any |= have[i].effective | have[i].permitted | have[i].inheritable;
    return any == 0;
}

#define SECUREBITS_ALL                                                                                       \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |         \
     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int step_caps(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    if (prctl(PR_SET_SECUREBITS, SECUREBITS_ALL, 0, 0, 0) < 0)
        return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
    }
    if (errno != EINVAL) /* EINVAL: past the last capability that this kernel knows */
        return -errno;
    int r = set_caps_empty();
    if (r < 0)
        return r;
    return walls_caps_are_empty() ? 0 : -EPROTO;
}

int step_nnp(const struct room_plan *plan, struct room_state *s)
{
    (void)plan;
    (void)s;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- Landlock --------------------------------------------------------------------------------------------------- */

#define FS_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_ABI1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all rights of ABI 1 are the low bits */

/* Rights by the ABI that brought them (linux/landlock.h). */
static const struct {
    uint32_t abi;
    uint64_t right;
} landlock_rights[] = {
    {1, FS_ABI1},
    {2, LANDLOCK_ACCESS_FS_REFER},
    {3, KERNEL_LANDLOCK_TRUNCATE},
    {5, KERNEL_LANDLOCK_IOCTL_DEV},
};

static int allow(int ruleset, const char *path, uint64_t access, bool is_dir)
{
    const uint64_t of_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | KERNEL_LANDLOCK_TRUNCATE |
                              KERNEL_LANDLOCK_IOCTL_DEV;
    FD_AUTO fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct landlock_path_beneath_attr rule = {.allowed_access = is_dir ? access : access & of_files,
                                              .parent_fd = fd};
    return kernel_landlock_add(ruleset, &rule) < 0 ? -errno : 0;
}

static int allow_all(const struct room_plan *plan, struct room_state *s, int ruleset, uint64_t handled)
{
    const uint64_t dev = handled & (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | KERNEL_LANDLOCK_TRUNCATE |
                                    KERNEL_LANDLOCK_IOCTL_DEV);
    const uint64_t all = handled & ~(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK);
    int r = allow(ruleset, "/", handled & FS_READ, true);
    if (r == 0)
        r = allow(ruleset, "/dev", dev, true);
    if (r == 0)
        r = allow(ruleset, "/work", all & ~KERNEL_LANDLOCK_IOCTL_DEV, true);
    if (r == 0)
        r = allow(ruleset, "/tmp", all & ~KERNEL_LANDLOCK_IOCTL_DEV, true);
    if (r == 0)
        r = allow(ruleset, "/dev/shm", all & ~(KERNEL_LANDLOCK_IOCTL_DEV | LANDLOCK_ACCESS_FS_EXECUTE), true);
    for (size_t i = 0; r == 0 && i < plan->mount_count; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        if (m->kind == MOUNT_RO)
            continue;
        s->item = (int)i;
        char path[POLICY_PATH_MAX + 1] = "/";
        size_t len = strlen(m->dst);
        if (len >= POLICY_PATH_MAX)
            return -ENAMETOOLONG;
        memcpy(path + 1, m->dst, len + 1);
        r = allow(ruleset, path, all, m->is_dir);
    }
    return r;
}

int step_landlock(const struct room_plan *plan, struct room_state *s)
{
    int abi = kernel_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return -errno;
    s->report.landlock_abi = (uint32_t)abi;
    struct kernel_landlock_attr attr = {0};
    for (size_t i = 0; i < sizeof landlock_rights / sizeof *landlock_rights; i++) {
        if (abi >= (int)landlock_rights[i].abi)
            attr.handled_access_fs |= landlock_rights[i].right;
    }
    if (abi >= 6)
        attr.scoped = KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX | KERNEL_LANDLOCK_SCOPE_SIGNAL;
    size_t size = abi >= 6   ? sizeof attr
                  : abi >= 4 ? offsetof(struct kernel_landlock_attr, scoped)
                             : offsetof(struct kernel_landlock_attr, handled_access_net);
    FD_AUTO ruleset = kernel_landlock_create(&attr, size, 0);
    if (ruleset < 0)
        return -errno;
    int r = allow_all(plan, s, ruleset, attr.handled_access_fs);
    if (r < 0)
        return r;
    return kernel_landlock_restrict(ruleset) < 0 ? -errno : 0;
}

static int load_filter(const struct seccomp_program *filter, unsigned flags)
{
    struct sock_fprog program = {.len = filter->len,
                                 .filter = (struct sock_filter *)(uintptr_t)filter->insns};
    int r = kernel_seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
    return r < 0 ? -errno : r;
}

int step_seccomp(const struct room_plan *plan, struct room_state *s)
{
    /* The last moment at which the clock can be asked: nobody answers yet what the filter asks a listener. */
    if (plan->workspace_count)
        s->report.changes_ns = workspace_since(plan);
    if (plan->filter_notify) {
        s->notify = load_filter(plan->filter_notify, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        if (s->notify >= 0)
            return 0;
        if (plan_requires(plan, LAYER_ID_DENIALS))
            return s->notify;
        /* EBUSY: an outer sandbox listens already. The wall stands without the record. */
        steps_degrade(s, LAYER_ID_DENIALS, LAYER_STATE_OFF, -s->notify);
        s->notify = -1;
    }
    return load_filter(plan->filter, 0);
}
