/* Shows how far a long evaluation is: a bar on a terminal, lines elsewhere. */
#include "dtrain/ui/eval_bar.h"

#include <inttypes.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/ui/progress.h"
#include "dtrain/ui/terminal.h"

static const double BAR_SECONDS = 0.2, LINE_SECONDS = 10;

static void clear_bar(void) { fputs("\r\033[K", stderr); }

void dt_eval_bar_open(dt_eval_bar *bar, uint64_t problems, size_t ranks, dt_log_level level) {
    const double now = dt_seconds_now();
    *bar = (dt_eval_bar){.problems = problems, .ranks = ranks, .start = now, .terminal_file = -1};
    if (level == DT_LOG_INFO) bar->terminal = dt_terminal_open(&bar->terminal_file);
    bar->next = now + (bar->terminal ? BAR_SECONDS : LINE_SECONDS);
    if (bar->terminal) dt_log_before(clear_bar);
}

void dt_eval_bar_close(dt_eval_bar *bar) {
    if (!bar->terminal) return;
    clear_bar();
    dt_log_before(NULL);
    dt_terminal_close(&bar->terminal_file);
    bar->terminal = false;
}

/* The other ranks are taken to be as fast as this one. */
static uint64_t guess_done(const dt_eval_bar *bar) {
    const uint64_t done = bar->done + bar->own * bar->ranks;
    return done < bar->problems ? done : bar->problems;
}

/* "[====>     ] " in `inner` + 3 characters; nothing where there is no room. */
static void write_brackets(char *text, size_t inner, double share) {
    const size_t full = (size_t)((double)inner * share);
    text[0] = '[';
    for (size_t i = 0; i < inner; i++) text[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
    memcpy(text + 1 + inner, "] ", sizeof "] ");
}

static void show(const dt_eval_bar *bar, double now) {
    enum { INNER = 20, USUAL = 80 };
    char left[32], says[160], brackets[INNER + 4] = "";
    const uint64_t done = guess_done(bar);
    const double rate = (double)done / (now - bar->start);
    dt_progress_duration(left, sizeof left, (double)(bar->problems - done) / rate);
    const int length = snprintf(
        says, sizeof says, "%" PRIu64 "/%" PRIu64 "  %" PRIu64 " wrong  %.0f problems/s  %s left",
        done, bar->problems, bar->wrong, rate, left);
    if (!bar->terminal) {
        dt_log_info("%s", says);
        return;
    }
    const size_t columns = dt_terminal_columns(bar->terminal_file),
                 most = columns ? columns : USUAL;
    if ((size_t)length + sizeof brackets <= most) {
        write_brackets(brackets, INNER, (double)done / (double)bar->problems);
    }
    fprintf(stderr, "\r%s%.*s\033[K", brackets, (int)(most - 1), says);
    fflush(stderr);
}

void dt_eval_bar_chunk(void *context, uint64_t done) {
    dt_eval_bar *bar = context;
    const double now = dt_seconds_now();
    bar->own += done;
    if (now < bar->next) return;
    show(bar, now);
    bar->next = now + (bar->terminal ? BAR_SECONDS : LINE_SECONDS);
}

void dt_eval_bar_round(void *context, uint64_t done, uint64_t wrong) {
    dt_eval_bar *bar = context;
    bar->done = done;
    bar->wrong = wrong;
    bar->own = 0;
}
