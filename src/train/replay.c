/* Trains again in memory from one checkpoint to a later one, and compares: this proves that a
 * published run is the result of its settings. Writes no files. */
#include <stdio.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/startup.h"
#include "dtrain/train/replay.h"
#include "dtrain/train/start.h"
#include "dtrain/train/trainer.h"

/* What is replayed; decided by rank 0, then the same on all. */
typedef struct {
    dt_config before, after; /* settings up to step `change`, and from there on */
    int64_t begin, end, change;
    bool validated_begin, validated_change, validated_end; /* in the original run */
    char from[DT_PATH_MAX], to[DT_PATH_MAX];
    char changed[256]; /* "lr 0.002 -> 0.001, …" */
} replay_plan;

/* The differences as text; "": none. */
typedef struct {
    size_t tensors, different;
    size_t rows;
    char tensor[320], metrics[320], state[320];
} outcome;

/* ---- whether the two are of one run ---- */

static dt_status compare_settings(replay_plan *plan, const dt_config *before,
                                  const dt_config *after) {
    for (dt_setting_change c = {0}; dt_config_next_change(&c, before, after);) {
        DT_REQUIRE(c.setting->scope == DT_SETTING_FREE, DT_ERR_DATA,
                   "%s does not come from %s: the one has --%s %s, the other %s, and that cannot "
                   "change within a run",
                   plan->to, plan->from, c.setting->name, c.is, c.was);
        dt_setting_change_append(plan->changed, sizeof plan->changed, &c);
    }
    return DT_OK;
}

/* The history has the step at which settings changed; the files only have the settings before and
 * after. */
static dt_status find_change(replay_plan *plan, const dt_metrics *before, const dt_metrics *after) {
    bool found = false;
    plan->change = plan->begin;
    for (size_t i = before->history_count; i < after->history_count; i++) {
        const dt_history_row *row = &after->history[i];
        if (!row->changed[0] || row->step > plan->end) continue;
        DT_REQUIRE(!found || row->step == plan->change, DT_ERR_DATA,
                   "between %s and %s the settings changed more than once, at the steps %lld and "
                   "%lld; replay each part separately",
                   plan->from, plan->to, (long long)plan->change, (long long)row->step);
        plan->change = row->step > plan->begin ? row->step : plan->begin;
        found = true;
    }
    return DT_OK;
}

static bool has_validation(const dt_metrics *metrics, int64_t step) {
    for (size_t i = metrics->validation_count; i-- > 0;) {
        if (metrics->validation[i].step <= step) return metrics->validation[i].step == step;
    }
    return false;
}

static dt_status compare_files(replay_plan *plan, const dt_checkpoint *from,
                               const dt_checkpoint *to) {
    plan->begin = from->state.step;
    plan->end = to->state.step;
    DT_REQUIRE(plan->begin < plan->end, DT_ERR_DATA,
               "%s is of step %lld and %s of step %lld: give the earlier one first%s", plan->from,
               (long long)plan->begin, plan->to, (long long)plan->end,
               plan->begin == plan->end ? "; two of one step are compared with h5diff" : "");
    DT_TRY(compare_settings(plan, &from->config, &to->config));
    DT_REQUIRE(dt_tokenizer_equal(from->tokenizer, to->tokenizer), DT_ERR_DATA,
               "%s does not come from %s: they have different vocabularies", plan->to, plan->from);
    DT_REQUIRE(from->state.rollbacks == to->state.rollbacks, DT_ERR_DATA,
               "between %s and %s the run diverged and went back %lld time(s), which is not "
               "replayed; start from a checkpoint after that",
               plan->from, plan->to, (long long)(to->state.rollbacks - from->state.rollbacks));
    DT_TRY(find_change(plan, from->metrics, to->metrics));
    plan->validated_begin = has_validation(from->metrics, plan->begin);
    plan->validated_change = has_validation(to->metrics, plan->change);
    plan->validated_end = has_validation(to->metrics, plan->end);
    return DT_OK;
}

