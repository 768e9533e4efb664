/* Text to token ids and back. Either tokens are strings of any length, of which the longest that
 * fits is taken, or a byte-level BPE has them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/bpe/file.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/digits.h"
#include "dtrain/data/tokenizer.h"

/* A token as encoding looks it up: those that begin with the same byte stand together, the longest
 * first. */
typedef struct {
    const char *token;
    size_t length;
    int32_t id;
} candidate;

struct dt_tokenizer {
    dt_bpe *bpe; /* NULL: the tokens are strings */
    size_t count;
    char *strings; /* all tokens, each ended by NUL */
    char **token;  /* (count) into strings, by id */
    candidate *sorted;
    size_t first[256 + 1]; /* candidates that begin with byte c: sorted[first[c] … first[c + 1]) */
    bool has_letters;      /* letters may be digits, or parts of numbers */
    int32_t end;           /* of a document; -1: there is none */
    bool has_marks;        /* a start mark stands before each number */
    bool has_signs;        /* another one before those that are negative */
};

static int compare_candidates(const void *x, const void *y) {
    const candidate *a = x, *b = y;
    const unsigned char byte_a = (unsigned char)a->token[0], byte_b = (unsigned char)b->token[0];
    if (byte_a != byte_b) return byte_a < byte_b ? -1 : 1;
    if (a->length != b->length) return a->length > b->length ? -1 : 1;
    return memcmp(a->token, b->token, a->length);
}

/* Byte 0 is kept as an empty string, whose end is that byte. */
static size_t length_of(const char *token) { return token[0] ? strlen(token) : 1; }

/* Sort what encoding looks up, and see that no token stands twice. */
static dt_status index_tokens(dt_tokenizer *tokenizer) {
    candidate *sorted = tokenizer->sorted;
    for (size_t i = 0; i < tokenizer->count; i++) {
        const char *token = tokenizer->token[i];
        sorted[i] = (candidate){token, length_of(token), (int32_t)i};
        if (strcmp(token, DT_END_OF_DOCUMENT) == 0) tokenizer->end = (int32_t)i;
    }
    qsort(sorted, tokenizer->count, sizeof *sorted, compare_candidates);
    for (size_t i = 0; i < tokenizer->count; i++) {
        DT_REQUIRE(i == 0 || compare_candidates(&sorted[i - 1], &sorted[i]) != 0, DT_ERR_DATA,
                   "vocabulary: tokens %" PRId32 " and %" PRId32 " are both \"%s\"",
                   sorted[i - 1].id, sorted[i].id, sorted[i].token);
        tokenizer->first[(unsigned char)sorted[i].token[0] + 1]++;
    }
    for (size_t c = 0; c < 256; c++) tokenizer->first[c + 1] += tokenizer->first[c];
    return DT_OK;
}

/* The vocabulary of a working: texts that end with '$', and all letters that are digits or stand
 * between two digits. */
static bool has_letters(const dt_tokenizer *tokenizer) {
    static const char letters[] = "abcdefghijklmnopqstKLMNOPQRST";
    bool has = strcmp(tokenizer->token[0], "$") == 0;
    for (const char *letter = letters; *letter && has; letter++) {
        const unsigned char byte = (unsigned char)*letter;
        const size_t next = tokenizer->first[byte + 1];
        has = next > tokenizer->first[byte] && tokenizer->sorted[next - 1].length == 1;
    }
    return has;
}

/* The vocabulary of problems with start marks: other vocabularies with that character are those of
 * texts, where it is a character like others. */
static bool has_mark(const dt_tokenizer *tokenizer, unsigned char mark) {
    const size_t next = tokenizer->first[mark + 1];
    return strcmp(tokenizer->token[0], "$") == 0 && next > tokenizer->first[mark] &&
           tokenizer->sorted[next - 1].length == 1;
}

