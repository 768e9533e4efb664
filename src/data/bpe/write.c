/* Writes a BPE as Hugging Face's files. */
#include <inttypes.h>

#include "dtrain/bpe/file.h"
#include "dtrain/core/json.h"

static const char *truth(bool value) { return value ? "true" : "false"; }

static void write_added(FILE *out, const dt_bpe_parts *parts) {
    for (size_t i = 0; i < parts->added_count; i++) {
        const dt_bpe_added *added = &parts->added[i];
        fprintf(out, "%s\n    {\"id\": %" PRId32 ", \"content\": ", i ? "," : "", added->id);
        dt_json_write_text(out, parts->token[added->id]);
        fprintf(out,
                ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                "\"normalized\": %s, \"special\": %s}",
                truth(added->normalized), truth(added->special));
    }
}

static void write_tokens(FILE *out, const dt_bpe_parts *parts, const char *before) {
    for (size_t i = 0; i < parts->tokens; i++) {
        fprintf(out, "%s\n%s", i ? "," : "", before);
        dt_json_write_text(out, parts->token[i]);
        fprintf(out, ": %zu", i);
    }
}

void dt_bpe_write(FILE *out, const dt_bpe *bpe) {
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    fputs("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"
          "  \"added_tokens\": [",
          out);
    write_added(out, &parts);
    fputs("\n  ],\n  \"normalizer\": null,\n"
          "  \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
          "\"trim_offsets\": true, \"use_regex\": true},\n"
          "  \"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
          "\"trim_offsets\": false, \"use_regex\": true},\n"
          "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
          "\"trim_offsets\": true, \"use_regex\": true},\n"
          "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
          "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
          "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
          "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {",
          out);
    write_tokens(out, &parts, "      ");
    fputs("\n    },\n    \"merges\": [", out);
    for (size_t i = 0; i < parts.merges; i++) {
        char pair[2 * DT_BPE_SPELLING_MAX + 2];
        snprintf(pair, sizeof pair, "%s %s", parts.token[parts.merge[i].left],
                 parts.token[parts.merge[i].right]);
        fprintf(out, "%s\n      ", i ? "," : "");
        dt_json_write_text(out, pair);
    }
    fputs("\n    ]\n  }\n}\n", out);
}

void dt_bpe_write_vocab(FILE *out, const dt_bpe *bpe) {
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    fputs("{", out);
    write_tokens(out, &parts, "  ");
    fputs("\n}\n", out);
}

void dt_bpe_write_merges(FILE *out, const dt_bpe *bpe) {
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    fputs("#version: 0.2\n", out);
    for (size_t i = 0; i < parts.merges; i++)
        fprintf(out, "%s %s\n", parts.token[parts.merge[i].left],
                parts.token[parts.merge[i].right]);
}
