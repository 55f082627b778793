/* out: writes records into memory.
 *
 * Lives in: strongroom-policy. Trusts: nothing of the texts. May: write into the buffer it was given. Must not: cut a
 * record short. */
#include "helpers/policy/out.h"
#include "policy/records.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool put(struct out *o, unsigned line, const char *key, const char *value)
{
    size_t k = strlen(key) + 1, v = strlen(value) + 1;

    if (o->size - o->len < 4 + k + v)
        return false;
    char *at = o->bytes + o->len;
    at[0] = (char)(line >> 24);
    at[1] = (char)(line >> 16);
    at[2] = (char)(line >> 8);
    at[3] = (char)line;
    memcpy(at + 4, key, k);
    memcpy(at + 4 + k, value, v);
    o->len += 4 + k + v;
    return true;
}

void out_record(struct out *o, unsigned line, const char *key, const char *value)
{
    if (o->ended)
        return;
    if (++o->count >= RECORDS_MAX || !put(o, line, key, value))
        out_error(o, line, "too much for one policy");
}

void out_note(struct out *o, unsigned line, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    /* A long text is cut. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() stands above */
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    out_record(o, line, RECORDS_NOTE, text);
}

void out_error(struct out *o, unsigned line, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    if (o->ended)
        return;
    va_start(ap, fmt);
    /* A long text is cut. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() stands above */
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    o->len = 0;
    o->ended = o->failed = true;
    (void)put(o, line, RECORDS_ERROR, text); /* fits: the buffer is larger than this */
}

void out_complete(struct out *o)
{
    if (o->ended)
        return;
    if (!put(o, 0, RECORDS_COMPLETE, ""))
        out_error(o, 0, "too much for one policy");
    o->ended = true;
}
