/* Reads an adapter of PEFT, for a base that is there. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/path.h"
#include "dtrain/data/source.h"
#include "dtrain/export/import.h"
#include "dtrain/export/safetensors.h"
#include "formats.h"
#include "json.h"

enum { CONFIG_MAX = 1 << 20 };

typedef struct {
    char config_path[DT_PATH_MAX], tensors_path[DT_PATH_MAX], settings_path[DT_PATH_MAX];
    cJSON *config;
    dt_safetensors tensors;
    export_family family;
} reading;

bool dt_import_is_adapter(const char *path) {
    char config[DT_PATH_MAX];
    const bool named = dt_path_from(config, sizeof config, path, EXPORT_ADAPTER_CONFIG) == DT_OK;
    if (!named) dt_error_clear();
    return named && access(config, F_OK) == 0;
}

static const cJSON *member(const reading *r, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->config, name);
    return cJSON_IsNull(value) ? NULL : value;
}

/* Kinds of adapters that change more than b a. */
static dt_status check_kind(const reading *r) {
    static const char *const OFF[] = {"use_rslora", "use_dora", "use_qalora", "lora_bias"};
    static const char *const EMPTY[] = {
        "rank_pattern",      "alpha_pattern",           "modules_to_save",
        "layer_replication", "trainable_token_indices", "alora_invocation_tokens"};
    /* The others change the base as well. */
    static const char *const BEGIN[] = {"gaussian", "eva", "orthogonal"};
    const cJSON *type = member(r, "peft_type"), *bias = member(r, "bias");
    DT_REQUIRE(cJSON_IsString(type) && strcmp(type->valuestring, "LORA") == 0, DT_ERR_DATA,
               "%s: peft_type is not \"LORA\"; dtrain computes no other adapters", r->config_path);
    DT_REQUIRE(!bias || (cJSON_IsString(bias) && strcmp(bias->valuestring, "none") == 0),
               DT_ERR_DATA, "%s: bias is not \"none\"; dtrain trains no biases beside adapters",
               r->config_path);
    for (size_t i = 0; i < sizeof OFF / sizeof *OFF; i++) {
        DT_REQUIRE(!cJSON_IsTrue(member(r, OFF[i])), DT_ERR_DATA,
                   "%s: %s is true; dtrain computes plain LoRA alone", r->config_path, OFF[i]);
    }
    for (size_t i = 0; i < sizeof EMPTY / sizeof *EMPTY; i++) {
        const cJSON *value = member(r, EMPTY[i]);
        DT_REQUIRE(
            !value || cJSON_GetArraySize(value) == 0, DT_ERR_DATA,
            "%s: %s is not empty; in dtrain all adapters have one rank and alpha, and nothing "
            "else is trained",
            r->config_path, EMPTY[i]);
    }
    const cJSON *begin = member(r, "init_lora_weights");
    bool plain = !cJSON_IsString(begin);
    for (size_t i = 0; !plain && i < sizeof BEGIN / sizeof *BEGIN; i++)
        plain = strcmp(begin->valuestring, BEGIN[i]) == 0;
    DT_REQUIRE(plain, DT_ERR_DATA,
               "%s: init_lora_weights is \"%.40s\", which changes the base, too; save the adapter "
               "with PEFT's path_initial_model_for_weight_conversion, as one of the base as it was",
               r->config_path, begin->valuestring);
    return DT_OK;
}

/* ---- settings ---- */

static dt_status blame(dt_status status, const char *path) {
    if (status != DT_ERR_ARG) return status;
    return dt_error_raise(DT_ERR_DATA, __FILE__, __LINE__, "%s: %s", path, dt_error_text());
}

static dt_status set_real(dt_config *config, const char *setting, const reading *r,
                          const char *name, double standard) {
    const cJSON *value = member(r, name);
    char text[64];
    DT_REQUIRE(!value || cJSON_IsNumber(value), DT_ERR_DATA, "%s: %s is no number", r->config_path,
               name);
    snprintf(text, sizeof text, "%.17g", value ? value->valuedouble : standard);
    return blame(dt_config_set(config, dt_setting_find(setting), text, name), r->config_path);
}

static dt_status set_rank(dt_config *config, const reading *r) {
    uint64_t rank;
    char text[32];
    DT_REQUIRE(json_whole(&rank, member(r, "r")) && rank > 0, DT_ERR_DATA,
               "%s: r is missing, or no rank", r->config_path);
    snprintf(text, sizeof text, "%llu", (unsigned long long)rank);
    return blame(dt_config_set(config, dt_setting_find("lora-rank"), text, "r"), r->config_path);
}

/* Where a parameter of an adapter is stored. */
static const dt_safetensor *find_tensor(const reading *r, const dt_parameter *p) {
    char name[EXPORT_NAME_MAX];
    return export_name(name, r->family, p) ? dt_safetensors_find(&r->tensors, name) : NULL;
}

