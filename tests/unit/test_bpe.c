/* Byte-level BPE: splitting, merging, learning, where a text can be cut, and files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/bpe/file.h"
#include "dtrain/bpe/learn.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"

enum { MOST = 1 << 18 };

static void take(dt_bpe_words *words, const char *text, size_t length) {
    size_t settled;
    assert_int_equal(dt_bpe_words_take(&settled, words, text, length, true, true), DT_OK);
    assert_int_equal(settled, length);
}

static dt_bpe *learn(const char *text, size_t length, size_t tokens) {
    dt_bpe_words *words;
    dt_bpe *bpe;
    assert_int_equal(dt_bpe_words_create(&words), DT_OK);
    take(words, text, length);
    assert_int_equal(dt_bpe_learn(&bpe, words, tokens), DT_OK);
    dt_bpe_words_destroy(&words);
    return bpe;
}

/* The tokens of a text with '|' between. */
static void split(char *shown, const dt_bpe *bpe, const char *text, size_t length, bool added) {
    int32_t id[512];
    size_t count;
    assert_int_equal(dt_bpe_encode(id, 512, &count, bpe, text, length, added), DT_OK);
    *shown = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = dt_bpe_bytes(&size, bpe, id[i]);
        assert_non_null(bytes);
        sprintf(shown + strlen(shown), "%s%s", i ? "|" : "", bytes);
    }
}

/* With enough merges each word of the text that was learned is one token. */
static void text_is_split_into_words_as_gpt2_does(void **state) {
    (void)state;
    static const char *const known[] = {
        "Hello| world|,| it|'s| we|'ll| don|'t|!",
        "a|  | b|\n\n|\n|c|\t|d|  ",
        "\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf|\xe3\x80\x82|\xe4\xb8\x96"
        "\xe7\x95\x8c|\xe3\x80\x80|\xe3\x81\x8b|\xef\xbc\x91\xef\xbc\x92",
        "'|S|'s|'s|ad|--'|s|'re|'|r",
        " |\xc2\xa0|\xe1\xa0\x8e|\xe2\x80\x83|a| \xf0\x9f\x98\x80\xf0\x9f\x91\x8d| ok",
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[256], shown[512];
        size_t length = 0;
        for (const char *c = known[i]; *c; c++) {
            if (*c != '|') text[length++] = *c;
        }
        dt_bpe *bpe = learn(text, length, 2000);
        split(shown, bpe, text, length, true);
        assert_string_equal(shown, known[i]);
        dt_bpe_destroy(&bpe);
    }
}

static void numbers_and_letters_are_words_of_their_own(void **state) {
    (void)state;
    char shown[512];
    static const char text[] = "x1 234.5 y2z";
    dt_bpe *bpe = learn(text, strlen(text), 2000);
    split(shown, bpe, text, strlen(text), true);
    assert_string_equal(shown, "x|1| 234|.|5| y|2|z");
    dt_bpe_destroy(&bpe);
}

static void fill_random(char *text, size_t length, uint64_t seed) {
    static const char *const piece[] = {"a",
                                        "b",
                                        " ",
                                        "  ",
                                        "\n",
                                        "'",
                                        "'re",
                                        "1",
                                        "<",
                                        "<|endoftext|>",
                                        "\xe3\x81",
                                        "\xff",
                                        "\xe3\x81\x82",
                                        ".",
                                        "\xc2\xa0",
                                        "the",
                                        "\t",
                                        "\xf0\x9f\x98\x80",
                                        "-",
                                        "the cat"};
    size_t at = 0;
    for (uint64_t i = 0; at < length; i++) {
        uint32_t block[4];
        dt_random_block(block, seed, DT_RANDOM_TEST, 0, i);
        const char *next = piece[block[0] % (sizeof piece / sizeof *piece)];
        for (; *next && at < length; next++) text[at++] = *next;
    }
}

static void any_bytes_come_back(void **state) {
    (void)state;
    static char text[4000];
    static int32_t id[4000];
    fill_random(text, sizeof text, 1);
    dt_bpe *bpe = learn(text, sizeof text, 400);
    for (uint64_t seed = 0; seed < 200; seed++) {
        const size_t length = (size_t)seed * 20;
        for (size_t i = 0; i < length; i++) {
            uint32_t block[4];
            dt_random_block(block, seed, DT_RANDOM_TEST, 1, i);
            text[i] = (char)block[0];
        }
        if (seed % 2) fill_random(text, length, seed);
        size_t count, at = 0;
        assert_int_equal(dt_bpe_encode(id, length, &count, bpe, text, length, seed % 3 == 0),
                         DT_OK);
        for (size_t i = 0; i < count; i++) {
            size_t size;
            const char *bytes = dt_bpe_bytes(&size, bpe, id[i]);
            assert_true(at + size <= length);
            assert_memory_equal(bytes, text + at, size);
            at += size;
        }
        assert_int_equal(at, length);
    }
    dt_bpe_destroy(&bpe);
}

