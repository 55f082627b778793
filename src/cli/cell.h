/* cell: one cell of code for an interpreter of a room that lives. */
#ifndef CLI_CELL_H
#define CLI_CELL_H

#include "runtimes/cells.h"
#include "runtimes/runtimes.h"
#include <stdbool.h>
#include <stdint.h>

struct cell_order {
    const char *room;
    const struct language *language;
    uint64_t timeout_ms; /* from its start; 0: none */
    uint64_t output_max; /* bytes of stdout and stderr together that are passed on; 0: all */
    int result_fd;       /* -1: values go to stdout, as text */
};

/* Reads the cell from stdin, runs it, passes on what it prints. The exit status for the command. */
int cell_run(const struct cell_order *o);

/* How it went; what a result says. */
struct cell_end {
    const char *outcome; /* exited, interrupted, timeout, output, ended */
    int exit_status;
    bool began_new, lost_before; /* the interpreter was new; and the one before had been lost */
    bool gone;                   /* it has ended, its state is gone */
    uint32_t number;
    uint64_t printed[2], ms;
    struct cells_done done; /* of the interpreter's own words; name_len 0: none */
};

/* cell_result.c: what becomes of values. */
struct cell_result {
    int fd;    /* -1: stdout, as text */
    int error; /* of writing */
    unsigned count;
    uint64_t bytes;
};
void cell_result_begin(struct cell_result *r);
void cell_result_value(struct cell_result *r, char kind, const struct cells_value *v);
void cell_result_end(struct cell_result *r, const struct cell_end *end);

/* cell_confine.c: gives up all but the descriptors at hand. 0 or -errno, with what could not be given up. */
int cell_confine(const char **ret_what);

#endif
