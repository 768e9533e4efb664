/* Validation during training: measures, and decides whether the result is the best so far. */
#include <math.h>

#include "dtrain/core/clock.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/train/trainer.h"

static double metric_of(const dt_config *config, const dt_validation_row *row) {
    switch ((dt_metric_kind)config->metric) {
    case DT_METRIC_TOKEN_ACCURACY: return row->token_accuracy;
    case DT_METRIC_LOSS: return row->loss;
    case DT_METRIC_EXACT_MATCH: break;
    }
    return row->exact_match;
}

/* Better by more than min-delta. The first finite value is always better, a NaN never. */
static bool is_better(const dt_config *config, const dt_run_state *state, double value) {
    if (!isfinite(value)) return false;
    if (state->best_step < 0) return true;
    return config->metric == DT_METRIC_LOSS ? value < state->best - config->min_delta
                                            : value > state->best + config->min_delta;
}

static void fill_row(dt_validation_row *row, const dt_eval_result *result) {
    const dt_score *total = &result->total;
    row->loss = total->loss / total->scored;
    row->perplexity = exp(row->loss);
    row->bits_per_byte = dt_eval_bits_per_byte(result);
    row->token_accuracy = total->correct / total->scored;
    const dt_count *all = &result->count[0];
    row->exact_match = (double)all->right / (double)all->problems;
    for (size_t kind = 0; kind < DT_KINDS_MAX; kind++) {
        const dt_count *of = &result->count[1 + kind];
        const bool counted = kind < result->kind->kinds && of->problems > 0;
        row->exact_match_of[kind] = counted ? (double)of->right / (double)of->problems : NAN;
    }
}

/* The loss of the best validation so far, which rank 0 knows; NaN: there is none. Collective. */
static dt_status find_best_loss(double *loss, const dt_trainer *t) {
    *loss = NAN;
    for (size_t i = 0; i < t->metrics.validation_count; i++) {
        const dt_validation_row *row = &t->metrics.validation[i];
        if (row->step == t->state.best_step) *loss = row->loss;
    }
    return dt_comm_broadcast(t->s->comm, loss, sizeof *loss);
}

/* Ties are broken by loss: with few validation problems, exact match soon reaches 100 %. Patience
 * does not count that as better. */
static dt_status record(dt_trainer *t, const dt_validation_row *row, double best_loss,
                        bool *improved) {
    if (dt_comm_rank(t->s->comm) == 0) DT_TRY(dt_metrics_add_validation(&t->metrics, row));
    const double value = metric_of(&t->config, row);
    const bool better = is_better(&t->config, &t->state, value);
    *improved = better || (value == t->state.best && row->loss < best_loss);
    t->state.stale = better ? 0 : t->state.stale + 1;
    if (*improved) {
        t->state.best = value;
        t->state.best_step = t->state.step;
    }
    return DT_OK;
}

static void begin_work(void *context) {
    const dt_trainer *t = context;
    dt_watchdog_enter(t->watchdog, DT_PHASE_WORK, t->state.step);
}

static void chunk_done(void *context, uint64_t done) {
    const dt_trainer *t = context;
    (void)done;
    dt_watchdog_beat(t->watchdog);
}

static void all_done(void *context) {
    const dt_trainer *t = context;
    dt_watchdog_enter(t->watchdog, DT_PHASE_WAIT, t->state.step);
}

/* Whether the model did better in x. */
static bool did_better(const dt_config *config, const dt_eval_result *x, const dt_eval_result *y) {
    dt_validation_row a = {0}, b = {0};
    fill_row(&a, x);
    fill_row(&b, y);
    const double p = metric_of(config, &a), q = metric_of(config, &b);
    if (config->metric == DT_METRIC_LOSS || p == q) return a.loss < b.loss;
    return p > q;
}

/* Evaluates with each sharpness there is to choose from. *sharpness: the best one, whose result is
 * kept. Collective: every rank chooses the same. */
static dt_status evaluate_sharpened(dt_eval_result *result, double *sharpness, dt_trainer *t,
                                    const dt_source *source, const dt_eval_request *request) {
    static const double choice[] = {1, 1.5, 2, 2.5};
    dt_status status = DT_OK;
    for (size_t i = 0; i < sizeof choice / sizeof *choice && !result->interrupted; i++) {
        dt_eval_result tried = {0};
        dt_model_sharpen(t->model, choice[i]);
        status = dt_evaluate(&tried, t->s, t->model, source, request);
        if (status != DT_OK || i == 0 || tried.interrupted ||
            did_better(&t->config, &tried, result)) {
            dt_eval_result_destroy(result);
            *result = tried;
            *sharpness = choice[i];
        } else {
            dt_eval_result_destroy(&tried);
        }
        if (status != DT_OK) break;
    }
    dt_model_sharpen(t->model, *sharpness);
    return status;
}

static dt_status evaluate(dt_eval_result *result, double *sharpness, dt_trainer *t,
                          const dt_source *source, const dt_eval_request *request) {
    *sharpness = t->config.sharpness;
    if (t->config.sharpen == DT_SHARPEN_VALIDATION)
        return evaluate_sharpened(result, sharpness, t, source, request);
    return dt_evaluate(result, t->s, t->model, source, request);
}

dt_status dt_trainer_validate(dt_trainer *t, dt_validation_row *row, bool *improved,
                              bool *interrupted) {
    const double start = dt_seconds_now();
    const dt_config config = dt_source_evaluated(&t->config);
    const dt_source source = dt_source_with(&t->source, &config);
    dt_eval_result result = {0};
    const dt_eval_progress progress = {
        .work = begin_work, .chunk = chunk_done, .wait = all_done, .context = t};
    const dt_eval_request request = {
        .problems = {.split = DT_VALIDATION, .count = (uint64_t)t->config.eval_examples},
        .progress = &progress};
    *row = (dt_validation_row){.step = t->state.step};
    *improved = *interrupted = false;
    dt_watchdog_enter(t->watchdog, DT_PHASE_WORK, t->state.step);
    dt_status status = dt_trainer_use_average(t);
    double sharpness = t->config.sharpness;
    if (status == DT_OK) status = evaluate(&result, &sharpness, t, &source, &request);
    if (status == DT_OK && !result.interrupted) status = dt_trainer_sample(t);
    dt_trainer_use_weights(t);
    *interrupted = result.interrupted;
    if (status == DT_OK && !*interrupted) {
        fill_row(row, &result);
        row->seconds = dt_seconds_now() - start;
        double best_loss;
        status = find_best_loss(&best_loss, t);
        if (status == DT_OK) {
            dt_writer_lock(t->writer);
            t->config.sharpness = t->shape.sharpness = sharpness;
            status = record(t, row, best_loss, improved);
            dt_writer_unlock(t->writer);
        }
        status = dt_comm_agree(t->s->comm, status);
    }
    dt_eval_result_destroy(&result);
    return status;
}

bool dt_trainer_patience_over(const dt_config *config, const dt_run_state *state) {
    return config->patience > 0 && state->stale >= config->patience;
}
