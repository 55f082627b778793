/* server: what one `strongroom mcp` has: the user's words, the ceiling that they set, the calls that wait and run. */
#ifndef MCP_SERVER_H
#define MCP_SERVER_H

#include "mcp/loop.h"
#include "mcp/outputs.h"
#include "mcp/rpc.h"
#include "mcp/tools.h"

#define ROOMS_MAX   64         /* --rooms, at most */
#define LIVE_MAX    16         /* rooms that live on, of one server */
#define CHANGES_MAX 256        /* changes to workspaces that one server knows */
#define HANDLE_MAX  40         /* "sbx-" and 32 digits, NUL */
#define QUEUE_MAX   4096       /* calls that wait for a room */
#define QUEUE_BYTES (64 << 20) /* what they hold in all */

/* What the user's command line allows; a tool's argument is never above it. */
struct ceiling {
    int64_t timeout_s;   /* 0: no limit */
    int64_t memory_mb;   /* 0: no limit */
    int64_t lifetime_s;  /* of a room that lives on; 0: no limit */
    int64_t output;      /* bytes that one run prints; 0: no limit */
    bool prefers_memory; /* a weaker bound of memory will do, where the kernel has none */
    bool network;        /* rooms reach something */
    bool writes;         /* rooms write something of the host */
    bool may_apply;      /* the agent may apply changes */
};

struct job;

struct server {
    const char *program; /* strongroom itself */
    char **words;        /* options of run, NULL at the end */
    struct ceiling ceiling;
    size_t rooms_max, running, waiting, waiting_bytes;
    struct job *jobs, *last; /* oldest first: those that run, and those that wait */
    int launcher;            /* where jobs are started */
    uint32_t last_id;        /* given to one */
    struct outputs outputs;
    struct live {
        char id[HANDLE_MAX]; /* empty: none */
        int64_t ends_ms;     /* by then its lifetime is over; 0: it is only being made, or has none */
    } live[LIVE_MAX];        /* rooms that this server made */
    char changes[CHANGES_MAX][HANDLE_MAX]; /* of workspaces, by runs of this server */
    size_t change_count;                   /* ever; the oldest are overwritten */
    struct loop loop;
    struct rpc_host host;
    struct rpc *rpc;
    size_t unsent; /* bytes of answers that the client has not taken yet */
    bool closing;
};

#define UNSENT_HIGH (16 << 20) /* no new room and no new message while more waits to be sent */

#endif
