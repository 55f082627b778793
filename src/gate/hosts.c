/* hosts: the host's own words about names.
 *
 * Lives in: strongroom-gate, its tests and fuzzers. Trusts: the files' authors, not their form. May: compute. */
#include "gate/hosts.h"
#include "gate/frames.h"

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

/* An address, of version 6 perhaps with the interface that it holds for (RFC 4007, 11). */
static bool word_server(const char *s, size_t len, struct gate_addr *ret, char ret_zone[HOSTS_ZONE_MAX])
{
    const char *percent = memchr(s, '%', len);
    const size_t addr = percent ? (size_t)(percent - s) : len, zone = percent ? len - addr - 1 : 0;

    if (!word_address(s, addr, ret) || (percent && (ret->size != 16 || zone == 0 || zone >= HOSTS_ZONE_MAX ||
                                                    memchr(percent, '\0', zone + 1))))
        return false;
    if (percent)
        memcpy(ret_zone, percent + 1, zone);
    ret_zone[zone] = '\0';
    return true;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(s, word, len) == 0;
}

static void read_search(const char *p, const char *stop, struct hosts_servers *ret)
{
    ret->search_count = 0;
    for (size_t n; (n = word_next(&p, stop)) > 0 && ret->search_count < HOSTS_SEARCH_MAX; p += n) {
        if (egress_name_clean(p, n, ret->search[ret->search_count]) == 0)
            ret->search_count++;
    }
}

static void read_options(const char *p, const char *stop, struct hosts_servers *ret)
{
    static const char key[] = "ndots:";
    const size_t len = sizeof key - 1;

    for (size_t n; (n = word_next(&p, stop)) > 0; p += n) {
        if (n <= len || n > len + 2 || memcmp(p, key, len) != 0)
            continue;
        unsigned dots = 0;
        for (size_t i = len; i < n; i++)
            dots = p[i] >= '0' && p[i] <= '9' ? dots * 10 + (unsigned)(p[i] - '0') : HOSTS_NDOTS_MAX;
        ret->ndots = dots < HOSTS_NDOTS_MAX ? dots : HOSTS_NDOTS_MAX;
    }
}

void hosts_read_servers(const char *text, size_t len, struct hosts_servers *ret)
{
    const char *p = text, *end = text + len;

    memset(ret, 0, sizeof *ret);
    ret->ndots = 1;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            stop = end;
        const size_t n = word_next(&p, stop);
        const char *word = p;
        p += n;
        if (is_word(word, n, "nameserver") && ret->count < HOSTS_SERVERS_MAX) {
            const size_t size = word_next(&p, stop);
            if (word_server(p, size, &ret->at[ret->count], ret->zone[ret->count]))
                ret->count++;
        } else if (is_word(word, n, "search") || is_word(word, n, "domain")) {
            read_search(p, stop, ret);
        } else if (is_word(word, n, "options")) {
            read_options(p, stop, ret);
        }
        p = stop + (stop < end);
    }
    if (ret->count == 0)
        ret->at[ret->count++] = (struct gate_addr){.size = 4, .bytes = {127, 0, 0, 1}};
}

bool hosts_attempt(const struct hosts_servers *s, const char *name, size_t at, char ret[EGRESS_NAME_MAX])
{
    const size_t len = strlen(name);
    unsigned dots = 0;

    for (size_t i = 0; i < len; i++)
        dots += name[i] == '.';
    for (size_t i = 0; dots < s->ndots && i < s->search_count; i++) {
        const size_t more = strlen(s->search[i]);
        if (len + 1 + more >= EGRESS_NAME_MAX || at-- > 0)
            continue;
        memcpy(ret, name, len + 1);
        ret[len] = '.';
        memcpy(ret + len + 1, s->search[i], more + 1);
        return true;
    }
    if (at > 0)
        return false;
    memcpy(ret, name, len + 1);
    return true;
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
