/* Makes the vocabulary of a running text: its characters, bytes, or a byte-level BPE that is
 * learned from it or read from a file. */
#include "vocabulary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "characters.h"
#include "dtrain/bpe/learn.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "learn.h"

/* Before how many tokens are to be learned. */
static const char LEARNED[] = "bpe:";

bool dt_vocabulary_is_bytes(const dt_config *config) {
    return strcmp(config->tokenizer, "bytes") == 0;
}

static bool is_characters(const dt_config *config) {
    return strcmp(config->tokenizer, "chars") == 0;
}

static bool is_learned(const dt_config *config) {
    return strncmp(config->tokenizer, LEARNED, sizeof LEARNED - 1) == 0;
}

size_t dt_vocabulary_learned(const dt_config *config) {
    if (!is_learned(config)) return 0;
    return strtoul(config->tokenizer + sizeof LEARNED - 1, NULL, 10);
}

static dt_status check_learned(const dt_config *config) {
    const char *number = config->tokenizer + sizeof LEARNED - 1;
    const size_t digits = strspn(number, "0123456789"), tokens = dt_vocabulary_learned(config);
    DT_REQUIRE(
        digits > 0 && digits < 9 && !number[digits] && tokens >= DT_BPE_LEAST &&
            tokens <= DT_BPE_TOKENS_MAX,
        DT_ERR_ARG,
        "--tokenizer %s: behind bpe: stands how many tokens to learn, %d to %d: one for each "
        "byte, one for the end of a document, and more",
        config->tokenizer, DT_BPE_LEAST, DT_BPE_TOKENS_MAX);
    return DT_OK;
}

/* A run that has begun keeps its vocabulary: the file may be gone, so that what may be the name of
 * one is taken. */
dt_status dt_vocabulary_check(const dt_config *config) {
    if (dt_vocabulary_is_bytes(config) || is_characters(config)) return DT_OK;
    if (is_learned(config)) return check_learned(config);
    DT_REQUIRE(config->train_digest[0] || strpbrk(config->tokenizer, "./") ||
                   access(config->tokenizer, R_OK) == 0,
               DT_ERR_ARG,
               "--tokenizer: \"%s\" is none of chars, bytes, bpe:N, and no file or folder",
               config->tokenizer);
    return DT_OK;
}

/* What a text has. */
typedef struct {
    dt_characters characters;
    bool has_zero; /* a byte 0 */
    uint64_t documents;
    char open[DT_UTF8_MAX]; /* the beginning of a character */
    size_t opened;
} survey;

static dt_status raise_byte(const dt_document_piece *piece, uint64_t offset) {
    return dt_documents_raise_byte(piece->path, offset,
                                   "belongs to no text in UTF-8; convert it, for example with "
                                   "iconv, or give --tokenizer bytes");
}

static bool is_character(const char *at, size_t length) { return length > 0 && at[0] != '\0'; }

/* The character that began in the piece before; *used: its bytes in this one. */
static bool take_open(size_t *used, survey *s, const dt_document_piece *piece) {
    char *open = s->open;
    *used = 0;
    while (s->opened < DT_UTF8_MAX && *used < piece->count) {
        open[s->opened++] = piece->bytes[(*used)++];
        const size_t length = dt_utf8_length(open, s->opened);
        if (length == 0) continue;
        dt_characters_add(&s->characters, open, length);
        s->opened = 0;
        return true;
    }
    return s->opened < DT_UTF8_MAX;
}

static dt_status take_characters(survey *s, const dt_document_piece *piece) {
    size_t at = 0;
    const size_t before = s->opened;
    if (before > 0 && !take_open(&at, s, piece)) return raise_byte(piece, piece->offset - before);
    while (at < piece->count) {
        const char *c = piece->bytes + at;
        const size_t left = piece->count - at;
        const size_t length = dt_utf8_length(c, left);
        if (!is_character(c, length)) {
            if (length > 0 || left >= DT_UTF8_MAX) return raise_byte(piece, piece->offset + at);
            memcpy(s->open, c, left);
            s->opened = left;
            return DT_OK;
        }
        dt_characters_add(&s->characters, c, length);
        at += length;
    }
    return DT_OK;
}

/* No character goes on in the next file, document or part. */
static dt_status look_through(survey *s, dt_documents *documents, bool characters) {
    dt_document_piece piece = {0};
    dt_split split = DT_TRAIN;
    uint64_t end = 0;
    const char *path = NULL;
    dt_documents_rewind(documents, "reading the text");
    for (;;) {
        bool found;
        DT_TRY(dt_documents_next(&piece, &found, documents));
        if (s->opened > 0 && (!found || piece.begins || piece.split != split))
            return raise_byte(&(dt_document_piece){.path = path}, end - s->opened);
        if (!found) return DT_OK;
        s->documents += piece.begins;
        split = piece.split;
        path = piece.path;
        end = piece.offset + piece.count;
        if (characters) DT_TRY(take_characters(s, &piece));
        s->has_zero = s->has_zero || memchr(piece.bytes, 0, piece.count);
    }
}

static dt_status create_bytes(dt_tokenizer **tokenizer, const survey *s) {
    char byte[256][2] = {{'\n', '\0'}};
    const char *token[258] = {byte[0]};
    size_t count = 1;
    for (int value = 1; value < 256; value++) {
        if (value == '\n') continue;
        byte[count][0] = (char)value;
        token[count] = byte[count];
        count++;
    }
    if (s->has_zero) token[count++] = "";
    if (s->documents > 1) token[count++] = DT_END_OF_DOCUMENT;
    return dt_tokenizer_restore(tokenizer, token, count);
}

dt_status dt_vocabulary_create(dt_tokenizer **tokenizer, const dt_config *config,
                               dt_documents *documents) {
    survey s = {0};
    dt_status status;
    *tokenizer = NULL;
    DT_TRY_DONE(dt_characters_create(&s.characters));
    /* It stands between prompt and answer where the model learns lines later. */
    dt_characters_add(&s.characters, "\t", 1);
    DT_TRY_DONE(look_through(&s, documents, is_characters(config)));
    if (dt_vocabulary_is_bytes(config)) {
        status = create_bytes(tokenizer, &s);
    } else if (is_characters(config)) {
        status = dt_characters_tokenizer(tokenizer, &s.characters, config->text, s.documents > 1);
    }
done:
    dt_characters_destroy(&s.characters);
    return status;
}

dt_status dt_vocabulary_find(dt_tokenizer **tokenizer, const dt_config *config,
                             dt_documents *documents) {
    static const dt_counters alone = {.ranks = 1};
    const size_t tokens = dt_vocabulary_learned(config);
    return tokens > 0 ? dt_learn_text(tokenizer, documents, tokens, true, &alone)
                      : dt_tokenizer_read(tokenizer, config->tokenizer);
}

dt_status dt_vocabulary_stays(const dt_config *config, const dt_tokenizer *tokenizer) {
    dt_tokenizer *now = NULL;
    if (dt_vocabulary_is_bytes(config) || is_characters(config) || is_learned(config)) return DT_OK;
    const dt_status status = dt_tokenizer_read(&now, config->tokenizer);
    if (status == DT_ERR_NO_INPUT) {
        dt_error_clear();
        return DT_OK;
    }
    DT_TRY(status);
    const bool same = dt_tokenizer_equal(now, tokenizer);
    dt_tokenizer_destroy(&now);
    DT_REQUIRE(same, DT_ERR_DATA,
               "--tokenizer %s has another vocabulary than the run, which keeps its own; put the "
               "file back, or begin another run with --out DIR or --fresh",
               config->tokenizer);
    return DT_OK;
}
