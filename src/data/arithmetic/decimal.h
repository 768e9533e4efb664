/* Decimal numbers as text, either end first, in buffers of fixed size. Private to src/data. */
#ifndef DTRAIN_DATA_DECIMAL_H
#define DTRAIN_DATA_DECIMAL_H

#include "dtrain/data/data.h"
#include <stdbool.h>
#include <stddef.h>

/* 10^n, n <= 38: the largest that 128 bits hold. */
dt_number dt_power_of_ten(size_t n);

/* Text that grows in a caller's buffer, is always ended by NUL and never runs over: what does not
 * fit sets `full`. */
typedef struct {
    char *buffer;
    size_t size, length;
    bool full;
} dt_text;

/* size > 0 */
dt_text dt_text_begin(char *buffer, size_t size);
void dt_text_rewind(dt_text *text, size_t length); /* forget what came after that length */
void dt_text_char(dt_text *text, char c);
void dt_text_string(dt_text *text, const char *string);
void dt_text_number(dt_text *text, dt_number n);          /* most significant digit first */
void dt_text_number_reversed(dt_text *text, dt_number n); /* least significant digit first */

/* A stretch of somebody else's text, without an end of its own. */
typedef struct {
    const char *at;
    size_t count;
} dt_span;

typedef enum { DT_MOST_FIRST, DT_LEAST_FIRST } dt_digit_order;

/*
 * A digit of a sum or difference in a working. Where it carries, or borrows, out of its place it is
 * a letter, j to t for 0 to 9, without r, which stands before a remainder.
 */
char dt_digit_sign(unsigned digit, bool carries);

/* 0 to 9, whether it carries or not; -1: it is no digit. */
int dt_digit_value(char sign);

/* Digits only, at least one, and no zero before the first significant one. */
bool dt_span_is_number(dt_span span, dt_digit_order order);

/* A number in a text that is read sign by sign; all 0 to begin with. */
typedef struct {
    size_t digits; /* so far; 0: the last sign was no part of a number */
    bool carried;  /* the last sign was a carry */
} dt_digit_run;

/* What a sign is to the number it stands in or behind. Within it, between two digits of a partial
 * product, stand a carry, a to i for 0 to 8, and what it is added to, K to T for 0 to 9. */
typedef enum { DT_OUTSIDE, DT_DIGIT, DT_WITHIN } dt_sign_kind;

dt_sign_kind dt_digit_run_take(dt_digit_run *run, char sign);

/* Without the zeros before the first significant digit; the last digit stays. */
dt_span dt_span_stripped(dt_span digits, dt_digit_order order);

/* Everything before the first `separator`; `rest` is what follows it. False, with the whole as
 * `head`, if there is none. */
bool dt_span_cut(dt_span *head, dt_span *rest, dt_span whole, char separator);

void dt_text_span(dt_text *text, dt_span span);
void dt_text_span_reversed(dt_text *text, dt_span span);

#endif
