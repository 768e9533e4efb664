/* Packed batches, compared token by token with ones written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"
#include "dtrain/arithmetic/source.h"

/* Ids of the fixed vocabulary "$0123456789+-*" and "/=r,:;". */
enum {
    END,
    ZERO,
    ONE,
    TWO,
    THREE,
    FOUR,
    FIVE,
    SIX,
    SEVEN,
    EIGHT,
    NINE,
    PLUS,
    MINUS,
    TIMES,
    BY,
    IS,
    UNITS_8 = 37,
    CARRY_1 = 40,
    CARRY_2
};

static const dt_problem sum = {DT_ADD, DT_NUMBER(12), DT_NUMBER(7)},
                        difference = {DT_SUBTRACT, DT_NUMBER(3), DT_NUMBER(8)};

static dt_tokenizer *create(dt_format format) {
    dt_tokenizer *tokenizer;
    assert_int_equal(dt_tokenizer_create(&tokenizer, format, DT_MARKS_NONE), DT_OK);
    return tokenizer;
}

static dt_status append(dt_batch *batch, const dt_problem *problem, uint64_t index,
                        dt_format format, const dt_tokenizer *tokenizer) {
    const dt_config config = {.format = format};
    DT_TRY(dt_arithmetic_write(&batch->text, problem, &config, index));
    return dt_batch_append(batch, &batch->text, index, tokenizer);
}

static void problems_stand_back_to_back(void **state) {
    (void)state;
    dt_batch batch;
    dt_tokenizer *tokenizer = create(DT_FORMAT_PLAIN);
    assert_int_equal(dt_batch_create(&batch, 3, 20), DT_OK);
    assert_int_equal(append(&batch, &sum, 41, DT_FORMAT_PLAIN, tokenizer), DT_OK);
    assert_int_equal(append(&batch, &difference, UINT64_C(1) << 40, DT_FORMAT_PLAIN, tokenizer),
                     DT_OK);
    /* 12+7=19$ and 3-8=-5$ */
    static const int32_t offset[] = {0, 7, 13};
    static const int32_t token[] = {ONE,   TWO,   PLUS,  SEVEN, IS,    ONE, NINE,
                                    THREE, MINUS, EIGHT, IS,    MINUS, FIVE};
    static const int32_t position[] = {0, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 3};
    static const int32_t place[] = {1, 2, 3, 1, 2, 1, 2, 1, 2, 1, 2, 0, 1};
    static const int32_t target[] = {-1, -1, -1, -1, ONE, NINE, END, -1, -1, -1, MINUS, FIVE, END};
    assert_int_equal(batch.problems, 2);
    assert_int_equal(batch.tokens, 13);
    assert_int_equal(batch.scored, 6);
    assert_memory_equal(batch.offset, offset, sizeof offset);
    assert_memory_equal(batch.token, token, sizeof token);
    assert_memory_equal(batch.position, position, sizeof position);
    assert_memory_equal(batch.place, place, sizeof place);
    assert_memory_equal(batch.target, target, sizeof target);
    assert_int_equal(batch.index[0], 41);
    assert_int_equal(batch.index[1], UINT64_C(1) << 40);
    assert_int_equal(dt_arithmetic_problem(&batch.note[0]).a.limb[0], 12);
    assert_int_equal(batch.note[1].kind, DT_SUBTRACT);
    dt_tokenizer_destroy(&tokenizer);
    dt_batch_destroy(&batch);
    assert_null(batch.token);
    dt_batch_destroy(&batch);
}

static void working_is_scored_too(void **state) {
    (void)state;
    dt_batch batch;
    dt_tokenizer *tokenizer = create(DT_FORMAT_SCRATCHPAD);
    assert_int_equal(dt_batch_create(&batch, 1, 64), DT_OK);
    /* 372*4=2bS9cS01=2901$ */
    const dt_problem product = {DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(4)};
    assert_int_equal(append(&batch, &product, 0, DT_FORMAT_SCRATCHPAD, tokenizer), DT_OK);
    static const int32_t target[] = {-1,      -1,   -1,      -1,      -1,   TWO, CARRY_1,
                                     UNITS_8, NINE, CARRY_2, UNITS_8, ZERO, ONE, IS,
                                     TWO,     NINE, ZERO,    ONE,     END};
    assert_int_equal(batch.tokens, 19);
    assert_int_equal(batch.scored, 14);
    assert_memory_equal(batch.target, target, sizeof target);
    dt_tokenizer_destroy(&tokenizer);
    dt_batch_destroy(&batch);
}

