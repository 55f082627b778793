/* walk: a cursor over one tree, or over a layer and the tree below it at once, in the order of names.
 *
 * Theory of operation. One stack of levels; a level has a descriptor for each side that has the folder, and the
 * sorted names that are still to come, in one arena that grows and shrinks with the stack. Only the innermost
 * levels keep their descriptors open; on the way up the others are opened again through "..", and what is found
 * there must be the folder that was left, by device and inode. Depth costs some 80 bytes and the name, breadth the
 * names of one folder. */
#ifndef TREE_WALK_H
#define TREE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define WALK_NAMES_MAX  ((size_t)512 << 20) /* bytes of names that are held at once */
#define WALK_PATH_MAX   ((size_t)64 << 20)  /* bytes of one path */
#define WALK_PATH_KEPT  4096                /* bytes; what a layer nests deeper is left out, as one */
#define WALK_LEVELS_MAX ((size_t)1 << 20)
#define WALK_FDS_KEPT   32

enum walk_side { WALK_UPPER, WALK_LOWER, WALK_SIDES };
enum walk_event { WALK_END, WALK_ENTRY, WALK_LEAVE };

struct walk_level;

struct walk {
    struct walk_level *levels;
    size_t depth; /* levels in use */
    char *names;
    size_t names_used;
    char *path;
    size_t path_len;
    bool ours[WALK_SIDES]; /* a tree of our own: modes do not stop us; to be set after walk_open() */
    /* The entry at hand, for WALK_ENTRY and WALK_LEAVE */
    const char *name;    /* in its folder */
    int dir[WALK_SIDES]; /* its folder, -1: that side has none */
    bool has[WALK_SIDES];
    struct stat stat[WALK_SIDES]; /* WALK_ENTRY only */
    uint64_t mark;                /* WALK_LEAVE: what walk_enter was told */
};

/* The roots stay the caller's; -1: none on that side. `list` says whose names are listed: bit 0 the upper's, bit 1
 * the lower's. */
int walk_open(struct walk *w, int upper, int lower, unsigned list);
void walk_close(struct walk *w);

/* enum walk_event, or -errno: the tree changed in a way that leaves no way up (-ESTALE), or a bound was reached. */
int walk_next(struct walk *w);

/* What walk_enter was told for the folder that the entry at hand is in. */
uint64_t walk_mark(const struct walk *w);
/* That folder itself, on one side; false: it has none. */
bool walk_folder(const struct walk *w, enum walk_side side, uint64_t *ret_dev, uint64_t *ret_ino);

/* Goes into the folder at hand, with the sides of `sides` (bits as above) and listing those of `list`. `mark` comes
 * back with its WALK_LEAVE. -errno: nothing was entered; -EXDEV: a mount point; -ESTALE: not the folder that was
 * seen. */
int walk_enter(struct walk *w, unsigned sides, unsigned list, uint64_t mark);

#endif
