/* Greedy generation with cached keys and values, compared with running the model on the whole text
 * for every token. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/arithmetic/format.h"
#include "dtrain/model/sample.h"

static const rig_choice CHOICES[] = {
    {.format = DT_FORMAT_PLAIN, .layers = 2, .width = 24, .heads = 3, .problems = 12},
    {.format = DT_FORMAT_REVERSE, .layers = 1, .width = 16, .heads = 2, .problems = 12},
    {.format = DT_FORMAT_SCRATCHPAD, .layers = 3, .width = 15, .heads = 3, .problems = 12},
    {.format = DT_FORMAT_PLAIN, .layers = 1, .width = 20, .heads = 2, .problems = 12},
    {.format = DT_FORMAT_REVERSE, .layers = 3, .width = 16, .heads = 4, .problems = 12},
    {.format = DT_FORMAT_REVERSE,
     .layers = 2,
     .width = 24,
     .heads = 2,
     .problems = 12,
     .positions = DT_POSITIONS_NONE},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 24,
     .heads = 3,
     .problems = 12,
     .place_embedding = DT_PLACES_ROTARY},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 24,
     .heads = 3,
     .problems = 12,
     .place_embedding = DT_PLACES_ROTARY,
     .place_window = 1},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 16,
     .heads = 2,
     .problems = 12,
     .positions = DT_POSITIONS_INDEX},
};

enum { PROMPTS = 20 };

/* How texts ended. */
typedef struct {
    size_t by_end, by_context;
} endings;

/* The prompt of training problem number i. */
static void prompt_write(char text[DT_PROBLEM_TEXT_MAX], const rig *r, uint64_t i) {
    dt_problem problem;
    size_t given;
    expect_ok(dt_problem_train(&problem, &r->config, i));
    expect_ok(
        dt_format_write(text, DT_PROBLEM_TEXT_MAX, &given, &problem, (dt_format)r->config.format));
    text[given] = '\0';
}

/* The logits after the last of `count` tokens: (V). */
static void last_logits(float *logits, const rig *r, const int32_t *id, size_t count) {
    dt_batch batch;
    float *all = reference_alloc(count * r->shape.V, sizeof *all);
    fixture_random random = {1};
    fixture_batch_create(&batch, &(fixture_lengths){{count}}, r->shape.V, 1, &random);
    memcpy(batch.token, id, count * sizeof *id);
    if (!r->shape.index_positions) /* the model counts index positions itself */
        dt_tokenizer_places(batch.position, batch.place, batch.spot, r->tokenizer, id, count);
    for (size_t n = 0; n < count; n++) {
        /* In numbers longer than those of any problem, the digits beyond share the last place. */
        if (batch.place[n] >= (int32_t)r->shape.P) batch.place[n] = (int32_t)r->shape.P - 1;
    }
    expect_ok(dt_model_logits(r->model, all, &batch));
    memcpy(logits, all + (count - 1) * r->shape.V, r->shape.V * sizeof *logits);
    free(all);
    fixture_batch_destroy(&batch);
}

/* The token has the highest logit, up to rounding. */
static void expect_likely(const rig *r, const int32_t *id, size_t count, int32_t next,
                          const char *prompt) {
    float *logits = reference_alloc(r->shape.V, sizeof *logits), most = 0;
    last_logits(logits, r, id, count);
    for (size_t v = 0; v < r->shape.V; v++) most = logits[v] > most || v == 0 ? logits[v] : most;
    if (logits[next] < most - 1e-4f) {
        fail_msg("after %s token %zu is '%s' with logit %g; the highest is %g", prompt, count,
                 dt_tokenizer_token(r->tokenizer, next), (double)logits[next], (double)most);
    }
    free(logits);
}

static void expect_greedy(endings *ended, const rig *r, const char *prompt, const char *produced) {
    int32_t id[2 * DT_PROBLEM_TEXT_MAX];
    size_t given, made;
    expect_ok(
        dt_tokenizer_encode(id, DT_PROBLEM_TEXT_MAX, &given, r->tokenizer, prompt, strlen(prompt)));
    expect_ok(dt_tokenizer_encode(id + given, DT_PROBLEM_TEXT_MAX, &made, r->tokenizer, produced,
                                  strlen(produced)));
    assert_true(given + made <= r->shape.T);
    for (size_t i = 0; i < made; i++) {
        assert_true(id[given + i] != 0);
        expect_likely(r, id, given + i, id[given + i], prompt);
    }
    if (given + made == r->shape.T) {
        ended->by_context++;
        return;
    }
    ended->by_end++;
    expect_likely(r, id, given + made, 0, prompt);
}

