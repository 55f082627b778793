/* cells: see cells.h.
 *
 * Lives in: the command that runs a cell, confined; tests and fuzzers. Trusts: no byte. Pure. */
#include "runtimes/cells.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

static void put_hex(char *at, uint32_t n)
{
    for (int i = 7; i >= 0; i--, n >>= 4)
        at[i] = digits[n & 15];
}

void cells_ask(char ret[CELLS_ASK_SIZE], char kind, uint32_t number, uint32_t size)
{
    static const char form[] = "__c NNNNNNNN SSSSSSSS\n";
    for (int i = 0; i < CELLS_ASK_SIZE; i++) /* without its NUL */
        ret[i] = form[i];
    ret[2] = kind;
    put_hex(ret + 4, number);
    put_hex(ret + 13, size);
}

static int get_hex(const char *at, uint32_t *ret)
{
    uint32_t n = 0;
    for (int i = 0; i < 8; i++) {
        const char *digit = at[i] ? strchr(digits, at[i]) : NULL;
        if (!digit)
            return -EBADMSG;
        n = n << 4 | (uint32_t)(digit - digits);
    }
    *ret = n;
    return 0;
}

int cells_head(const char text[CELLS_SAY_SIZE], struct cells_head *ret)
{
    struct cells_head h = {.kind = text[0]};
    uint32_t most;

    if (text[1] != ' ' || text[10] != ' ' || text[19] != '\n' || get_hex(text + 2, &h.number) < 0 ||
        get_hex(text + 11, &h.size) < 0)
        return -EBADMSG;
    switch (h.kind) {
    case 'G':
        most = 0;
        break;
    case 'V':
        most = CELLS_VALUE_MAX;
        break;
    case 'O':
    case 'D':
        most = CELLS_NOTE_MAX;
        break;
    default:
        return -EBADMSG;
    }
    if (h.size > most)
        return -EBADMSG;
    *ret = h;
    return 0;
}

/* A line of its own at the front: a media type, of few characters. */
static int get_type(const char *data, size_t n, char ret[CELLS_TYPE_MAX], size_t *ret_used)
{
    size_t i = 0;
    bool slash = false;

    for (; i < n && data[i] != '\n'; i++) {
        const char c = data[i];
        if (i == CELLS_TYPE_MAX - 1 ||
            !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("/+.-", c))))
            return -EBADMSG;
        slash = slash || c == '/';
        ret[i] = c;
    }
    if (i == n || !slash)
        return -EBADMSG;
    ret[i] = '\0';
    *ret_used = i + 1;
    return 0;
}

int cells_value(char kind, const char *data, size_t n, struct cells_value *ret)
{
    struct cells_value v = {.size = 0};
    size_t used;

    if (get_type(data, n, v.type, &used) < 0)
        return -EBADMSG;
    v.data = data + used;
    v.size = n - used;
    if (kind == 'O') {
        const size_t count = v.size;
        v.size = 0;
        if (count == 0 || count > 15)
            return -EBADMSG;
        for (size_t i = 0; i < count; i++) {
            if (v.data[i] < '0' || v.data[i] > '9')
                return -EBADMSG;
            v.size = v.size * 10 + (size_t)(v.data[i] - '0');
        }
    }
    *ret = v;
    return 0;
}

int cells_done(const char *data, size_t n, struct cells_done *ret)
{
    struct cells_done d = {.status = 0};

    if (n < 4 || data[3] != '\n')
        return -EBADMSG;
    for (int i = 0; i < 3; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -EBADMSG;
        d.status = d.status * 10 + (data[i] - '0');
    }
    if (d.status > 255)
        return -EBADMSG;
    d.name = data + 4;
    const char *end = n > 4 ? memchr(d.name, '\n', n - 4) : NULL;
    d.name_len = end ? (size_t)(end - d.name) : n - 4;
    d.text = end ? end + 1 : d.name + d.name_len;
    d.text_len = n - (size_t)(d.text - data);
    *ret = d;
    return 0;
}

bool cells_is_picture(const struct cells_value *v)
{
    static const struct {
        const char *type, *magic;
        size_t len;
    } rows[] = {{"image/png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16}, {"image/jpeg", "\xff\xd8\xff", 3}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(v->type, rows[i].type) == 0)
            return v->size > rows[i].len && memcmp(v->data, rows[i].magic, rows[i].len) == 0;
    }
    return false;
}

bool cells_is_text(const char *type)
{
    static const char *const types[] = {"text/", "application/json", "image/svg+xml"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strncmp(type, types[i], strlen(types[i])) == 0)
            return true;
    }
    return false;
}
