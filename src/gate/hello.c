/* hello: the first message of TLS, read for the name in it.
 *
 * Theory of operation. The message may be cut into records at any byte, so it is first put together in a buffer of its
 * own; lengths inside must then fit exactly, each extension may stand once, and a list of names has one name. What any
 * stack would refuse is refused here, so that no server reads another name than we did.
 *
 * Lives in: strongroom-gate. Trusts: nothing. May: compute. Must not: allocate, keep anything. */
#include "gate/hello.h"

#include <errno.h>
#include <string.h>

enum { RECORD_CIPHER = 20, RECORD_HANDSHAKE = 22, RECORD_DATA = 23, RECORD_HEAD = 5, RECORD_MAX = 16384 };
enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, MESSAGE_HEAD = 4, RANDOM_SIZE = 32 };
enum { EXT_NAME = 0, EXT_HIDDEN = 0xfe0d, EXT_HIDDEN_FIRST = 0xfe02, EXTS_MAX = 128 };

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static unsigned take(struct reader *r, size_t bytes)
{
    unsigned v = 0;

    if ((size_t)(r->end - r->at) < bytes) {
        r->bad = true;
        r->at = r->end;
        return 0;
    }
    while (bytes-- > 0)
        v = v << 8 | *r->at++;
    return v;
}

/* A vector whose length stands before it in `bytes` bytes. */
static struct reader take_vector(struct reader *r, size_t bytes, size_t least, size_t most)
{
    size_t len = take(r, bytes);

    if (r->bad || len < least || len > most || len > (size_t)(r->end - r->at)) {
        r->bad = true;
        return (struct reader){.at = r->end, .end = r->end, .bad = true};
    }
    struct reader v = {.at = r->at, .end = r->at + len};
    r->at += len;
    return v;
}

/* --- records --- */

static int record_size(const uint8_t *b, size_t size, uint8_t type)
{
    static const uint8_t major = 3;

    if (size > 0 && b[0] != type)
        return -EPROTO;
    if (size > 1 && b[1] != major)
        return -EPROTO;
    if (size > 2 && b[2] > 4)
        return -EPROTO;
    if (size < RECORD_HEAD)
        return -EAGAIN;
    int len = b[3] << 8 | b[4];
    return len == 0 || len > RECORD_MAX + 256 ? -EPROTO : len;
}

/* Puts the message together. Its length, or -errno; *ret_raw: the bytes that it took. */
static int gather(const uint8_t *bytes, size_t size, uint8_t message[HELLO_MAX], size_t *ret_raw)
{
    size_t got = 0, at = 0, want = MESSAGE_HEAD;

    while (got < want) {
        int len = record_size(bytes + at, size - at, RECORD_HANDSHAKE);
        if (len < 0)
            return len == -EAGAIN && at + RECORD_HEAD > HELLO_MAX ? -EMSGSIZE : len;
        at += RECORD_HEAD;
        if (got + (size_t)len > HELLO_MAX)
            return -EMSGSIZE;
        size_t here = size - at < (size_t)len ? size - at : (size_t)len;
        memcpy(message + got, bytes + at, here);
        got += here;
        at += here;
        if (got > 0 && message[0] != CLIENT_HELLO)
            return -EPROTO;
        if (got >= MESSAGE_HEAD)
            want = MESSAGE_HEAD + ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
        if (want > HELLO_MAX)
            return -EMSGSIZE;
        if (here < (size_t)len)
            return -EAGAIN;
    }
    if (got > want)
        return -EPROTO; /* nothing may follow a hello in its record */
    *ret_raw = at;
    return (int)got;
}

/* --- the message --- */

static bool read_name(struct reader ext, struct hello *h)
{
    struct reader list = take_vector(&ext, 2, 1, 65535);

    if (take(&list, 1) != 0) /* the only kind of name there is */
        return false;
    struct reader name = take_vector(&list, 2, 1, 255);
    if (list.bad || name.bad || list.at != list.end || ext.at != ext.end)
        return false;
    h->named = true;
    return egress_name_clean((const char *)name.at, (size_t)(name.end - name.at), h->name) == 0;
}

static bool read_extensions(struct reader exts, struct hello *h)
{
    uint16_t seen[EXTS_MAX];
    size_t count = 0;

    while (exts.at < exts.end) {
        uint16_t type = (uint16_t)take(&exts, 2);
        struct reader ext = take_vector(&exts, 2, 0, 65535);
        if (exts.bad || count == EXTS_MAX)
            return false;
        for (size_t i = 0; i < count; i++) {
            if (seen[i] == type)
                return false;
        }
        seen[count++] = type;
        if (type == EXT_NAME && !read_name(ext, h))
            return false;
        if (type == EXT_HIDDEN || (type >= EXT_HIDDEN_FIRST && type < EXT_HIDDEN))
            h->hidden = true;
    }
    return true;
}

int hello_parse(const uint8_t *bytes, size_t size, struct hello *ret)
{
    static uint8_t message[HELLO_MAX];
    struct hello h = {.named = false};
    int len = gather(bytes, size, message, &h.size);

    if (len < 0)
        return len == -EAGAIN && size >= HELLO_MAX ? -EMSGSIZE : len;
    struct reader r = {.at = message + MESSAGE_HEAD, .end = message + len};
    unsigned version = take(&r, 2);
    if (r.bad || version < 0x0300 || version > 0x0304)
        return -EPROTO;
    (void)take(&r, RANDOM_SIZE); /* only the position matters */
    (void)take_vector(&r, 1, 0, 32);
    struct reader suites = take_vector(&r, 2, 2, 65534);
    (void)take_vector(&r, 1, 1, 255);
    if (r.bad || (suites.end - suites.at) % 2 != 0)
        return -EPROTO;
    if (r.at < r.end) {
        struct reader exts = take_vector(&r, 2, 0, 65535);
        if (r.bad || r.at != r.end || !read_extensions(exts, &h))
            return -EPROTO;
    }
    *ret = h;
    return 0;
}

int hello_asks_again(const uint8_t *bytes, size_t size)
{
    static const uint8_t again[RANDOM_SIZE] = {
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
        0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    const size_t before = RECORD_HEAD + MESSAGE_HEAD + 2;

    if (size > 0 && bytes[0] != RECORD_HANDSHAKE)
        return 0;
    if (size > RECORD_HEAD && bytes[RECORD_HEAD] != SERVER_HELLO)
        return 0;
    if (size < before + RANDOM_SIZE)
        return -EAGAIN;
    if ((bytes[3] << 8 | bytes[4]) < MESSAGE_HEAD + 2 + RANDOM_SIZE)
        return 1; /* cut into tiny records, as no server does: look closely at what the client says next */
    return memcmp(bytes + before, again, RANDOM_SIZE) == 0;
}

int hello_skip(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return -EAGAIN;
    if (bytes[0] == RECORD_HANDSHAKE)
        return 0;
    if (bytes[0] != RECORD_CIPHER && bytes[0] != RECORD_DATA)
        return -EPROTO;
    int len = record_size(bytes, size, bytes[0]);
    return len < 0 ? len : len + RECORD_HEAD;
}
