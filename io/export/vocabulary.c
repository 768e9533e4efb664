/* Characters and bytes as byte-level BPE. */
#include "vocabulary.h"

#include <string.h>

#include "dtrain/bpe/bpe.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"

dt_status export_vocabulary_find(export_vocabulary *kind, const dt_tokenizer *tokenizer) {
    *kind = dt_tokenizer_bpe(tokenizer) ? EXPORT_BPE : EXPORT_CHARACTERS;
    if (*kind == EXPORT_BPE) return DT_OK;
    for (size_t i = 0; i < dt_tokenizer_size(tokenizer); i++) {
        const dt_span token = dt_tokenizer_bytes(tokenizer, (int32_t)i);
        if ((int32_t)i == dt_tokenizer_end(tokenizer)) continue;
        if (token.at[0] && dt_utf8_length(token.at, token.count) == token.count) continue;
        DT_REQUIRE(token.count == 1, DT_ERR_ARG,
                   "token %zu of the vocabulary, \"%.*s\", is more than a character; no format has "
                   "such vocabularies",
                   i, (int)token.count, token.at);
        *kind = EXPORT_BYTES;
    }
    return DT_OK;
}

/* Printable bytes of Latin-1 stand for themselves, the others for U+0100 and on, in their order.
 * Source: bytes_to_unicode in openai/gpt-2, encoder.py. */
static unsigned character_of(unsigned char byte) {
    unsigned others = 0;
    for (unsigned b = 0; b <= byte; b++) {
        const bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad);
        if (b == byte && printable) return b;
        others += !printable;
    }
    return 0x100 + others - 1;
}

dt_status export_append_bytes(dt_text *text, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const unsigned code = character_of((unsigned char)bytes[i]);
        const char character[] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))};
        const char ascii = (char)code;
        DT_TRY(code < 0x80 ? dt_text_append(text, &ascii, 1)
                           : dt_text_append(text, character, sizeof character));
    }
    return DT_OK;
}

typedef struct {
    char *known; /* (capacity) prefixes that have a merge, each of DT_UTF8_SIZE bytes */
    size_t count, capacity;
} prefixes;

/* Whether a prefix is new; it is known afterwards. Characters come in the order of their code
 * points, or nearly so, and the last prefix of each length is the likely one. */
static dt_status take_prefix(bool *is_new, prefixes *p, const char *bytes, size_t length) {
    char prefix[DT_UTF8_SIZE] = "";
    memcpy(prefix, bytes, length);
    *is_new = false;
    for (size_t i = p->count; i-- > 0;) {
        if (memcmp(p->known + i * DT_UTF8_SIZE, prefix, DT_UTF8_SIZE) == 0) return DT_OK;
    }
    DT_TRY(dt_memory_grow(&p->known, &p->capacity, (p->count + 1) * DT_UTF8_SIZE, 1,
                          "merges of characters"));
    memcpy(p->known + p->count++ * DT_UTF8_SIZE, prefix, DT_UTF8_SIZE);
    *is_new = true;
    return DT_OK;
}

static dt_status visit_character(dt_text *merge, prefixes *p, const char *bytes, size_t length,
                                 export_merge_visitor *visit, void *context) {
    for (size_t before = 1; before < length; before++) {
        bool is_new = true;
        /* Whole characters differ. */
        if (before + 1 < length) DT_TRY(take_prefix(&is_new, p, bytes, before + 1));
        if (!is_new) continue;
        dt_text_clear(merge);
        DT_TRY(export_append_bytes(merge, bytes, before));
        DT_TRY(dt_text_append(merge, " ", 1));
        DT_TRY(export_append_bytes(merge, bytes + before, 1));
        DT_TRY(visit(context, merge->bytes));
    }
    return DT_OK;
}

static dt_status visit_bpe(const dt_bpe_parts *parts, export_merge_visitor *visit, void *context) {
    dt_text merge = {0};
    dt_status status = DT_OK;
    for (size_t i = 0; i < parts->merges && status == DT_OK; i++) {
        dt_text_clear(&merge);
        status = dt_text_format(&merge, "%s %s", parts->token[parts->merge[i].left],
                                parts->token[parts->merge[i].right]);
        if (status == DT_OK) status = visit(context, merge.bytes);
    }
    dt_text_destroy(&merge);
    return status;
}

dt_status export_append_token(dt_text *text, const dt_tokenizer *tokenizer, int32_t id) {
    const dt_bpe *bpe = dt_tokenizer_bpe(tokenizer);
    const dt_span bytes = dt_tokenizer_bytes(tokenizer, id);
    if (!bpe) return export_append_bytes(text, bytes.at, bytes.count);
    const char *spelled = dt_bpe_about(bpe).token[id];
    return dt_text_append(text, spelled, strlen(spelled));
}

export_token_type export_token_type_of(const dt_tokenizer *tokenizer, int32_t id) {
    const dt_bpe *bpe = dt_tokenizer_bpe(tokenizer);
    if (!bpe) return id == dt_tokenizer_end(tokenizer) ? EXPORT_CONTROL : EXPORT_NORMAL;
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    for (size_t i = 0; i < parts.added_count; i++) {
        if (parts.added[i].id == id) return parts.added[i].special ? EXPORT_CONTROL : EXPORT_ADDED;
    }
    return EXPORT_NORMAL;
}

dt_status export_visit_merges(const dt_tokenizer *tokenizer, export_merge_visitor *visit,
                              void *context) {
    const dt_bpe *bpe = dt_tokenizer_bpe(tokenizer);
    const dt_bpe_parts parts = bpe ? dt_bpe_about(bpe) : (dt_bpe_parts){0};
    if (bpe) return visit_bpe(&parts, visit, context);
    dt_text merge = {0};
    prefixes p = {0};
    dt_status status = DT_OK;
    for (size_t i = 0; i < dt_tokenizer_size(tokenizer) && status == DT_OK; i++) {
        const dt_span token = dt_tokenizer_bytes(tokenizer, (int32_t)i);
        if ((int32_t)i == dt_tokenizer_end(tokenizer)) continue;
        status = visit_character(&merge, &p, token.at, token.count, visit, context);
    }
    dt_memory_free(&p.known);
    dt_text_destroy(&merge);
    return status;
}
