/* What a run shows while it goes on: a bar on a terminal, lines elsewhere, events in log.jsonl. */
#ifndef DTRAIN_PROGRESS_H
#define DTRAIN_PROGRESS_H

#include "app.h"

/* Seconds since the start, in sum; the rest of a step is computing. */
typedef struct {
    double communicating; /* adding gradients, exchanging them between nodes */
    double waiting;       /* for other ranks */
} progress_times;

typedef struct {
    char folder[DT_PATH_MAX];
    int64_t steps, batch;
    bool terminal;
    double next_bar, next_line; /* seconds_now() */
    /* since the last line: */
    int64_t line_steps, line_tokens;
    double line_seconds;
    progress_times line_times; /* as they stood at the last line */
} progress;

/* Rank 0 only, like everything here. */
void progress_open(progress *p, const dt_config *config);

/* After each step; cheap while nothing is due. */
void progress_step(progress *p, const dt_train_row *row, const progress_times *times);

/* A line that stays, with a mark when it is the best so far. */
void progress_validation(progress *p, const dt_validation_row *row, bool best);

/* One event for log.jsonl: a JSON object without its newline. A log that cannot be written is
 * reported, and no reason to end a run. */
void progress_event(const progress *p, const char *json);

/* The bar gives way to what comes after it. */
void progress_close(progress *p);

/* ---- the texts, for tests ---- */

/* "1:02:03", "4:05", "--:--" for what is not known. */
void progress_duration(char *text, size_t size, double seconds);

/* At most `width` columns: [=====>    ] 120/2500  loss 0.1234  … */
void progress_bar(char *text, size_t size, size_t width, int64_t step, int64_t steps,
                  const char *rest);

#endif
