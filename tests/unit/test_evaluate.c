/* A source that exists only in this file: its texts are packed, dealt out, computed and evaluated
 * like those of any other source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/deal.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/train/trainer.h"

enum { TEXTS = 700, LONGEST = 14, SHORT = 0, LONG = 1, KINDS = 2 };

/* "aaa=bb$": the index gives the number of a, and there are half as many b. */
static dt_status write_text(dt_text *text, const dt_source *source, dt_split split,
                            uint64_t index) {
    const size_t letters = 1 + (size_t)(index + (uint64_t)split) % 8;
    (void)source;
    dt_text_clear(text);
    for (size_t i = 0; i < letters; i++) DT_TRY(dt_text_append(text, "a", 1));
    DT_TRY(dt_text_append(text, "=", 1));
    text->prompt_length = text->length;
    for (size_t i = 0; i < letters; i += 2) DT_TRY(dt_text_append(text, "b", 1));
    text->note.kind = letters < 5 ? SHORT : LONG;
    return dt_text_append(text, "$", 1);
}

static dt_status train(dt_text *text, const dt_source *source, uint64_t position) {
    return write_text(text, source, DT_TRAIN, position);
}

static dt_status train_length(uint32_t *tokens, dt_text *scratch, const dt_source *source,
                              uint64_t position) {
    DT_TRY(train(scratch, source, position));
    *tokens = (uint32_t)scratch->length - 1;
    return DT_OK;
}

static dt_status count_texts(uint64_t *count, const dt_source *source, dt_split split) {
    (void)source, (void)split;
    *count = TEXTS;
    return DT_OK;
}

static dt_text_size size_of(const dt_config *config) {
    (void)config;
    return (dt_text_size){LONGEST, 1};
}

/* An arbitrary judgement: a third of all answers is right, whatever was written. */
enum { JUDGED, LUCKY, GENERATED, VALUES };

static dt_status judge(bool *right, int64_t *tally, dt_text *errors, const dt_source *source,
                       const dt_answer *answer) {
    dt_text text = {0};
    DT_TRY(write_text(&text, source, DT_TEST, answer->index));
    assert_int_equal(text.note.kind, answer->note->kind);
    dt_text_destroy(&text);
    *right = answer->exact || answer->index % 3 == 0;
    tally[JUDGED]++;
    tally[LUCKY] += answer->exact && answer->index % 3 != 0;
    tally[GENERATED] += answer->produced != NULL;
    return *right || !errors ? DT_OK
                             : dt_text_format(errors, "%llu\n", (unsigned long long)answer->index);
}

static const dt_text_kind kinds[KINDS] = {{"short", 's'}, {"long", 'l'}};
static const dt_source_kind letters = {.name = "letters",
                                       .texts = "letters",
                                       .size = size_of,
                                       .count = count_texts,
                                       .write = write_text,
                                       .train = train,
                                       .train_length = train_length,
                                       .kind = kinds,
                                       .kinds = KINDS,
                                       .answers = true,
                                       .judge = judge,
                                       .tally_values = VALUES};

typedef struct {
    dt_session s;
    dt_source source;
    dt_model *model;
    dt_buffer *buffer;
    float *weights;
} bench;

static bench b;

static int open_bench(void **state) {
    static const char *const token[] = {"$", "a", "b", "="};
    const dt_model_shape shape = {.L = 1, .C = 16, .H = 2, .F = 64, .V = 4, .T = LONGEST, .P = 2};
    dt_layout layout;
    (void)state;
    if (dt_session_open(&b.s) != DT_OK) return -1;
    b.source.kind = &letters;
    if (dt_tokenizer_restore(&b.source.own_tokenizer, token, 4) != DT_OK) return -1;
    b.source.tokenizer = b.source.own_tokenizer;
    if (dt_layout_create(&layout, &shape) != DT_OK) return -1;
    if (dt_memory_alloc(&b.weights, layout.count, sizeof *b.weights, "weights") != DT_OK) return -1;
    dt_model_initialise(b.weights, &layout, 7, 0, 1);
    const size_t bytes = layout.count * sizeof *b.weights;
    dt_layout_destroy(&layout);
    dt_backend *host = b.s.host;
    if (host->op->buffer_attach(&b.buffer, host, b.weights, bytes, "weights") != DT_OK) return -1;
    return dt_model_create(&b.model, host, &shape, b.buffer, DT_EVAL_CHUNK,
                           DT_EVAL_TOKENS + LONGEST) == DT_OK
               ? 0
               : -1;
}

