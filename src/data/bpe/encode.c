/* Text to tokens. */
#include <string.h>

#include "dtrain/core/memory.h"
#include "internal.h"

/* A word of up to so many bytes is looked through for its next merge; a longer one has a heap. */
enum { SHORT_WORD = 48 };

#define NO_MERGE UINT64_MAX

/* Where the encoding of a text writes. */
typedef struct {
    const dt_bpe *bpe;
    int32_t *id;
    size_t capacity, count;
    const char *end; /* of what can be read: the text's */
} writing;

static dt_status raise_capacity(const writing *to) {
    DT_RAISE(DT_ERR_INTERNAL, "a text has more than the %zu tokens there is room for",
             to->capacity);
}

static dt_status append_ids(writing *to, const int32_t *id, size_t count) {
    if (count > to->capacity - to->count) return raise_capacity(to);
    for (size_t i = 0; i < count; i++) to->id[to->count + i] = id[i];
    to->count += count;
    return DT_OK;
}

/* ---- merging ---- */

static uint64_t merge_of(const dt_bpe *bpe, int32_t left, int32_t right) {
    const pair_entry *found = pair_find(&bpe->pairs, pair_key((uint32_t)left, (uint32_t)right));
    return found ? found->value : NO_MERGE;
}

/* The tokens of a short word; returns how many. */
static size_t merge_short(int32_t *id, const dt_bpe *bpe, const char *word, size_t length) {
    uint64_t merge[SHORT_WORD];
    size_t n = length;
    for (size_t i = 0; i < n; i++) id[i] = bpe->byte_id[(unsigned char)word[i]];
    for (size_t i = 0; i + 1 < n; i++) merge[i] = merge_of(bpe, id[i], id[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) {
            if (merge[i] < merge[best]) best = i;
        }
        if (merge[best] == NO_MERGE) break;
        id[best] = (int32_t)(uint32_t)merge[best];
        n--;
        memmove(id + best + 1, id + best + 2, (n - best - 1) * sizeof *id);
        if (best + 1 < n)
            memmove(merge + best + 1, merge + best + 2, (n - best - 2) * sizeof *merge);
        if (best > 0) merge[best - 1] = merge_of(bpe, id[best - 1], id[best]);
        if (best + 1 < n) merge[best] = merge_of(bpe, id[best], id[best + 1]);
    }
    return n;
}

static void push(word_room *room, uint64_t entry) {
    size_t at = room->waiting++;
    for (; at > 0 && entry < room->heap[(at - 1) / 2]; at = (at - 1) / 2)
        room->heap[at] = room->heap[(at - 1) / 2];
    room->heap[at] = entry;
}

static uint64_t pop(word_room *room) {
    const uint64_t least = room->heap[0], last = room->heap[--room->waiting];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < room->waiting; at = child) {
        if (child + 1 < room->waiting && room->heap[child + 1] < room->heap[child]) child++;
        if (last <= room->heap[child]) break;
        room->heap[at] = room->heap[child];
    }
    room->heap[at] = last;
    return least;
}

/* The merge of the symbol at a position with the next one, and its entry in the heap. */
static void set_merge(const dt_bpe *bpe, word_room *room, int32_t at) {
    const int32_t next = room->next[at];
    room->merge[at] = next < 0 ? NO_MERGE : merge_of(bpe, room->id[at], room->id[next]);
    if (room->merge[at] != NO_MERGE) push(room, room->merge[at] >> 32 << 32 | (uint32_t)at);
}

/* The tokens of a long word, in room->id; returns how many. */
static size_t merge_long(const dt_bpe *bpe, const char *word, size_t length) {
    word_room *room = bpe->room;
    const int32_t n = (int32_t)length;
    room->waiting = 0;
    for (int32_t i = 0; i < n; i++) {
        room->id[i] = bpe->byte_id[(unsigned char)word[i]];
        room->before[i] = i - 1;
        room->next[i] = i + 1 < n ? i + 1 : -1;
    }
    for (int32_t i = 0; i < n; i++) set_merge(bpe, room, i);
    while (room->waiting > 0) {
        const uint64_t entry = pop(room);
        const int32_t at = (int32_t)(uint32_t)entry;
        /* It may be of a pair that is not there any more. */
        if (room->merge[at] == NO_MERGE || room->merge[at] >> 32 != entry >> 32) continue;
        const int32_t gone = room->next[at], behind = room->next[gone];
        room->id[at] = (int32_t)(uint32_t)room->merge[at];
        room->merge[gone] = NO_MERGE;
        room->next[at] = behind;
        if (behind >= 0) room->before[behind] = at;
        set_merge(bpe, room, at);
        if (room->before[at] >= 0) set_merge(bpe, room, room->before[at]);
    }
    size_t count = 0;
    for (int32_t i = 0; i >= 0; i = room->next[i]) room->id[count++] = room->id[i];
    return count;
}

/* ---- words ---- */

static word_key key_of(const writing *to, const char *word, size_t length) {
    word_key key;
    if ((size_t)(to->end - word) >= sizeof key) {
        memcpy(&key, word, sizeof key);
        for (size_t i = 0; i < KEY_WORDS; i++) key.word[i] &= to->bpe->mask[length].word[i];
    } else {
        memset(&key, 0, sizeof key);
        memcpy(&key, word, length);
    }
    ((unsigned char *)&key)[CACHED_MAX] = (unsigned char)length;
    return key;
}

static cached_word *slot_of(const dt_bpe *bpe, const word_key *key) {
    uint64_t mixed = key->word[0] * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32 ^ key->word[1]) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 32 ^ key->word[2]) * UINT64_C(0x94d049bb133111eb);
    return &bpe->cache[mixed >> 48 & (CACHE_SLOTS - 1)];
}

