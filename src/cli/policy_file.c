#include "cli/policy_file.h"
#include <string.h>
int policy_files_add(struct policy_files *files, const char *option, const char *value, struct err *e)
{
    if (value[0] == '\0')
        return err_set(e, ERR_USAGE, 0, "--%s: empty value", option);
    if (files->count == POLICY_FILES_MAX)
        return err_set(e, ERR_USAGE, 0, "--%s: more than %d files", option, POLICY_FILES_MAX);
    files->words[files->count++] = (struct policy_file_word){.option = option, .value = value};
    return 0;
}

int policy_files_apply(const struct policy_files *files, struct policy *p, struct err *e)
{
    (void)p;
    if (files->count)
        return err_set(e, ERR_USAGE, 0, "--%s: files are not read yet", files->words[0].option);
    return 0;
}
