/* seccomp: the room's system-call filter, compiled when the program is built; at run time it is only bytes.
 *
 * Pure: hands out constants. Installing them is sys/'s business (PR_SET_NO_NEW_PRIVS first, then seccomp(2)
 * with SECCOMP_SET_MODE_FILTER; the notifying variants with SECCOMP_FILTER_FLAG_NEW_LISTENER as well). */
#ifndef POLICY_SECCOMP_H
#define POLICY_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>

enum seccomp_variant {
    SECCOMP_ROOM,         /* what is denied gets EPERM */
    SECCOMP_ROOM_NOTIFY,  /* what is denied is sent to the supervisor, which records it and answers EPERM */
    SECCOMP_ROOM_NETLINK, /* like SECCOMP_ROOM, and NETLINK_ROUTE is open (listing of interfaces) */
    SECCOMP_ROOM_NETLINK_NOTIFY, /* both */
    SECCOMP_ROOM_WATCH, /* like SECCOMP_ROOM_NOTIFY, and calls that name files or peers are told too */
    SECCOMP_ROOM_NETLINK_WATCH,
    SECCOMP_VARIANT_COUNT,
};

struct seccomp_program {
    const struct sock_filter *insns;
    unsigned short len;
};

/* The program of a variant. Never NULL for a valid variant; NULL otherwise. */
const struct seccomp_program *seccomp_program(enum seccomp_variant variant);

/* Name of a system call of this architecture; NULL for a number that the table does not hold. */
const char *syscall_name(int nr);

/* Is this very call allowed, and only told to a supervisor that watches? */
bool seccomp_is_watched(const struct seccomp_data *call);

/* Why the room refuses the call, or some uses of it, as half a sentence. NULL when it is always allowed; for
 * an unknown number a text that says so. */
const char *syscall_why_denied(int nr);

#endif
