/* head: the heads of HTTP/1 messages and the framing of their bodies (RFC 9112), strictly. Pure. */
#ifndef GATE_HEAD_H
#define GATE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_MAX   32768 /* one head with its empty line */
#define HEAD_LINES 256   /* fields in a head */
#define CHUNK_LINE 1024  /* a chunk's size with its extensions; a line of a trailer */

/* A piece of the bytes that were parsed. */
struct head_part {
    uint32_t at, len;
};

struct head {
    size_t size;
    uint8_t minor;                   /* HTTP/1.minor */
    uint16_t status;                 /* of a response */
    struct head_part method, target; /* of a request */
    struct head_part authority,
        path;              /* of the target; authority is empty in most requests; path has the query */
    struct head_part host; /* the Host field's value */
    bool has_host, has_authority;
    bool chunked, has_length;
    bool upgrade, h2c;       /* wants another protocol; that is HTTP/2 */
    bool expects, continues; /* has an Expect field; which is the 100-continue that HTTP knows */
    bool odd; /* has a field that makes some servers take another method or path than the first line's */
    uint64_t length;
};

/* 0: whole. -EAGAIN: more must come. -EPROTO: *ret_why says what is wrong. Not more than HEAD_MAX bytes are wanted. */
int head_request(const char *bytes, size_t size, struct head *ret, const char **ret_why);
int head_response(const char *bytes, size_t size, struct head *ret, const char **ret_why);

struct head_field {
    struct head_part line, name, value; /* line: with its end */
};

/* The fields of a head that was parsed, one by one; *at is 0 at first. False: no more. */
bool head_field(const char *bytes, const struct head *h, size_t *at, struct head_field *ret);
bool head_is(const char *bytes, struct head_part p, const char *word); /* without regard to case */

/* The line that begins a chunk: its length goes to *ret_size, the chunk's to *ret_length (0: the last one; a trailer
 * follows). `first`: otherwise the end of the chunk before stands in front. 0, -EAGAIN, -EPROTO. */
int head_chunk(const char *bytes, size_t size, bool first, size_t *ret_size, uint64_t *ret_length);

/* One line of a trailer; *ret_size is 2 for the last, empty one. 0, -EAGAIN, -EPROTO. */
int head_trailer(const char *bytes, size_t size, size_t *ret_size);

enum head_steers {
    HEAD_STEERS_NOT,
    HEAD_STEERS_MESSAGE, /* says where the message ends, whom it is for or what comes after it: no field of a trailer */
    HEAD_STEERS_ODD /* makes some servers take another method or path */
};

/* What the field of a trailer's line, as head_trailer() has read it, does to those who take it for one of the head. */
enum head_steers head_trailer_steers(const char *bytes, size_t size);

#endif
