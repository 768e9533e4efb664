/* A BPE from its parts, which are checked here. */
#include "dtrain/bpe/bpe.h"

#include <inttypes.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "internal.h"
#include "names.h"
#include "spelling.h"

/* ---- copying ---- */

static dt_status copy_tokens(dt_bpe *bpe, const dt_bpe_parts *from, const char *name) {
    size_t bytes = 0;
    const char **token;
    DT_TRY(dt_memory_alloc(&token, from->tokens, sizeof *token, "tokens"));
    bpe->parts.token = token;
    for (size_t i = 0; i < from->tokens; i++) {
        const size_t length = strlen(from->token[i]);
        DT_REQUIRE(length > 0 && length <= DT_BPE_SPELLING_MAX, DT_ERR_DATA,
                   "%s: token %zu has %zu bytes, where 1 to %d make sense", name, i, length,
                   DT_BPE_SPELLING_MAX);
        bytes += length + 1;
    }
    DT_TRY(dt_memory_alloc(&bpe->spelling, bytes, 1, "the strings of tokens"));
    char *end = bpe->spelling;
    for (size_t i = 0; i < from->tokens; i++) {
        token[i] = end;
        end = stpcpy(end, from->token[i]) + 1;
    }
    DT_TRY(dt_memory_alloc(&bpe->bytes, bytes, 1, "the bytes of tokens"));
    return dt_memory_alloc(&bpe->offset, from->tokens + 1, sizeof *bpe->offset, "tokens");
}

static dt_status copy_parts(dt_bpe *bpe, const dt_bpe_parts *from, const char *name) {
    dt_bpe_merge *merge;
    dt_bpe_added *added;
    DT_REQUIRE(from->tokens > 0 && from->tokens <= DT_BPE_TOKENS_MAX &&
                   from->merges <= DT_BPE_TOKENS_MAX && from->added_count <= from->tokens,
               DT_ERR_DATA,
               "%s: %zu tokens, %zu merges and %zu added tokens, where 1 to %d tokens make sense",
               name, from->tokens, from->merges, from->added_count, DT_BPE_TOKENS_MAX);
    bpe->parts = (dt_bpe_parts){.tokens = from->tokens};
    DT_TRY(copy_tokens(bpe, from, name));
    DT_TRY(dt_memory_alloc(&merge, dt_max_size(from->merges, 1), sizeof *merge, "merges"));
    bpe->parts.merge = merge;
    bpe->parts.merges = from->merges;
    for (size_t i = 0; i < from->merges; i++) merge[i] = from->merge[i];
    DT_TRY(dt_memory_alloc(&added, dt_max_size(from->added_count, 1), sizeof *added, "tokens"));
    bpe->parts.added = added;
    bpe->parts.added_count = from->added_count;
    for (size_t i = 0; i < from->added_count; i++) added[i] = from->added[i];
    return DT_OK;
}

/* ---- checking, and what encoding needs ---- */

static dt_status name_tokens(name_table *names, const dt_bpe *bpe, const char *name) {
    names->name = bpe->parts.token;
    DT_TRY(pair_reserve(&names->table, bpe->parts.tokens));
    for (size_t i = 0; i < bpe->parts.tokens; i++) {
        int32_t twice;
        DT_TRY(name_add(&twice, names, (int32_t)i));
        DT_REQUIRE(twice < 0, DT_ERR_DATA, "%s: tokens %" PRId32 " and %zu are both \"%s\"", name,
                   twice, i, bpe->parts.token[i]);
    }
    return DT_OK;
}

/* Added tokens stand for themselves, and so does what is not spelled as bytes. */
static void fill_bytes(dt_bpe *bpe) {
    char *end = bpe->bytes;
    size_t next = 0;
    for (size_t i = 0; i < bpe->parts.tokens; i++) {
        const char *spelled = bpe->parts.token[i];
        size_t length = strlen(spelled);
        bpe->offset[i] = (size_t)(end - bpe->bytes);
        const bool added = next < bpe->parts.added_count && bpe->parts.added[next].id == (int32_t)i;
        next += added;
        if (added || !spelling_bytes(end, &length, spelled)) memcpy(end, spelled, length);
        end += length + 1;
        end[-1] = '\0';
    }
    bpe->offset[bpe->parts.tokens] = (size_t)(end - bpe->bytes);
}

static bool has_space(const char *text) {
    for (; *text; text++) {
        if (*text == ' ' || (*text >= '\t' && *text <= '\r')) return true;
    }
    return false;
}

