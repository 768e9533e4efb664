/* Numbers in the lines of a calculation, and lines that are written. Private to
 * src/data/expression.
 */
#ifndef DTRAIN_DATA_LINES_H
#define DTRAIN_DATA_LINES_H

#include "dtrain/data/text.h"

/* A number as it stands in a line: a mark, which is its sign, and digits from the lowest on. */
typedef struct {
    char mark;
    const char *digit;
    size_t count;
} dt_figure;

/* A number, or a fraction of two. */
typedef struct {
    dt_figure above, below; /* below.count 0: no fraction */
} dt_value;

/* A line that is read from left to right. */
typedef struct {
    const char *at, *end;
} dt_scan;

static inline bool dt_scan_ends(const dt_scan *scan) { return scan->at == scan->end; }
bool dt_scan_take(dt_scan *scan, char character);
bool dt_scan_figure(dt_figure *figure, dt_scan *scan);
/* What dt_pen_letter wrote. */
bool dt_scan_letter(char *digit, dt_scan *scan);
/* What dt_pen_digits wrote: the digits below the highest, and that. */
bool dt_scan_digits(dt_figure *below, char *highest, dt_scan *scan, bool apart);
bool dt_scan_value(dt_value *value, dt_scan *scan);

/* A line that is written; after an error nothing is added. */
typedef struct {
    dt_text *text;
    dt_status status;
    /* Wanted for each byte of the text: which of these it was copied from, or -1. The mark before a
     * number without digits counts as copied from what stood behind its mark. origin NULL: not
     * wanted. */
    const char *seen;
    size_t seen_length;
    int32_t *origin; /* (DT_LINE_BYTES_MAX) */
} dt_pen;

void dt_pen_bytes(dt_pen *pen, const char *bytes, size_t count);
/* The last one first. */
void dt_pen_backwards(dt_pen *pen, const char *bytes, size_t count);
void dt_pen_string(dt_pen *pen, const char *string);
void dt_pen_char(dt_pen *pen, char character);

/* A number of these digits, trimmed. */
void dt_pen_number(dt_pen *pen, char mark, const char *digit, size_t count);
/* A digit as a letter, K to T: it is no part of a number, and has no place. */
void dt_pen_letter(dt_pen *pen, char digit);
/* At least one digit; the highest of them, which is worked on next, may stand apart: "^21,N", or
 * "^!N" where it is the last. */
void dt_pen_digits(dt_pen *pen, const char *digit, size_t count, bool apart);
void dt_pen_figure(dt_pen *pen, char mark, const dt_figure *figure);
void dt_pen_value(dt_pen *pen, const dt_value *value);

/* Without zeros above the highest other digit; 0 is "^0". */
dt_figure dt_figure_trimmed(const dt_figure *figure);
/* The digit at a place, 0 above the highest. */
unsigned dt_figure_digit(const dt_figure *figure, size_t place);
bool dt_figure_is_zero(const dt_figure *figure);
/* 10^n: n; other numbers: -1. */
int dt_figure_power(const dt_figure *figure);

static inline char dt_opposite(char mark) { return mark == '^' ? '~' : '^'; }

#endif
