/* Distractors before training texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"
#include "dtrain/arithmetic/source.h"
#include "dtrain/data/digits.h"
#include "dtrain/data/distract.h"
#include "dtrain/data/source.h"

enum { OFFSET = 40, MOST = 20, WIDTH = 3, LENGTH = 7, ROOM = 40 };

/* 12+7=19$ has seven inputs, of which five are digits; its places are 1 to 3. */
static const dt_problem sum = {DT_ADD, DT_NUMBER(12), DT_NUMBER(7)};
static const dt_config settings = {
    .seed = 3, .format = DT_FORMAT_PLAIN, .place_offset = OFFSET, .distractors = MOST};

typedef struct {
    dt_tokenizer *tokenizer;
    dt_batch batch;
} scene;

static int set_up(void **state) {
    static scene s;
    assert_int_equal(dt_tokenizer_create(&s.tokenizer, DT_FORMAT_PLAIN, DT_MARKS_NONE), DT_OK);
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    dt_batch_destroy(&s->batch);
    dt_tokenizer_destroy(&s->tokenizer);
    return 0;
}

static void append(scene *s, int32_t offset) {
    dt_batch *b = &s->batch;
    assert_int_equal(dt_arithmetic_write(&b->text, &sum, &settings, 0), DT_OK);
    assert_int_equal(dt_batch_append(b, &b->text, 0, s->tokenizer), DT_OK);
    dt_batch_shift_places(b, b->problems - 1, offset);
}

static bool is_of_text(const dt_batch *b, size_t i, size_t first) {
    for (size_t j = first; j < first + LENGTH; j++) {
        const bool digit = b->token[j] >= 1 && b->token[j] <= 10; /* of "$0123456789" */
        if (digit && b->token[i] == b->token[j] && b->position[i] == b->position[j]) return true;
    }
    return false;
}

/* Behind another text, which stays as it is. */
static void they_stand_before_a_text(void **state) {
    enum { COUNT = 4000 };
    scene *s = *state;
    dt_batch *b = &s->batch;
    size_t drawn[MOST + 1] = {0}, at[OFFSET + WIDTH + 1] = {0};
    assert_int_equal(dt_batch_create(b, 2, 2 * ROOM), DT_OK);
    for (uint64_t position = 0; position < COUNT; position++) {
        int32_t token[2 * LENGTH], place[2 * LENGTH], target[2 * LENGTH], number[2 * LENGTH];
        const int32_t offset = dt_place_offset(&settings, position);
        dt_batch_clear(b);
        append(s, 0);
        append(s, offset);
        memcpy(token, b->token, sizeof token);
        memcpy(place, b->place, sizeof place);
        memcpy(target, b->target, sizeof target);
        memcpy(number, b->position, sizeof number);
        dt_batch_distract(b, &settings, s->tokenizer, position);
        const size_t count = dt_distractors(&settings, position), first = LENGTH + count;
        drawn[count]++;
        assert_int_equal(b->tokens, first + LENGTH);
        assert_int_equal(b->offset[1], LENGTH);
        assert_int_equal(b->offset[2], first + LENGTH);
        assert_int_equal(b->documents, 2);
        assert_int_equal(b->document[1], LENGTH);
        assert_int_equal(b->document[2], first + LENGTH);
        assert_int_equal(b->scored, 2 * 3); /* 1, 9 and the end */
        assert_memory_equal(b->token, token, sizeof token / 2);
        assert_memory_equal(b->place, place, sizeof place / 2);
        assert_memory_equal(b->token + first, token + LENGTH, sizeof token / 2);
        assert_memory_equal(b->place + first, place + LENGTH, sizeof place / 2);
        assert_memory_equal(b->target + first, target + LENGTH, sizeof target / 2);
        assert_memory_equal(b->position + first, number + LENGTH, sizeof number / 2);
        for (size_t i = LENGTH; i < first; i++) {
            assert_in_range(b->place[i], 1, OFFSET + WIDTH);
            assert_true(b->place[i] < offset + 1 - 2 || b->place[i] > offset + WIDTH + 2);
            assert_int_equal(b->target[i], -1);
            assert_true(is_of_text(b, i, first));
            at[b->place[i]]++;
        }
    }
    for (size_t i = 0; i <= MOST; i++)
        assert_in_range(drawn[i], COUNT / (MOST + 1) * 3 / 4, COUNT / (MOST + 1) * 5 / 4);
    for (size_t i = 1; i <= OFFSET + WIDTH; i++)
        assert_in_range(at[i], COUNT * MOST / 2 / (OFFSET + WIDTH) / 2,
                        COUNT * MOST / 2 / (OFFSET + WIDTH) * 3 / 2);
}

