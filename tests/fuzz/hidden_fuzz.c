/* hidden_fuzz: any bytes as a server's head and as a path: no value comes through in a form that is looked for, and no
 * path passes that a server could read as another one.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/secret.h"
#include "policy/egress_http.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK_A "srs_0123456789abcdef0123456789abcdef0123"
#define MARK_B "srs_ffffffffffffffffffffffffffffffffffff"

static const char *const values[] = {"secret-Val/1", "wxyz"};

static void add(const char *mark, const char *value)
{
    char text[SECRET_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%s%c%s%c%s", mark, 0, "a.test:443", 0, value);

    CHECK(secret_add(text, (size_t)n + 1) == 0);
}

static int nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* What somebody sees who decodes each %XX, and nothing else. */
static size_t decoded(const char *s, size_t n, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        const bool coded = s[i] == '%' && n - i > 2 && nibble(s[i + 1]) >= 0 && nibble(s[i + 2]) >= 0;
        const unsigned value =
            coded ? (unsigned)(nibble(s[i + 1]) * 16 + nibble(s[i + 2])) : (unsigned char)s[i];
        out[len++] = (char)(unsigned char)value;
        i += coded ? 2 : 0;
    }
    return len;
}

static bool has(const char *s, size_t n, const char *word)
{
    return memmem(s, n, word, strlen(word)) != NULL;
}

static void hide(const char *head, size_t size)
{
    static char out[65536], plain[65536];
    size_t n = secret_hide(head, size, "a.test", 443, SECRET_BY_TLS, out, sizeof out);
    bool had = false;

    if (n == 0)
        return; /* it grew too long: the connection ends */
    size_t len = decoded(head, size, plain);
    for (size_t i = 0; i < 2; i++)
        had = had || has(head, size, values[i]) || has(plain, len, values[i]);
    CHECK(!had || n != size || memcmp(head, out, n) != 0);
    len = decoded(out, n, plain);
    for (size_t i = 0; i < 2; i++)
        CHECK(!has(out, n, values[i]) && !has(plain, len, values[i]));
    CHECK(secret_hide(head, size, "other.test", 443, SECRET_BY_TLS, out, sizeof out) == size &&
          memcmp(head, out, size) == 0);
}

static void ask(const char *path, size_t size)
{
    static char plain[65536];
    const char *why = "", *end = memchr(path, '?', size);

    if (!egress_http_matches("GET:/a/*", "GET", 3, path, size, &why)) {
        CHECK(why != NULL && why[0] != '\0');
        return;
    }
    size_t len = decoded(path, end != NULL ? (size_t)(end - path) : size, plain);
    CHECK(len >= 3 && memcmp(plain, "/a/", 3) == 0);
    CHECK(!has(plain, len, "/../") && !has(plain, len, "//") && !has(plain, len, "/./") &&
          !has(plain, len, "\\") && !has(plain, len, "%") && !has(plain, len, "\xc0") &&
          !has(plain, len, "\xc1"));
    CHECK(len < 3 || memcmp(plain + len - 3, "/..", 3) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (!ready) {
        add(MARK_A, values[0]);
        add(MARK_B, values[1]);
        ready = true;
    }
    if (size == 0 || size > 8192)
        return 0;
    if (data[0] == '/')
        ask((const char *)data, size);
    else
        hide((const char *)data, size);
    return 0;
}
