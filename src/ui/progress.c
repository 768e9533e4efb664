/* Shows how far a run is. */
#include "dtrain/ui/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/cost.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "perplexity.h"

static const double BAR_SECONDS = 0.1, LINE_SECONDS = 5;
/* What was measured so many seconds ago counts for a third. The time left is averaged for longer,
   so that it does not jump at validations. */
static const double LATELY_SECONDS = 10, LONGER_SECONDS = 120;

/* ---- texts ---- */

void dt_progress_duration(char *text, size_t size, double seconds) {
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
        snprintf(text, size, "--:--");
        return;
    }
    const long whole = lround(seconds);
    if (whole >= 86400) {
        snprintf(text, size, "%ldd %02ldh", whole / 86400, whole / 3600 % 24);
    } else if (whole >= 3600) {
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
    }
}

void dt_progress_until(char *text, size_t size, double now, double left) {
    static const double SAME_DAY = 72000, MOST = 1e9;
    struct tm parts;
    text[0] = '\0';
    if (!isfinite(left) || left < 0 || left > MOST) return;
    const time_t then = (time_t)(now + left);
    if (localtime_r(&then, &parts))
        strftime(text, size, left < SAME_DAY ? "%H:%M" : "%m-%d %H:%M", &parts);
}

/* Unknown before anything was measured. */
static void write_shares(char *text, size_t size, const dt_progress_view *v) {
    text[0] = '\0';
    if (!isfinite(v->computing)) return;
    snprintf(text, size, "compute %.0f%% comm %.0f%% wait %.0f%%", v->computing, v->communicating,
             v->waiting);
}

static double share_of(const dt_progress_view *v) {
    return v->steps > 0 ? (double)v->step / (double)v->steps : 0;
}

void dt_progress_bar(char *text, size_t size, size_t width, const dt_progress_view *v) {
    enum { BRACKETS, COUNT, LOSS, RATE, SHARES, LEFT, UNTIL, USED, PARTS };
    enum { INNER_MIN = 10, INNER_MAX = 40 };
    static const int by_importance[PARTS] = {COUNT, LEFT, LOSS,   BRACKETS,
                                             UNTIL, RATE, SHARES, USED};
    char part[PARTS][sizeof v->used], left[32];
    dt_progress_duration(left, sizeof left, v->left);
    dt_bar_brackets(part[BRACKETS], INNER_MIN, share_of(v));
    /* As wide at the first step as at the last, so that the other parts stay where they are. */
    const int digits = snprintf(NULL, 0, "%lld", (long long)v->steps);
    snprintf(part[COUNT], sizeof *part, "%*lld/%lld", digits, (long long)v->step,
             (long long)v->steps);
    snprintf(part[LOSS], sizeof *part, "loss %.4f", v->loss);
    snprintf(part[RATE], sizeof *part, "%.0f tokens/s", v->rate);
    write_shares(part[SHARES], sizeof *part, v);
    snprintf(part[LEFT], sizeof *part, "%s left", left);
    snprintf(part[UNTIL], sizeof *part, "%s%s", *v->until ? "until " : "", v->until);
    snprintf(part[USED], sizeof *part, "%s", v->used);

    bool shown[PARTS] = {false};
    size_t used = 0;
    width = dt_min_size(width, size - 1);
    for (size_t i = 0; i < PARTS; i++) {
        const size_t length = strlen(part[by_importance[i]]), gap = used ? 2 : 0;
        if (!length || used + gap + length > width) continue;
        shown[by_importance[i]] = true;
        used += gap + length;
    }
    const size_t inner = dt_min_size(INNER_MAX, INNER_MIN + width - used);
    if (shown[BRACKETS]) dt_bar_brackets(part[BRACKETS], inner, share_of(v));
    text[0] = '\0';
    for (size_t i = 0, end = 0; i < PARTS; i++) {
        if (!shown[i]) continue;
        end += (size_t)snprintf(text + end, size - end, "%s%s", end ? "  " : "", part[i]);
    }
}

/* JSON has no word for what is not finite. */
static const char *json_number(char text[32], const char *format, double value) {
    if (isfinite(value)) {
        snprintf(text, 32, format, value);
    } else {
        snprintf(text, 32, "null");
    }
    return text;
}

/* ---- measuring ---- */

static void add_sums(dt_progress_sums *to, const dt_progress_sums *more, double horizon) {
    const double keep = exp(-more->elapsed / horizon);
    to->steps = keep * to->steps + more->steps;
    to->tokens = keep * to->tokens + more->tokens;
    to->seconds = keep * to->seconds + more->seconds;
    to->elapsed = keep * to->elapsed + more->elapsed;
    to->communicating = keep * to->communicating + more->communicating;
    to->waiting = keep * to->waiting + more->waiting;
}

static void take_in_fresh(dt_progress *p) {
    add_sums(&p->line, &p->fresh, INFINITY);
    add_sums(&p->lately, &p->fresh, LATELY_SECONDS);
    add_sums(&p->longer, &p->fresh, LONGER_SECONDS);
    p->fresh = (dt_progress_sums){0};
}

