/* The tables that both the writer and the reader of checkpoints follow. */
#include "schema.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"

const char *const dt_checkpoint_group[DT_CHECKPOINT_GROUPS] = {"config",    "tokenizer", "weights",
                                                               "optimizer", "metrics",   "state"};

const char *const dt_root_attribute[DT_ROOT_ATTRIBUTES] = {
    "format", "format_version", "dtrain_version", "created", "step",
    "tokens", "seed",           "shards",         "digest"};

const char *const dt_block_path[DT_BLOCKS] = {"/weights", "/optimizer/m", "/optimizer/v",
                                              "/optimizer/iterate"};

size_t dt_schema_blocks(const dt_checkpoint *checkpoint) {
    if (dt_checkpoint_is_quantised(checkpoint)) return 1;
    return checkpoint->config.average > 0 ? DT_BLOCKS : DT_BLOCKS - 1;
}

bool dt_schema_has(const dt_checkpoint *checkpoint, const dt_parameter *parameter) {
    return !parameter->frozen || dt_checkpoint_is_quantised(checkpoint);
}

dt_stored_tensor dt_schema_tensor(const dt_parameter *p) {
    if (p->element == DT_ELEMENT_FLOAT32)
        return (dt_stored_tensor){DT_FLOAT32, p->rank, {p->extent[0], p->extent[1]}};
    return (dt_stored_tensor){DT_UINT8, 1, {dt_element_bytes(p->element, p->count)}};
}

/* ---- metrics ---- */

