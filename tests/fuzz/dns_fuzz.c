/* dns_fuzz: any bytes as a question of the room, and as an answer of a name server.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/answer.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct egress_rules rules(void)
{
    static struct egress_words words[2];
    static struct egress_rule table[2];
    struct egress_texts texts = {.at = (char *)words, .left = sizeof words};
    static size_t count;
    static const char text[] = "allow allowed.test:443\nallow *.w.test:80\n";

    if (count == 0)
        CHECK(egress_read_lines(text, sizeof text - 1, &texts, table, 2, &count) == 0);
    return (struct egress_rules){.rules = table, .count = count};
}

static void as_question(const uint8_t *data, size_t size)
{
    const struct egress_rules r = rules();
    uint8_t out[DNS_PACKET_MAX];
    char name[DNS_NAME_MAX];
    enum answer_told told;
    struct dns_question q;
    size_t len = answer_make(&r, data, size, out, &told, name);

    CHECK(len <= sizeof out && (len == 0 || (len >= 12 && (out[2] & 0x80))));
    if (dns_question_parse(data, size, &q) == 0) {
        CHECK(memchr(q.name, '\0', sizeof q.name) != NULL && q.end <= size && len > 0);
        CHECK(out[0] == data[0] && out[1] == data[1]);
    }
    if (told != ANSWER_QUIET)
        CHECK(memchr(name, '\0', sizeof name) != NULL && (out[3] & 15) == DNS_NXDOMAIN);
}

static void as_result(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = {DNS_A, DNS_AAAA};

    for (size_t i = 0; i < 2; i++) {
        struct dns_result r;
        uint16_t id = 0;
        if (size >= 2)
            id = (uint16_t)(data[0] << 8 | data[1]);
        if (dns_result_parse(data, size, id, "allowed.test", types[i], &r) < 0)
            continue;
        CHECK(r.count <= DNS_ADDRS_MAX);
        for (size_t k = 0; k < r.count; k++)
            CHECK(r.addrs[k].size == (i == 0 ? 4 : 16));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_question(data, size);
    as_result(data, size);
    return 0;
}
