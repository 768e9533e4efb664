/* Numbers in the lines of a calculation, read and written. */
#include "lines.h"

#include <string.h>

#include "dtrain/data/digits.h"
#include "dtrain/expression/machine.h"

bool dt_scan_take(dt_scan *scan, char character) {
    if (dt_scan_ends(scan) || *scan->at != character) return false;
    scan->at++;
    return true;
}

static bool is_digit(const dt_scan *scan) {
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

bool dt_scan_figure(dt_figure *figure, dt_scan *scan) {
    if (scan->at == scan->end) return false;
    figure->mark = *scan->at;
    if (figure->mark != DT_NUMBER_MARK && figure->mark != DT_NEGATIVE_MARK) return false;
    figure->digit = ++scan->at;
    while (is_digit(scan)) scan->at++;
    figure->count = (size_t)(scan->at - figure->digit);
    return true;
}

bool dt_scan_letter(char *digit, dt_scan *scan) {
    if (scan->at == scan->end || *scan->at < 'K' || *scan->at > 'T') return false;
    *digit = (char)('0' + *scan->at++ - 'K');
    return true;
}

bool dt_scan_digits(dt_figure *below, char *highest, dt_scan *scan, bool apart) {
    if (!dt_scan_figure(below, scan)) return false;
    if (apart) {
        return dt_scan_take(scan, below->count > 0 ? ',' : '!') && dt_scan_letter(highest, scan);
    }
    if (below->count == 0) return false;
    *highest = below->digit[--below->count];
    return true;
}

bool dt_scan_value(dt_value *value, dt_scan *scan) {
    dt_scan behind;
    value->below = (dt_figure){0};
    if (!dt_scan_figure(&value->above, scan)) return false;
    behind = *scan;
    if (dt_scan_take(&behind, ':') && dt_scan_figure(&value->below, &behind)) *scan = behind;
    return true;
}

void dt_pen_backwards(dt_pen *pen, const char *bytes, size_t count) {
    while (count > 0) dt_pen_char(pen, bytes[--count]);
}

static void note_origin(const dt_pen *pen, const char *bytes, size_t count) {
    const uintptr_t at = (uintptr_t)bytes, first = (uintptr_t)pen->seen;
    const bool copied = at >= first && at < first + pen->seen_length;
    const size_t begin = pen->text->length;
    if (begin + count > DT_LINE_BYTES_MAX) return;
    for (size_t i = 0; i < count; i++)
        pen->origin[begin + i] = copied ? (int32_t)(at - first + i) : -1;
    if (count == 0 && copied && begin > 0) pen->origin[begin - 1] = (int32_t)(at - first);
}

void dt_pen_bytes(dt_pen *pen, const char *bytes, size_t count) {
    if (pen->status == DT_OK && pen->origin) note_origin(pen, bytes, count);
    if (pen->status == DT_OK) pen->status = dt_text_append(pen->text, bytes, count);
}

void dt_pen_string(dt_pen *pen, const char *string) { dt_pen_bytes(pen, string, strlen(string)); }

void dt_pen_char(dt_pen *pen, char character) { dt_pen_bytes(pen, &character, 1); }

dt_figure dt_figure_trimmed(const dt_figure *figure) {
    dt_figure trimmed = *figure;
    while (trimmed.count > 0 && trimmed.digit[trimmed.count - 1] == '0') trimmed.count--;
    return trimmed.count ? trimmed : (dt_figure){DT_NUMBER_MARK, "0", 1};
}

void dt_pen_number(dt_pen *pen, char mark, const char *digit, size_t count) {
    const dt_figure number = dt_figure_trimmed(&(dt_figure){mark, digit, count});
    dt_pen_char(pen, number.mark);
    dt_pen_bytes(pen, number.digit, number.count);
}

void dt_pen_digits(dt_pen *pen, const char *digit, size_t count, bool apart) {
    dt_pen_char(pen, DT_NUMBER_MARK);
    dt_pen_bytes(pen, digit, apart ? count - 1 : count);
    if (!apart) return;
    dt_pen_char(pen, count > 1 ? ',' : '!');
    dt_pen_letter(pen, digit[count - 1]);
}

void dt_pen_letter(dt_pen *pen, char digit) { dt_pen_char(pen, (char)('K' + digit - '0')); }

void dt_pen_figure(dt_pen *pen, char mark, const dt_figure *figure) {
    dt_pen_number(pen, mark, figure->digit, figure->count);
}

void dt_pen_value(dt_pen *pen, const dt_value *value) {
    dt_pen_figure(pen, value->above.mark, &value->above);
    if (!value->below.count) return;
    dt_pen_char(pen, ':');
    dt_pen_figure(pen, value->below.mark, &value->below);
}

unsigned dt_figure_digit(const dt_figure *figure, size_t place) {
    return place < figure->count ? (unsigned)(figure->digit[place] - '0') : 0;
}

bool dt_figure_is_zero(const dt_figure *figure) {
    for (size_t i = 0; i < figure->count; i++) {
        if (figure->digit[i] != '0') return false;
    }
    return true;
}

int dt_figure_power(const dt_figure *figure) {
    size_t n = 0;
    while (n < figure->count && figure->digit[n] == '0') n++;
    return n + 1 == figure->count && figure->digit[n] == '1' ? (int)n : -1;
}