/* A text that comes piece by piece gives the tokens of the whole. */
static void encode_pieces(int32_t *id, size_t *count, const dt_bpe *bpe, const char *text,
                          size_t length, size_t step, bool added) {
    size_t from = 0;
    *count = 0;
    for (size_t seen = step; from < length; seen += step) {
        if (seen > length) seen = length;
        const size_t sure =
            seen == length ? length - from : dt_bpe_settled(bpe, text + from, seen - from, added);
        size_t more;
        assert_true(sure <= seen - from);
        assert_int_equal(
            dt_bpe_encode(id + *count, length - *count, &more, bpe, text + from, sure, added),
            DT_OK);
        *count += more;
        from += sure;
    }
}

static void what_is_settled_does_not_depend_on_what_follows(void **state) {
    (void)state;
    static char text[3000];
    static int32_t whole[3000], pieces[3000];
    fill_random(text, sizeof text, 7);
    dt_bpe *bpe = learn(text, sizeof text, 500);
    for (uint64_t seed = 0; seed < 300; seed++) {
        const size_t length = 100 + (size_t)seed * 9;
        const bool added = seed % 2;
        size_t count, again;
        fill_random(text, length, seed);
        assert_int_equal(dt_bpe_encode(whole, length, &count, bpe, text, length, added), DT_OK);
        encode_pieces(pieces, &again, bpe, text, length, 1 + (size_t)seed % 37, added);
        assert_int_equal(count, again);
        assert_memory_equal(whole, pieces, count * sizeof *whole);
    }
    dt_bpe_destroy(&bpe);
}

/* A word without an end is cut, wherever the pieces end, and takes no square of its length. */
static void endless_words_are_cut(void **state) {
    (void)state;
    static const char *const of[] = {"a", " ", "-", "\xe3\x81\x82", "\xff"};
    char *text = malloc(MOST);
    int32_t *whole = malloc(MOST * sizeof *whole), *pieces = malloc(MOST * sizeof *pieces);
    assert_true(text && whole && pieces);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        const size_t unit = strlen(of[k]), length = MOST / 2 / unit * unit + unit;
        for (size_t i = 0; i < length; i++) text[i] = of[k][i % unit];
        dt_bpe *bpe = learn(text, 4000, 300);
        size_t count, again;
        assert_int_equal(dt_bpe_encode(whole, MOST, &count, bpe, text, length, false), DT_OK);
        assert_true(count < length / 4);
        encode_pieces(pieces, &again, bpe, text, length, 50001, false);
        assert_int_equal(count, again);
        assert_memory_equal(whole, pieces, count * sizeof *whole);
        assert_int_equal(dt_bpe_encode(whole, count - 1, &again, bpe, text, length, false),
                         DT_ERR_INTERNAL);
        dt_bpe_destroy(&bpe);
    }
    free(text);
    free(whole);
    free(pieces);
}

/* A long word has a heap, a short one has none; both merge the same way. */
static void long_words_merge_as_short_ones(void **state) {
    (void)state;
    char text[4096];
    int32_t id[4096];
    for (size_t i = 0; i < sizeof text; i++) {
        uint32_t block[4];
        dt_random_block(block, 3, DT_RANDOM_TEST, 2, i);
        text[i] = (char)('a' + block[0] % 3);
    }
    dt_bpe *bpe = learn(text, sizeof text, 400);
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    size_t count;
    assert_int_equal(dt_bpe_encode(id, 4096, &count, bpe, text, sizeof text, false), DT_OK);
    /* By the definition: merge by merge over the whole word. */
    int32_t by[4096];
    size_t n = sizeof text;
    for (size_t i = 0; i < n; i++) {
        size_t one;
        assert_int_equal(dt_bpe_encode(by + i, 1, &one, bpe, text + i, 1, false), DT_OK);
    }
    for (size_t rank = 0; rank < parts.merges; rank++) {
        const dt_bpe_merge merge = parts.merge[rank];
        const int32_t merged = (int32_t)(DT_BPE_LEAST + rank);
        size_t to = 0;
        for (size_t i = 0; i < n; i++) {
            const bool pair = i + 1 < n && by[i] == merge.left && by[i + 1] == merge.right;
            by[to++] = pair ? merged : by[i];
            i += pair;
        }
        n = to;
    }
    assert_int_equal(parts.tokens, DT_BPE_LEAST + parts.merges);
    assert_int_equal(count, n);
    assert_memory_equal(id, by, n * sizeof *id);
    dt_bpe_destroy(&bpe);
}