#define INT64_FIELD(row, member)                                                                   \
    { #member, {DT_STORED_INT64, 8 }, offsetof(row, member), false }
#define FLOAT64_FIELD(row, member)                                                                 \
    { #member, {DT_STORED_FLOAT64, 8 }, offsetof(row, member), false }
#define TEXT_FIELD(row, member)                                                                    \
    { #member, {DT_STORED_TEXT, sizeof((row *)0)->member }, offsetof(row, member), false }
#define LATER_FLOAT64(row, member)                                                                 \
    { #member, {DT_STORED_FLOAT64, 8 }, offsetof(row, member), true }
#define LATER_TEXT(row, member)                                                                    \
    { #member, {DT_STORED_TEXT, sizeof((row *)0)->member }, offsetof(row, member), true }
static const dt_field train_column[] = {
    INT64_FIELD(dt_train_row, step),     FLOAT64_FIELD(dt_train_row, loss),
    FLOAT64_FIELD(dt_train_row, lr),     FLOAT64_FIELD(dt_train_row, grad_norm),
    INT64_FIELD(dt_train_row, tokens),   FLOAT64_FIELD(dt_train_row, seconds),
    LATER_FLOAT64(dt_train_row, joules),
};
static const dt_field validation_column[] = {
    INT64_FIELD(dt_validation_row, step),          FLOAT64_FIELD(dt_validation_row, loss),
    FLOAT64_FIELD(dt_validation_row, perplexity),  FLOAT64_FIELD(dt_validation_row, token_accuracy),
    FLOAT64_FIELD(dt_validation_row, exact_match),
};
/* Behind those of the kinds. */
static const dt_field validation_end[] = {FLOAT64_FIELD(dt_validation_row, seconds)};
static const dt_field history_column[] = {
    INT64_FIELD(dt_history_row, step),
    INT64_FIELD(dt_history_row, ranks),
    INT64_FIELD(dt_history_row, nodes),
    TEXT_FIELD(dt_history_row, host),
    TEXT_FIELD(dt_history_row, time),
    TEXT_FIELD(dt_history_row, stopped),
    TEXT_FIELD(dt_history_row, changed),
    LATER_FLOAT64(dt_history_row, seconds),
    LATER_FLOAT64(dt_history_row, processor_seconds),
    LATER_FLOAT64(dt_history_row, joules),
    LATER_TEXT(dt_history_row, energy_source),
};

enum { TRAIN, VALIDATION, HISTORY };

static void add_columns(dt_table *table, const dt_field *column, size_t columns) {
    memcpy(table->column + table->columns, column, columns * sizeof *column);
    table->columns += columns;
}

#define ADD_COLUMNS(table, column) add_columns(table, column, sizeof(column) / sizeof *(column))

/* A column for each kind of texts. Texts that are all alike have those of arithmetic: so programs
 * know the file. */
static void add_kinds(dt_table *table, const dt_config *config) {
    const dt_source_kind *source = dt_source_kind_of(config);
    if (source->kinds == 0) source = dt_source_kinds[0];
    for (size_t i = 0; i < source->kinds; i++) {
        snprintf(table->kind[i], sizeof table->kind[i], "exact_match_%s", source->kind[i].name);
        const dt_field field = {table->kind[i], DT_FLOAT64,
                                offsetof(dt_validation_row, exact_match_of) + i * sizeof(double),
                                false};
        add_columns(table, &field, 1);
    }
}

void dt_table_describe(dt_table *table, size_t which, const dt_config *config) {
    static const struct {
        const char *path;
        size_t row_size;
        bool rising;
        int64_t behind;
    } of[DT_TABLES] = {
        [TRAIN] = {"/metrics/train", sizeof(dt_train_row), true, 1},
        [VALIDATION] = {"/metrics/validation", sizeof(dt_validation_row), true, 0},
        [HISTORY] = {"/metrics/history", sizeof(dt_history_row), false, 0},
    };
    *table = (dt_table){.which = which,
                        .path = of[which].path,
                        .row_size = of[which].row_size,
                        .rising = of[which].rising,
                        .behind = of[which].behind};
    switch (which) {
    case TRAIN: ADD_COLUMNS(table, train_column); return;
    case HISTORY: ADD_COLUMNS(table, history_column); return;
    default: break;
    }
    ADD_COLUMNS(table, validation_column);
    add_kinds(table, config);
    ADD_COLUMNS(table, validation_end);
}

static size_t row_bytes(size_t which, const dt_config *config) {
    dt_table table;
    size_t bytes = 0;
    dt_table_describe(&table, which, config);
    for (size_t i = 0; i < table.columns; i++) bytes += table.column[i].type.size;
    return bytes;
}

size_t dt_checkpoint_step_bytes(const dt_config *config) { return row_bytes(TRAIN, config); }

size_t dt_checkpoint_validation_bytes(const dt_config *config) {
    return row_bytes(VALIDATION, config);
}

const void *dt_table_rows(const dt_metrics *metrics, const dt_table *table, size_t *rows) {
    switch (table->which) {
    case TRAIN: *rows = metrics->train_count; return metrics->train;
    case VALIDATION: *rows = metrics->validation_count; return metrics->validation;
    default: *rows = metrics->history_count; return metrics->history;
    }
}

dt_status dt_table_resize(void **rows, dt_metrics *metrics, const dt_table *of, size_t count) {
    const size_t table = of->which;
    void *address = table == TRAIN        ? (void *)&metrics->train
                    : table == VALIDATION ? (void *)&metrics->validation
                                          : (void *)&metrics->history;
    size_t *capacity = table == TRAIN        ? &metrics->train_capacity
                       : table == VALIDATION ? &metrics->validation_capacity
                                             : &metrics->history_capacity;
    size_t *used = table == TRAIN        ? &metrics->train_count
                   : table == VALIDATION ? &metrics->validation_count
                                         : &metrics->history_count;
    DT_TRY(dt_memory_grow(address, capacity, count, of->row_size, "metrics"));
    *used = count;
    memcpy(rows, address, sizeof *rows);
    return DT_OK;
}

/* ---- attributes ---- */

const dt_field dt_state_field[DT_STATE_FIELDS] = {
    INT64_FIELD(dt_run_state, step),      INT64_FIELD(dt_run_state, tokens),
    INT64_FIELD(dt_run_state, problems),  FLOAT64_FIELD(dt_run_state, seconds),
    FLOAT64_FIELD(dt_run_state, best),    INT64_FIELD(dt_run_state, best_step),
    INT64_FIELD(dt_run_state, stale),     INT64_FIELD(dt_run_state, skipped),
    INT64_FIELD(dt_run_state, rollbacks),
};

typedef struct {
    dt_schema_visitor *visit;
    void *context;
    const char *path;
} visitor;

static dt_status visit_int(const visitor *to, const char *name, int64_t value) {
    const dt_schema_attribute attribute = {
        .path = to->path, .name = name, .type = DT_INT64, .bytes = &value};
    return to->visit(to->context, &attribute);
}

static dt_status visit_real(const visitor *to, const char *name, double value) {
    const dt_schema_attribute attribute = {
        .path = to->path, .name = name, .type = DT_FLOAT64, .bytes = &value};
    return to->visit(to->context, &attribute);
}

/* HDF5 has no text of length 0: an empty one is a single NUL. */
static dt_status visit_text(const visitor *to, const char *name, const char *value, bool optional) {
    const dt_schema_attribute attribute = {.path = to->path,
                                           .name = name,
                                           .type = DT_TEXT(dt_max_size(strlen(value), 1)),
                                           .bytes = value,
                                           .optional = optional};
    return to->visit(to->context, &attribute);
}

static dt_status visit_setting(const visitor *to, const dt_config *config,
                               const dt_setting *setting) {
    const void *field = (const char *)config + setting->offset;
    if (setting->type == DT_SETTING_INT || setting->type == DT_SETTING_REAL) {
        const bool whole = setting->type == DT_SETTING_INT;
        const dt_schema_attribute attribute = {.path = to->path,
                                               .name = setting->name,
                                               .type = whole ? DT_INT64 : DT_FLOAT64,
                                               .bytes = field,
                                               .optional = true};
        return to->visit(to->context, &attribute);
    }
    char text[DT_PATH_MAX];
    dt_config_text(text, sizeof text, config, setting);
    return visit_text(to, setting->name, text, true);
}

static dt_status visit_shape(const visitor *to, const dt_model_shape *shape) {
    const struct {
        const char *name;
        size_t value;
    } size[] = {{"layers", shape->L},    {"width", shape->C},      {"heads", shape->H},
                {"mlp_width", shape->F}, {"vocabulary", shape->V}, {"context", shape->T},
                {"places", shape->P}};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        DT_TRY(visit_int(to, size[i].name, (int64_t)size[i].value));
    }
    if (shape->quantised != DT_ELEMENT_FLOAT32)
        return visit_text(to, "quantised", dt_quantised_name(shape->quantised), false);
    return DT_OK;
}

static dt_status visit_optimizer(const visitor *to, const dt_checkpoint *checkpoint) {
    const dt_config *config = &checkpoint->config;
    char kind[DT_PATH_MAX] = "";
    const dt_setting *setting = dt_setting_find("optimizer");
    if (setting) dt_config_text(kind, sizeof kind, config, setting);
    DT_TRY(visit_text(to, "kind", kind, false));
    DT_TRY(visit_int(to, "step", checkpoint->state.step));
    DT_TRY(visit_real(to, "beta1", config->beta1));
    DT_TRY(visit_real(to, "beta2", config->beta2));
    DT_TRY(visit_real(to, "momentum", config->momentum));
    DT_TRY(visit_real(to, "epsilon", config->epsilon));
    return visit_real(to, "weight_decay", config->weight_decay);
}

static dt_status visit_state(const visitor *to, const dt_run_state *state) {
    for (size_t i = 0; i < DT_STATE_FIELDS; i++) {
        const dt_field *field = &dt_state_field[i];
        const dt_schema_attribute attribute = {.path = to->path,
                                               .name = field->name,
                                               .type = field->type,
                                               .bytes = (const char *)state + field->offset};
        DT_TRY(to->visit(to->context, &attribute));
    }
    return DT_OK;
}

dt_status dt_schema_attributes(const dt_checkpoint *checkpoint, dt_schema_visitor *visit,
                               void *context) {
    visitor to = {visit, context, "/"};
    DT_TRY(visit_int(&to, "step", checkpoint->state.step));
    DT_TRY(visit_int(&to, "tokens", checkpoint->state.tokens));
    DT_TRY(visit_int(&to, "seed", checkpoint->config.seed));
    DT_TRY(visit_int(&to, "shards", checkpoint->config.shards));
    to.path = "/config";
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (!dt_config_keeps(&checkpoint->config, setting)) continue;
        DT_TRY(visit_setting(&to, &checkpoint->config, setting));
    }
    to.path = "/weights";
    DT_TRY(visit_shape(&to, &checkpoint->shape));
    to.path = "/optimizer";
    DT_TRY(visit_optimizer(&to, checkpoint));
    to.path = "/state";
    return visit_state(&to, &checkpoint->state);
}
