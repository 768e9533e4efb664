/* Texts drawn from a model. */
#ifndef DTRAIN_SAMPLE_H
#define DTRAIN_SAMPLE_H

#include "dtrain/model/model.h"

/* How a token is drawn: the same numbers give the same token. */
typedef struct {
    double temperature; /* logits are divided by it; 0: the likeliest token, always */
    size_t top_k;       /* only the so many likeliest tokens; 0: all */
    double top_p; /* of these, the fewest likeliest whose probabilities add up to it; 1: all */
    uint64_t seed;
    uint32_t text; /* number of the text: each has random numbers of its own */
} dt_drawing;

/* The temperature unless one is given: below that of the text, so that slips are rare. */
#define DT_USUAL_TEMPERATURE 0.8

typedef struct dt_drawer dt_drawer;

dt_status dt_drawer_create(dt_drawer **drawer, size_t vocabulary);
void dt_drawer_destroy(dt_drawer **drawer);

/* Token number `number` of a text, from its logits (V). -1: they are not finite. */
int32_t dt_drawer_draw(dt_drawer *drawer, const dt_drawing *how, const float *logits,
                       uint64_t number);

typedef struct {
    dt_drawing drawing;
    size_t tokens; /* to be drawn, at most */
    int32_t end;   /* the token that ends a text; -1: none */
    bool slides;   /* a text goes on when the context is full; otherwise it ends there */
} dt_sample_request;

/* Takes the bytes of a token as soon as it is drawn; *stop ends the text. */
typedef dt_status dt_sample_taker(void *context, const char *bytes, size_t count, bool *stop);

/**
 * Draw how a text goes on, and give its tokens to `take` one by one. The text depends on the model,
 * the prompt and the request alone.
 *
 * @param[out] count  tokens drawn, without the end
 * @param[out] ended  by its end
 * @param prompt  at least one token
 * @return DT_ERR_DATA: the model's logits are not finite
 */
dt_status dt_sample(size_t *count, bool *ended, dt_generator *generator,
                    const dt_sample_request *request, const dt_text *prompt,
                    const dt_tokenizer *tokenizer, dt_sample_taker *take, void *context);

#endif
