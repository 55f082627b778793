/* network: what the gate decided in one room: each kind of decision once (rows), and the first ones in the order of
 * time (events). Exists only for rooms with a gate. */
#ifndef ENGINE_NETWORK_H
#define ENGINE_NETWORK_H

#include "base/json.h"
#include "base/sbuf.h"
#include "gate/frames.h"
#include "policy/policy.h"
#include <stdbool.h>

#define NETWORK_ROWS_MAX   128
#define NETWORK_KEPT_MAX   64
#define NETWORK_EVENTS_MAX 256
#define NETWORK_LINE_MAX   4096 /* = PIPE_BUF: such a line goes into a pipe whole, or not at all */

struct network_row {
    uint8_t verdict, kind, reason; /* enum gate_verdict, gate_kind, gate_reason */
    int rule;                      /* index into the policy's rules, -1 */
    int code;                      /* errno, 0 */
    uint16_t port;                 /* 0: a name was asked for */
    char name[GATE_NAME_MAX];      /* "": the program used an address */
    char address[GATE_ADDRESS_MAX];
    char text[GATE_TEXT_MAX]; /* what was seen inside, "" */
    uint64_t count, up, down, duration_ms;
    uint64_t at_ms; /* events: since the start of the command */
};

/* A port of the host that leads into the room. */
struct network_port {
    const struct policy_publish *from;
    uint16_t port; /* that it came to */
};

struct network {
    bool outward; /* the room has a gate; false: there are only published ports */
    struct network_port ports[POLICY_PUBLISH_MAX];
    size_t port_count;
    const struct egress_rules *rules; /* those of the room, by the gate's numbers */
    struct network_row rows[NETWORK_ROWS_MAX];
    struct network_row events[NETWORK_EVENTS_MAX];
    size_t count, event_count;
    uint64_t events_left_out;
    unsigned rule_changes;           /* while the room lived */
    uint16_t kept[NETWORK_KEPT_MAX]; /* numbers of the rules that a person wanted for this room (--ask) */
    size_t kept_count;
    uint64_t untold;  /* decisions beyond the rows, or that the gate could not tell */
    bool lost;        /* the gate ended before the room did */
    char failed[200]; /* why the gate never served, "" */
};

/* `at_ms`: since the start of the command. */
void network_note(struct network *n, const struct gate_report *report, uint64_t at_ms);

/* `authority`: of the certificates by which TLS is opened, NULL: none. */
void network_json(struct json *j, const struct network *n, const char *authority);
/* Elements of the array of denials. */
void network_json_denials(struct json *j, const struct network *n);
/* Where published ports came to: "ADDRESS:PORT->ROOMPORT". */
void network_ports(const struct network *n, const char *between, struct sbuf *out);
/* One decision as a line of JSON, at most NETWORK_LINE_MAX bytes with its newline. */
void network_line(const struct network *n, const struct gate_report *report, uint64_t at_ms,
                  struct sbuf *out);
/* For people: a line for each refusal, at most `max` of them. */
void network_denials(const struct network *n, size_t max, struct sbuf *out);
/* For people: which rules they allowed, and how to keep them. */
void network_kept(const struct network *n, struct sbuf *out);
/* For people: what was reached. */
void network_explain(const struct network *n, struct sbuf *out);

#endif