dt_status dt_tokenizer_restore(dt_tokenizer **tokenizer, const char *const *token, size_t count) {
    dt_status status = DT_OK;
    dt_tokenizer *made = NULL;
    size_t bytes = 0;
    *tokenizer = NULL;
    DT_REQUIRE(count > 0 && count <= INT32_MAX, DT_ERR_DATA,
               "vocabulary: %zu tokens, where at least one and less than 2^31 make sense", count);
    for (size_t i = 0; i < count; i++) {
        DT_REQUIRE(token[i], DT_ERR_DATA, "vocabulary: token %zu is missing", i);
        bytes += strlen(token[i]) + 1;
    }
    DT_TRY_DONE(dt_memory_alloc(&made, 1, sizeof *made, "the tokenizer"));
    made->count = count;
    made->end = -1;
    DT_TRY_DONE(dt_memory_alloc(&made->strings, bytes, 1, "token strings"));
    DT_TRY_DONE(dt_memory_alloc(&made->token, count, sizeof *made->token, "tokens"));
    DT_TRY_DONE(dt_memory_alloc(&made->sorted, count, sizeof *made->sorted, "sorted tokens"));
    char *end = made->strings;
    for (size_t i = 0; i < count; i++) {
        made->token[i] = end;
        end = stpcpy(end, token[i]) + 1;
    }
    DT_TRY_DONE(index_tokens(made));
    made->has_letters = has_letters(made);
    made->has_marks = has_mark(made, DT_NUMBER_MARK);
    made->has_signs = made->has_marks && has_mark(made, DT_NEGATIVE_MARK);
    *tokenizer = made;
    made = NULL;
done:
    dt_tokenizer_destroy(&made);
    return status;
}

dt_status dt_tokenizer_from_bpe(dt_tokenizer **tokenizer, dt_bpe **bpe) {
    const dt_status status = dt_memory_alloc(tokenizer, 1, sizeof **tokenizer, "the tokenizer");
    if (status == DT_OK) {
        (*tokenizer)->count = dt_bpe_about(*bpe).tokens;
        (*tokenizer)->end = dt_bpe_find_added(*bpe, DT_END_OF_DOCUMENT);
        (*tokenizer)->bpe = *bpe;
        *bpe = NULL;
    }
    dt_bpe_destroy(bpe);
    return status;
}

dt_status dt_tokenizer_read(dt_tokenizer **tokenizer, const char *path) {
    dt_bpe *bpe;
    *tokenizer = NULL;
    DT_TRY(dt_bpe_read(&bpe, path));
    return dt_tokenizer_from_bpe(tokenizer, &bpe);
}

void dt_tokenizer_destroy(dt_tokenizer **tokenizer) {
    if (!*tokenizer) return;
    dt_bpe_destroy(&(*tokenizer)->bpe);
    dt_memory_free(&(*tokenizer)->sorted);
    dt_memory_free(&(*tokenizer)->token);
    dt_memory_free(&(*tokenizer)->strings);
    dt_memory_free(tokenizer);
}

const dt_bpe *dt_tokenizer_bpe(const dt_tokenizer *tokenizer) { return tokenizer->bpe; }

size_t dt_tokenizer_size(const dt_tokenizer *tokenizer) { return tokenizer->count; }

dt_span dt_tokenizer_bytes(const dt_tokenizer *tokenizer, int32_t id) {
    dt_span bytes = {NULL, 0};
    if (id < 0 || (size_t)id >= tokenizer->count) return bytes;
    if (tokenizer->bpe) {
        bytes.at = dt_bpe_bytes(&bytes.count, tokenizer->bpe, id);
    } else {
        bytes = (dt_span){tokenizer->token[id], length_of(tokenizer->token[id])};
    }
    return bytes;
}

const char *dt_tokenizer_token(const dt_tokenizer *tokenizer, int32_t id) {
    return dt_tokenizer_bytes(tokenizer, id).at;
}

static bool is_mark(const dt_tokenizer *tokenizer, char character) {
    return (character == DT_NUMBER_MARK && tokenizer->has_marks) ||
           (character == DT_NEGATIVE_MARK && tokenizer->has_signs);
}

