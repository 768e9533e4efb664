/* The data command: texts as people see them, and as the model does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"

typedef struct {
    bool json, tsv, tokens;
    dt_split split;
    int64_t count; /* -1: a few */
    int64_t first;
} data_options;

static dt_status print_tokens(const dt_tokenizer *tokenizer, const dt_text *text,
                              const char *separator) {
    int32_t *id = NULL;
    size_t count;
    dt_status status;
    for (size_t i = 0; i < text->ids; i++) printf("%s%" PRId32, i ? separator : "", text->id[i]);
    if (text->ids > 0) return DT_OK;
    DT_TRY_DONE(dt_memory_alloc(&id, text->length, sizeof *id, "the tokens of a text"));
    DT_TRY_DONE(
        dt_tokenizer_encode(id, text->length, &count, tokenizer, text->bytes, text->length));
    for (size_t i = 0; i < count; i++) printf("%s%" PRId32, i ? separator : "", id[i]);
done:
    dt_memory_free(&id);
    return status;
}

static dt_status print_json(const dt_source *source, const dt_text *text, int64_t index) {
    printf("{\"index\":%" PRId64 ",", index);
    DT_TRY(source->kind->show(stdout, source, text, DT_SHOW_JSON));
    printf("\"text\":");
    dt_json_print_text(text->bytes);
    printf(",\"given\":%zu,\"tokens\":[", text->prompt_length);
    DT_TRY(print_tokens(source->tokenizer, text, ","));
    printf("]}\n");
    return DT_OK;
}

static dt_status print_text(const dt_source *source, const dt_text *text, int64_t index,
                            const data_options *options) {
    if (options->json) return print_json(source, text, index);
    if (options->tsv) printf("%" PRId64 "\t", index);
    DT_TRY(source->kind->show(stdout, source, text, options->tsv ? DT_SHOW_TSV : DT_SHOW_LINE));
    if (options->tokens && !options->tsv) {
        printf("   ");
        DT_TRY(print_tokens(source->tokenizer, text, " "));
    }
    printf("\n");
    return DT_OK;
}

static dt_status print_texts(const dt_source *source, const data_options *options) {
    const dt_split split = options->split;
    const uint64_t wanted = options->count < 0 ? 10 : (uint64_t)options->count;
    const uint64_t first = (uint64_t)options->first;
    /* In training all come again and again; the held-out splits end. */
    uint64_t all = UINT64_MAX;
    if (split != DT_TRAIN) DT_TRY(dt_source_count(&all, source, split, UINT64_MAX));
    dt_text text = {0};
    dt_status status = DT_OK;
    for (uint64_t i = first; i < all && i - first < wanted; i++) {
        DT_TRY_DONE(split == DT_TRAIN ? source->kind->train(&text, source, i)
                                      : source->kind->write(&text, source, split, i));
        DT_TRY_DONE(print_text(source, &text, (int64_t)i, options));
    }
done:
    dt_text_destroy(&text);
    return status;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    (void)s;
    const data_options *options = own;
    dt_config config;
    dt_source source = {0};
    dt_config_defaults(&config);
    config.eval_every = 0; /* an empty split is no error here */
    config.metric = DT_METRIC_LOSS;
    config.out[0] = '\0'; /* nothing is kept */
    DT_TRY(dt_overrides_apply(&config, given));
    DT_TRY(dt_config_check(&config));
    DT_TRY(dt_source_check(&config));
    dt_status status;
    DT_TRY_DONE(dt_source_settle(&config, NULL));
    DT_TRY_DONE(dt_source_open(&source, &config, NULL));
    if (options->tsv) printf("index\t%s\n", source.kind->columns);
    status = print_texts(&source, options);
done:
    dt_source_close(&source);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {OPTION_FLAG, offsetof(data_options, json), "json", NULL, "print JSON"},
    {OPTION_FLAG, offsetof(data_options, tsv), "tsv", NULL,
     "print a table: columns separated by tabs"},
    {OPTION_FLAG, offsetof(data_options, tokens), "tokens", NULL, "print the tokens, too"},
    {OPTION_SPLIT, offsetof(data_options, split), "split", "NAME", "train, validation or test"},
    {OPTION_COUNT, offsetof(data_options, count), "count", "N", "how many problems"},
    {OPTION_COUNT, offsetof(data_options, first), "first", "N", "number of the first problem"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"seed", "context"};
    return strcmp(setting->section, "data") == 0 ||
           command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    const data_options *options = own;
    DT_REQUIRE(!options->tokens || !options->tsv, DT_ERR_ARG,
               "--tsv has no column for tokens; leave out --tokens, or print --json");
    return DT_OK;
}

const command DATA = {
    .name = "data",
    .usage = "",
    .help = "Print problems, or lines of a file, as people see them and as the model does.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .reads_config = true,
    .knows = knows,
    .own_size = sizeof(data_options),
    .initial = &(const data_options){.split = DT_TRAIN, .count = -1},
    .check = check,
    .run = run,
};
