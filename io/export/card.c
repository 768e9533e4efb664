/* What travels along with a model: the settings of its run, what was measured, and a page for
 * people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "formats.h"

dt_status export_write_settings(FILE *out, const dt_export *to) {
    char *ini;
    DT_TRY(dt_config_format(&ini, &to->checkpoint->config, true));
    fputs(ini, out);
    dt_memory_free(&ini);
    return DT_OK;
}

/* ---- dtrain.json ---- */

static void write_number(FILE *out, const char *name, double value) {
    char text[DT_JSON_NUMBER];
    fprintf(out, ", \"%s\": %s", name, dt_json_number(text, 9, value));
}

static void write_validations(FILE *out, const dt_checkpoint *c) {
    const dt_source_kind *source = dt_source_kind_of(&c->config);
    fprintf(out, "  \"validation\": [");
    for (size_t i = 0; i < c->metrics->validation_count; i++) {
        const dt_validation_row *row = &c->metrics->validation[i];
        fprintf(out, "%s\n    {\"step\": %" PRId64, i ? "," : "", row->step);
        write_number(out, "loss", row->loss);
        write_number(out, "perplexity", row->perplexity);
        write_number(out, "token_accuracy", row->token_accuracy);
        write_number(out, "exact_match", row->exact_match);
        for (size_t k = 0; k < source->kinds; k++) {
            char name[64];
            snprintf(name, sizeof name, "exact_match_%s", source->kind[k].name);
            write_number(out, name, row->exact_match_of[k]);
        }
        fprintf(out, "}");
    }
    fprintf(out, "],\n");
}

static void write_settings(FILE *out, const dt_config *config) {
    const char *comma = "";
    fprintf(out, "  \"settings\": {");
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        char value[DT_PATH_MAX];
        if (setting->scope == DT_SETTING_LOCAL) continue;
        dt_config_text(value, sizeof value, config, setting);
        fprintf(out, "%s\n    \"%s\": ", comma, setting->name);
        if (setting->type == DT_SETTING_INT || setting->type == DT_SETTING_REAL) {
            fprintf(out, "%s", value);
        } else {
            dt_json_write_text(out, value);
        }
        comma = ",";
    }
    fprintf(out, "\n  }\n");
}

dt_status export_write_facts(FILE *out, const dt_export *to) {
    const dt_checkpoint *c = to->checkpoint;
    const dt_run_state *s = &c->state;
    fprintf(out, "{\n  \"dtrain\": \"%s\",\n  \"checkpoint\": ", DTRAIN_VERSION);
    dt_json_write_text(out, to->path);
    fprintf(out,
            ",\n  \"digest\": \"%s\",\n  \"parameters\": %zu,\n  \"step\": %" PRId64
            ",\n  \"tokens\": %" PRId64 ",\n  \"problems\": %" PRId64 ",\n  \"seconds\": %.3f,\n",
            to->digest, c->layout.weights, s->step, s->tokens, s->problems, s->seconds);
    if (s->best_step >= 0) {
        char best[DT_JSON_NUMBER];
        fprintf(out, "  \"metric\": \"%s\",\n  \"best\": %s,\n  \"best_step\": %" PRId64 ",\n",
                dt_metric_name(&c->config), dt_json_number(best, 9, s->best), s->best_step);
    }
    write_validations(out, c);
    write_settings(out, &c->config);
    fprintf(out, "}\n");
    return DT_OK;
}

/* ---- README.md ---- */

static void write_measured(FILE *out, const dt_checkpoint *c) {
    const dt_metrics *m = c->metrics;
    if (!m->validation_count) return;
    const dt_validation_row *row = &m->validation[m->validation_count - 1];
    fprintf(out, "| validated at step %" PRId64 " | loss %.5f, perplexity %.4f, tokens %.3f %%",
            row->step, row->loss, row->perplexity, 100 * row->token_accuracy);
    if (dt_source_kind_of(&c->config)->answers)
        fprintf(out, ", exact %.3f %%", 100 * row->exact_match);
    fprintf(out, " |\n");
}

