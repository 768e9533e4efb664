/* Text in pieces: characters come whole, and bytes that belong to none are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/data/pieces.h"

#define REPLACED "\xef\xbf\xbd"

/* What comes out of pieces of `size` bytes is the whole text, and each time whole characters. */
static void expect_pieces(const char *bytes, size_t count, size_t size, const char *wanted) {
    dt_text text = {0};
    dt_pieces pieces = {0};
    for (size_t at = 0; at < count; at += size) {
        const size_t length = count - at < size ? count - at : size;
        assert_int_equal(dt_pieces_append(&text, &pieces, bytes + at, length), DT_OK);
        for (size_t i = 0; i < text.length;) {
            const size_t character = dt_utf8_length(text.bytes + i, text.length - i);
            assert_true(character > 0);
            i += character;
        }
    }
    assert_string_equal(text.bytes, wanted);
    assert_int_equal(strlen(wanted), text.length);
    dt_text_destroy(&text);
}

static void characters_come_whole(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *wanted;
    } text[] = {
        {"plain", "plain"},
        {"日本語の文。", "日本語の文。"},
        {"a\u00e9\u3042\U0001f600z", "a\u00e9\u3042\U0001f600z"},
        /* the end of a character is missing */
        {"\u3042\xe3\x81", "\u3042"},
        {"x\xf0\x9f\x98", "x"},
        {"x\xc3", "x"},
        /* bytes that belong to no character */
        {"caf\xe9 noir", "caf" REPLACED " noir"},
        {"\x80\xbf", REPLACED REPLACED},
        {"\xe3\x81X", REPLACED REPLACED "X"},
        {"\xe3\x81\xe3\x81\x82", REPLACED REPLACED "\u3042"},
        {"\xf0\x9f\x98\xe3\x81\x82", REPLACED REPLACED REPLACED "\u3042"},
        /* overlong, a surrogate, too large */
        {"\xc0\xaf.", REPLACED REPLACED "."},
        {"\xe0\x80\x80.", REPLACED REPLACED REPLACED "."},
        {"\xed\xa0\x80.", REPLACED REPLACED REPLACED "."},
        {"\xf4\x90\x80\x80.", REPLACED REPLACED REPLACED REPLACED "."},
        {"\xf5\xff", REPLACED REPLACED},
    };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        for (size_t size = 1; size <= 5; size++)
            expect_pieces(text[i].bytes, strlen(text[i].bytes), size, text[i].wanted);
    }
    expect_pieces("a\0b", 3, 1, "a" REPLACED "b");
}

/* A character is given on with its last byte, and not later. */
static void nothing_waits_longer_than_it_must(void **state) {
    (void)state;
    dt_text text = {0};
    dt_pieces pieces = {0};
    static const struct {
        const char *bytes;
        size_t known;
    } step[] = {{"a", 1}, {"\xe3", 1}, {"\x81", 1}, {"\x82", 4}, {"\xf0\x9f", 4}, {"b", 11}};
    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        assert_int_equal(dt_pieces_append(&text, &pieces, step[i].bytes, strlen(step[i].bytes)),
                         DT_OK);
        assert_int_equal(text.length, step[i].known);
    }
    assert_int_equal(dt_pieces_append(&text, &pieces, "\xe3\x81", 2), DT_OK);
    dt_pieces_end(&pieces);
    assert_int_equal(dt_pieces_append(&text, &pieces, "c", 1), DT_OK);
    assert_string_equal(text.bytes, "a\u3042" REPLACED REPLACED "bc");
    dt_text_destroy(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_come_whole),
        cmocka_unit_test(nothing_waits_longer_than_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
