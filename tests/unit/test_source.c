/* Every kind of data fulfils its interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/expression/machine.h"
#include "dtrain/text/source.h"

static char path[] = "/tmp/dtrain-source.XXXXXX";

static char running[] = "/tmp/dtrain-source.XXXXXX";

enum { LINES = 3000, LONG = 20000, WORDS = 60000, CONTEXT = 64 };

/* Numbers in hexadecimal and decimal, lines without an answer, and one long line for training. */
static int make_file(void **state) {
    (void)state;
    const int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (!file) return -1;
    for (unsigned i = 0; i < LINES; i++) {
        const unsigned word = i * 2654435761u;
        if (i % 3) fprintf(file, "%x\t%u\n", word, word);
        if (i % 3 == 0) fprintf(file, "猫 %u\n", word);
    }
    for (unsigned i = 0; i < LONG; i++) fputc('a' + (int)(i % 7), file);
    fputc('\n', file);
    return fclose(file);
}

/* Running text with characters of one to four bytes; no two windows are equal. */
static int make_text(void) {
    const int descriptor = mkstemp(running);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (!file) return -1;
    for (unsigned i = 0; i < WORDS; i++)
        fprintf(file, "%x%s", i * 2654435761u, i % 7 ? " " : i % 5 ? "猫ä\n" : "𝄞\t\\");
    return fclose(file);
}

static int make_files(void **state) { return make_file(state) ? -1 : make_text(); }

static int remove_files(void **state) {
    (void)state;
    return unlink(path) || unlink(running);
}

/* ---- one job of each kind ---- */

static dt_config job(size_t i) {
    dt_config config;
    dt_config_defaults(&config);
    config.metric = DT_METRIC_LOSS;
    config.out[0] = '\0'; /* nothing is kept */
    if (strcmp(dt_source_kinds[i]->name, "lines") == 0) strcpy(config.train_file, path);
    if (strcmp(dt_source_kinds[i]->name, "expressions") == 0) config.format = DT_FORMAT_EXPRESSION;
    if (strcmp(dt_source_kinds[i]->name, "running text") == 0) {
        strcpy(config.text, running);
        config.context = CONTEXT;
    }
    return config;
}

static size_t kinds(void) {
    size_t count = 0;
    while (dt_source_kinds[count]) count++;
    return count;
}

static dt_source open_job(size_t i) {
    dt_config config = job(i);
    dt_source source;
    assert_ptr_equal(dt_source_kind_of(&config), dt_source_kinds[i]);
    assert_int_equal(dt_source_check(&config), DT_OK);
    if (dt_source_settle(&config, NULL) != DT_OK) fail_msg("%s", dt_error_text());
    if (dt_source_open(&source, &config, NULL) != DT_OK) fail_msg("%s", dt_error_text());
    return source;
}

static void write_text(dt_text *text, const dt_source *source, dt_split split, uint64_t index) {
    if (source->kind->write(text, source, split, index) != DT_OK) fail_msg("%s", dt_error_text());
}

static uint64_t count_of(const dt_source *source, dt_split split, uint64_t most) {
    uint64_t count;
    assert_int_equal(dt_source_count(&count, source, split, most), DT_OK);
    return count;
}

