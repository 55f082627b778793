/* replay: stands in for libFuzzer where only the corpus is to be run: each file given (or in a folder given)
 * goes through the target once.
 *
 * Lives in: test programs. Trusts: the corpus folder. May: read files, print. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    /* Exactly as large as the input, so that ASan sees one byte too many. */
    static uint8_t whole[INPUT_MAX];
    size_t size;
    uint8_t *copy;

    if (!file)
        return perror(path), 1;
    size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    copy = malloc(size ? size : 1);
    if (!copy)
        return 1;
    for (size_t i = 0; i < size; i++)
        copy[i] = whole[i];
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int run_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[4096];
    int bad = 0;

    if (!dir)
        return perror(path), 1;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name)
            bad |= run_file(name);
    }
    closedir(dir);
    return bad;
}

int main(int argc, char **argv)
{
    struct stat st;
    int bad = 0;

    for (int i = 1; i < argc; i++)
        bad |= stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
    return bad;
}
