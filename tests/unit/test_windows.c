/* Windows of running text: together they give the text, part by part, and each is read once per
 * epoch; errors name bad texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/utf8.h"
#include "dtrain/data/source.h"
#include "dtrain/text/windows.h"

static char path[] = "/tmp/dtrain-windows.XXXXXX";
static char folder[] = "/tmp/dtrain-windows.XXXXXX";

static int make_file(void **state) {
    (void)state;
    const int file = mkstemp(path);
    if (!mkdtemp(folder)) return -1;
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return unlink(path) || system(command);
}

static void write_file(const char *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

/* Nothing is kept. */
static dt_config settings(const char *tokenizer) {
    dt_config config;
    dt_config_defaults(&config);
    strcpy(config.text, path);
    strcpy(config.tokenizer, tokenizer);
    config.out[0] = '\0';
    return config;
}

static dt_windows *open_windows(size_t context, const char *tokenizer) {
    const dt_config config = settings(tokenizer);
    dt_windows *windows;
    if (dt_windows_open(&windows, &config, NULL, context, true) != DT_OK)
        fail_msg("%s", dt_error_text());
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

static size_t tokens_in(const char *bytes, const char *tokenizer) {
    return strcmp(tokenizer, "bytes") == 0 ? strlen(bytes) : dt_utf8_count(bytes);
}

/* Joins the windows of a part; the token that two windows share appears once. */
static size_t join_part(char *joined, dt_windows *windows, dt_split split, size_t context,
                        const char *tokenizer) {
    const dt_windows_facts *facts = dt_windows_about(windows);
    dt_text window = {0};
    size_t length = 0;
    for (uint64_t i = 0; i < facts->windows[split]; i++) {
        assert_int_equal(dt_windows_read(&window, windows, split, 0, i), DT_OK);
        assert_int_equal(window.length, strlen(window.bytes));
        const size_t tokens = tokens_in(window.bytes, tokenizer);
        assert_int_equal(tokens, dt_windows_length(windows, split, 0, i));
        assert_int_equal(tokens, window.ids);
        assert_true(tokens == context || (i + 1 == facts->windows[split] && tokens >= 2));
        if (i > 0) {
            length -= window.prompt_length;
            assert_memory_equal(joined + length, window.bytes, window.prompt_length);
        }
        memcpy(joined + length, window.bytes, window.length);
        length += window.length;
    }
    joined[length] = '\0';
    assert_int_equal(tokens_in(joined, tokenizer), facts->tokens[split]);
    dt_text_destroy(&window);
    return length;
}

static void expect_whole(size_t context, const char *tokenizer, size_t mark) {
    static char joined[sizeof text];
    dt_windows *windows = open_windows(context, tokenizer);
    size_t length = 0, held_out = 0;
    for (int split = 0; split < DT_SPLITS; split++) {
        const size_t part =
            join_part(joined + length, windows, (dt_split)split, context, tokenizer);
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
        expect_whole(context[i], "chars", 0);
        expect_whole(context[i], "bytes", 0);
    }
    write_text(true);
    expect_whole(100, "chars", 3);
}

/* ---- epochs ---- */

/* Where in the training part a window stands: a short one is the first or the last of its epoch. */
static size_t find_in_text(const dt_text *window, size_t context, size_t tokens) {
    if (window->length < context) {
        if (strncmp(window->bytes, text, window->length) == 0) return 0;
        const size_t begin = tokens - window->length;
        assert_memory_equal(window->bytes, text + begin, window->length);
        return begin;
    }
    assert_int_equal(window->length, context);
    const char *found = strstr(text, window->bytes);
    assert_non_null(found);
    assert_null(strstr(found + 1, window->bytes));
    return (size_t)(found - text);
}

/* Each token but the first is predicted once. Returns where the second window begins, and where
 * each begins in the order of training. */
static size_t expect_epoch(const dt_source *source, uint64_t epoch, size_t *order) {
    const uint64_t windows = (uint64_t)source->config.train_examples;
    const size_t tokens = (size_t)dt_windows_about(source->data)->tokens[DT_TRAIN];
    const size_t context = (size_t)source->config.context;
    dt_text found = {0}, unused = {0};
    uint8_t *predicted = calloc(tokens, 1);
    size_t second = tokens;
    for (uint64_t i = 0; i < windows; i++) {
        uint32_t length;
        const uint64_t position = epoch * windows + i;
        assert_int_equal(source->kind->train(&found, source, position), DT_OK);
        assert_int_equal(source->kind->train_length(&length, &unused, source, position), DT_OK);
        assert_int_equal(length + 1, found.length);
        const size_t begin = order[i] = find_in_text(&found, context, tokens);
        for (size_t k = 1; k < found.length; k++) assert_int_equal(predicted[begin + k]++, 0);
        if (begin > 0 && begin < second) second = begin;
    }
    for (size_t k = 1; k < tokens; k++) assert_int_equal(predicted[k], 1);
    for (uint64_t i = 0; i < windows; i++)
        assert_true(order[i] == 0 || order[i] % (context - 1) == second % (context - 1));
    free(predicted);
    dt_text_destroy(&found);
    dt_text_destroy(&unused);
    return second;
}

/* Epochs of windows of so many tokens begin at so many places at least, and have as many windows.
 */
static uint64_t expect_epochs(size_t context, uint64_t epochs, size_t fewest) {
    enum { NUMBERS = 3000 };
    size = 0;
    for (unsigned i = 0; i < NUMBERS; i++)
        size += (size_t)sprintf(text + size, "%u ", i * 2654435761u);
    write_file(text, size);
    dt_config config = settings("chars");
    dt_source source;
    config.context = (int64_t)context;
    assert_int_equal(dt_source_check(&config), DT_OK);
    assert_int_equal(dt_source_settle(&config, NULL), DT_OK);
    assert_int_equal(config.positions, DT_POSITIONS_INDEX);
    assert_int_equal(config.metric, DT_METRIC_LOSS);
    assert_int_equal(dt_source_open(&source, &config, NULL), DT_OK);
    const size_t windows = (size_t)config.train_examples;
    size_t *first = calloc(windows, sizeof *first), *other = calloc(windows, sizeof *other);
    uint8_t *begun = calloc(context, 1);
    size_t begins = 0;
    expect_epoch(&source, 0, first);
    for (uint64_t epoch = 1; epoch < epochs; epoch++) {
        const size_t second = expect_epoch(&source, epoch, other);
        assert_memory_not_equal(first, other, windows * sizeof *first);
        assert_in_range(second, 1, context - 1);
        begins += !begun[second];
        begun[second] = 1;
    }
    if (begins < fewest) fail_msg("%zu begins with a context of %zu", begins, context);
    /* A part of the windows is the same in each epoch. */
    const uint64_t part = windows / 2;
    source.config.train_examples = (int64_t)part;
    dt_text once = {0}, again = {0};
    for (uint64_t i = 0; i < part; i++) {
        size_t found = 0;
        assert_int_equal(source.kind->train(&once, &source, i), DT_OK);
        for (uint64_t k = part; k < 2 * part; k++) {
            assert_int_equal(source.kind->train(&again, &source, k), DT_OK);
            found += strcmp(once.bytes, again.bytes) == 0;
        }
        assert_int_equal(found, 1);
    }
    const uint64_t more = windows - dt_windows_about(source.data)->windows[DT_TRAIN];
    assert_in_range(more, 0, 1);
    dt_text_destroy(&once);
    dt_text_destroy(&again);
    free(begun);
    free(first);
    free(other);
    dt_source_close(&source);
    return more;
}

/* In the last window much is missing, or little. */
static void an_epoch_predicts_each_token_once(void **state) {
    (void)state;
    uint64_t more = 0;
    for (size_t context = 96; context < 104; context++) more += expect_epochs(context, 5, 2);
    assert_in_range(more, 1, 7);
    expect_epochs(100, 40, 15);
    assert_int_equal(expect_epochs(20000, 10, 5), 0); /* two windows, of which one lacks much */
    assert_int_equal(expect_epochs(14600, 10, 5), 0); /* the same, and little */
    dt_windows *windows = open_windows(2, "chars");   /* of one token to predict */
    const dt_windows_facts *facts = dt_windows_about(windows);
    assert_int_equal(facts->moved_windows, facts->windows[DT_TRAIN]);
    for (uint64_t epoch = 0; epoch < 10; epoch++)
        assert_int_equal(dt_windows_back(windows, 1, epoch), 0);
    dt_windows_close(&windows);
}

/* A run that has begun without the setting goes on as it did. */
static void windows_stay_where_they_were(void **state) {
    (void)state;
    dt_config config = settings("chars");
    dt_source source;
    write_text(false);
    for (config.context = 90; config.context < 98; config.context++) {
        config.windows = DT_WINDOWS_AUTO;
        config.train_examples = 0;
        config.train_digest[0] = '\0';
        assert_int_equal(dt_source_settle(&config, NULL), DT_OK);
        assert_int_equal(config.windows, DT_WINDOWS_MOVED);
        config.windows = DT_WINDOWS_AUTO;
        config.train_examples = 0;
        assert_int_equal(dt_source_settle(&config, NULL), DT_OK);
        assert_int_equal(config.windows, DT_WINDOWS_AUTO);
        for (int as = DT_WINDOWS_AUTO; as <= DT_WINDOWS_FIXED; as++) {
            config.windows = as;
            assert_int_equal(dt_source_open(&source, &config, NULL), DT_OK);
            const uint64_t count = dt_windows_about(source.data)->windows[DT_TRAIN];
            dt_text window = {0};
            uint64_t whole = 0;
            assert_int_equal(config.train_examples, count);
            for (uint64_t i = 0; i < 2 * count; i++) {
                assert_int_equal(source.kind->train(&window, &source, i), DT_OK);
                whole += window.ids == (size_t)config.context;
            }
            assert_in_range(whole, 2 * count - 2, 2 * count);
            dt_text_destroy(&window);
            dt_source_close(&source);
        }
    }
}

static void settings_left_open_are_settled(void **state) {
    (void)state;
    dt_config config = settings("chars");
    write_text(false);
    assert_int_equal(dt_source_size(&config).longest, 256);
    assert_int_equal(dt_source_settle(&config, NULL), DT_OK);
    assert_int_equal(config.context, 256);
    const dt_config once = config;
    assert_int_equal(dt_source_settle(&config, NULL), DT_OK);
    assert_memory_equal(&config, &once, sizeof config);
    strcpy(config.train_file, "lines.txt");
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    config.train_file[0] = '\0';
    strcpy(config.tokenizer, "words"); /* a file, which a run that has begun needs no more */
    assert_int_equal(dt_source_check(&config), DT_OK);
    config.train_digest[0] = '\0';
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    static const char *const wrong[] = {"bpe:", "bpe:256", "bpe:1x", "bpe:2000000", "bpe:-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        strcpy(config.tokenizer, wrong[i]);
        assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    }
    strcpy(config.tokenizer, "bpe:257");
    assert_int_equal(dt_source_check(&config), DT_OK);
    strcpy(config.tokenizer, "bytes");
    config.positions = DT_POSITIONS_NONE;
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
}

/* ---- vocabularies ---- */

static void vocabularies_have_all_tokens(void **state) {
    (void)state;
    static const char bytes[] = "b\xc3\xa4\n\xe7\x8c\xab"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const char *const wanted[] = {"\n", "\t", "a", "b", "ä", "猫"};
    dt_tokenizer *tokenizer;
    write_file(bytes, sizeof bytes - 1);
    dt_windows *windows = open_windows(4, "chars");
    assert_int_equal(dt_windows_tokenizer(&tokenizer, windows), DT_OK);
    assert_int_equal(dt_tokenizer_size(tokenizer), 6);
    for (int32_t i = 0; i < 6; i++)
        assert_string_equal(dt_tokenizer_token(tokenizer, i), wanted[i]);
    dt_tokenizer_destroy(&tokenizer);
    dt_windows_close(&windows);
    windows = open_windows(4, "bytes");
    assert_int_equal(dt_windows_tokenizer(&tokenizer, windows), DT_OK);
    assert_int_equal(dt_tokenizer_size(tokenizer), 255);
    assert_string_equal(dt_tokenizer_token(tokenizer, 0), "\n");
    for (int byte = 1; byte < 256; byte++) {
        const char one[2] = {(char)byte, '\0'};
        int32_t id;
        size_t count;
        assert_int_equal(dt_tokenizer_encode(&id, 1, &count, tokenizer, one, 1), DT_OK);
    }
    dt_tokenizer_destroy(&tokenizer);
    dt_windows_close(&windows);
}

/* ---- bad texts ---- */

static void expect_bad(const char *bytes, size_t count, const char *tokenizer, const char *words) {
    const dt_config config = settings(tokenizer);
    dt_windows *windows;
    write_file(bytes, count);
    assert_int_equal(dt_windows_open(&windows, &config, NULL, 8, true), DT_ERR_DATA);
    assert_null(windows);
    if (!strstr(dt_error_text(), words)) fail_msg("\"%s\" without %s", dt_error_text(), words);
}

/* A text shorter than a window has one, unless nothing is to be predicted in it. */
static void short_texts_have_what_they_have(void **state) {
    (void)state;
    const dt_config config = settings("chars");
    static const struct {
        const char *text;
        uint64_t tokens, windows;
    } known[] = {{"", 0, 0}, {"a", 1, 0}, {"ab", 2, 1}, {"abcdefg", 7, 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        dt_windows *windows;
        write_file(known[i].text, strlen(known[i].text));
        assert_int_equal(dt_windows_open(&windows, &config, NULL, 8, true), DT_OK);
        assert_int_equal(dt_windows_about(windows)->tokens[DT_TRAIN], known[i].tokens);
        assert_int_equal(dt_windows_about(windows)->windows[DT_TRAIN], known[i].windows);
        dt_windows_close(&windows);
    }
}

static void bad_texts_are_named(void **state) {
    (void)state;
    static char bad[3 << 20];
    expect_bad("ab\ncaf\xe9 und mehr", 16, "chars", ":2: byte 4 (0xe9)");
    expect_bad("ab\nc\0f", 6, "chars", ":2: byte 2 (0x00)");
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
        expect_bad(bad, sizeof bad, "chars", words);
        bad[where[i]] = was;
    }
}

/* ---- files of tokens ---- */

static size_t files_in(const char *of) {
    char command[256], line[32] = "";
    snprintf(command, sizeof command, "find %s -type f 2>/dev/null | wc -l", of);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    return strtoul(line, NULL, 10);
}

static dt_config kept_settings(const char *tokenizer) {
    dt_config config = settings(tokenizer);
    strcpy(config.out, folder);
    config.context = 64;
    return config;
}

static void expect_settled(dt_config *config) {
    if (dt_source_settle(config, NULL) != DT_OK) fail_msg("%s", dt_error_text());
}

static void expect_windows(const dt_config *config, const dt_tokenizer *tokenizer,
                           const char *first) {
    dt_windows *windows;
    dt_text window = {0};
    if (dt_windows_open(&windows, config, tokenizer, 64, false) != DT_OK)
        fail_msg("%s", dt_error_text());
    assert_int_equal(dt_windows_read(&window, windows, DT_TRAIN, 0, 0), DT_OK);
    assert_int_equal(window.ids, 64);
    assert_memory_equal(window.bytes, first, window.length);
    dt_text_destroy(&window);
    dt_windows_close(&windows);
}

static void tokens_are_computed_once(void **state) {
    (void)state;
    write_text(false);
    dt_config config = kept_settings("chars");
    expect_settled(&config);
    assert_int_equal(files_in(folder), 1);
    /* The text's files are not read: other bytes with the same size and time are not seen. */
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    char *other = calloc(size, 1);
    write_file(other, size);
    free(other);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    expect_windows(&config, NULL, text);
    /* A later start reads them. */
    assert_int_equal(dt_source_settle(&config, NULL), DT_ERR_DATA);
    write_file(text, size);
    expect_windows(&config, NULL, text);
    expect_settled(&config);
    assert_int_equal(files_in(folder), 1);
    /* With a vocabulary that has more, another file is made, and with its own none. */
    dt_windows *windows;
    dt_tokenizer *own, *more;
    assert_int_equal(dt_windows_open(&windows, &config, NULL, 64, false), DT_OK);
    assert_int_equal(dt_windows_tokenizer(&own, windows), DT_OK);
    dt_windows_close(&windows);
    const char *token[64];
    const size_t count = dt_tokenizer_size(own);
    for (size_t i = 0; i < count; i++) token[i] = dt_tokenizer_token(own, (int32_t)i);
    token[count] = "?";
    assert_int_equal(dt_tokenizer_restore(&more, token, count + 1), DT_OK);
    expect_windows(&config, own, text);
    assert_int_equal(files_in(folder), 1);
    expect_windows(&config, more, text);
    assert_int_equal(files_in(folder), 2);
    /* A vocabulary that lacks a character names the first. */
    dt_tokenizer_destroy(&more);
    assert_int_equal(dt_tokenizer_restore(&more, token, count - 1), DT_OK);
    assert_int_equal(dt_windows_open(&windows, &config, more, 64, false), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "is no token of the model's vocabulary"));
    assert_int_equal(files_in(folder), 2);
    dt_tokenizer_destroy(&more);
    dt_tokenizer_destroy(&own);
}

