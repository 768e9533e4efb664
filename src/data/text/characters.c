/* Collects the characters of a text, and makes a vocabulary of them. */
#include "characters.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"

enum {
    CODE_POINTS = 0x110000,
    TOKENS_MAX = 1 << 16 /* that a checkpoint can hold */
};

dt_status dt_characters_create(dt_characters *characters) {
    return dt_memory_alloc(&characters->used, CODE_POINTS, 1, "the characters of a file");
}

void dt_characters_destroy(dt_characters *characters) { dt_memory_free(&characters->used); }

void dt_characters_add(dt_characters *characters, const char *at, size_t length) {
    characters->used[dt_utf8_code(at, length)] = 1;
}

static void put_character(char token[DT_UTF8_SIZE], uint32_t code) {
    const size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; code >>= 6) token[i] = (char)(0x80 | (code & 0x3f));
    token[0] = (char)(first[length] | code);
    token[length] = '\0';
}

dt_status dt_characters_tokenizer(dt_tokenizer **tokenizer, const dt_characters *characters,
                                  const char *path, bool with_end) {
    dt_status status = DT_OK;
    char(*character)[DT_UTF8_SIZE] = NULL;
    const char **token = NULL;
    size_t count = 1, used = 0;
    *tokenizer = NULL;
    for (size_t code = 1; code < CODE_POINTS; code++)
        count += code != '\n' && characters->used[code];
    DT_REQUIRE(count + with_end <= TOKENS_MAX, DT_ERR_DATA,
               "%s has %zu different characters; %d are the most", path, count - 1,
               TOKENS_MAX - 1 - with_end);
    DT_TRY_DONE(dt_memory_alloc(&character, count, sizeof *character, "the vocabulary"));
    DT_TRY_DONE(dt_memory_alloc(&token, count + 1, sizeof *token, "the vocabulary"));
    token[used++] = "\n";
    for (uint32_t code = 1; code < CODE_POINTS; code++) {
        if (!characters->used[code] || code == '\n') continue;
        put_character(character[used], code);
        token[used] = character[used];
        used++;
    }
    if (with_end) token[used++] = DT_END_OF_DOCUMENT;
    DT_TRY_DONE(dt_tokenizer_restore(tokenizer, token, used));
done:
    dt_memory_free(&token);
    dt_memory_free(&character);
    return status;
}

dt_status dt_characters_check(const dt_tokenizer *tokenizer, const dt_line *typed) {
    const size_t known = dt_tokenizer_reach(tokenizer, typed->text, typed->length);
    if (known == typed->length) return DT_OK;
    char character[DT_UTF8_SIZE] = "";
    const size_t length = dt_utf8_length(typed->text + known, typed->length - known);
    memcpy(character, typed->text + known, length);
    dt_utf8_make_printable(character, "");
    DT_LINE_RAISE(DT_ERR_DATA, typed, known,
                  "\"%s\" begins no token of the model's vocabulary: it occurs nowhere in the text "
                  "that it has learned",
                  character);
}
