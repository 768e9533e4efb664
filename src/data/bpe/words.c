/* Counts words in a table that is looked up by their fingerprints. */
#include "words.h"

#include <stdlib.h>
#include <string.h>

#include "dtrain/core/digest.h"
#include "dtrain/core/memory.h"
#include "split.h"

/* Longer words are cut: merging costs time by their length. */
enum { LEARNED_WORD_MAX = 4096 };

typedef struct {
    uint64_t fingerprint;
    int64_t count; /* 0: nothing stands here */
    size_t offset; /* in the bytes */
    size_t length;
} entry;

struct dt_bpe_words {
    entry *entry;
    size_t mask; /* entries - 1; entries are a power of two */
    size_t used;
    char *bytes;
    size_t length, capacity;
    word_splitter *splitter;
    char *rest; /* what is left of the text so far */
    size_t left, rest_capacity;
};

enum { FIRST_ENTRIES = 1 << 12 };

/* ---- the table ---- */

dt_status dt_bpe_words_create(dt_bpe_words **words) {
    DT_TRY(dt_memory_alloc(words, 1, sizeof **words, "words"));
    (*words)->mask = FIRST_ENTRIES - 1;
    dt_status status = dt_memory_alloc(&(*words)->entry, FIRST_ENTRIES, sizeof(entry), "words");
    if (status == DT_OK) status = word_splitter_create(&(*words)->splitter);
    if (status != DT_OK) dt_bpe_words_destroy(words);
    return status;
}

void dt_bpe_words_destroy(dt_bpe_words **words) {
    if (!*words) return;
    word_splitter_destroy(&(*words)->splitter);
    dt_memory_free(&(*words)->entry);
    dt_memory_free(&(*words)->bytes);
    dt_memory_free(&(*words)->rest);
    dt_memory_free(words);
}

void dt_bpe_words_clear(dt_bpe_words *words) {
    memset(words->entry, 0, (words->mask + 1) * sizeof *words->entry);
    words->used = words->length = 0;
}

size_t dt_bpe_words_count(const dt_bpe_words *words) { return words->used; }

size_t dt_bpe_words_bytes(const dt_bpe_words *words) { return words->length; }

static dt_status grow(dt_bpe_words *words) {
    const size_t entries = 2 * (words->mask + 1);
    entry *grown;
    DT_TRY(dt_memory_alloc(&grown, entries, sizeof *grown, "words"));
    for (size_t i = 0; i <= words->mask; i++) {
        if (words->entry[i].count == 0) continue;
        size_t at = words->entry[i].fingerprint & (entries - 1);
        while (grown[at].count != 0) at = (at + 1) & (entries - 1);
        grown[at] = words->entry[i];
    }
    dt_memory_free(&words->entry);
    words->entry = grown;
    words->mask = entries - 1;
    return DT_OK;
}

static dt_status add_word(dt_bpe_words *words, const char *word, size_t length, int64_t count) {
    const uint64_t fingerprint = dt_fingerprint(word, length);
    size_t at = fingerprint & words->mask;
    for (; words->entry[at].count != 0; at = (at + 1) & words->mask) {
        entry *known = &words->entry[at];
        if (known->fingerprint != fingerprint || known->length != length ||
            memcmp(words->bytes + known->offset, word, length) != 0)
            continue;
        known->count += count;
        return DT_OK;
    }
    DT_TRY(dt_memory_grow(&words->bytes, &words->capacity, words->length + length, 1, "words"));
    memcpy(words->bytes + words->length, word, length);
    words->entry[at] = (entry){fingerprint, count, words->length, length};
    words->length += length;
    words->used++;
    return 2 * words->used > words->mask ? grow(words) : DT_OK;
}

/* ---- counting ---- */

static dt_status count_words(dt_bpe_words *words, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        for (const size_t stop = at + valid_length(text + at, length - at); at < stop;) {
            size_t word;
            DT_TRY(next_word(&word, words->splitter, text + at, stop - at, LEARNED_WORD_MAX));
            DT_TRY(add_word(words, text + at, word, 1));
            at += word;
        }
        for (const size_t stop = at + invalid_length(text + at, length - at); at < stop;) {
            const size_t word = dt_min_size(stop - at, LEARNED_WORD_MAX);
            DT_TRY(add_word(words, text + at, word, 1));
            at += word;
        }
    }
    return DT_OK;
}