static void texts_are_those_of_the_whole_model(void **state) {
    endings ended = {0};
    for (size_t c = 0; c < sizeof CHOICES / sizeof *CHOICES; c++) {
        rig r;
        rig_create(&r, *state, &CHOICES[c]);
        assert_true(r.batch.tokens >= r.shape.T);
        dt_generator *generator = NULL;
        expect_ok(dt_generator_create(&generator, r.model, PROMPTS));
        char(*text)[DT_PROBLEM_TEXT_MAX] = reference_alloc(PROMPTS, sizeof *text);
        dt_text produced[PROMPTS] = {0};
        const char *prompt[PROMPTS];
        /* First all sequences, then fewer, with caches that are no longer empty. */
        const size_t counts[] = {PROMPTS, 4, 1};
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            const size_t count = counts[k];
            for (size_t i = 0; i < count; i++) {
                prompt_write(text[i], &r, 10 * count + i);
                prompt[i] = text[i];
            }
            expect_ok(dt_generator_run(generator, produced, prompt, count, r.tokenizer));
            for (size_t i = 0; i < count; i++) {
                expect_greedy(&ended, &r, prompt[i], produced[i].bytes);
            }
        }
        dt_generator_destroy(&generator);
        assert_null(generator);
        free(text);
        for (size_t i = 0; i < PROMPTS; i++) dt_text_destroy(&produced[i]);
        rig_destroy(&r);
    }
    assert_true(ended.by_end > 0);
    assert_true(ended.by_context > 0);
}

/* ---- one text, token by token ---- */

/* The tokens that the model still sees: of a full context the last half stays. */
typedef struct {
    int32_t id[DT_PROBLEM_TEXT_MAX];
    size_t count;
} seen_text;

static void see(seen_text *seen, size_t T, int32_t id) {
    if (seen->count == T - 1) {
        memmove(seen->id, seen->id + T - 1 - (T / 2 - 1), (T / 2 - 1) * sizeof id);
        seen->count = T / 2 - 1;
    }
    seen->id[seen->count++] = id;
}

static void expect_next(dt_generator *generator, const rig *r, const seen_text *seen) {
    float *wanted = reference_alloc(r->shape.V, sizeof *wanted);
    const float *logits = NULL;
    last_logits(wanted, r, seen->id, seen->count);
    expect_ok(dt_generator_next(generator, &logits));
    for (size_t v = 0; v < r->shape.V; v++)
        assert_true(fabsf(logits[v] - wanted[v]) < 1e-4f * fmaxf(1, fabsf(wanted[v])));
    free(wanted);
}

/* Tokens without end, several at once and one by one: the logits are those of the whole model. */
static void expect_endless(const rig *r, dt_model *model) {
    dt_generator *generator = NULL;
    const float *logits;
    seen_text seen = {0};
    fixture_random random = {3};
    const size_t T = r->shape.T;
    expect_ok(dt_generator_create(&generator, model, 2));
    assert_int_equal(dt_generator_context(generator), T);
    dt_generator_begin(generator, r->tokenizer);
    assert_int_equal(dt_generator_next(generator, &logits), DT_ERR_INTERNAL);
    for (size_t made = 0, call = 0; made < 4 * T; call++) {
        const size_t count = call % 4 == 0 ? 1 + call % (T + 3) : 1;
        int32_t id[DT_PROBLEM_TEXT_MAX];
        for (size_t i = 0; i < count; i++) {
            id[i] = (int32_t)fixture_below(&random, r->shape.V);
            see(&seen, T, id[i]);
        }
        dt_generator_append(generator, id, count);
        made += count;
        expect_next(generator, r, &seen);
    }
    dt_generator_destroy(&generator);
}

static void a_text_goes_on_beyond_the_context(void **state) {
    for (size_t c = 0; c < sizeof CHOICES / sizeof *CHOICES; c++) {
        rig r;
        dt_model *small = NULL;
        rig_create(&r, *state, &CHOICES[c]);
        expect_endless(&r, r.model);
        /* A model with room for few tokens computes a prompt in several passes. */
        expect_ok(dt_model_create(&small, r.backend, &r.shape, r.weight_buffer, 1, 3));
        expect_endless(&r, small);
        dt_model_destroy(&small);
        rig_destroy(&r);
    }
}

typedef struct {
    dt_text text;
    size_t pieces, most;
} collected;

static dt_status collect(void *context, const char *bytes, size_t count, bool *stop) {
    collected *c = context;
    c->pieces++;
    *stop = c->pieces == c->most;
    return dt_text_append(&c->text, bytes, count);
}

