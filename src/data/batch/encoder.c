/* Text to token ids, piece by piece. Where each token is one character, as is usual, or one byte, a
 * table has them; otherwise the longest token that fits is looked up, or words are merged by BPE.
 */
#include "dtrain/data/encoder.h"

#include <inttypes.h>
#include <string.h>

#include "dtrain/bpe/bpe.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"

enum { CODE_POINTS = 0x110000 };

/* What is read at a time. */
typedef enum { UNIT_BYTE, UNIT_CHARACTER, UNIT_LONGEST, UNIT_WORD } unit;

struct dt_encoder {
    const dt_tokenizer *tokenizer;
    unit unit;
    int32_t *table; /* ids by byte or code point; -1: none */
    size_t longest; /* bytes of the longest token */
    char *rest;     /* what is left of the last piece, and then as much of the next */
    size_t left;    /* bytes in it */
    size_t room;    /* of it */
    uint64_t taken;
};

/* ---- ids ---- */

static dt_status reserve(dt_ids *ids, size_t more) {
    return dt_memory_grow(&ids->id, &ids->capacity, ids->count + more, sizeof *ids->id, "tokens");
}

dt_status dt_ids_append(dt_ids *ids, int32_t id) {
    DT_TRY(reserve(ids, 1));
    ids->id[ids->count++] = id;
    return DT_OK;
}

void dt_ids_destroy(dt_ids *ids) {
    dt_memory_free(&ids->id);
    *ids = (dt_ids){0};
}

/* ---- what a vocabulary needs ---- */

static bool is_character(dt_span token) {
    return token.at[0] != '\0' && dt_utf8_length(token.at, token.count) == token.count;
}

static unit unit_of(const dt_tokenizer *tokenizer) {
    bool bytes = true, characters = true;
    if (dt_tokenizer_bpe(tokenizer)) return UNIT_WORD;
    for (size_t i = 0; i < dt_tokenizer_size(tokenizer); i++) {
        if ((int32_t)i == dt_tokenizer_end(tokenizer)) continue;
        const dt_span token = dt_tokenizer_bytes(tokenizer, (int32_t)i);
        bytes = bytes && token.count == 1;
        characters = characters && is_character(token);
    }
    return bytes ? UNIT_BYTE : characters ? UNIT_CHARACTER : UNIT_LONGEST;
}

static dt_status fill_table(dt_encoder *e) {
    const size_t entries = e->unit == UNIT_BYTE ? 256 : CODE_POINTS;
    DT_TRY(dt_memory_alloc(&e->table, entries, sizeof *e->table, "the vocabulary"));
    for (size_t i = 0; i < entries; i++) e->table[i] = -1;
    for (size_t i = 0; i < dt_tokenizer_size(e->tokenizer); i++) {
        if ((int32_t)i == dt_tokenizer_end(e->tokenizer)) continue;
        const dt_span token = dt_tokenizer_bytes(e->tokenizer, (int32_t)i);
        const size_t at =
            e->unit == UNIT_BYTE ? (unsigned char)token.at[0] : dt_utf8_code(token.at, token.count);
        e->table[at] = (int32_t)i;
    }
    return DT_OK;
}

static dt_status prepare(dt_encoder *e) {
    e->unit = unit_of(e->tokenizer);
    if (e->unit == UNIT_WORD) return DT_OK;
    e->longest = e->unit == UNIT_BYTE ? 1 : DT_UTF8_MAX;
    for (size_t i = 0; e->unit == UNIT_LONGEST && i < dt_tokenizer_size(e->tokenizer); i++) {
        const size_t length = dt_tokenizer_bytes(e->tokenizer, (int32_t)i).count;
        e->longest = dt_max_size(e->longest, length);
    }
    DT_TRY(dt_memory_alloc(&e->rest, 2 * e->longest, 1, "a part of a token"));
    return e->unit == UNIT_LONGEST ? DT_OK : fill_table(e);
}

dt_status dt_encoder_create(dt_encoder **encoder, const dt_tokenizer *tokenizer) {
    DT_TRY(dt_memory_alloc(encoder, 1, sizeof **encoder, "the encoder"));
    (*encoder)->tokenizer = tokenizer;
    const dt_status status = prepare(*encoder);
    if (status != DT_OK) dt_encoder_destroy(encoder);
    return status;
}

void dt_encoder_destroy(dt_encoder **encoder) {
    if (!*encoder) return;
    dt_memory_free(&(*encoder)->table);
    dt_memory_free(&(*encoder)->rest);
    dt_memory_free(encoder);
}

/* ---- encoding ---- */