static void a_text_that_changes_is_noticed(void **state) {
    (void)state;
    write_text(false);
    dt_config config = kept_settings("bytes");
    dt_windows *windows;
    expect_settled(&config);
    text[size - 1] ^= 1;
    usleep(20000); /* the clock of a file system may be that coarse */
    write_file(text, size);
    assert_int_equal(dt_source_settle(&config, NULL), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "is not the text that the run learns from"));
    assert_int_equal(dt_windows_open(&windows, &config, NULL, 64, false), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "is not the text that the run learns from"));
}

/* What a process that was killed has left, or a damaged file, is not taken for whole. */
static void only_whole_files_are_read(void **state) {
    (void)state;
    char command[256];
    write_text(false);
    dt_config config = kept_settings("chars");
    expect_settled(&config);
    const char *const damage[] = {
        "for f in %s/tokens/*; do truncate -s -2 $f; done",
        "for f in %s/tokens/*; do truncate -s 100 $f; done",
        "for f in %s/tokens/*; do n=${f##*/}; mv $f ${f%%/*}/.$n.tmp; done",
        "for f in %s/tokens/*; do printf x | dd of=$f bs=1 seek=64 conv=notrunc 2>/dev/null; done",
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        snprintf(command, sizeof command, damage[i], folder);
        assert_int_equal(system(command), 0);
        expect_windows(&config, NULL, text);
    }
    /* An id that is none. */
    snprintf(command, sizeof command,
             "for f in %s/tokens/*; do printf '\\377\\377' | dd of=$f bs=1 seek=4096 conv=notrunc "
             "2>/dev/null; done",
             folder);
    assert_int_equal(system(command), 0);
    dt_windows *windows;
    dt_text window = {0};
    assert_int_equal(dt_windows_open(&windows, &config, NULL, 64, false), DT_OK);
    assert_int_equal(dt_windows_read(&window, windows, DT_TRAIN, 0, 0), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "is damaged"));
    dt_text_destroy(&window);
    dt_windows_close(&windows);
}

