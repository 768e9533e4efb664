/* The data command: problems as people see them, and as the model does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

typedef struct {
    int64_t index;
    dt_problem problem;
    char answer[64], text[DT_TEXT_MAX];
    size_t given; /* bytes of the prompt */
} line;

static void print_tokens(const dt_tokenizer *tokenizer, const char *text, const char *separator) {
    int32_t id[DT_TEXT_MAX];
    size_t count;
    if (dt_tokenizer_encode(id, DT_TEXT_MAX, &count, tokenizer, text) != DT_OK) return;
    for (size_t i = 0; i < count; i++) printf("%s%" PRId32, i ? separator : "", id[i]);
}

static void print_line(const line *l, const app_options *options, const dt_tokenizer *tokenizer) {
    const char symbol = dt_operation_symbol(l->problem.operation);
    const dt_decimal a = dt_decimal_of(l->problem.a), b = dt_decimal_of(l->problem.b);
    if (options->json) {
        printf("{\"index\":%" PRId64 ",\"op\":\"%c\",\"a\":%s,\"b\":%s,\"answer\":\"%s\",\"text\":",
               l->index, symbol, a.text, b.text, l->answer);
        print_json_text(l->text);
        printf(",\"given\":%zu,\"tokens\":[", l->given);
        print_tokens(tokenizer, l->text, ",");
        printf("]}\n");
    } else if (options->tsv) {
        printf("%" PRId64 "\t%c\t%s\t%s\t%s\t%s\n", l->index, symbol, a.text, b.text, l->answer,
               l->text);
    } else {
        char asked[192];
        snprintf(asked, sizeof asked, "%s %c %s = %s", a.text, symbol, b.text, l->answer);
        printf("%-28s %s", asked, l->text);
        if (options->tokens) {
            printf("   ");
            print_tokens(tokenizer, l->text, " ");
        }
        printf("\n");
    }
}

static dt_status make_line(line *l, const dt_config *config, dt_split split, int64_t index) {
    l->index = index;
    if (split == DT_TRAIN) {
        DT_TRY(dt_problem_train(&l->problem, config, (uint64_t)index));
    } else {
        DT_TRY(dt_problem_sample(&l->problem, config, split, (uint64_t)index));
    }
    DT_TRY(dt_problem_answer(l->answer, sizeof l->answer, &l->problem));
    return dt_format_write_as(l->text, sizeof l->text, &l->given, &l->problem,
                              (dt_format)config->format, dt_chat_phrasing((uint64_t)index));
}

dt_status command_data(session *s, const app_options *options) {
    (void)s;
    dt_config config;
    dt_tokenizer *tokenizer = NULL;
    dt_config_defaults(&config);
    DT_TRY(options_apply(&config, options));
    DT_TRY(dt_config_check(&config));
    dt_status status;
    DT_TRY_DONE(dt_tokenizer_create(&tokenizer, (dt_format)config.format));
    if (options->tsv) printf("index\top\ta\tb\tanswer\ttext\n");
    const int64_t count = options->count < 0 ? 10 : options->count;
    for (int64_t i = 0; i < count; i++) {
        line l;
        DT_TRY_DONE(make_line(&l, &config, options->split, options->first + i));
        print_line(&l, options, tokenizer);
    }
done:
    dt_tokenizer_destroy(&tokenizer);
    return status;
}
