/* bait: what `selftest` plants on the host, and a room must not reach. */
#ifndef ENGINE_BAIT_H
#define ENGINE_BAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bait {
    char token[48]; /* random; in the environment, in each file, and the name of the abstract socket */
    uint16_t port;  /* of a TCP listener on loopback, 0 */
    int listener, abstract;
    int shm; /* -1 */
    char files[3][280];
    size_t file_count;
};

/* What dies with this process: an environment variable, descriptors without close-on-exec, two sockets. With
 * `lasting` also files in $HOME, /tmp and /dev/shm and a shared memory segment, which bait_remove() takes
 * away (as does a signal that ends us). What cannot be planted is left out. */
void bait_plant(struct bait *b, bool lasting);
void bait_remove(struct bait *b);

#endif
