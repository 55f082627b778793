/* job: one strongroom process that works for one call: queued, started, watched, ended. */
#ifndef MCP_JOB_H
#define MCP_JOB_H

#include "mcp/server.h"

#include <sys/types.h>

#define JOB_WORDS_MAX 512 /* of one command line, the user's included */

enum job_file { JOB_IN, JOB_OUT, JOB_ERR, JOB_RESULT, JOB_REPLY, JOB_FILES };

/* Called once, when the process has ended; answers the call. */
typedef void job_done(struct job *j);

struct job {
    struct server *server;
    struct rpc_call *call; /* NULL: cancelled, nobody waits for an answer */
    json_t *args;          /* of the tool */
    job_done *done;
    bool room;   /* counts as a room; the others are short and have places of their own */
    char **argv; /* NULL at the end; strings and all are freed with the job */
    char *input; /* its stdin */
    size_t input_len;
    int file[JOB_FILES]; /* memory files; -1 before the start and when taken over */
    uint32_t id;         /* what the launcher knows it by; 0: it waits */
    int wait_status;
    int64_t asked_ms, started_ms, told_ms, killed_ms; /* 0: not yet */
    struct job *next;
};

/* A command line that grows; what does not fit or finds no memory shows in `bad`. */
struct command {
    char *word[JOB_WORDS_MAX + 1];
    size_t count;
    bool bad;
};
void words_add(struct command *w, const char *word);
void words_fmt(struct command *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void words_free(struct command *w);

/* Jobs are started by whoever listens at that socket (launch.h). 0 or -errno. */
int jobs_begin(struct server *s, int launcher);

/* Queues a job and starts what can be started. Takes the words over. `input` may be NULL. Answers the call itself when
 * that is not possible. */
void job_add(struct server *s, struct rpc_call *c, const json_t *args, bool room, struct command *w,
             const char *input, size_t input_len, job_done *done);

/* The call is gone: the process is ended, and what it says is dropped. */
void job_cancel(struct job *j);

/* Starts what may be started; reports progress; ends by force what did not end when asked to. Returns the milliseconds
 * until it should be called again, -1 for never. */
int jobs_look(struct server *s);

/* No process outlives this. */
void jobs_kill_all(struct server *s);

/* Size of one of its memory files. */
int64_t job_size(const struct job *j, enum job_file f);

#endif
