/* pins: each listed name that the room asks for has an address of its own.
 *
 * Theory of operation. A pin is a place in the table, and has one of SPANS addresses: when another name gets the
 * place, it gets the next of them. So what a program kept of a name that lost its place (or its rule) leads nowhere,
 * and not to another server, until the table was filled SPANS times over.
 *
 * Lives in: strongroom-gate. Trusts: that the caller asked the rules about the name. May: compute.
 * Must not: allocate (pages of the table are touched as names come). */
#include "gate/pins.h"
#include "base/err.h"

#include <assert.h>
#include <string.h>

#define BUCKETS 8192 /* a power of two */
#define FIRST   256  /* 198.18.0.x and fd57::x are kept for the room itself */
#define SPANS   7    /* 198.18/15 holds eight times PINS_MAX addresses, less FIRST */

static struct {
    char name[DNS_NAME_MAX];
    uint16_t next; /* in its bucket: pin + 1, 0 ends */
    uint8_t span;  /* of its addresses */
    bool used;     /* had a name before */
} pins[PINS_MAX];
static uint16_t buckets[BUCKETS]; /* pin + 1 */
static unsigned next_pin;

static_assert(PINS_MAX * SPANS + FIRST <= 1 << 17, "they all live in 198.18/15");
static_assert(PINS_MAX < UINT16_MAX, "a pin fits its link");

static unsigned bucket_of(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a: collisions cost time only, and only the room's own */

    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return (h ^ h >> 16) & (BUCKETS - 1);
}

static void unlink_pin(unsigned pin)
{
    uint16_t *at = &buckets[bucket_of(pins[pin].name)];

    for (; *at != 0; at = &pins[*at - 1].next) {
        if (*at == pin + 1) {
            *at = pins[pin].next;
            return;
        }
    }
}

unsigned pins_of(const char *name)
{
    size_t len = strlen(name);
    unsigned b = bucket_of(name);

    CHECK(len > 0 && len < DNS_NAME_MAX);
    for (unsigned at = buckets[b]; at != 0; at = pins[at - 1].next) {
        if (strcmp(pins[at - 1].name, name) == 0)
            return at - 1;
    }
    unsigned pin = next_pin;
    next_pin = (next_pin + 1) % PINS_MAX;
    if (pins[pin].name[0] != '\0')
        unlink_pin(pin);
    if (pins[pin].used)
        pins[pin].span = (uint8_t)((pins[pin].span + 1) % SPANS);
    pins[pin].used = true;
    memcpy(pins[pin].name, name, len + 1);
    pins[pin].next = buckets[b];
    buckets[b] = (uint16_t)(pin + 1);
    return pin;
}

const char *pins_name(unsigned pin)
{
    return pins[pin].name;
}

void pins_forget(bool (*known)(const char *name))
{
    for (unsigned pin = 0; pin < PINS_MAX; pin++) {
        if (pins[pin].name[0] == '\0' || known(pins[pin].name))
            continue;
        unlink_pin(pin);
        pins[pin].name[0] = '\0';
    }
}

static unsigned number_of(unsigned pin)
{
    return pins[pin].span * PINS_MAX + pin + FIRST;
}

struct gate_addr pins_v4(unsigned pin)
{
    unsigned n = number_of(pin);

    return (struct gate_addr){
        .size = 4,
        .bytes = {198, (uint8_t)(18 + (n >> 16)), (uint8_t)(n >> 8), (uint8_t)n},
    };
}

struct gate_addr pins_v6(unsigned pin)
{
    unsigned n = number_of(pin);
    struct gate_addr a = {.size = 16, .bytes = {0xfd, 0x57}};

    a.bytes[13] = (uint8_t)(n >> 16);
    a.bytes[14] = (uint8_t)(n >> 8);
    a.bytes[15] = (uint8_t)n;
    return a;
}

bool pins_find(const struct gate_addr *a, int *ret_pin)
{
    static const uint8_t prefix[8] = {0xfd, 0x57};
    uint32_t n;

    *ret_pin = -1;
    if (a->size == 4 && a->bytes[0] == 198 && (a->bytes[1] & 0xfe) == 18) {
        n = (uint32_t)(a->bytes[1] & 1) << 16 | (uint32_t)a->bytes[2] << 8 | a->bytes[3];
    } else if (a->size == 16 && memcmp(a->bytes, prefix, sizeof prefix) == 0) {
        static const uint8_t zero[5];
        if (memcmp(a->bytes + 8, zero, sizeof zero) != 0)
            return true;
        n = (uint32_t)a->bytes[13] << 16 | (uint32_t)a->bytes[14] << 8 | a->bytes[15];
    } else {
        return false;
    }
    if (n < FIRST)
        return true;
    unsigned pin = (n - FIRST) % PINS_MAX;
    if (number_of(pin) == n && pins[pin].name[0] != '\0')
        *ret_pin = (int)pin;
    return true;
}
