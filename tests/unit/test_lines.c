/* Lines of a file: all are found, each in its split, in a new order in each epoch; errors name bad
 * lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/data/source.h"
#include "dtrain/text/lines.h"

static char path[] = "/tmp/dtrain-lines.XXXXXX";

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

static dt_lines *open_lines(size_t context) {
    dt_lines *lines;
    if (dt_lines_open(&lines, path, context, NULL) != DT_OK) fail_msg("%s", dt_error_text());
    return lines;
}

static size_t all_lines(const dt_lines *lines) {
    const size_t *count = dt_lines_about(lines)->lines;
    return count[DT_TRAIN] + count[DT_VALIDATION] + count[DT_TEST];
}

/* ---- many lines, compared with a list in memory ---- */

enum { MANY = 60000, LONGEST = 64 };

/* The expected lines, sorted, each with the number of times it was found in each split. */
static struct {
    char text[LONGEST];
    size_t wanted, found[DT_SPLITS];
} many[MANY];
static size_t different;

static int compare_texts(const void *x, const void *y) { return strcmp(x, y); }

/* Lines of many lengths, with characters of one to four bytes, some of them twice; more than a
 * megabyte, so that blocks end at all kinds of bytes. */
static void write_many(void) {
    static char bytes[MANY * (LONGEST + 2)];
    size_t length = 0;
    for (size_t i = 0; i < MANY; i++) {
        char *text = many[i].text;
        const size_t number = i % 13 == 0 ? i / 2 : i;
        const int used = snprintf(text, LONGEST, "%zu ä%.*s\t猫%zu𝄞", number * 7919,
                                  (int)(number % 20), "abcdefghijklmnopqrst", number);
        assert_true(used > 0 && used < LONGEST);
        many[i].wanted = 1;
        memcpy(bytes + length, text, (size_t)used);
        length += (size_t)used;
        if (i % 5 == 0) bytes[length++] = '\r';
        bytes[length++] = '\n';
    }
    assert_true(length > 2 << 20);
    write_file(bytes, length - 1); /* the last line has no end */
    qsort(many, MANY, sizeof *many, compare_texts);
    different = 0;
    for (size_t i = 0; i < MANY; i++) {
        if (different > 0 && strcmp(many[different - 1].text, many[i].text) == 0) {
            many[different - 1].wanted++;
        } else {
            many[different++] = many[i];
        }
    }
    assert_true(different < MANY);
}

static void count_lines(dt_lines *lines, dt_split split) {
    dt_text read = {0};
    for (size_t i = 0; i < dt_lines_about(lines)->lines[split]; i++) {
        assert_int_equal(dt_lines_read(&read, lines, split, i), DT_OK);
        char *text = read.bytes;
        const size_t length = strlen(text);
        assert_int_equal(read.length, length);
        assert_int_equal(text[length - 1], '\n');
        text[length - 1] = '\0';
        assert_int_equal(read.prompt_length, strchr(text, '\t') - text + 1);
        size_t *found = NULL;
        const void *at = bsearch(text, many, different, sizeof *many, compare_texts);
        if (at)
            found = many[((const char *)at - (const char *)many) / (ptrdiff_t)sizeof *many].found;
        if (!found) fail_msg("no such line: %s", text);
        found[split]++;
    }
    dt_text_destroy(&read);
}

static void every_line_is_in_one_split(void **state) {
    (void)state;
    write_many();
    dt_lines *lines = open_lines(0);
    for (int split = 0; split < DT_SPLITS; split++) count_lines(lines, (dt_split)split);
    for (size_t i = 0; i < different; i++) {
        const size_t *found = many[i].found;
        assert_int_equal(found[0] + found[1] + found[2], many[i].wanted);
        assert_true(found[0] == many[i].wanted || found[1] == many[i].wanted ||
                    found[2] == many[i].wanted);
    }
    const dt_lines_facts *facts = dt_lines_about(lines);
    assert_int_equal(all_lines(lines), MANY);
    assert_int_equal(facts->answers, MANY);
    assert_in_range(facts->lines[DT_VALIDATION], MANY / 20 - 300, MANY / 20 + 300);
    assert_in_range(facts->lines[DT_TEST], MANY / 20 - 300, MANY / 20 + 300);
    dt_lines_close(&lines);
    assert_null(lines);
}

/* ---- facts about a file ---- */

