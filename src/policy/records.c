/* records: reads the answer of the policy reader.
 *
 * Lives in: strongroom. Trusts: nothing of the answer. May: hand words to policy_set(). Must not: read past the end,
 * take a cut answer for a whole one. */
#include "policy/records.h"
#include "policy/inner.h"
#include <errno.h>
#include <string.h>

/* Takes bytes up to a NUL; NULL when there is none. */
static const char *take_text(struct records *r)
{
    const char *start = r->at;
    const char *nul = memchr(start, '\0', (size_t)(r->end - start));

    if (!nul)
        return NULL;
    r->at = nul + 1;
    return start;
}

int records_next(struct records *r, struct record *ret)
{
    if (r->end - r->at < 4 || r->count++ == RECORDS_MAX)
        return -EBADMSG;
    const unsigned char *n = (const unsigned char *)r->at;
    unsigned line = (unsigned)n[0] << 24 | (unsigned)n[1] << 16 | (unsigned)n[2] << 8 | n[3];
    r->at += 4;
    const char *key = take_text(r);
    const char *value = key ? take_text(r) : NULL;
    if (!value || key[0] == '\0' || line > RECORDS_INPUT_MAX)
        return -EBADMSG;
    if (strcmp(key, RECORDS_COMPLETE) == 0)
        return r->at == r->end && value[0] == '\0' ? 0 : -EBADMSG;
    *ret = (struct record){.line = line, .key = key, .value = value};
    return 1;
}

static int broken(const char *where, struct err *e)
{
    err_set(e, ERR_INTERNAL, 0, "%s: strongroom-policy gave a broken answer", where);
    return err_hint(e, "strongroom and strongroom-policy must be of one version");
}

/* What the file says wrong, in the reader's words. */
static int said_wrong(const char *where, const struct record *rec, struct err *e)
{
    if (rec->line)
        return err_set(e, ERR_POLICY, 0, "%s:%u: %s", where, rec->line, rec->value);
    return err_set(e, ERR_POLICY, 0, "%s: %s", where, rec->value);
}

int records_apply(struct policy *p, enum policy_source source, const char *where, const char *answer,
                  size_t len, void (*note)(void *, const char *text), void *ctx, struct err *e)
{
    struct records r = {.at = answer, .end = answer + len};
    const struct note_sink sink = {.note = note, .ctx = ctx};
    struct record rec;
    int more;

    while ((more = records_next(&r, &rec)) > 0) {
        if (strcmp(rec.key, RECORDS_ERROR) == 0)
            return said_wrong(where, &rec, e);
        if (strcmp(rec.key, RECORDS_NOTE) == 0) {
            if (rec.line)
                note_fmt(&sink, "%s:%u: %s", where, rec.line, rec.value);
            else
                note_fmt(&sink, "%s: %s", where, rec.value);
            continue;
        }
        if (strcmp(rec.key, RECORDS_EXTENDS) == 0)
            continue;
        int err = policy_set(p, source, where, rec.line, rec.key, rec.value, e);
        if (err < 0)
            return err;
    }
    return more < 0 ? broken(where, e) : 0;
}

int records_extends(const char *where, const char *answer, size_t len, const char **ret_value,
                    unsigned *ret_line, struct err *e)
{
    struct records r = {.at = answer, .end = answer + len};
    const char *value = NULL;
    unsigned line = 0;
    struct record rec;
    int more;

    while ((more = records_next(&r, &rec)) > 0) {
        if (strcmp(rec.key, RECORDS_ERROR) == 0)
            return said_wrong(where, &rec, e);
        if (strcmp(rec.key, RECORDS_EXTENDS) != 0)
            continue;
        if (value)
            return err_set(e, ERR_POLICY, 0, "%s:%u: extends: given twice; first on line %u", where, rec.line,
                           line);
        value = rec.value;
        line = rec.line;
    }
    if (more < 0)
        return broken(where, e);
    *ret_value = value;
    *ret_line = line;
    return 0;
}
