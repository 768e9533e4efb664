/* Texts packed back to back, as the model reads them. */
#ifndef DTRAIN_PACK_H
#define DTRAIN_PACK_H

#include "dtrain/data/text.h"
#include "dtrain/data/tokenizer.h"

/* Texts back to back, without padding: B texts, N tokens. Each array is the batch's own. */
typedef struct {
    size_t problems;   /* B */
    size_t tokens;     /* N: a text of n tokens gives n - 1 inputs */
    size_t scored;     /* targets that count */
    size_t bytes;      /* of text that these targets stand for */
    size_t documents;  /* B, and more where texts have ends of documents in them */
    int32_t *offset;   /* (B+1) first token of each text */
    int32_t *document; /* (documents+1) first token of what attention stays inside of */
    int32_t *token;    /* (N) */
    int32_t *position; /* (N) as dt_tokenizer_places gives it */
    int32_t *place;    /* (N) */
    int32_t *spot;     /* (N) */
    int32_t *target;   /* (N) the next token, or -1 where the loss does not count (the prompt) */
    uint64_t *index;   /* (B) the text's number in its split, for what is keyed by it */
    dt_note *note;     /* (B) */
    int32_t *apart;    /* scratch: of each token of the last text, what is added to its place */
    size_t problem_capacity, token_capacity;
    dt_text text; /* scratch: the text that is appended next */
} dt_batch;

/* Room for that many texts and tokens, once. */
dt_status dt_batch_create(dt_batch *batch, size_t problems, size_t tokens);
void dt_batch_destroy(dt_batch *batch);
void dt_batch_clear(dt_batch *batch);

/* The tokens of a text: those that its source knows, or else as the tokenizer reads the bytes.
 * DT_ERR_DATA for what the vocabulary lacks; DT_ERR_INTERNAL if there is no room. */
dt_status dt_text_tokens(int32_t *id, size_t capacity, size_t *count, const dt_text *text,
                         const dt_tokenizer *tokenizer);

/* Append one text, of which at least one token is given. DT_ERR_DATA for what the vocabulary lacks;
 * DT_ERR_INTERNAL if there is no room. */
dt_status dt_batch_append(dt_batch *batch, const dt_text *text, uint64_t index,
                          const dt_tokenizer *tokenizer);

/* Let token i have another place; one that had none keeps its spot. */
static inline void dt_batch_move(dt_batch *batch, size_t i, int32_t place) {
    const int32_t spot = batch->spot[i], further = place - batch->place[i];
    batch->place[i] = place;
    if (spot != 0) batch->spot[i] = spot > 0 ? spot + further : spot - further;
}

/* Let the places of text b's digits begin at `offset` more. */
void dt_batch_shift_places(dt_batch *batch, size_t b, int32_t offset);

/* The whole of text b, its end included, and how much of it is given; its note. */
dt_status dt_batch_text(dt_text *text, const dt_batch *batch, size_t b,
                        const dt_tokenizer *tokenizer);

#endif