/* "4.1 Wh (RAPL), 0.13 JPY; at the end about 20 Wh, 0.6 JPY": this start goes on as it did so far.
 */
static void describe_used(char *text, size_t size, const dt_progress *p, const dt_metrics *metrics,
                          double left) {
    dt_usage now;
    char end[128];
    text[0] = '\0';
    if (!metrics) return;
    dt_metrics_usage(&now, metrics);
    dt_cost_usage_text(text, size, &now, &p->config);
    const dt_usage *first = &p->first.usage;
    const double share = left / (dt_seconds_now() - p->first.time);
    if (!*text || !isfinite(share)) return;
    const dt_cost cost =
        dt_cost_of(&p->config, now.joules + share * (now.joules - first->joules),
                   now.node_seconds + share * (now.node_seconds - first->node_seconds));
    dt_cost_text(end, sizeof end, &cost, &p->config, NULL);
    const size_t used = strlen(text);
    if (*end) snprintf(text + used, size - used, "; at the end about %s", end);
}

static dt_progress_view view_of(const dt_progress *p, const dt_train_row *row,
                                const dt_progress_sums *s) {
    const double others = s->communicating + s->waiting;
    const double step_seconds = p->longer.elapsed / p->longer.steps;
    dt_progress_view view = {
        .step = row->step + 1,
        .steps = p->config.steps,
        .loss = row->loss,
        .rate = s->tokens / s->seconds,
        .computing = 100 * fmax(0, s->seconds - others) / s->seconds,
        .communicating = 100 * s->communicating / s->seconds,
        .waiting = 100 * s->waiting / s->seconds,
        .left = step_seconds * (double)(p->config.steps - row->step - 1),
    };
    dt_progress_until(view.until, sizeof view.until, (double)time(NULL), view.left);
    describe_used(view.used, sizeof view.used, p, p->last_times.metrics, view.left);
    return view;
}

/* ---- showing ---- */

void dt_progress_open(dt_progress *p, const dt_config *config) {
    const double now = dt_seconds_now();
    *p = (dt_progress){.config = *config,
                       .source = dt_source_kind_of(config),
                       .next_line = now + LINE_SECONDS,
                       .last_step = now};
    dt_bar_open(&p->bar, (dt_log_level)config->log_level, BAR_SECONDS, LINE_SECONDS);
    p->bar.next = now; /* with the first step */
}

void dt_progress_close(dt_progress *p) { dt_bar_close(&p->bar); }

void dt_progress_event(const dt_progress *p, const char *json) {
    if (dt_run_append_log(p->config.out, json) == DT_OK) return;
    dt_log_warn("%s", dt_error_text());
    dt_error_clear();
}

static void show_bar(const dt_progress *p, const dt_train_row *row) {
    const dt_progress_view view = view_of(p, row, &p->lately);
    char text[640];
    dt_progress_bar(text, sizeof text, dt_bar_width(&p->bar), &view);
    dt_bar_show(text);
}

static void show_line(const dt_progress *p, const dt_train_row *row) {
    const dt_progress_view v = view_of(p, row, &p->line);
    char left[32], shares[80];
    dt_progress_duration(left, sizeof left, v.left);
    write_shares(shares, sizeof shares, &v);
    dt_log_info("step %lld/%lld  loss %.4f  lr %.2e  grad norm %.3f  %.0f tokens/s  %.0f "
                "problems/s%s%s  %s left%s%s%s%s",
                (long long)v.step, (long long)v.steps, v.loss, row->lr, row->grad_norm, v.rate,
                (double)p->config.batch * p->line.steps / p->line.seconds, *shares ? "  " : "",
                shares, left, *v.until ? ", until " : "", v.until, *v.used ? "  " : "", v.used);
}

static void log_step(const dt_progress *p, const dt_train_row *row) {
    const dt_progress_view v = view_of(p, row, &p->line);
    char line[1200], number[7][32], cost[600] = "";
    if (p->last_times.metrics) {
        dt_usage usage;
        dt_metrics_usage(&usage, p->last_times.metrics);
        dt_cost_usage_json(cost, sizeof cost, &usage, &p->config);
    }
    snprintf(line, sizeof line,
             "{\"event\":\"step\",\"step\":%lld,\"loss\":%s,\"lr\":%.9g,\"grad_norm\":%s,"
             "\"tokens_per_second\":%s,\"compute_percent\":%s,\"communication_percent\":%s,"
             "\"waiting_percent\":%s,\"seconds_left\":%s%s}",
             (long long)v.step, json_number(number[0], "%.9g", v.loss), row->lr,
             json_number(number[1], "%.9g", row->grad_norm), json_number(number[2], "%.0f", v.rate),
             json_number(number[3], "%.1f", v.computing),
             json_number(number[4], "%.1f", v.communicating),
             json_number(number[5], "%.1f", v.waiting), json_number(number[6], "%.0f", v.left),
             cost);
    dt_progress_event(p, line);
}

