/* server: the room's side of its control socket. */
#ifndef ROOMS_SERVER_H
#define ROOMS_SERVER_H

#include "rooms/frames.h"
#include <stddef.h>

#define ROOMS_CLIENTS_MAX 8 /* at once; others wait to be taken */

struct rooms_server {
    int epoll; /* readable when there is something to do; -1: closed */
    int listener;
    bool full; /* the listener is not watched */
    struct rooms_peer {
        int fd; /* -1: free */
        uint32_t life;
        bool waits; /* for the reply to its request */
    } peers[ROOMS_CLIENTS_MAX];
};

/* A request and who made it. It must be replied to, now or later, with rooms_reply(). */
typedef void rooms_handler(void *ctx, uint32_t client, const struct rooms_frame *request);

/* Makes ROOMS_CONTROL in the folder `dir`. 0 or -errno. */
int rooms_listen(struct rooms_server *s, int dir);

/* Does what there is to do; never waits. */
void rooms_serve(struct rooms_server *s, rooms_handler *handler, void *ctx);

/* Does nothing when the client has gone. */
void rooms_reply(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                 const char *text);

void rooms_close(struct rooms_server *s);

#endif
