/* arena: the memory of one policy. Grows by blocks, is freed as a whole.
 *
 * Lives in: any process. Trusts: its callers. May: malloc, up to POLICY_ARENA_MAX. Must not: free one piece. */
#include "policy/inner.h"
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

void *arena_alloc(struct policy *p, size_t size)
{
    struct policy_arena *a = p->arena;
    const size_t align = alignof(max_align_t);

    if (size > POLICY_ARENA_MAX)
        return NULL;
    size = (size + align - 1) / align * align;
    if (size > a->left) {
        size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        if (a->used + room > POLICY_ARENA_MAX)
            return NULL;
        /* the header is as wide as the strictest alignment, so that bytes start aligned */
        struct arena_block *b = malloc(align + room);
        if (!b)
            return NULL;
        b->next = a->blocks;
        a->blocks = b;
        a->at = (char *)b + align;
        a->left = room;
        a->used += room;
    }
    void *ret = a->at;
    a->at += size;
    a->left -= size;
    return ret;
}

const char *arena_text(struct policy *p, const char *s, size_t len)
{
    char *copy = arena_alloc(p, len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

int arena_grow(struct policy *p, void **array, size_t *room, size_t count, size_t element)
{
    if (count < *room)
        return 0;
    size_t more = *room ? *room * 2 : 8;
    void *bigger = arena_alloc(p, more * element);
    if (!bigger)
        return -ENOMEM;
    if (count)
        memcpy(bigger, *array, count * element);
    *array = bigger;
    *room = more;
    return 0;
}

int(arena_full)(const struct policy *p, struct err *e)
{
    err_set(e, source_err_kind(p->arena->now.source), ENOMEM,
            "policy: more than %d MiB of text, or no memory", POLICY_ARENA_MAX >> 20);
    return -ENOMEM;
}
