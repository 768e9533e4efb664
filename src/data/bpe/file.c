/* Finds the files of a BPE, and reads them. */
#include "dtrain/bpe/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "dtrain/core/memory.h"

enum { PATH_SIZE = 4096 };
/* More than any vocabulary takes. */
#define SIZE_MOST (UINT64_C(64) << 20)

static const char JSON[] = "tokenizer.json", VOCAB[] = "vocab.json", MERGES[] = "merges.txt";

/* The bytes of a file, a NUL behind them. */
static dt_status read_whole(char **text, size_t *size, const char *path) {
    struct stat info;
    *text = NULL;
    FILE *file = fopen(path, "rb");
    DT_REQUIRE(file, DT_ERR_NO_INPUT, "%s cannot be opened: %s", path, strerror(errno));
    dt_status status = DT_OK;
    DT_REQUIRE_DONE(fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode), DT_ERR_NO_INPUT,
                    "%s is no file", path);
    DT_REQUIRE_DONE((uint64_t)info.st_size <= SIZE_MOST, DT_ERR_DATA,
                    "%s has %llu bytes; no tokenizer has so many", path,
                    (unsigned long long)info.st_size);
    DT_TRY_DONE(dt_memory_alloc(text, (size_t)info.st_size + 1, 1, "a tokenizer's file"));
    *size = fread(*text, 1, (size_t)info.st_size, file);
    DT_REQUIRE_DONE(!ferror(file) && *size == (size_t)info.st_size, DT_ERR_IO,
                    "%s cannot be read to its end", path);
done:
    (void)fclose(file); /* nothing was written */
    if (status != DT_OK) dt_memory_free(text);
    return status;
}

static dt_status read_json(dt_bpe **bpe, const char *path) {
    char *text;
    size_t size = 0;
    DT_TRY(read_whole(&text, &size, path));
    const dt_status status = dt_bpe_parse(bpe, text, size, path);
    dt_memory_free(&text);
    return status;
}

static dt_status read_pair(dt_bpe **bpe, const char *vocab_path, const char *merges_path) {
    char *vocab = NULL, *merges = NULL;
    size_t vocab_size = 0, merges_size = 0;
    dt_status status;
    DT_TRY_DONE(read_whole(&vocab, &vocab_size, vocab_path));
    DT_TRY_DONE(read_whole(&merges, &merges_size, merges_path));
    DT_TRY_DONE(dt_bpe_parse_pair(bpe, vocab, vocab_size, merges, merges_size, vocab_path));
done:
    dt_memory_free(&vocab);
    dt_memory_free(&merges);
    return status;
}

static bool is_there(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

static dt_status join(char path[PATH_SIZE], const char *folder, size_t length, const char *name) {
    const int written = snprintf(path, PATH_SIZE, "%.*s%s%s", (int)length, folder,
                                 length > 0 && folder[length - 1] != '/' ? "/" : "", name);
    DT_REQUIRE(written > 0 && written < PATH_SIZE, DT_ERR_ARG, "%s: the name is too long", folder);
    return DT_OK;
}

dt_status dt_bpe_read(dt_bpe **bpe, const char *path) {
    struct stat info;
    char json[PATH_SIZE], vocab[PATH_SIZE], merges[PATH_SIZE];
    *bpe = NULL;
    DT_REQUIRE(stat(path, &info) == 0, DT_ERR_NO_INPUT, "%s cannot be opened: %s", path,
               strerror(errno));
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    const bool folder = S_ISDIR(info.st_mode);
    const size_t above = folder ? strlen(path) : (size_t)(file - path);
    DT_TRY(join(json, path, above, JSON));
    DT_TRY(join(vocab, path, above, VOCAB));
    DT_TRY(join(merges, path, above, MERGES));
    if (!folder && strcmp(file, VOCAB) != 0 && strcmp(file, MERGES) != 0)
        return read_json(bpe, path);
    if (folder && is_there(json)) return read_json(bpe, json);
    DT_REQUIRE(is_there(vocab) && is_there(merges), DT_ERR_NO_INPUT,
               "%s: there is neither %s nor %s beside %s", path, JSON, VOCAB, MERGES);
    return read_pair(bpe, vocab, merges);
}
