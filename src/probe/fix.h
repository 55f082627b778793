/* fix: the few changes to the host that `doctor --fix` makes. Each can be undone, and says how. */
#ifndef PROBE_FIX_H
#define PROBE_FIX_H

#include "base/err.h"
#include "base/sbuf.h"
#include "probe/facts.h"

enum fix_kind {
    FIX_SYSCTL,   /* a kernel switch, now and (a file in /etc/sysctl.d) at each start */
    FIX_DELEGATE, /* systemd hands its users' managers the controllers that rooms use */
    FIX_APPARMOR, /* a profile that allows this one program to make user namespaces */
};

struct fix {
    enum fix_kind kind;
    enum sysctl_id key; /* FIX_SYSCTL */
    int64_t value;
};

/* The fix as lines for a shell run by root, each ended by a newline. Pure. */
void fix_commands(const struct fix *f, const struct host_facts *h, struct sbuf *out);

/* The way back, as one comment line for that shell. Pure. */
void fix_undo(const struct fix *f, const struct host_facts *h, struct sbuf *out);

/* Does what fix_commands says. Files of others are never changed: one that exists with other contents is an
 * error, before anything is done. -errno with e. */
int fix_apply(const struct fix *f, const struct host_facts *h, struct err *e);

/* Whether a path can stand in an AppArmor profile and a shell line without quoting. */
bool fix_path_is_plain(const char *path);

#endif