/* The token that these bytes begin with, and its length; -1: none. */
static int32_t find_token(size_t *length, const dt_encoder *e, const char *at, size_t left) {
    if (e->unit == UNIT_BYTE) {
        *length = 1;
        return e->table[(unsigned char)*at];
    }
    if (e->unit == UNIT_CHARACTER) {
        *length = (unsigned char)*at < 0x80 ? 1 : dt_utf8_length(at, left);
        return *length ? e->table[dt_utf8_code(at, *length)] : -1;
    }
    const int32_t id = dt_tokenizer_match(length, e->tokenizer, at, left);
    if (id < 0 || id != dt_tokenizer_end(e->tokenizer)) return id;
    return dt_tokenizer_match(length, e->tokenizer, at, *length - 1);
}

/* Tokens that begin in the first `wanted` bytes. *used: bytes up to their end. */
static dt_status encode(size_t *used, dt_encoder *e, const char *bytes, size_t count, size_t wanted,
                        dt_ids *ids) {
    size_t at = 0;
    DT_TRY(reserve(ids, wanted));
    int32_t *next = ids->id + ids->count;
    int32_t id = 0;
    while (at < wanted) {
        size_t length;
        id = find_token(&length, e, bytes + at, count - at);
        if (id < 0) break;
        *next++ = id;
        at += length;
    }
    ids->count = (size_t)(next - ids->id);
    e->taken += at;
    *used = at;
    if (id >= 0) return DT_OK;
    char shown[DT_UTF8_SIZE] = "";
    const size_t length = dt_utf8_length(bytes + at, count - at);
    memcpy(shown, bytes + at, length);
    dt_utf8_make_printable(shown, "");
    DT_RAISE(DT_ERR_DATA,
             "\"%s\" (0x%02x) begins no token of the vocabulary: it occurs nowhere in the text "
             "that the vocabulary was made from",
             shown, (unsigned)(unsigned char)bytes[at]);
}

/* What was left of the last piece, together with the beginning of this one. *used: of this one. */
static dt_status encode_rest(size_t *used, dt_encoder *e, const char *bytes, size_t count,
                             bool last, dt_ids *ids) {
    const size_t before = e->left, more = dt_min_size(count, e->longest), all = before + more;
    const bool ends = last && more == count;
    memcpy(e->rest + before, bytes, more);
    if (!ends && all < e->longest) {
        e->left = all;
        *used = count;
        return DT_OK;
    }
    const size_t sure = ends ? all : all - (e->longest - 1);
    size_t taken;
    *used = 0;
    DT_TRY(encode(&taken, e, e->rest, all, dt_min_size(sure, before), ids));
    if (taken < before) { /* the piece was shorter than what a token may lack */
        memmove(e->rest, e->rest + taken, all - taken);
        e->left = all - taken;
        *used = more;
        return DT_OK;
    }
    e->left = 0;
    *used = taken - before;
    return DT_OK;
}

/* The last word waits for what follows. */
static dt_status encode_words(dt_encoder *e, const char *bytes, size_t count, bool last,
                              dt_ids *ids) {
    const dt_bpe *bpe = dt_tokenizer_bpe(e->tokenizer);
    const size_t all = e->left + count;
    size_t made;
    DT_TRY(dt_memory_grow(&e->rest, &e->room, all + 1, 1, "a part of a text"));
    memcpy(e->rest + e->left, bytes, count);
    const size_t sure = last ? all : dt_bpe_settled(bpe, e->rest, all, false);
    DT_TRY(reserve(ids, sure));
    DT_TRY(dt_bpe_encode(ids->id + ids->count, sure, &made, bpe, e->rest, sure, false));
    ids->count += made;
    e->taken = last ? 0 : e->taken + sure;
    e->left = all - sure;
    memmove(e->rest, e->rest + sure, e->left);
    return DT_OK;
}

dt_status dt_encoder_feed(dt_encoder *e, const char *bytes, size_t count, bool last, dt_ids *ids) {
    size_t at = 0;
    if (e->unit == UNIT_WORD) return encode_words(e, bytes, count, last, ids);
    if (e->left > 0) DT_TRY(encode_rest(&at, e, bytes, count, last, ids));
    if (e->left == 0) {
        const size_t left = count - at, open = last ? 0 : e->longest - 1;
        size_t used = 0;
        if (left > open) DT_TRY(encode(&used, e, bytes + at, left, left - open, ids));
        e->left = left - used;
        memcpy(e->rest, bytes + at + used, e->left);
    }
    if (last) e->left = 0, e->taken = 0;
    return DT_OK;
}

uint64_t dt_encoder_taken(const dt_encoder *e) { return e->taken; }
