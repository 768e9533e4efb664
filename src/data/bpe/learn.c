/* Learns merges, the most frequent pair first.
 *
 * What decides is as in BpeTrainer of Hugging Face's tokenizers, also where that is peculiar: a
 * pair waits in the queue with the words in which it was found at that time, so that one that comes
 * up again later waits there twice; the count of a pair that has been merged is not taken back; and
 * of a merge that was made twice the later place counts.
 * Source: tokenizers/src/models/bpe/trainer.rs. */
#include "dtrain/bpe/learn.h"

#include <string.h>

#include "dtrain/bpe/file.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/work.h"
#include "names.h"
#include "pool.h"
#include "spelling.h"
#include "words.h"

/* A pair that waits to be merged. */
typedef struct {
    int64_t count;
    uint64_t pair;
    uint32_t *word; /* (words) where it stands */
    uint32_t words;
    uint32_t number; /* in the order in which pairs came */
} waiting_pair;

/* A pair that one merge has formed, and the words in which it did. */
typedef struct {
    uint64_t pair;
    uint32_t words, last_word;
    /* at the end */
    uint32_t *word;
    pair_entry *entry;
} formed_pair;

typedef struct {
    uint32_t pair; /* which of those that were formed */
    uint32_t word;
} formed_place;

typedef struct {
    /* words: their symbols one after the other */
    uint32_t *symbol;
    size_t *begin;    /* (words) */
    uint32_t *length; /* (words) symbols that are left */
    int64_t *count;   /* (words) */
    size_t words;
    /* tokens */
    const char **token; /* (most) */
    size_t tokens, most;
    name_table names;
    /* pairs */
    pair_table counts; /* int64_t by pair */
    waiting_pair *queue;
    size_t waiting, queue_capacity;
    uint32_t number;
    /* of one merge */
    pair_table formed_index;
    formed_pair *formed;
    size_t forms, formed_capacity;
    formed_place *place;
    size_t places, place_capacity;
    /* result */
    uint64_t *merge; /* pairs */
    size_t merges, merge_capacity;
    memory_pool pool;
} learning;

static void destroy(learning *l) {
    dt_memory_free(&l->symbol);
    dt_memory_free(&l->begin);
    dt_memory_free(&l->length);
    dt_memory_free(&l->count);
    dt_memory_free(&l->token);
    name_destroy(&l->names);
    pair_destroy(&l->counts);
    dt_memory_free(&l->queue);
    pair_destroy(&l->formed_index);
    dt_memory_free(&l->formed);
    dt_memory_free(&l->place);
    dt_memory_free(&l->merge);
    pool_destroy(&l->pool);
}

/* ---- tokens ---- */

/* The token of this spelling, a new one if there is none. */
static dt_status find_token(uint32_t *id, learning *l, const char *spelled, size_t length) {
    char *kept;
    int32_t twice = name_find(&l->names, spelled, length);
    if (twice < 0) {
        DT_TRY(pool_take(&kept, &l->pool, length + 1));
        memcpy(kept, spelled, length);
        kept[length] = '\0';
        l->token[l->tokens] = kept;
        DT_TRY(name_add(&twice, &l->names, (int32_t)l->tokens));
        twice = (int32_t)l->tokens++;
    }
    *id = (uint32_t)twice;
    return DT_OK;
}

static dt_status begin_tokens(learning *l, uint32_t byte_id[256], size_t most) {
    uint32_t end;
    l->most = most;
    DT_TRY(dt_memory_alloc(&l->token, most, sizeof *l->token, "tokens"));
    l->names.name = l->token;
    DT_TRY(find_token(&end, l, DT_BPE_END, strlen(DT_BPE_END)));
    for (size_t i = 0; i < 256; i++) {
        char spelled[SPELLED_BYTE_MAX];
        const unsigned char byte = spelling_order(i);
        DT_TRY(find_token(&byte_id[byte], l, spelled, spell_byte(spelled, byte)));
    }
    return DT_OK;
}