static dt_status take_added(dt_bpe *bpe, const char *name) {
    for (size_t i = 0; i < bpe->parts.added_count; i++) {
        const int32_t id = bpe->parts.added[i].id;
        DT_REQUIRE(id >= 0 && (size_t)id < bpe->parts.tokens, DT_ERR_DATA,
                   "%s: added token %" PRId32 " is none of the vocabulary's 0 to %zu", name, id,
                   bpe->parts.tokens - 1);
        DT_REQUIRE(i == 0 || bpe->parts.added[i - 1].id < id, DT_ERR_DATA,
                   "%s: added token %" PRId32 " stands twice, or not in the order of the ids", name,
                   id);
        const char *text = bpe->parts.token[id];
        bpe->begins_added[(unsigned char)text[0]] = true;
        bpe->longest_added = dt_max_size(bpe->longest_added, strlen(text));
        bpe->space_in_added = bpe->space_in_added || has_space(text);
    }
    return DT_OK;
}

static dt_status find_bytes(dt_bpe *bpe, const name_table *names, const char *name) {
    for (size_t byte = 0; byte < BYTES; byte++) {
        char spelled[SPELLED_BYTE_MAX + 1];
        const size_t length = spell_byte(spelled, (unsigned char)byte);
        spelled[length] = '\0';
        bpe->byte_id[byte] = name_find(names, spelled, length);
        DT_REQUIRE(bpe->byte_id[byte] >= 0, DT_ERR_DATA,
                   "%s: byte 0x%02zx, \"%s\", is no token, so that not every text can be encoded; "
                   "a byte-level BPE has all 256",
                   name, byte, spelled);
    }
    return DT_OK;
}

/* What a merge gives. joined: room for two spellings. */
static dt_status find_merged(int32_t *id, const dt_bpe *bpe, const name_table *names, size_t rank,
                             char *joined, const char *name) {
    const dt_bpe_merge merge = bpe->parts.merge[rank];
    const size_t tokens = bpe->parts.tokens;
    DT_REQUIRE(merge.left >= 0 && (size_t)merge.left < tokens && merge.right >= 0 &&
                   (size_t)merge.right < tokens,
               DT_ERR_DATA,
               "%s: merge %zu is of tokens %" PRId32 " and %" PRId32 ", and there are 0 to %zu",
               name, rank, merge.left, merge.right, tokens - 1);
    const char *left = bpe->parts.token[merge.left], *right = bpe->parts.token[merge.right];
    char *const end = stpcpy(stpcpy(joined, left), right);
    *id = name_find(names, joined, (size_t)(end - joined));
    DT_REQUIRE(*id >= 0, DT_ERR_DATA, "%s: merge %zu joins \"%s\" and \"%s\" to no token", name,
               rank, left, right);
    return DT_OK;
}

static dt_status fill_pairs(dt_bpe *bpe, const name_table *names, const char *name) {
    char *joined;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&joined, 2 * DT_BPE_SPELLING_MAX + 1, 1, "a token"));
    DT_TRY_DONE(pair_reserve(&bpe->pairs, dt_max_size(bpe->parts.merges, 1)));
    for (size_t rank = 0; rank < bpe->parts.merges; rank++) {
        const dt_bpe_merge merge = bpe->parts.merge[rank];
        int32_t id = -1;
        pair_entry *entry;
        DT_TRY_DONE(find_merged(&id, bpe, names, rank, joined, name));
        const size_t before = bpe->pairs.used;
        DT_TRY_DONE(
            pair_put(&entry, &bpe->pairs, pair_key((uint32_t)merge.left, (uint32_t)merge.right)));
        DT_REQUIRE_DONE(bpe->pairs.used > before, DT_ERR_DATA,
                        "%s: merge %zu of \"%s\" and \"%s\" stands twice", name, rank,
                        bpe->parts.token[merge.left], bpe->parts.token[merge.right]);
        entry->value = (uint64_t)rank << 32 | (uint32_t)id;
    }
done:
    dt_memory_free(&joined);
    return status;
}

