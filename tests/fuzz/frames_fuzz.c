/* frames_fuzz: any bytes as what a gate tells (the supervisor's side), and as the rules that a gate is told. A gate
 * that fell to the enemy must not reach the terminal or the result through its supervisor.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "engine/network.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES_MAX 8

static struct egress_rule table[RULES_MAX];
static struct egress_words words[RULES_MAX];

/* Bytes that a terminal obeys are escaped. */
static void is_plain(const char *text)
{
    for (; *text; text++)
        CHECK(((unsigned char)*text >= 0x20 && *text != 0x7f) || *text == '\n');
}

static void as_reports(const uint8_t *data, size_t size)
{
    static const char text[] = "allow a.test:443\ndeny 10.0.0.0/8\n";
    static struct network n;
    static char out[1 << 18], line[NETWORK_LINE_MAX];
    struct egress_texts texts = {.at = (char *)words, .left = sizeof words};
    struct egress_rules rules = {.rules = table};
    struct gate_report r;

    memset(&n, 0, sizeof n);
    CHECK(egress_read_lines(text, sizeof text - 1, &texts, table, RULES_MAX, &rules.count) == 0);
    n.rules = &rules;
    for (; size > 0; data += size < sizeof r ? size : sizeof r, size -= size < sizeof r ? size : sizeof r) {
        memset(&r, 0, sizeof r);
        memcpy(&r, data, size < sizeof r ? size : sizeof r);
        network_note(&n, &r, 1);
        struct sbuf b = SBUF(line);
        network_line(&n, &r, 1, &b);
        CHECK(b.len < sizeof line);
        is_plain(line);
    }
    struct sbuf b = SBUF(out);
    network_denials(&n, 50, &b);
    network_explain(&n, &b);
    is_plain(out);
    b = SBUF(out);
    struct json j = {.out = &b};
    json_open(&j, NULL, '{');
    network_json(&j, &n, NULL);
    json_open(&j, "denials", '[');
    network_json_denials(&j, &n);
    json_close(&j, ']');
    json_close(&j, '}');
    is_plain(out);
}

static void as_rules(const uint8_t *data, size_t size)
{
    struct egress_texts texts = {.at = (char *)words, .left = sizeof words};
    struct egress_rules rules = {.rules = table};

    if (egress_read_lines((const char *)data, size, &texts, table, RULES_MAX, &rules.count) == 0)
        CHECK(rules.count <= RULES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'r')
        as_rules(data + 1, size - 1);
    else
        as_reports(data, size);
    return 0;
}
