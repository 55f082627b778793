/* keeper: a room that lives on can be used from outside: programs started in it, its state, its logs, its end. What
 * live.c hands on of the control socket's requests. */
#ifndef ENGINE_KEEPER_H
#define ENGINE_KEEPER_H

#include "engine/relay.h"
#include "engine/result.h"
#include "room/exec.h"
#include "room/report.h"
#include "rooms/frames.h"
#include "runtimes/runtimes.h"
#include <stdbool.h>
#include <stdint.h>

#define INTERPRETER_QUEUE 16 /* clients that wait for one interpreter */

struct room;
struct words;

enum keeper_state { KEEPER_FREE, KEEPER_STARTING, KEEPER_RUNS, KEEPER_ENDED };

/* One program that somebody outside asked for. */
struct keeper_exec {
    enum keeper_state state;
    uint32_t handle;
    uint32_t reaper; /* number of the one that started it */
    int pid;         /* inside */
    uint32_t client; /* who asked; its going ends the program, unless it is detached */
    uint32_t waiter; /* whose WAIT is open */
    bool detached, waited, told, left;
    bool job;             /* its output is kept: jobs.c */
    bool interpreter;     /* nobody's program, but one that is lent: interpreters.c */
    bool gone;            /* nothing that descends from it is left */
    enum outcome why;     /* EXITED, SIGNALLED, TIMEOUT, LOST */
    int status;           /* wait status */
    uint64_t deadline_ms; /* 0: none */
    uint64_t utime_us, stime_us, maxrss_kib;
};

/* One interpreter of the room: lent to one client at a time. */
struct keeper_interpreter {
    uint32_t handle;       /* of its keeper_exec; 0: there is none */
    bool runs;             /* STARTED */
    bool ended;            /* how: status */
    bool lent, closing;    /* to `holder`, who waits for its end */
    bool lost;             /* the one before ended with `status`, and nobody was told */
    int channel, out, err; /* our ends, of which the holder gets copies; -1 */
    int status;            /* wait status */
    uint32_t cells;        /* lent so often */
    uint32_t holder;
    uint32_t queue[INTERPRETER_QUEUE]; /* who wait for it, in order */
    size_t queued;
};

/* One program whose output is kept. */
struct keeper_job {
    uint32_t handle; /* of its keeper_exec; 0: the row is free */
    bool ended;
    int status;   /* as a shell has it, once it has ended */
    int in;       /* its stdin, -1: closed */
    int rings[2]; /* what it printed */
    struct relay out[2];
    uint64_t began_ms;
    char command[128]; /* escaped, perhaps cut */
};
#define JOBS_MAX 16

struct keeper {
    struct keeper_job jobs[JOBS_MAX];
    int jobs_epoll; /* readable when one of them has printed; -1: there was none yet */
    struct keeper_exec execs[EXEC_MAX];
    struct keeper_interpreter interpreters[RUNTIME_COUNT];
    struct keeper_reaper { /* for the next program, or at its last one */
        int orders;        /* -1: there is none */
        uint32_t number;
        uint32_t handle; /* of what it runs; 0: it is idle, and goes at idle_ms, if that is not 0 */
        uint64_t idle_ms;
    } reaper;
    uint32_t handles, reapers; /* names of programs, and of reapers: the last one given */
    bool paused;
    bool closing;          /* the room has ended */
    int logs[2];           /* rings of the program's stdout and stderr, -1 */
    struct keeper_reader { /* of logs, who follow them to the end */
        uint32_t client;
        uint64_t seen[2];
        bool here;  /* the row is taken */
        bool waits; /* for more; else it is about to ask again */
    } readers[8];
};

/* Makes the logs of a room that nobody sits before. 0 or -errno. */
int keeper_open(struct room *r);
/* true: it was for us, and is or will be answered. */
bool keeper_take(struct room *r, uint32_t client, const struct rooms_frame *f, int *fds, int n);
void keeper_farewell(struct room *r, uint32_t client);
/* More was written into the logs. */
void keeper_logged(struct room *r);
/* Tells the readers of logs how the room ended; those that are about to ask are waited for, a moment. */
void keeper_close(struct room *r);

