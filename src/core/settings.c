/* The table of all settings: all code that reads, writes or explains a setting uses it. */
#include <stddef.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/core/nearest.h"

/* 2^53 - 1: whole numbers up to here survive JSON and double. */
#define EXACT 9007199254740991.0
/* Steps are 32 bits wide where they key random numbers. */
#define STEPS 4294967295.0

/* inih cuts lines of 200 bytes. */
enum { OUT_MAX = 180 };

/* Members that all kinds have; after the help may come .absent or .implied = "VALUE". */
#define SETTING(kind, setting, group, reach, field, standard, ...)                                 \
    .type = DT_SETTING_##kind, .name = (setting), .section = (group), .scope = DT_SETTING_##reach, \
    .offset = offsetof(dt_config, field), .initial = (standard), .help = __VA_ARGS__
#define RANGE(least, most) .min = (least), .max = (most)

#define WHOLE(setting, group, reach, field, least, most, ...)                                      \
    { SETTING(INT, setting, group, reach, field, __VA_ARGS__), RANGE(least, most), .value = "N" }
#define REAL(setting, group, reach, field, least, most, ...)                                       \
    { SETTING(REAL, setting, group, reach, field, __VA_ARGS__), RANGE(least, most), .value = "X" }
#define TEXT(setting, group, reach, field, what, most, ...)                                        \
    { SETTING(TEXT, setting, group, reach, field, __VA_ARGS__), RANGE(1, most), .value = (what) }
#define PATH(setting, group, reach, field, what, least, most, ...)                                 \
    {                                                                                              \
        SETTING(PATH, setting, group, reach, field, __VA_ARGS__), RANGE(least, most),              \
            .value = (what)                                                                        \
    }
#define PATHS(setting, group, reach, field, what, ...)                                             \
    {                                                                                              \
        SETTING(PATHS, setting, group, reach, field, "", __VA_ARGS__), RANGE(0, DT_PATH_MAX - 1),  \
            .value = (what), .absent = ""                                                          \
    }
#define OPTIONAL(setting, group, reach, field, what, most, ...)                                    \
    { SETTING(TEXT, setting, group, reach, field, __VA_ARGS__), RANGE(0, most), .value = (what) }
#define CHOICE(setting, group, reach, field, what, names, ...)                                     \
    {                                                                                              \
        SETTING(CHOICE, setting, group, reach, field, __VA_ARGS__), .value = (what),               \
                                                                    .choices = (names)             \
    }
#define CADENCE(setting, group, reach, field, ...)                                                 \
    {                                                                                              \
        SETTING(CADENCE, setting, group, reach, field, __VA_ARGS__), RANGE(0, STEPS),              \
            .value = "N|TIME"                                                                      \
    }
#define DURATION(setting, group, reach, field, ...)                                                \
    { SETTING(DURATION, setting, group, reach, field, __VA_ARGS__), .value = "TIME", .max = 1e9 }