bool dt_tokenizer_is_mark(const dt_tokenizer *tokenizer, int32_t id) {
    const char *token = dt_tokenizer_token(tokenizer, id);
    return token && token[0] && !token[1] && is_mark(tokenizer, token[0]);
}

int32_t dt_tokenizer_end(const dt_tokenizer *tokenizer) { return tokenizer->end; }

bool dt_tokenizer_equal(const dt_tokenizer *x, const dt_tokenizer *y) {
    if (x->count != y->count || !x->bpe != !y->bpe) return false;
    if (x->bpe) return dt_bpe_equal(x->bpe, y->bpe);
    for (size_t i = 0; i < x->count; i++) {
        if (strcmp(x->token[i], y->token[i]) != 0) return false;
    }
    return true;
}

/* The longest token that a text begins with; NULL if there is none. */
static const candidate *longest_match(const dt_tokenizer *tokenizer, const char *text,
                                      size_t length) {
    const unsigned char byte = (unsigned char)text[0];
    for (size_t i = tokenizer->first[byte]; i < tokenizer->first[byte + 1]; i++) {
        const candidate *known = &tokenizer->sorted[i];
        if (known->length <= length && memcmp(text, known->token, known->length) == 0) return known;
    }
    return NULL;
}

dt_status dt_tokenizer_encode(int32_t *id, size_t capacity, size_t *count,
                              const dt_tokenizer *tokenizer, const char *text, size_t length) {
    size_t written = 0;
    const char *const end = text + length;
    if (tokenizer->bpe)
        return dt_bpe_encode(id, capacity, count, tokenizer->bpe, text, length, true);
    for (const char *at = text; at < end;) {
        const candidate *found = longest_match(tokenizer, at, (size_t)(end - at));
        DT_REQUIRE(found, DT_ERR_DATA,
                   "\"%.*s\": byte %zu (0x%02x) begins no token of this vocabulary",
                   (int)dt_min_size(length, 60), text, (size_t)(at - text) + 1,
                   (unsigned)(unsigned char)*at);
        DT_REQUIRE(written < capacity, DT_ERR_INTERNAL,
                   "\"%.*s\" has more than the %zu tokens there is room for",
                   (int)dt_min_size(length, 60), text, capacity);
        id[written++] = found->id;
        at += found->length;
    }
    *count = written;
    return DT_OK;
}

static dt_status store_bpe(dt_text *bytes, const dt_bpe *bpe) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    DT_REQUIRE(out, DT_ERR_MEMORY, "out of memory: the vocabulary");
    dt_bpe_write(out, bpe);
    const bool failed = ferror(out);
    dt_status status = fclose(out) == 0 && !failed ? DT_OK : DT_ERR_MEMORY;
    if (status == DT_OK) {
        status = dt_text_append(bytes, text, size);
    } else {
        status = dt_error_raise(status, __FILE__, __LINE__, "out of memory: the vocabulary");
    }
    free(text);
    return status;
}

dt_status dt_tokenizer_store(dt_text *bytes, const dt_tokenizer *tokenizer) {
    if (tokenizer->bpe) return store_bpe(bytes, tokenizer->bpe);
    for (size_t i = 0; i < tokenizer->count; i++)
        DT_TRY(dt_text_append(bytes, tokenizer->token[i], strlen(tokenizer->token[i]) + 1));
    return DT_OK;
}

static dt_status load_bpe(dt_tokenizer **tokenizer, const char *text, size_t size) {
    dt_bpe *bpe;
    DT_TRY(dt_bpe_parse(&bpe, text, size, "the vocabulary"));
    return dt_tokenizer_from_bpe(tokenizer, &bpe);
}