/* execs.c */
void execs_start(struct room *r, uint32_t client, const struct rooms_frame *f, int *fds, int n);
void execs_wait(struct room *r, uint32_t client, uint32_t handle);
void execs_signal(struct room *r, uint32_t client, const struct rooms_frame *f);
void execs_report(struct room *r, const struct report *got, const int *fds, int n); /* REPORT_EXEC_* */
void execs_farewell(struct room *r, uint32_t client);
uint64_t execs_next_ms(const struct room *r); /* 0: nothing to wait for */
void execs_tick(struct room *r, uint64_t now_ms);
/* Starts an interpreter with those words and stdin, stdout, stderr. Its handle, or 0 with *ret_why; what becomes of it
 * goes to interpreters_started() and its neighbours. */
uint32_t execs_start_interpreter(struct room *r, const struct words *in, const int stdio[3],
                                 const char **ret_why);
void execs_end(struct room *r, uint32_t handle, unsigned grace_ms); /* with all that descends from it */

/* The same for one whose output is kept; *w: its words, as a client sent them; the client is told. */
uint32_t execs_start_job(struct room *r, uint32_t client, const struct words *w, const int stdio[3],
                         const char **ret_why);

/* reapers.c */
void reapers_init(struct keeper *k);
void reapers_close(struct keeper *k);
/* A name for a program, or a reaper: 1 to INT32_MAX, and none that is there has it. */
uint32_t keeper_next_handle(struct keeper *k);
uint32_t keeper_next_reaper(struct keeper *k);
void reapers_begin(struct room *r); /* the room lives */
/* One will be wanted in a moment: it comes to be while we look at the request. */
void reapers_prepare(struct room *r);
/* An EXEC with its descriptors goes to a reaper that has nothing to do. 0 with its number, or -errno. */
int reapers_order(struct room *r, const struct command *c, const int *fds, size_t n, uint32_t *ret_number);
void reapers_free(struct room *r, uint32_t handle);   /* nothing is left of that program */
void reapers_forget(struct room *r, uint32_t number); /* it has ended, or will be */
uint64_t reapers_next_ms(const struct room *r);       /* 0: nothing to wait for */
void reapers_tick(struct room *r, uint64_t now_ms);

/* jobs.c */
void jobs_init(struct keeper *k);
void jobs_start(struct room *r, uint32_t client, const struct rooms_frame *f, int words);
void jobs_list(struct room *r, uint32_t client);
void jobs_output(struct room *r, uint32_t client, uint32_t handle);
void jobs_input(struct room *r, uint32_t client, uint32_t handle, bool close);
void jobs_ended(struct room *r, uint32_t handle, int wait_status);
void jobs_failed(struct room *r, uint32_t handle); /* it was never there */
void jobs_move(struct room *r);                    /* what jobs_epoll tells of */
void jobs_close(struct room *r);

/* interpreters.c */
void interpreters_init(struct keeper *k);
void interpreters_lend(struct room *r, uint32_t client, const struct rooms_frame *f);
void interpreters_release(struct room *r, uint32_t client, bool spoilt);
void interpreters_farewell(struct room *r, uint32_t client);
/* Of one of them: STARTED; FAILED, with the exit status and words for it; or EXITED. */
void interpreters_started(struct room *r, uint32_t handle);
void interpreters_failed(struct room *r, uint32_t handle, int status, const char *why);
void interpreters_exited(struct room *r, uint32_t handle, int status);
void interpreters_close(struct room *r);

/* The words of a request: at most `max`, NULL-terminated, in `text`, which is changed. How many, -1: more. */
int keeper_words(char *text, char **ret, int max);
/* A descriptor of its own for a memory file, that can only read. */
int keeper_to_read(int fd);
/* "why", a hint or NULL (ROOM in it is the room's name), an exit status of its own or 0. */
void keeper_refuse(struct room *r, uint32_t client, int status, const char *why, const char *hint);

#endif
