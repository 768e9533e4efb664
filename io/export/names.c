/* The table of names. */
#include "names.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"

/* In a layer the names follow "layers/N/", "transformer.h.N." and "blk.N.". */
static const struct {
    const char *own, *gpt2, *gguf;
} TABLE[] = {
    {"tok_embed", "wte.weight", "token_embd.weight"},
    {"pos_embed", "wpe.weight", "position_embd.weight"},
    {"attn_norm/scale", "ln_1.weight", "attn_norm.weight"},
    {"attn_norm/bias", "ln_1.bias", "attn_norm.bias"},
    {"attn_qkv/weight", "attn.c_attn.weight", "attn_qkv.weight"},
    {"attn_qkv/bias", "attn.c_attn.bias", "attn_qkv.bias"},
    {"attn_out/weight", "attn.c_proj.weight", "attn_output.weight"},
    {"attn_out/bias", "attn.c_proj.bias", "attn_output.bias"},
    {"mlp_norm/scale", "ln_2.weight", "ffn_norm.weight"},
    {"mlp_norm/bias", "ln_2.bias", "ffn_norm.bias"},
    {"mlp_in/weight", "mlp.c_fc.weight", "ffn_up.weight"},
    {"mlp_in/bias", "mlp.c_fc.bias", "ffn_up.bias"},
    {"mlp_out/weight", "mlp.c_proj.weight", "ffn_down.weight"},
    {"mlp_out/bias", "mlp.c_proj.bias", "ffn_down.bias"},
    {"final_norm/scale", "ln_f.weight", "output_norm.weight"},
    {"final_norm/bias", "ln_f.bias", "output_norm.bias"},
};

/* "layers/3/attn_qkv/weight" becomes "layers.3.attn_qkv.weight"; PyTorch calls scales and tables
 * weights. */
static void name_module(char name[EXPORT_NAME_MAX], const char *own) {
    const size_t length = strlen(own), scale = strlen("scale");
    const bool is_scale = length > scale && strcmp(own + length - scale, "scale") == 0;
    const bool is_table = !strchr(own, '/');
    snprintf(name, EXPORT_NAME_MAX, "%.*s%s", (int)(is_scale ? length - scale : length), own,
             is_scale   ? "weight"
             : is_table ? ".weight"
                        : "");
    for (char *c = name; *c; c++) {
        if (*c == '/') *c = '.';
    }
}

/* What follows "layers/N/", and N; else the whole name, and SIZE_MAX. */
static const char *split_name(size_t *layer, const char *own) {
    static const char before[] = "layers/";
    char *end;
    *layer = SIZE_MAX;
    if (strncmp(own, before, sizeof before - 1) != 0) return own;
    *layer = strtoul(own + sizeof before - 1, &end, 10);
    return end + 1;
}

/* After the name of its matrix in the family: PEFT's, or llama.cpp's. */
static bool name_adapter(char name[EXPORT_NAME_MAX], export_family family,
                         const dt_parameter *adapter) {
    dt_parameter matrix = *adapter;
    char own[EXPORT_NAME_MAX];
    const size_t length = strlen(adapter->name);
    const char side = adapter->name[length - 1];
    matrix.role = DT_ROLE_MATRIX;
    snprintf(matrix.name, sizeof matrix.name, "%.*sweight", (int)(length - strlen("lora_a")),
             adapter->name);
    if (!export_name(own, family, &matrix)) return false;
    if (family == EXPORT_GGUF) {
        snprintf(name, EXPORT_NAME_MAX, "%.*s.lora_%c", EXPORT_NAME_MAX - 8, own, side);
    } else {
        snprintf(name, EXPORT_NAME_MAX, "base_model.model.%.*s.lora_%c.weight",
                 (int)(strlen(own) - strlen(".weight")), own, side == 'a' ? 'A' : 'B');
    }
    return true;
}

bool export_name(char name[EXPORT_NAME_MAX], export_family family, const dt_parameter *parameter) {
    size_t layer;
    if (parameter->role == DT_ROLE_ADAPTER) return name_adapter(name, family, parameter);
    if (parameter->frozen) return false; /* it is in the base */
    const char *own = split_name(&layer, parameter->name);
    if (family == EXPORT_DTRAIN) {
        name_module(name, parameter->name);
        return true;
    }
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        if (strcmp(own, TABLE[i].own) != 0) continue;
        const bool gguf = family == EXPORT_GGUF;
        char before[32] = "";
        if (layer != SIZE_MAX) snprintf(before, sizeof before, gguf ? "blk.%zu." : "h.%zu.", layer);
        snprintf(name, EXPORT_NAME_MAX, "%s%s%s", gguf ? "" : "transformer.", before,
                 gguf ? TABLE[i].gguf : TABLE[i].gpt2);
        return true;
    }
    return false;
}

bool export_is_transposed(export_family family, const dt_parameter *parameter) {
    return family == EXPORT_GPT2 && parameter->role == DT_ROLE_MATRIX;
}

void export_transpose(float *y, const float *x, size_t rows, size_t columns) {
    /* In squares that stay in the cache. */
    enum { SQUARE = 16 };
    for (size_t r = 0; r < rows; r += SQUARE) {
        for (size_t c = 0; c < columns; c += SQUARE) {
            for (size_t i = r; i < rows && i < r + SQUARE; i++) {
                for (size_t k = c; k < columns && k < c + SQUARE; k++) {
                    y[k * rows + i] = x[i * columns + k];
                }
            }
        }
    }
}

bool export_is_gpt2(const dt_model_shape *shape) {
    return shape->index_positions && shape->sharpness == 1;
}

dt_status export_values_create(float **values, const dt_layout *layout) {
    size_t most = 0;
    for (size_t i = 0; i < layout->parameters; i++)
        most = dt_max_size(most, layout->parameter[i].count);
    return dt_memory_alloc(values, most, sizeof **values, "a tensor of a model");
}

void export_values(float *values, export_family family, const dt_checkpoint *checkpoint,
                   const dt_parameter *parameter) {
    const float *x = checkpoint->weights + parameter->offset;
    const size_t *extent = parameter->extent;
    if (export_is_transposed(family, parameter)) {
        export_transpose(values, x, extent[0], extent[1]);
        return;
    }
    memcpy(values, x, parameter->count * sizeof *values);
    if (family == EXPORT_DTRAIN || strcmp(parameter->name, "pos_embed") != 0) return;
    const dt_parameter *place = dt_layout_find(&checkpoint->layout, "place_embed");
    const float *added = checkpoint->weights + place->offset;
    for (size_t i = 0; i < parameter->count; i++) values[i] += added[i % extent[1]];
}