static void count_step(dt_progress *p, double now, const dt_train_row *row,
                       const dt_step_times *times) {
    p->fresh.steps++;
    p->fresh.tokens += (double)row->tokens;
    p->fresh.seconds += row->seconds;
    p->fresh.elapsed += now - p->last_step;
    p->fresh.communicating += times->communicating - p->last_times.communicating;
    p->fresh.waiting += times->waiting - p->last_times.waiting;
    p->last_step = now;
    p->last_times = *times;
    if (p->first.time == 0 && times->metrics) {
        p->first.time = now;
        dt_metrics_usage(&p->first.usage, times->metrics);
    }
}

void dt_progress_step(dt_progress *p, const dt_train_row *row, const dt_step_times *times) {
    const double now = dt_seconds_now();
    count_step(p, now, row, times);
    const bool line = row->step + 1 >= p->config.steps || now >= p->next_line;
    const bool bar = p->bar.terminal && (dt_bar_due(&p->bar, now) || line);
    if (!line && !bar) return;
    take_in_fresh(p);
    if (bar) show_bar(p, row);
    if (!line) return;
    if (!p->bar.terminal) show_line(p, row);
    log_step(p, row);
    p->next_line = now + LINE_SECONDS;
    p->line = (dt_progress_sums){0};
}

void dt_progress_validation(dt_progress *p, const dt_validation_row *row, bool best) {
    char parts[160] = "", json[160] = "", line[512], loss[32];
    char perplexity[DT_PERPLEXITY_SIZE];
    size_t used = 0, json_used = 0;
    for (size_t i = 0; i < p->source->kinds; i++) {
        const dt_text_kind *kind = &p->source->kind[i];
        const double value = row->exact_match_of[i];
        if (isnan(value)) continue;
        used += (size_t)snprintf(parts + used, sizeof parts - used, "  %c %.2f%%", kind->symbol,
                                 100 * value);
        json_used += (size_t)snprintf(json + json_used, sizeof json - json_used,
                                      ",\"exact_match_%s\":%.6f", kind->name, value);
    }
    char bits[48] = "", exact[32] = "";
    /* Text without an end has no answer that is right or wrong. */
    if (p->source->end) snprintf(exact, sizeof exact, "  exact %.2f%%", 100 * row->exact_match);
    if (p->source->bits_per_byte) {
        snprintf(bits, sizeof bits, "  bits per byte %.4f", row->bits_per_byte);
        snprintf(json + json_used, sizeof json - json_used, ",\"bits_per_byte\":%s",
                 json_number(loss, "%.9g", row->bits_per_byte));
    }
    dt_log_info("validation at %lld: loss %.4f  perplexity %s%s  tokens %.2f%%%s %s%s",
                (long long)row->step, row->loss, dt_perplexity_text(perplexity, 3, row->perplexity),
                bits, 100 * row->token_accuracy, exact, parts, best ? "  (best)" : "");
    snprintf(line, sizeof line,
             "{\"event\":\"validation\",\"step\":%lld,\"loss\":%s,\"token_accuracy\":%.6f,"
             "\"exact_match\":%.6f%s}",
             (long long)row->step, json_number(loss, "%.9g", row->loss), row->token_accuracy,
             row->exact_match, json);
    dt_progress_event(p, line);
}

/* Bytes of the whole characters in the first `most` bytes of a text. */
static size_t whole_characters(const char *text, size_t length, size_t most) {
    if (length <= most) return length;
    while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80) most--;
    return most;
}

/* The first lines, each behind four spaces, as far as there is room. */
static void indent(char *shown, size_t size, const char *text) {
    enum { LINES = 8, INDENT = sizeof "\n    " - 1 };
    size_t used = 0;
    for (size_t lines = 0; *text && lines < LINES && used + INDENT < size; lines++) {
        const size_t length = strcspn(text, "\n");
        const size_t fits = whole_characters(text, length, size - used - INDENT - 1);
        used += (size_t)snprintf(shown + used, size - used, "\n    %.*s", (int)fits, text);
        text += length + (text[length] == '\n');
    }
}

static dt_status log_sample(const dt_progress *p, int64_t step, const char *text) {
    char *line = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&line, &size);
    DT_REQUIRE(file, DT_ERR_MEMORY, "no memory for a sample of %zu bytes", strlen(text));
    fprintf(file, "{\"event\":\"sample\",\"step\":%lld,\"text\":", (long long)step);
    dt_json_write_text(file, text);
    fputc('}', file);
    const bool written = fclose(file) == 0;
    if (written) dt_progress_event(p, line);
    free(line);
    DT_REQUIRE(written, DT_ERR_MEMORY, "no memory for a sample of %zu bytes", strlen(text));
    return DT_OK;
}

void dt_progress_sample(dt_progress *p, int64_t step, const char *text) {
    char shown[1600] = "";
    indent(shown, sizeof shown, text);
    dt_log_info("sample at %lld:%s", (long long)step, shown);
    if (log_sample(p, step, text) == DT_OK) return;
    dt_log_warn("%s", dt_error_text());
    dt_error_clear();
}
