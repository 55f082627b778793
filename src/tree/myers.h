/* myers: which elements of two sequences differ, by Myers' algorithm in linear space (E. Myers, "An O(ND) Difference
 * Algorithm and Its Variations", 1986), with a bound on its work. Pure. */
#ifndef TREE_MYERS_H
#define TREE_MYERS_H

#include <stddef.h>
#include <stdint.h>

#define MYERS_COST_MAX                                                                                       \
    1024 /* differences within one box that are searched for; beyond, a good way, not the best */

/* Marks what is only in a (`gone`, n bytes) and only in b (`come`, m bytes); both come in zeroed. `room` is scratch
 * for myers_room(n, m) bytes. */
size_t myers_room(size_t n, size_t m);
void myers(const uint32_t *a, size_t n, const uint32_t *b, size_t m, uint8_t *gone, uint8_t *come,
           void *room);

#endif
