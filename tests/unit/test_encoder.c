/* A text that is encoded piece by piece has the tokens of the whole, wherever it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/data/encoder.h"

enum { TOKENS_MAX = 300 };

typedef struct {
    const char *token[TOKENS_MAX];
    size_t count;
} vocabulary;

static const vocabulary letters = {.token = {"\n", "a", "ä", "猫", "𝄞", "b", DT_END_OF_DOCUMENT},
                                   .count = 7};
static const vocabulary words = {.token = {"\n", "a", "ab", "ä", "猫", "猫猫猫a", "𝄞", "b", "aab",
                                           "<", "|", ">", DT_END_OF_DOCUMENT},
                                 .count = 13};

static vocabulary all_bytes(void) {
    static char byte[256][2];
    vocabulary v = {.count = 256};
    for (int value = 0; value < 256; value++) {
        byte[value][0] = (char)value; /* the first one is empty: byte 0 */
        v.token[value] = byte[value];
    }
    return v;
}

static uint32_t state = 1;

static uint32_t draw(uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static size_t write_characters(char *text, size_t size) {
    static const char *const piece[] = {"a", "ä", "猫", "𝄞", "b", "\n", "猫猫猫", "aa"};
    size_t length = 0;
    while (length + 12 < size) {
        const char *next = piece[draw(8)];
        memcpy(text + length, next, strlen(next));
        length += strlen(next);
    }
    return length;
}

static void expect_same(const vocabulary *v, const char *text, size_t length, size_t most) {
    dt_tokenizer *tokenizer;
    dt_encoder *encoder;
    dt_ids ids = {0};
    size_t count;
    assert_int_equal(dt_tokenizer_restore(&tokenizer, v->token, v->count), DT_OK);
    int32_t *wanted = calloc(length + 1, sizeof *wanted);
    assert_int_equal(dt_tokenizer_encode(wanted, length, &count, tokenizer, text, length), DT_OK);
    assert_int_equal(dt_encoder_create(&encoder, tokenizer), DT_OK);
    for (int document = 0; document < 2; document++) {
        size_t at = 0;
        ids.count = 0;
        while (at < length) {
            size_t more = draw((uint32_t)most + 1);
            more = more < length - at ? more : length - at;
            const bool last = at + more == length && draw(2) == 0;
            assert_int_equal(dt_encoder_feed(encoder, text + at, more, last, &ids), DT_OK);
            at += more;
            if (at == length && !last)
                assert_int_equal(dt_encoder_feed(encoder, "", 0, true, &ids), DT_OK);
        }
        assert_int_equal(ids.count, count);
        assert_memory_equal(ids.id, wanted, count * sizeof *wanted);
        assert_int_equal(dt_encoder_taken(encoder), 0);
    }
    dt_ids_destroy(&ids);
    dt_encoder_destroy(&encoder);
    dt_tokenizer_destroy(&tokenizer);
    free(wanted);
}

static void pieces_have_the_tokens_of_the_whole(void **unused) {
    (void)unused;
    static char text[4000], noise[4000];
    const vocabulary bytes = all_bytes();
    const size_t most[] = {1, 2, 3, 7, 50, 5000};
    for (size_t i = 0; i < 6 * sizeof most / sizeof *most; i++) {
        const size_t length = write_characters(text, sizeof text);
        for (size_t k = 0; k < sizeof noise; k++) noise[k] = (char)draw(256);
        expect_same(&letters, text, length, most[i % 6]);
        expect_same(&words, text, length, most[i % 6]);
        expect_same(&bytes, text, length, most[i % 6]);
        expect_same(&bytes, noise, sizeof noise, most[i % 6]);
    }
}

static void expect_stop(const vocabulary *v, const char *text, size_t length, uint64_t taken) {
    dt_tokenizer *tokenizer;
    dt_encoder *encoder;
    for (size_t cut = 0; cut <= length; cut++) {
        dt_ids ids = {0};
        assert_int_equal(dt_tokenizer_restore(&tokenizer, v->token, v->count), DT_OK);
        assert_int_equal(dt_encoder_create(&encoder, tokenizer), DT_OK);
        dt_status status = dt_encoder_feed(encoder, text, cut, false, &ids);
        if (status == DT_OK)
            status = dt_encoder_feed(encoder, text + cut, length - cut, true, &ids);
        assert_int_equal(status, DT_ERR_DATA);
        assert_int_equal(dt_encoder_taken(encoder), taken);
        dt_ids_destroy(&ids);
        dt_encoder_destroy(&encoder);
        dt_tokenizer_destroy(&tokenizer);
    }
}

static void what_is_no_token_is_found(void **unused) {
    (void)unused;
    expect_stop(&letters, "aäb\xff", 5, 4);
    expect_stop(&letters, "猫c猫", 7, 3);
    expect_stop(&letters, "a\xe7\x8c", 3, 1); /* a character that is cut off */
    expect_stop(&words, "aabzaab", 7, 3);
    /* The end of a document is no text. */
    expect_stop(&letters, "a" DT_END_OF_DOCUMENT, 14, 1);
    expect_stop(&words, "a" DT_END_OF_DOCUMENT, 14, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_have_the_tokens_of_the_whole),
        cmocka_unit_test(what_is_no_token_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