/* ---- learning ---- */

static void ties_go_to_the_lower_ids(void **state) {
    (void)state;
    /* "b a" has lower ids than "c d" and " b", whose space is one of the last symbols. */
    static const char text[] = "ba cd ba cd";
    dt_bpe *bpe = learn(text, strlen(text), DT_BPE_LEAST + 3);
    char shown[64];
    split(shown, bpe, text, strlen(text), true);
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    assert_int_equal(parts.merges, 3);
    assert_string_equal(parts.token[257], "ba");
    assert_string_equal(parts.token[258], "cd");
    assert_string_equal(parts.token[259], "\xc4\xa0"
                                          "cd");
    assert_string_equal(shown, "ba| cd| |ba| cd");
    dt_bpe_destroy(&bpe);
}

static void learning_ends_where_no_pair_is_left(void **state) {
    (void)state;
    dt_bpe *bpe = learn("abab abab", 9, 5000);
    const dt_bpe_parts parts = dt_bpe_about(bpe);
    assert_int_equal(parts.tokens, DT_BPE_LEAST + 3);
    assert_string_equal(parts.token[0], DT_BPE_END);
    assert_int_equal(dt_bpe_find_added(bpe, DT_BPE_END), 0);
    assert_int_equal(dt_bpe_find_added(bpe, "<other>"), -1);
    dt_bpe_destroy(&bpe);
    bpe = learn("", 0, DT_BPE_LEAST);
    assert_int_equal(dt_bpe_about(bpe).merges, 0);
    dt_bpe_destroy(&bpe);
    dt_bpe_words *words;
    assert_int_equal(dt_bpe_words_create(&words), DT_OK);
    assert_int_equal(dt_bpe_learn(&bpe, words, DT_BPE_LEAST - 1), DT_ERR_ARG);
    dt_bpe_words_destroy(&words);
}

/* Counts of parts add up to those of the whole, whatever the order. */
static void words_are_the_same_from_parts(void **state) {
    (void)state;
    static char text[60000];
    fill_random(text, sizeof text, 11);
    for (size_t i = 0; i < sizeof text; i++) text[i] = text[i] == '\0' ? ' ' : text[i];
    const size_t third = 20000;
    memcpy(text + third - 1, "x ", 2);
    memcpy(text + 2 * third - 1, "x ", 2);
    dt_bpe *whole = learn(text, sizeof text, 600);
    dt_bpe_words *sum, *part;
    assert_int_equal(dt_bpe_words_create(&sum), DT_OK);
    assert_int_equal(dt_bpe_words_create(&part), DT_OK);
    for (size_t k = 3; k-- > 0;) {
        char *packed;
        size_t size;
        dt_bpe_words_clear(part);
        take(part, text + k * third, third);
        assert_int_equal(dt_bpe_words_pack(&packed, &size, part), DT_OK);
        assert_int_equal(dt_bpe_words_add(sum, packed, size), DT_OK);
        assert_int_equal(dt_bpe_words_add(part, packed, size - 1), DT_ERR_INTERNAL);
        dt_memory_free(&packed);
    }
    dt_bpe *added;
    assert_int_equal(dt_bpe_learn(&added, sum, 600), DT_OK);
    assert_true(dt_bpe_equal(whole, added));
    dt_bpe_words_destroy(&sum);
    dt_bpe_words_destroy(&part);
    dt_bpe_destroy(&whole);
    dt_bpe_destroy(&added);
}

