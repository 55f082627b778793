/* inner: what the engine's own files share. Not for others. */
#ifndef ENGINE_INNER_H
#define ENGINE_INNER_H

#include "engine/engine.h"
#include "engine/keeper.h"
#include "engine/publish.h"
#include "engine/relay.h"
#include "engine/tree.h"
#include "engine/unixes.h"
#include "gate/frames.h"
#include "limits/leaf.h"
#include "rooms/place.h"
#include "rooms/server.h"
#include <signal.h>
#include <sys/types.h>
#include <termios.h>

/* Bounds of the supervisor. */
enum {
#ifdef STRONGROOM_FAULT
    ENGINE_BUILD_MS = 700,
#else
    ENGINE_BUILD_MS = 10000, /* from the clone to the program's execve */
#endif
    ENGINE_GRACE_MS = 1000,    /* between the caller's first request to end and our kill */
    ENGINE_TEARDOWN_MS = 2000, /* from our kill to all gone */
    ENGINE_FAREWELL_MS = 500,  /* for who follows the logs to ask how it ended */
    ENGINE_NUDGE_MS = 200,     /* from our kill of pid 1 to that of each process of the leaf */
    ENGINE_FLUSH_MS = 10000,   /* for a slow reader of the output, after the room was killed */
    ENGINE_UNDERTAKER_MS = 5,  /* a room that lives this long gets an undertaker; see undertaker.c */
    ENGINE_DISK_MS = 50,       /* between two looks at the disk, where changes are kept there */
    ENGINE_SCRATCH_MS = 20,    /* between two looks at the scratch file system in a room's first moments, */
    ENGINE_SCRATCH_AGE = 8,    /* later this part of the room's age, */
    ENGINE_SCRATCH_MAX_MS = 1000, /* but no longer */
    ENGINE_WATCH_MS = 20,         /* between two looks, where we watch instead of a cgroup */
    ENGINE_WATCH_REST = 8,        /* and at least this many times what the look took */
};

/* A room with a name: see live.c. */
struct live {
    struct rooms_place place;
    struct rooms_server server;
    struct egress_rule *table; /* EGRESS_RULES_MAX rows, only with a gate; what is withdrawn stays, marked */
    struct egress_texts texts; /* of the rules that came since the room began */
    struct egress_rules rules;
    struct live_wait { /* who waits for the gate, in order */
        uint32_t client;
        bool back;        /* its rules are withdrawn */
        size_t count, at; /* of its changes; the one that the gate answers next: never one that held */
        struct live_change {
            uint32_t number, cut;
            bool held;
        } changes[ROOMS_RULES_MAX];
    } waiting[ROOMS_CLIENTS_MAX];
    size_t waiting_count;
    int notice; /* what the room reads about itself, open for writing; -1 */
};

/* Questions to the person at the terminal: see ask.c. */
struct ask {
    int fd; /* the controlling terminal, -1: there is nobody to ask */
    struct ask_one {
        uint32_t id;                    /* the gate's */
        char rule[EGRESS_NAME_MAX + 8]; /* one endpoint, as text */
    } queue[GATE_ASKS_MAX];
    size_t count;    /* the first one is asked now, if `open` */
    bool open;       /* a question stands there, or is being written */
    char text[1024]; /* what is still to be shown: [at, len) */
    size_t at, len;
    char code[3]; /* an answer that allows has it */
    char line[64];
    size_t line_len;
    bool too_long;     /* the line is more than fits: no answer */
    uint64_t until_ms; /* then the answer is no; 0: not shown yet */
    unsigned refusals;
};

/* One running room, in the supervisor. */
/* guard.c: counts files that are deleted. */
struct guard {
    struct tree_session tree[POLICY_WORKSPACES_MAX];
    bool open[POLICY_WORKSPACES_MAX];
    int waiting;            /* for the count of this workspace; -1: for none */
    uint64_t next_ms;       /* of the next look; 0: there is no guard */
    uint64_t began_ms, sum; /* of the look that is under way */
    uint64_t most;
    bool unknown; /* a bound in percent, as long as nothing was deleted: then it is 0 */
    bool all;     /* the look that is under way is about how many files there are */
};

struct room {
    const struct engine_request *req;
    const struct policy *policy;
    struct room_plan plan;
    struct result *result;

    /* the room's end of things */
    pid_t pid; /* pid 1 as we see it, 0 before the clone and after it was reaped */
    int pidfd;
    int ctl;                           /* our end of the control socket */
    int proc;                          /* the room's /proc */
    int scratch;                       /* root of the room's scratch file system, only asked how full it is */
    int lowers[POLICY_WORKSPACES_MAX]; /* the folders of its workspaces, O_PATH */
    int copies[POLICY_WORKSPACES_MAX]; /* entries that hold only a copy of a workspace */
    char copy_ids[POLICY_WORKSPACES_MAX][STORE_ID_SIZE];
    int entries[POLICY_WORKSPACES_MAX]; /* where their changes are kept; -1: not made yet */
    int outs[POLICY_COPIES_MAX];        /* the folders that are copied out to */
    int upper;                          /* what its workspaces changed; -1: it has none */
    int root;      /* the room's root, O_PATH; -1 when nothing is to be explained or copied out */
    int notify;    /* seccomp listener */
    bool listened; /* the listener arrived */
    int mounts;    /* the host's mount table as it was: poll tells whether it changed */

