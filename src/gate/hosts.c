/* hosts: the host's own words about names.
 *
 * Lives in: strongroom-gate, its tests and fuzzers. Trusts: the files' authors, not their form. May: compute. */
#include "gate/hosts.h"
#include "gate/frames.h"
#include "policy/egress.h"

#include <string.h>

struct entry {
    struct gate_addr addr;
    char name[EGRESS_NAME_MAX];
};

static struct entry entries[HOSTS_ENTRIES_MAX];
static size_t entry_count;

/* The next word of the line in [*p, end); 0 at its end. */
static size_t word_next(const char **p, const char *end)
{
    const char *s = *p;

    while (s < end && (*s == ' ' || *s == '\t' || *s == '\r'))
        s++;
    *p = s;
    if (s < end && (*s == '#' || *s == ';'))
        return 0;
    while (s < end && *s != ' ' && *s != '\t' && *s != '\r' && *s != '#')
        s++;
    return (size_t)(s - *p);
}

static bool word_address(const char *s, size_t len, struct gate_addr *ret)
{
    char text[GATE_ADDRESS_MAX];

    if (len == 0 || len >= sizeof text || memchr(s, '\0', len) != NULL)
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    return addr_parse(text, ret) == 0;
}

void hosts_read_servers(const char *text, size_t len, struct hosts_servers *ret)
{
    static const char key[] = "nameserver";
    const char *p = text, *end = text + len;

    memset(ret, 0, sizeof *ret);
    while (p < end && ret->count < HOSTS_SERVERS_MAX) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            stop = end;
        size_t n = word_next(&p, stop);
        if (n == sizeof key - 1 && memcmp(p, key, n) == 0) {
            p += n;
            n = word_next(&p, stop);
            if (word_address(p, n, &ret->at[ret->count]))
                ret->count++;
        }
        p = stop + (stop < end);
    }
    if (ret->count == 0)
        ret->at[ret->count++] = (struct gate_addr){.size = 4, .bytes = {127, 0, 0, 1}};
}

static void read_names_of(const char *p, const char *stop, const struct gate_addr *addr)
{
    for (size_t n; (n = word_next(&p, stop)) > 0 && entry_count < HOSTS_ENTRIES_MAX; p += n) {
        struct entry *e = &entries[entry_count];
        if (egress_name_clean(p, n, e->name) < 0)
            continue;
        e->addr = *addr;
        entry_count++;
    }
}

void hosts_read_names(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    struct gate_addr addr;

    entry_count = 0;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            stop = end;
        size_t n = word_next(&p, stop);
        if (word_address(p, n, &addr))
            read_names_of(p + n, stop, &addr);
        p = stop + (stop < end);
    }
}

size_t hosts_find(const char *name, struct gate_addr *ret, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < entry_count && count < max; i++) {
        if (strcmp(entries[i].name, name) == 0)
            ret[count++] = entries[i].addr;
    }
    return count;
}