static void facts_are_counted(void **state) {
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "12345 years\r\n"
                               "帰る\t1999年\n"
                               "𝄞\n"
                               "帰る\t1999年\n"
                               "to be or not to be";
    write_file(text, strlen(text));
    dt_lines *lines = open_lines(0);
    const dt_lines_facts *facts = dt_lines_about(lines);
    assert_int_equal(facts->bytes, strlen(text));
    assert_int_equal(all_lines(lines), 5);
    assert_int_equal(facts->answers, 2);
    assert_int_equal(facts->longest, strlen("to be or not to be") + 2);
    assert_int_equal(facts->places, 6);
    size_t seen = 0;
    dt_text read = {0};
    for (int split = 0; split < DT_SPLITS; split++) {
        for (size_t i = 0; i < facts->lines[split]; i++) {
            assert_int_equal(dt_lines_read(&read, lines, (dt_split)split, i), DT_OK);
            const char *line = read.bytes;
            const size_t given = read.prompt_length;
            if (strcmp(line, "\n12345 years\n") == 0 && given == 1) seen |= 1;
            if (strcmp(line, "帰る\t1999年\n") == 0 && given == strlen("帰る\t")) seen |= 2;
            if (strcmp(line, "\n𝄞\n") == 0 && given == 1) seen |= 4;
            if (strcmp(line, "\nto be or not to be\n") == 0 && given == 1) seen |= 8;
        }
    }
    assert_int_equal(seen, 15);
    dt_text_destroy(&read);
    dt_lines_close(&lines);
}

static void the_vocabulary_is_what_occurs(void **state) {
    (void)state;
    static const char text[] = "猫ba𝄞\tä\nab\n~猫猫\n";
    static const char *const expected[] = {"\n", "\t", "a", "b", "~", "ä", "猫", "𝄞"};
    dt_tokenizer *tokenizer;
    write_file(text, strlen(text));
    dt_lines *lines = open_lines(0);
    assert_int_equal(dt_lines_tokenizer(&tokenizer, lines), DT_OK);
    assert_int_equal(dt_tokenizer_size(tokenizer), 8);
    for (int32_t i = 0; i < 8; i++)
        assert_string_equal(dt_tokenizer_token(tokenizer, i), expected[i]);
    dt_tokenizer_destroy(&tokenizer);
    dt_lines_close(&lines);
}

/* Line ends of all systems, mixed, and empty lines, which are not texts: the lines equal those of
 * the same file with one kind of end. */
static void ends_and_empty_lines(void **state) {
    (void)state;
    enum { LINES = 400 };
    static char mixed[LINES * 16], plain[LINES * 16];
    static const char *const end[] = {"\n",   "\r\n",     "\r\r\n",      "\r",
                                      "\n\n", "\r\n\r\n", "\r\r\n\r\r\n"};
    enum { ENDS = sizeof end / sizeof *end };
    size_t mixed_size = 0, plain_size = 0, empty = 0;
    for (size_t i = 0; i < LINES; i++) {
        const size_t kind = i * 7919 % 31 % ENDS;
        mixed_size += (size_t)sprintf(mixed + mixed_size, "line %zu%s", i, end[kind]);
        plain_size += (size_t)sprintf(plain + plain_size, "line %zu\n", i);
        empty += kind >= 4;
    }
    dt_lines *lines[2];
    dt_text text[2] = {{0}};
    write_file(plain, plain_size);
    lines[0] = open_lines(0);
    char *const kept = strdup(path);
    snprintf(path, sizeof path, "/tmp/dtrain-lines.XXXXXX");
    assert_int_equal(make_file(NULL), 0);
    write_file(mixed, mixed_size);
    lines[1] = open_lines(0);
    assert_int_equal(dt_lines_about(lines[0])->empty, 0);
    assert_int_equal(dt_lines_about(lines[1])->empty, empty);
    assert_true(empty > 0 && dt_lines_about(lines[1])->differ);
    assert_int_equal(all_lines(lines[1]), LINES);
    for (int split = 0; split < DT_SPLITS; split++) {
        const size_t count = dt_lines_about(lines[0])->lines[split];
        assert_int_equal(dt_lines_about(lines[1])->lines[split], count);
        for (size_t i = 0; i < count; i++) {
            for (int k = 0; k < 2; k++)
                assert_int_equal(dt_lines_read(&text[k], lines[k], (dt_split)split, i), DT_OK);
            assert_string_equal(text[0].bytes, text[1].bytes);
        }
    }
    for (int k = 0; k < 2; k++) {
        dt_text_destroy(&text[k]);
        dt_lines_close(&lines[k]);
    }
    unlink(path);
    memcpy(path, kept, sizeof path);
    free(kept);
}

