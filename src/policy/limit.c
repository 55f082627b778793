/* limit: the values of the bounds.
 *
 * Lives in: any process. Trusts: nothing of a value. May: parse. Must not: know how a bound is enforced. */
#include "policy/limit.h"
#include "base/num.h"
#include "policy/inner.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

const struct limit_row limit_rows[LIMIT_ID_COUNT] = {
#define X(id, name, unit, preset, min, max, demand) {name, unit, preset, min, max, LAYER_##demand},
    LIMIT_TABLE(X)
#undef X
};

static const char *unit_form(enum limit_unit unit)
{
    switch (unit) {
    case LIMIT_BYTES:
        return "a size: 64k, 512M, 1.5G, or unlimited";
    case LIMIT_MILLI:
        return "a number with at most three decimals: 0.5 or 2, or unlimited";
    case LIMIT_MS:
        return "a time: 250ms, 10s, 1.5m, 2h, or unlimited (without a unit: seconds)";
    case LIMIT_COUNT:
        break;
    }
    return "a whole number, or unlimited";
}

static int parse(enum limit_unit unit, const char *value, uint64_t *ret)
{
    switch (unit) {
    case LIMIT_BYTES:
        return num_size(value, ret);
    case LIMIT_MILLI:
        return num_milli(value, ret);
    case LIMIT_MS:
        return num_duration(value, ret);
    case LIMIT_COUNT:
        break;
    }
    return num_u64(value, ret);
}

static void limit_text(enum limit_unit unit, uint64_t v, struct sbuf *out)
{
    char text[NUM_TEXT_MAX];

    if (v == LIMIT_UNLIMITED) {
        sbuf_text(out, "unlimited");
    } else if (unit == LIMIT_BYTES) {
        sbuf_text(out, num_size_text(v, text));
    } else if (unit == LIMIT_MS) {
        sbuf_text(out, num_duration_text(v, text));
    } else if (unit == LIMIT_MILLI) {
        struct sbuf b = SBUF(text);
        sbuf_fmt(&b, ".%03u", (unsigned)(v % 1000));
        while (b.len && (text[b.len - 1] == '0' || text[b.len - 1] == '.'))
            text[--b.len] = '\0';
        sbuf_fmt(out, "%" PRIu64 "%s", v / 1000, text);
    } else {
        sbuf_fmt(out, "%" PRIu64, v);
    }
}

static int out_of_range(const struct policy *p, const struct field *f, const char *value, bool low,
                        struct err *e)
{
    const struct limit_row *row = &limit_rows[f->row];
    char bound[NUM_TEXT_MAX];
    struct sbuf b = SBUF(bound);

    limit_text(row->unit, low ? row->min : row->max, &b);
    value_bad(p, f, value, e, low ? "must be at least %s" : "must be at most %s", bound);
    return err_hint(e, low ? "for no limit at all say unlimited" : "for no limit say unlimited");
}

static int may_only_tighten(const struct policy *p, const struct field *f, const char *value, struct err *e)
{
    char now[NUM_TEXT_MAX], from[256];
    struct sbuf b = SBUF(now), o = SBUF(from);

    limit_text(limit_rows[f->row].unit, p->limits[f->row], &b);
    origin_text(field_origin(p, f), &o);
    value_bad(p, f, value, e, "a policy found in a project may only tighten; now %s (%s)", now, from);
    return err_hint(e, "give it on the command line, or in a file named with --policy");
}

SET_FUNCTION(set_limit)
{
    const struct limit_row *row = &limit_rows[f->row];
    uint64_t v;

    if (strcmp(value, "unlimited") == 0) {
        v = LIMIT_UNLIMITED;
    } else {
        int r = parse(row->unit, value, &v);
        if (r == -ERANGE)
            return out_of_range(p, f, value, false, e);
        if (r < 0) {
            value_bad(p, f, value, e, value[0] == '-' ? "must not be negative" : "not understood");
            return err_hint(e, "wanted %s", unit_form(row->unit));
        }
        if (v < row->min || v > row->max)
            return out_of_range(p, f, value, v < row->min, e);
    }
    if (source == SOURCE_PROJECT && v > p->limits[f->row])
        return may_only_tighten(p, f, value, e);
    p->limits[f->row] = v;
    if (source == SOURCE_FILE || source == SOURCE_FLAG)
        p->arena->meant[f->row] = source; /* a project that lowers it does not take this back */
    return 0;
}

SHOW_FUNCTION(show_limit)
{
    char text[NUM_TEXT_MAX];
    struct sbuf b = SBUF(text);

    limit_text(limit_rows[f->row].unit, p->limits[f->row], &b);
    show_line(f, out, text, field_origin(p, f), explain);
}

static bool given(const struct policy *p, enum limit_id id)
{
    const struct field *f = field_find(limit_rows[id].name);
    return field_origin(p, f)->source >= SOURCE_FILE;
}

void limits_check(const struct policy *p, const struct note_sink *n)
{
    const uint64_t *l = p->limits;

    if (!n->note)
        return;
    if (l[LIMIT_ID_DISK] > l[LIMIT_ID_MEMORY] && given(p, LIMIT_ID_DISK))
        note_fmt(n, "disk is larger than memory: what is written to /work and /tmp counts as memory, so "
                    "memory ends first");
    if (l[LIMIT_ID_FILE_SIZE] > l[LIMIT_ID_DISK] && given(p, LIMIT_ID_FILE_SIZE))
        note_fmt(n, "file-size is larger than disk: only a writable volume can hold such a file");
    if (given(p, LIMIT_ID_CPU_TIME) && l[LIMIT_ID_TIMEOUT] != LIMIT_UNLIMITED &&
        l[LIMIT_ID_CPUS] != LIMIT_UNLIMITED && l[LIMIT_ID_CPU_TIME] != LIMIT_UNLIMITED &&
        l[LIMIT_ID_CPU_TIME] / 1000 > l[LIMIT_ID_TIMEOUT] / 1000 * (l[LIMIT_ID_CPUS] / 1000 + 1))
        note_fmt(n, "cpu-time can never be reached: timeout comes first");
}
