/* Sharded evaluation: what is asked of it, and what it finds. */
#ifndef DTRAIN_EVALUATE_H
#define DTRAIN_EVALUATE_H

#include <stdio.h>

#include "dtrain/data/source.h"
#include "dtrain/run/session.h"

/* A forward pass has so many problems at most, and no more are added to so many tokens: the widest
 * activations of a small model then stay in a second-level cache. And answers generated at once. */
enum { DT_EVAL_CHUNK = 32, DT_EVAL_TOKENS = 512, DT_EVAL_ANSWERS = 64 };

/* Which texts: 0 … count-1 of a split. */
typedef struct {
    dt_split split;
    uint64_t count;
} dt_eval_problems;

/* So that others can see an evaluation go on. Any of them may be NULL. */
typedef struct {
    void (*work)(void *context);                 /* this rank has problems to do */
    void (*chunk)(void *context, uint64_t done); /* of this rank, since then */
    void (*wait)(void *context);                 /* all are done: it waits for the other ranks */
    void (*round)(void *context, uint64_t done, uint64_t wrong); /* of all ranks, in all */
    void *context;
} dt_eval_progress;

typedef struct {
    dt_eval_problems problems;
    /* Where answers can be right without their text: generate those of texts that are not
       reproduced exactly; otherwise only an exact text counts. */
    bool generate;
    bool list;    /* write a line for each wrong answer, in the order of the texts */
    FILE *errors; /* to this file, on rank 0 */
    const dt_eval_progress *progress; /* NULL: none */
} dt_eval_request;

typedef struct {
    const dt_source_kind *kind;
    dt_score total;  /* loss and token accuracy on the given text; exact: the whole text */
    dt_count *count; /* [0]: of all texts; [1 + k]: of those of kind k */
    int64_t *tally;  /* the source's own */
    uint64_t done;   /* texts; fewer than were asked for only if interrupted */
    uint64_t wrong;
    uint64_t bytes;   /* of text that the scored tokens stand for */
    bool interrupted; /* by a signal: texts 0 … done-1 are in total and wrong, and the counts of
                         no use */
} dt_eval_result;

/**
 * Evaluate texts, cut into units of fixed size that the ranks share out, so that the result does
 * not depend on their number. Collective.
 *
 * @param[out] result  to be given back with dt_eval_result_destroy, also after an error
 * @param source       there are at most as many texts as it has
 * @return DT_ERR_STOPPED is none of its errors: a signal sets result->interrupted
 */
dt_status dt_evaluate(dt_eval_result *result, dt_session *s, dt_model *model,
                      const dt_source *source, const dt_eval_request *request);

/* The loss in bits per byte of text. */
double dt_eval_bits_per_byte(const dt_eval_result *result);

void dt_eval_result_destroy(dt_eval_result *result);

#endif
