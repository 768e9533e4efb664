/* What a run shows while it goes on: a bar on a terminal, lines elsewhere, events in log.jsonl. */
#ifndef DTRAIN_PROGRESS_H
#define DTRAIN_PROGRESS_H

#include "dtrain/core/config.h"
#include "dtrain/data/source.h"
#include "dtrain/train/loop.h"
#include "dtrain/ui/bar.h"

/* What was done during some time. */
typedef struct {
    double steps, tokens;
    double seconds; /* in steps */
    double elapsed; /* by the clock: with validations and all else between steps */
    double communicating, waiting;
} dt_progress_sums;

/* What had been used at some moment. */
typedef struct {
    double time; /* dt_seconds_now(); 0: not yet */
    dt_usage usage;
} dt_progress_used;

typedef struct {
    dt_config config;
    const dt_source_kind *source; /* what is learned */
    dt_bar bar;
    double next_line, last_step; /* dt_seconds_now() */
    dt_step_times last_times;
    dt_progress_sums fresh;  /* since something was shown */
    dt_progress_sums line;   /* since the last line */
    dt_progress_sums lately; /* the last seconds count most: for the bar's rates */
    dt_progress_sums longer; /* the last minutes: for the time that is left */
    dt_progress_used first;  /* after the first step: for what the run will have used */
} dt_progress;

/* Rank 0 only, like everything here. Just before the first step. */
void dt_progress_open(dt_progress *p, const dt_config *config);

/* After each step. Reads the clock once and returns while nothing is to be shown. */
void dt_progress_step(dt_progress *p, const dt_train_row *row, const dt_step_times *times);

/* A line that is not overwritten; the best one so far is marked. */
void dt_progress_validation(dt_progress *p, const dt_validation_row *row, bool best);

/* What the model writes, in UTF-8: its first lines, indented; log.jsonl has all of it. */
void dt_progress_sample(dt_progress *p, int64_t step, const char *text);

/* One event for log.jsonl: a JSON object without its newline. A log that cannot be written is
 * reported, and the run goes on. */
void dt_progress_event(const dt_progress *p, const char *json);

/* Clears the bar. Calling it again does nothing. */
void dt_progress_close(dt_progress *p);

/* ---- the texts, for tests ---- */

/* "4:05", "1:02:03", "3d 04h"; "--:--" where it is not known. */
void dt_progress_duration(char *text, size_t size, double seconds);

/* "14:05", or "02-28 14:05" if that is more than 20 hours away, in local time; "" where it is not
 * known.
 *
 * @param now, left  seconds since 1970, and until then */
void dt_progress_until(char *text, size_t size, double now, double left);

/* What a bar or a line says. */
typedef struct {
    int64_t step, steps;
    double loss;
    double rate;                              /* tokens per second */
    double computing, communicating, waiting; /* shares in percent */
    double left;                              /* seconds */
    char until[24];                           /* the clock's time then; "": not shown */
    char used[320];                           /* energy and money so far, and then; "": unknown */
} dt_progress_view;

/**
 * "[=====>    ]  120/2500  loss 0.1234 …" in at most `width` columns. Where there is not enough
 * room, the least important parts are left out.
 */
void dt_progress_bar(char *text, size_t size, size_t width, const dt_progress_view *view);

#endif