static const dt_setting table[] = {
    PATH("out", "run", LOCAL, out, "DIR", 1, OUT_MAX, "runs/default",
         "folder of the run: its checkpoints and logs"),
    WHOLE("seed", "run", FIXED, seed, 0, EXACT, "1", "what all random choices start from"),
    WHOLE("steps", "run", FREE, steps, 1, STEPS, "4800", "updates in all"),
    CHOICE("backend", "run", LOCAL, backend, "NAME", "cpu|opencl|auto|blas", "cpu",
           "what computes: cpu, opencl, auto: GPUs if there are some, or blas: cpu with all "
           "products by BLAS"),
    CHOICE("precision", "run", FREE, precision, "TYPE", "float32|bfloat16|auto", "auto",
           "operands of matrix products: float32, bfloat16 (sums, weights and gradients stay "
           "float32), or auto: bfloat16 where it is the faster one",
           .absent = "float32"),
    CHOICE("tensorboard", "run", FREE, tensorboard, "off|on", "off|on", "off",
           "write event files for TensorBoard into the run's folder", .absent = "off",
           .implied = "on"),
    CHOICE("log-level", "run", LOCAL, log_level, "LEVEL", "error|warn|info|debug", "info",
           "how much to say: error, warn, info or debug"),
    DURATION("time-limit", "run", LOCAL, time_limit, "0",
             "stop in time, with a checkpoint, such as 90s or 23h50m; 0: only when a Slurm "
             "allocation ends"),
    DURATION("stall-timeout", "run", LOCAL, stall_timeout, "10m",
             "end the job when a rank makes no progress for so long; 0: never"),

    WHOLE("batch", "batch", FREE, batch, 1, 16777216, "32", "problems per step, over all ranks"),
    WHOLE("shards", "batch", FIXED, shards, 1, DT_MAX_SHARDS, "8",
          "parts of a batch, a power of two: the most ranks a run can use"),
    WHOLE("micro-batch", "batch", FREE, micro_batch, 0, 65536, "32",
          "most problems per forward and backward pass, or auto: as many as memory and caches hold",
          .zero = "auto"),
    WHOLE("ranks-per-node", "batch", LOCAL, ranks_per_node, 0, 65536, "0",
          "pretend that so many ranks make a node; 0: ask the machine"),
    CHOICE(
        "transport", "batch", FREE, transport, "TYPE", "float32|bfloat16", "float32",
        "how gradients travel between nodes; bfloat16 halves the bytes, but other ranks or nodes "
        "then give other bits"),
    CHOICE(
        "exchange", "batch", LOCAL, exchange, "WAY", "auto|direct|tree", "auto",
        "how nodes add gradients: each sends its own straight to the node that adds (direct), or "
        "level by level (tree); auto: the faster, as measured at the start"),
    CHOICE("updates", "batch", LOCAL, updates, "BY", "auto|node|job", "auto",
           "each matrix is updated once on every node, or once in the job, and sent; auto: the "
           "faster, as measured at the start"),

    TEXT("ops", "data", FREE, ops, "OPS", DT_OPS_MAX, "+--***///",
         "operations; one that stands twice is drawn twice as often"),
    WHOLE("digits", "data", FREE, digits, 1, 200, "3",
          "most digits of the operands of + and -, and of *, where 24 are the most; 100 in "
          "expressions"),
    WHOLE("least-digits", "data", FREE, least_digits, 1, 200, "1",
          "fewest digits of operands that may have as many", .absent = "1"),
    WHOLE("dividend-digits", "data", FREE, dividend_digits, 1, 18, "4",
          "most digits of what is divided"),
    WHOLE("divisor-digits", "data", FREE, divisor_digits, 1, 18, "2",
          "most digits of what it is divided by"),
    CHOICE("format", "data", FIXED, format, "FORMAT", "plain|reverse|scratchpad|chat|expression",
           "scratchpad",
           "how problems are written: plain, reverse, scratchpad, chat (in words), or expression: "
           "several operations, brackets, decimals, percent"),
    WHOLE("operations", "data", FREE, operations, 1, 24, "3",
          "most operations in an expression (--format expression)", .absent = "3"),
    WHOLE("depth", "data", FREE, depth, 0, 8, "2", "most brackets within each other",
          .absent = "2"),
    CHOICE("numbers", "data", FIXED, numbers, "KIND", "any|natural", "any",
           "numbers of expressions: any, or natural: questions have one operation of two natural "
           "numbers, and no line is learned but those that come up, so that longer numbers than "
           "--digits are never seen in training",
           .absent = "any"),
    CHOICE(
        "working", "data", FIXED, working, "KIND", "plain|near", "plain",
        "how expressions of natural numbers are worked out: plain, or near: what a step needs is "
        "near it, or a letter that is found wherever it stands, so that --place-window can hide "
        "the rest; divisions have a remainder",
        .absent = "plain"),
    WHOLE("decimals", "data", FIXED, decimals, 0, 7, "4",
          "decimals that an answer without end is rounded to", .absent = "4"),
    CHOICE(
        "marks", "data", FIXED, marks, "KIND", "none|start", "none",
        "what stands before each number: none, or start: a mark that has a place as digits have, "
        "so that with --place-offset a model finds where a number begins",
        .absent = "none"),
    WHOLE("distractors", "data", FREE, distractors, 0, 4096, "0",
          "up to N digits of other places stand before each training text, as far as the context "
          "has room, so that with --place-offset the digits of longer numbers are told apart",
          .absent = "0"),
    WHOLE("distractor-run", "data", FREE, distractor_run, 0, 4096, "0",
          "let --distractors stand in rows of up to N digits, as if one of the text's numbers were "
          "longer; 0: each has a place of its own",
          .absent = "0"),
    WHOLE("train-examples", "data", FREE, train_examples, 0, EXACT, "0",
          "different training problems; 0: without end"),

    PATH("train-file", "data", FREE, train_file, "FILE", 0, OUT_MAX, "",
         "learn the lines of this text instead of arithmetic: prompt, tab and answer, or plain "
         "text"),
    OPTIONAL("train-digest", "data", FIXED, train_digest, "DIGEST", DT_FILE_DIGEST_MAX, "",
             "what that file holds, as kept in a checkpoint: its size in bytes and XXH3-128"),
    PATHS("text", "data", FREE, text, "PATH",
          "learn this running text, in windows of --context tokens: a file, all files of a folder, "
          "or - for standard input; several with : between, or one option each"),
    PATHS("validation-text", "data", FREE, validation_text, "PATH",
          "validate on this running text instead of a part of --text"),
    REAL("validation-share", "data", FIXED, validation_share, 0, 0.9, "0.05",
         "part of --text to validate on: its end, before what is for tests", .absent = "0.05"),
    REAL("test-share", "data", FIXED, test_share, 0, 0.9, "0.05",
         "part of --text for tests: its end", .absent = "0.05"),
    CHOICE(
        "windows", "data", FIXED, windows, "CUT", "auto|fixed|moved", "auto",
        "where --text is cut into windows of training: at the same places in each epoch (fixed), "
        "or each time some tokens earlier (moved), so that what comes before a token is not "
        "always the same; auto: moved, but in a run that began without this setting fixed",
        .absent = "auto"),
    OPTIONAL("document-separator", "data", FIXED, document_separator, "LINE", DT_SEPARATOR_MAX, "",
             "a line that ends a document of running text, besides <|endoftext|> and the end of a "
             "file",
             .absent = ""),
    PATH("tokenizer", "data", FIXED, tokenizer, "KIND", 1, OUT_MAX, "chars",
         "what a token of running text is: chars, bytes, bpe:N for N tokens of byte-level BPE that "
         "are learned from it, or a file or folder with one",
         .absent = "chars"),

    WHOLE("layers", "model", FIXED, layers, 1, 1024, "3", "Transformer blocks"),
    WHOLE("width", "model", FIXED, width, 1, 65536, "128", "channels of the model"),
    WHOLE("heads", "model", FIXED, heads, 1, 1024, "4", "attention heads; they divide the width"),
    WHOLE("context", "model", FIXED, context, 0, 65536, "0",
          "tokens of the longest problem; 0: as the data needs"),
    WHOLE("places", "model", FIXED, places, 0, 4096, "0",
          "digits of the longest number, and the operator after it; 0: as the data needs"),
    WHOLE("place-offset", "model", FIXED, place_offset, 0, 4000, "0",
          "let the places of a training problem's digits begin at up to N more, drawn for each "
          "problem, so that longer numbers than those trained on can be read"),
    CHOICE("place-embedding", "model", FIXED, place_embedding, "KIND", "learned|waves|rotary",
           "learned",
           "what stands for a place: numbers that are learned, and added; waves: sines and cosines "
           "of the place, which are added and stay as they are; or rotary: half of each query and "
           "key is turned by an angle for its place, so that attention sees how far apart two "
           "places are, and nothing else of them",
           .absent = "learned"),
    WHOLE("place-window", "model", FIXED, place_window, 0, 4096, "0",
          "let digits see only what is at most N places away, and what has no place, so that what "
          "is learned of short numbers holds of longer ones; 0: they see all that stands before",
          .absent = "0"),
    CHOICE("positions", "model", FIXED, positions, "KIND", "learned|none|index", "learned",
           "what tokens know of where they stand: learned: how many numbers and operators come "
           "before them, and digits their place in their number; none: their place alone; index: "
           "how many tokens come before, as in GPT-2, and no places (always with --text). Counts "
           "beyond those of the "
           "texts trained on are never learned"),
    REAL("sharpness", "model", FREE, sharpness, 0.01, 100, "1",
         "multiply attention's scores by this when the model answers, but not in training: with 2 "
         "many models read numbers that are longer than those trained on",
         .absent = "1"),
    CHOICE("sharpen", "model", FREE, sharpen, "HOW", "fixed|validation", "fixed",
           "what decides sharpness: fixed: the setting, or validation: each validation tries 1, "
           "1.5, 2 and 2.5, and keeps the best",
           .absent = "fixed"),
    REAL("dropout", "model", FREE, dropout, 0, 0.95, "0",
         "share of activations dropped in training"),

    WHOLE("lora-rank", "adapter", FIXED, lora_rank, 0, 4096, "0",
          "train adapters of this rank beside the frozen weights of --init-from; 0: none, all "
          "weights are trained",
          .absent = "0"),
    REAL("lora-alpha", "adapter", FIXED, lora_alpha, 0.001, 1e6, "16",
         "what adapters add is multiplied by alpha / rank", .absent = "16"),
    TEXT("lora-targets", "adapter", FIXED, lora_targets, "NAMES", DT_TARGETS_MAX, "all",
         "which matrices of a layer have adapters: attn_qkv, attn_out, mlp_in and mlp_out, with , "
         "between them, or all",
         .absent = "all"),
    REAL("lora-dropout", "adapter", FREE, lora_dropout, 0, 0.95, "0",
         "share of the adapters' inputs dropped in training", .absent = "0"),
    CHOICE("base-quant", "adapter", FIXED, base_quant, "TYPE", "none|q8_0|nf4", "none",
           "how the frozen matrices of the layers are kept: none: in float32; q8_0 or nf4: in 8 or "
           "4 bits (QLoRA)",
           .absent = "none"),
    PATH("base", "adapter", FREE, base, "FILE", 0, OUT_MAX, "",
         "the checkpoint with the frozen weights, which --init-from sets; only for one that has "
         "moved, and as seen from the run's folder in files of settings",
         .absent = ""),
    OPTIONAL("base-digest", "adapter", FIXED, base_digest, "DIGEST", DT_FILE_DIGEST_MAX, "",
             "digest of that checkpoint, as kept in one of the run", .absent = ""),

    CHOICE("optimizer", "optimizer", FIXED, optimizer, "NAME", "adamw|muon", "muon",
           "how weights are updated: adamw, or muon for the matrices inside the layers"),
    REAL("lr", "optimizer", FREE, lr, 1e-12, 10, "3e-3", "highest learning rate"),
    WHOLE("warmup", "optimizer", FREE, warmup, 0, STEPS, "60", "steps until it is reached"),
    CHOICE("schedule", "optimizer", FREE, schedule, "NAME", "cosine|constant", "cosine",
           "learning rate after that: cosine or constant"),
    REAL("min-lr", "optimizer", FREE, min_lr, 0, 1, "0.15",
         "share of lr that the cosine ends with"),
    REAL("beta1", "optimizer", FREE, beta1, 0, 0.9999999, "0.9", "decay of the gradient's mean"),
    REAL("beta2", "optimizer", FREE, beta2, 0, 0.9999999, "0.99", "decay of the gradient's square"),
    REAL("momentum", "optimizer", FREE, momentum, 0, 0.9999999, "0.95",
         "decay of the gradient's mean in muon"),
    REAL("epsilon", "optimizer", FREE, epsilon, 1e-30, 1, "1e-8",
         "keeps the update's divisor above 0"),
    REAL("weight-decay", "optimizer", FREE, weight_decay, 0, 10, "0.05",
         "decay of matrices, times lr"),
    REAL("clip", "optimizer", FREE, clip, 0, 1e9, "1", "largest norm of the gradient; 0: any"),
    REAL("average", "optimizer", FIXED, average, 0, 1, "0.06",
         "share of the steps so far over which weights are averaged: the model is that average; 0: "
         "it is the last step's weights",
         .absent = "0"),

    WHOLE("eval-every", "evaluation", FREE, eval_every, 0, STEPS, "200",
          "steps between validations; 0: never"),
    WHOLE("eval-examples", "evaluation", FREE, eval_examples, 1, 16777216, "1024",
          "problems per validation"),
    WHOLE("eval-least-digits", "evaluation", FREE, eval_least_digits, 0, 200, "0",
          "fewest digits of operands in evaluation; 0: as in training", .absent = "0"),
    WHOLE("eval-digits", "evaluation", FREE, eval_digits, 0, 200, "0",
          "most digits of the operands of + - * in evaluation; 0: as in training"),
    WHOLE("eval-dividend-digits", "evaluation", FREE, eval_dividend_digits, 0, 18, "0",
          "the same of what is divided"),
    WHOLE("eval-divisor-digits", "evaluation", FREE, eval_divisor_digits, 0, 18, "0",
          "the same of what it is divided by"),
    CHOICE("metric", "evaluation", FREE, metric, "NAME", "exact-match|token-accuracy|loss",
           "exact-match", "what the best model is chosen by: exact-match, token-accuracy or loss"),
    WHOLE("patience", "evaluation", FREE, patience, 0, STEPS, "0",
          "validations without a better value before training ends; 0: never"),
    REAL("min-delta", "evaluation", FREE, min_delta, 0, 1e9, "0",
         "by how much a value must be better to count"),
    WHOLE("sample-every", "evaluation", FREE, sample_every, 0, STEPS, "1",
          "validations of a model of running text from one that shows what it writes to the next; "
          "0: never",
          .absent = "1"),

    CADENCE(
        "checkpoint-every", "checkpoints", FREE, checkpoint_every, "200",
        "steps or epochs such as 2e between checkpoints, and never more than 5 minutes; or a time "
        "such as 10m; 0: every 5 minutes; never: only the last"),
    WHOLE("keep", "checkpoints", FREE, keep, 0, 1000000, "3", "newest checkpoints to keep; 0: all"),

    REAL("watts", "costs", FREE, watts, 0, 1e6, "0",
         "what a busy core takes, for energy that cannot be measured; 0: not known", .absent = "0"),
    REAL("price-kwh", "costs", FREE, price_kwh, 0, 1e9, "0",
         "money for a kilowatt-hour, such as 31 (JPY, Japan, reference price since 2022-07-22); 0: "
         "not known",
         .absent = "0"),
    OPTIONAL("currency", "costs", FREE, currency, "NAME", DT_CURRENCY_MAX, "",
             "of all prices, such as JPY", .absent = ""),
    REAL("co2", "costs", FREE, co2, 0, 1e6, "0",
         "grams of CO2 for a kilowatt-hour, as the supplier states them; 0: not known",
         .absent = "0"),
    REAL("price-hour", "costs", FREE, price_hour, 0, 1e9, "0",
         "money for an hour of a rented node; 0: none", .absent = "0"),
    REAL("units-per-hour", "costs", FREE, units_per_hour, 0, 1e9, "0",
         "units for an hour of a rented node, such as 1.96 (Colab, T4, 2022); 0: none",
         .absent = "0"),
    REAL("price-unit", "costs", FREE, price_unit, 0, 1e9, "0",
         "money for a unit, such as 11.5 (Colab, JPY, 2023)", .absent = "0"),
};

enum { SETTINGS = sizeof table / sizeof *table };

size_t dt_setting_count(void) { return SETTINGS; }

const dt_setting *dt_setting_at(size_t i) { return &table[i]; }

const dt_setting *dt_setting_find(const char *name) {
    for (size_t i = 0; i < SETTINGS; i++) {
        if (strcmp(table[i].name, name) == 0) return &table[i];
    }
    return NULL;
}

const char *dt_setting_nearest(const char *name) {
    dt_nearest nearest = {.meant = name};
    for (size_t i = 0; i < SETTINGS; i++) dt_nearest_try(&nearest, table[i].name);
    return nearest.nearest;
}
