/* remedy: see remedy.h.
 *
 * Lives in: any process. Trusts: the facts. Pure. The order within a function is the order of likelihood: the
 * first situation that fits speaks, because several remedies at once help nobody. */
#include "probe/remedy.h"
#include "limits/leaf.h"
#include "limits/leaf_scope.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What a host gets that allowed too few: enough for a thousand rooms with some namespaces each inside. */
#define NAMESPACES_ENOUGH 16384
#define NAMESPACES_FEW    64

static void say(struct remedy *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct remedy *r, const char *fmt, ...)
{
    va_list ap;
    if (r->line_count == REMEDY_LINES_MAX)
        return;
    struct sbuf b = SBUF(r->lines[r->line_count]);
    r->line_count++;
    va_start(ap, fmt);
    sbuf_vfmt(&b, fmt, ap);
    va_end(ap);
}

static void add_fix(struct remedy *r, struct fix f)
{
    if (r->fix_count < REMEDY_FIXES_MAX)
        r->fixes[r->fix_count++] = f;
}

static void add_sysctl(struct remedy *r, enum sysctl_id key, int64_t value)
{
    say(r, "sudo sysctl -w %s=%" PRId64, sysctl_rows[key].name, value);
    add_fix(r, (struct fix){.kind = FIX_SYSCTL, .key = key, .value = value});
}

static void say_container(const struct host_facts *h, struct remedy *r)
{
    switch (h->container) {
    case CONTAINER_DOCKER:
        say(r, "start the container with --security-opt seccomp=unconfined --security-opt "
               "systempaths=unconfined "
               "(--privileged is not needed; each room brings a filter of its own)");
        say(r, "where the docker host runs AppArmor: --security-opt apparmor=unconfined too");
        break;
    case CONTAINER_PODMAN:
        say(r, "start the container with --security-opt seccomp=unconfined --security-opt unmask=ALL "
               "(--privileged is not needed; each room brings a filter of its own)");
        break;
    default:
        say(r, "allow the container to make user namespaces and mounts: no seccomp profile, /proc unmasked "
               "(Kubernetes: seccompProfile Unconfined, procMount Unmasked, hostUsers false)");
        break;
    }
}

/* ENOSPC: one of the counters of user namespaces and their siblings is used up. */
static void say_too_few(const struct host_facts *h, enum sysctl_id key, struct remedy *r)
{
    const int64_t have = h->sysctls[key];
    if (have >= 0 && have < NAMESPACES_FEW) {
        add_sysctl(r, key, NAMESPACES_ENOUGH);
        return;
    }
    if (h->nested)
        say(r,
            "%s is used up in this user namespace or one around it: raise it where that was set, or leave "
            "that sandbox",
            sysctl_rows[key].name);
    else
        say(r,
            "%s (now %" PRId64 ") is used up: raise it, or end what holds the namespaces (lsns lists them)",
            sysctl_rows[key].name, have);
}

