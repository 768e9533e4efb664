/* The file that llama.cpp reads: keys with values, a table of tensors, the tensors. Format:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3. */
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/quantise.h"
#include "dtrain/data/source.h"
#include "formats.h"
#include "vocabulary.h"

/* Values of a block of any type. */
enum { ALIGNMENT = 32, BLOCK = DT_Q8_0_BLOCK };
_Static_assert((int)BLOCK == (int)DT_Q4_0_BLOCK, "one block for both types");

/* Numbers of the format. */
typedef enum {
    OF_INT32 = 5,
    OF_UINT32 = 4,
    OF_FLOAT32 = 6,
    OF_BOOL = 7,
    OF_TEXT = 8,
    OF_LIST = 9
} value_type;

static const struct {
    uint32_t tensor, file; /* types */
    size_t bytes;          /* of BLOCK values */
} STORED[DT_QUANTS] = {
    [DT_QUANT_F32] = {0, 0, BLOCK * sizeof(float)},
    [DT_QUANT_Q8_0] = {8, 7, DT_Q8_0_BYTES},
    [DT_QUANT_Q4_0] = {2, 2, DT_Q4_0_BYTES},
};

/* ---- values ---- */

static dt_status put(dt_text *to, const void *value, size_t size) {
    return dt_text_append(to, value, size);
}

static dt_status put_u32(dt_text *to, uint32_t value) { return put(to, &value, sizeof value); }
static dt_status put_u64(dt_text *to, uint64_t value) { return put(to, &value, sizeof value); }

static dt_status put_text(dt_text *to, const char *text) {
    DT_TRY(put_u64(to, strlen(text)));
    return put(to, text, strlen(text));
}

/* The keys, and how many there are. */
typedef struct {
    dt_text bytes;
    uint64_t count;
} key_list;

static dt_status put_key(key_list *keys, const char *key, value_type type) {
    keys->count++;
    DT_TRY(put_text(&keys->bytes, key));
    return put_u32(&keys->bytes, type);
}

static dt_status put_number(key_list *keys, const char *key, size_t value) {
    DT_TRY(put_key(keys, key, OF_UINT32));
    return put_u32(&keys->bytes, (uint32_t)value);
}

static dt_status put_real(key_list *keys, const char *key, float value) {
    DT_TRY(put_key(keys, key, OF_FLOAT32));
    return put(&keys->bytes, &value, sizeof value);
}

static dt_status put_bool(key_list *keys, const char *key, bool value) {
    const unsigned char byte = value;
    DT_TRY(put_key(keys, key, OF_BOOL));
    return put(&keys->bytes, &byte, 1);
}

static dt_status put_string(key_list *keys, const char *key, const char *value) {
    DT_TRY(put_key(keys, key, OF_TEXT));
    return put_text(&keys->bytes, value);
}

static dt_status put_list(key_list *keys, const char *key, value_type type, uint64_t count) {
    DT_TRY(put_key(keys, key, OF_LIST));
    DT_TRY(put_u32(&keys->bytes, type));
    return put_u64(&keys->bytes, count);
}

/* ---- what the keys say ---- */

static dt_status put_shape(key_list *keys, const dt_export *to) {
    const dt_model_shape *s = &to->checkpoint->shape;
    DT_TRY(put_string(keys, "general.architecture", "gpt2"));
    DT_TRY(put_string(keys, "general.name", "dtrain"));
    DT_TRY(put_number(keys, "general.file_type", STORED[to->quant].file));
    DT_TRY(put_number(keys, "general.alignment", ALIGNMENT));
    DT_TRY(put_number(keys, "gpt2.context_length", s->T));
    DT_TRY(put_number(keys, "gpt2.embedding_length", s->C));
    DT_TRY(put_number(keys, "gpt2.feed_forward_length", s->F));
    DT_TRY(put_number(keys, "gpt2.block_count", s->L));
    DT_TRY(put_number(keys, "gpt2.attention.head_count", s->H));
    return put_real(keys, "gpt2.attention.layer_norm_epsilon", 1e-5f);
}

static dt_status put_facts(key_list *keys, const dt_export *to) {
    char *ini = NULL;
    dt_status status;
    DT_TRY_DONE(dt_config_format(&ini, &to->checkpoint->config, true));
    DT_TRY_DONE(put_string(keys, "dtrain.settings", ini));
    DT_TRY_DONE(put_string(keys, "dtrain.checkpoint", to->digest));
    DT_TRY_DONE(put_number(keys, "dtrain.step", (size_t)to->checkpoint->state.step));
done:
    dt_memory_free(&ini);
    return status;
}

