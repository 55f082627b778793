/* tar_frames: what strongroom and strongroom-tar say to each other over the control socket, descriptor 3.
 *
 * SOCK_SEQPACKET, one order, then 0..n TEXT (what was left out, one line each, escaped) and one DONE; each direction
 * has one fixed size, and bytes that a frame does not use are zero. The order brings its descriptors along, in the
 * order of its row. */
#ifndef TREE_TAR_FRAMES_H
#define TREE_TAR_FRAMES_H

#include <stdint.h>

#define TAR_CONTROL_FD     3
#define TAR_FRAMES_VERSION 1
#define TAR_NAME_MAX       256
#define TAR_TEXT_MAX       2048
#define TAR_END_BYTES      1024     /* of zeroes, behind what PACK wrote with MORE */
#define TAR_ENTRIES_MAX    1000000u /* of one stream, whoever asks for it */

enum tar_what {
    TAR_EXTRACT = 1, /* stream, folder: what the stream holds goes beneath the folder */
    TAR_PACK, /* stream, folder: the folder's content (or `only` that one name in it) goes into the stream */
    TAR_FILTER, /* stream, stream: from the first into the second, without what would not be extracted */
    TAR_WHAT_COUNT,
};

enum {
    TAR_STRICT = 1 << 0, /* PACK, from a room: without links that lead out */
    TAR_MEMBER = 1 << 1, /* EXTRACT: the first part of each name becomes `name`; else names are as they are */
    TAR_FILE = 1 << 2,   /* EXTRACT: only one file, `name` */
    TAR_MORE = 1 << 3,   /* PACK: the stream goes on behind it; its end is somebody else's */
    TAR_BELOW = 1 << 4,  /* PACK: `name` is a path of the stream, whose folder it has already */
};

struct tar_order {
    uint32_t what, version; /* enum tar_what, TAR_FRAMES_VERSION */
    uint32_t flags, reserved;
    uint64_t entries_max, bytes_max; /* more ends it */
    char name[TAR_NAME_MAX]; /* EXTRACT, PACK: what the top is called there; PACK: "" for mere content */
    char only[TAR_NAME_MAX]; /* PACK: "" for all */
};

enum tar_report_type { TAR_TEXT = 1, TAR_DONE };

struct tar_report {
    uint32_t type, version;
    int32_t code; /* DONE: errno, or 0 */
    uint32_t reserved;
    uint64_t files, bytes, left_out;
    char text[TAR_TEXT_MAX]; /* DONE with a code: one line */
};

#endif
