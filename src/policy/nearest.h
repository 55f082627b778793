/* nearest: finds the word that somebody probably meant. */
#ifndef POLICY_NEAREST_H
#define POLICY_NEAREST_H

#include <stddef.h>

#define NEAREST_WORD_MAX 32 /* longer words are never near anything */

struct nearest {
    const char *given;
    const char *best; /* NULL until something is near */
    size_t distance;
};

/* Offers one candidate; keeps it when it is nearer than what was there and near enough to be a slip of the finger. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