/* Rank 0 reads both files. */
static dt_status prepare(replay_plan *plan, dt_checkpoint *from, dt_checkpoint *to,
                         const dt_overrides *given, size_t ranks) {
    DT_TRY(dt_checkpoint_read(from, plan->from, DT_READ_ALL));
    DT_TRY(dt_checkpoint_read(to, plan->to, DT_READ_ALL));
    DT_TRY(dt_checkpoint_expect_floats(from, plan->from));
    DT_TRY(dt_checkpoint_expect_floats(to, plan->to));
    DT_TRY(dt_base_read(from, plan->from));
    DT_TRY(dt_checkpoint_check_vocabulary(from, plan->from));
    DT_TRY(compare_files(plan, from, to));
    plan->before = from->config;
    plan->after = to->config;
    DT_TRY(dt_overrides_apply(&plan->before, given));
    DT_TRY(dt_overrides_apply(&plan->after, given));
    DT_TRY(dt_run_folder_of(plan->before.out, sizeof plan->before.out, plan->from));
    memcpy(plan->after.out, plan->before.out, sizeof plan->after.out);
    DT_REQUIRE(ranks <= (size_t)plan->after.shards, DT_ERR_ARG,
               "%zu ranks are more than the %lld shards of the run: start at most %lld ranks",
               ranks, (long long)plan->after.shards, (long long)plan->after.shards);
    if (plan->changed[0]) {
        dt_log_info("settings changed at step %lld, and are those of %s from there on: %s",
                    (long long)plan->change, plan->to, plan->changed);
    }
    return DT_OK;
}

/* ---- values ---- */

/* A value of a row: 8 bytes, compared bit by bit. */
typedef struct {
    const char *name;
    bool whole; /* an integer */
    size_t offset;
} value_field;

