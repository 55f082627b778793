/* index: the changes of one workspace as records in a file, written once, in the order of the walk.
 *
 *   header, then per change: struct index_row, path NUL, detail NUL, padding to 8 bytes
 *
 * It says what the layer changes and what the host had there when it was written (the fingerprint that a later apply
 * compares with). Reading takes nothing for granted: a record that does not fit ends it. */
#ifndef TREE_INDEX_H
#define TREE_INDEX_H

#include "tree/frames.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>

#define INDEX_MAGIC      0x31584449u /* "IDX1" */
#define INDEX_DETAIL_MAX 200

enum {
    ROW_CONTENT = 1 << 0,   /* modified: the bytes differ (or the link's target) */
    ROW_MODE = 1 << 1,      /* modified: the mode differs */
    ROW_LEFT_OUT = 1 << 2,  /* never made real: special files, what overlay's own markers refuse */
    ROW_CONFLICT = 1 << 3,  /* the host changed it while the room ran */
    ROW_BINARY = 1 << 4,    /* new or old bytes are no text */
    ROW_RETYPED = 1 << 5,   /* one of a pair: deleted as one type, added as another */
    ROW_SETID = 1 << 6,     /* the room's file had a set-user-ID or set-group-ID bit: cleared */
    ROW_WAS_BINARY = 1 << 7 /* the host's bytes are no text */
};

/* What a file of the host was. */
struct fingerprint {
    uint64_t dev, ino, size;
    int64_t mtime, ctime;
    uint32_t mtime_nsec, ctime_nsec;
    uint32_t mode, links;
};

struct index_row {
    uint32_t size; /* of the record, all of it */
    uint32_t path_len, detail_len;
    uint32_t flags;               /* ROW_* */
    uint8_t kind, file, old_file; /* enum tree_kind, enum tree_file (new, for DELETED old) */
    uint8_t alarm;                /* enum alarm */
    uint32_t new_mode;            /* permission bits; ADDED, MODIFIED */
    uint64_t new_size;
    uint64_t new_ino; /* in the layer: which rows are one file */
    uint32_t new_links, reserved;
    struct fingerprint old; /* DELETED, MODIFIED; ADDED: dev, ino of the host's folder around it (0: none) */
};

struct index_header {
    uint32_t magic, version;
    uint64_t bytes; /* of all records */
    struct tree_totals totals;
    uint32_t mass; /* enum alarm about the whole, 0 */
    uint32_t mass_detail_len;
    char mass_detail[INDEX_DETAIL_MAX];
};

/* Writing */
struct index_writer {
    int fd;
    char *buf;
    size_t used;
    struct index_header head;
};
int index_create(int entry, struct index_writer *ret);
/* Its totals count it, too. */
int index_add(struct index_writer *x, const struct index_row *row, const char *path, const char *detail);
/* Durable, under its name, and then closed. */
int index_finish(int entry, struct index_writer *x);
void index_drop(int entry, struct index_writer *x);

/* Reading: the file is mapped. */
struct index {
    const struct index_header *head;
    const char *map;
    size_t size;           /* of the map */
    uint64_t ino;          /* of the file: tells one list from another */
    struct timespec ctime; /* of it */
};
int index_open(int entry, struct index *ret);
void index_close(struct index *x);
/* Pure: checks the header of `size` bytes. */
int index_check(const void *bytes, size_t size);
/* The record at *at (0 at first); moves *at on. 1; 0: the end; -EBADMSG. The row is in the map. */
int index_next(const struct index *x, size_t *at, const struct index_row **ret, const char **ret_path,
               const char **ret_detail);

void fingerprint_take(const struct stat *s, struct fingerprint *ret);
/* `with_ctime`: false after an undo, which moves files and so stamps it. */
bool fingerprint_same(const struct fingerprint *f, const struct stat *s, bool with_ctime);
enum tree_file tree_file_of(mode_t mode);
/* Adds one row. Bytes count where there are others than before: not for a mode. */
void index_count(struct tree_totals *t, const struct index_row *row);

#endif
