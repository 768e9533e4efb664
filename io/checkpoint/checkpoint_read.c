/* Reads a checkpoint without trusting it: parts that contradict each other are refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint_read.h"
#include "dtrain/core/digest.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "finite.h"
#include "hdf5_links.h"
#include "schema.h"

/* More than any configuration or vocabulary of dtrain has. */
enum { INI_MAX = 1 << 20, JSON_MAX = 1 << 26, TOKENS_MAX = 1 << 16, TOKEN_MAX = 64 };

/* ---- is it ours? ---- */

static dt_status check_format(const dt_hdf5_file *in) {
    const dt_hdf5_attribute *format = dt_hdf5_find_attribute(in, &in->object[0], "format");
    const size_t length = strlen(DT_CHECKPOINT_FORMAT);
    DT_USABLE(format && dt_stored_equal(format->type, DT_TEXT(length)) &&
                  memcmp(format->bytes, DT_CHECKPOINT_FORMAT, length) == 0,
              in, "/", "an HDF5 file, but not a checkpoint of dtrain");
    int64_t version;
    DT_TRY(dt_hdf5_value(&version, in, "/", "format_version", DT_INT64));
    DT_USABLE(
        version <= DT_CHECKPOINT_VERSION, in, "/",
        "its format version is %lld, and this dtrain reads versions up to %d; use a newer dtrain",
        (long long)version, DT_CHECKPOINT_VERSION);
    DT_USABLE(version >= 1, in, "/", "there is no format version %lld", (long long)version);
    return DT_OK;
}

/* ---- configuration and tokenizer ---- */

/* What other libraries find wrong with the contents is reported as a fault of the file. */
static dt_status blame(dt_status status, const dt_hdf5_file *in, const char *part) {
    if (status != DT_ERR_ARG && status != DT_ERR_DATA) return status;
    DT_UNUSABLE(in, part, "%s", dt_error_text());
}

/* One text, ended by NUL: dt_memory_free. */
static dt_status read_text(char **text, const dt_hdf5_file *in, const char *part, size_t most) {
    const dt_hdf5_object *object = dt_hdf5_find(in, part);
    *text = NULL;
    DT_USABLE(object && !object->group && object->type.kind == DT_STORED_TEXT &&
                  object->rank == 0 && object->size <= most,
              in, part, "is missing, or no text of a proper length");
    DT_TRY(dt_memory_alloc(text, object->size + 1, 1, part + 1));
    dt_status status = dt_hdf5_bytes(*text, in, object);
    if (status == DT_OK && strlen(*text) != object->size)
        status = dt_hdf5_unusable(in, part, __FILE__, __LINE__, "is no text");
    if (status != DT_OK) dt_memory_free(text);
    return status;
}

static dt_status read_config(dt_config *config, const dt_hdf5_file *in) {
    const char *part = "/config/ini";
    char *ini;
    DT_TRY(read_text(&ini, in, part, INI_MAX));
    dt_config_absent(config);
    dt_status status = dt_config_parse(config, ini, "line");
    if (status == DT_OK) status = dt_config_check(config);
    if (status == DT_OK) status = dt_source_check(config);
    dt_memory_free(&ini);
    return blame(status, in, part);
}

static dt_status read_bpe(dt_tokenizer **tokenizer, const dt_hdf5_file *in, const char *part) {
    char *json;
    DT_TRY(read_text(&json, in, part, JSON_MAX));
    const dt_status status = dt_tokenizer_load(tokenizer, json, strlen(json));
    dt_memory_free(&json);
    return blame(status, in, part);
}

