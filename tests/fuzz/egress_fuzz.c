/* egress_fuzz: what is taken as a rule is written as text that makes the same rule again, and judges without harm. */
#include "policy/egress.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rule(const char *text, bool deny)
{
    static char first[EGRESS_RULE_MAX], second[EGRESS_RULE_MAX];
    static struct egress_words words, words_again;
    struct egress_rule r, again;
    const char *why = NULL, *hint = NULL;
    struct sbuf a = SBUF(first), b = SBUF(second);

    if (egress_read(text, deny, &words, &r, &why, &hint) < 0) {
        if (!why)
            abort();
        return;
    }
    egress_text(&r, &a);
    if (a.full || egress_read(first, deny, &words_again, &again, &why, &hint) < 0)
        abort();
    egress_text(&again, &b);
    if (strcmp(first, second) != 0 || !egress_covers(&r, &again))
        abort();
    struct egress_rules rules = {.rules = &r, .count = 1};
    if (r.kind == EGRESS_NAME && egress_verdict_name(&rules, r.name, r.ports[0].to).allowed == deny)
        abort();
    if (r.kind == EGRESS_UNIX && (egress_verdict_unix(&rules, r.name).allowed == deny || r.name[0] != '/' ||
                                  (!deny && (r.path[0] != '/' || strstr(r.path, "/../")))))
        abort();
    if ((r.kind == EGRESS_V4 || r.kind == EGRESS_V6) &&
        egress_verdict_addr(&rules, &r.addr, r.ports[0].from).allowed == deny)
        abort();
    (void)egress_is_private(&r.addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[4096];
    static struct egress_rule rules[8];
    static char memory[256]; /* may be too short for eight */
    struct egress_texts texts = {.at = memory, .left = sizeof memory};
    char name[EGRESS_NAME_MAX];
    size_t n;

    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_rule(text, false);
    check_rule(text, true);
    (void)egress_read_lines((const char *)data, size, &texts, rules, 8, &n);
    (void)egress_name_clean((const char *)data, size, name);
    return 0;
}
