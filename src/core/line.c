/* One line of text: where it ends, whether it is text, and an error that shows a location in it. */
#include "dtrain/core/line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/utf8.h"

dt_line dt_line_of(const char *text) { return (dt_line){.text = text, .length = strlen(text)}; }

size_t dt_line_mark(const char *text, size_t size) {
    return size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

bool dt_line_cut(dt_line *line, size_t *length, const char *text, size_t size, bool last) {
    size_t end = 0;
    while (end < size && text[end] != '\n' && text[end] != '\r') end++;
    line->text = text;
    line->length = end;
    *length = end;
    if (end == size) return last;
    if (text[end] == '\n') {
        *length = end + 1;
        return true;
    }
    /* What a carriage return belongs to, up to two bytes after it tell. */
    size_t next = end + 1;
    if (next < size && text[next] == '\r') next++;
    if (next == size && !last) return false;
    *length = next < size && text[next] == '\n' ? next + 1 : end + 1;
    return true;
}

bool dt_line_is_blank(const dt_line *line) {
    for (size_t at = 0; at < line->length;) {
        const size_t length = dt_utf8_length(line->text + at, line->length - at);
        if (length == 0 || !dt_utf8_is_space(dt_utf8_code(line->text + at, length))) return false;
        at += length;
    }
    return true;
}

static bool begins_as_utf16(const dt_line *line) {
    return line->number <= 1 && line->length >= 2 &&
           (memcmp(line->text, "\xff\xfe", 2) == 0 || memcmp(line->text, "\xfe\xff", 2) == 0);
}

dt_status dt_line_check(const dt_line *line) {
    for (size_t at = 0; at < line->length;) {
        const size_t length = dt_utf8_length(line->text + at, line->length - at);
        const unsigned byte = (unsigned char)line->text[at];
        if (length == 0 || byte == 0) {
            DT_LINE_RAISE(DT_ERR_DATA, line, at,
                          "byte %zu (0x%02x) belongs to no text in UTF-8; convert it, for example "
                          "with iconv%s",
                          at + 1, byte, begins_as_utf16(line) ? " -f UTF-16 -t UTF-8" : "");
        }
        at += length;
    }
    return DT_OK;
}

/* ---- showing a location ---- */

/* Of a line: columns of the terminal to the left and to the right of the location. */
enum { LEFT = 40, RIGHT = 30 };
/* Each column may take a character of the longest kind. */
enum { SHOWN_SIZE = (LEFT + RIGHT) * DT_UTF8_MAX + 16 };

static size_t character_length(const char *at, size_t left) {
    const size_t length = dt_utf8_length(at, left);
    return length ? length : 1;
}

/* Columns from one byte to another. */
static size_t columns_of(const dt_line *line, size_t from, size_t to) {
    size_t columns = 0;
    for (size_t at = from; at < to;) {
        const size_t length = character_length(line->text + at, line->length - at);
        columns += dt_utf8_columns(line->text + at, length);
        at += length;
    }
    return columns;
}

/* What of a line is shown. */
static void find_window(size_t *from, size_t *to, const dt_line *line, size_t at) {
    *from = 0;
    for (size_t columns = columns_of(line, 0, at); columns > LEFT;) {
        const size_t length = character_length(line->text + *from, line->length - *from);
        columns -= dt_utf8_columns(line->text + *from, length);
        *from += length;
    }
    size_t columns = 0;
    for (*to = at; *to < line->length && columns < RIGHT;) {
        const size_t length = character_length(line->text + *to, line->length - *to);
        columns += dt_utf8_columns(line->text + *to, length);
        *to += length;
    }
}

/* "  12+x\n     ^" */
static void show(char *shown, size_t size, const dt_line *line, size_t at) {
    size_t from, to;
    char text[SHOWN_SIZE];
    find_window(&from, &to, line, at);
    const size_t count = to - from < sizeof text ? to - from : sizeof text - 1;
    for (size_t i = 0; i < count; i++) /* NUL is shown, too */
        text[i] = line->text[from + i] ? line->text[from + i] : '\x01';
    text[count] = '\0';
    dt_utf8_make_printable(text, "");
    const bool cut = from > 0;
    snprintf(shown, size, "  %s%s%s\n  %*s^", cut ? "…" : "", text, to < line->length ? "…" : "",
             (int)(columns_of(line, from, at) + cut), "");
}

dt_status dt_line_raise(dt_status code, const char *file, int source_line, const dt_line *line,
                        size_t at, const char *fmt, ...) {
    char sentence[768], shown[SHOWN_SIZE + LEFT + RIGHT], location[512] = "";
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    show(shown, sizeof shown, line, at);
    size_t column = 1;
    for (size_t i = 0; i < at; column++) i += character_length(line->text + i, line->length - i);
    if (line->name) {
        snprintf(location, sizeof location, "%.400s:%" PRId64 ":%zu: ", line->name, line->number,
                 column);
    }
    return dt_error_raise(code, file, source_line, "%s%s\n%s", location, sentence, shown);
}
