/* Windows of running text: together they give the text, part by part, and each is read once per
 * epoch; errors name bad texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/utf8.h"
#include "dtrain/data/source.h"
#include "dtrain/text/windows.h"

static char path[] = "/tmp/dtrain-windows.XXXXXX";

static int make_file(void **state) {
    (void)state;
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void write_file(const char *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static dt_windows *open_windows(size_t context, dt_text_tokens unit) {
    dt_windows *windows;
    if (dt_windows_open(&windows, path, context, unit) != DT_OK) fail_msg("%s", dt_error_text());
    return windows;
}

/* ---- the windows give the text ---- */

enum { PIECES = 60000 };
static char text[8 * PIECES + 4];
static size_t size;

/* Characters of one to four bytes in random order, longer than a block: blocks, parts and windows
 * end at all kinds of characters. */
static void write_text(bool mark) {
    static const char *const piece[] = {"a", "ä", "猫", "𝄞", "\n", "7", " ", "\r\n", "\t", "zz"};
    uint32_t state = 1;
    size = 0;
    if (mark) size = (size_t)sprintf(text, "\xef\xbb\xbf");
    for (size_t i = 0; i < PIECES * 3 && size + 8 < sizeof text; i++) {
        state = state * 1664525u + 1013904223u;
        size += (size_t)sprintf(text + size, "%s", piece[(state >> 16) % 10]);
    }
    write_file(text, size);
}

static size_t tokens_in(const char *bytes, dt_text_tokens unit) {
    return unit == DT_TOKENS_BYTES ? strlen(bytes) : dt_utf8_count(bytes);
}

/* Joins the windows of a part; the token that two windows share appears once. */
static size_t join_part(char *joined, dt_windows *windows, dt_split split, size_t context,
                        dt_text_tokens unit) {
    const dt_windows_facts *facts = dt_windows_about(windows);
    dt_text window = {0};
    size_t length = 0;
    for (uint64_t i = 0; i < facts->windows[split]; i++) {
        assert_int_equal(dt_windows_read(&window, windows, split, i), DT_OK);
        assert_int_equal(window.length, strlen(window.bytes));
        const size_t tokens = tokens_in(window.bytes, unit);
        assert_int_equal(tokens, dt_windows_length(windows, split, i));
        assert_true(tokens == context || (i + 1 == facts->windows[split] && tokens >= 2));
        if (i > 0) {
            length -= window.prompt_length;
            assert_memory_equal(joined + length, window.bytes, window.prompt_length);
        }
        memcpy(joined + length, window.bytes, window.length);
        length += window.length;
    }
    joined[length] = '\0';
    assert_int_equal(tokens_in(joined, unit), facts->tokens[split]);
    dt_text_destroy(&window);
    return length;
}

static void expect_whole(size_t context, dt_text_tokens unit, size_t mark) {
    static char joined[sizeof text];
    dt_windows *windows = open_windows(context, unit);
    size_t length = 0, held_out = 0;
    for (int split = 0; split < DT_SPLITS; split++) {
        const size_t part = join_part(joined + length, windows, (dt_split)split, context, unit);
        if (split != DT_TRAIN) {
            assert_in_range(part, size / 20 - 3, size / 20 + 4);
            held_out += part;
        }
        length += part;
    }
    assert_true(held_out > 0);
    assert_int_equal(length, size - mark);
    assert_memory_equal(joined, text + mark, length);
    dt_windows_close(&windows);
    assert_null(windows);
}

static void windows_are_the_whole_text(void **state) {
    (void)state;
    write_text(false);
    const size_t context[] = {2, 3, 64, 257, 5000};
    for (size_t i = 0; i < sizeof context / sizeof *context; i++) {
        expect_whole(context[i], DT_TOKENS_CHARACTERS, 0);
        expect_whole(context[i], DT_TOKENS_BYTES, 0);
    }
    write_text(true);
    expect_whole(100, DT_TOKENS_CHARACTERS, 3);
}