/* ---- words ---- */

static dt_status take_words(learning *l, const counted_word *list, size_t words,
                            const uint32_t byte_id[256]) {
    size_t symbols = 0;
    for (size_t i = 0; i < words; i++) symbols += list[i].length;
    l->words = words;
    DT_REQUIRE(words < UINT32_MAX, DT_ERR_DATA, "%zu different words are too many", words);
    DT_TRY(dt_memory_alloc(&l->symbol, symbols, sizeof *l->symbol, "the symbols of words"));
    DT_TRY(dt_memory_alloc(&l->begin, words, sizeof *l->begin, "words"));
    DT_TRY(dt_memory_alloc(&l->length, words, sizeof *l->length, "words"));
    DT_TRY(dt_memory_alloc(&l->count, words, sizeof *l->count, "words"));
    size_t at = 0;
    for (size_t i = 0; i < words; i++) {
        l->begin[i] = at;
        l->length[i] = (uint32_t)list[i].length;
        l->count[i] = list[i].count;
        for (size_t k = 0; k < list[i].length; k++)
            l->symbol[at++] = byte_id[(unsigned char)list[i].at[k]];
    }
    return DT_OK;
}

/* ---- the queue: a heap ---- */

static bool comes_first(const waiting_pair *a, const waiting_pair *b) {
    if (a->count != b->count) return a->count > b->count;
    if (a->pair != b->pair) return a->pair < b->pair;
    return a->number < b->number;
}

static dt_status enqueue(learning *l, waiting_pair pair) {
    DT_TRY(dt_memory_grow(&l->queue, &l->queue_capacity, l->waiting + 1, sizeof *l->queue,
                          "pairs of tokens"));
    size_t at = l->waiting++;
    for (; at > 0 && comes_first(&pair, &l->queue[(at - 1) / 2]); at = (at - 1) / 2)
        l->queue[at] = l->queue[(at - 1) / 2];
    l->queue[at] = pair;
    return DT_OK;
}

/* Put a pair where it belongs, in the place of the first. */
static void replace_first(learning *l, waiting_pair pair) {
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < l->waiting; at = child) {
        if (child + 1 < l->waiting && comes_first(&l->queue[child + 1], &l->queue[child])) child++;
        if (!comes_first(&l->queue[child], &pair)) break;
        l->queue[at] = l->queue[child];
    }
    l->queue[at] = pair;
}

static int64_t count_of(const learning *l, uint64_t pair) {
    const pair_entry *found = pair_find(&l->counts, pair);
    return found ? (int64_t)found->value : 0;
}

/* The next pair to merge; false: there is none any more. */
static bool dequeue(waiting_pair *pair, learning *l) {
    while (l->waiting > 0) {
        *pair = l->queue[0];
        const int64_t count = count_of(l, pair->pair);
        if (pair->count == count) {
            const waiting_pair last = l->queue[--l->waiting];
            if (l->waiting > 0) replace_first(l, last);
            return count > 0;
        }
        pair->count = count; /* it was merged with others since it came */
        replace_first(l, *pair);
    }
    return false;
}

/* ---- pairs that are formed ---- */

static dt_status add_count(learning *l, uint64_t pair, int64_t count) {
    pair_entry *sum;
    DT_TRY(pair_put(&sum, &l->counts, pair));
    sum->value = (uint64_t)((int64_t)sum->value + count);
    return DT_OK;
}

/* A word in which a pair stands now. Words come one after the other. */
static dt_status form(learning *l, uint64_t pair, uint32_t word) {
    pair_entry *index;
    const size_t before = l->formed_index.used;
    DT_TRY(pair_put(&index, &l->formed_index, pair));
    if (l->formed_index.used > before) {
        index->value = l->forms;
        DT_TRY(dt_memory_grow(&l->formed, &l->formed_capacity, l->forms + 1, sizeof *l->formed,
                              "pairs of tokens"));
        l->formed[l->forms++] = (formed_pair){.pair = pair, .last_word = UINT32_MAX};
    }
    formed_pair *formed = &l->formed[index->value];
    if (formed->last_word == word) return DT_OK;
    formed->last_word = word;
    formed->words++;
    DT_TRY(dt_memory_grow(&l->place, &l->place_capacity, l->places + 1, sizeof *l->place,
                          "places of pairs"));
    l->place[l->places++] = (formed_place){(uint32_t)index->value, word};
    return DT_OK;
}

