/* options_fuzz: a command line, its words separated by NULs. Checks that a policy that is taken can be shown, and that
 * errors are safe to show. Options that name files are left out: no target reads what the input names. */
#include "cli/options.h"
#include "policy/fields.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 64

static void show(const struct policy *p)
{
    size_t room = policy_text_size(p);
    char *text = malloc(room), hash[POLICY_HASH_MAX];
    struct sbuf b = {.text = text, .size = room};

    policy_text(p, &b);
    CHECK(!b.full);
    b.len = 0;
    policy_explain(p, &b);
    CHECK(!b.full);
    policy_hash(p, hash);
    free(text);
}

static bool names_a_file(const char *word)
{
    for (size_t i = 0; i < field_count; i++)
        if (fields[i].flags & FIELD_CLI_ONLY && word[0] == '-' && word[1] == '-' &&
            strncmp(word + 2, fields[i].name, strlen(fields[i].name)) == 0)
            return true;
    return word[0] == '-' && word[1] != '-' && strchr(word, 'p');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1), *argv[WORDS_MAX + 2];
    struct run_options o;
    struct err e = {0};
    char verb[] = "run";
    int argc = 1;

    memcpy(copy, data, size);
    copy[size] = '\0';
    argv[0] = verb;
    for (size_t at = 0; at < size && argc <= WORDS_MAX; at += strlen(copy + at) + 1)
        if (!names_a_file(copy + at))
            argv[argc++] = copy + at;
    argv[argc] = NULL;
    if (options_parse(argc, argv, &o, &e) == 0) {
        if (o.policy)
            show(o.policy);
        options_free(&o);
    } else {
        CHECK(e.kind != ERR_NONE && e.text[0]);
        CHECK(!strpbrk(e.text, "\n\r\x1b"));
        CHECK(!strpbrk(e.hint, "\n\r\x1b"));
    }
    free(copy);
    return 0;
}
