/* config: puts one server into the text of a client's configuration, and changes nothing else of it. */
#ifndef MCP_CONFIG_H
#define MCP_CONFIG_H

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

#define CONFIG_MAX  (8 << 20) /* bytes of a configuration */
#define CONFIG_NAME "strongroom"

struct config_edit {
    const char *key;      /* the object or table that holds the servers */
    const json_t *server; /* our entry */
};

/* JSON with comments and commas too many, as editors write it. `text` is what the file holds, NULL or blank: nothing
 * yet. The new text is malloc'ed. -errno with e when the text is not understood: nothing is guessed. */
int config_json(const struct config_edit *edit, const char *text, size_t len, char **ret, struct err *e);

/* TOML: our table is replaced or put behind the rest. A table that is written in another way is refused. */
int config_toml(const struct config_edit *edit, const char *text, size_t len, char **ret, struct err *e);

#endif
