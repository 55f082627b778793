/* plan_masks: what of the room's files an empty file or folder covers.
 *
 * Lives in: the supervisor, before the clone. Trusts: the policy's form (checked). Must not: change anything. */
#include "room/plan_inner.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Set-user-ID and set-group-ID programs of Debian, Fedora and Alpine systems: harmless here (nosuid, no_new_privs), but
 * nothing that a room needs. Those that exist and carry the bit are masked. */
static const char *const setid_programs[] = {
    "usr/bin/su",
    "usr/bin/sudo",
    "usr/bin/passwd",
    "usr/bin/chsh",
    "usr/bin/chfn",
    "usr/bin/chage",
    "usr/bin/expiry",
    "usr/bin/gpasswd",
    "usr/bin/newgrp",
    "usr/bin/mount",
    "usr/bin/umount",
    "usr/bin/pkexec",
    "usr/bin/fusermount3",
    "usr/bin/fusermount",
    "usr/bin/crontab",
    "usr/bin/at",
    "usr/bin/ssh-agent",
    "usr/bin/wall",
    "usr/bin/bsd-write",
    "usr/bin/dotlockfile",
    "usr/bin/firejail",
    "usr/bin/newuidmap",
    "usr/bin/newgidmap",
    "usr/bin/screen",
    "usr/bin/ping",
    "usr/bin/doas",
    "usr/sbin/unix_chkpwd",
    "usr/sbin/mount.nfs",
    "usr/sbin/mount.cifs",
    "usr/sbin/pppd",
    "usr/sbin/exim4",
    "usr/sbin/postdrop",
    "usr/sbin/postqueue",
    "usr/lib/openssh/ssh-keysign",
    "usr/lib/dbus-1.0/dbus-daemon-launch-helper",
    "usr/lib/polkit-1/polkit-agent-helper-1",
    "usr/lib/x86_64-linux-gnu/utempter/utempter",
    "usr/lib/aarch64-linux-gnu/utempter/utempter",
};

int plan_masks(struct room_plan *plan, struct text *t, struct err *e)
{
    const struct policy *p = plan->policy;
    const size_t n_known = sizeof setid_programs / sizeof *setid_programs;
    struct stat st;
    plan->masks = text_array(t, sizeof *plan->masks, n_known + p->hide_count);
    if (!plan->masks)
        return out_of_text(e);
    FD_AUTO root = openat(AT_FDCWD, p->rootfs ? p->rootfs : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < n_known; i++) {
        if (fstatat(root, setid_programs[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            (st.st_mode & (S_ISUID | S_ISGID)))
            plan->masks[plan->mask_count++] =
                (struct plan_mask){.path = setid_programs[i], .named = p->rootfs != NULL};
    }
    for (size_t i = 0; i < p->hide_count; i++)
        plan->masks[plan->mask_count++] = (struct plan_mask){.path = p->hide[i] + 1, .named = true};
    return 0;
}