static dt_status read_tokenizer(dt_tokenizer **tokenizer, const dt_hdf5_file *in) {
    if (dt_hdf5_find(in, "/tokenizer/json")) return read_bpe(tokenizer, in, "/tokenizer/json");
    const char *part = "/tokenizer/vocab";
    const dt_hdf5_object *object = dt_hdf5_find(in, part);
    DT_USABLE(object && !object->group && object->type.kind == DT_STORED_TEXT && object->rank == 1,
              in, part, "is missing, or no list of texts");
    const size_t count = object->extent[0], size = object->type.size;
    DT_USABLE(count > 0 && count <= TOKENS_MAX && size <= TOKEN_MAX, in, part,
              "%zu tokens of up to %zu bytes", count, size);
    dt_status status = DT_OK;
    char *packed = NULL, (*text)[TOKEN_MAX + 1] = NULL;
    const char **token = NULL;
    DT_TRY_DONE(dt_memory_alloc(&packed, count, size, "the vocabulary"));
    DT_TRY_DONE(dt_memory_alloc(&text, count, sizeof *text, "the vocabulary"));
    DT_TRY_DONE(dt_memory_alloc(&token, count, sizeof *token, "the vocabulary"));
    DT_TRY_DONE(dt_hdf5_bytes(packed, in, object));
    for (size_t i = 0; i < count; i++) {
        memcpy(text[i], packed + i * size, size);
        token[i] = text[i];
    }
    DT_TRY_DONE(blame(dt_tokenizer_restore(tokenizer, token, count), in, part));
done:
    dt_memory_free(&token);
    dt_memory_free(&text);
    dt_memory_free(&packed);
    return status;
}

/* ---- state, and whether the attributes agree with each other ---- */

static dt_status read_state(dt_run_state *state, const dt_hdf5_file *in) {
    dt_status status = DT_OK;
    for (size_t i = 0; i < DT_STATE_FIELDS; i++) {
        const dt_field *field = &dt_state_field[i];
        char *value = (char *)state + field->offset;
        const dt_status found = dt_hdf5_value(value, in, "/state", field->name, field->type);
        if (found != DT_OK) status = found;
        DT_TRY(dt_hdf5_note(in, found));
    }
    if (status != DT_OK) return status; /* noted */
    DT_USABLE(state->step >= 0 && state->tokens >= 0 && state->problems >= 0 && state->stale >= 0 &&
                  state->skipped >= 0 && state->rollbacks >= 0 && isfinite(state->seconds) &&
                  state->seconds >= 0 && !isnan(state->best),
              in, "/state", "its numbers make no sense");
    return DT_OK;
}

/* What is stored twice in the file must be equal. */
static dt_status check_attribute(const dt_hdf5_file *in, const dt_schema_attribute *expected) {
    char part[2 * DT_STORED_PATH_MAX];
    snprintf(part, sizeof part, "%s: attribute %s", expected->path, expected->name);
    const dt_hdf5_object *object = dt_hdf5_find(in, expected->path);
    const dt_hdf5_attribute *found =
        object ? dt_hdf5_find_attribute(in, object, expected->name) : NULL;
    if (!found && expected->optional) return DT_OK;
    DT_USABLE(found, in, part, "is missing");
    DT_USABLE(dt_stored_equal(found->type, expected->type) &&
                  memcmp(found->bytes, expected->bytes, expected->type.size) == 0,
              in, part, "does not agree with the other parts of the file");
    return DT_OK;
}

static dt_status compare_attribute(void *context, const dt_schema_attribute *expected) {
    const dt_hdf5_file *in = context;
    return dt_hdf5_note(in, check_attribute(in, expected));
}

/* ---- tensors ---- */

static dt_status find_tensor(const dt_hdf5_object **dataset, const dt_hdf5_file *in, size_t block,
                             const dt_parameter *parameter) {
    char path[DT_STORED_PATH_MAX];
    const dt_stored_tensor tensor = dt_schema_tensor(parameter);
    snprintf(path, sizeof path, "%s/%s", dt_block_path[block], parameter->name);
    return dt_hdf5_dataset(dataset, in, path, tensor.type, tensor.rank, tensor.extent);
}

/* Each block has the tensors of this model and no others. */
static dt_status check_block(const dt_hdf5_file *in, const dt_checkpoint *checkpoint,
                             size_t block) {
    const dt_layout *layout = &checkpoint->layout;
    const dt_hdf5_object *dataset;
    bool all = true;
    size_t wanted = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        if (!dt_schema_has(checkpoint, &layout->parameter[i])) continue;
        wanted++;
        const dt_status status = find_tensor(&dataset, in, block, &layout->parameter[i]);
        all = all && status == DT_OK;
        DT_TRY(dt_hdf5_note(in, status));
    }
    if (!all) return DT_OK;
    const size_t length = strlen(dt_block_path[block]);
    size_t found = 0;
    for (size_t i = 0; i < in->objects; i++) {
        const char *path = in->object[i].path;
        found += !in->object[i].group && strncmp(path, dt_block_path[block], length) == 0 &&
                 path[length] == '/';
    }
    DT_USABLE(found == wanted, in, dt_block_path[block], "%zu tensors, but this model has %zu",
              found, wanted);
    return DT_OK;
}

