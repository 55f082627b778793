/* steps: the litany that the room's pid 1 recites. One function per row of STEP_TABLE. */
#ifndef ROOM_STEPS_H
#define ROOM_STEPS_H

#include "room/plan.h"
#include "room/report.h"

enum mask_source { MASK_EMPTY_FILE, MASK_EMPTY_DIR, MASK_BOOT_ID, MASK_SOURCES };

/* What pid 1 carries from step to step. Everything here is in the cloned child's own memory. */
struct room_state {
    struct report report;
    int root;                /* the new root; later its detached copy, which must stay open */
    int masks[MASK_SOURCES]; /* of a root built in memory: what masks are made of, O_PATH; else -1 */
    int upper;               /* root of where the changes of workspaces are kept, -1 */
    bool upper_detached;     /* it is a mount, and nowhere yet */
    int scratch;             /* root of the scratch file system, for the Landlock probe */
    int join[4];             /* cgroup v1 `tasks` files to join, -1 none */
    int proc;                /* the room's /proc, for the supervisor to count survivors */
    int tty;                 /* terminal master for the supervisor, -1 */
    int tty_slave;
    int notify; /* seccomp listener, -1 */
    int null;   /* /dev/null */
    int notice; /* what the room may read about its network, open for the supervisor to write; -1 */
    int sock;   /* an IPv4 socket of the room's network, for the net probe */
    int unixes[EGRESS_UNIX_MAX]; /* listeners of the plan's, until they are handed out */
    int signals;                 /* signalfd for SIGCHLD */
    int item;                    /* which mount a step was at, for the error text */
    int64_t boot_offset_ns;      /* what was subtracted from the monotonic clock */
    bool is_user;                /* GO was said: the id maps are written and we are the room's user */
    bool paused;                 /* every process of the room was stopped from outside */
    bool concealed;              /* the kernel says that our root is in no mount table */
};

/* 0, or -errno. */
typedef int step_fn(const struct room_plan *plan, struct room_state *s);
extern step_fn *const step_functions[STEP_COUNT];

/* Records that a layer holds less than asked. */
void steps_degrade(struct room_state *s, enum layer_id layer, enum layer_state state, int code);

/* Lays the plan's root out in an empty folder of the host (the working directory afterwards). */
int mounts_write_skeleton(const struct room_plan *plan, int dir);

/* Waits for GO once; what makes files needs to be somebody. 0 or -errno. */
int steps_become_user(const struct room_plan *plan, struct room_state *s);

/* An overlay over the workspace's folder, in the place of the room that the plan names. */
int workspace_mount(struct room_state *s, const struct plan_mount *m);
/* Is every workspace an overlay, as seen from inside? */
bool workspace_holds(const struct room_plan *plan, struct room_state *s);
/* A stamp for changes of files, later than the command's start, earlier than all that are to come. Waits for it. */
uint64_t workspace_since(const struct room_plan *plan);

/* Is what is mounted here now what the plan looked at? */
int mounts_verify(int dir, const char *path, int flags, const struct plan_mount *m);
int mounts_attach(int mnt, const char *where); /* in the room, or absolute: on the host's names */
int mounts_attach_onto(int mnt, int target);   /* onto what is open, wherever its name leads by now */
int mounts_open_inside(const struct room_state *s, const char *path);
const char *mounts_decimal(uint64_t v, char buf[24]);

/* The folders above a relative path, where they are missing. 0 or -errno. */
int mounts_make_folders(const char *path);
/* Binds the sockets of `unix:` rules, those that are late or the others. */
int unixes_make(const struct room_plan *plan, struct room_state *s, bool late);

bool walls_caps_are_empty(void); /* effective, permitted, inheritable; of the calling process */

step_fn step_signals, step_session, step_keyring, step_network, step_gate, step_served, step_go, step_cgroup,
    step_time, step_hostname, step_private, step_root, step_system, step_binds, step_readonly, step_proc,
    step_dev, step_scratch, step_sockets, step_upper, step_writable, step_hide, step_masks, step_terminal,
    step_pivot, step_conceal, step_workdir, step_nesting, step_rlimits, step_caps, step_nnp, step_init,
    step_landlock, step_fds, step_probes, step_seccomp, step_program;

#endif