static int close_bench(void **state) {
    (void)state;
    dt_model_destroy(&b.model);
    b.s.host->op->buffer_destroy(&b.buffer, b.s.host);
    dt_memory_free(&b.weights);
    dt_source_close(&b.source);
    dt_session_close(&b.s);
    return 0;
}

static void its_texts_are_packed_and_dealt_out(void **state) {
    (void)state;
    enum { BATCH = 64, PARTS = 8 };
    dt_deal deal;
    dt_batch batch;
    size_t seen = 0;
    assert_int_equal(dt_deal_create(&deal, BATCH, PARTS), DT_OK);
    assert_int_equal(dt_batch_create(&batch, BATCH, BATCH * LONGEST), DT_OK);
    for (size_t i = 0; i < BATCH; i++) {
        assert_int_equal(letters.train_length(&deal.tokens[i], &batch.text, &b.source, i), DT_OK);
    }
    dt_deal_texts(&deal, BATCH, PARTS, 0, PARTS);
    assert_int_equal(dt_trainer_fill_batch(&batch, &b.source, 0, BATCH), DT_OK);
    for (size_t i = 0; i < BATCH; i++) {
        const uint32_t text = deal.order[i];
        assert_int_equal(batch.offset[text + 1] - batch.offset[text], deal.tokens[text]);
        seen += text;
    }
    assert_int_equal(seen, BATCH * (BATCH - 1) / 2);
    assert_int_equal(batch.note[3].kind, SHORT);
    assert_int_equal(batch.note[4].kind, LONG);
    dt_batch_destroy(&batch);
    dt_deal_destroy(&deal);
}

static void evaluate(dt_eval_result *result, uint64_t count, bool generate, FILE *errors) {
    const dt_eval_request request = {.problems = {DT_TEST, count},
                                     .generate = generate,
                                     .list = errors != NULL,
                                     .errors = errors};
    if (dt_evaluate(result, &b.s, b.model, &b.source, &request) != DT_OK)
        fail_msg("%s", dt_error_text());
}

static void its_answers_are_counted_by_kind(void **state) {
    (void)state;
    dt_eval_result result;
    FILE *errors = tmpfile();
    assert_non_null(errors);
    evaluate(&result, UINT64_MAX, true, errors);
    size_t of[KINDS] = {0};
    for (uint64_t i = 0; i < TEXTS; i++) of[1 + (i + DT_TEST) % 8 < 5 ? SHORT : LONG]++;
    const dt_count *count = result.count;
    assert_int_equal(result.done, TEXTS);
    assert_int_equal(count[0].problems, TEXTS);
    assert_int_equal(count[1 + SHORT].problems, of[SHORT]);
    assert_int_equal(count[1 + LONG].problems, of[LONG]);
    assert_int_equal(result.tally[JUDGED], TEXTS);
    assert_int_equal(count[0].right, (TEXTS + 2) / 3 + result.tally[LUCKY]);
    assert_int_equal(count[0].right, count[1 + SHORT].right + count[1 + LONG].right);
    assert_int_equal(count[0].text, (int64_t)result.total.exact);
    assert_int_equal(result.wrong, TEXTS - count[0].right);
    assert_int_equal(result.tally[GENERATED], TEXTS - count[0].text);
    /* Each wrong answer has its line, in the order of the texts. */
    char line[32];
    long long before = -1;
    size_t lines = 0;
    rewind(errors);
    while (fgets(line, sizeof line, errors)) {
        const long long index = strtoll(line, NULL, 10);
        assert_true(index > before && index % 3 != 0);
        before = index;
        lines++;
    }
    assert_int_equal(lines, result.wrong);
    fclose(errors);
    dt_eval_result_destroy(&result);
    assert_null(result.count);
}

static void nothing_is_generated_unless_asked_for(void **state) {
    (void)state;
    dt_eval_result result;
    evaluate(&result, 50, false, NULL);
    assert_int_equal(result.count[0].problems, 50);
    assert_int_equal(result.tally[JUDGED], 50);
    assert_int_equal(result.tally[GENERATED], 0);
    dt_eval_result_destroy(&result);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_texts_are_packed_and_dealt_out),
        cmocka_unit_test(its_answers_are_counted_by_kind),
        cmocka_unit_test(nothing_is_generated_unless_asked_for),
    };
    if (dt_comm_open(&b.s.comm, &argc, &argv) != DT_OK) return 1;
    dt_comm *comm = b.s.comm;
    const int failed = cmocka_run_group_tests(tests, open_bench, close_bench);
    return dt_comm_close(&comm) == DT_OK ? failed : 1;
}
