/* The files of a model as Hugging Face transformers reads them: tensors, configuration and
 * tokenizer. */
#include <inttypes.h>
#include <string.h>

#include "classes.h"
#include "dtrain/bpe/file.h"
#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "formats.h"
#include "vocabulary.h"

static export_family family_of(const dt_export *to) {
    return export_is_gpt2(&to->checkpoint->shape) ? EXPORT_GPT2 : EXPORT_DTRAIN;
}

/* ---- model.safetensors: the length of a header, the header as JSON, then the values ---- */

static dt_status append_header(dt_text *header, const dt_export *to) {
    const dt_layout *layout = &to->checkpoint->layout;
    const export_family family = family_of(to);
    uint64_t offset = 0;
    DT_TRY(dt_text_format(header,
                          "{\"__metadata__\":{\"format\":\"pt\",\"dtrain.checkpoint\":\"%s\","
                          "\"dtrain.step\":\"%" PRId64 "\"}",
                          to->digest, to->checkpoint->state.step));
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        char name[EXPORT_NAME_MAX];
        if (!export_name(name, family, p)) continue;
        const bool transposed = export_is_transposed(family, p);
        const uint64_t end = offset + p->count * sizeof(float);
        DT_TRY(dt_text_format(header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu", name,
                              p->extent[transposed]));
        if (p->rank == 2) DT_TRY(dt_text_format(header, ",%zu", p->extent[!transposed]));
        DT_TRY(
            dt_text_format(header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, end));
        offset = end;
    }
    DT_TRY(dt_text_append(header, "}", 1));
    /* Values begin at a multiple of 8 bytes. */
    while (header->length % 8) DT_TRY(dt_text_append(header, " ", 1));
    return DT_OK;
}

dt_status export_write_tensors(FILE *out, const dt_export *to) {
    const dt_layout *layout = &to->checkpoint->layout;
    dt_text header = {0};
    float *values = NULL;
    dt_status status;
    DT_TRY_DONE(append_header(&header, to));
    DT_TRY_DONE(export_values_create(&values, layout));
    const uint64_t length = header.length;
    fwrite(&length, sizeof length, 1, out);
    fwrite(header.bytes, header.length, 1, out);
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        char name[EXPORT_NAME_MAX];
        if (!export_name(name, family_of(to), p)) continue;
        export_values(values, family_of(to), to->checkpoint, p);
        fwrite(values, sizeof *values, p->count, out);
    }
done:
    dt_memory_free(&values);
    dt_text_destroy(&header);
    return status;
}

/* ---- config.json and generation_config.json ---- */

static void write_end(FILE *out, const dt_checkpoint *c) {
    const int32_t end = export_end(c);
    if (end >= 0) {
        fprintf(out,
                "  \"bos_token_id\": %" PRId32 ",\n  \"eos_token_id\": %" PRId32
                ",\n  \"pad_token_id\": %" PRId32 ",\n",
                end, end, end);
    } else {
        fprintf(out, "  \"bos_token_id\": null,\n  \"eos_token_id\": null,\n");
    }
}

static dt_status write_gpt2_config(FILE *out, const dt_export *to) {
    const dt_checkpoint *c = to->checkpoint;
    const dt_model_shape *s = &c->shape;
    fprintf(out, "{\n  \"architectures\": [\"GPT2LMHeadModel\"],\n  \"model_type\": \"gpt2\",\n");
    write_end(out, c);
    /* Both names of the context are in use. */
    fprintf(out,
            "  \"vocab_size\": %zu,\n  \"n_ctx\": %zu,\n  \"n_positions\": %zu,\n"
            "  \"n_embd\": %zu,\n  \"n_layer\": %zu,\n  \"n_head\": %zu,\n  \"n_inner\": %zu,\n",
            s->V, s->T, s->T, s->C, s->L, s->H, s->F);
    fprintf(out,
            "  \"activation_function\": \"gelu_new\",\n  \"layer_norm_epsilon\": 1e-05,\n"
            "  \"tie_word_embeddings\": true,\n  \"attn_pdrop\": 0.0,\n  \"embd_pdrop\": %g,\n"
            "  \"resid_pdrop\": %g,\n  \"initializer_range\": 0.02,\n"
            "  \"torch_dtype\": \"float32\"\n}\n",
            s->dropout, s->dropout);
    return DT_OK;
}