#define OTHER_VOCABULARY                                                                           \
    "its model has another vocabulary than this dtrain writes problems with; use the dtrain that " \
    "wrote it, or train a new one"

static dt_status compare_vocabulary(bool *same, const dt_checkpoint *checkpoint) {
    return dt_source_same_vocabulary(same, &checkpoint->config, checkpoint->tokenizer);
}

dt_status dt_checkpoint_check_vocabulary(const dt_checkpoint *checkpoint, const char *path) {
    bool same;
    DT_TRY(compare_vocabulary(&same, checkpoint));
    DT_REQUIRE(same, DT_ERR_DATA, "%s: " OTHER_VOCABULARY, path);
    return DT_OK;
}

/* Whether the matrices are quantised is not among the settings, which are those of the training. */
static dt_status read_quantised(dt_checkpoint *checkpoint, const dt_hdf5_file *in) {
    const char *part = "/weights: attribute quantised";
    char name[8] = "";
    const dt_hdf5_object *object = dt_hdf5_find(in, "/weights");
    const dt_hdf5_attribute *found =
        object ? dt_hdf5_find_attribute(in, object, "quantised") : NULL;
    if (!found) return DT_OK;
    if (found->type.kind == DT_STORED_TEXT && found->type.size < sizeof name)
        memcpy(name, found->bytes, found->type.size);
    const dt_element element = dt_quantised_find(name);
    DT_USABLE(element != DT_ELEMENT_FLOAT32, in, part, "is none of q8_0 and nf4");
    DT_USABLE(!dt_checkpoint_is_adapter(checkpoint), in, part, "adapters are not quantised");
    return blame(dt_model_shape_quantise(&checkpoint->shape, element), in, part);
}

static dt_status read_shape(dt_checkpoint *checkpoint, const dt_hdf5_file *in) {
    const size_t vocabulary = dt_tokenizer_size(checkpoint->tokenizer);
    const dt_status shape =
        dt_model_shape_from(&checkpoint->shape, &checkpoint->config, vocabulary);
    /* Texts with another vocabulary have other lengths, too. */
    bool same = true;
    if (shape == DT_ERR_ARG) DT_TRY(compare_vocabulary(&same, checkpoint));
    DT_USABLE(same, in, "/tokenizer/vocab", OTHER_VOCABULARY);
    DT_TRY(blame(shape, in, "/config"));
    DT_TRY(read_quantised(checkpoint, in));
    /* Each layer has tensors of its own: no list of a thousand layers for a file of ten objects. */
    DT_USABLE(checkpoint->shape.L <= in->objects, in, "/weights",
              "%zu layers in a file of %zu objects", checkpoint->shape.L, in->objects);
    DT_TRY(blame(dt_layout_create(&checkpoint->layout, &checkpoint->shape), in, "/weights"));
    for (size_t block = 0; block < dt_schema_blocks(checkpoint); block++) {
        DT_TRY(dt_hdf5_note(in, check_block(in, checkpoint, block)));
    }
    return DT_OK;
}

/* One tensor, of the first block if it is quantised. */
static dt_status read_tensor(void *bytes, const dt_hdf5_file *in, const dt_parameter *parameter,
                             size_t block) {
    const dt_hdf5_object *dataset;
    DT_TRY(find_tensor(&dataset, in, block, parameter));
    DT_TRY(dt_hdf5_bytes(bytes, in, dataset));
    const size_t at = dt_finite_elements(bytes, parameter->element, parameter->count);
    if (at == parameter->count) return DT_OK;
    if (parameter->element == DT_ELEMENT_FLOAT32)
        DT_UNUSABLE(in, dataset->path, "is %g at element %zu", (double)((const float *)bytes)[at],
                    at);
    DT_UNUSABLE(in, dataset->path, "is not finite at element %zu", at);
}

static dt_status read_block(float **x, const dt_hdf5_file *in, const dt_layout *layout,
                            size_t block) {
    DT_TRY(dt_memory_alloc(x, layout->count, sizeof **x, dt_block_path[block] + 1));
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *parameter = &layout->parameter[i];
        if (parameter->frozen) continue;
        DT_TRY(read_tensor(*x + parameter->offset, in, parameter, block));
    }
    return DT_OK;
}

