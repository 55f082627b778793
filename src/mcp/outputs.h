/* outputs: what runs printed, kept in memory files so that it can be read on. The oldest goes first. */
#ifndef MCP_OUTPUTS_H
#define MCP_OUTPUTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUTS_RUNS  32           /* runs whose output is kept */
#define OUTPUTS_BYTES (64ll << 20) /* and bytes of all of them together */
#define OUTPUTS_LIFE  "the last 32 runs, 64 MiB in all"
#define RUN_ID_MAX    40 /* "run-" and 32 digits, NUL */

enum output_stream { OUTPUT_STDOUT, OUTPUT_STDERR, OUTPUT_STREAMS };
extern const char *const output_names[OUTPUT_STREAMS];

struct output_run {
    char id[RUN_ID_MAX];
    int fd[OUTPUT_STREAMS]; /* memory files */
    int64_t size[OUTPUT_STREAMS];
    json_t *denials; /* what the room refused, for explain_denial */
};

struct outputs {
    struct output_run runs[OUTPUTS_RUNS]; /* oldest first */
    size_t count;
};

/* "run-" and 128 random bits. 0 or -errno. */
int outputs_new_id(char ret[RUN_ID_MAX]);

/* Takes the descriptors and the denials over. */
void outputs_keep(struct outputs *o, const struct output_run *run);

const struct output_run *outputs_find(const struct outputs *o, const char *id, size_t len); /* NULL */
void outputs_free(struct outputs *o);

#endif
