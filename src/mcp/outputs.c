/* outputs: keeps the last runs' output.
 *
 * Lives in: strongroom-mcp. Trusts: nothing of the bytes kept. May: hold memory files up to a bound.
 * Must not: keep a run whose id could be guessed. */
#include "mcp/outputs.h"
#include "sys/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

const char *const output_names[OUTPUT_STREAMS] = {"stdout", "stderr"};

int outputs_new_id(char ret[RUN_ID_MAX])
{
    uint64_t bits[2];

    if (getrandom(bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        return -EIO;
    (void)snprintf(ret, RUN_ID_MAX, "run-%016llx%016llx", (unsigned long long)bits[0],
                   (unsigned long long)bits[1]);
    return 0;
}

static void drop(struct output_run *run)
{
    for (size_t i = 0; i < OUTPUT_STREAMS; i++)
        fd_close(&run->fd[i]);
    json_decref(run->denials);
}

static int64_t bytes_of(const struct output_run *run)
{
    return run->size[OUTPUT_STDOUT] + run->size[OUTPUT_STDERR];
}

void outputs_keep(struct outputs *o, const struct output_run *run)
{
    int64_t sum = bytes_of(run);
    size_t keep = 0;

    while (keep < o->count && keep < OUTPUTS_RUNS - 1) {
        const int64_t more = bytes_of(&o->runs[o->count - 1 - keep]);
        if (sum + more > OUTPUTS_BYTES)
            break;
        sum += more;
        keep++;
    }
    const size_t gone = o->count - keep;
    for (size_t i = 0; i < gone; i++)
        drop(&o->runs[i]);
    memmove(o->runs, o->runs + gone, keep * sizeof *o->runs);
    o->runs[keep] = *run;
    o->count = keep + 1;
}

const struct output_run *outputs_find(const struct outputs *o, const char *id, size_t len)
{
    for (size_t i = 0; i < o->count; i++) {
        if (strlen(o->runs[i].id) == len && memcmp(o->runs[i].id, id, len) == 0)
            return &o->runs[i];
    }
    return NULL;
}

void outputs_free(struct outputs *o)
{
    for (size_t i = 0; i < o->count; i++)
        drop(&o->runs[i]);
    o->count = 0;
}
