/* server: the room's side of its control socket. */
#ifndef ROOMS_SERVER_H
#define ROOMS_SERVER_H

#include "rooms/frames.h"
#include <stddef.h>

#define ROOMS_CLIENTS_MAX 80 /* at once; others wait to be taken */

struct rooms_server {
    int epoll; /* readable when there is something to do; -1: closed */
    int listener;
    int spare; /* kept for the look at who connects */
    bool full; /* the listener is not watched */
    struct rooms_peer {
        int fd; /* -1: free */
        uint32_t life;
        bool waits; /* for the reply to its request */
    } peers[ROOMS_CLIENTS_MAX];
};

/* A request and who made it. It must be replied to, now or later, with rooms_reply(). The `n` descriptors that came
 * along are the server's, which closes them afterwards; one that is kept is set to -1. */
typedef void rooms_handler(void *ctx, uint32_t client, const struct rooms_frame *request, int *fds, int n);
/* A client is no longer there; what was begun for it alone may end. Its number is not given to another one. */
typedef void rooms_farewell(void *ctx, uint32_t client);

/* Makes ROOMS_CONTROL in the folder `dir`. 0 or -errno. */
int rooms_listen(struct rooms_server *s, int dir);

/* Does what there is to do; never waits. */
void rooms_serve(struct rooms_server *s, rooms_handler *handler, rooms_farewell *farewell, void *ctx);

/* Does nothing when the client has gone. */
void rooms_reply(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                 const char *text);
/* With descriptors, which are not closed here. */
void rooms_reply_fds(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                     const char *text, const int *fds, size_t n);
/* The same, when another one follows: the request is still open. */
void rooms_reply_first(struct rooms_server *s, uint32_t client, enum rooms_frame_type type, int value,
                       const char *text, const int *fds, size_t n);

void rooms_close(struct rooms_server *s);

#endif
