/* loop: waits for descriptors, single-threaded. */
#ifndef MCP_LOOP_H
#define MCP_LOOP_H

#include <stdint.h>

#define LOOP_WATCHES 160 /* ROOMS_MAX twice, and a few of our own */

typedef void loop_fn(void *ctx, int fd);

struct loop {
    struct watch {
        int fd; /* -1: free */
        short events;
        loop_fn *fn;
        void *ctx;
    } watches[LOOP_WATCHES];
    int count; /* slots ever used */
};

/* 0, or -ENOSPC. The descriptor stays the caller's. */
int loop_watch(struct loop *l, int fd, short events, loop_fn *fn, void *ctx);
void loop_forget(struct loop *l, int fd, short events);

/* Waits at most `ms` (-1: as long as it takes) and calls what is ready. 0, or -errno. */
int loop_once(struct loop *l, int ms);

int64_t loop_now_ms(void); /* CLOCK_MONOTONIC */

#endif