static void equal_lines_are_noticed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool differ;
    } cases[] = {{"x\n", false},
                 {"x\nx\r\nx", false},
                 {"x\n\n\nx\n", false},
                 {"x\nc\n", true},
                 {"x\nxx\n", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(cases[i].text, strlen(cases[i].text));
        dt_lines *lines = open_lines(0);
        assert_int_equal(dt_lines_about(lines)->differ, cases[i].differ);
        dt_lines_close(&lines);
    }
}

/* ---- bad lines ---- */

static void bad_lines_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"a\nb\tc\td\n", ":2:4: 2 tabs"},
        {"a\n\tb\n", ":2:1: there is no prompt"},
        {"a\nb\t\n", ":2:3: there is no answer"},
        {"a\nb\t\r\n", ":2:3: there is no answer"},
        {"ab\xff\n", ":1:3: byte 3 (0xff)"},
        {"a\n猫\xe7\x8c\n", ":2:2: byte 4 (0xe7)"},
        {"a\n\xc0\x80\n", ":2:1: byte 1 (0xc0)"},      /* overlong NUL */
        {"\xe0\x9f\xbf\n", ":1:1: byte 1 (0xe0)"},     /* overlong U+07FF */
        {"\xed\xa0\x80\n", ":1:1: byte 1 (0xed)"},     /* a surrogate */
        {"\xf4\x90\x80\x80\n", ":1:1: byte 1 (0xf4)"}, /* beyond U+10FFFF */
        {"\xf0\x8f\xbf\xbf\n", ":1:1: byte 1 (0xf0)"}, /* overlong U+FFFF */
        {"\xf5\x80\x80\x80\n", ":1:1: byte 1 (0xf5)"},
        {"x\x80\n", ":1:2: byte 2 (0x80)"},
        {"123456789\n", ":1:9: the line needs 11 tokens, and --context has room for 10"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dt_lines *lines;
        write_file(bad[i].text, strlen(bad[i].text));
        assert_int_equal(dt_lines_open(&lines, path, 10, NULL), DT_ERR_DATA);
        assert_null(lines);
        const char *said = strstr(dt_error_text(), path);
        if (!said || strncmp(said + strlen(path), bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("%s: %s", bad[i].says, dt_error_text());
    }
}

static void what_just_fits_is_taken(void **state) {
    (void)state;
    static const char *const good[] = {"12345678\n", "1234\t678\n",
                                       "\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\n",
                                       "a b\x7f\r\r\n", "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        /* Other lines are needed, to have some to train on. */
        char text[200];
        const int used = snprintf(text, sizeof text, "x\nyy\nzzz\nxx\n%s", good[i]);
        write_file(text, (size_t)used);
        dt_lines *lines = open_lines(10);
        assert_int_equal(all_lines(lines), 5);
        dt_lines_close(&lines);
    }
}

/* With a vocabulary that is given, prompt, tab, answer and end are read one by one. */
static void a_given_vocabulary_reads_lines(void **state) {
    (void)state;
    static const char *const token[] = {"\n", "\t", "a", "b", "ab", "b\t", "\ta", "b\n", "\na"};
    static const struct {
        const char *line;
        int32_t id[8];
        size_t count;
    } known[] = {{"ab\tab\n", {4, 1, 4, 0}, 4},
                 {"aab\tba\n", {2, 4, 1, 3, 2, 0}, 6},
                 {"abab\n", {0, 4, 4, 0}, 4},
                 {"b\tab\n", {3, 1, 4, 0}, 4}};
    dt_tokenizer *tokenizer;
    dt_lines *lines;
    dt_text text = {0};
    assert_int_equal(dt_tokenizer_restore(&tokenizer, token, 9), DT_OK);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char all[256] = "";
        /* Equal lines are in one split, which may not be that of training. */
        snprintf(all, sizeof all, "%sa\nb\nba\nbb\naa\naaa\nbbb\n", known[i].line);
        write_file(all, strlen(all));
        if (dt_lines_open(&lines, path, 7, tokenizer) != DT_OK) fail_msg("%s", dt_error_text());
        size_t found = 0;
        for (dt_split split = DT_TRAIN; split < DT_SPLITS; split++) {
            for (size_t n = 0; n < dt_lines_about(lines)->lines[split]; n++) {
                assert_int_equal(dt_lines_read(&text, lines, split, n), DT_OK);
                if (!strstr(text.bytes, known[i].line)) continue;
                found++;
                assert_int_equal(text.ids, known[i].count);
                assert_memory_equal(text.id, known[i].id, text.ids * sizeof *text.id);
            }
        }
        assert_int_equal(found, 1);
        dt_lines_close(&lines);
    }
    write_file("a\nb\nab\tabc\n", 10);
    assert_int_equal(dt_lines_open(&lines, path, 0, tokenizer), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), ":3:6: \"c\" begins no token"));
    write_file("a\nb\nababababab\tab\n", 18);
    assert_int_equal(dt_lines_open(&lines, path, 7, tokenizer), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "needs 8 tokens"));
    dt_tokenizer_destroy(&tokenizer);
    assert_int_equal(dt_tokenizer_restore(&tokenizer, (const char *const[]){"\n", "a"}, 2), DT_OK);
    write_file("a\naa\na\ta\n", 9);
    assert_int_equal(dt_lines_open(&lines, path, 0, tokenizer), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), ":3:2: the model's vocabulary has no tab"));
    dt_tokenizer_destroy(&tokenizer);
    dt_text_destroy(&text);
}

