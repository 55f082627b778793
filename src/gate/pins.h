/* pins: each listed name that the room asks for has an address of its own, for as long as the table holds it.
 *
 * 198.18/15 (RFC 2544) and fd57::/64. Pure; one static table. When it is full, the name that came first gives its
 * place to the newcomer, but not its address: an address is only a way to say a name, and the verdict is made by the
 * name. */
#ifndef GATE_PINS_H
#define GATE_PINS_H

#include "gate/addr.h"
#include "gate/dns.h"

#define PINS_MAX 16384

/* The pin of `name` (at most DNS_NAME_MAX - 1 bytes); a new one when there is none. */
unsigned pins_of(const char *name);

const char *pins_name(unsigned pin);
struct gate_addr pins_v4(unsigned pin);
struct gate_addr pins_v6(unsigned pin);

/* Names that are no longer known lose their address. */
void pins_forget(bool (*known)(const char *name));

/* Is it one of the pins' ranges? Then *ret_pin is the pin, or -1 where nobody lives. */
bool pins_find(const struct gate_addr *a, int *ret_pin);

#endif
