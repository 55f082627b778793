/* seat: where a program of the room starts from: pid 1's child, under every wall, looked around once more before
 * execve. */
#ifndef ROOM_SEAT_H
#define ROOM_SEAT_H

#include "room/plan.h"
#include <sys/types.h>

struct seat {
    int stdio[3];        /* the program's descriptors 0, 1, 2; -1: /dev/null */
    int terminal;        /* its controlling terminal, in the place of stdio; -1 */
    int null;            /* /dev/null */
    const char *workdir; /* NULL: where pid 1 is */
    char *const *paths;  /* tried in order, NULL-terminated; NULL: no program, only look around */
    char *const *argv;
    char *const *envp;
};

/* Starts it, and waits for its execve. Returns its process number, 0 when there is no program and all walls hold, or
 * -errno: then *ret_layer is the layer that did not hold, -1 when it was the program that could not be run (-ENOTDIR,
 * -ENOENT, … of the working directory: *ret_layer is SEAT_WORKDIR). */
#define SEAT_WORKDIR (-2)
pid_t seat_start(const struct room_plan *plan, const struct seat *seat, int *ret_layer);

/* A terminal of the room's own device file system. Both ends are CLOEXEC. 0 or -errno. */
int seat_terminal(const char *ptmx, unsigned short rows, unsigned short cols, int *ret_master,
                  int *ret_slave);

#endif