static dt_status put_tokens(key_list *keys, const dt_tokenizer *tokenizer) {
    const size_t count = dt_tokenizer_size(tokenizer);
    dt_text text = {0};
    dt_status status;
    DT_TRY_DONE(put_list(keys, "tokenizer.ggml.tokens", OF_TEXT, count));
    for (size_t i = 0; i < count; i++) {
        dt_text_clear(&text);
        DT_TRY_DONE(export_append_token(&text, tokenizer, (int32_t)i));
        DT_TRY_DONE(put_text(&keys->bytes, text.bytes));
    }
    DT_TRY_DONE(put_list(keys, "tokenizer.ggml.token_type", OF_INT32, count));
    for (size_t i = 0; i < count; i++) {
        DT_TRY_DONE(put_u32(&keys->bytes, export_token_type_of(tokenizer, (int32_t)i)));
    }
done:
    dt_text_destroy(&text);
    return status;
}

typedef struct {
    dt_text bytes;
    uint64_t count;
} merge_list;

static dt_status put_merge(void *context, const char *merge) {
    merge_list *merges = context;
    merges->count++;
    return put_text(&merges->bytes, merge);
}

/* llama.cpp wants one merge at least: this one of two bytes 0, which no text has. */
static dt_status put_no_merge(merge_list *merges) {
    dt_text text = {0};
    dt_status status;
    DT_TRY_DONE(export_append_bytes(&text, "", 1));
    DT_TRY_DONE(dt_text_append(&text, " ", 1));
    DT_TRY_DONE(export_append_bytes(&text, "", 1));
    status = put_merge(merges, text.bytes);
done:
    dt_text_destroy(&text);
    return status;
}

static dt_status put_merges(key_list *keys, const dt_tokenizer *tokenizer) {
    merge_list merges = {0};
    dt_status status;
    DT_TRY_DONE(export_visit_merges(tokenizer, put_merge, &merges));
    if (merges.count == 0) DT_TRY_DONE(put_no_merge(&merges));
    DT_TRY_DONE(put_list(keys, "tokenizer.ggml.merges", OF_TEXT, merges.count));
    status = put(&keys->bytes, merges.bytes.bytes, merges.bytes.length);
done:
    dt_text_destroy(&merges.bytes);
    return status;
}

static dt_status put_tokenizer(key_list *keys, const dt_checkpoint *c) {
    const dt_tokenizer *tokenizer = c->tokenizer;
    /* Unless told, llama.cpp takes token 11 for the end. */
    const size_t end = (size_t)(export_end(c) < 0 ? 0 : export_end(c));
    DT_TRY(put_string(keys, "tokenizer.ggml.model", "gpt2"));
    DT_TRY(put_string(keys, "tokenizer.ggml.pre", "gpt-2"));
    DT_TRY(put_tokens(keys, tokenizer));
    DT_TRY(put_merges(keys, tokenizer));
    DT_TRY(put_number(keys, "tokenizer.ggml.bos_token_id", end));
    DT_TRY(put_number(keys, "tokenizer.ggml.eos_token_id", end));
    DT_TRY(put_bool(keys, "tokenizer.ggml.add_bos_token", false));
    return put_bool(keys, "tokenizer.ggml.add_eos_token", false);
}

/* ---- tensors ---- */

/* Positions are read row by row, and stay exact. */
static dt_quant quant_of(const dt_export *to, const dt_parameter *p) {
    const bool matrix = p->role == DT_ROLE_MATRIX || strcmp(p->name, "tok_embed") == 0;
    return matrix ? to->quant : DT_QUANT_F32;
}

static size_t bytes_of(const dt_export *to, const dt_parameter *p) {
    const dt_quant quant = quant_of(to, p);
    return quant == DT_QUANT_F32 ? p->count * sizeof(float)
                                 : p->count / BLOCK * STORED[quant].bytes;
}

static dt_status put_table(dt_text *table, uint64_t *tensors, const dt_export *to) {
    const dt_layout *layout = &to->checkpoint->layout;
    uint64_t offset = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        char name[EXPORT_NAME_MAX];
        if (!export_name(name, EXPORT_GGUF, p)) continue;
        DT_TRY(put_text(table, name));
        DT_TRY(put_u32(table, (uint32_t)p->rank));
        /* The extent of neighbours in memory comes first. */
        for (size_t k = p->rank; k-- > 0;) DT_TRY(put_u64(table, p->extent[k]));
        DT_TRY(put_u32(table, STORED[quant_of(to, p)].tensor));
        DT_TRY(put_u64(table, offset));
        offset = dt_round_up(offset + bytes_of(to, p), ALIGNMENT);
        ++*tensors;
    }
    return DT_OK;
}

static void write_padding(FILE *out, uint64_t written) {
    for (; written % ALIGNMENT; written++) fputc(0, out);
}

