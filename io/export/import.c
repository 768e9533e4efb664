/* Reads a model of the GPT-2 family: what config.json says of it, and each tensor by its name. */
#include "dtrain/export/import.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/export/safetensors.h"
#include "dtrain/file/replace.h"
#include "formats.h"
#include "json.h"
#include "tokenizer_read.h"

enum { CONFIG_MAX = 1 << 20 };

/* What is open while a model is read. */
typedef struct {
    char folder[DT_PATH_MAX];
    char config_path[DT_PATH_MAX + 32], settings_path[DT_PATH_MAX + 32];
    cJSON *config;
    dt_safetensors tensors;
    export_family family;
    bool own; /* dtrain has exported it, with its settings */
} reading;

/* ---- config.json ---- */

static const cJSON *member(const reading *r, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->config, name);
    return cJSON_IsNull(value) ? NULL : value;
}

static const char *text_of(const reading *r, const char *name, const char *standard) {
    const cJSON *value = member(r, name);
    if (!value) return standard;
    return cJSON_IsString(value) ? value->valuestring : "";
}

/* A whole number; false: it is missing, or none. */
static bool number_of(uint64_t *number, const reading *r, const char *name) {
    return json_whole(number, member(r, name));
}

static dt_status expect_bool(const reading *r, const char *name, bool standard, const char *why) {
    const cJSON *value = member(r, name);
    const bool is = value ? cJSON_IsTrue(value) : standard;
    DT_REQUIRE(is == standard, DT_ERR_DATA, "%s: %s is %s; dtrain computes no models %s",
               r->config_path, name, is ? "true" : "false", why);
    return DT_OK;
}

static dt_status check_activation(const reading *r) {
    /* Two names of the same function. */
    const char *name = text_of(r, "activation_function", "gelu_new");
    DT_REQUIRE(strcmp(name, "gelu_new") == 0 || strcmp(name, "gelu_pytorch_tanh") == 0, DT_ERR_DATA,
               "%s: activation_function is \"%.40s\"; dtrain computes gelu_new alone",
               r->config_path, name);
    return DT_OK;
}

static dt_status check_norm(const reading *r) {
    const cJSON *epsilon = member(r, "layer_norm_epsilon");
    const double value = epsilon ? cJSON_GetNumberValue(epsilon) : 1e-5;
    DT_REQUIRE(fabs(value - 1e-5) < 1e-12, DT_ERR_DATA,
               "%s: layer_norm_epsilon is %g; dtrain computes norms with 1e-05 alone",
               r->config_path, value);
    return DT_OK;
}

static dt_status check_widths(const reading *r) {
    uint64_t width, inner;
    if (!member(r, "n_inner")) return DT_OK;
    DT_REQUIRE(number_of(&width, r, "n_embd") && number_of(&inner, r, "n_inner") &&
                   inner == 4 * width,
               DT_ERR_DATA, "%s: n_inner is not 4 times n_embd, which it is in models of dtrain",
               r->config_path);
    return DT_OK;
}

/* Whether dtrain computes what this model does. */
static dt_status check_gpt2(const reading *r) {
    DT_TRY(check_activation(r));
    DT_TRY(check_norm(r));
    DT_TRY(check_widths(r));
    DT_TRY(expect_bool(r, "tie_word_embeddings", true, "whose output is not tied to the tokens"));
    DT_TRY(expect_bool(r, "scale_attn_weights", true, "that do not scale attention"));
    DT_TRY(expect_bool(r, "scale_attn_by_inverse_layer_idx", false,
                       "that scale attention by the layer"));
    return expect_bool(r, "add_cross_attention", false, "with cross-attention");
}

static dt_status find_family(reading *r) {
    const char *type = text_of(r, "model_type", "none");
    r->family = EXPORT_GPT2;
    if (strcmp(type, "gpt2") == 0) return check_gpt2(r);
    DT_REQUIRE(strcmp(type, "dtrain") == 0, DT_ERR_DATA,
               "%s: model_type is \"%.40s\"; models of type gpt2 can be imported", r->config_path,
               type);
    DT_REQUIRE(r->own, DT_ERR_NO_INPUT,
               "%s is missing; a model with places is imported with the settings of its run",
               r->settings_path);
    r->family = EXPORT_DTRAIN;
    return DT_OK;
}

/* ---- settings ---- */

/* What others have written is a fault of the data. */
static dt_status blame(dt_status status, const char *path) {
    if (status != DT_ERR_ARG) return status;
    return dt_error_raise(DT_ERR_DATA, __FILE__, __LINE__, "%s: %s", path, dt_error_text());
}

static dt_status take_number(dt_config *config, const char *setting, const reading *r,
                             const char *name) {
    uint64_t number;
    char text[32];
    DT_REQUIRE(number_of(&number, r, name), DT_ERR_DATA, "%s: %s is missing, or no whole number",
               r->config_path, name);
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return blame(dt_config_set(config, dt_setting_find(setting), text, name), r->config_path);
}