static void a_full_batch_refuses_and_stays_as_it_is(void **state) {
    (void)state;
    dt_batch batch;
    dt_tokenizer *tokenizer = create(DT_FORMAT_PLAIN);
    assert_int_equal(dt_batch_create(&batch, 2, 12), DT_OK);
    assert_int_equal(append(&batch, &sum, 0, DT_FORMAT_PLAIN, tokenizer), DT_OK);
    assert_int_equal(append(&batch, &difference, 1, DT_FORMAT_PLAIN, tokenizer),
                     DT_ERR_INTERNAL); /* 7 + 6 tokens */
    assert_int_equal(batch.problems, 1);
    assert_int_equal(batch.tokens, 7);
    assert_int_equal(batch.scored, 3);
    const dt_problem short_one = {DT_ADD, DT_NUMBER(1), DT_NUMBER(2)};
    assert_int_equal(append(&batch, &short_one, 1, DT_FORMAT_PLAIN, tokenizer), DT_OK);
    assert_int_equal(batch.tokens, 12);
    assert_int_equal(append(&batch, &short_one, 2, DT_FORMAT_PLAIN, tokenizer), DT_ERR_INTERNAL);
    assert_int_equal(batch.problems, 2);
    const dt_problem undefined = {DT_DIVIDE, DT_NUMBER(1), DT_NUMBER(0)};
    dt_batch_clear(&batch);
    assert_int_equal(append(&batch, &undefined, 0, DT_FORMAT_PLAIN, tokenizer), DT_ERR_ARG);
    assert_int_equal(batch.problems + batch.tokens + batch.scored, 0);
    dt_tokenizer_destroy(&tokenizer);
    dt_batch_destroy(&batch);
}

static void a_cleared_batch_is_as_new(void **state) {
    (void)state;
    dt_batch batch;
    dt_tokenizer *tokenizer = create(DT_FORMAT_PLAIN);
    assert_int_equal(dt_batch_create(&batch, 1, 7), DT_OK);
    for (uint64_t round = 0; round < 3; round++) {
        dt_batch_clear(&batch);
        assert_int_equal(append(&batch, &sum, round, DT_FORMAT_PLAIN, tokenizer), DT_OK);
        assert_int_equal(batch.offset[0], 0);
        assert_int_equal(batch.offset[1], 7);
        assert_int_equal(batch.scored, 3);
        assert_int_equal(batch.index[0], round);
    }
    dt_tokenizer_destroy(&tokenizer);
    dt_batch_destroy(&batch);
}

/* The prompt ends at a byte; the lengths of the tokens decide which token that is. */
static void the_prompt_is_found_among_long_tokens(void **state) {
    (void)state;
    static const char *const token[] = {"$", "12+", "7=", "19"};
    static const int32_t target[] = {-1, 3, 0};
    dt_tokenizer *tokenizer;
    dt_batch batch;
    assert_int_equal(dt_tokenizer_restore(&tokenizer, token, 4), DT_OK);
    assert_int_equal(dt_batch_create(&batch, 1, 3), DT_OK);
    assert_int_equal(append(&batch, &sum, 0, DT_FORMAT_PLAIN, tokenizer), DT_OK);
    assert_int_equal(batch.tokens, 3);
    assert_int_equal(batch.scored, 2);
    assert_memory_equal(batch.target, target, sizeof target);
    dt_tokenizer_destroy(&tokenizer);
    dt_batch_destroy(&batch);
}