/* Draws a text with a generator of that many sequences. */
static void draw_text(collected *c, bool *ended, const rig *r, size_t sequences, uint32_t number,
                      size_t tokens, bool ends) {
    dt_generator *generator = NULL;
    dt_text prompt = {0};
    size_t count;
    const dt_sample_request request = {
        .drawing = {.temperature = 1, .top_p = 1, .seed = 4, .text = number},
        .tokens = tokens,
        .end = ends ? 0 : -1,
        .slides = !ends};
    expect_ok(dt_text_append(&prompt, "1+2=", 4));
    expect_ok(dt_generator_create(&generator, r->model, sequences));
    expect_ok(dt_sample(&count, ended, generator, &request, &prompt, r->tokenizer, collect, c));
    assert_int_equal(count, c->pieces);
    dt_generator_destroy(&generator);
    dt_text_destroy(&prompt);
}

static void samples_are_repeated(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICES[0]);
    collected first = {0};
    bool ended;
    draw_text(&first, &ended, &r, 1, 0, 5 * r.shape.T, false);
    assert_int_equal(first.pieces, 5 * r.shape.T);
    assert_false(ended);
    for (size_t i = 0; i < 3; i++) {
        collected other = {0};
        draw_text(&other, &ended, &r, 1 + 3 * (i == 1), i == 2, 5 * r.shape.T, false);
        assert_int_equal(strcmp(other.text.bytes, first.text.bytes) == 0, i < 2);
        dt_text_destroy(&other.text);
    }
    /* A stop and a limit cut the same text. */
    collected stopped = {.most = 7}, few = {0};
    draw_text(&stopped, &ended, &r, 1, 0, 5 * r.shape.T, false);
    draw_text(&few, &ended, &r, 1, 0, 7, false);
    assert_int_equal(stopped.pieces, 7);
    assert_string_equal(stopped.text.bytes, few.text.bytes);
    assert_memory_equal(few.text.bytes, first.text.bytes, few.text.length);
    dt_text_destroy(&stopped.text);
    dt_text_destroy(&few.text);
    dt_text_destroy(&first.text);
    rig_destroy(&r);
}

static void samples_end_where_texts_do(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICES[0]);
    size_t by_end = 0, by_context = 0;
    for (uint32_t number = 0; number < 40; number++) {
        collected c = {0}, whole = {0};
        bool ended, never;
        draw_text(&c, &ended, &r, 1, number, 5 * r.shape.T, true);
        draw_text(&whole, &never, &r, 1, number, r.shape.T - 4, false);
        const char *end = strchr(whole.text.bytes, dt_tokenizer_token(r.tokenizer, 0)[0]);
        const size_t length = end ? (size_t)(end - whole.text.bytes) : whole.text.length;
        assert_int_equal(ended, end != NULL);
        assert_int_equal(c.text.length, length);
        if (length) assert_memory_equal(c.text.bytes, whole.text.bytes, length);
        by_end += ended;
        by_context += !ended;
        dt_text_destroy(&c.text);
        dt_text_destroy(&whole.text);
    }
    assert_true(by_end > 0 && by_context > 0);
    rig_destroy(&r);
}

static void bad_prompts_are_refused(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICES[0]);
    dt_generator *generator = NULL;
    expect_ok(dt_generator_create(&generator, r.model, 2));
    dt_text produced[3] = {0};
    char longer[DT_PROBLEM_TEXT_MAX];
    memset(longer, '1', sizeof longer);
    longer[r.shape.T + 1] = '\0';
    const char *const good[] = {"1+2=", "3+4=", "5+6="}, *const empty[] = {"1+2=", ""};
    const char *const foreign[] = {"1+2=", "1@2="}, *const too_long[] = {"1+2=", longer};
    assert_int_equal(dt_generator_run(generator, produced, good, 3, r.tokenizer), DT_ERR_INTERNAL);
    assert_int_equal(dt_generator_run(generator, produced, empty, 2, r.tokenizer), DT_ERR_ARG);
    assert_int_equal(dt_generator_run(generator, produced, foreign, 2, r.tokenizer), DT_ERR_DATA);
    assert_int_not_equal(dt_generator_run(generator, produced, too_long, 2, r.tokenizer), DT_OK);
    expect_ok(dt_generator_run(generator, produced, good, 0, r.tokenizer));
    expect_ok(dt_generator_run(generator, produced, good, 2, r.tokenizer));
    dt_generator_destroy(&generator);
    for (size_t i = 0; i < 3; i++) dt_text_destroy(&produced[i]);
    rig_destroy(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_the_whole_model),
        cmocka_unit_test(a_text_goes_on_beyond_the_context),
        cmocka_unit_test(samples_are_repeated),
        cmocka_unit_test(samples_end_where_texts_do),
        cmocka_unit_test(bad_prompts_are_refused),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
