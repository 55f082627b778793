/* notice: what a room may read about its own network.
 *
 * A program that knows what it may reach need not find out by trying, and can say what it lacks. It is told nothing of
 * the host: no notes (they are written for the caller), no paths, nothing of secrets.
 *
 * Lives in: any process. Trusts: a checked policy. Pure: a policy in, text out. */
#include "policy/notice.h"
#include "base/json.h"

#include <string.h>

static const char *const modes[] = {[NET_NONE] = "none", [NET_GATE] = "gate", [NET_HOST] = "host"};

static void put_rules(struct json *j, const struct egress_rules *rules)
{
    uint64_t left_out = 0;

    json_open(j, "rules", '[');
    for (size_t i = 0; i < rules->count; i++) {
        const struct egress_rule *x = &rules->rules[i];
        struct egress_rule r;
        char text[EGRESS_RULE_MAX];
        struct sbuf b = SBUF(text);
        if (x->gone || (x->kind == EGRESS_UNIX && x->deny))
            continue;
        if (j->out->size - j->out->len < 4 * EGRESS_RULE_MAX) {
            left_out++;
            continue;
        }
        if (x->note[0] || x->kind == EGRESS_UNIX) {
            r = *x;
            r.note = "";
            if (r.kind == EGRESS_UNIX)
                r.name = r.path; /* where the host has it is nobody's business */
            x = &r;
        }
        egress_text(x, &b);
        json_open(j, NULL, '{');
        json_str(j, "action", x->deny ? "deny" : "allow");
        json_str(j, "rule", text);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_unum(j, "rules_left_out", left_out);
}

void notice_text(const struct policy *p, const struct egress_rules *rules, struct sbuf *out)
{
    struct json j = {.out = out, .pretty = true};

    json_open(&j, NULL, '{');
    json_unum(&j, "version", 1);
    json_str(&j, "network", modes[p->net]);
    put_rules(&j, rules);
    json_open(&j, "published", '[');
    for (size_t i = 0; i < p->publish_count; i++)
        json_unum(&j, NULL, p->publish[i].room_port);
    json_close(&j, ']');
    json_str(&j, "to_allow_more", p->net == NET_HOST ? NULL : "strongroom run --allow HOST:PORT");
    json_close(&j, '}');
    sbuf_char(out, '\n');
}
