/* Decimal numbers as text, either end first, that never run over their buffer. */
#include "decimal.h"

#include <string.h>

dt_draft dt_draft_begin(char *buffer, size_t size) {
    buffer[0] = '\0';
    return (dt_draft){.buffer = buffer, .size = size};
}

void dt_draft_rewind(dt_draft *text, size_t length) {
    text->length = length;
    text->buffer[length] = '\0';
}

void dt_draft_char(dt_draft *text, char c) {
    if (text->length + 1 >= text->size) {
        text->full = true;
        return;
    }
    text->buffer[text->length++] = c;
    text->buffer[text->length] = '\0';
}

void dt_draft_string(dt_draft *text, const char *string) {
    dt_draft_span(text, (dt_span){string, strlen(string)});
}

void dt_draft_number_reversed(dt_draft *text, const dt_number *n) {
    dt_number left = *n;
    do {
        dt_draft_char(text, (char)('0' + (int)dt_number_take_digit(&left)));
    } while (!dt_number_is_zero(&left));
}

void dt_draft_number(dt_draft *text, const dt_number *n) {
    dt_draft_string(text, dt_decimal_of(n).text);
}

bool dt_span_is_number(dt_span span, dt_digit_order order) {
    if (span.count == 0) return false;
    for (size_t i = 0; i < span.count; i++) {
        if (span.at[i] < '0' || span.at[i] > '9') return false;
    }
    return span.count == 1 || span.at[order == DT_MOST_FIRST ? 0 : span.count - 1] != '0';
}

dt_span dt_span_stripped(dt_span digits, dt_digit_order order) {
    while (digits.count > 1 && digits.at[order == DT_MOST_FIRST ? 0 : digits.count - 1] == '0') {
        if (order == DT_MOST_FIRST) digits.at++;
        digits.count--;
    }
    return digits;
}

bool dt_span_cut(dt_span *head, dt_span *rest, dt_span whole, char separator) {
    const char *at = whole.count > 0 ? memchr(whole.at, separator, whole.count) : NULL;
    const size_t before = at ? (size_t)(at - whole.at) : whole.count;
    const size_t after = at ? before + 1 : before;
    *head = (dt_span){whole.at, before};
    *rest = (dt_span){whole.at + after, whole.count - after};
    return at != NULL;
}

void dt_draft_span(dt_draft *text, dt_span span) {
    for (size_t i = 0; i < span.count; i++) dt_draft_char(text, span.at[i]);
}

void dt_draft_span_reversed(dt_draft *text, dt_span span) {
    for (size_t i = span.count; i > 0; i--) dt_draft_char(text, span.at[i - 1]);
}
