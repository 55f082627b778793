/* layer: overlay's own encoding in an upper directory, as the kernel writes it with `userxattr`. */
#ifndef TREE_LAYER_H
#define TREE_LAYER_H

#include <stdbool.h>
#include <sys/stat.h>

bool layer_whiteout(const struct stat *s);    /* a character device 0:0: "deleted" */
bool layer_opaque(int dir, const char *name); /* a folder that hides the one below it */
int layer_mark_opaque(int dir, const char *name);
/* Marks that a room's kernel never makes here: the file's bytes or the folder's content would be somewhere else. */
bool layer_redirected(int fd);

#endif