static void the_rarest_words_are_dropped(void **state) {
    (void)state;
    static const char text[] = "aa aa aa bb bb c ddd ddd";
    dt_bpe_words *words;
    size_t dropped;
    assert_int_equal(dt_bpe_words_create(&words), DT_OK);
    take(words, text, strlen(text));
    assert_int_equal(dt_bpe_words_count(words), 5); /* "aa", " aa", " bb", " c", " ddd" */
    assert_int_equal(dt_bpe_words_trim(&dropped, words, 5, 1000), DT_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(dt_bpe_words_trim(&dropped, words, 3, 1000), DT_OK);
    assert_int_equal(dropped, 2); /* those that stand once */
    assert_int_equal(dt_bpe_words_trim(&dropped, words, 3, 7), DT_OK);
    assert_int_equal(dropped, 1); /* of two that stand twice the longer one */
    dt_bpe *bpe;
    assert_int_equal(dt_bpe_learn(&bpe, words, 5000), DT_OK);
    assert_int_equal(dt_bpe_about(bpe).tokens, DT_BPE_LEAST + 4);
    dt_bpe_destroy(&bpe);
    dt_bpe_words_destroy(&words);
}

/* ---- files ---- */

static char *write_text(const dt_bpe *bpe, void (*write)(FILE *, const dt_bpe *)) {
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(out, bpe);
    assert_int_equal(fclose(out), 0);
    return text;
}

static dt_bpe *some_bpe(void) {
    static const char text[] = "the cat and the dog and the \"\\\x01\xff quoted\"";
    return learn(text, strlen(text), 290);
}

static void files_give_the_same_back(void **state) {
    (void)state;
    dt_bpe *bpe = some_bpe(), *again;
    char *json = write_text(bpe, dt_bpe_write), *vocab = write_text(bpe, dt_bpe_write_vocab);
    char *merges = write_text(bpe, dt_bpe_write_merges);
    assert_int_equal(dt_bpe_parse(&again, json, strlen(json), "json"), DT_OK);
    assert_true(dt_bpe_equal(bpe, again));
    char *twice = write_text(again, dt_bpe_write);
    assert_string_equal(json, twice);
    dt_bpe_destroy(&again);
    assert_int_equal(
        dt_bpe_parse_pair(&again, vocab, strlen(vocab), merges, strlen(merges), "pair"), DT_OK);
    assert_true(dt_bpe_equal(bpe, again));
    dt_bpe_destroy(&again);
    dt_bpe_destroy(&bpe);
    free(json);
    free(twice);
    free(vocab);
    free(merges);
}

/* The text with one part in the place of another. */
static char *changed(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (!at) fail_msg("no %s in %s", from, text);
    char *made = malloc(strlen(text) + strlen(to) + 1);
    assert_non_null(made);
    sprintf(made, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return made;
}

static void assert_refused(const char *json, size_t size, const char *why) {
    dt_bpe *bpe;
    assert_int_equal(dt_bpe_parse(&bpe, json, size, "FILE"), DT_ERR_DATA);
    assert_null(bpe);
    if (!strstr(dt_error_text(), why)) fail_msg("\"%s\" lacks \"%s\"", dt_error_text(), why);
    assert_non_null(strstr(dt_error_text(), "FILE"));
}

static void what_dtrain_does_not_do_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *why;
    } wrong[] = {
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", "normalizer is \"NFC\""},
        {"\"ByteLevel\", \"add_prefix_space\": false", "\"Metaspace\", \"add_prefix_space\": false",
         "pre_tokenizer is \"Metaspace\""},
        {"\"add_prefix_space\": false", "\"add_prefix_space\": true", "add_prefix_space"},
        {"\"use_regex\": true", "\"use_regex\": false", "use_regex"},
        {"\"post_processor\": {\"type\": \"ByteLevel\"",
         "\"post_processor\": {\"type\": \"TemplateProcessing\"", "TemplateProcessing"},
        {"\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": \"WordPiece\"",
         "WordPiece"},
        {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model is \"Unigram\""},
        {"\"dropout\": null", "\"dropout\": 0.1", "dropout"},
        {"\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", "end_of_word_suffix"},
        {"\"ignore_merges\": false", "\"ignore_merges\": true", "ignore_merges"},
        {"\"lstrip\": false", "\"lstrip\": true", "lstrip"},
        {"\"model\": {", "\"else\": {", "no model"},
        {"\"version\": \"1.0\"", "\"model\": 3", "\"model\" stands twice"},
        {"\"version\": \"1.0\"", "\"version\": \"\\u0000\"", "\\u0000"},
        {"\"version\": \"1.0\"", "\"version\": \"\xff\"", "byte 17 (0xff)"},
        {"\"version\": \"1.0\"", "\"version\": 1.0,,", "line 2"},
        {"\"the\": 25", "\"thx\": 25", "no token"},
        {"\"a\": 65", "\"a\": 66", "both have the id 66"},
        {"\"a\": 65", "\"a\": 6500", "6500"},
        {"\"a\": 65", "\"a\": 65.5", "no whole number"},
        {"\"a\": 65", "\"a\": -1", "no whole number"},
        {"\"a\": 65", "\"a\": \"65\"", "no whole number"},
        {"\"!\": 1,", "\"!!\": 1,", "byte 0x21"},
        {"\"a\": 65", "\"b\": 65", "\"b\" has the ids"},
        {"\"h e\"", "\"h\"", "merge"},
        {"\"h e\"", "\"h e t\"", "merge"},
        {"\"h e\"", "[\"h\"]", "merge"},
        {"\"h e\"", "[\"h\", \"e\", \"t\"]", "merge"},
        {"\"h e\"", "[\"h\", \"zz\"]", "\"zz\", which is no token"},
        {"\"h e\"", "{\"h\": \"e\"}", "merge"},
        {"\"h e\",", "\"h e\", \"h e\",", "stands twice"},
        {"\"merges\": [", "\"merges\": 3, \"more\": [", "merges are no list"},
        {"\"vocab\": {", "\"vocab\": [], \"more\": {", "vocab is no object"},
        {"\"id\": 0", "\"id\": 1", "both have the id 1"},
        {"\"content\": \"<|endoftext|>\"", "\"content\": \"\"", "no content"},
    };
    dt_bpe *bpe = some_bpe(), *again;
    char *json = write_text(bpe, dt_bpe_write);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *bad = changed(json, wrong[i].from, wrong[i].to);
        assert_refused(bad, strlen(bad), wrong[i].why);
        free(bad);
    }
    /* The other form of merges is no fault. */
    char *pair = changed(json, "\"h e\"", "[\"h\", \"e\"]");
    assert_int_equal(dt_bpe_parse(&again, pair, strlen(pair), "pair"), DT_OK);
    assert_true(dt_bpe_equal(bpe, again));
    dt_bpe_destroy(&again);
    free(pair);
    for (size_t size = 0; size + 2 < strlen(json); size += 97) {
        assert_int_equal(dt_bpe_parse(&again, json, size, "FILE"), DT_ERR_DATA);
        assert_null(again);
    }
    char deep[4001];
    memset(deep, '[', 4000);
    assert_refused(deep, 4000, "nested");
    assert_refused("{} {}", 5, "follows the end");
    dt_bpe_destroy(&bpe);
    free(json);
}

