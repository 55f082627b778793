/* work: what the parts of strongroom-tar share: the order, what was done so far, what is told. */
#ifndef HELPERS_TAR_WORK_H
#define HELPERS_TAR_WORK_H

#include "tree/tar_frames.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

struct work {
    struct tar_order order;
    int in, out; /* stream or folder, as the order says */
    uint64_t files, bytes, left_out, entries;
    char why[512];
    int (*tell)(const char *line); /* NULL: nobody listens */
};

/* The end, with one line: -code. */
int work_fail(struct work *w, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Counts what stays behind, and tells the first of it. 0. */
int work_leave(struct work *w, const char *path, const char *why);
/* One more entry, so many more bytes: 0, or the end when that is too much. */
int work_count(struct work *w, uint64_t entries, uint64_t bytes);

/* A reader of tar streams (plain, gzip, bzip2, xz, zstd), not opened yet; NULL: no memory. */
struct archive *take_reader(void);
/* Every entry of an opened reader: beneath w->out, or with `to` into that stream. */
int take_all(struct work *w, struct archive *from, struct archive *to);

/* A writer of tar streams into a descriptor; `more`: that holds nothing back when an entry is finished. NULL: it
 * cannot be. */
struct archive *pack_writer(int fd, bool more);
int pack_all(struct work *w, struct archive *to);

int tar_confine(const struct work *w, const char **ret_what);

#endif