/* A model of others has learned running text, which has a name that no file has by chance. */
static dt_status take_config(dt_config *config, const reading *r) {
    char name[80], whole[PATH_MAX];
    const char *slash = realpath(r->folder, whole) ? strrchr(whole, '/') : NULL;
    dt_config_defaults(config);
    DT_TRY(take_number(config, "layers", r, "n_layer"));
    DT_TRY(take_number(config, "width", r, "n_embd"));
    DT_TRY(take_number(config, "heads", r, "n_head"));
    DT_TRY(take_number(config, "context", r, member(r, "n_positions") ? "n_positions" : "n_ctx"));
    config->positions = DT_POSITIONS_INDEX;
    config->metric = DT_METRIC_LOSS;
    config->average = 0;
    config->precision = DT_PRECISION_FLOAT32; /* as others compute with it */
    snprintf(name, sizeof name, "text of %.60s", slash && slash[1] ? slash + 1 : "a model");
    return blame(dt_config_set(config, dt_setting_find("text"), name, "text"), r->folder);
}

static dt_status read_settings(dt_config *config, const reading *r) {
    memset(config, 0, sizeof *config);
    if (r->own) {
        dt_config_absent(config);
        DT_TRY(blame(dt_config_read(config, r->settings_path), r->settings_path));
    } else {
        DT_TRY(take_config(config, r));
    }
    return DT_OK;
}

static dt_status check_settings(const dt_config *config, const reading *r) {
    const char *path = r->own ? r->settings_path : r->config_path;
    uint64_t heads;
    DT_REQUIRE(config->lora_rank == 0, DT_ERR_DATA,
               "%s: lora-rank is that of an adapter, and this is a whole model; take the line out",
               path);
    DT_TRY(blame(dt_config_check(config), path));
    DT_TRY(blame(dt_source_check(config), path));
    /* No tensor tells. */
    const char *name = r->family == EXPORT_GPT2 ? "n_head" : "num_attention_heads";
    DT_REQUIRE(number_of(&heads, r, name) && heads == (uint64_t)config->heads, DT_ERR_DATA,
               "%s: %s is not the %lld of %s", r->config_path, name, (long long)config->heads,
               EXPORT_SETTINGS);
    return DT_OK;
}

/* ---- tensors ---- */

/* Some files leave "transformer." out. */
static const dt_safetensor *find_tensor(const reading *r, const char *name) {
    static const char before[] = "transformer.";
    const dt_safetensor *found = dt_safetensors_find(&r->tensors, name);
    const size_t length = sizeof before - 1;
    if (found || strncmp(name, before, length) != 0) return found;
    return dt_safetensors_find(&r->tensors, name + length);
}

/* Where a parameter is stored, with the shape that the model gives it. *tensor: NULL if the family
 * has no such parameter. */
static dt_status locate(const dt_safetensor **tensor, const reading *r, const dt_parameter *p) {
    char name[EXPORT_NAME_MAX];
    *tensor = NULL;
    if (!export_name(name, r->family, p)) return DT_OK;
    const bool transposed = export_is_transposed(r->family, p);
    const dt_safetensor *found = find_tensor(r, name);
    DT_REQUIRE(found, DT_ERR_DATA, "%s: there is no tensor %s", r->tensors.path, name);
    DT_REQUIRE(found->rank == p->rank && found->extent[0] == p->extent[transposed] &&
                   (p->rank < 2 || found->extent[1] == p->extent[!transposed]),
               DT_ERR_DATA, "%s: tensor %s has another shape than the model of %s", r->tensors.path,
               name, r->config_path);
    *tensor = found;
    return DT_OK;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

/* The output is that of the tokens, also if it is stored a second time. */
static dt_status check_output(const reading *r, const dt_safetensor *output) {
    const dt_safetensor *tokens = find_tensor(r, "transformer.wte.weight");
    float *x = NULL;
    dt_status status;
    DT_REQUIRE(tokens && tokens->count == output->count, DT_ERR_DATA,
               "%s: lm_head.weight has another shape than the tokens; dtrain computes no models "
               "whose output is not tied to them",
               r->tensors.path);
    DT_TRY_DONE(dt_memory_alloc(&x, 2 * tokens->count, sizeof *x, "a tensor"));
    DT_TRY_DONE(dt_safetensors_read(x, &r->tensors, tokens));
    DT_TRY_DONE(dt_safetensors_read(x + tokens->count, &r->tensors, output));
    DT_REQUIRE_DONE(memcmp(x, x + tokens->count, tokens->count * sizeof *x) == 0, DT_ERR_DATA,
                    "%s: lm_head.weight differs from the tokens; dtrain computes no models whose "
                    "output is not tied to them",
                    r->tensors.path);
done:
    dt_memory_free(&x);
    return status;
}

/* Masks of attention are constants. Anything else would be a part that the model then lacks. */
static dt_status check_others(const reading *r, size_t taken) {
    for (size_t i = 0; i < r->tensors.tensors; i++) {
        const char *name = r->tensors.tensor[i].name;
        if (ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias")) {
            taken++;
        } else if (strcmp(name, "lm_head.weight") == 0) {
            DT_TRY(check_output(r, &r->tensors.tensor[i]));
            taken++;
        }
    }
    DT_REQUIRE(taken == r->tensors.tensors, DT_ERR_DATA,
               "%s has %zu tensors that a GPT-2 does not have", r->tensors.path,
               r->tensors.tensors - taken);
    return DT_OK;
}

static dt_status read_parameter(float *x, float *scratch, const reading *r, const dt_parameter *p) {
    const dt_safetensor *tensor;
    DT_TRY(locate(&tensor, r, p));
    if (!tensor) {
        /* Places add nothing: x + -0 is x, also where x is -0. */
        for (size_t i = 0; i < p->count; i++) x[i] = -0.0f;
        return DT_OK;
    }
    if (!export_is_transposed(r->family, p)) return dt_safetensors_read(x, &r->tensors, tensor);
    DT_TRY(dt_safetensors_read(scratch, &r->tensors, tensor));
    export_transpose(x, scratch, p->extent[1], p->extent[0]);
    return DT_OK;
}

/* All are looked for before memory is taken. */
static dt_status read_weights(dt_checkpoint *c, const reading *r) {
    const dt_layout *layout = &c->layout;
    float *scratch = NULL;
    size_t taken = 0;
    dt_status status = DT_OK;
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_safetensor *tensor;
        DT_TRY(locate(&tensor, r, &layout->parameter[i]));
        taken += tensor != NULL;
    }
    DT_TRY(check_others(r, taken));
    DT_TRY_DONE(dt_memory_alloc(&c->weights, layout->count, sizeof *c->weights, "weights"));
    DT_TRY_DONE(export_values_create(&scratch, layout));
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        DT_TRY_DONE(read_parameter(c->weights + p->offset, scratch, r, p));
    }