/* The targets are those that the first layer has tensors for. */
static dt_status set_targets(dt_config *config, const reading *r) {
    char names[DT_TARGETS_MAX + 1] = "";
    size_t used = 0, found = 0;
    for (size_t i = 0; i < DT_TARGETS; i++) {
        dt_parameter p = {.role = DT_ROLE_ADAPTER};
        snprintf(p.name, sizeof p.name, "layers/0/%s/lora_a", dt_target_name((dt_target)i));
        if (!find_tensor(r, &p)) continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "",
                                 dt_target_name((dt_target)i));
        found++;
    }
    DT_REQUIRE(found > 0, DT_ERR_DATA, "%s has no adapter for the matrices of a layer of this base",
               r->tensors.path);
    const char *text = found == DT_TARGETS ? "all" : names;
    return dt_config_set(config, dt_setting_find("lora-targets"), text, "target_modules");
}

/* Those of the run that has exported it, or those of the base. */
static dt_status read_settings(dt_config *config, const reading *r, const dt_checkpoint *base,
                               const char *base_path, const char *out) {
    *config = base->config;
    if (access(r->settings_path, F_OK) == 0) {
        dt_config_absent(config);
        DT_TRY(blame(dt_config_read(config, r->settings_path), r->settings_path));
    }
    DT_TRY(set_rank(config, r));
    DT_TRY(set_real(config, "lora-alpha", r, "lora_alpha", 8));
    DT_TRY(set_real(config, "lora-dropout", r, "lora_dropout", 0));
    DT_TRY(set_targets(config, r));
    snprintf(config->out, sizeof config->out, "%s", out);
    DT_TRY(dt_base_name(config, base, base_path));
    DT_TRY(blame(dt_config_check(config), r->config_path));
    return blame(dt_source_check(config), r->config_path);
}

/* ---- tensors ---- */

static dt_status read_weights(float *weights, const dt_layout *layout, const reading *r) {
    size_t taken = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (p->frozen) continue;
        const dt_safetensor *tensor = find_tensor(r, p);
        DT_REQUIRE(tensor, DT_ERR_DATA, "%s: there is no tensor for %s", r->tensors.path, p->name);
        DT_REQUIRE(tensor->rank == 2 && tensor->extent[0] == p->extent[0] &&
                       tensor->extent[1] == p->extent[1],
                   DT_ERR_DATA,
                   "%s: tensor %s has another shape than an adapter of this base needs",
                   r->tensors.path, tensor->name);
        DT_TRY(dt_safetensors_read(weights + p->offset, &r->tensors, tensor));
        taken++;
    }
    DT_REQUIRE(taken == r->tensors.tensors, DT_ERR_DATA,
               "%s has %zu tensors that are no adapters of all layers of this base",
               r->tensors.path, r->tensors.tensors - taken);
    return DT_OK;
}

/* The base's tokenizer becomes the adapter's; its weights are given back. */
static dt_status read_adapter(dt_checkpoint *c, const reading *r, const char *base_path,
                              const char *out) {
    dt_config config;
    dt_model_shape shape;
    dt_layout layout = {0};
    float *weights = NULL;
    dt_status status;
    DT_TRY(read_settings(&config, r, c, base_path, out));
    DT_TRY(blame(dt_model_shape_from(&shape, &config, dt_tokenizer_size(c->tokenizer)),
                 r->config_path));
    DT_REQUIRE(shape.L == c->shape.L && shape.C == c->shape.C && shape.T == c->shape.T &&
                   shape.P == c->shape.P && shape.H == c->shape.H,
               DT_ERR_DATA, "%s is of another base than %s", r->settings_path, base_path);
    DT_TRY_DONE(dt_layout_create(&layout, &shape));
    DT_TRY_DONE(dt_memory_alloc(&weights, layout.count, sizeof *weights, "adapters"));
    DT_TRY_DONE(read_weights(weights, &layout, r));
    dt_layout_destroy(&c->layout);
    dt_memory_free(&c->weights);
    c->config = config;
    c->shape = shape;
    c->layout = layout;
    c->weights = weights;
    layout = (dt_layout){0};
    weights = NULL;
    status = dt_checkpoint_begin(c);
done:
    dt_memory_free(&weights);
    dt_layout_destroy(&layout);
    return status;
}

dt_status dt_import_adapter(dt_checkpoint *checkpoint, const char *path, const char *base_path,
                            const char *out) {
    reading r = {.tensors.file = -1,
                 .family = export_is_gpt2(&checkpoint->shape) ? EXPORT_GPT2 : EXPORT_DTRAIN};
    dt_status status;
    DT_TRY_DONE(dt_path_from(r.config_path, sizeof r.config_path, path, EXPORT_ADAPTER_CONFIG));
    DT_TRY_DONE(dt_path_from(r.tensors_path, sizeof r.tensors_path, path, EXPORT_ADAPTER_TENSORS));
    DT_TRY_DONE(dt_path_from(r.settings_path, sizeof r.settings_path, path, EXPORT_SETTINGS));
    DT_TRY_DONE(json_read(&r.config, r.config_path, CONFIG_MAX));
    DT_TRY_DONE(check_kind(&r));
    DT_TRY_DONE(dt_safetensors_open(&r.tensors, r.tensors_path));
    status = read_adapter(checkpoint, &r, base_path, out);
done:
    dt_safetensors_close(&r.tensors);
    cJSON_Delete(r.config);
    return status;
}
