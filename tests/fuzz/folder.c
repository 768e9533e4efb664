/* Files of one input in a folder. */
#include "folder.h"

#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/dtrain-fuzz-XXXXXX";
static const fuzz_file *files;
static size_t file_count;

static void path_of(char path[128], size_t i) {
    snprintf(path, 128, "%s/%s", folder, files[i].name);
}

static void remove_folder(void) {
    char path[128];
    for (size_t i = 0; i < file_count; i++) {
        path_of(path, i);
        unlink(path);
    }
    rmdir(folder);
}

void fuzz_folder_open(const fuzz_file *file, size_t count) {
    files = file;
    file_count = count;
    MUST(mkdtemp(folder));
    atexit(remove_folder);
}

void fuzz_folder_fill(const uint8_t *data, size_t size) {
    char path[128];
    for (size_t i = 0; i < file_count; i++) {
        const uint8_t *end = size && i + 1 < file_count ? memchr(data, 0x1e, size) : NULL;
        const size_t length = end ? (size_t)(end - data) : size;
        path_of(path, i);
        unlink(path);
        if (length > 0 || files[i].always) {
            FILE *file = fopen(path, "wb");
            MUST(file && fwrite(data, 1, length, file) == length && fclose(file) == 0);
        }
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
}

const char *fuzz_folder(void) { return folder; }