/* Why user namespaces are refused. `admin`: who tries has CAP_SYS_ADMIN. */
static void find_userns(const struct host_facts *h, bool admin, int code, struct remedy *r)
{
    if (code == ENOSPC || code == EUSERS) {
        say_too_few(h, SYSCTL_MAX_USER, r);
    } else if (code == ENOSYS && h->container != CONTAINER_NONE) {
        say_container(h, r); /* a filter that knows no clone3 */
    } else if (code == EINVAL || code == ENOSYS) {
        say(r, "this kernel was built without user namespaces: boot the distribution's own kernel "
               "(CONFIG_USER_NS=y)");
    } else if (h->container != CONTAINER_NONE) {
        say_container(h, r);
    } else if (!admin && h->sysctls[SYSCTL_USERNS_CLONE] == 0) {
        add_sysctl(r, SYSCTL_USERNS_CLONE, 1);
    } else if (!admin && h->sysctls[SYSCTL_APPARMOR_USERNS] == 1) {
        if (h->apparmor_tools && fix_path_is_plain(h->exe)) {
            say(r, "give this program an AppArmor profile that allows it: sudo %s doctor --fix", h->exe);
            add_fix(r, (struct fix){.kind = FIX_APPARMOR});
            say(r, "or for all programs: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
        } else {
            add_sysctl(r, SYSCTL_APPARMOR_USERNS, 0);
        }
    } else if (h->filtered) {
        say(r, "an outer seccomp filter refuses it: leave that sandbox, or allow clone3, unshare and the "
               "mount calls in it");
    } else {
        say(r, "in a chroot no user namespace can be made: enter the tree with pivot_root (systemd-nspawn -D "
               "DIR, or "
               "bwrap --bind DIR /), or run strongroom outside of it");
        say(r, "not in a chroot? then a security module refuses it: look at dmesg and at SELinux's or "
               "AppArmor's log");
    }
}

static void find_namespace(const struct host_facts *h, const struct facility_answer *a, enum sysctl_id key,
                           const char *config, struct remedy *r)
{
    if (a->code == ENOSPC || a->code == EUSERS)
        say_too_few(h, h->sysctls[key] >= 0 && h->sysctls[key] < NAMESPACES_FEW ? key : SYSCTL_MAX_USER, r);
    else if (a->code == EINVAL || a->code == ENOSYS)
        say(r, "this kernel was built without %s: boot the distribution's own kernel", config);
    else
        find_userns(h, h->admin, a->code, r);
}

static void find_proc_mount(const struct host_facts *h, const struct facility_answer *a, struct remedy *r)
{
    if (a->code != EPERM) {
        find_userns(h, h->admin, a->code, r);
        return;
    }
    switch (h->container) {
    case CONTAINER_DOCKER:
        say(r, "start the container with --security-opt systempaths=unconfined: parts of /proc are masked, "
               "and then the "
               "kernel allows no second one");
        break;
    case CONTAINER_PODMAN:
        say(r, "start the container with --security-opt unmask=ALL");
        break;
    default:
        say(r, "parts of this /proc are masked (see mount | grep /proc): unmask them (Kubernetes: procMount "
               "Unmasked), "
               "or mount one whole proc anywhere in this mount namespace");
        break;
    }
    say(r, "or accept rooms without /proc: strongroom run --prefer proc");
}

/* The nearest thing to a root shell's two lines for each kind of host. */
static void find_cgroup(const struct host_facts *h, struct remedy *r)
{
    static const unsigned wanted = LEAF_HAS_MEMORY | LEAF_HAS_PIDS | LEAF_HAS_CPU;
    if (h->container == CONTAINER_DOCKER) {
        say(r, "start the container with --cgroupns=private and a writable cgroup mount: --security-opt "
               "writable-cgroups=true (docker 28), or -v /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host");
        return;
    }
    if (h->container != CONTAINER_NONE) {
        say(r,
            "give the container a cgroup namespace and a writable /sys/fs/cgroup (podman: --cgroupns=private "
            "--security-opt unmask=/sys/fs/cgroup)");
        return;
    }
    if (h->unified && h->systemd) {
        if (h->uid != 0 && leaf_scope_offered())
            say(r, "none needed for --memory and --cpus: asked for one, strongroom starts itself again in a "
                   "scope of "
                   "systemd's");
        if (h->uid != 0)
            say(r, "for the default bounds, run below a scope of your own: systemd-run --user --scope -p "
                   "Delegate=yes -- "
                   "strongroom run …");
        if (h->uid != 0 && (h->delegated & wanted) != wanted) {
            say(r, "and let systemd hand down the controllers: Delegate=cpu memory pids in "
                   "/etc/systemd/system/user@.service.d/delegate.conf, daemon-reload, then log in anew");
            add_fix(r, (struct fix){.kind = FIX_DELEGATE});
        }
        if (h->uid == 0)
            say(r, "run below a scope: systemd-run --scope -p Delegate=yes -- strongroom run …");
        return;
    }
    if (h->unified) {
        say(r,
            "as root: mkdir /sys/fs/cgroup/rooms; chown -R %u /sys/fs/cgroup/rooms; then move this shell "
            "there "
            "(echo $$ >/sys/fs/cgroup/rooms/cgroup.procs)",
            (unsigned)h->uid);
        return;
    }
    if (h->uid != 0)
        say(r,
            "cgroup v1: as root, for each of memory, pids, cpu: mkdir /sys/fs/cgroup/CONTROLLER/rooms; chown "
            "-R %u it; "
            "move this shell there (echo $$ >tasks)",
            (unsigned)h->uid);
    say(r, "%sboot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), where systemd delegates to users",
        h->uid != 0 ? "or " : "");
}

static void find_landlock(const struct facility_answer *a, struct remedy *r)
{
    if (a->code == EOPNOTSUPP)
        say(r, "boot with landlock in the list of security modules: lsm=landlock,… (the list now: cat "
               "/sys/kernel/security/lsm)");
    else
        say(r, "boot a kernel with CONFIG_SECURITY_LANDLOCK=y (Debian 12 and Ubuntu 22.04 have one)");
}

static void find_rest(const struct host_facts *h, enum facility id, const struct facility_answer *a,
                      struct remedy *r)
{
    switch (id) {
    case FACILITY_KERNEL:
        say(r, "boot a kernel of 6.1 or later");
        break;
    case FACILITY_PROC:
        say(r, "mount -t proc proc /proc (in a new pid namespace: unshare --mount-proc)");
        break;
    case FACILITY_DEV:
        say(r, "mount --bind the host's /dev, or mknod what is missing");
        break;
    case FACILITY_IDMAP:
        say(r,
            h->uid != 0
                ? "start rooms as root (sudo strongroom run …) to give each a uid of its own"
                : "this root stands in a user namespace: map it a wide range of ids, or start outside of it");
        break;
    case FACILITY_PIVOT:
        if (a->code == EINVAL)
            say(r, "the root directory is not a mount point (an initramfs or a chroot): switch_root, or "
                   "bind-mount it "
                   "onto itself and pivot_root there");
        else
            find_userns(h, h->admin, a->code, r);
        break;
    case FACILITY_NOTIFY:
        say(r, a->code == EBUSY
                   ? "leave the outer sandbox, which listens itself; the walls of rooms are not concerned"
                   : "boot a kernel of 5.0 or later with CONFIG_SECCOMP_FILTER=y");
        break;
    case FACILITY_SECCOMP:
        say(r, "boot a kernel with CONFIG_SECCOMP_FILTER=y");
        break;
    case FACILITY_KEYRING:
        say(r, "boot a kernel with CONFIG_KEYS=y, or allow keyctl in the outer sandbox");
        break;
    case FACILITY_RLIMITS:
        say(r, "raise the hard limits: /etc/security/limits.conf and a new login, LimitNOFILE= and its "
               "siblings in a "
               "unit, docker --ulimit");
        break;
    case FACILITY_HELPERS:
        say(r, "make install; the helper belongs beside strongroom or in " STRONGROOM_LIBEXECDIR);
        break;
    case FACILITY_OVERLAY:
        say(r, "modprobe overlay; in user namespaces it needs a kernel of 5.11 or later");
        break;
    case FACILITY_KVM:
        say(r, "a matter of the machine (nested virtualisation) and of the group kvm");
        break;
    default:
        find_userns(h, h->admin, a->code, r);
        break;
    }
}

#define BIT(id) (1u << FACILITY_##id)

enum facility remedy_cause(const struct facility_answer answers[FACILITY_COUNT], enum facility id)
{
    static const unsigned mounts =
        BIT(MOUNT_API) | BIT(PROC_MOUNT) | BIT(DEVPTS) | BIT(TMPFS) | BIT(PIVOT) | BIT(OVERLAY);
    static const unsigned spaces =
        BIT(NS_MOUNT) | BIT(NS_PID) | BIT(NS_NET) | BIT(NS_IPC) | BIT(NS_UTS) | BIT(NS_CGROUP) | BIT(NS_TIME);
    static const struct {
        enum facility cause;
        unsigned of;
    } causes[] = {
        {FACILITY_USERNS, mounts | spaces | BIT(IDMAP) | BIT(USERS)},
        {FACILITY_PROC, mounts | BIT(NS_TIME) | BIT(IDMAP) | BIT(CGROUP) | BIT(HELPERS)},
        {FACILITY_NS_MOUNT, mounts},
        {FACILITY_NS_PID, BIT(PROC_MOUNT)},
        {FACILITY_SECCOMP, BIT(NOTIFY)},
    };
    static_assert(FACILITY_COUNT <= 32, "a facility is a bit");
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (causes[i].of >> id & 1 && answers[causes[i].cause].state == FACILITY_MISSING)
            return causes[i].cause;
    }
    return id;
}