static void files_that_cannot_be_learned_are_refused(void **state) {
    (void)state;
    static char block[3 << 20];
    dt_lines *lines;
    write_file("", 0);
    assert_int_equal(dt_lines_open(&lines, path, 0, NULL), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "no line to train on"));
    write_file("ab\0c\n", 5);
    assert_int_equal(dt_lines_open(&lines, path, 0, NULL), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), ":1:3: byte 3 (0x00)"));
    memset(block, 'x', sizeof block);
    memcpy(block, "a\nb\n", 4);
    write_file(block, 65535 + 4);
    assert_int_equal(dt_lines_open(&lines, path, 0, NULL), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), ":3:65535: the line needs 65537 tokens"));
    write_file(block, 65534 + 4);
    lines = open_lines(0);
    dt_lines_close(&lines);
    write_file(block, sizeof block);
    assert_int_equal(dt_lines_open(&lines, path, 0, NULL), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), ":3: "));
    assert_int_equal(dt_lines_open(&lines, "/nonexistent/lines.txt", 0, NULL), DT_ERR_NO_INPUT);
    assert_int_equal(dt_lines_open(&lines, "/tmp", 0, NULL), DT_ERR_NO_INPUT);
    assert_int_equal(dt_lines_open(&lines, "/dev/null", 0, NULL), DT_ERR_NO_INPUT);
}

static void a_file_that_changes_is_noticed(void **state) {
    (void)state;
    static const char before[] = "a\nbb\nccc\ndddd\neeeee\n", after[] = "a\nxx\nccc\ndddd\neeeee\n";
    dt_text text = {0};
    write_file(before, strlen(before));
    dt_lines *lines = open_lines(0);
    assert_int_equal(dt_lines_read(&text, lines, DT_TRAIN, 0), DT_OK);
    usleep(20000);                      /* the clock of a file system may be that coarse */
    write_file(before, strlen(before)); /* another time of change alone is accepted */
    assert_int_equal(dt_lines_read(&text, lines, DT_TRAIN, 0), DT_OK);
    usleep(20000);
    write_file(after, strlen(after));
    assert_int_equal(dt_lines_read(&text, lines, DT_TRAIN, 0), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "has been written to"));
    dt_text_destroy(&text);
    dt_lines_close(&lines);
}

/* ---- batches ---- */

/* The number at the start of the line at a training position. */
static size_t number_at(dt_batch *batch, const dt_source *source, uint64_t position) {
    dt_batch_clear(batch);
    assert_int_equal(dt_source_train(batch, source, position), DT_OK);
    assert_int_equal(dt_batch_text(&batch->text, batch, 0, source->tokenizer), DT_OK);
    return strtoul(batch->text.bytes, NULL, 10);
}

