/* Lines of text: their ends are found, however their bytes arrive; and errors show their location
 * in the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dtrain/core/line.h"
#include "dtrain/core/log.h"
#include "dtrain/core/utf8.h"

/* ---- where lines end ---- */

enum { LONGEST = 12, PIECES_MAX = 64 };

/* An independent method: replaces all line ends in the whole text by \n. */
static void replace_all(char *text, const char *from, const char *to) {
    const size_t length = strlen(from), with = strlen(to);
    for (char *at = text; (at = strstr(at, from)); at += with) {
        memmove(at + with, at + length, strlen(at + length) + 1);
        memcpy(at, to, with);
    }
}

static void split_whole(char *lines, const char *text) {
    memcpy(lines, text, strlen(text) + 1);
    replace_all(lines, "\r\r\n", "|");
    replace_all(lines, "\r\n", "|");
    replace_all(lines, "\r", "|");
    replace_all(lines, "|", "\n");
    const size_t length = strlen(lines);
    if (length > 0 && lines[length - 1] != '\n') memcpy(lines + length, "\n", 2);
}

static void append(char *lines, const dt_line *line) {
    char *end = lines + strlen(lines);
    memcpy(end, line->text, line->length);
    memcpy(end + line->length, "\n", 2);
}

/* The next text of these four characters, up to a length. */
static bool next_text(char *text) {
    static const char letters[] = "a\r\nb";
    for (size_t i = 0; i < LONGEST / 2 + 2; i++) {
        const char *letter = text[i] ? strchr(letters, text[i]) + 1 : letters;
        if (*letter) {
            text[i] = *letter;
            return true;
        }
        text[i] = letters[0];
    }
    return false;
}

static void ends_are_found(void **state) {
    (void)state;
    char text[LONGEST] = "";
    do {
        char wanted[2 * LONGEST], got[2 * LONGEST] = "";
        split_whole(wanted, text);
        const size_t size = strlen(text);
        for (size_t at = 0; at < size;) {
            dt_line line;
            size_t length;
            assert_true(dt_line_cut(&line, &length, text + at, size - at, true));
            assert_ptr_equal(line.text, text + at);
            assert_true(length > 0 && length <= size - at);
            append(got, &line);
            /* With fewer bytes the line is the same or not yet complete. */
            for (size_t less = 0; less < size - at; less++) {
                dt_line early;
                size_t early_length;
                if (!dt_line_cut(&early, &early_length, text + at, less, false)) continue;
                assert_int_equal(early.length, line.length);
                assert_int_equal(early_length, length);
            }
            at += length;
        }
        assert_string_equal(got, wanted);
    } while (next_text(text));
}

/* ---- reading ---- */

/* Each piece is what one read gets. */
static dt_line_reader *open_pieces(int pair[2], const char *const *piece) {
    dt_line_reader *reader;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    for (size_t i = 0; piece[i]; i++)
        assert_int_equal(write(pair[1], piece[i], strlen(piece[i])), strlen(piece[i]));
    assert_int_equal(dt_line_reader_open(&reader, pair[0], "typed"), DT_OK);
    return reader;
}

static void close_pieces(int pair[2], dt_line_reader **reader) {
    dt_line_reader_close(reader);
    assert_null(*reader);
    close(pair[0]);
    close(pair[1]);
}

static void read_all(char *got, const char *const *piece) {
    int pair[2];
    dt_line_reader *reader = open_pieces(pair, piece);
    shutdown(pair[1], SHUT_WR);
    *got = '\0';
    for (int64_t number = 1;; number++) {
        dt_line line;
        bool found;
        assert_int_equal(dt_line_reader_next(&line, &found, reader), DT_OK);
        if (!found) break;
        assert_int_equal(line.number, number);
        assert_string_equal(line.name, "typed");
        assert_int_equal(line.text[line.length], '\0');
        append(got, &line);
    }
    close_pieces(pair, &reader);
}