/* The weights of a quantised model. */
static dt_status read_frozen(void **frozen, const dt_hdf5_file *in, const dt_layout *layout) {
    DT_TRY(dt_memory_alloc(frozen, layout->frozen_bytes, 1, "quantised weights"));
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *parameter = &layout->parameter[i];
        DT_TRY(read_tensor((char *)*frozen + parameter->frozen_offset, in, parameter, 0));
    }
    return DT_OK;
}

/* ---- metrics ---- */

/* Texts end with NUL and hold no control characters, which could act on a terminal. */
static void scatter(char *rows, const dt_field *field, const char *column, size_t count,
                    size_t row_size) {
    for (size_t i = 0; i < count; i++) {
        char *value = rows + i * row_size + field->offset;
        memcpy(value, column + i * field->type.size, field->type.size);
        if (field->type.kind != DT_STORED_TEXT) continue;
        value[field->type.size - 1] = '\0';
        for (char *c = value; *c; c++) {
            if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
        }
    }
}

static dt_status read_column(char *rows, const dt_hdf5_file *in, const dt_table *table,
                             const dt_field *field, size_t count) {
    char path[DT_STORED_PATH_MAX], *column = NULL;
    const dt_hdf5_object *dataset;
    snprintf(path, sizeof path, "%s/%s", table->path, field->name);
    DT_TRY(dt_hdf5_dataset(&dataset, in, path, field->type, 1, &count));
    DT_TRY(dt_memory_alloc(&column, dt_max_size(count, 1), field->type.size, "metrics"));
    const dt_status status = dt_hdf5_bytes(column, in, dataset);
    if (status == DT_OK) scatter(rows, field, column, count, table->row_size);
    dt_memory_free(&column);
    return status;
}

