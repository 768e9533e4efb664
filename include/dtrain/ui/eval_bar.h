/* Shows how far a long evaluation is. */
#ifndef DTRAIN_EVAL_BAR_H
#define DTRAIN_EVAL_BAR_H

#include "dtrain/train/evaluate.h"
#include "dtrain/ui/bar.h"

typedef struct {
    const char *texts; /* what they are called */
    bool answers;      /* they are right or wrong */
    uint64_t problems, ranks;
    uint64_t done, wrong; /* of all ranks, up to the last exchange */
    uint64_t own;         /* of this rank, since that exchange */
    double start;         /* dt_seconds_now() */
    dt_bar bar;
} dt_eval_bar;

/* Rank 0 only, like everything here: a bar on a terminal, else a line now and then. */
void dt_eval_bar_open(dt_eval_bar *bar, const dt_source *source, uint64_t problems, size_t ranks);
void dt_eval_bar_chunk(void *bar, uint64_t done);
void dt_eval_bar_round(void *bar, uint64_t done, uint64_t wrong);
/* Clears the bar. */
void dt_eval_bar_close(dt_eval_bar *bar);

#endif
