/* Shows how far a long evaluation is: a bar on a terminal, lines elsewhere. */
#include "dtrain/ui/eval_bar.h"

#include <inttypes.h>
#include <stdio.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/memory.h"
#include "dtrain/ui/progress.h"

static const double BAR_SECONDS = 0.2, LINE_SECONDS = 10;

void dt_eval_bar_open(dt_eval_bar *bar, const dt_source *source, uint64_t problems, size_t ranks) {
    *bar = (dt_eval_bar){.texts = source->kind->texts,
                         .answers = dt_source_has_answers(source),
                         .problems = problems,
                         .ranks = ranks,
                         .start = dt_seconds_now()};
    dt_bar_open(&bar->bar, (dt_log_level)source->config.log_level, BAR_SECONDS, LINE_SECONDS);
}

void dt_eval_bar_close(dt_eval_bar *bar) { dt_bar_close(&bar->bar); }

/* Assumes that the other ranks are as fast as this one. */
static uint64_t guess_done(const dt_eval_bar *bar) {
    const uint64_t done = bar->done + bar->own * bar->ranks;
    return done < bar->problems ? done : bar->problems;
}

static void show(const dt_eval_bar *bar, double now) {
    enum { INNER = 20 };
    char left[32], wrong[32] = "", says[160], line[200], brackets[INNER + 3];
    const uint64_t done = guess_done(bar);
    const double rate = (double)done / (now - bar->start);
    dt_progress_duration(left, sizeof left, (double)(bar->problems - done) / rate);
    if (bar->answers) snprintf(wrong, sizeof wrong, "  %" PRIu64 " wrong", bar->wrong);
    snprintf(says, sizeof says, "%" PRIu64 "/%" PRIu64 "%s  %.0f %s/s  %s left", done,
             bar->problems, wrong, rate, bar->texts, left);
    if (!bar->bar.terminal) {
        dt_log_info("%s", says);
        return;
    }
    dt_bar_brackets(brackets, INNER, (double)done / (double)bar->problems);
    const size_t width = dt_bar_width(&bar->bar);
    const int length = snprintf(line, sizeof line, "%s %s", brackets, says);
    if ((size_t)length > width) snprintf(line, dt_min_size(width + 1, sizeof line), "%s", says);
    dt_bar_show(line);
}

void dt_eval_bar_chunk(void *context, uint64_t done) {
    dt_eval_bar *bar = context;
    const double now = dt_seconds_now();
    bar->own += done;
    if (dt_bar_due(&bar->bar, now)) show(bar, now);
}

void dt_eval_bar_round(void *context, uint64_t done, uint64_t wrong) {
    dt_eval_bar *bar = context;
    bar->done = done;
    bar->wrong = wrong;
    bar->own = 0;
}