/* A product's working, the only text, and its distractors; how many these are. */
static size_t distract_product(dt_batch *b, const dt_config *config, const dt_tokenizer *tokenizer,
                               uint64_t position) {
    static const dt_problem product = {DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(274)};
    dt_batch_clear(b);
    assert_int_equal(dt_arithmetic_write(&b->text, &product, config, 0), DT_OK);
    assert_int_equal(dt_batch_append(b, &b->text, 0, tokenizer), DT_OK);
    const size_t length = b->tokens;
    dt_batch_shift_places(b, 0, dt_place_offset(config, position));
    dt_batch_distract(b, config, tokenizer, position);
    return b->tokens - length;
}

/* Of a product's working: its digits and the letters between them, but neither marks nor what
 * stands behind a number. */
static void they_repeat_what_numbers_are_of(void **state) {
    enum { FIRST = 1000 };
    scene *s = *state;
    dt_batch *b = &s->batch;
    dt_config config = settings;
    dt_tokenizer *tokenizer;
    size_t letters = 0, digits = 0;
    config.format = DT_FORMAT_SCRATCHPAD;
    config.marks = DT_MARKS_START;
    assert_int_equal(dt_tokenizer_create(&tokenizer, config.format, config.marks), DT_OK);
    assert_int_equal(dt_batch_create(b, 1, FIRST), DT_OK);
    for (uint64_t position = 0; position < 300; position++) {
        const size_t first = distract_product(b, &config, tokenizer, position);
        for (size_t i = 0; i < first; i++) {
            const char character = dt_tokenizer_token(tokenizer, b->token[i])[0];
            size_t like = first;
            assert_null(strchr("^*=,+$", character));
            while (b->token[like] != b->token[i] || b->position[like] != b->position[i])
                assert_true(++like < b->tokens);
            digits += character >= '0' && character <= '9';
            letters +=
                (character >= 'a' && character <= 't') || (character >= 'K' && character <= 'T');
        }
    }
    assert_true(digits > 500 && letters > 500);
    dt_tokenizer_destroy(&tokenizer);
}

/* Each row goes on with one of the text's numbers, upwards or downwards; marks are anywhere. */
static void rows_go_on_with_a_number(void **state) {
    enum { ROOM_OF_ALL = 1000, RUN = 5 };
    scene *s = *state;
    dt_batch *b = &s->batch;
    dt_config config = settings;
    dt_tokenizer *tokenizer;
    size_t marks = 0, within = 0, ends = 0, ups = 0, downs = 0, begins = 0;
    config.format = DT_FORMAT_SCRATCHPAD;
    config.marks = DT_MARKS_START;
    config.distractor_run = RUN;
    assert_int_equal(dt_tokenizer_create(&tokenizer, config.format, config.marks), DT_OK);
    assert_int_equal(dt_batch_create(b, 1, ROOM_OF_ALL), DT_OK);
    for (uint64_t position = 0; position < 1000; position++) {
        int32_t least = INT32_MAX, most = 0, place = 0, number = -1;
        const size_t first = distract_product(b, &config, tokenizer, position);
        for (size_t i = first; i < b->tokens; i++) {
            if (b->place[i] > 0 && b->place[i] < least) least = b->place[i];
            if (b->place[i] > most) most = b->place[i];
        }
        for (size_t i = 0, in_row = 0; i < first; i++) {
            const char character = dt_tokenizer_token(tokenizer, b->token[i])[0];
            assert_in_range(b->place[i], 1, most - least + 1 + OFFSET);
            assert_int_equal(b->target[i], -1);
            size_t like = first;
            while (b->token[like] != b->token[i] || b->position[like] != b->position[i])
                assert_true(++like < b->tokens);
            if (character == DT_NUMBER_MARK) {
                marks++;
                within += b->place[i] >= least && b->place[i] <= most;
                continue;
            }
            assert_true(b->place[i] < least || b->place[i] > most);
            if (strchr("*=,+$", character)) { /* behind a row that goes up */
                assert_true(number == b->position[i] && b->place[i] == place + 1);
                ends++;
            } else if (b->place[i] == least - 1 || b->place[i] == most + 1) {
                begins++;
                in_row = 1;
            } else {
                const int32_t step = b->place[i] > most ? 1 : -1;
                assert_true(number == b->position[i] && b->place[i] == place + step);
                assert_true(++in_row <= RUN);
                *(step > 0 ? &ups : &downs) += 1;
            }
            number = b->position[i];
            place = b->place[i];
        }
    }
    /* Ten of a text on average; rows of three; of those that go up half end. */
    const size_t digits = begins + ups + downs;
    assert_in_range(digits, 7500, 9500);
    assert_in_range(marks, digits / 9, digits / 6);
    assert_in_range(within, marks / 9, marks / 3); /* 8 of 48 places */
    assert_in_range(begins, digits / 5, digits / 2);
    assert_in_range(ups, digits / 5, digits / 2);
    assert_in_range(downs, digits / 5, digits / 2);
    assert_in_range(ends, begins / 8, begins / 3);
    dt_tokenizer_destroy(&tokenizer);
}

