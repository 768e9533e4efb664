/* Times every operation of a backend, without changes to the backend or the model. */
#ifndef BENCH_STOPWATCH_H
#define BENCH_STOPWATCH_H

#include "bench.h"
#include "dtrain/model/model.h"

/* The parts of a step. */
typedef enum {
    PART_EMBEDDING,
    PART_NORM,
    PART_QKV,        /* the products for queries, keys and values */
    PART_ATTENTION,  /* attention between the tokens of a problem */
    PART_PROJECTION, /* the product after attention */
    PART_MLP,
    PART_LOGITS,
    PART_LOSS,
    PART_DROPOUT,
    PART_COPIES,    /* clearing gradients, bringing batches and weights to the device */
    PART_REDUCTION, /* the sums over shards and ranks */
    PART_UPDATE,    /* the gradient's norm and the optimizer */
    PART_DATA,      /* making problems and packing them */
    PART_WAITING,   /* for other ranks */
    PARTS
} part;

typedef enum { FORWARD, BACKWARD, DIRECTIONS } direction;

/* "embedding" … "waiting" */
const char *part_name(part p);

typedef struct {
    dt_backend_table
        table; /* first: the backend's `op` points here, which leads back to the rest */
    const dt_backend_table *inner;
    dt_update_table update;
    const dt_update_table *inner_update;
    dt_model_shape shape; /* tells products apart; to be set before the first one */
    clock_reader *now;
    double seconds[PARTS][DIRECTIONS];
    double last;    /* when the last operation ended */
    size_t created; /* bytes of all buffers created since stopwatch_install */
} stopwatch;

/**
 * Time all operations of a backend from now on, until stopwatch_remove. Two readings of the clock
 * for each: less than 0.1 % of a step of the smallest model here.
 *
 * Operations that are not known here run untimed.
 */
void stopwatch_install(stopwatch *watch, dt_backend *backend, clock_reader *now);
void stopwatch_remove(stopwatch *watch, dt_backend *backend);

/* All parts to zero. */
void stopwatch_clear(stopwatch *watch);

#endif