/* The tokens that a source knows are taken as they are; their ends of documents divide the text. */
static void documents_end_within_a_text(void **state) {
    (void)state;
    static const char *const token[] = {"\n", "a", "aa", DT_END_OF_DOCUMENT};
    static const int32_t id[] = {3, 1, 1, 3, 1, 3};
    static const int32_t document[] = {0, 3, 5, 6};
    dt_tokenizer *tokenizer;
    dt_batch batch;
    dt_text text = {0};
    assert_int_equal(dt_tokenizer_restore(&tokenizer, token, 4), DT_OK);
    assert_int_equal(dt_batch_create(&batch, 2, 6), DT_OK);
    assert_int_equal(dt_tokenizer_decode(&text, tokenizer, id, 6), DT_OK);
    assert_int_equal(dt_text_reserve_ids(&text, 6), DT_OK);
    memcpy(text.id, id, sizeof id);
    text.ids = 6;
    text.prompt_length = strlen(DT_END_OF_DOCUMENT);
    assert_int_equal(dt_batch_append(&batch, &text, 0, tokenizer), DT_OK);
    dt_text_clear(&text);
    assert_int_equal(dt_text_append(&text, "aaa", 3), DT_OK);
    text.prompt_length = 2;
    assert_int_equal(dt_batch_append(&batch, &text, 1, tokenizer), DT_OK);
    assert_int_equal(batch.problems, 2);
    assert_int_equal(batch.tokens, 6);
    assert_memory_equal(batch.token, id, 5 * sizeof *id);
    assert_memory_equal(batch.target, id + 1, 5 * sizeof *id);
    assert_int_equal(batch.token[5], 2);
    assert_int_equal(batch.documents, 3);
    assert_memory_equal(batch.document, document, sizeof document);
    assert_int_equal(batch.scored, 6);
    assert_int_equal(batch.bytes, 4); /* ends of documents are no bytes */
    dt_text_destroy(&text);
    dt_batch_destroy(&batch);
    dt_tokenizer_destroy(&tokenizer);
}

static void an_impossible_batch_is_refused(void **state) {
    (void)state;
    dt_batch batch;
    assert_int_equal(dt_batch_create(&batch, 1, (size_t)1 << 31), DT_ERR_ARG);
    assert_null(batch.token);
    assert_int_equal(dt_batch_create(&batch, SIZE_MAX, 1), DT_ERR_ARG);
    assert_null(batch.token);
}

static void places_begin_where_they_are_told(void **state) {
    (void)state;
    dt_batch batch;
    dt_tokenizer *tokenizer = create(DT_FORMAT_PLAIN);
    assert_int_equal(dt_batch_create(&batch, 2, 20), DT_OK);
    assert_int_equal(append(&batch, &sum, 0, DT_FORMAT_PLAIN, tokenizer), DT_OK);
    assert_int_equal(append(&batch, &difference, 1, DT_FORMAT_PLAIN, tokenizer), DT_OK);
    dt_batch_shift_places(&batch, 1, 9);
    static const int32_t place[] = {1, 2, 3, 1, 2, 1, 2, 10, 11, 10, 11, 0, 10};
    assert_memory_equal(batch.place, place, sizeof place);
    dt_batch_destroy(&batch);
    dt_tokenizer_destroy(&tokenizer);
}

/* Seven of eight evenly, and of the eighth none beyond a sixteenth of them. */
static void first_places_are_drawn_as_often_as_others(void **state) {
    (void)state;
    enum { MOST = 31, COUNT = 64000, EVEN = COUNT / 8 * 7 / 32, FIRST = EVEN + COUNT / 8 / 2 };
    dt_config config = {.seed = 5, .place_offset = MOST};
    size_t drawn[MOST + 1] = {0}, same = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        const int32_t offset = dt_place_offset(&config, i);
        assert_in_range(offset, 0, MOST);
        assert_int_equal(offset, dt_place_offset(&config, i));
        drawn[offset]++;
        config.seed++;
        same += offset == dt_place_offset(&config, i);
        config.seed--;
    }
    for (size_t i = 0; i <= MOST; i++) {
        const size_t expected = i <= MOST / 16 ? FIRST : EVEN;
        assert_in_range(drawn[i], expected * 9 / 10, expected * 11 / 10);
    }
    const size_t chance = (2 * FIRST * FIRST + 30 * EVEN * EVEN) / COUNT;
    assert_in_range(same, chance * 9 / 10, chance * 11 / 10);
    config.place_offset = 0;
    assert_int_equal(dt_place_offset(&config, 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_begin_where_they_are_told),
        cmocka_unit_test(first_places_are_drawn_as_often_as_others),
        cmocka_unit_test(problems_stand_back_to_back),
        cmocka_unit_test(working_is_scored_too),
        cmocka_unit_test(a_full_batch_refuses_and_stays_as_it_is),
        cmocka_unit_test(a_cleared_batch_is_as_new),
        cmocka_unit_test(the_prompt_is_found_among_long_tokens),
        cmocka_unit_test(documents_end_within_a_text),
        cmocka_unit_test(an_impossible_batch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
