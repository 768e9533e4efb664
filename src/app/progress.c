/* Shows how far a run is. */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double BAR_SECONDS = 0.1, LINE_SECONDS = 5;

void progress_duration(char *text, size_t size, double seconds) {
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e8) {
        snprintf(text, size, "--:--");
        return;
    }
    const long whole = lround(seconds);
    if (whole >= 3600) {
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
    }
}

void progress_bar(char *text, size_t size, size_t width, int64_t step, int64_t steps,
                  const char *rest) {
    char count[48];
    snprintf(count, sizeof count, " %lld/%lld", (long long)step, (long long)steps);
    const size_t most = dt_min_size(width, size - 1);
    const size_t others = 2 + strlen(count) + strlen(rest);
    size_t used = 0;
    if (most > others + 5) {
        const size_t inner = dt_min_size(most - others, 30);
        const size_t full = steps > 0 ? (size_t)((double)inner * (double)step / (double)steps) : 0;
        text[used++] = '[';
        for (size_t i = 0; i < inner; i++) text[used++] = i < full ? '=' : i == full ? '>' : ' ';
        text[used++] = ']';
    }
    snprintf(text + used, most - used + 1, "%s%s", count, rest);
}

/* Before any other message: the bar's line is taken back. */
static void clear_bar(void) { fputs("\r\033[K", stderr); }

static size_t terminal_width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_open(progress *p, const dt_config *config) {
    const double now = seconds_now();
    *p = (progress){.steps = config->steps,
                    .batch = config->batch,
                    .terminal = isatty(STDERR_FILENO) && config->log_level >= DT_LOG_INFO,
                    .next_bar = now,
                    .next_line = now + LINE_SECONDS};
    memcpy(p->folder, config->out, sizeof p->folder);
    if (p->terminal) dt_log_before(clear_bar);
}

void progress_close(progress *p) {
    if (p->terminal) clear_bar();
    dt_log_before(NULL);
    p->terminal = false;
}

void progress_event(const progress *p, const char *json) {
    if (dt_run_append_log(p->folder, json) == DT_OK) return;
    dt_log_warn("%s", dt_error_text());
    dt_error_clear();
}

/* JSON has no word for what is not finite. */
static const char *json_number(char text[32], double value) {
    snprintf(text, 32, isfinite(value) ? "%.9g" : "null", value);
    return text;
}

/* What one line says beside step and bar. */
typedef struct {
    double rate;                              /* tokens per second */
    double step_seconds;                      /* on average */
    double computing, communicating, waiting; /* shares in percent */
} summary;

static summary sum_up(const progress *p, const progress_times *times) {
    const double seconds = p->line_seconds;
    const double communicating = times->communicating - p->line_times.communicating;
    const double waiting = times->waiting - p->line_times.waiting;
    return (summary){
        .rate = (double)p->line_tokens / seconds,
        .step_seconds = seconds / (double)p->line_steps,
        .computing = 100 * fmax(0, seconds - communicating - waiting) / seconds,
        .communicating = 100 * communicating / seconds,
        .waiting = 100 * waiting / seconds,
    };
}

static void show_bar(const progress *p, const dt_train_row *row, const summary *s) {
    char rest[160], left[32], text[512];
    progress_duration(left, sizeof left, s->step_seconds * (double)(p->steps - row->step - 1));
    snprintf(rest, sizeof rest,
             "  loss %.4f  %.0f tokens/s  compute %.0f%% comm %.0f%% wait %.0f%%  %s left",
             row->loss, s->rate, s->computing, s->communicating, s->waiting, left);
    progress_bar(text, sizeof text, terminal_width() - 1, row->step + 1, p->steps, rest);
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
}

static void show_line(const progress *p, const dt_train_row *row, const summary *s) {
    char left[32];
    progress_duration(left, sizeof left, s->step_seconds * (double)(p->steps - row->step - 1));
    dt_log_info("step %lld/%lld  loss %.4f  lr %.2e  grad norm %.3f  %.0f tokens/s  %.0f "
                "problems/s  compute %.0f%% comm %.0f%% wait "
                "%.0f%%  %s left",
                (long long)row->step + 1, (long long)p->steps, row->loss, row->lr, row->grad_norm,
                s->rate, (double)p->batch / s->step_seconds, s->computing, s->communicating,
                s->waiting, left);
}

static void log_step(const progress *p, const dt_train_row *row, const summary *s) {
    char line[384], loss[32], norm[32];
    snprintf(line, sizeof line,
             "{\"event\":\"step\",\"step\":%lld,\"loss\":%s,\"lr\":%.9g,\"grad_norm\":%s,\"tokens_"
             "per_second\":%.0f,"
             "\"compute_percent\":%.1f,\"communication_percent\":%.1f,\"waiting_percent\":%.1f}",
             (long long)row->step + 1, json_number(loss, row->loss), row->lr,
             json_number(norm, row->grad_norm), s->rate, s->computing, s->communicating,
             s->waiting);
    progress_event(p, line);
}

void progress_step(progress *p, const dt_train_row *row, const progress_times *times) {
    p->line_steps++;
    p->line_tokens += row->tokens;
    p->line_seconds += row->seconds;
    const double now = seconds_now();
    const bool last = row->step + 1 >= p->steps, line = last || now >= p->next_line;
    if (!line && !(p->terminal && now >= p->next_bar)) return;
    const summary s = sum_up(p, times);
    if (p->terminal) {
        show_bar(p, row, &s);
        p->next_bar = now + BAR_SECONDS;
    }
    if (!line) return;
    if (!p->terminal) show_line(p, row, &s);
    log_step(p, row, &s);
    p->next_line = now + LINE_SECONDS;
    p->line_steps = p->line_tokens = 0;
    p->line_seconds = 0;
    p->line_times = *times;
}

void progress_validation(progress *p, const dt_validation_row *row, bool best) {
    char parts[160] = "", json[160] = "", line[512], loss[32];
    size_t used = 0, json_used = 0;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const double value = row->exact_match_of[op];
        if (isnan(value)) continue;
        const dt_operation operation = (dt_operation)op;
        used += (size_t)snprintf(parts + used, sizeof parts - used, "  %c %.2f%%",
                                 dt_operation_symbol(operation), 100 * value);
        json_used +=
            (size_t)snprintf(json + json_used, sizeof json - json_used, ",\"exact_match_%s\":%.6f",
                             dt_operation_name(operation), value);
    }
    dt_log_info("validation at %lld: loss %.4f  perplexity %.3f  tokens %.2f%%  exact %.2f%% %s%s",
                (long long)row->step, row->loss, row->perplexity, 100 * row->token_accuracy,
                100 * row->exact_match, parts, best ? "  (best)" : "");
    snprintf(line, sizeof line,
             "{\"event\":\"validation\",\"step\":%lld,\"loss\":%s,\"token_accuracy\":%.6f,\"exact_"
             "match\":%.6f%s}",
             (long long)row->step, json_number(loss, row->loss), row->token_accuracy,
             row->exact_match, json);
    progress_event(p, line);
}
