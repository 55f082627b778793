/* network: what the gate decided in one room, each kind of decision once. Exists only for rooms with a gate. */
#ifndef ENGINE_NETWORK_H
#define ENGINE_NETWORK_H

#include "base/json.h"
#include "base/sbuf.h"
#include "gate/frames.h"
#include "policy/policy.h"
#include <stdbool.h>

#define NETWORK_ROWS_MAX 128

struct network_row {
    uint8_t verdict, kind, reason; /* enum gate_verdict, gate_kind, gate_reason */
    int rule;                      /* index into the policy's rules, -1 */
    int code;                      /* errno, 0 */
    uint16_t port;                 /* 0: a name was asked for */
    char name[GATE_NAME_MAX];      /* "": the program used an address */
    char address[GATE_ADDRESS_MAX];
    uint64_t count, up, down, duration_ms;
};

struct network {
    struct network_row rows[NETWORK_ROWS_MAX];
    size_t count;
    uint64_t untold;  /* decisions beyond the rows, or that the gate could not tell */
    bool lost;        /* the gate ended before the room did */
    char failed[200]; /* why the gate never served, "" */
};

void network_note(struct network *n, const struct gate_report *report);

void network_json(struct json *j, const struct network *n, const struct policy *p);
/* Elements of the array of denials. */
void network_json_denials(struct json *j, const struct network *n, const struct policy *p);
/* For people: a line for each refusal, at most `max` of them. */
void network_denials(const struct network *n, const struct policy *p, size_t max, struct sbuf *out);
/* For people: what was reached. */
void network_explain(const struct network *n, struct sbuf *out);

#endif
