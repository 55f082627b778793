/* gate_rule: the nftables rules of a room with a gate. See gate_rule.c. */
#ifndef ROOM_GATE_RULE_H
#define ROOM_GATE_RULE_H

#include "policy/egress.h"
#include <stdbool.h>
#include <stdint.h>

/* The room's own addresses: of 198.18.0.0/15, set aside for tests of network devices (RFC 2544), and of a locally
 * assigned prefix (RFC 4193). Names get their addresses from these ranges too (gate/pins.h). */
#define GATE_OWN4                                                                                            \
    {                                                                                                        \
        198, 18, 0, 1                                                                                        \
    }
#define GATE_OWN6                                                                                            \
    {                                                                                                        \
        0xfd, 0x57, [15] = 1                                                                                 \
    }

struct gate_rule {
    const struct egress_rules *rules;
    uint16_t port4, port6; /* of the listeners; port6 0: no IPv6 */
    bool refuse;           /* the kernel refuses what no rule could open */
};

/* All of it or nothing: 0 or -errno. */
int gate_rule_set(const struct gate_rule *g);

/* A socket that gets the head of each packet that was refused (nfnetlink_log), or -errno. */
int gate_rule_refused(void);

#endif