static void write_use(FILE *out, const dt_export *to) {
    const bool gpt2 = export_is_gpt2(&to->checkpoint->shape);
    static const char own[] = ", trust_remote_code=True";
    if (strcmp(to->format, "safetensors") == 0) {
        fprintf(out,
                "```python\n"
                "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
                "tokenizer = AutoTokenizer.from_pretrained(\".\"%s)\n"
                "model = AutoModelForCausalLM.from_pretrained(\".\"%s)\n"
                "ids = tokenizer(\"...\", return_tensors=\"pt\").input_ids\n"
                "print(tokenizer.decode(model.generate(ids)[0]))\n"
                "```\n\n"
                "`dtrain import DIR --out RUN` makes a run of it again.\n",
                gpt2 ? "" : own, gpt2 ? "" : own);
    } else if (strcmp(to->format, "adapter") == 0) {
        fprintf(
            out,
            "```python\n"
            "from peft import PeftModel\n"
            "from transformers import AutoModelForCausalLM\n"
            "base = AutoModelForCausalLM.from_pretrained(\"BASE\"%s)  # dtrain export BASE --to "
            "BASE\n"
            "model = PeftModel.from_pretrained(base, \".\")\n"
            "```\n\n%s"
            "`dtrain import DIR --init-from BASE --out RUN` makes a run of it again.\n",
            gpt2 ? "" : own,
            gpt2 ? "```sh\nllama-cli -m BASE.gguf --lora adapter.gguf -p ... --temp 0\n```\n\n"
                 : "");
    } else if (strcmp(to->format, "gguf") == 0) {
        fprintf(out, "```sh\nllama-cli -m model.gguf -p ... --temp 0\n```\n");
    } else {
        fprintf(out, "```python\n"
                     "import numpy, onnxruntime, tokenizers\n"
                     "session = onnxruntime.InferenceSession(\"model.onnx\")\n"
                     "tokenizer = tokenizers.Tokenizer.from_file(\"tokenizer.json\")\n"
                     "ids = numpy.array([tokenizer.encode(\"...\").ids])\n"
                     "logits, = session.run(None, {\"input_ids\": ids})  # (texts, tokens, "
                     "vocabulary)\n"
                     "```\n");
    }
}

dt_status export_write_card(FILE *out, const dt_export *to) {
    const dt_checkpoint *c = to->checkpoint;
    const dt_model_shape *s = &c->shape;
    const dt_source_kind *source = dt_source_kind_of(&c->config);
    const bool gpt2 = export_is_gpt2(s);
    fprintf(out, "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n"
                 "- dtrain\n---\n\n# A model trained by dtrain\n\n");
    fprintf(out, "%s\n\n",
            gpt2 ? "A GPT-2."
                 : "A GPT-2 with additions: positions count numbers rather than their digits, "
                   "digits know their place in their number, or attention is sharpened.");
    fprintf(out,
            "| | |\n|---|---|\n| learned | %s: %s |\n| parameters | %zu: %zu layers, width %zu, "
            "%zu heads |\n| vocabulary, context | %zu, %zu tokens |\n| trained | %" PRId64
            " steps, %" PRId64 " %s, %" PRId64 " tokens, %.0f s |\n",
            source->name, source->subject(&c->config), c->layout.weights, s->L, s->C, s->H, s->V,
            s->T, c->state.step, c->state.problems, source->texts, c->state.tokens,
            c->state.seconds);
    write_measured(out, c);
    fprintf(out, "| checkpoint | digest `%s`, dtrain %s |\n\n", to->digest, DTRAIN_VERSION);
    fprintf(out, "`" EXPORT_SETTINGS "` has the settings of the run, `dtrain.json` all that was "
                 "measured.\n\n## Use\n\n");
    write_use(out, to);
    return DT_OK;
}
