/* Sharded evaluation: what is asked of it, and what it finds. */
#ifndef DTRAIN_EVALUATE_H
#define DTRAIN_EVALUATE_H

#include <stdio.h>

#include "dtrain/data/source.h"
#include "dtrain/run/session.h"

/* Limits of a forward pass: a number of problems, and a number of tokens from which on no problem
 * is added, so that the widest activations of a small model stay in the second-level cache. Also,
 * how many answers are generated at once. */
enum { DT_EVAL_CHUNK = 32, DT_EVAL_TOKENS = 512, DT_EVAL_ANSWERS = 64 };

/* Which texts: 0 … count-1 of a split. */
typedef struct {
    dt_split split;
    uint64_t count;
} dt_eval_problems;

/* Follows the progress of an evaluation. Any of the functions may be NULL. */
typedef struct {
    void (*work)(void *context);                 /* this rank begins its problems */
    void (*chunk)(void *context, uint64_t done); /* problems done by this rank since `work` */
    void (*wait)(void *context);                 /* this rank is done and waits for the others */
    void (*round)(void *context, uint64_t done, uint64_t wrong); /* totals of all ranks */
    void *context;
} dt_eval_progress;

typedef struct {
    dt_eval_problems problems;
    /* For sources that judge answers by value: generate an answer for each text that is not
     * reproduced exactly. Otherwise only an exact text counts. */
    bool generate;
    bool list;    /* write a line for each wrong answer, in the order of the texts */
    FILE *errors; /* where they are written, on rank 0 */
    const dt_eval_progress *progress; /* NULL: none */
} dt_eval_request;

typedef struct {
    const dt_source_kind *kind;
    dt_score total;  /* loss and token accuracy on the given text; exact: the whole text */
    dt_count *count; /* [0]: of all texts; [1 + k]: of those of kind k */
    int64_t *tally;  /* the source's own */
    uint64_t done;   /* texts; fewer than were asked for only if interrupted */
    uint64_t wrong;
    bool answers;     /* whether texts have some, so that they are right or wrong */
    uint64_t bytes;   /* of the text that the scored tokens encode */
    bool interrupted; /* by a signal: total and wrong cover texts 0 … done-1; the counts are
                         incomplete */
} dt_eval_result;

/**
 * Evaluate texts, cut into units of fixed size that the ranks share out, so that the result does
 * not depend on their number. Collective.
 *
 * @param[out] result  free it with dt_eval_result_destroy, also after an error
 * @param source  has at least as many texts as requested
 * @return never DT_ERR_STOPPED: a signal sets result->interrupted
 */
dt_status dt_evaluate(dt_eval_result *result, dt_session *s, dt_model *model,
                      const dt_source *source, const dt_eval_request *request);

/* The loss in bits per byte of text. */
double dt_eval_bits_per_byte(const dt_eval_result *result);

void dt_eval_result_destroy(dt_eval_result *result);

#endif
