/* place: where rooms that have a name can be found while they live.
 *
 *   HOME/rooms/NAME/         0700
 *   HOME/rooms/NAME/control  0600, SOCK_SEQPACKET (frames.h)
 *   HOME/rooms/NAME/identity one line: pid of the supervisor, its start time (field 22 of /proc/PID/stat), an id of the
 *                            room's own; locked as long as the room lives
 *
 * HOME is /run/strongroom for root, else $XDG_RUNTIME_DIR/strongroom, else /run/user/UID/strongroom, else
 * /tmp/strongroom-UID: the first that can be made and is the caller's alone. The lock is what tells a living room from
 * what a killed one left; numbers of processes may mean another one by now, or nothing in another pid namespace. */
#ifndef ROOMS_PLACE_H
#define ROOMS_PLACE_H

#include "base/err.h"
#include "policy/policy.h"
#include <stddef.h>
#include <sys/types.h>

#define ROOMS_CONTROL  "control"
#define ROOMS_IDENTITY "identity"
#define ROOMS_ID_MAX   33 /* 32 hexadecimal digits and the NUL */

struct rooms_place {
    int rooms; /* HOME/rooms, -1: nothing is held */
    int dir;   /* HOME/rooms/NAME */
    int lock;  /* the identity file */
    char name[POLICY_NAME_MAX];
    char id[ROOMS_ID_MAX];
};

/* Takes the name. Sweeps away what dead rooms left. -EEXIST with e: a room of that name lives. */
int rooms_claim(const char *name, struct rooms_place *ret, struct err *e);

/* Removes what rooms_claim() made; nothing when nothing is held. */
void rooms_release(struct rooms_place *p);

/* The names of living rooms, in order, at most `max`; what dead ones left is swept away. How many there are, or -errno
 * (none is no error). *ret_swept: how many dead ones; may be NULL. */
#define ROOMS_LIST_MAX 4096
int rooms_list(char (*names)[POLICY_NAME_MAX], size_t max, unsigned *ret_swept);

/* The folder of a living room: a descriptor, or -ENOENT with e. */
int rooms_find(const char *name, struct err *e);

/* The supervisor of a living room, by its identity alone: a pidfd, or -errno with e. For a room whose socket speaks
 * another version's frames. */
int rooms_supervisor(const char *name, struct err *e);

#endif