#define VALUE(row, member, whole)                                                                  \
    { #member, whole, offsetof(row, member) }
static const value_field TRAIN[] = {
    VALUE(dt_train_row, step, true), VALUE(dt_train_row, loss, false),
    VALUE(dt_train_row, lr, false), VALUE(dt_train_row, grad_norm, false),
    VALUE(dt_train_row, tokens, true)};
static const value_field VALIDATION[] = {
    VALUE(dt_validation_row, step, true), VALUE(dt_validation_row, loss, false),
    VALUE(dt_validation_row, perplexity, false), VALUE(dt_validation_row, token_accuracy, false),
    VALUE(dt_validation_row, exact_match, false),
    /* one for each kind of texts */
    VALUE(dt_validation_row, exact_match_of[0], false),
    VALUE(dt_validation_row, exact_match_of[1], false),
    VALUE(dt_validation_row, exact_match_of[2], false),
    VALUE(dt_validation_row, exact_match_of[3], false),
    VALUE(dt_validation_row, exact_match_of[4], false),
    VALUE(dt_validation_row, exact_match_of[5], false),
    VALUE(dt_validation_row, exact_match_of[6], false),
    VALUE(dt_validation_row, exact_match_of[7], false)};
_Static_assert(DT_KINDS_MAX == 8, "one line for each kind");
static const value_field STATE[] = {
    VALUE(dt_run_state, step, true),      VALUE(dt_run_state, tokens, true),
    VALUE(dt_run_state, problems, true),  VALUE(dt_run_state, best, false),
    VALUE(dt_run_state, best_step, true), VALUE(dt_run_state, stale, true),
    VALUE(dt_run_state, skipped, true),   VALUE(dt_run_state, rollbacks, true)};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The number of fields of VALIDATION that are measured. */
static size_t validation_fields(const dt_trainer *t) {
    return COUNT(VALIDATION) - DT_KINDS_MAX + t->source.kind->kinds;
}

static void print_value(char text[40], const value_field *field, const void *bytes) {
    if (field->whole) {
        int64_t value;
        memcpy(&value, bytes, sizeof value);
        snprintf(text, 40, "%lld", (long long)value);
    } else {
        double value;
        memcpy(&value, bytes, sizeof value);
        snprintf(text, 40, "%.17g", value);
    }
}

/* Describes the first value that differs; false: none does. */
static bool differs(char *text, size_t size, const char *what, const void *mine, const void *theirs,
                    const value_field *field, size_t fields) {
    for (size_t i = 0; i < fields; i++) {
        const char *a = (const char *)mine + field[i].offset;
        const char *b = (const char *)theirs + field[i].offset;
        if (memcmp(a, b, 8) == 0) continue;
        char replayed[40], stored[40];
        print_value(replayed, &field[i], a);
        print_value(stored, &field[i], b);
        snprintf(text, size, "%s: %s is %s in the replay, and %s in the file", what, field[i].name,
                 replayed, stored);
        return true;
    }
    return false;
}

/* Whether the file has this result of the validation. */
static bool is_row(const dt_trainer *t, const dt_metrics *metrics, const dt_validation_row *row) {
    char text[320];
    for (size_t i = metrics ? metrics->validation_count : 0; i-- > 0;) {
        const dt_validation_row *found = &metrics->validation[i];
        if (found->step == row->step)
            return !differs(text, sizeof text, "", row, found, VALIDATION, validation_fields(t));
    }
    return false;
}

/* ---- from one to the other ---- */

/* Settings whose buffers are large enough for both. */
static dt_config roomy(const replay_plan *plan) {
    dt_config config = plan->after;
    if (config.batch < plan->before.batch) config.batch = plan->before.batch;
    if (config.micro_batch < plan->before.micro_batch)
        config.micro_batch = plan->before.micro_batch;
    return config;
}

/* Whether the original was validated here. It may have been stopped before a validation, which the
 * next start then made, perhaps with other settings. */
static bool validated(const dt_trainer *t, const replay_plan *plan) {
    const int64_t step = t->state.step, every = t->config.eval_every;
    if (step == plan->begin && plan->validated_begin)
        return false; /* before the checkpoint was written */
    if (step == plan->end) return plan->validated_end;
    if (step == plan->change) return plan->validated_change;
    return every > 0 && step > 0 && (step % every == 0 || step == t->config.steps);
}

/* Continue with these settings. Collective. */
static dt_status use(dt_trainer *t, const dt_config *config) {
    t->config = *config;
    return dt_trainer_use_precision(t, (dt_precision)config->precision);
}

/* At the step where settings changed, the original was validated with the old settings, or by the
 * next start with the new ones. The result in `to`, which rank 0 has, shows which. Collective. */
static dt_status validate(dt_trainer *t, const replay_plan *plan, const dt_checkpoint *to) {
    dt_validation_row row;
    bool improved, interrupted;
    if (t->state.step != plan->change || plan->change == plan->begin)
        return dt_trainer_validate(t, &row, &improved, &interrupted);
    const dt_run_state state = t->state;
    DT_TRY(use(t, &plan->before));
    DT_TRY(dt_trainer_validate(t, &row, &improved, &interrupted));
    int64_t other = dt_comm_rank(t->s->comm) == 0 && !is_row(t, to->metrics, &row);
    DT_TRY(dt_comm_max(t->s->comm, &other));
    DT_TRY(use(t, &plan->after));
    if (other) t->state = state;
    dt_start_measure_anew(&t->state, &plan->before, &plan->after);
    if (!other) return DT_OK;
    return dt_trainer_validate(t, &row, &improved, &interrupted);
}

static dt_status walk(dt_trainer *t, const replay_plan *plan, const dt_checkpoint *to) {
    double told = dt_seconds_now();
    for (;;) {
        const int64_t step = t->state.step;
        DT_TRY(use(t, step < plan->change ? &plan->before : &plan->after));
        const bool measured = validated(t, plan);
        if (step == plan->change && (!measured || plan->change == plan->begin))
            dt_start_measure_anew(&t->state, &plan->before, &plan->after);
        if (measured) DT_TRY(validate(t, plan, to));
        if (step == plan->end) return DT_OK;
        dt_train_row row;
        dt_step_request request = {0};
        DT_TRY(dt_trainer_step(t, &row, &request));
        if (dt_seconds_now() - told < 5) continue;
        told = dt_seconds_now();
        dt_log_info("replayed step %lld of %lld … %lld", (long long)step, (long long)plan->begin,
                    (long long)plan->end);
    }
}

/* ---- comparing: rank 0 ---- */

/* Compares all rows, also those before the replayed steps: if they differ, the two are not of one
 * run. */
static void compare_rows(outcome *o, const char *what, const void *mine, size_t my_count,
                         const void *theirs, size_t their_count, size_t row_size,
                         const value_field *field, size_t fields) {
    o->rows += their_count;
    for (size_t i = 0; i < dt_min_size(my_count, their_count) && !o->metrics[0]; i++) {
        const char *a = (const char *)mine + i * row_size, *b = (const char *)theirs + i * row_size;
        int64_t step;
        memcpy(&step, a + field[0].offset, sizeof step);
        char where[80];
        snprintf(where, sizeof where, "%s, step %lld", what, (long long)step);
        differs(o->metrics, sizeof o->metrics, where, a, b, field, fields);
    }
    if (my_count != their_count && !o->metrics[0]) {
        snprintf(o->metrics, sizeof o->metrics, "%s: %zu rows in the replay, and %zu in the file",
                 what, my_count, their_count);
    }
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void compare_block(outcome *o, const char *group, const dt_layout *layout, const float *mine,
                          const float *theirs) {
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (p->frozen) continue;
        const float *a = mine + p->offset, *b = theirs + p->offset;
        o->tensors++;
        if (memcmp(a, b, p->count * sizeof *a) == 0) continue;
        if (o->different++ > 0) continue;
        size_t at = 0;
        while (bits_of(a[at]) == bits_of(b[at])) at++;
        snprintf(o->tensor, sizeof o->tensor,
                 "%s/%s: element %zu is %.9g in the replay, and %.9g in the file", group, p->name,
                 at, (double)a[at], (double)b[at]);
    }
}

static void compare_all(outcome *o, dt_trainer *t, const dt_checkpoint *to) {
    dt_checkpoint view;
    dt_trainer_view(&view, t);
    compare_block(o, "/weights", &t->layout, view.weights, to->weights);
    compare_block(o, "/optimizer/m", &t->layout, view.m, to->m);
    compare_block(o, "/optimizer/v", &t->layout, view.v, to->v);
    if (view.iterate) {
        compare_block(o, "/optimizer/iterate", &t->layout, view.iterate, to->iterate);
    }
    const dt_metrics *mine = &t->metrics, *theirs = to->metrics;
    compare_rows(o, "training", mine->train, mine->train_count, theirs->train, theirs->train_count,
                 sizeof *mine->train, TRAIN, COUNT(TRAIN));
    compare_rows(o, "validation", mine->validation, mine->validation_count, theirs->validation,
                 theirs->validation_count, sizeof *mine->validation, VALIDATION,
                 validation_fields(t));
    differs(o->state, sizeof o->state, "/state", &t->state, &to->state, STATE, COUNT(STATE));
}

/* ---- the report ---- */

static void print_text(const outcome *o, const replay_plan *plan, const dt_comm *comm, bool equal) {
    printf("%s -> %s: %lld steps replayed on %zu rank%s: %s\n", plan->from, plan->to,
           (long long)(plan->end - plan->begin), dt_comm_size(comm),
           dt_comm_size(comm) == 1 ? "" : "s", equal ? "the same bytes" : "DIFFERENT");
    if (equal) {
        printf("  %zu tensors of weights and moments, %zu rows of metrics, the state of the run\n",
               o->tensors, o->rows);
    }
    if (o->tensor[0])
        printf("  %s (%zu of %zu tensors differ)\n", o->tensor, o->different, o->tensors);
    if (o->metrics[0]) printf("  %s\n", o->metrics);
    if (o->state[0]) printf("  %s\n", o->state);
}

static void print_json(const outcome *o, const replay_plan *plan, const dt_comm *comm, bool equal) {
    printf("{\"from\":");
    dt_json_print_text(plan->from);
    printf(",\"to\":");
    dt_json_print_text(plan->to);
    printf(",\"steps\":%lld,\"ranks\":%zu,\"nodes\":%zu,\"changed\":",
           (long long)(plan->end - plan->begin), dt_comm_size(comm), dt_comm_nodes(comm));
    dt_json_print_text(plan->changed);
    printf(",\"equal\":%s,\"tensors\":%zu,\"different_tensors\":%zu,\"rows\":%zu,\"differences\":[",
           equal ? "true" : "false", o->tensors, o->different, o->rows);
    const char *const text[] = {o->tensor, o->metrics, o->state};
    bool more = false;
    for (size_t i = 0; i < COUNT(text); i++) {
        if (!text[i][0]) continue;
        if (more) printf(",");
        dt_json_print_text(text[i]);
        more = true;
    }
    printf("]}\n");
}

static dt_status judge(dt_trainer *t, const replay_plan *plan, const dt_checkpoint *to, bool json) {
    outcome o = {0};
    DT_REQUIRE(to->weights && to->m && to->v && (to->iterate || !t->average) && to->metrics,
               DT_ERR_INTERNAL, "%s was not read whole", plan->to);
    compare_all(&o, t, to);
    const char *first = o.tensor[0] ? o.tensor : o.metrics[0] ? o.metrics : o.state;
    const bool equal = !first[0];
    (json ? print_json : print_text)(&o, plan, t->s->comm, equal);
    const char *spread = plan->after.transport == DT_TRANSPORT_BFLOAT16
                             ? ", or (as --transport is bfloat16) other ranks or nodes"
                             : "";
    DT_REQUIRE(equal, DT_ERR_DATA,
               "%s is not what %s leads to: %s; unless another build of dtrain or another type of "
               "processor made it%s, it has been changed",
               plan->to, plan->from, first, spread);
    return DT_OK;
}

/* ---- the command ---- */

static dt_status replay(dt_trainer *t, const replay_plan *plan, dt_checkpoint *from,
                        const dt_checkpoint *to, bool json) {
    dt_comm *comm = t->s->comm;
    const bool leads = dt_comm_rank(comm) == 0;
    DT_TRY(dt_trainer_load_frozen(t, leads ? from : NULL));
    DT_TRY(dt_trainer_load(t, leads ? from : NULL, false));
    dt_checkpoint_destroy(from);
    DT_TRY(walk(t, plan, to));
    dt_watchdog_enter(t->watchdog, DT_PHASE_END, t->state.step);
    return dt_comm_agree(comm, leads ? judge(t, plan, to, json) : DT_OK);
}

dt_status dt_replay(dt_session *s, const dt_overrides *given, const char *from_name,
                    const char *to_name, bool json) {
    replay_plan plan = {0};
    dt_checkpoint from = {0}, to = {0};
    dt_watchdog *watchdog = NULL;
    dt_trainer t = {0};
    dt_status status = DT_OK;
    dt_startup_enter(DT_STARTUP_FOLDER);
    if (dt_comm_rank(s->comm) == 0) {
        status = dt_run_resolve(plan.from, sizeof plan.from, from_name);
        if (status == DT_OK) status = dt_run_resolve(plan.to, sizeof plan.to, to_name);
        if (status == DT_OK) status = prepare(&plan, &from, &to, given, dt_comm_size(s->comm));
    }
    DT_TRY_DONE(dt_comm_agree(s->comm, status));
    DT_TRY_DONE(dt_comm_broadcast(s->comm, &plan, sizeof plan));
    DT_TRY_DONE(dt_comm_split_nodes(s->comm, (size_t)plan.after.ranks_per_node));
    DT_TRY_DONE(dt_watchdog_open(&watchdog, s->comm, plan.after.stall_timeout, NULL, NULL));
    dt_startup_end();
    DT_TRY_DONE(dt_session_open_device(s, (dt_backend_kind)plan.after.backend));
    DT_TRY_DONE(dt_session_settle_precision(s, &plan.before));
    DT_TRY_DONE(dt_session_settle_precision(s, &plan.after));
    dt_watchdog_enter(watchdog, DT_PHASE_START, plan.begin);
    DT_TRY_DONE(dt_session_announce(s));
    const dt_config room = roomy(&plan);
    DT_TRY_DONE(dt_trainer_create(&t, s, &room, from.tokenizer));
    t.watchdog = watchdog;
    status = replay(&t, &plan, &from, &to, json);
done:
    /* After a failed message nothing collective is possible. */
    if (status != DT_ERR_COMM) {
        dt_trainer_destroy(&t);
        dt_startup_enter(DT_STARTUP_CLOSE);
        dt_watchdog_close(&watchdog);
    }
    dt_startup_end();
    dt_checkpoint_destroy(&to);
    dt_checkpoint_destroy(&from);
    return status;
}