static void reads_in_any_pieces(void **state) {
    (void)state;
    static const char *const text[] = {"1+2\r\r\n\r\n3\r4\n\r5", "\357\273\2771\n\357\273\2772\n",
                                       "\xef\xbb\xbf",           "\r",
                                       "a\r\r\rb\r\r",           "a"};
    static const char *const wanted[] = {
        "1+2\n\n3\n4\n\n5\n", "1\n\357\273\2772\n", "", "\n", "a\n\n\nb\n\n", "a\n"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        const size_t size = strlen(text[i]);
        for (size_t step = 1; step <= size; step++) {
            char piece[PIECES_MAX][PIECES_MAX] = {{0}}, got[PIECES_MAX * 2];
            const char *pieces[PIECES_MAX] = {NULL};
            for (size_t at = 0, k = 0; at < size; at += step, k++) {
                memcpy(piece[k], text[i] + at, size - at < step ? size - at : step);
                pieces[k] = piece[k];
            }
            read_all(got, pieces);
            assert_string_equal(got, wanted[i]);
        }
    }
}

/* A line is returned before further bytes arrive: the sender may wait for the answer. */
static void nothing_is_waited_for(void **state) {
    (void)state;
    static const char *const piece[] = {"1\n", "2\r\n", "3\r", "\n4\n", "5\r", "6\n", NULL};
    int pair[2];
    dt_line_reader *reader = open_pieces(pair, piece);
    alarm(20);
    for (int wanted = '1'; wanted <= '6'; wanted++) {
        dt_line line;
        bool found;
        assert_int_equal(dt_line_reader_next(&line, &found, reader), DT_OK);
        assert_true(found);
        assert_int_equal(line.length, 1);
        assert_int_equal(*line.text, wanted);
    }
    alarm(0);
    close_pieces(pair, &reader);
}

static void long_lines(void **state) {
    (void)state;
    enum { MOST = 1 << 20 };
    FILE *file = tmpfile();
    assert_non_null(file);
    for (int i = 0; i < MOST; i++) fputc('a', file);
    fputc('\n', file);
    for (int i = 0; i < MOST; i++) fputc('b', file);
    fputs("b\n", file);
    rewind(file);
    dt_line_reader *reader;
    dt_line line;
    bool found;
    assert_int_equal(dt_line_reader_open(&reader, fileno(file), "big"), DT_OK);
    assert_int_equal(dt_line_reader_next(&line, &found, reader), DT_OK);
    assert_int_equal(line.length, MOST);
    assert_int_equal(dt_line_reader_next(&line, &found, reader), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "big:2: the line has more than"));
    dt_line_reader_close(&reader);
    fclose(file);
    assert_int_equal(dt_line_reader_open(&reader, -1, "nothing"), DT_OK);
    assert_int_equal(dt_line_reader_next(&line, &found, reader), DT_ERR_IO);
    assert_non_null(strstr(dt_error_text(), "nothing cannot be read"));
    dt_line_reader_close(&reader);
}

/* ---- what is wrong ---- */

static dt_line line_of(const char *text, size_t length) {
    return (dt_line){.name = "dir/q.txt", .number = 7, .text = text, .length = length};
}

static void bytes_that_are_no_text(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *error; /* NULL: none */
    } cases[] = {
        {"", 0, NULL},
        {"1+2 ä 猫 𝄞 \x1b\t\x7f", 19, NULL},
        {"1+2\0003", 5, "dir/q.txt:7:4: byte 4 (0x00) belongs to no text in UTF-8"},
        {"猫\xff", 4, "dir/q.txt:7:2: byte 4 (0xff)"},
        {"a\xc3", 2, "dir/q.txt:7:2: byte 2 (0xc3)"},
        {"\xed\xa0\x80", 3, "dir/q.txt:7:1: byte 1 (0xed)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const dt_line line = line_of(cases[i].text, cases[i].length);
        const dt_status status = dt_line_check(&line);
        assert_int_equal(status, cases[i].error ? DT_ERR_DATA : DT_OK);
        if (cases[i].error)
            assert_ptr_equal(strstr(dt_error_text(), cases[i].error), dt_error_text());
    }
    dt_line utf16 = line_of("\377\3761\0+\0", 6);
    assert_int_equal(dt_line_check(&utf16), DT_ERR_DATA);
    assert_null(strstr(dt_error_text(), "UTF-16"));
    utf16.number = 1;
    assert_int_equal(dt_line_check(&utf16), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "iconv -f UTF-16 -t UTF-8"));
}

/* The three lines of an error. */
static void assert_shown(const dt_line *line, size_t at, const char *wanted) {
    assert_int_equal(dt_line_raise(DT_ERR_ARG, "here.c", 5, line, at, "%s is wrong", "it"),
                     DT_ERR_ARG);
    assert_string_equal(dt_error_text(), wanted);
    assert_string_equal(dt_error_location(), "here.c:5");
}

