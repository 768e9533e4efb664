/* Reads runs for plot, and finds the facts that a page begins with. */
#include "plot_runs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/cost.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/newest.h"
#include "dtrain/ui/progress.h"

/* ---- reading ---- */

static dt_status read_log(plot_runs *runs, size_t i, const char *target) {
    dt_checkpoint *c = &runs->checkpoint[i];
    char folder[DT_PATH_MAX];
    if (dt_is_folder(target)) {
        snprintf(folder, sizeof folder, "%s", target);
    } else {
        DT_TRY(dt_run_folder_of(folder, sizeof folder, target));
    }
    return dt_run_log_read(&runs->log[i], c->metrics, folder, c->state.step);
}

static dt_status read_run(plot_runs *runs, size_t i, const char *target) {
    char path[DT_PATH_MAX];
    dt_checkpoint *c = &runs->checkpoint[i];
    DT_TRY(dt_newest_summary(c, path, sizeof path, target));
    DT_TRY(read_log(runs, i, target));
    const dt_source_kind *source = dt_source_kind_of(&c->config);
    runs->run[i] = (dt_plot_run){.name = runs->name[i],
                                 .metrics = c->metrics,
                                 .best_step = c->state.best_step,
                                 .kind = source->kind,
                                 .kinds = source->kinds,
                                 .bits_per_byte = source->bits_per_byte};
    return DT_OK;
}

/* The last part of a path, without a slash at its end. */
static void last_part(char *name, size_t size, const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    snprintf(name, size, "%.*s", (int)(end - start), path + start);
}

/* Runs are called by the last part of their path, or by the whole where two are the same. */
static void name_runs(plot_runs *runs, const char *const *target, size_t count) {
    bool whole = false;
    for (size_t i = 0; i < count; i++) {
        last_part(runs->name[i], sizeof runs->name[i], target[i]);
        for (size_t k = 0; k < i; k++) whole = whole || strcmp(runs->name[i], runs->name[k]) == 0;
    }
    for (size_t i = 0; i < count && whole; i++)
        snprintf(runs->name[i], sizeof runs->name[i], "%s", target[i]);
}

static void make_title(plot_runs *runs, const char *const *target, size_t count) {
    const dt_checkpoint *c = &runs->checkpoint[0];
    if (count == 1) {
        snprintf(runs->title, sizeof runs->title, "%s: step %lld of %lld", target[0],
                 (long long)c->state.step, (long long)c->config.steps);
        return;
    }
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof runs->title; i++) {
        used += (size_t)snprintf(runs->title + used, sizeof runs->title - used, "%s%s",
                                 i ? ", " : "", runs->name[i]);
    }
}

dt_status plot_runs_open(plot_runs **runs, const char *const *target, size_t count) {
    DT_TRY(dt_memory_alloc(runs, 1, sizeof **runs, "the runs to draw"));
    name_runs(*runs, target, count);
    for (size_t i = 0; i < count; i++) DT_TRY(read_run(*runs, i, target[i]));
    make_title(*runs, target, count);
    (*runs)->plot = (dt_plot){.title = (*runs)->title, .run = (*runs)->run, .runs = count};
    return DT_OK;
}

void plot_runs_close(plot_runs **runs) {
    if (!*runs) return;
    for (size_t i = 0; i < DT_PLOT_RUNS_MAX; i++) {
        dt_run_log_destroy(&(*runs)->log[i]);
        dt_checkpoint_destroy(&(*runs)->checkpoint[i]);
    }
    dt_memory_free(runs);
}

/* ---- facts ---- */

static void add_fact(dt_page_run *run, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add_fact(dt_page_run *run, const char *name, const char *fmt, ...) {
    va_list args;
    if (run->facts == DT_PAGE_FACTS_MAX) return;
    dt_page_fact *fact = &run->fact[run->facts++];
    fact->name = name;
    va_start(args, fmt);
    vsnprintf(fact->value, sizeof fact->value, fmt, args);
    va_end(args);
}

/* "7,237,882" */
static const char *grouped(char text[32], int64_t number) {
    char digits[24];
    const int count = snprintf(digits, sizeof digits, "%lld", (long long)number);
    char *to = text;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0 && digits[i - 1] != '-') *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

static void add_progress(dt_page_run *run, const dt_checkpoint *c) {
    const dt_metrics *m = c->metrics;
    char text[2][32], duration[32];
    add_fact(run, "step", "%s of %s", grouped(text[0], c->state.step),
             grouped(text[1], c->config.steps));
    if (m->history_count) add_fact(run, "state", "%s", m->history[m->history_count - 1].stopped);
    add_fact(run, "trained on", "%s %s, %s tokens", grouped(text[0], c->state.problems),
             dt_source_kind_of(&c->config)->texts, grouped(text[1], c->state.tokens));
    dt_progress_duration(duration, sizeof duration, c->state.seconds);
    add_fact(run, "time of training", "%s", duration);
    if (c->state.seconds > 0) {
        add_fact(run, "speed", "%s tokens/s",
                 grouped(text[0], llround((double)c->state.tokens / c->state.seconds)));
    }
}

static void add_results(dt_page_run *run, const dt_checkpoint *c) {
    const dt_metrics *m = c->metrics;
    if (c->state.best_step >= 0) {
        add_fact(run, "best validation", "%s %.4f at step %lld", dt_metric_name(&c->config),
                 c->state.best, (long long)c->state.best_step);
    }
    if (m->validation_count) {
        const dt_validation_row *row = &m->validation[m->validation_count - 1];
        add_fact(run, "last validation", "loss %.4f, perplexity %.4g", row->loss, row->perplexity);
        if (isfinite(row->bits_per_byte))
            add_fact(run, "bits per byte", "%.4f", row->bits_per_byte);
    }
}

/* Energy and money, as far as they are known. */
static void add_costs(dt_page_run *run, const dt_checkpoint *c) {
    char cost[512];
    dt_usage usage;
    dt_metrics_usage(&usage, c->metrics);
    dt_cost_usage_text(cost, sizeof cost, &usage, &c->config);
    if (*cost) add_fact(run, "used", "%s", cost);
}

static void find_facts(dt_page_run *run, const dt_checkpoint *c) {
    char text[32];
    add_progress(run, c);
    add_results(run, c);
    add_costs(run, c);
    add_fact(run, "model", "%s parameters: %zu layer%s, width %zu, %zu head%s",
             grouped(text, (int64_t)c->layout.weights), c->shape.L, c->shape.L == 1 ? "" : "s",
             c->shape.C, c->shape.H, c->shape.H == 1 ? "" : "s");
    add_fact(run, "learned", "%s", dt_source_kind_of(&c->config)->subject(&c->config));
}

/* ---- the page ---- */

bool plot_page_is_name(const char *path) {
    const size_t length = strlen(path), end = strlen(".html");
    return length > end && strcmp(path + length - end, ".html") == 0;
}

dt_status plot_page_write(const char *path, const plot_runs *runs) {
    dt_page_run *run = NULL;
    DT_REQUIRE(plot_page_is_name(path), DT_ERR_ARG,
               "%s: --html writes a page; let the name end in .html", path);
    DT_TRY(dt_memory_alloc(&run, runs->plot.runs, sizeof *run, "a page"));
    for (size_t i = 0; i < runs->plot.runs; i++) {
        run[i].config = &runs->checkpoint[i].config;
        run[i].log = &runs->log[i];
        find_facts(&run[i], &runs->checkpoint[i]);
    }
    const dt_page page = {&runs->plot, run, DTRAIN_VERSION};
    const dt_status status = dt_page_write(path, &page);
    dt_memory_free(&run);
    return status;
}
