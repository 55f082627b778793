/* addr: an address of either family as plain bytes. Pure. */
#ifndef GATE_ADDR_H
#define GATE_ADDR_H

#include "policy/egress.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct gate_addr {
    uint8_t size;      /* 4 or 16; 0: none */
    uint8_t bytes[16]; /* network order */
};

bool addr_equal(const struct gate_addr *a, const struct gate_addr *b);

/* From what the kernel tells; a v4-mapped address becomes v4. Returns 0 or -EAFNOSUPPORT. */
int addr_from_sock(const struct sockaddr_storage *from, struct gate_addr *ret, uint16_t *ret_port);

/* For the kernel; returns the length. */
socklen_t addr_to_sock(const struct gate_addr *a, uint16_t port, struct sockaddr_storage *ret);

/* The interface, by its number, that a link-local address of version 6 holds for. */
void addr_put_scope(struct sockaddr_storage *to, uint32_t scope);

/* Reads one address in the usual text form, all of `s`. Returns 0 or -EINVAL. */
int addr_parse(const char *s, struct gate_addr *ret);

/* As the rules have it; `a` is not empty. */
struct egress_addr addr_egress(const struct gate_addr *a);

/* Does a program in the room mean the room itself by it? Nothing outside does, and no rule leads anywhere. */
bool addr_is_rooms_own(const struct gate_addr *a);

/* buf holds GATE_ADDRESS_MAX (46) bytes; "" for none. Returns buf. */
char *addr_text(const struct gate_addr *a, char *buf);

#endif