/* Strings end with NUL, and a tokenizer.json has none. */
dt_status dt_tokenizer_load(dt_tokenizer **tokenizer, const char *bytes, size_t size) {
    const char **token = NULL;
    size_t count = 0;
    dt_status status;
    *tokenizer = NULL;
    DT_REQUIRE(size > 0, DT_ERR_DATA, "a vocabulary is empty");
    if (bytes[size - 1] != '\0') return load_bpe(tokenizer, bytes, size);
    for (size_t at = 0; at < size; at += strlen(bytes + at) + 1) count++;
    DT_TRY_DONE(dt_memory_alloc(&token, count, sizeof *token, "the vocabulary"));
    for (size_t i = 0, at = 0; i < count; at += strlen(bytes + at) + 1) token[i++] = bytes + at;
    DT_TRY_DONE(dt_tokenizer_restore(tokenizer, token, count));
done:
    dt_memory_free(&token);
    return status;
}

size_t dt_tokenizer_reach(const dt_tokenizer *tokenizer, const char *text, size_t length) {
    size_t at = 0;
    if (tokenizer->bpe) return length;
    while (at < length) {
        const candidate *found = longest_match(tokenizer, text + at, length - at);
        if (!found) break;
        at += found->length;
    }
    return at;
}

int32_t dt_tokenizer_match(size_t *length, const dt_tokenizer *tokenizer, const char *at,
                           size_t left) {
    const candidate *found = longest_match(tokenizer, at, left);
    *length = found ? found->length : 0;
    return found ? found->id : -1;
}

dt_status dt_tokenizer_decode(dt_text *text, const dt_tokenizer *tokenizer, const int32_t *id,
                              size_t count) {
    DT_TRY(dt_text_reserve(text, 0));
    for (size_t i = 0; i < count; i++) {
        const dt_span token = dt_tokenizer_bytes(tokenizer, id[i]);
        DT_REQUIRE(token.at, DT_ERR_DATA,
                   "token id %" PRId32 " is none of the vocabulary's 0 to %zu", id[i],
                   tokenizer->count - 1);
        DT_TRY(dt_text_append(text, token.at, token.count));
    }
    return DT_OK;
}

/* The character that a token is to a number; letters count where they may be digits. In a word of a
   question one may pass for a digit and have a place, which does no harm. */
static char character_of(const dt_tokenizer *tokenizer, const char *token) {
    if (!token || token[1] != '\0') return '\0';
    const bool digit = token[0] >= '0' && token[0] <= '9';
    const bool point = token[0] == '.' && tokenizer->has_signs;
    return digit || point || is_mark(tokenizer, token[0]) || tokenizer->has_letters ? token[0]
                                                                                    : '\0';
}

static int32_t spot_of(int32_t place, int32_t letter, bool of_number) {
    const int32_t spot = place > 0 ? place + letter * (1 << 16) : 0;
    return of_number ? spot : -spot;
}

void dt_tokenizer_places(int32_t *position, int32_t *place, int32_t *spot,
                         const dt_tokenizer *tokenizer, const int32_t *id, size_t count) {
    const bool calculation = tokenizer->has_signs;
    dt_digit_run run = {.marked = tokenizer->has_marks, .is_signed = calculation};
    int32_t before = 0, letter = 0, next_letter = 0;
    bool below = false; /* the fraction's line */
    for (size_t i = 0; i < count; i++) {
        const size_t digits = run.digits;
        const char character = character_of(tokenizer, dt_tokenizer_token(tokenizer, id[i]));
        const dt_character_kind kind = dt_digit_run_take(&run, character);
        place[i] = kind == DT_DIGIT || digits > 0 ? (int32_t)digits + 1 : 0;
        if (place[i] == 1) letter = next_letter; /* a number begins */
        next_letter = calculation && kind == DT_OUTSIDE && character >= 'a' && character <= 'i'
                          ? character - 'a' + 1
                          : 0;
        if (spot) spot[i] = spot_of(place[i], letter, kind != DT_OUTSIDE);
        position[i] = calculation ? 2 * before + (below && kind != DT_OUTSIDE) : before;
        if (kind != DT_OUTSIDE) continue;
        const bool of_value = calculation && digits > 0 && (character == ':' || character == '%');
        below = of_value && character == ':';
        if (calculation && id[i] == 0)
            before = 0; /* behind the end of a line */
        else
            before += !of_value;
    }
}