/* Whether the file is from before this column existed. */
static bool is_absent(const dt_hdf5_file *in, const dt_table *table, const dt_field *field) {
    char path[DT_STORED_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", table->path, field->name);
    return field->optional && !dt_hdf5_find(in, path);
}

/* Rows are zeroed, which is an empty text. */
static void set_absent(char *rows, const dt_field *field, size_t count, size_t row_size) {
    const double unknown = NAN;
    for (size_t i = 0; field->type.kind == DT_STORED_FLOAT64 && i < count; i++)
        memcpy(rows + i * row_size + field->offset, &unknown, sizeof unknown);
}

/* Steps grow, and none is later than the last possible one. */
static dt_status check_rising(const dt_hdf5_file *in, const dt_table *table, const char *rows,
                              size_t count, int64_t last) {
    int64_t before = -1;
    for (size_t i = 0; i < count; i++) {
        int64_t step;
        memcpy(&step, rows + i * table->row_size + table->column[0].offset, sizeof step);
        DT_USABLE(step > before, in, table->path, "step %lld after step %lld", (long long)step,
                  (long long)before);
        before = step;
    }
    DT_USABLE(before <= last, in, table->path, "step %lld, when the last one made is %lld",
              (long long)before, (long long)last);
    return DT_OK;
}

static dt_status read_table(dt_metrics *metrics, const dt_hdf5_file *in, const dt_table *of,
                            int64_t last) {
    char path[DT_STORED_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", of->path, of->column[0].name);
    const dt_hdf5_object *steps = dt_hdf5_find(in, path);
    DT_USABLE(steps && !steps->group && steps->rank == 1, in, path, "is missing, or no list");
    const size_t count = steps->extent[0];
    const dt_hdf5_object *dataset;
    bool all = true;
    /* All columns are checked first: rows then take no more memory than the file has bytes. */
    for (size_t i = 0; i < of->columns; i++) {
        if (is_absent(in, of, &of->column[i])) continue;
        snprintf(path, sizeof path, "%s/%s", of->path, of->column[i].name);
        const dt_status status = dt_hdf5_dataset(&dataset, in, path, of->column[i].type, 1, &count);
        all = all && status == DT_OK;
        DT_TRY(dt_hdf5_note(in, status));
    }
    if (!all) return DT_OK;
    void *rows;
    DT_TRY(dt_table_resize(&rows, metrics, of, count));
    for (size_t i = 0; i < of->columns; i++) {
        const dt_field *field = &of->column[i];
        if (is_absent(in, of, field)) {
            set_absent(rows, field, count, of->row_size);
        } else {
            DT_TRY(read_column(rows, in, of, field, count));
        }
    }
    return of->rising ? check_rising(in, of, rows, count, last - of->behind) : DT_OK;
}

/* ---- all of it ---- */

dt_status dt_checkpoint_survey(dt_hdf5_file *in) {
    DT_TRY(check_format(in));
    DT_TRY(dt_hdf5_walk(in, dt_checkpoint_group, DT_CHECKPOINT_GROUPS));
    return dt_hdf5_note(in, dt_hdf5_verify(in));
}

/* What the attributes and the tensors follow from; without it they cannot be checked. */
static dt_status read_model(dt_checkpoint *checkpoint, const dt_hdf5_file *in, bool *usable) {
    const dt_status config = read_config(&checkpoint->config, in);
    DT_TRY(dt_hdf5_note(in, config));
    const dt_status tokenizer = read_tokenizer(&checkpoint->tokenizer, in);
    DT_TRY(dt_hdf5_note(in, tokenizer));
    *usable = false;
    if (config != DT_OK || tokenizer != DT_OK) return DT_OK;
    const dt_status shape = read_shape(checkpoint, in);
    *usable = shape == DT_OK;
    return dt_hdf5_note(in, shape);
}

dt_status dt_checkpoint_fill(dt_checkpoint *checkpoint, dt_hdf5_file *in, dt_read_depth depth) {
    bool usable;
    DT_TRY(read_model(checkpoint, in, &usable));
    const dt_status state = read_state(&checkpoint->state, in);
    DT_TRY(dt_hdf5_note(in, state));
    if (usable) DT_TRY(dt_schema_attributes(checkpoint, compare_attribute, in));
    DT_TRY(dt_memory_alloc(&checkpoint->metrics, 1, sizeof *checkpoint->metrics, "metrics"));
    const int64_t last = state == DT_OK ? checkpoint->state.step : INT64_MAX;
    for (size_t i = 0; i < DT_TABLES; i++) {
        dt_table table;
        dt_table_describe(&table, i, &checkpoint->config);
        DT_TRY(dt_hdf5_note(in, read_table(checkpoint->metrics, in, &table, last)));
    }
    float **const block[DT_BLOCKS] = {&checkpoint->weights, &checkpoint->m, &checkpoint->v,
                                      &checkpoint->iterate};
    const size_t blocks = depth == DT_READ_SUMMARY ? 0
                          : depth < DT_READ_ALL    ? 1
                                                   : dt_schema_blocks(checkpoint);
    for (size_t i = 0; i < blocks; i++) {
        DT_TRY(read_block(block[i], in, &checkpoint->layout, i));
    }
    if (depth >= DT_READ_WEIGHTS && dt_checkpoint_is_quantised(checkpoint))
        return read_frozen(&checkpoint->frozen, in, &checkpoint->layout);
    return DT_OK;
}

dt_status dt_checkpoint_read(dt_checkpoint *checkpoint, const char *path, dt_read_depth depth) {
    memset(checkpoint, 0, sizeof *checkpoint);
    dt_hdf5_file in;
    dt_status status = dt_hdf5_open(&in, path, NULL);
    if (status == DT_OK) status = dt_checkpoint_survey(&in);
    if (status == DT_OK) status = dt_checkpoint_fill(checkpoint, &in, depth);
    if (status == DT_OK)
        status = dt_hdf5_value(checkpoint->digest, &in, "/", "digest", DT_TEXT(DT_DIGEST_LENGTH));
    dt_hdf5_close(&in);
    return status;
}

void dt_checkpoint_destroy(dt_checkpoint *checkpoint) {
    dt_memory_free(&checkpoint->weights);
    dt_memory_free(&checkpoint->m);
    dt_memory_free(&checkpoint->v);
    dt_memory_free(&checkpoint->iterate);
    dt_memory_free(&checkpoint->frozen);
    if (checkpoint->metrics) dt_metrics_clear(checkpoint->metrics);
    dt_memory_free(&checkpoint->metrics);
    dt_tokenizer_destroy(&checkpoint->tokenizer);
    dt_layout_destroy(&checkpoint->layout);
    memset(checkpoint, 0, sizeof *checkpoint);
}