static int compare_texts(const void *x, const void *y) {
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* ---- properties of every kind ---- */

static void writing_is_a_pure_function(const dt_source *source) {
    dt_text text = {0}, again = {0}, between = {0};
    for (int split = 0; split < DT_SPLITS; split++) {
        const uint64_t count = count_of(source, (dt_split)split, 200);
        for (uint64_t i = 0; i < count; i++) {
            write_text(&text, source, (dt_split)split, i);
            write_text(&between, source, (dt_split)split, count - 1 - i);
            write_text(&again, source, (dt_split)split, i);
            assert_string_equal(text.bytes, again.bytes);
            assert_int_equal(text.length, strlen(text.bytes));
            assert_int_equal(text.prompt_length, again.prompt_length);
            assert_true(text.prompt_length > 0 && text.prompt_length < text.length);
            assert_int_equal(text.note.kind, again.note.kind);
            assert_true(text.note.kind == 0 || text.note.kind < source->kind->kinds);
        }
    }
    dt_text_destroy(&text);
    dt_text_destroy(&again);
    dt_text_destroy(&between);
}

static void splits_do_not_meet(const dt_source *source) {
    enum { MOST = 2000 };
    static char *list[MOST];
    dt_text text = {0};
    size_t held_out = 0;
    for (; held_out < count_of(source, DT_VALIDATION, MOST); held_out++) {
        write_text(&text, source, DT_VALIDATION, held_out);
        list[held_out] = strdup(text.bytes);
    }
    assert_true(held_out > 50);
    qsort(list, held_out, sizeof *list, compare_texts);
    for (int split = 0; split < DT_SPLITS; split++) {
        if (split == DT_VALIDATION) continue;
        for (uint64_t i = 0; i < count_of(source, (dt_split)split, 5000); i++) {
            write_text(&text, source, (dt_split)split, i);
            assert_null(bsearch(&text.bytes, list, held_out, sizeof *list, compare_texts));
        }
    }
    for (uint64_t position = 0; position < 5000; position++) {
        assert_int_equal(source->kind->train(&text, source, position), DT_OK);
        assert_null(bsearch(&text.bytes, list, held_out, sizeof *list, compare_texts));
    }
    for (size_t i = 0; i < held_out; i++) free(list[i]);
    dt_text_destroy(&text);
}

/* The length used for dealing is the number of tokens that a text adds to a batch; all texts fit
 * the sizes that the settings give. */
static void lengths_are_those_of_the_texts(const dt_source *source) {
    const dt_text_size size = dt_source_size(&source->config);
    dt_batch batch;
    dt_text scratch = {0};
    assert_int_equal(dt_batch_create(&batch, 1, size.longest), DT_OK);
    for (uint64_t position = 0; position < 3000; position++) {
        uint32_t tokens;
        dt_batch_clear(&batch);
        assert_int_equal(dt_source_train(&batch, source, position), DT_OK);
        assert_int_equal(source->kind->train_length(&tokens, &scratch, source, position), DT_OK);
        assert_int_equal(tokens, batch.tokens);
        assert_true(batch.tokens < size.longest);
        assert_int_equal(batch.index[0], position);
        for (size_t i = 0; i < batch.tokens; i++)
            assert_true((size_t)batch.place[i] <= size.places || size.places == 0);
    }
    dt_batch_destroy(&batch);
    dt_text_destroy(&scratch);
}

static bool judge(const dt_source *source, int64_t *tally, const dt_answer *answer) {
    bool right;
    if (source->kind->judge(&right, tally, NULL, source, answer) != DT_OK)
        fail_msg("%s", dt_error_text());
    return right;
}

/* What follows the prompt, without the end token, which is not generated. Of a text that is seen in
 * parts only the first was written. */
static char *right_answer(const dt_source *source, dt_text *text) {
    if (source->kind->window) {
        text->length = text->prompt_length;
        text->bytes[text->length] = '\0';
        assert_int_equal(dt_expression_solve(text, dt_line_rules_of(&source->config)), DT_OK);
    }
    return strndup(text->bytes + text->prompt_length, text->length - text->prompt_length - 1);
}

/* The right answer is judged right; the same with one character less is judged wrong. */
static void answers_are_judged(const dt_source *source) {
    dt_text text = {0};
    int64_t *tally;
    const size_t values = source->kind->tally_values;
    assert_int_equal(dt_memory_alloc(&tally, values + 1, sizeof *tally, "a tally"), DT_OK);
    for (uint64_t i = 0; i < count_of(source, DT_TEST, 200); i++) {
        write_text(&text, source, DT_TEST, i);
        char *answer = right_answer(source, &text);
        assert_true(judge(source, tally, &(dt_answer){i, &text.note, true, NULL}));
        assert_false(judge(source, tally, &(dt_answer){i, &text.note, false, NULL}));
        const bool has_answer = source->kind != &dt_windows_source;
        assert_int_equal(judge(source, tally, &(dt_answer){i, &text.note, false, answer}),
                         has_answer);
        answer[strlen(answer) - 1] = '\0';
        assert_false(judge(source, tally, &(dt_answer){i, &text.note, false, answer}));
        free(answer);
    }
    for (size_t i = 0, counted = 0; i < values; i++) {
        counted += tally[i] > 0;
        if (i + 1 == values) assert_true(counted > 0);
    }
    assert_int_equal(tally[values], 0);
    dt_memory_free(&tally);
    dt_text_destroy(&text);
}

/* A typed question becomes a prompt in the vocabulary, without the data. */
static void questions_become_prompts(const dt_source *opened) {
    const dt_source source = dt_source_for_asking(&opened->config, opened->tokenizer);
    dt_text prompt = {0}, reply = {0};
    int32_t id[64];
    size_t count;
    assert_true(strlen(source.kind->hint) > 0);
    const int32_t last = (int32_t)dt_tokenizer_size(source.tokenizer) - 1;
    const dt_line typed =
        dt_line_of(opened->data ? dt_tokenizer_token(source.tokenizer, last) : "12+34");
    assert_int_equal(source.kind->ask(&prompt, &source, &typed), DT_OK);
    assert_true(prompt.length > 0 && prompt.length == strlen(prompt.bytes));
    assert_int_equal(
        dt_tokenizer_encode(id, 64, &count, source.tokenizer, prompt.bytes, prompt.length), DT_OK);
    const dt_status status = source.kind->reply(&reply, &source, &prompt, &typed, "?!", false);
    assert_true(status == DT_ERR_DATA || strcmp(reply.bytes, "?!\n") == 0);
    dt_text_destroy(&prompt);
    dt_text_destroy(&reply);
}

static void texts_are_shown(const dt_source *source) {
    dt_text text = {0};
    char *shown = NULL;
    size_t size = 0, columns = 1, tabs = 0;
    for (const char *c = source->kind->columns; *c; c++) columns += *c == '\t';
    write_text(&text, source, DT_TEST, 0);
    FILE *out = open_memstream(&shown, &size);
    assert_int_equal(source->kind->show(out, source, &text, DT_SHOW_TSV), DT_OK);
    fclose(out);
    for (const char *c = shown; *c; c++) tabs += *c == '\t';
    assert_int_equal(tabs + 1, columns);
    assert_null(strchr(shown, '\n'));
    free(shown);
    dt_text_destroy(&text);
}

static void its_vocabulary_is_known_again(const dt_source *source) {
    static const char *const token[] = {"other", "tokens"};
    dt_tokenizer *other;
    bool same;
    assert_int_equal(dt_tokenizer_restore(&other, token, 2), DT_OK);
    assert_int_equal(dt_source_same_vocabulary(&same, &source->config, source->tokenizer), DT_OK);
    assert_true(same);
    assert_int_equal(dt_source_same_vocabulary(&same, &source->config, other), DT_OK);
    /* Only data could show a difference. */
    assert_int_equal(same, source->data != NULL);
    dt_tokenizer_destroy(&other);
}

static void on_all(void (*check)(const dt_source *)) {
    for (size_t i = 0; i < kinds(); i++) {
        dt_source source = open_job(i);
        check(&source);
        dt_source_close(&source);
        assert_null(source.data);
    }
}

static void every_kind_writes_pure_functions(void **state) {
    (void)state;
    on_all(writing_is_a_pure_function);
}

static void splits_of_every_kind_are_apart(void **state) {
    (void)state;
    on_all(splits_do_not_meet);
}

static void every_kind_knows_its_lengths(void **state) {
    (void)state;
    on_all(lengths_are_those_of_the_texts);
}

static void every_kind_judges(void **state) {
    (void)state;
    on_all(answers_are_judged);
}

static void every_kind_is_asked(void **state) {
    (void)state;
    on_all(questions_become_prompts);
}

static void every_kind_shows_its_texts(void **state) {
    (void)state;
    on_all(texts_are_shown);
}

static void every_kind_knows_its_vocabulary(void **state) {
    (void)state;
    on_all(its_vocabulary_is_known_again);
}

/* ---- settings ---- */

static void epochs_need_an_end_of_the_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < kinds(); i++) {
        dt_config config = job(i);
        config.checkpoint_every = (dt_cadence){.epochs = 2};
        assert_int_equal(dt_source_check(&config),
                         dt_source_kinds[i]->endless ? DT_ERR_ARG : DT_OK);
        if (dt_source_kinds[i]->endless)
            assert_non_null(strstr(dt_error_text(), "--checkpoint-every 2e: "));
        config.train_examples = 1000;
        assert_int_equal(dt_source_check(&config), DT_OK);
    }
}