static void epochs_are_fresh_permutations(void **state) {
    (void)state;
    enum { LINES = 2000, EPOCHS = 3 };
    static char bytes[LINES * 24];
    static size_t count[EPOCHS + 1][LINES], order[LINES];
    size_t length = 0, same = 0, rising = 0;
    for (size_t i = 0; i < LINES; i++)
        length += (size_t)sprintf(bytes + length, "%zu\tnumber %zu\n", i, i);
    write_file(bytes, length);
    dt_source source;
    dt_batch batch;
    dt_config config = {.seed = 3};
    strcpy(config.train_file, path);
    assert_int_equal(dt_source_open(&source, &config, NULL), DT_OK);
    assert_int_equal(dt_batch_create(&batch, 1, 64), DT_OK);
    uint64_t examples;
    assert_int_equal(dt_source_count(&examples, &source, DT_TRAIN, UINT64_MAX), DT_OK);
    source.config.train_examples = (int64_t)examples;
    for (size_t i = 0; i < EPOCHS * examples; i++) {
        const size_t number = number_at(&batch, &source, i);
        count[i / examples][number]++;
        same += i >= examples && order[i % examples] == number;
        rising += i > 0 && number == order[(i - 1) % examples] + 1;
        order[i % examples] = number;
    }
    for (size_t i = 0; i < LINES; i++) {
        assert_true(count[0][i] <= 1);
        for (size_t e = 1; e < EPOCHS; e++) assert_int_equal(count[e][i], count[0][i]);
    }
    assert_true(same < examples / 50 && rising < examples / 50);
    /* Fewer examples: a sample of all lines, the same in each epoch. */
    source.config.train_examples = 200;
    size_t small = 0, used = 0;
    for (size_t i = 0; i < 400; i++) {
        const size_t number = number_at(&batch, &source, i);
        count[EPOCHS][number]++;
        small += number < LINES / 2;
    }
    for (size_t i = 0; i < LINES; i++) used += count[EPOCHS][i] == 2;
    assert_int_equal(used, 200);
    assert_in_range(small, 120, 280);
    dt_batch_destroy(&batch);
    dt_source_close(&source);
}

static dt_status append(dt_batch *batch, const char *bytes, size_t prompt, uint64_t index,
                        const dt_tokenizer *tokenizer) {
    dt_text_clear(&batch->text);
    DT_TRY(dt_text_append(&batch->text, bytes, strlen(bytes)));
    batch->text.prompt_length = prompt;
    return dt_batch_append(batch, &batch->text, index, tokenizer);
}

static void the_loss_counts_what_is_not_given(void **state) {
    (void)state;
    static const char text[] = "猫\tab\n", *const token[] = {"\n", "\t", "a", "b", "猫"};
    static const int32_t answer_token[] = {4, 1, 2, 3}, answer_target[] = {-1, 2, 3, 0};
    static const int32_t plain_token[] = {0, 2, 3}, plain_target[] = {2, 3, 0};
    dt_tokenizer *tokenizer;
    dt_batch batch;
    dt_text back = {0};
    assert_int_equal(dt_tokenizer_restore(&tokenizer, token, 5), DT_OK);
    assert_int_equal(dt_batch_create(&batch, 3, 10), DT_OK);
    assert_int_equal(append(&batch, text, strlen("猫\t"), 0, tokenizer), DT_OK);
    assert_int_equal(append(&batch, "\nab\n", 1, 1, tokenizer), DT_OK);
    assert_int_equal(batch.tokens, 7);
    assert_int_equal(batch.scored, 6);
    assert_memory_equal(batch.token, answer_token, sizeof answer_token);
    assert_memory_equal(batch.target, answer_target, sizeof answer_target);
    assert_memory_equal(batch.token + 4, plain_token, sizeof plain_token);
    assert_memory_equal(batch.target + 4, plain_target, sizeof plain_target);
    static const char *const prompt[] = {"猫\t", "\n"}, *const whole[] = {"猫\tab\n", "\nab\n"};
    for (size_t b = 0; b < 2; b++) {
        assert_int_equal(dt_batch_text(&back, &batch, b, tokenizer), DT_OK);
        assert_string_equal(back.bytes, whole[b]);
        assert_int_equal(back.prompt_length, strlen(prompt[b]));
    }
    dt_text_destroy(&back);
    assert_int_equal(append(&batch, "\nc\n", 1, 2, tokenizer), DT_ERR_DATA);
    dt_batch_destroy(&batch);
    dt_tokenizer_destroy(&tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_in_one_split),
        cmocka_unit_test(facts_are_counted),
        cmocka_unit_test(the_vocabulary_is_what_occurs),
        cmocka_unit_test(ends_and_empty_lines),
        cmocka_unit_test(equal_lines_are_noticed),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(what_just_fits_is_taken),
        cmocka_unit_test(a_given_vocabulary_reads_lines),
        cmocka_unit_test(files_that_cannot_be_learned_are_refused),
        cmocka_unit_test(a_file_that_changes_is_noticed),
        cmocka_unit_test(epochs_are_fresh_permutations),
        cmocka_unit_test(the_loss_counts_what_is_not_given),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