void remedy_find(const struct host_facts *h, enum facility id, const struct facility_answer *a,
                 struct remedy *ret)
{
    static const struct {
        enum facility id;
        enum sysctl_id key;
        const char *config;
    } spaces[] = {
        {FACILITY_NS_MOUNT, SYSCTL_MAX_MNT, "mount namespaces"},
        {FACILITY_NS_PID, SYSCTL_MAX_PID, "CONFIG_PID_NS"},
        {FACILITY_NS_NET, SYSCTL_MAX_NET, "CONFIG_NET_NS"},
        {FACILITY_NS_IPC, SYSCTL_MAX_IPC, "CONFIG_IPC_NS"},
        {FACILITY_NS_UTS, SYSCTL_MAX_UTS, "CONFIG_UTS_NS"},
        {FACILITY_NS_CGROUP, SYSCTL_MAX_CGROUP, "cgroup namespaces"},
        {FACILITY_NS_TIME, SYSCTL_MAX_TIME, "CONFIG_TIME_NS (arrived with 5.6)"},
    };
    memset(ret, 0, sizeof *ret);
    if (a->state == FACILITY_OK || a->state == FACILITY_SKIPPED)
        return;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        if (spaces[i].id == id) {
            find_namespace(h, a, spaces[i].key, spaces[i].config, ret);
            return;
        }
    }
    switch (id) {
    case FACILITY_USERNS:
    case FACILITY_CLONE3:
        find_userns(h, h->admin, a->code, ret);
        break;
    case FACILITY_USERS:
        find_userns(h, false, a->code, ret);
        break;
    case FACILITY_PROC_MOUNT:
        find_proc_mount(h, a, ret);
        break;
    case FACILITY_CGROUP:
        find_cgroup(h, ret);
        break;
    case FACILITY_LANDLOCK:
        find_landlock(a, ret);
        break;
    default:
        find_rest(h, id, a, ret);
        break;
    }
}