static void locations_are_shown(void **state) {
    (void)state;
    const dt_line typed = dt_line_of("12+x");
    assert_shown(&typed, 3, "it is wrong\n  12+x\n     ^");
    assert_shown(&typed, 4, "it is wrong\n  12+x\n      ^");
    dt_line line = line_of("猫é\tx", 7);
    assert_shown(&line, 6,
                 "dir/q.txt:7:4: it is wrong\n  猫é x\n      ^"); /* the first character is two
                                                                     columns wide */
    line = line_of("e\xcc\x81x", 4);
    assert_shown(&line, 3,
                 "dir/q.txt:7:3: it is wrong\n  e\xcc\x81x\n   ^"); /* the accent has no width */
    /* Colours, a window title, a right-to-left override, and bytes that are not text. */
    line = line_of("\x1b[31m\0\xc2\x9b\xe2\x80\xae\xffz", 13);
    assert_shown(&line, 12, "dir/q.txt:7:10: it is wrong\n  ?[31m????z\n           ^");
    line = line_of("", 0);
    assert_shown(&line, 0, "dir/q.txt:7:1: it is wrong\n  \n  ^");
}

static void long_lines_are_shown_in_part(void **state) {
    (void)state;
    enum { SIZE = 3000 };
    static char text[SIZE];
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)('a' + i % 26);
    text[1500] = '!';
    const dt_line line = line_of(text, SIZE);
    assert_int_equal(dt_line_raise(DT_ERR_ARG, "here.c", 5, &line, 1500, "wrong"), DT_ERR_ARG);
    const char *shown = strchr(dt_error_text(), '\n') + 1, *mark = strchr(shown, '!'),
               *caret = strchr(shown, '^'), *below = strchr(shown, '\n') + 1;
    assert_non_null(strstr(dt_error_text(), "dir/q.txt:7:1501: wrong"));
    assert_true(below - shown < 90);
    assert_int_equal(mark - shown - 2, caret - below); /* "…" has three bytes and one column */
    assert_non_null(strstr(shown, "  …"));
    assert_non_null(strstr(shown, "…\n"));
    for (size_t i = 0; i < SIZE; i++) text[i] = "猫"[i % 3];
    for (size_t at = 0; at <= SIZE; at++) { /* any location fits */
        assert_int_equal(dt_line_raise(DT_ERR_ARG, "here.c", 5, &line, at, "wrong"), DT_ERR_ARG);
        assert_int_equal(dt_error_text()[strlen(dt_error_text()) - 1], '^');
    }
}

/* ---- terminals ---- */

static void logs_do_not_control_a_terminal(void **state) {
    (void)state;
    char path[] = "/tmp/dtrain-line.XXXXXX", text[256] = "";
    const int file = mkstemp(path), kept = dup(STDERR_FILENO);
    assert_true(file >= 0 && kept >= 0);
    unlink(path);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    dt_log_open(DT_LOG_INFO, 0);
    dt_log_error("a file \x1b]0;title\x07\xc2\x9bm %s\nis ä\xff", "\x7f\ttab\r");
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_true(pread(file, text, sizeof text - 1, 0) > 0);
    close(file);
    assert_string_equal(text, "dtrain: error: a file ?]0;title??m ? tab?\nis ä?\n");
}

static void spaces_of_unicode(void **state) {
    (void)state;
    static const char *const space[] = {" ",
                                        "\t",
                                        "\v",
                                        "\r",
                                        "\xc2\xa0",
                                        "\xe2\x80\x83",
                                        "\xe2\x80\x8b",
                                        "\xe2\x80\xaf",
                                        "\xe2\x81\xa0",
                                        "\xe3\x80\x80",
                                        "\xef\xbb\xbf"};
    static const char *const other[] = {
        "a", "_", "\xc2\xa1", "\xe3\x80\x81", "\xef\xbc\x81", "\xe2\x80\xa6"};
    for (size_t i = 0; i < sizeof space / sizeof *space; i++)
        assert_true(dt_utf8_is_space(dt_utf8_code(space[i], strlen(space[i]))));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(dt_utf8_is_space(dt_utf8_code(other[i], strlen(other[i]))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_found),
        cmocka_unit_test(reads_in_any_pieces),
        cmocka_unit_test(nothing_is_waited_for),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(locations_are_shown),
        cmocka_unit_test(long_lines_are_shown_in_part),
        cmocka_unit_test(logs_do_not_control_a_terminal),
        cmocka_unit_test(spaces_of_unicode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
