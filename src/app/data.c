/* The data command: problems, or lines of a file, as people see them, and as the model does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/data.h"
#include "dtrain/data/own_text.h"

typedef struct {
    bool json, tsv, tokens;
    dt_split split;
    int64_t count; /* -1: a few */
    int64_t first;
} data_options;

typedef struct {
    int64_t index;
    dt_problem problem;
    char answer[64];
    char text[DT_TEXT_MAX];
    char prompt[DT_TEXT_MAX]; /* what is given of it */
} line;

static void print_tokens(const dt_tokenizer *tokenizer, const char *text, const char *separator) {
    int32_t id[DT_TEXT_MAX];
    size_t count;
    if (dt_tokenizer_encode(id, DT_TEXT_MAX, &count, tokenizer, text) != DT_OK) return;
    for (size_t i = 0; i < count; i++) printf("%s%" PRId32, i ? separator : "", id[i]);
}

/* What both kinds have, to the end of the object. */
static void print_json_rest(const line *l, const dt_tokenizer *tokenizer) {
    printf("\"text\":");
    dt_json_print_text(l->text);
    printf(",\"given\":%zu,\"tokens\":[", strlen(l->prompt));
    print_tokens(tokenizer, l->text, ",");
    printf("]}\n");
}

static void print_people_rest(const line *l, const data_options *options,
                              const dt_tokenizer *tokenizer) {
    if (options->tokens) {
        printf("   ");
        print_tokens(tokenizer, l->text, " ");
    }
    printf("\n");
}

static void print_problem(const line *l, const data_options *options,
                          const dt_tokenizer *tokenizer) {
    const char symbol = dt_operation_symbol(l->problem.operation);
    const dt_decimal a = dt_decimal_of(l->problem.a), b = dt_decimal_of(l->problem.b);
    if (options->json) {
        printf("{\"index\":%" PRId64 ",\"op\":\"%c\",\"a\":%s,\"b\":%s,\"answer\":\"%s\",",
               l->index, symbol, a.text, b.text, l->answer);
        print_json_rest(l, tokenizer);
    } else if (options->tsv) {
        printf("%" PRId64 "\t%c\t%s\t%s\t%s\t%s\n", l->index, symbol, a.text, b.text, l->answer,
               l->text);
    } else {
        char asked[192];
        snprintf(asked, sizeof asked, "%s %c %s = %s", a.text, symbol, b.text, l->answer);
        printf("%-28s %s", asked, l->text);
        print_people_rest(l, options, tokenizer);
    }
}

/* A line of a file, as it stands there; in a table, plain text is all answer. */
static void print_own(const line *l, const data_options *options, const dt_tokenizer *tokenizer) {
    const size_t given = strlen(l->prompt), end = strlen(l->text) - 1;
    const bool answers = l->text[0] != '\n';
    const int prompt = answers ? (int)given - 1 : 0, rest = (int)(end - given);
    if (options->json) {
        printf("{\"index\":%" PRId64 ",", l->index);
        print_json_rest(l, tokenizer);
    } else if (options->tsv) {
        printf("%" PRId64 "\t%.*s\t%.*s\n", l->index, prompt, l->text, rest, l->text + given);
    } else {
        printf("%.*s%s%.*s", prompt, l->text, answers ? "\t" : "", rest, l->text + given);
        print_people_rest(l, options, tokenizer);
    }
}

/* As training and evaluation see it: through a batch. */
static dt_status make_line(line *l, dt_batch *batch, const dt_source *source, dt_split split,
                           int64_t index) {
    const bool trains = split == DT_TRAIN;
    l->index = index;
    dt_batch_clear(batch);
    DT_TRY(trains ? dt_source_train(batch, source, (uint64_t)index)
                  : dt_source_sample(batch, source, split, (uint64_t)index));
    l->problem = batch->problem[0];
    if (!source->lines) DT_TRY(dt_problem_answer(l->answer, sizeof l->answer, &l->problem));
    DT_TRY(dt_batch_text(l->text, sizeof l->text, batch, 0, source->tokenizer));
    return dt_batch_prompt(l->prompt, sizeof l->prompt, batch, 0, source->tokenizer);
}

static dt_status print_lines(const dt_source *source, const data_options *options) {
    dt_batch batch;
    const dt_split split = options->split;
    const size_t wanted = options->count < 0 ? 10 : (size_t)options->count;
    /* In training all come again and again; of what is held out there is an end. */
    const size_t first = (size_t)options->first;
    const size_t all = split == DT_TRAIN ? SIZE_MAX : dt_source_count(source, split, SIZE_MAX);
    const size_t count = first < all ? dt_min_size(wanted, all - first) : 0;
    dt_status status = dt_batch_create(&batch, 1, DT_TEXT_MAX);
    for (size_t i = 0; status == DT_OK && i < count; i++) {
        line l;
        status = make_line(&l, &batch, source, split, (int64_t)(first + i));
        if (status == DT_OK)
            (source->lines ? print_own : print_problem)(&l, options, source->tokenizer);
    }
    dt_batch_destroy(&batch);
    return status;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    (void)s;
    const data_options *options = own;
    dt_config config;
    dt_tokenizer *tokenizer = NULL;
    dt_lines *lines = NULL;
    dt_config_defaults(&config);
    config.eval_every = 0; /* an empty split is no error here */
    config.metric = DT_METRIC_LOSS;
    DT_TRY(dt_overrides_apply(&config, given));
    DT_TRY(dt_config_check(&config));
    DT_TRY(dt_arithmetic_check(&config));
    dt_status status;
    DT_TRY_DONE(dt_own_text_settle(&config));
    DT_TRY_DONE(dt_own_text_open(&lines, &config));
    DT_TRY_DONE(dt_own_text_tokenizer(&tokenizer, &config, lines));
    if (options->tsv) printf("index\t%s\n", lines ? "prompt\tanswer" : "op\ta\tb\tanswer\ttext");
    const dt_source source = {&config, tokenizer, lines};
    status = print_lines(&source, options);
done:
    dt_tokenizer_destroy(&tokenizer);
    dt_lines_close(&lines);
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
    return strcmp(setting->section, "data") == 0 || strcmp(setting->name, "seed") == 0;
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
    .run = run,
};
