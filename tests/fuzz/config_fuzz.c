/* config_fuzz: the configuration of a client, as JSON and as TOML: an edit either is refused, or comes out the same
 * when it is made again. */
#include "mcp/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int edit_fn(const struct config_edit *edit, const char *text, size_t len, char **ret, struct err *e);

static void check(edit_fn *fn, const struct config_edit *edit, const char *text, size_t len)
{
    char *once = NULL, *twice = NULL;
    struct err e = {0};

    if (fn(edit, text, len, &once, &e) < 0) {
        CHECK(!once && e.kind != ERR_NONE && e.text[0]);
        return;
    }
    CHECK(strstr(once, CONFIG_NAME));
    CHECK(fn(edit, once, strlen(once), &twice, &e) == 0);
    CHECK(strcmp(once, twice) == 0);
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *server = json_pack("{s:s, s:[s]}", "command", "/c", "args", "mcp");
    const struct config_edit json = {.key = "servers", .server = server};
    const struct config_edit toml = {.key = "mcp_servers", .server = server};
    char *text = malloc(size + 1);

    CHECK(text && server);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    check(config_json, &json, text, size);
    check(config_toml, &toml, text, size);
    free(text);
    json_decref(server);
    return 0;
}