/* ---- epochs ---- */

static void expect_epoch(const dt_source *source, uint64_t epoch, uint64_t *order) {
    const uint64_t windows = (uint64_t)source->config.train_examples;
    const dt_windows_facts *facts = dt_windows_about(source->data);
    dt_text found = {0}, wanted = {0};
    uint8_t *seen = calloc(windows, 1);
    uint64_t tokens = 0;
    assert_int_equal(windows, facts->windows[DT_TRAIN]);
    for (uint64_t i = 0; i < windows; i++) {
        uint32_t length;
        const uint64_t position = epoch * windows + i;
        assert_int_equal(source->kind->train(&found, source, position), DT_OK);
        assert_int_equal(source->kind->train_length(&length, &wanted, source, position), DT_OK);
        tokens += length;
        uint64_t w = 0; /* all are different */
        for (; w < windows; w++) {
            assert_int_equal(dt_windows_read(&wanted, source->data, DT_TRAIN, w), DT_OK);
            if (!seen[w] && strcmp(found.bytes, wanted.bytes) == 0) break;
        }
        assert_true(w < windows);
        seen[w] = 1;
        order[i] = w;
    }
    assert_int_equal(tokens, facts->tokens[DT_TRAIN] - 1);
    free(seen);
    dt_text_destroy(&found);
    dt_text_destroy(&wanted);
}

static void an_epoch_has_each_window_once(void **state) {
    (void)state;
    enum { NUMBERS = 3000 };
    size = 0;
    for (unsigned i = 0; i < NUMBERS; i++)
        size += (size_t)sprintf(text + size, "%u ", i * 2654435761u);
    write_file(text, size);
    dt_config config;
    dt_source source;
    dt_config_defaults(&config);
    strcpy(config.text, path);
    config.context = 100;
    assert_int_equal(dt_source_check(&config), DT_OK);
    assert_int_equal(dt_source_settle(&config), DT_OK);
    assert_int_equal(config.positions, DT_POSITIONS_INDEX);
    assert_int_equal(config.metric, DT_METRIC_LOSS);
    assert_int_equal(dt_source_open(&source, &config, NULL), DT_OK);
    const size_t windows = (size_t)config.train_examples;
    uint64_t *first = calloc(windows, sizeof *first), *second = calloc(windows, sizeof *second);
    assert_true(windows > 200);
    expect_epoch(&source, 0, first);
    expect_epoch(&source, 1, second);
    assert_memory_not_equal(first, second, windows * sizeof *first);
    free(first);
    free(second);
    dt_source_close(&source);
}

static void settings_left_open_are_settled(void **state) {
    (void)state;
    dt_config config;
    write_text(false);
    dt_config_defaults(&config);
    strcpy(config.text, path);
    assert_int_equal(dt_source_size(&config).longest, 256);
    assert_int_equal(dt_source_settle(&config), DT_OK);
    assert_int_equal(config.context, 256);
    const dt_config once = config;
    assert_int_equal(dt_source_settle(&config), DT_OK);
    assert_memory_equal(&config, &once, sizeof config);
    strcpy(config.train_file, "lines.txt");
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    config.train_file[0] = '\0';
    strcpy(config.tokenizer, "words");
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    strcpy(config.tokenizer, "bytes");
    config.positions = DT_POSITIONS_NONE;
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
}

/* ---- vocabularies ---- */