    /* bounds */
    struct leaf_place place;
    struct leaf leaf;
    bool has_leaf;
    pid_t undertaker;
    int lifeline;  /* write end: closed (also by our death) it tells the undertaker to act */
    bool watching; /* memory is sampled, no cgroup bounds it */

    /* the gate: only where the policy asks for one */
    pid_t gate_pid;      /* 0: none, or reaped */
    pid_t intercept_pid; /* likewise */
    int intercept_ctl;
    int gate_ctl;                      /* our end of its control socket */
    bool gate_serves;                  /* READY arrived */
    bool gate_stopped;                 /* we told it to end */
    int published[POLICY_PUBLISH_MAX]; /* listeners of the host's, until the gate has them */
    struct {
        int folder; /* O_PATH; -1: none */
        uint32_t rule;
        bool live;             /* made while the room lives: gone from the room when its rule is */
    } unixes[EGRESS_UNIX_MAX]; /* sockets of the host's */
    uint32_t sockets_wanted;   /* by the gate, when the room has begun */

    struct live live;
    struct ask ask;
    struct keeper keeper;

    /* stdio */
    struct relay in, out, err, reply;
    int pipes[3][2];
    bool raw; /* the caller's terminal is in raw mode and `saved` must be restored */
    struct termios saved;
    int tty_fd;            /* the caller's terminal, -1 */
    bool input_ends_line;  /* what went into the terminal last was a newline */
    uint64_t interrupt_ms; /* when the last unanswered Ctrl-C was typed, 0 */

    /* life */
    int signals;            /* signalfd */
    bool started;           /* STARTED arrived */
    bool exited;            /* EXITED arrived */
    bool killed;            /* we sent SIGKILL */
    bool dead;              /* pid 1 is reaped */
    bool failed;            /* FAILED arrived */
    enum outcome why;       /* reason of our kill */
    unsigned early_signals; /* USR1, USR2 that came before STARTED: passed on then */
    unsigned asked_to_end;  /* how often the caller asked */
    uint64_t deadline_ms, grace_ms, flush_ms, watch_ms, disk_ms, scratch_ms, kill_ms, nudge_ms, undertaker_ms;
    uint64_t started_ms; /* when STARTED arrived */
    uint64_t from_ns;    /* with --from: what the host changed from here on is in conflict */
    uint64_t copied_ns;  /* when the first copy of a workspace began, as report.changes_ns */
    uint64_t cpu_seen_us, memory_seen;
    uint64_t disk_free,
        disk_cap; /* of the file system of the changes when the room began; what may go of it */
    uint64_t cpu_sampled_us, cpu_gone_us; /* last sum over living processes; what ended ones took along */
    struct guard guard;
    unsigned processors; /* of this host that the caller may use */
};

uint64_t engine_now_ms(void);
uint64_t engine_now_us(void);

struct room;
void engine_phase(struct room *r, enum phase p); /* that phase is over now */

/* spawn.c: makes pipes, leaf and child, writes id maps, says GO. On failure everything made is undone by room_close. */
void room_choose_identity(struct room_plan *plan); /* whether the room gets a kernel uid of its own */
int room_spawn(struct room *r, struct err *e);

/* supervise.c: until the room is dead and its output delivered. */
int room_supervise(struct room *r, struct err *e);
void room_kill(struct room *r, enum outcome why);

/* teardown.c: counts, removes, proves. Always called once the clone was tried. */
void room_teardown(struct room *r);

/* trees.c: as root, prepares what the policy names so that the room may use it; closes it after the clone. */
int trees_prepare(struct room *r, struct err *e);
void trees_prepare_skeleton(struct room *r);
void trees_close(struct room *r);

/* copies.c: opens the folders that are copied out to; copies when the room is dead. */
int copies_prepare(struct room *r, struct err *e);
void copies_take(struct room *r);
void copies_close(struct room *r);

/* changes.c: opens the workspaces, and makes their places in the store where the room writes there itself. */
int changes_prepare(struct room *r, struct err *e);
/* What an entry of the store says about itself. */
void changes_meta(const struct room *r, const struct plan_mount *m, struct store_meta *meta);
/* A workspace's layer: O_PATH, or -errno. */
int changes_open_upper(const struct room *r, const struct plan_mount *m);
/* guard.c: mass deletion while the room lives. */
void guard_begin(struct room *r);              /* the program starts */
void guard_tick(struct room *r, uint64_t now); /* after guard.next_ms */
int guard_fd(const struct room *r);            /* to be polled for reading; -1: nothing is waited for */
void guard_take(struct room *r);
void guard_close(struct room *r);
/* keep.c: after the room's end, keeps what it changed. What fails is in the result. */
void changes_keep(struct room *r);
void changes_close_room(struct room *r);
/* With changes on disk: bytes that went since the room began. */
uint64_t changes_on_disk(const struct room *r);