/* Where places turn queries and keys one in three is a mark. */
static void marks_are_more_where_places_turn(void **state) {
    scene *s = *state;
    dt_batch *b = &s->batch;
    dt_config config = settings;
    dt_tokenizer *tokenizer;
    size_t marks = 0, all = 0;
    config.format = DT_FORMAT_SCRATCHPAD;
    config.marks = DT_MARKS_START;
    config.distractor_run = 5;
    config.place_embedding = DT_PLACES_ROTARY;
    assert_int_equal(dt_tokenizer_create(&tokenizer, config.format, config.marks), DT_OK);
    assert_int_equal(dt_batch_create(b, 1, 1000), DT_OK);
    for (uint64_t position = 0; position < 1000; position++) {
        const size_t first = distract_product(b, &config, tokenizer, position);
        for (size_t i = 0; i < first; i++)
            marks += dt_tokenizer_token(tokenizer, b->token[i])[0] == DT_NUMBER_MARK;
        all += first;
    }
    assert_true(all > 8000);
    assert_in_range(marks, all * 3 / 10, all * 4 / 10);
    dt_tokenizer_destroy(&tokenizer);
}

/* Where one number of a text begins further up or down, so do those that are like it. */
static void they_go_along_with_a_number_that_is_moved(void **state) {
    enum { OF_TEXT = 20 };
    scene *s = *state;
    dt_batch *b = &s->batch;
    size_t seen[2] = {0}, between = 0;
    assert_int_equal(dt_batch_create(b, 1, ROOM), DT_OK);
    for (uint64_t position = 0; position < 4000; position++) {
        dt_config config = settings;
        const int32_t apart = (int32_t)(position % 41) - 20; /* of 7 and what is behind it */
        config.distractor_run = position % 2 ? 4 : 0;
        const int32_t gap = config.distractor_run ? 0 : 2;
        dt_batch_clear(b);
        append(s, OF_TEXT);
        memset(b->apart, 0, LENGTH * sizeof *b->apart);
        b->apart[3] = b->apart[4] = apart;
        dt_batch_distract(b, &config, s->tokenizer, position);
        for (size_t i = 0; i + LENGTH < b->tokens; i++) {
            const bool moved = b->position[i] == 1;
            const int32_t least = OF_TEXT + 1 + (moved ? apart : 0), most = least + WIDTH - 1;
            assert_in_range(b->place[i], 1, OFFSET + WIDTH);
            assert_true(b->place[i] < least - gap || b->place[i] > most + gap);
            seen[moved]++;
            between += moved && b->place[i] > OF_TEXT && b->place[i] <= OF_TEXT + WIDTH;
        }
    }
    memset(b->apart, 0, LENGTH * sizeof *b->apart);
    assert_true(seen[0] > 5000 && seen[1] > 2000 && between > 50);
}

/* Each text has an equal share of the batch's tokens. */
static void as_many_as_there_is_room_for(void **state) {
    scene *s = *state;
    dt_batch *b = &s->batch;
    size_t most = 0;
    assert_int_equal(dt_batch_create(b, 1, LENGTH + 4), DT_OK);
    for (uint64_t position = 0; position < 100; position++) {
        dt_batch_clear(b);
        append(s, 9);
        dt_batch_distract(b, &settings, s->tokenizer, position);
        assert_in_range(b->tokens, LENGTH, LENGTH + 4);
        most = b->tokens > most ? b->tokens : most;
    }
    assert_int_equal(most, LENGTH + 4);
}

static void none_without_a_place_or_a_setting(void **state) {
    scene *s = *state;
    dt_batch *b = &s->batch;
    assert_int_equal(dt_batch_create(b, 1, ROOM), DT_OK);
    for (uint64_t position = 0; position < 100; position++) {
        dt_config config = settings;
        dt_batch_clear(b);
        append(s, 0);
        config.place_offset = 2; /* places up to 5, the text's and the two next to it */
        dt_batch_distract(b, &config, s->tokenizer, position);
        assert_int_equal(b->tokens, LENGTH);
        config = settings;
        config.distractors = 0;
        assert_int_equal(dt_distractors(&config, position), 0);
        dt_batch_distract(b, &config, s->tokenizer, position);
        assert_int_equal(b->tokens, LENGTH);
    }
}

static void others_with_another_seed(void **state) {
    (void)state;
    dt_config config = settings;
    size_t same = 0;
    config.seed++;
    for (uint64_t i = 0; i < 2000; i++)
        same += dt_distractors(&settings, i) == dt_distractors(&config, i);
    assert_in_range(same, 40, 160); /* one in 21 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_stand_before_a_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(they_repeat_what_numbers_are_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_go_on_with_a_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(marks_are_more_where_places_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(they_go_along_with_a_number_that_is_moved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(as_many_as_there_is_room_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_without_a_place_or_a_setting, set_up, tear_down),
        cmocka_unit_test(others_with_another_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