static dt_status make_room(dt_bpe *bpe) {
    word_room *room;
    const size_t most = DT_BPE_WORD_MAX;
    DT_TRY(dt_memory_alloc(&bpe->room, 1, sizeof *bpe->room, "the symbols of a word"));
    room = bpe->room;
    DT_TRY(dt_memory_alloc(&room->id, most, sizeof *room->id, "the symbols of a word"));
    DT_TRY(dt_memory_alloc(&room->next, most, sizeof *room->next, "the symbols of a word"));
    DT_TRY(dt_memory_alloc(&room->before, most, sizeof *room->before, "the symbols of a word"));
    DT_TRY(dt_memory_alloc(&room->merge, most, sizeof *room->merge, "the symbols of a word"));
    DT_TRY(dt_memory_alloc(&room->heap, 3 * most, sizeof *room->heap, "the symbols of a word"));
    for (size_t length = 0; length <= CACHED_MAX; length++)
        memset(&bpe->mask[length], 0xff, length);
    return dt_memory_alloc(&bpe->cache, CACHE_SLOTS, sizeof *bpe->cache, "the words of a text");
}

dt_status dt_bpe_create(dt_bpe **out, const dt_bpe_parts *parts, const char *name) {
    dt_status status;
    dt_bpe *bpe = NULL;
    name_table names = {0};
    *out = NULL;
    DT_TRY_DONE(dt_memory_alloc(&bpe, 1, sizeof *bpe, "the tokenizer"));
    DT_TRY_DONE(copy_parts(bpe, parts, name));
    DT_TRY_DONE(name_tokens(&names, bpe, name));
    DT_TRY_DONE(take_added(bpe, name));
    fill_bytes(bpe);
    DT_TRY_DONE(find_bytes(bpe, &names, name));
    DT_TRY_DONE(fill_pairs(bpe, &names, name));
    DT_TRY_DONE(make_room(bpe));
    DT_TRY_DONE(word_splitter_create(&bpe->splitter));
    *out = bpe;
    bpe = NULL;
done:
    name_destroy(&names);
    dt_bpe_destroy(&bpe);
    return status;
}

static void free_room(word_room *room) {
    dt_memory_free(&room->id);
    dt_memory_free(&room->next);
    dt_memory_free(&room->before);
    dt_memory_free(&room->merge);
    dt_memory_free(&room->heap);
}

void dt_bpe_destroy(dt_bpe **bpe) {
    if (!*bpe) return;
    word_splitter_destroy(&(*bpe)->splitter);
    if ((*bpe)->room) free_room((*bpe)->room);
    dt_memory_free(&(*bpe)->room);
    dt_memory_free(&(*bpe)->cache);
    pair_destroy(&(*bpe)->pairs);
    dt_memory_free(&(*bpe)->offset);
    dt_memory_free(&(*bpe)->bytes);
    dt_memory_free(&(*bpe)->spelling);
    dt_memory_free(&(*bpe)->parts.token);
    dt_memory_free(&(*bpe)->parts.merge);
    dt_memory_free(&(*bpe)->parts.added);
    dt_memory_free(bpe);
}

/* ---- looking at it ---- */

dt_bpe_parts dt_bpe_about(const dt_bpe *bpe) { return bpe->parts; }

const char *dt_bpe_bytes(size_t *length, const dt_bpe *bpe, int32_t id) {
    *length = 0;
    if (id < 0 || (size_t)id >= bpe->parts.tokens) return NULL;
    *length = bpe->offset[id + 1] - bpe->offset[id] - 1;
    return bpe->bytes + bpe->offset[id];
}

int32_t dt_bpe_find_added(const dt_bpe *bpe, const char *text) {
    for (size_t i = 0; i < bpe->parts.added_count; i++) {
        const int32_t id = bpe->parts.added[i].id;
        if (strcmp(bpe->parts.token[id], text) == 0) return id;
    }
    return -1;
}

bool dt_bpe_equal(const dt_bpe *x, const dt_bpe *y) {
    const dt_bpe_parts *a = &x->parts, *b = &y->parts;
    if (a->tokens != b->tokens || a->merges != b->merges || a->added_count != b->added_count)
        return false;
    for (size_t i = 0; i < a->tokens; i++) {
        if (strcmp(a->token[i], b->token[i]) != 0) return false;
    }
    for (size_t i = 0; i < a->merges; i++) {
        if (a->merge[i].left != b->merge[i].left || a->merge[i].right != b->merge[i].right)
            return false;
    }
    for (size_t i = 0; i < a->added_count; i++) {
        if (a->added[i].id != b->added[i].id || a->added[i].special != b->added[i].special ||
            a->added[i].normalized != b->added[i].normalized)
            return false;
    }
    return true;
}
