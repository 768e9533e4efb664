/* An adapter alone, as PEFT and llama.cpp read it; their users have its base. */
#include <stdio.h>

#include "dtrain/core/json.h"
#include "formats.h"

/* The names of modules that are targets: what "attn_qkv" is called in the base. */
static void write_targets(FILE *out, const dt_checkpoint *c) {
    static const char *const GPT2[DT_TARGETS] = {"attn.c_attn", "attn.c_proj", "mlp.c_fc",
                                                 "mlp.c_proj"};
    const bool gpt2 = export_is_gpt2(&c->shape);
    const char *comma = "";
    for (size_t i = 0; i < DT_TARGETS; i++) {
        if (!c->shape.lora.target[i]) continue;
        fprintf(out, "%s\"%s\"", comma, gpt2 ? GPT2[i] : dt_target_name((dt_target)i));
        comma = ", ";
    }
}

static dt_status write_config(FILE *out, const dt_export *to) {
    const dt_checkpoint *c = to->checkpoint;
    const dt_lora *lora = &c->shape.lora;
    fprintf(out, "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"CAUSAL_LM\",\n"
                 "  \"base_model_name_or_path\": ");
    dt_json_write_text(out, c->config.base);
    fprintf(out,
            ",\n  \"r\": %zu,\n  \"lora_alpha\": %.17g,\n  \"lora_dropout\": %.17g,\n"
            "  \"target_modules\": [",
            lora->rank, lora->alpha, lora->dropout);
    write_targets(out, c);
    /* GPT-2's modules store (in, out). */
    fprintf(out,
            "],\n  \"fan_in_fan_out\": %s,\n  \"bias\": \"none\",\n"
            "  \"inference_mode\": true\n}\n",
            export_is_gpt2(&c->shape) ? "true" : "false");
    return DT_OK;
}

static dt_status check(const dt_export *to) {
    DT_REQUIRE(dt_checkpoint_is_adapter(to->checkpoint), DT_ERR_ARG,
               "%s is a whole model; --format adapter is for what --lora-rank has trained",
               to->path);
    return DT_OK;
}

#define COMMON                                                                                     \
    {EXPORT_ADAPTER_CONFIG, write_config}, {EXPORT_ADAPTER_TENSORS, export_write_tensors},         \
        {EXPORT_SETTINGS, export_write_settings}, {"dtrain.json", export_write_facts},             \
        {"README.md", export_write_card}, {                                                        \
        NULL, NULL                                                                                 \
    }

static const export_part PARTS[] = {COMMON};
static const export_part GPT2_PARTS[] = {{"adapter.gguf", export_write_gguf_adapter}, COMMON};

static const export_part *parts(const dt_export *to) {
    return export_is_gpt2(&to->checkpoint->shape) ? GPT2_PARTS : PARTS;
}

const export_format export_to_adapter = {"adapter", check, parts};
