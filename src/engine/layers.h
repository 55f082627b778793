/* layers: changes saved under a name, to begin further rooms with. */
#ifndef ENGINE_LAYERS_H
#define ENGINE_LAYERS_H

#include "engine/changes.h"

#define LAYER_NAME_MAX 65 /* with the NUL */

/* Letters, digits, dots, dashes and underscores; begins with a letter or digit. */
bool layers_name_is_good(const char *name);

/* The folder of layers, made when it is not there. A descriptor, or -errno with e filled. */
int layers_open(struct err *e);

/* A copy of these changes (opened for reading) under the name, which must be free. -errno with e filled. */
int layers_save(struct changes *c, const char *name, struct err *e);
int layers_forget(const char *name, struct err *e);

/* Fills a new entry's upper layer with a saved one. `lower` is the workspace. *ret_since gets the time from which on a
 * change of the host's is a conflict. */
int layers_begin_with(const char *name, int lower, int entry, uint64_t *ret_since_ns, struct err *e);

#endif