static void write_blocks(FILE *out, const float *x, size_t count, dt_quant quant) {
    unsigned char block[DT_Q8_0_BYTES];
    for (size_t i = 0; i < count; i += BLOCK) {
        if (quant == DT_QUANT_Q8_0) {
            dt_q8_0_pack(block, x + i, BLOCK);
        } else {
            dt_q4_0_pack(block, x + i, BLOCK);
        }
        fwrite(block, STORED[quant].bytes, 1, out);
    }
}

static dt_status write_tensors(FILE *out, const dt_export *to) {
    const dt_layout *layout = &to->checkpoint->layout;
    float *values;
    DT_TRY(export_values_create(&values, layout));
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        const dt_quant quant = quant_of(to, p);
        char name[EXPORT_NAME_MAX];
        if (!export_name(name, EXPORT_GGUF, p)) continue;
        export_values(values, EXPORT_GGUF, to->checkpoint, p);
        if (quant == DT_QUANT_F32) {
            fwrite(values, sizeof *values, p->count, out);
        } else {
            write_blocks(out, values, p->count, quant);
        }
        write_padding(out, bytes_of(to, p));
    }
    dt_memory_free(&values);
    return DT_OK;
}

/* The keys, and all tensors that have a name. */
static dt_status write_file(FILE *out, const dt_export *to, const key_list *keys) {
    dt_text head = {0}, table = {0};
    uint64_t tensors = 0;
    dt_status status;
    DT_TRY_DONE(put_table(&table, &tensors, to));
    DT_TRY_DONE(put(&head, "GGUF", 4));
    DT_TRY_DONE(put_u32(&head, 3));
    DT_TRY_DONE(put_u64(&head, tensors));
    DT_TRY_DONE(put_u64(&head, keys->count));
    fwrite(head.bytes, head.length, 1, out);
    fwrite(keys->bytes.bytes, keys->bytes.length, 1, out);
    fwrite(table.bytes, table.length, 1, out);
    write_padding(out, head.length + keys->bytes.length + table.length);
    status = write_tensors(out, to);
done:
    dt_text_destroy(&head);
    dt_text_destroy(&table);
    return status;
}

static dt_status write_gguf(FILE *out, const dt_export *to) {
    key_list keys = {0};
    dt_status status;
    DT_TRY_DONE(put_shape(&keys, to));
    DT_TRY_DONE(put_tokenizer(&keys, to->checkpoint));
    DT_TRY_DONE(put_facts(&keys, to));
    status = write_file(out, to, &keys);
done:
    dt_text_destroy(&keys.bytes);
    return status;
}

/* llama.cpp divides alpha by the rank itself. */
dt_status export_write_gguf_adapter(FILE *out, const dt_export *to) {
    key_list keys = {0};
    dt_status status;
    DT_TRY_DONE(put_string(&keys, "general.architecture", "gpt2"));
    DT_TRY_DONE(put_string(&keys, "general.type", "adapter"));
    DT_TRY_DONE(put_string(&keys, "general.name", "dtrain"));
    DT_TRY_DONE(put_number(&keys, "general.file_type", STORED[DT_QUANT_F32].file));
    DT_TRY_DONE(put_number(&keys, "general.alignment", ALIGNMENT));
    DT_TRY_DONE(put_string(&keys, "adapter.type", "lora"));
    DT_TRY_DONE(put_real(&keys, "adapter.lora.alpha", (float)to->checkpoint->config.lora_alpha));
    DT_TRY_DONE(put_facts(&keys, to));
    status = write_file(out, to, &keys);
done:
    dt_text_destroy(&keys.bytes);
    return status;
}

/* ---- the format ---- */

static dt_status check(const dt_export *to) {
    const dt_model_shape *s = &to->checkpoint->shape;
    export_vocabulary kind;
    DT_REQUIRE(
        export_is_gpt2(s), DT_ERR_ARG,
        "llama.cpp knows no places, nor positions that count numbers, nor sharper attention: "
        "GGUF is for models trained with --positions index, which leaves --places out, and "
        "with --sharpness 1; export this one as safetensors or onnx");
    DT_REQUIRE(to->quant == DT_QUANT_F32 || s->C % BLOCK == 0, DT_ERR_ARG,
               "--quant %s stores blocks of %d values, and a row of this model has %zu: --width "
               "is no multiple of %d; leave it out",
               dt_export_quants[to->quant], BLOCK, s->C, BLOCK);
    return export_vocabulary_find(&kind, to->checkpoint->tokenizer);
}

static const export_part *parts(const dt_export *to) {
    static const export_part list[] = {{"model.gguf", write_gguf}, {NULL, NULL}};
    (void)to;
    return list;
}

const export_format export_to_gguf = {"gguf", check, parts};