/* undertaker.c: a process that outlives a killed supervisor just long enough to remove the leaf. */
void undertaker_start(struct room *r);
void undertaker_dismiss(struct room *r);

/* denials.c: one notification of the filter: recorded, answered with EPERM. */
void denials_take(struct room *r);

/* observe.c: a call that is allowed, told because somebody asked for an explanation. */
struct seccomp_notif;
void observe_call(struct room *r, const struct seccomp_notif *n);

/* intercept.c: before the plan (nothing when no rule asks for it); before the clone; when the gate is there;
 * at the end. */
int intercept_start(struct room *r, struct err *e);
int intercept_read_secrets(struct room *r, struct err *e);
int intercept_join(struct room *r);
void intercept_stop(struct room *r);

/* gate.c: starts the gate (nothing when the policy wants none); hands it what pid 1 made; takes what it tells;
 * ends it. */
int gate_start(struct room *r, struct err *e);
void gate_listeners(struct room *r, const struct report *got, int *fds,
                    size_t n); /* what it keeps becomes -1 */
void gate_take(struct room *r);
void gate_stop(struct room *r);
struct network *gate_record(void);
/* Tells the gate how rule `number` of the live ones stands. -EPIPE: it has ended. */
int gate_change(struct room *r, uint32_t number);
/* Right behind it, for a rule about a socket: what listens in the room. */
void gate_listen(struct room *r, int listener, uint32_t rule);
/* Right behind a rule that opens this port: what listens for it. */
void gate_listen_port(struct room *r, int listener);
/* The answer to a question of its; with ONCE the rule `number` is told too. */
int gate_answer(struct room *r, uint32_t question, enum gate_answer answer, uint32_t number);

/* ports.c, where the gate has a listener for each port: one of these; a socket for ports that come later (0: it is
 * kept, and ours from now on); a rule has come, and its ports lead out where there are sockets left; do some not? */
void ports_see(int listener);
int ports_keep(int spare);
void ports_follow(struct room *r, const struct egress_rule *rule);
bool ports_lack(const struct room *r, const struct egress_rule *rule);
void ports_end(void);

/* ask.c: before the room: is there a terminal to ask on? A question of the gate's; what to poll for; what came; time;
 * the room has ended, or is stopped: nothing is asked any more. */
void ask_open(struct room *r);
void ask_take(struct room *r, const struct gate_report *got);
struct pollfd ask_poll(const struct room *r);
void ask_event(struct room *r);
void ask_tick(struct room *r, uint64_t now);
bool ask_holds(const struct room *r,
               int fd); /* that descriptor of the caller's is not to be used: a question stands there */
bool ask_refuse(struct room *r); /* the question that stands there is answered by no; false: there is none */
void ask_close(struct room *r);

/* live.c: the control socket of a room that has a name (without one these do nothing), and the rules in force. */
int live_open(struct room *r, struct err *e);
void live_take(struct room *r);
void live_changed(struct room *r, uint32_t number, uint32_t cut);
void live_gate_lost(struct room *r);
void live_close(struct room *r);
const struct egress_rules *live_rules(const struct room *r);
/* One rule more; `once`: it is not in force. Its number, or -ENOSPC. */
int live_add(struct room *r, const struct egress_rule *rule, bool once);

/* watch.c: the fallback where no cgroup bounds memory. Samples the room's own process table. */
struct watch_sample {
    uint64_t memory; /* bytes: anonymous and shared-memory pages, of each process; an upper bound */
    uint64_t tables; /* of it page tables */
    uint64_t cpu_us;
    unsigned processes;
};
int watch_sample(int proc, struct watch_sample *ret);
/* The same memory, but what processes share (after a fork, nearly all) counted once, and no page tables.
 * Slow: the kernel walks page tables, so only to be asked when the sample says too much. 0 when it cannot be
 * told. */
uint64_t watch_shares(int proc);
unsigned watch_count(int proc); /* processes listed in that /proc */

/* terminal.c */
void terminal_enter(struct room *r);
void terminal_leave(struct room *r);
void terminal_end_input(struct room *r);
void terminal_resize(struct room *r);

/* limits.c: who enforces what in this room; fills result->limits[].asked/by before, peaks and hits after. */
int limits_plan(struct room *r, struct err *e);
void limits_read(struct room *r);
void limits_look_at_scratch(struct room *r); /* peak and hits of disk and inodes, as they are now */
/* Ended by the kernel's signal for it, and not by the same signal from anybody else. After limits_read(). */
bool limits_used_up_cpu(const struct room *r);

#endif