/* So that the next merge begins with an empty table; all are found before the first is taken out.
 */
static void forget_formed(learning *l) {
    for (size_t i = 0; i < l->forms; i++)
        l->formed[i].entry = pair_find(&l->formed_index, l->formed[i].pair);
    for (size_t i = 0; i < l->forms; i++) l->formed[i].entry->key = PAIR_NONE;
    l->formed_index.used = l->forms = l->places = 0;
}

/* All that were formed begin to wait. */
static dt_status enqueue_formed(learning *l) {
    for (size_t i = 0; i < l->forms; i++) {
        formed_pair *formed = &l->formed[i];
        DT_TRY(pool_take(&formed->word, &l->pool, formed->words * sizeof *formed->word));
        formed->words = 0;
    }
    for (size_t i = 0; i < l->places; i++) {
        formed_pair *formed = &l->formed[l->place[i].pair];
        formed->word[formed->words++] = l->place[i].word;
    }
    for (size_t i = 0; i < l->forms; i++) {
        const formed_pair *formed = &l->formed[i];
        const int64_t count = count_of(l, formed->pair);
        if (count > 0) {
            DT_TRY(enqueue(
                l, (waiting_pair){count, formed->pair, formed->word, formed->words, l->number++}));
        } else {
            pool_give(&l->pool, formed->word, formed->words * sizeof *formed->word);
        }
    }
    forget_formed(l);
    return DT_OK;
}

static dt_status count_pairs(learning *l) {
    for (size_t w = 0; w < l->words; w++) {
        const uint32_t *symbol = l->symbol + l->begin[w];
        for (size_t i = 0; i + 1 < l->length[w]; i++) {
            const uint64_t pair = pair_key(symbol[i], symbol[i + 1]);
            DT_TRY(add_count(l, pair, l->count[w]));
            DT_TRY(form(l, pair, (uint32_t)w));
        }
    }
    DT_TRY(enqueue_formed(l));
    /* One merge forms few. */
    pair_destroy(&l->formed_index);
    dt_memory_free(&l->formed);
    dt_memory_free(&l->place);
    l->formed_capacity = l->place_capacity = 0;
    return DT_OK;
}

/* ---- merging ---- */

static dt_status change(learning *l, uint32_t left, uint32_t right, int64_t count, uint32_t word) {
    const uint64_t pair = pair_key(left, right);
    DT_TRY(add_count(l, pair, count));
    return count > 0 ? form(l, pair, word) : DT_OK;
}

static dt_status merge_in_word(learning *l, uint32_t word, uint32_t left, uint32_t right,
                               uint32_t merged) {
    uint32_t *symbol = l->symbol + l->begin[word];
    const size_t length = l->length[word];
    const int64_t count = l->count[word];
    size_t to = 0;
    for (size_t i = 0; i < length; i++) {
        if (symbol[i] != left || i + 1 >= length || symbol[i + 1] != right) {
            symbol[to++] = symbol[i];
            continue;
        }
        if (to > 0) {
            DT_TRY(change(l, symbol[to - 1], left, -count, word));
            DT_TRY(change(l, symbol[to - 1], merged, count, word));
        }
        if (i + 2 < length) {
            DT_TRY(change(l, right, symbol[i + 2], -count, word));
            DT_TRY(change(l, merged, symbol[i + 2], count, word));
        }
        symbol[to++] = merged;
        i++;
    }
    l->length[word] = (uint32_t)to;
    return DT_OK;
}