static void write_ids(FILE *out, const char *name, const export_classes *classes,
                      export_class which) {
    const char *comma = "";
    fprintf(out, "  \"%s\": [", name);
    for (size_t i = 0; i < classes->count; i++) {
        if (!(classes->of[i] & which)) continue;
        fprintf(out, "%s%zu", comma, i);
        comma = ", ";
    }
    fprintf(out, "],\n");
}

static dt_status write_dtrain_config(FILE *out, const dt_export *to) {
    const dt_checkpoint *c = to->checkpoint;
    const dt_model_shape *s = &c->shape;
    export_classes classes;
    char positions[32], place_embedding[32];
    dt_config_text(positions, sizeof positions, &c->config, dt_setting_find("positions"));
    dt_config_text(place_embedding, sizeof place_embedding, &c->config,
                   dt_setting_find("place-embedding"));
    DT_TRY(export_classes_find(&classes, c->tokenizer));
    fprintf(out, "{\n  \"architectures\": [\"DtrainForCausalLM\"],\n  \"model_type\": \"dtrain\",\n"
                 "  \"auto_map\": {\n    \"AutoConfig\": \"modeling_dtrain.DtrainConfig\",\n"
                 "    \"AutoModelForCausalLM\": \"modeling_dtrain.DtrainForCausalLM\"\n  },\n");
    write_end(out, c);
    fprintf(out,
            "  \"vocab_size\": %zu,\n  \"max_position_embeddings\": %zu,\n  \"hidden_size\": %zu,\n"
            "  \"num_hidden_layers\": %zu,\n  \"num_attention_heads\": %zu,\n  \"places\": %zu,\n"
            "  \"positions\": \"%s\",\n  \"place_embedding\": \"%s\",\n"
            "  \"place_window\": %d,\n  \"sharpness\": %.9g,\n",
            s->V, s->T, s->C, s->L, s->H, s->P, positions, place_embedding, (int)s->window,
            s->sharpness);
    write_ids(out, "digit_ids", &classes, EXPORT_DIGIT);
    write_ids(out, "mark_ids", &classes, EXPORT_MARK);
    write_ids(out, "carry_ids", &classes, EXPORT_CARRY);
    write_ids(out, "addend_ids", &classes, EXPORT_ADDEND);
    fprintf(out, "  \"use_cache\": false,\n  \"torch_dtype\": \"float32\"\n}\n");
    export_classes_destroy(&classes);
    return DT_OK;
}

static dt_status write_generation_config(FILE *out, const dt_export *to) {
    fprintf(out, "{\n");
    write_end(out, to->checkpoint);
    fprintf(out, "  \"do_sample\": false,\n  \"max_length\": %zu,\n  \"use_cache\": %s\n}\n",
            to->checkpoint->shape.T, family_of(to) == EXPORT_GPT2 ? "true" : "false");
    return DT_OK;
}

/* ---- tokenizer.json and tokenizer_config.json ---- */

static dt_status write_vocabulary(FILE *out, const dt_tokenizer *tokenizer,
                                  export_vocabulary kind) {
    dt_text text = {0};
    dt_status status = DT_OK;
    for (size_t i = 0; i < dt_tokenizer_size(tokenizer); i++) {
        const dt_span token = dt_tokenizer_bytes(tokenizer, (int32_t)i);
        dt_text_clear(&text);
        DT_TRY_DONE(kind == EXPORT_BYTES ? export_append_bytes(&text, token.at, token.count)
                                         : dt_text_append(&text, token.at, token.count));
        fputs(i ? ",\n      " : "\n      ", out);
        dt_json_write_text(out, text.bytes);
        fprintf(out, ": %zu", i);
    }
done:
    dt_text_destroy(&text);
    return status;
}