static bool same_key(const word_key *x, const word_key *y) {
    return ((x->word[0] ^ y->word[0]) | (x->word[1] ^ y->word[1]) | (x->word[2] ^ y->word[2])) == 0;
}

static dt_status append_cached(writing *to, const char *word, size_t length) {
    const word_key key = key_of(to, word, length);
    cached_word *slot = slot_of(to->bpe, &key);
    if (same_key(&slot->key, &key)) return append_ids(to, slot->id, (size_t)slot->count);
    int32_t id[SHORT_WORD];
    const size_t count = merge_short(id, to->bpe, word, length);
    if (count <= CACHED_IDS) {
        slot->key = key;
        slot->count = (int32_t)count;
        memcpy(slot->id, id, count * sizeof *id);
    }
    return append_ids(to, id, count);
}

static dt_status append_word(writing *to, const char *word, size_t length) {
    if (length == 1) return append_ids(to, &to->bpe->byte_id[(unsigned char)*word], 1);
    if (length <= CACHED_MAX) return append_cached(to, word, length);
    if (length > SHORT_WORD)
        return append_ids(to, to->bpe->room->id, merge_long(to->bpe, word, length));
    int32_t id[SHORT_WORD];
    return append_ids(to, id, merge_short(id, to->bpe, word, length));
}

/* ---- text ---- */

static dt_status append_valid(writing *to, const char *text, size_t length) {
    for (size_t at = 0, word; at < length; at += word) {
        DT_TRY(next_word(&word, to->bpe->splitter, text + at, length - at, DT_BPE_WORD_MAX));
        DT_TRY(append_word(to, text + at, word));
    }
    return DT_OK;
}

static dt_status append_invalid(writing *to, const char *text, size_t length) {
    for (size_t at = 0; at < length; at += DT_BPE_WORD_MAX)
        DT_TRY(append_word(to, text + at, dt_min_size(length - at, DT_BPE_WORD_MAX)));
    return DT_OK;
}

/* A text without added tokens. */
static dt_status append_text(writing *to, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        const size_t valid = valid_length(text + at, length - at);
        DT_TRY(append_valid(to, text + at, valid));
        at += valid;
        const size_t invalid = invalid_length(text + at, length - at);
        DT_TRY(append_invalid(to, text + at, invalid));
        at += invalid;
    }
    return DT_OK;
}

/* The longest added token that a text begins with, of those that are looked for first or last; -1:
 * none. */
static int32_t added_at(const dt_bpe *bpe, const char *text, size_t left, bool normalized) {
    int32_t best = -1;
    size_t longest = 0;
    for (size_t i = 0; i < bpe->parts.added_count; i++) {
        const dt_bpe_added *added = &bpe->parts.added[i];
        size_t length;
        const char *bytes = dt_bpe_bytes(&length, bpe, added->id);
        if (added->normalized != normalized || length <= longest || length > left) continue;
        if (memcmp(bytes, text, length) != 0) continue;
        best = added->id;
        longest = length;
    }
    return best;
}

/* The text up to the next added token; *found: that one, or -1. */
static size_t before_added(int32_t *found, const dt_bpe *bpe, const char *text, size_t length,
                           bool normalized) {
    *found = -1;
    for (size_t at = 0; at < length; at++) {
        if (!bpe->begins_added[(unsigned char)text[at]]) continue;
        *found = added_at(bpe, text + at, length - at, normalized);
        if (*found >= 0) return at;
    }
    return length;
}

static dt_status append_with_added(writing *to, const char *text, size_t length, bool normalized) {
    for (size_t at = 0; at < length;) {
        int32_t found;
        const size_t before = before_added(&found, to->bpe, text + at, length - at, normalized);
        DT_TRY(normalized ? append_text(to, text + at, before)
                          : append_with_added(to, text + at, before, true));
        at += before;
        if (found < 0) break;
        size_t taken;
        dt_bpe_bytes(&taken, to->bpe, found);
        DT_TRY(append_ids(to, &found, 1));
        at += taken;
    }
    return DT_OK;
}

dt_status dt_bpe_encode(int32_t *id, size_t capacity, size_t *count, const dt_bpe *bpe,
                        const char *text, size_t length, bool added) {
    writing to = {.bpe = bpe, .id = id, .capacity = capacity, .end = text + length};
    DT_TRY(added && bpe->parts.added_count > 0 ? append_with_added(&to, text, length, false)
                                               : append_text(&to, text, length));
    *count = to.count;
    return DT_OK;
}

/* ---- where a text can be cut ---- */

/* Whether an added token goes over a cut, or may do so with what follows. */
static bool cuts_added(const dt_bpe *bpe, const char *text, size_t length, size_t cut) {
    const size_t first = cut > bpe->longest_added ? cut - bpe->longest_added : 0;
    for (size_t i = 0; i < bpe->parts.added_count; i++) {
        size_t size;
        const char *bytes = dt_bpe_bytes(&size, bpe, bpe->parts.added[i].id);
        for (size_t at = first; at < cut; at++) {
            if (at + size <= cut) continue;
            if (memcmp(text + at, bytes, dt_min_size(size, length - at)) == 0) return true;
        }
    }
    return false;
}

size_t dt_bpe_settled(const dt_bpe *bpe, const char *text, size_t length, bool added) {
    if (!added) return settled_words(bpe->splitter, text, length, DT_BPE_WORD_MAX);
    size_t gap = last_gap(text, length);
    while (gap > 0 && bpe->space_in_added && cuts_added(bpe, text, length, gap))
        gap = last_gap(text, gap);
    return gap;
}