static dt_status merge_pair(learning *l, const waiting_pair *pair) {
    char joined[DT_BPE_SPELLING_MAX + 1];
    const uint32_t left = (uint32_t)(pair->pair >> 32), right = (uint32_t)pair->pair;
    uint32_t merged;
    const size_t length = strlen(l->token[left]) + strlen(l->token[right]);
    DT_REQUIRE(length < sizeof joined, DT_ERR_INTERNAL, "a token of %zu bytes", length);
    stpcpy(stpcpy(joined, l->token[left]), l->token[right]);
    DT_TRY(find_token(&merged, l, joined, length));
    DT_TRY(
        dt_memory_grow(&l->merge, &l->merge_capacity, l->merges + 1, sizeof *l->merge, "merges"));
    l->merge[l->merges++] = pair->pair;
    for (size_t i = 0; i < pair->words; i++)
        DT_TRY(merge_in_word(l, pair->word[i], left, right, merged));
    pool_give(&l->pool, pair->word, pair->words * sizeof *pair->word);
    return enqueue_formed(l);
}

/* ---- the result ---- */

/* The merges by rank: of one that was made twice the later place. */
static dt_status rank_merges(dt_bpe_merge **merge, size_t *merges, const learning *l) {
    pair_table last = {0};
    dt_status status;
    *merges = 0;
    DT_TRY_DONE(dt_memory_alloc(merge, dt_max_size(l->merges, 1), sizeof **merge, "merges"));
    for (size_t i = 0; i < l->merges; i++) {
        pair_entry *place;
        DT_TRY_DONE(pair_put(&place, &last, l->merge[i]));
        place->value = i;
    }
    for (size_t i = 0; i < l->merges; i++) {
        if (pair_find(&last, l->merge[i])->value != i) continue;
        (*merge)[(*merges)++] =
            (dt_bpe_merge){(int32_t)(l->merge[i] >> 32), (int32_t)(uint32_t)l->merge[i]};
    }
done:
    pair_destroy(&last);
    return status;
}

static dt_status create(dt_bpe **bpe, const learning *l) {
    dt_bpe_merge *merge = NULL;
    const dt_bpe_added end = {.id = 0, .special = true};
    size_t merges;
    dt_status status;
    DT_TRY_DONE(rank_merges(&merge, &merges, l));
    const dt_bpe_parts parts = {.token = l->token,
                                .tokens = l->tokens,
                                .merge = merge,
                                .merges = merges,
                                .added = &end,
                                .added_count = 1};
    DT_TRY_DONE(dt_bpe_create(bpe, &parts, "the learned tokenizer"));
done:
    dt_memory_free(&merge);
    return status;
}

dt_status dt_bpe_learn(dt_bpe **bpe, const dt_bpe_words *words, size_t tokens) {
    learning l = {0};
    counted_word *list = NULL;
    uint32_t byte_id[256];
    waiting_pair next;
    dt_status status;
    *bpe = NULL;
    DT_REQUIRE(tokens >= DT_BPE_LEAST && tokens <= DT_BPE_TOKENS_MAX, DT_ERR_ARG,
               "a vocabulary of %zu tokens: %d to %d make sense: one for each byte, and what ends "
               "a document",
               tokens, DT_BPE_LEAST, DT_BPE_TOKENS_MAX);
    DT_TRY_DONE(words_sorted(&list, words));
    DT_TRY_DONE(begin_tokens(&l, byte_id, tokens));
    DT_TRY_DONE(take_words(&l, list, dt_bpe_words_count(words), byte_id));
    dt_memory_free(&list);
    DT_TRY_DONE(count_pairs(&l));
    while (l.tokens < tokens && dequeue(&next, &l)) {
        DT_TRY_DONE(merge_pair(&l, &next));
        DT_TRY_DONE(dt_work_tell("learning tokens", l.tokens, tokens));
    }
    DT_TRY_DONE(create(bpe, &l));
done:
    dt_memory_free(&list);
    destroy(&l);
    return status;
}
