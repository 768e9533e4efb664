/* What a run has measured: one row per training step, per validation and per start. */
#ifndef DTRAIN_METRICS_H
#define DTRAIN_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "dtrain/core/status.h"

/* Kinds of texts whose answers are counted separately, at most. */
enum { DT_KINDS_MAX = 8 };

/* What one of these kinds is called: "add", and '+' where there is room for one character. */
typedef struct {
    const char *name;
    char symbol;
} dt_text_kind;

typedef struct {
    int64_t step; /* 0-based: the update that this batch led to is number step + 1 */
    double loss;  /* nats per scored token, over the global batch, before the update */
    double lr, grad_norm;
    int64_t tokens; /* of this step */
    double seconds;
    double joules; /* that the run has used up to here, over all starts; NaN: not known */
} dt_train_row;

typedef struct {
    int64_t step; /* updates made before */
    double loss, perplexity, token_accuracy, exact_match;
    double exact_match_of[DT_KINDS_MAX]; /* by kind; NaN: there was no such text */
    double seconds;
    double bits_per_byte; /* not kept in checkpoints */
} dt_validation_row;

typedef struct {
    int64_t step; /* at which this start began */
    int64_t ranks, nodes;
    char host[256];   /* "n1*2,n2*2; 1 CPU per rank" */
    char time[32];    /* ISO 8601, UTC */
    char stopped[64]; /* why it stopped: "running", "finished", "signal TERM" … */
    char changed[256];
    double seconds;           /* that it has lasted; NaN, like the next two: not known */
    double processor_seconds; /* of all its ranks */
    double joules;
    char energy_source[64]; /* how the joules were found out: "RAPL"; "": they are not known */
} dt_history_row;

typedef struct {
    dt_train_row *train;
    size_t train_count, train_capacity;
    dt_validation_row *validation;
    size_t validation_count, validation_capacity;
    dt_history_row *history;
    size_t history_count, history_capacity;
} dt_metrics;

/* Append a row. Rows of the same or a later step are dropped first: after a return to an earlier
   checkpoint they are measured again, and a curve has no two points at one step. DT_ERR_MEMORY. */
dt_status dt_metrics_add_train(dt_metrics *metrics, const dt_train_row *row);
dt_status dt_metrics_add_validation(dt_metrics *metrics, const dt_validation_row *row);

/* Memory for the next row of training: then appending it cannot fail. DT_ERR_MEMORY. */
dt_status dt_metrics_reserve_train(dt_metrics *metrics);

/* Append a start. DT_ERR_MEMORY. */
dt_status dt_metrics_add_history(dt_metrics *metrics, const dt_history_row *row);
void dt_metrics_clear(dt_metrics *metrics);

/* What all starts of a run have used together. */
typedef struct {
    double seconds;           /* of all starts */
    double node_seconds;      /* each start's seconds times its nodes */
    double processor_seconds; /* of all ranks */
    double joules;            /* of the starts that know them; NaN: none does */
    size_t starts, measured;  /* measured: those that know their joules */
    char source[160];         /* how the joules were found out: "RAPL, Slurm" */
} dt_usage;

void dt_metrics_usage(dt_usage *usage, const dt_metrics *metrics);

#endif
