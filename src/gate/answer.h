/* answer: what the gate says to a question of the room. No packet leaves for it: names that a rule lists get their
 * pin,
 * everything else does not exist. */
#ifndef GATE_ANSWER_H
#define GATE_ANSWER_H

#include "gate/dns.h"
#include "policy/egress.h"

enum answer_told { ANSWER_QUIET, ANSWER_DENIED, ANSWER_BAD_NAME };

/* From now on every clean name gets an address, listed or not: connections to it are still refused, but then with the
 * port that was wanted. */
void answer_every_name(bool every);
bool answers_every_name(void);

/* Answers the query of `size` bytes into `out` (DNS_PACKET_MAX). Returns the length, 0: say nothing at all.
 * *ret_told says
 * what is worth a record; ret_name (DNS_NAME_MAX) is then the name. */
size_t answer_make(const struct egress_rules *rules, const uint8_t *packet, size_t size, uint8_t *out,
                   enum answer_told *ret_told, char ret_name[DNS_NAME_MAX]);

#endif
