/* keeper: a room that lives on can be used from outside: programs started in it, its state, its logs, its end. What
 * live.c hands on of the control socket's requests. */
#ifndef ENGINE_KEEPER_H
#define ENGINE_KEEPER_H

#include "engine/result.h"
#include "room/exec.h"
#include "room/report.h"
#include "rooms/frames.h"
#include <stdbool.h>
#include <stdint.h>

struct room;

enum keeper_state { KEEPER_FREE, KEEPER_STARTING, KEEPER_RUNS, KEEPER_ENDED };

/* One program that somebody outside asked for. */
struct keeper_exec {
    enum keeper_state state;
    uint32_t handle;
    int pid;         /* inside */
    uint32_t client; /* who asked; its going ends the program, unless it is detached */
    uint32_t waiter; /* whose WAIT is open */
    bool detached, waited, told, left;
    bool gone;            /* nothing that descends from it is left */
    enum outcome why;     /* EXITED, SIGNALLED, TIMEOUT, LOST */
    int status;           /* wait status */
    uint64_t deadline_ms; /* 0: none */
    uint64_t utime_us, stime_us, maxrss_kib;
};

struct keeper {
    struct keeper_exec execs[EXEC_MAX];
    uint32_t handles; /* given so far */
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

/* The words of a request: at most `max`, NULL-terminated, in `text`, which is changed. How many, -1: more. */
int keeper_words(char *text, char **ret, int max);
/* "why", a hint or NULL, an exit status of its own or 0. */
void keeper_refuse(struct room *r, uint32_t client, int status, const char *why, const char *hint);

#endif