static void vocabularies_have_all_tokens(void **state) {
    (void)state;
    static const char bytes[] = "b\xc3\xa4\n\xe7\x8c\xab"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const char *const wanted[] = {"\n", "a", "b", "ä", "猫"};
    dt_tokenizer *tokenizer;
    write_file(bytes, sizeof bytes - 1);
    dt_windows *windows = open_windows(4, DT_TOKENS_CHARACTERS);
    assert_int_equal(dt_windows_tokenizer(&tokenizer, windows), DT_OK);
    assert_int_equal(dt_tokenizer_size(tokenizer), 5);
    for (int32_t i = 0; i < 5; i++)
        assert_string_equal(dt_tokenizer_token(tokenizer, i), wanted[i]);
    dt_tokenizer_destroy(&tokenizer);
    dt_windows_close(&windows);
    windows = open_windows(4, DT_TOKENS_BYTES);
    assert_int_equal(dt_windows_tokenizer(&tokenizer, windows), DT_OK);
    assert_int_equal(dt_tokenizer_size(tokenizer), 255);
    assert_string_equal(dt_tokenizer_token(tokenizer, 0), "\n");
    for (int byte = 1; byte < 256; byte++) {
        const char one[2] = {(char)byte, '\0'};
        int32_t id;
        size_t count;
        assert_int_equal(dt_tokenizer_encode(&id, 1, &count, tokenizer, one), DT_OK);
    }
    dt_tokenizer_destroy(&tokenizer);
    dt_windows_close(&windows);
}

/* ---- bad texts ---- */

static void expect_bad(const char *bytes, size_t count, dt_text_tokens unit, const char *words) {
    dt_windows *windows;
    write_file(bytes, count);
    assert_int_equal(dt_windows_open(&windows, path, 8, unit), DT_ERR_DATA);
    assert_null(windows);
    if (!strstr(dt_error_text(), words)) fail_msg("\"%s\" without %s", dt_error_text(), words);
}

static void bad_texts_are_named(void **state) {
    (void)state;
    static char bad[3 << 20];
    expect_bad("", 0, DT_TOKENS_CHARACTERS, "has 0 tokens to train on");
    expect_bad("abcdefg", 7, DT_TOKENS_CHARACTERS, "has 7 tokens to train on, and a window has 8");
    expect_bad("ab\ncaf\xe9 und mehr", 16, DT_TOKENS_CHARACTERS, ":2: byte 4 (0xe9)");
    expect_bad("ab\nc\0f", 6, DT_TOKENS_BYTES, ":2: byte 2 (0x00)");
    /* in any block, across blocks, in any part */
    memset(bad, 'a', sizeof bad);
    for (size_t at = 99; at < sizeof bad; at += 100) bad[at] = '\n';
    const size_t where[] = {(1 << 20) - 1, 1 << 20, (2 << 20) + 17, sizeof bad - 200,
                            sizeof bad - 1};
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        char words[64];
        const char was = bad[where[i]];
        bad[where[i]] = '\xc3';
        snprintf(words, sizeof words, ":%zu: byte %zu (0xc3)", where[i] / 100 + 1,
                 where[i] % 100 + 1);
        expect_bad(bad, sizeof bad, DT_TOKENS_CHARACTERS, words);
        bad[where[i]] = was;
    }
}

static void a_text_that_changes_is_noticed(void **state) {
    (void)state;
    dt_text window = {0};
    write_text(false);
    dt_windows *windows = open_windows(64, DT_TOKENS_CHARACTERS);
    assert_int_equal(dt_windows_read(&window, windows, DT_TRAIN, 0), DT_OK);
    usleep(20000);          /* the clock of a file system may be that coarse */
    write_file(text, size); /* another time of change alone is accepted */
    assert_int_equal(dt_windows_read(&window, windows, DT_TRAIN, 1), DT_OK);
    usleep(20000);
    text[size - 1] ^= 1;
    write_file(text, size);
    assert_int_equal(dt_windows_read(&window, windows, DT_TRAIN, 2), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "has been written to"));
    dt_text_destroy(&window);
    dt_windows_close(&windows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_the_whole_text),
        cmocka_unit_test(an_epoch_has_each_window_once),
        cmocka_unit_test(settings_left_open_are_settled),
        cmocka_unit_test(vocabularies_have_all_tokens),
        cmocka_unit_test(bad_texts_are_named),
        cmocka_unit_test(a_text_that_changes_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