done:
    dt_memory_free(&scratch);
    return status;
}

/* ---- all of it ---- */

static dt_status find_files(reading *r, char tensors[DT_PATH_MAX], const char *path) {
    struct stat info;
    char reason[128];
    DT_REQUIRE(stat(path, &info) == 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path,
               dt_file_reason(errno, reason));
    const bool folder = S_ISDIR(info.st_mode);
    const int length = folder ? snprintf(tensors, DT_PATH_MAX, "%s/" EXPORT_TENSORS, path)
                              : snprintf(tensors, DT_PATH_MAX, "%s", path);
    DT_REQUIRE(length > 0 && length < DT_PATH_MAX, DT_ERR_NO_INPUT,
               "cannot read %.80s…: the name is too long", path);
    if (folder) {
        snprintf(r->folder, sizeof r->folder, "%s", path);
        for (size_t end = strlen(r->folder); end > 1 && r->folder[end - 1] == '/';)
            r->folder[--end] = '\0';
    } else {
        DT_TRY(dt_file_folder(r->folder, sizeof r->folder, path));
    }
    snprintf(r->config_path, sizeof r->config_path, "%s/" EXPORT_CONFIG, r->folder);
    snprintf(r->settings_path, sizeof r->settings_path, "%s/" EXPORT_SETTINGS, r->folder);
    r->own = access(r->settings_path, F_OK) == 0;
    return DT_OK;
}

static dt_status read_model(dt_checkpoint *c, const reading *r) {
    dt_config *config = &c->config;
    const char *kind;
    DT_TRY(read_settings(config, r));
    DT_TRY(tokenizer_read(&c->tokenizer, &kind, r->folder));
    if (!r->own)
        DT_TRY(blame(dt_config_set(config, dt_setting_find("tokenizer"), kind, "tokenizer"),
                     r->folder));
    DT_TRY(check_settings(config, r));
    DT_TRY(blame(dt_model_shape_from(&c->shape, config, dt_tokenizer_size(c->tokenizer)),
                 r->config_path));
    DT_REQUIRE(export_is_gpt2(&c->shape) == (r->family == EXPORT_GPT2), DT_ERR_DATA,
               "%s and %s are of different models", r->config_path, r->settings_path);
    DT_TRY(dt_layout_create(&c->layout, &c->shape));
    DT_TRY(read_weights(c, r));
    DT_TRY(dt_checkpoint_begin(c));
    return dt_checkpoint_check_vocabulary(c, r->folder);
}

dt_status dt_import_read(dt_checkpoint *checkpoint, const char *path) {
    reading r = {.tensors.file = -1};
    char tensors[DT_PATH_MAX];
    dt_status status;
    memset(checkpoint, 0, sizeof *checkpoint);
    DT_TRY_DONE(find_files(&r, tensors, path));
    DT_TRY_DONE(json_read(&r.config, r.config_path, CONFIG_MAX));
    DT_TRY_DONE(find_family(&r));
    DT_TRY_DONE(dt_safetensors_open(&r.tensors, tensors));
    status = read_model(checkpoint, &r);
done:
    dt_safetensors_close(&r.tensors);
    cJSON_Delete(r.config);
    return status;
}