static void what_the_data_has_decided_is_forgotten(void **state) {
    (void)state;
    for (size_t i = 0; i < kinds(); i++) {
        dt_config before = job(i), after = job(i);
        assert_int_equal(dt_source_settle(&after, NULL), DT_OK);
        assert_int_equal(dt_source_forget(&after), DT_OK);
        after.context = before.context; /* these belong to the model */
        after.places = before.places;
        after.positions = before.positions;
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void a_model_is_evaluated_on_what_it_has_learned(void **state) {
    (void)state;
    const char *part;
    for (size_t i = 0; i < kinds(); i++) {
        for (size_t k = 0; k < kinds(); k++) {
            const dt_config config = job(i), trained = job(k);
            assert_int_equal(dt_source_evaluates(&part, &config, &trained),
                             i == k ? DT_OK : DT_ERR_ARG);
            assert_null(part);
            assert_int_equal(dt_source_same_texts(&config, &trained), i == k);
        }
    }
    dt_config some = job(0), all = job(0);
    strcpy(some.ops, "+");
    assert_int_equal(dt_source_evaluates(&part, &some, &all), DT_OK);
    assert_string_equal(part, "+");
    assert_int_equal(dt_source_evaluates(&part, &all, &some), DT_ERR_ARG);
}

/* ---- a long text ---- */

static void a_long_line_is_a_text_like_others(void **state) {
    (void)state;
    dt_source source = {0};
    for (size_t i = 0; i < kinds(); i++) {
        if (strcmp(dt_source_kinds[i]->name, "lines") == 0) source = open_job(i);
    }
    assert_int_equal(dt_source_size(&source.config).longest, LONG + 2);
    dt_text text = {0};
    dt_batch batch;
    size_t longest = 0;
    assert_int_equal(dt_batch_create(&batch, 1, LONG + 2), DT_OK);
    for (int split = 0; split < DT_SPLITS; split++) {
        for (uint64_t i = 0; i < count_of(&source, (dt_split)split, UINT64_MAX); i++) {
            write_text(&text, &source, (dt_split)split, i);
            if (text.length <= LONG) continue;
            longest++;
            assert_int_equal(text.length, LONG + 2);
            assert_int_equal(text.prompt_length, 1);
            assert_int_equal(dt_batch_append(&batch, &text, i, source.tokenizer), DT_OK);
            assert_int_equal(batch.tokens, LONG + 1);
            assert_int_equal(batch.scored, LONG + 1);
            text.bytes[text.length - 1] = '\0';
            char *answer = strdup(text.bytes + 1);
            assert_true(judge(&source, NULL, &(dt_answer){i, &text.note, false, answer}));
            answer[LONG / 2] = 'x';
            assert_false(judge(&source, NULL, &(dt_answer){i, &text.note, false, answer}));
            free(answer);
        }
    }
    assert_int_equal(longest, 1);
    dt_batch_destroy(&batch);
    dt_text_destroy(&text);
    dt_source_close(&source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_writes_pure_functions),
        cmocka_unit_test(splits_of_every_kind_are_apart),
        cmocka_unit_test(every_kind_knows_its_lengths),
        cmocka_unit_test(every_kind_judges),
        cmocka_unit_test(every_kind_is_asked),
        cmocka_unit_test(every_kind_shows_its_texts),
        cmocka_unit_test(every_kind_knows_its_vocabulary),
        cmocka_unit_test(epochs_need_an_end_of_the_texts),
        cmocka_unit_test(what_the_data_has_decided_is_forgotten),
        cmocka_unit_test(a_model_is_evaluated_on_what_it_has_learned),
        cmocka_unit_test(a_long_line_is_a_text_like_others),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
