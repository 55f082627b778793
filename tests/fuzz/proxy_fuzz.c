/* proxy_fuzz: any bytes as the URL of a proxy, and as what proxies of both kinds answer. The first byte chooses.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/proxy.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_url(const uint8_t *data, size_t size)
{
    static char text[4096], first[UPSTREAM_TEXT_MAX], second[UPSTREAM_TEXT_MAX];
    struct sbuf a = SBUF(first), b = SBUF(second);
    struct upstream u, again;
    const char *why = NULL, *hint = NULL;

    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)upstream_read_login(text, size, &again);
    if (upstream_read(text, &u, &why, &hint) < 0) {
        CHECK(why != NULL);
        return;
    }
    upstream_text(&u, true, &a);
    CHECK(!a.full && upstream_read(first, &again, &why, &hint) == 0);
    upstream_text(&again, true, &b);
    CHECK(strcmp(first, second) == 0 && strcmp(u.password, again.password) == 0);
}

static void as_answers(struct upstream *u, const uint8_t *data, size_t size)
{
    uint8_t said[PROXY_SAY_MAX];
    const struct egress_addr a = {{0}};
    struct proxy_talk t = {.step = u->kind == UPSTREAM_HTTP ? PROXY_CONNECT : PROXY_HELLO};

    for (int i = 0; i < 8; i++) {
        size_t used = 0, n = proxy_say(u, &t, i % 2 ? "a.org" : "", &a, 80, said);
        CHECK(n > 0 && n <= sizeof said);
        enum proxy_heard heard = proxy_hear(u, &t, data, size, &used);
        CHECK(used <= size && (heard != PROXY_MORE || used == 0) && (heard != PROXY_OPEN || used > 0));
        if (heard != PROXY_SAY)
            return;
        data += used;
        size -= used;
    }
    CHECK(false); /* a talk has three steps */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct upstream u = {.kind = UPSTREAM_HTTP};

    if (size == 0)
        return 0;
    as_url(data + 1, size - 1);
    u.kind = data[0] & 1 ? UPSTREAM_SOCKS5 : UPSTREAM_HTTP;
    if (data[0] & 2)
        memcpy(u.user, "me", 3);
    as_answers(&u, data + 1, size - 1);
    return 0;
}