/* ---- documents ---- */

static void documents_end_with_a_token(void **state) {
    (void)state;
    static const char bytes[] = "<|endoftext|>\r\nab\ncd\n<|endoftext|>\n\n <|endoftext|>\n"
                                "<|endoftext|>e\n<|endoftext|>\n<|endoftext|>\nlast<|endoftext|>";
    static const char wanted[] =
        "\x01"
        "ab\ncd\n\x01\n <|endoftext|>\n<|endoftext|>e\n\x01last<|endoftext|>";
    dt_config config = settings("bytes");
    dt_windows *windows;
    dt_text window = {0};
    char found[sizeof bytes];
    size_t length = 0;
    write_file(bytes, sizeof bytes - 1);
    if (dt_windows_open(&windows, &config, NULL, 8, true) != DT_OK) fail_msg("%s", dt_error_text());
    assert_int_equal(dt_windows_about(windows)->documents, 3);
    dt_tokenizer *tokenizer;
    assert_int_equal(dt_windows_tokenizer(&tokenizer, windows), DT_OK);
    assert_int_equal(dt_tokenizer_end(tokenizer), 255);
    for (uint64_t i = 0; i < dt_windows_about(windows)->windows[DT_TRAIN]; i++) {
        assert_int_equal(dt_windows_read(&window, windows, DT_TRAIN, 0, i), DT_OK);
        for (size_t k = i > 0; k < window.ids; k++)
            found[length++] =
                window.id[k] == 255 ? '\x01' : dt_tokenizer_token(tokenizer, window.id[k])[0];
    }
    found[length] = '\0';
    /* The last twentieths are other parts. */
    assert_in_range(length, 30, strlen(wanted));
    assert_memory_equal(found, wanted, length);
    dt_text_destroy(&window);
    dt_tokenizer_destroy(&tokenizer);
    dt_windows_close(&windows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_the_whole_text),
        cmocka_unit_test(an_epoch_predicts_each_token_once),
        cmocka_unit_test(windows_stay_where_they_were),
        cmocka_unit_test(settings_left_open_are_settled),
        cmocka_unit_test(vocabularies_have_all_tokens),
        cmocka_unit_test(short_texts_have_what_they_have),
        cmocka_unit_test(bad_texts_are_named),
        cmocka_unit_test(tokens_are_computed_once),
        cmocka_unit_test(a_text_that_changes_is_noticed),
        cmocka_unit_test(only_whole_files_are_read),
        cmocka_unit_test(documents_end_with_a_token),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
