/* secret_fuzz: any head of a request with marks, and any list and path: values go to their host only, marks that went
 * in come out again, and nothing is written beyond its bound.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/head.h"
#include "gate/secret.h"
#include "policy/egress_http.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK  "srs_0123456789abcdef0123456789abcdef0123"
#define VALUE "<the value>"

static void heads(const char *head, size_t size)
{
    static char out[65536], back[65536];
    static bool ready;
    static const char text[] = MARK "\0a.test:443\0" VALUE;
    struct head h;
    const char *why;

    if (!ready)
        CHECK(secret_add(text, sizeof text) == 0);
    ready = true;
    if (head_request(head, size, &h, &why) < 0)
        return;
    size_t n = secret_put(head, h.size, "b.test", 443, SECRET_BY_TLS, out, sizeof out);
    CHECK(n == h.size && memcmp(head, out, n) == 0);
    n = secret_put(head, h.size, "a.test", 443, SECRET_CLEAR, out, sizeof out);
    CHECK(n == h.size && memcmp(head, out, n) == 0);
    n = secret_put(head, h.size, "a.test", 443, SECRET_BY_TLS, out, h.size);
    CHECK(n <= h.size);
    n = secret_put(head, h.size, "a.test", 443, SECRET_BY_TLS, out, sizeof out);
    if (n == 0)
        return;
    struct head again;
    CHECK(head_request(out, n, &again, &why) == 0 && again.size == n);
    n = secret_hide(out, n, "a.test", 443, SECRET_BY_TLS, back, sizeof back);
    CHECK(n == 0 || memmem(back, n, VALUE, strlen(VALUE)) == NULL);
}

static void paths(const char *text, size_t size)
{
    char list[EGRESS_HTTP_MAX] = "", pattern[EGRESS_HTTP_MAX];
    const char *why = NULL, *hint = NULL, *bar = memchr(text, '|', size);
    size_t len = bar != NULL ? (size_t)(bar - text) : 0;

    if (bar == NULL || len >= sizeof pattern)
        return;
    memcpy(pattern, text, len);
    pattern[len] = '\0';
    if (egress_http_add(list, pattern, &why, &hint) < 0) {
        CHECK(why != NULL && hint != NULL);
        return;
    }
    bool yes = egress_http_matches(list, "GET", 3, bar + 1, size - len - 1, &why);
    CHECK(yes || why != NULL);
    if (yes)
        CHECK(memmem(bar + 1, strcspn(bar + 1, "?"), "/../", 4) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[40000];

    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    heads(text, size);
    paths(text, size);
    return 0;
}
