/* report: the frames between the supervisor and a room's pid 1. Fixed sizes, one direction each, a frame that does not
 * fit its row ends the room.
 *
 *   GO       supervisor -> pid 1   once: id maps are written; carries the cgroup join descriptors (0..4)
 *   LISTENERS pid 1 -> supervisor  with a gate only, any number: carries `fds` descriptors, kinds in
 *                                  `listeners`; `status` 1: the last
 *   SERVED   supervisor -> pid 1   with a gate or published ports only, once, after the last LISTENERS: the gate serves
 *   STARTED  pid 1 -> supervisor   once: the program runs; carries REPORT_FD_* as flagged; holds the receipt
 *   FAILED   pid 1 -> supervisor   once instead of STARTED: which step, which errno
 *   SIGNAL   supervisor -> pid 1   any time after STARTED
 *   REAPER   supervisor -> pid 1   any time after STARTED: make a reaper of that number; carries its socket
 *   EXEC     supervisor -> a reaper, over that socket, when it has nothing to do: one more program; carries its words
 *                                  (sys/words.h), and its stdin, stdout and stderr unless it gets a terminal
 *   EXEC_SIGNAL supervisor -> pid 1  a signal to that program, its group, or all that descends from its reaper, and it
 *   EXEC_STARTED a reaper -> supervisor  that program runs; carries the terminal, if any
 *   EXEC_FAILED  a reaper -> supervisor  instead: `code` and `item` as in FAILED
 *   EXEC_EXITED  a reaper -> supervisor  that program ended; `code` 1: and left nothing behind
 *   EXEC_LEFT    a reaper -> supervisor  now nothing that descends from it is left
 *   EXEC_GONE    pid 1 -> supervisor  the reaper of that number ended, and what it ran with it; `code`: why there
 *                                  is none
 *   SOCKETS  supervisor -> pid 1   with published ports only, any time after STARTED: `count` are wanted
 *   SOCKETS  pid 1 -> supervisor   for it, as many frames as it takes: carries `fds` unconnected TCP sockets;
 *                                  none: no more can be made, `code` says why
 *   EXITED   pid 1 -> supervisor   once: the program ended; pid 1 ends right after, and everything with it */
#ifndef ROOM_REPORT_H
#define ROOM_REPORT_H

#include "policy/layer.h"
#include "room/plan.h"
#include <stdint.h>

enum report_type {
    REPORT_STARTED = 1,
    REPORT_FAILED,
    REPORT_EXITED,
    REPORT_LISTENERS,
    REPORT_EXEC_STARTED,
    REPORT_EXEC_FAILED,
    REPORT_EXEC_EXITED,
    REPORT_EXEC_LEFT,
    REPORT_EXEC_GONE,
    REPORT_SOCKETS
};
enum {
    COMMAND_GO = 1,
    COMMAND_SIGNAL,
    COMMAND_SERVED,
    COMMAND_REAPER,
    COMMAND_EXEC,
    COMMAND_EXEC_SIGNAL,
    COMMAND_SOCKETS
};

/* What a listener of the room's network is; gate/frames.h has the same numbers. */
enum room_listener {
    ROOM_LISTEN_DNS_UDP = 1,
    ROOM_LISTEN_DNS_TCP,
    ROOM_LISTEN_TPROXY,
    ROOM_LISTEN_PORT,
    ROOM_LISTEN_REFUSED,
    ROOM_LISTEN_UNIX = 8,
    ROOM_LISTEN_SEEN,
    ROOM_LISTEN_SPARE /* the supervisor's: bound to no port yet, of the network in which the gate's listeners are */
};

enum {
    REPORT_FD_PROC = 1,
    REPORT_FD_TTY = 2,
    REPORT_FD_NOTIFY = 4,
    REPORT_FD_SCRATCH = 8,
    REPORT_FD_UPPER = 16,
    REPORT_FD_ROOT = 32,
    REPORT_FD_NOTICE = 64
}; /* in this order when present */

struct report_layer {
    uint8_t state;  /* enum layer_state */
    uint8_t probed; /* 1: the state was tried from inside, not only set */
    int16_t code;   /* errno of what went wrong, 0 */
};

struct report {
    uint32_t type;
    uint32_t fds;                /* STARTED: REPORT_FD_* bits; LISTENERS, SOCKETS: how many come along */
    int32_t step;                /* FAILED: enum step_id */
    int32_t code;                /* FAILED: errno, positive */
    int32_t item;                /* FAILED: index of the mount or file concerned, -1 */
    int32_t status;              /* EXITED: wait status */
    uint64_t utime_us, stime_us; /* EXITED: program and its waited-for children */
    uint64_t maxrss_kib;
    uint64_t minflt, majflt, nvcsw, nivcsw;
    uint64_t start_ns,
        end_ns; /* CLOCK_MONOTONIC of the host around the program (pid 1's own clock offset removed) */
    uint64_t
        changes_ns; /* STARTED, with workspaces: what the host changes from here on (ctime, CLOCK_REALTIME)
                          * it changed after the program had started */
    uint32_t landlock_abi;
    uint8_t listeners[8]; /* LISTENERS: enum room_listener */
    uint16_t numbers[8];  /* LISTENERS, UNIX: the rule */
    int32_t unlinked;     /* STARTED, gate degraded: errno, why there is no link; 0: there is one */
    int32_t unseen;       /* likewise: why nobody sees what that refuses */
    int32_t payload_pid;  /* inside; 0: the room has no program of its own */
    uint32_t handle;      /* EXEC_*: as in the command; EXEC_GONE: the reaper's number */
    struct report_layer layers[LAYER_ID_COUNT];
    uint32_t step_ns[STEP_COUNT]; /* time spent in each step */
};

struct command {
    uint32_t type;
    int32_t signal;
    int32_t
        group; /* SIGNAL, EXEC_SIGNAL: 1: the program's process group; 0: the program; 2: SIGNAL: every process of
                    * the room; EXEC_SIGNAL: all that descends from the program, until none is left */
    int32_t pid; /* EXEC_SIGNAL: that program, as EXEC_STARTED told it */
    uint32_t
        handle; /* EXEC: the supervisor's name for that program; REAPER, EXEC_SIGNAL: number of the reaper */
    uint32_t count;      /* SOCKETS */
    uint32_t terminal;   /* EXEC: 1: it gets a terminal of `rows` and `cols` */
    uint16_t rows, cols; /* EXEC */
};

#endif
