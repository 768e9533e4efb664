/* Vocabularies of characters and of bytes, as transformers.c writes them. */
#include "tokenizer_read.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "formats.h"
#include "json.h"
#include "vocabulary.h"

enum { FILE_MAX = 16 << 20, TOKENS_MAX = 1 << 16 };

/* The byte that stands for a printable character; -1: none does. */
static int byte_of(const char *character, size_t length) {
    dt_text text = {0};
    int found = -1;
    for (int byte = 0; byte < 256 && found < 0; byte++) {
        dt_text_clear(&text);
        if (export_append_bytes(&text, &(const char){(char)byte}, 1) != DT_OK) break;
        if (text.length == length && memcmp(text.bytes, character, length) == 0) found = byte;
    }
    dt_text_destroy(&text);
    return found;
}

/* Replaces the characters of a token by the bytes they stand for; false: some stand for none. */
static bool turn_into_bytes(char *token) {
    char *to = token;
    const char *const end = token + strlen(token);
    for (const char *c = token; c < end;) {
        /* A byte 0 ends the token, which is then empty, as it should. */
        const size_t length = dt_utf8_length(c, (size_t)(end - c));
        const int byte = length ? byte_of(c, length) : -1;
        if (byte < 0) return false;
        *to++ = (char)byte;
        c += length;
    }
    *to = '\0';
    return true;
}

/* By id: each from 0 on, and once. */
static dt_status list_tokens(const char **token, size_t count, const cJSON *vocabulary,
                             bool of_bytes, const char *path) {
    cJSON *item;
    cJSON_ArrayForEach(item, vocabulary) {
        uint64_t id;
        DT_REQUIRE(json_whole(&id, item) && id < count && !token[id], DT_ERR_DATA,
                   "%s: the ids of its %zu tokens are not 0 to %zu", path, count, count - 1);
        DT_REQUIRE(!of_bytes || turn_into_bytes(item->string), DT_ERR_DATA,
                   "%s: token %zu is not written in the characters of byte-level tokenizers", path,
                   (size_t)id);
        token[id] = item->string;
    }
    return DT_OK;
}

static bool is_of_bytes(const cJSON *json) {
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(json, "pre_tokenizer");
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(before, "type"));
    return type && strcmp(type, "ByteLevel") == 0;
}

static dt_status restore(dt_tokenizer **tokenizer, bool of_bytes, const cJSON *json,
                         const char *path) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model");
    const cJSON *vocabulary = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    const int count = cJSON_IsObject(vocabulary) ? cJSON_GetArraySize(vocabulary) : 0;
    const char **token = NULL;
    dt_status status;
    DT_REQUIRE(count > 0 && count <= TOKENS_MAX && cJSON_IsArray(merges), DT_ERR_DATA,
               "%s: its model is no BPE of 1 to %d tokens", path, TOKENS_MAX);
    DT_TRY_DONE(dt_memory_alloc(&token, (size_t)count, sizeof *token, "the vocabulary"));
    DT_TRY_DONE(list_tokens(token, (size_t)count, vocabulary, of_bytes, path));
    status = dt_tokenizer_restore(tokenizer, token, (size_t)count);
done:
    dt_memory_free(&token);
    return status;
}

static bool has_merges(const cJSON *json) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model");
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(model, "merges")) > 0;
}

dt_status tokenizer_read(dt_tokenizer **tokenizer, const char **kind, const char *folder) {
    char path[DT_PATH_MAX];
    cJSON *json = NULL;
    *kind = folder;
    snprintf(path, sizeof path, "%s/" EXPORT_TOKENIZER, folder);
    if (access(path, F_OK) == 0) DT_TRY(json_read(&json, path, FILE_MAX));
    const bool merges = !json || has_merges(json), of_bytes = is_of_bytes(json);
    dt_status status = DT_OK;
    if (!merges) status = restore(tokenizer, of_bytes, json, path);
    cJSON_Delete(json);
    if (merges) return dt_tokenizer_read(tokenizer, folder);
    *kind = of_bytes ? "bytes" : "chars";
    return status;
}