/* An added token is found first; of those that begin alike the longest. */
static void added_tokens_are_found_before_words(void **state) {
    (void)state;
    dt_bpe *bpe = some_bpe(), *more;
    char *json = write_text(bpe, dt_bpe_write), shown[256];
    char tokens[512];
    const size_t next = dt_bpe_about(bpe).tokens;
    snprintf(tokens, sizeof tokens,
             "\"added_tokens\": [{\"id\": %zu, \"content\": \"<|end\", \"special\": true}, "
             "{\"id\": %zu, \"content\": \"he d\", \"normalized\": true},",
             next, next + 1);
    char *longer = changed(json, "\"added_tokens\": [", tokens);
    assert_int_equal(dt_bpe_parse(&more, longer, strlen(longer), "longer"), DT_OK);
    static const char text[] = "the<|endoftext|>the dog<|end <";
    split(shown, more, text, strlen(text), true);
    assert_string_equal(shown, "the|<|endoftext|>|t|he d|o|g|<|end| |<");
    dt_bpe_destroy(&more);
    dt_bpe_destroy(&bpe);
    free(json);
    free(longer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_split_into_words_as_gpt2_does),
        cmocka_unit_test(numbers_and_letters_are_words_of_their_own),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(what_is_settled_does_not_depend_on_what_follows),
        cmocka_unit_test(endless_words_are_cut),
        cmocka_unit_test(long_words_merge_as_short_ones),
        cmocka_unit_test(ties_go_to_the_lower_ids),
        cmocka_unit_test(learning_ends_where_no_pair_is_left),
        cmocka_unit_test(words_are_the_same_from_parts),
        cmocka_unit_test(the_rarest_words_are_dropped),
        cmocka_unit_test(files_give_the_same_back),
        cmocka_unit_test(what_dtrain_does_not_do_is_refused_by_name),
        cmocka_unit_test(added_tokens_are_found_before_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
