/* The words of a text are counted in parts of fixed size, so that what is dropped for want of
 * memory does not depend on how many ranks count. */
#include "learn.h"

#include <string.h>

#include "dtrain/bpe/learn.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"

/* Bytes of a part, and the most words of the text, with their bytes. */
enum { PART = 1 << 23, WORDS = 1 << 22, WORD_BYTES = 1 << 26 };
/* Ranks whose words are sent at the same time: less than 2 GiB. */
enum { SENDERS = 32 };

typedef struct {
    const dt_counters *counters;
    size_t rank, ranks;
    dt_bpe_words *part; /* of this rank */
    dt_bpe_words *sum;  /* rank 0: of all parts so far */
    uint64_t number;    /* of the part that is read */
    uint64_t settled;   /* bytes of it */
    uint64_t dropped;   /* words */
    bool over;          /* all ranks know of an error */
} counting;

static bool is_own(const counting *c) { return c->number % c->ranks == c->rank; }

/* What one rank sends: how many bytes, and these. */
static dt_status pack(char **bytes, size_t *size, const dt_bpe_words *words) {
    char *packed;
    size_t length;
    DT_TRY(dt_bpe_words_pack(&packed, &length, words));
    const uint64_t head = length;
    const dt_status status = dt_memory_alloc(bytes, length + sizeof head, 1, "words");
    if (status == DT_OK) {
        memcpy(*bytes, &head, sizeof head);
        memcpy(*bytes + sizeof head, packed, length);
        *size = length + sizeof head;
    }
    dt_memory_free(&packed);
    return status;
}

/* So many are dropped at once that sorting them is rare. */
static dt_status drop_rare(counting *c) {
    size_t dropped;
    if (dt_bpe_words_count(c->sum) <= WORDS && dt_bpe_words_bytes(c->sum) <= WORD_BYTES)
        return DT_OK;
    DT_TRY(dt_bpe_words_trim(&dropped, c->sum, WORDS / 4 * 3, WORD_BYTES / 4 * 3));
    c->dropped += dropped;
    return DT_OK;
}

/* Add the parts of several ranks, one after the other. */
static dt_status add_parts(counting *c, const char *bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        uint64_t length;
        memcpy(&length, bytes + at, sizeof length);
        at += sizeof length;
        DT_TRY(dt_bpe_words_add(c->sum, bytes + at, length));
        DT_TRY(drop_rare(c));
        at += length;
    }
    return DT_OK;
}

/* What one rank has found wrong ends the work of all. */
static dt_status agree(counting *c, dt_status status) {
    if (c->counters->agree) status = c->counters->agree(c->counters->context, status);
    c->over = status != DT_OK;
    return status;
}

/* Rank 0 gets the parts of some ranks. bytes: of this rank. */
static dt_status collect_parts(counting *c, size_t first, char **bytes, size_t size) {
    size_t capacity = size;
    char *none = NULL, **all = bytes;
    if (c->rank < first || c->rank >= first + SENDERS) {
        all = &none;
        capacity = size = 0;
    }
    dt_status status = DT_OK;
    if (c->counters->collect)
        status = c->counters->collect(c->counters->context, all, &capacity, &size);
    if (status == DT_OK && c->rank == 0) status = add_parts(c, *all, size);
    dt_memory_free(&none);
    return status;
}

/* All ranks have counted a part each, the last ones perhaps none. */
static dt_status end_round(counting *c) {
    char *bytes = NULL;
    size_t size = 0;
    dt_status status = agree(c, pack(&bytes, &size, c->part));
    for (size_t first = 0; !c->over && first < c->ranks; first += SENDERS) {
        const dt_status collected = collect_parts(c, first, &bytes, size);
        if (status == DT_OK) status = collected;
    }
    dt_memory_free(&bytes);
    dt_bpe_words_clear(c->part);
    return c->over ? status : agree(c, status);
}

/* Bytes of a document, which all ranks read and one of them counts. */
static dt_status take(counting *c, const char *bytes, size_t count, bool last) {
    size_t settled;
    DT_TRY(dt_bpe_words_take(&settled, c->part, bytes, count, last, is_own(c)));
    c->settled += settled;
    if (c->settled < PART) return DT_OK;
    c->settled = 0;
    return ++c->number % c->ranks == 0 ? end_round(c) : DT_OK;
}

static dt_status count_pieces(counting *c, dt_documents *documents, bool training) {
    dt_split split = DT_TRAIN;
    dt_documents_rewind(documents, "counting words");
    for (;;) {
        dt_document_piece piece;
        bool found;
        DT_TRY(dt_documents_next(&piece, &found, documents));
        if (!found) break;
        if (piece.begins || (training && piece.split != split)) DT_TRY(take(c, "", 0, true));
        split = piece.split;
        if (!training || split == DT_TRAIN) DT_TRY(take(c, piece.bytes, piece.count, false));
    }
    DT_TRY(take(c, "", 0, true));
    return end_round(c);
}

static dt_status count_all(counting *c, dt_documents *documents, bool training) {
    const dt_status status = count_pieces(c, documents, training);
    return status == DT_OK || c->over ? status : agree(c, status);
}

static void tell(const counting *c, size_t wanted, size_t tokens) {
    if (c->dropped > 0) {
        dt_log_info(
            "the text has very many different words: the %zu most frequent ones are learned "
            "from",
            dt_bpe_words_count(c->sum));
    }
    if (tokens < wanted) {
        dt_log_warn("the vocabulary has %zu tokens rather than %zu: the text has no more pairs to "
                    "merge",
                    tokens, wanted);
    }
}

dt_status dt_learn_text(dt_tokenizer **tokenizer, dt_documents *documents, size_t tokens,
                        bool training, const dt_counters *counters) {
    counting c = {
        .counters = counters, .rank = counters->rank, .ranks = dt_max_size(counters->ranks, 1)};
    dt_bpe *bpe = NULL;
    dt_status status;
    *tokenizer = NULL;
    status = dt_bpe_words_create(&c.part);
    if (status == DT_OK) status = dt_bpe_words_create(&c.sum);
    DT_TRY_DONE(agree(&c, status));
    DT_TRY_DONE(count_all(&c, documents, training));
    if (c.rank > 0) goto done;
    DT_TRY_DONE(dt_bpe_learn(&bpe, c.sum, tokens));
    DT_TRY_DONE(dt_tokenizer_from_bpe(tokenizer, &bpe));
    tell(&c, tokens, dt_tokenizer_size(*tokenizer));
done:
    dt_bpe_words_destroy(&c.part);
    dt_bpe_words_destroy(&c.sum);
    return status;
}
