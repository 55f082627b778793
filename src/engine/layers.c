/* layers: see layers.h. A layer is an entry like those of the store, but with a name that a person chose, in a folder
 * beside theirs; strongroom-tree copies between them.
 *
 * Lives in: the supervisor, and the verb `save`. Trusts: the state folder, which nobody else can write to. */
#include "engine/layers.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool layers_name_is_good(const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        const char c = name[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (i == 0 || !strchr("._-", c)))
            return false;
    }
    return n > 0 && n < LAYER_NAME_MAX;
}

static int bad_name(const char *name, struct err *e)
{
    int r = err_set(e, ERR_USAGE, 0, "the name of a layer: \"%.80s\": not one", name);
    err_hint(e, "wanted up to 64 letters, digits, dots, dashes and underscores, as in after-setup");
    return r;
}

int layers_open(struct err *e)
{
    char path[STORE_PATH_MAX];
    FD_AUTO changes = store_open(e); /* makes the folder that both lie in, and looks whose it is */
    if (changes < 0)
        return changes;
    int r = store_path("layers", path, sizeof path);
    if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
        r = -errno;
    int fd = r == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0)
        return err_set(e, ERR_IO, r < 0 ? -r : errno, "open the folder for layers");
    return fd;
}

static int open_layer(int layers, const char *name, struct err *e)
{
    if (!layers_name_is_good(name))
        return bad_name(name, e);
    int fd = openat(layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    int r = err_set(e, ERR_IO, errno == ENOENT ? 0 : errno, "the layer %s: there is none of this name", name);
    err_hint(e, "strongroom save --list names them; strongroom save NAME [ID] makes one");
    return r;
}

/* Empties a layer and removes it. */
static int remove_layer(int layers, int fd, const char *name, struct err *e)
{
    const struct tree_command say = {.type = TREE_DISCARD};
    const struct tree_dirs dirs = {.upper = -1, .lower = -1, .entry = fd};
    struct tree_session tree;
    int r = tree_open(&tree, &dirs, e);
    if (r < 0)
        return r;
    r = tree_call(&tree, &say, NULL, NULL, NULL, e);
    tree_close(&tree);
    return r == 0 ? store_remove(layers, name, e) : r;
}

int layers_save(struct changes *c, const char *name, struct err *e)
{
    struct tree_totals t;
    if (!layers_name_is_good(name))
        return bad_name(name, e);
    FD_AUTO layers = layers_open(e);
    if (layers < 0)
        return layers;
    if (mkdirat(layers, name, 0700) < 0) {
        int r = err_set(e, ERR_IO, errno, "save as %s", name);
        if (errno == EEXIST)
            err_hint(e, "choose another name, or forget that layer: strongroom save --delete %s", name);
        return r;
    }
    FD_AUTO fd = openat(layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    FD_AUTO upper = openat(c->entry, STORE_UPPER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 || upper < 0 ? err_set(e, ERR_IO, errno, "save as %s", name) : 0;
    const struct tree_dirs dirs = {.upper = upper, .lower = c->lower, .entry = fd};
    if (r == 0)
        r = store_write_meta(fd, &c->meta, e);
    if (r == 0)
        r = tree_store(&dirs, true, c->meta.started_sec, c->meta.started_nsec, &t, e);
    if (r < 0 && fd >= 0) {
        struct err second = {0}; /* the first is the one to tell */
        (void)remove_layer(layers, fd, name, &second);
    }
    return r;
}

int layers_forget(const char *name, struct err *e)
{
    FD_AUTO layers = layers_open(e);
    FD_AUTO fd = layers < 0 ? layers : open_layer(layers, name, e);
    return fd < 0 ? fd : remove_layer(layers, fd, name, e);
}

int layers_begin_with(const char *name, int lower, int entry, uint64_t *ret_since_ns, struct err *e)
{
    static struct store_meta meta;
    struct tree_totals t;
    FD_AUTO layers = layers_open(e);
    FD_AUTO fd = layers < 0 ? layers : open_layer(layers, name, e);
    if (fd < 0)
        return fd;
    int r = store_read_meta(fd, &meta, e);
    if (r < 0)
        return r;
    FD_AUTO upper = openat(fd, STORE_UPPER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0)
        return err_set(e, ERR_IO, errno, "open the layer %s", name);
    const struct tree_dirs dirs = {.upper = upper, .lower = lower, .entry = entry};
    *ret_since_ns = (uint64_t)meta.started_sec * 1000000000 + (uint64_t)meta.started_nsec;
    return tree_store(&dirs, true, meta.started_sec, meta.started_nsec, &t, e);
}