/* Without merges each character is a token. Byte-level merges would have the parts of characters
 * as tokens as well, and the model has none for them. */
dt_status export_write_tokenizer(FILE *out, const dt_export *to) {
    static const char bytes[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                                "\"trim_offsets\": true, \"use_regex\": false}";
    const dt_tokenizer *tokenizer = to->checkpoint->tokenizer;
    export_vocabulary kind;
    DT_TRY(export_vocabulary_find(&kind, tokenizer));
    if (kind == EXPORT_BPE) {
        dt_bpe_write(out, dt_tokenizer_bpe(tokenizer));
        return DT_OK;
    }
    fprintf(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"
                 "  \"added_tokens\": [");
    const int32_t end = export_end(to->checkpoint);
    if (end >= 0) {
        fprintf(out, "{\"id\": %" PRId32 ", \"content\": ", end);
        dt_json_write_text(out, dt_tokenizer_token(tokenizer, end));
        fprintf(out, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                     "\"normalized\": false, \"special\": true}");
    }
    fprintf(out,
            "],\n  \"normalizer\": null,\n  \"pre_tokenizer\": %s,\n  \"post_processor\": null,\n"
            "  \"decoder\": %s,\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
            "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
            "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
            "    \"byte_fallback\": false,\n    \"vocab\": {",
            kind == EXPORT_BYTES ? bytes : "null",
            kind == EXPORT_BYTES ? bytes : "{\"type\": \"Fuse\"}");
    DT_TRY(write_vocabulary(out, tokenizer, kind));
    fprintf(out, "\n    },\n    \"merges\": []\n  }\n}\n");
    return DT_OK;
}

dt_status export_write_tokenizer_config(FILE *out, const dt_export *to) {
    const dt_checkpoint *c = to->checkpoint;
    fprintf(out, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n");
    const int32_t end = export_end(c);
    if (end >= 0) {
        static const char *const names[] = {"bos_token", "eos_token", "pad_token"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            fprintf(out, "  \"%s\": ", names[i]);
            dt_json_write_text(out, dt_tokenizer_token(c->tokenizer, end));
            fprintf(out, ",\n");
        }
    }
    fprintf(out, "  \"clean_up_tokenization_spaces\": false,\n  \"model_max_length\": %zu\n}\n",
            c->shape.T);
    return DT_OK;
}

/* ---- modeling_dtrain.py ---- */

static dt_status write_module(FILE *out, const dt_export *to) {
    (void)to;
    fputs(EXPORT_MODULE[0], out);
    return DT_OK;
}

/* ---- the format ---- */

static dt_status check(const dt_export *to) {
    export_vocabulary kind;
    return export_vocabulary_find(&kind, to->checkpoint->tokenizer);
}

#define COMMON                                                                                     \
    {EXPORT_TENSORS, export_write_tensors}, {"generation_config.json", write_generation_config},   \
        {EXPORT_TOKENIZER, export_write_tokenizer},                                                \
        {"tokenizer_config.json", export_write_tokenizer_config}, {                                \
        NULL, NULL                                                                                 \
    }

static const export_part GPT2_PARTS[] = {{EXPORT_CONFIG, write_gpt2_config}, COMMON};
static const export_part DTRAIN_PARTS[] = {
    {EXPORT_CONFIG, write_dtrain_config}, {"modeling_dtrain.py", write_module}, COMMON};

static const export_part *parts(const dt_export *to) {
    return family_of(to) == EXPORT_GPT2 ? GPT2_PARTS : DTRAIN_PARTS;
}

const export_format export_to_safetensors = {"safetensors", check, parts};