dt_status dt_bpe_words_take(size_t *settled, dt_bpe_words *words, const char *text, size_t length,
                            bool last, bool counts) {
    const size_t all = words->left + length;
    DT_TRY(dt_memory_grow(&words->rest, &words->rest_capacity, all + 1, 1, "a part of a text"));
    memcpy(words->rest + words->left, text, length);
    *settled = last ? all : settled_words(words->splitter, words->rest, all, LEARNED_WORD_MAX);
    if (counts) DT_TRY(count_words(words, words->rest, *settled));
    words->left = all - *settled;
    memmove(words->rest, words->rest + *settled, words->left);
    return DT_OK;
}

/* ---- lists of words ---- */

static int compare_bytes(const counted_word *a, const counted_word *b) {
    const int order = memcmp(a->at, b->at, dt_min_size(a->length, b->length));
    if (order != 0) return order;
    return (a->length > b->length) - (a->length < b->length);
}

static int by_bytes(const void *x, const void *y) { return compare_bytes(x, y); }

static int by_count(const void *x, const void *y) {
    const counted_word *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    return compare_bytes(a, b);
}

static dt_status list_words(counted_word **list, const dt_bpe_words *words,
                            int (*order)(const void *, const void *)) {
    size_t n = 0;
    DT_TRY(dt_memory_alloc(list, dt_max_size(words->used, 1), sizeof **list, "words"));
    for (size_t i = 0; i <= words->mask; i++) {
        const entry *known = &words->entry[i];
        if (known->count != 0)
            (*list)[n++] =
                (counted_word){words->bytes + known->offset, known->length, known->count};
    }
    qsort(*list, n, sizeof **list, order);
    return DT_OK;
}

dt_status words_sorted(counted_word **list, const dt_bpe_words *words) {
    return list_words(list, words, by_bytes);
}

dt_status dt_bpe_words_trim(size_t *dropped, dt_bpe_words *words, size_t count, size_t bytes) {
    counted_word *list = NULL;
    dt_bpe_words *kept = NULL;
    dt_status status;
    *dropped = 0;
    if (words->used <= count && words->length <= bytes) return DT_OK;
    DT_TRY_DONE(list_words(&list, words, by_count));
    DT_TRY_DONE(dt_bpe_words_create(&kept));
    for (size_t i = 0; i < words->used && kept->used < count; i++) {
        if (kept->length + list[i].length > bytes) break;
        DT_TRY_DONE(add_word(kept, list[i].at, list[i].length, list[i].count));
    }
    *dropped = words->used - kept->used;
    dt_memory_free(&words->entry);
    dt_memory_free(&words->bytes);
    words->entry = kept->entry;
    words->bytes = kept->bytes;
    words->mask = kept->mask;
    words->used = kept->used;
    words->length = kept->length;
    words->capacity = kept->capacity;
    kept->entry = NULL;
    kept->bytes = NULL;
done:
    dt_memory_free(&list);
    dt_bpe_words_destroy(&kept);
    return status;
}

/* ---- between ranks ---- */

typedef struct {
    int64_t count;
    uint64_t length; /* bytes behind it */
} packed_word;

dt_status dt_bpe_words_pack(char **packed, size_t *size, const dt_bpe_words *words) {
    *size = words->used * sizeof(packed_word) + words->length;
    DT_TRY(dt_memory_alloc(packed, dt_max_size(*size, 1), 1, "words"));
    char *end = *packed;
    for (size_t i = 0; i <= words->mask; i++) {
        const entry *known = &words->entry[i];
        if (known->count == 0) continue;
        const packed_word head = {known->count, known->length};
        memcpy(end, &head, sizeof head);
        memcpy(end + sizeof head, words->bytes + known->offset, known->length);
        end += sizeof head + known->length;
    }
    return DT_OK;
}

dt_status dt_bpe_words_add(dt_bpe_words *words, const char *packed, size_t size) {
    for (size_t at = 0; at < size;) {
        packed_word head;
        DT_REQUIRE(size - at >= sizeof head, DT_ERR_INTERNAL, "words of another rank are cut");
        memcpy(&head, packed + at, sizeof head);
        at += sizeof head;
        DT_REQUIRE(head.length <= size - at, DT_ERR_INTERNAL, "words of another rank are cut");
        DT_TRY(add_word(words, packed + at, head.length, head.count));
        at += head.length;
    }
    return DT_OK;
}
