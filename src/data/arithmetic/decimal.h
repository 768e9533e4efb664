/* Decimal numbers as text, either end first, in buffers of fixed size. Private to
 * src/data/arithmetic. */
#ifndef DTRAIN_DATA_DECIMAL_H
#define DTRAIN_DATA_DECIMAL_H

#include "dtrain/arithmetic/problem.h"
#include "dtrain/data/digits.h"
#include "dtrain/data/text.h"
#include <stdbool.h>
#include <stddef.h>

/* Text that grows in a caller's buffer, is always ended by NUL and never runs over: what does not
 * fit sets `full`. */
typedef struct {
    char *buffer;
    size_t size, length;
    bool full;
} dt_draft;

/* size > 0 */
dt_draft dt_draft_begin(char *buffer, size_t size);
void dt_draft_rewind(dt_draft *text, size_t length); /* forget what came after that length */
void dt_draft_char(dt_draft *text, char c);
void dt_draft_string(dt_draft *text, const char *string);
void dt_draft_number(dt_draft *text, const dt_number *n);          /* highest digit first */
void dt_draft_number_reversed(dt_draft *text, const dt_number *n); /* lowest digit first */

typedef enum { DT_MOST_FIRST, DT_LEAST_FIRST } dt_digit_order;

/* Digits only, at least one, and no zero before the first significant one. */
bool dt_span_is_number(dt_span span, dt_digit_order order);

/* Without the zeros before the first significant digit; the last digit stays. */
dt_span dt_span_stripped(dt_span digits, dt_digit_order order);

/* Everything before the first `separator`; `rest` is what follows it. False, with the whole as
 * `head`, if there is none. */
bool dt_span_cut(dt_span *head, dt_span *rest, dt_span whole, char separator);

void dt_draft_span(dt_draft *text, dt_span span);
void dt_draft_span_reversed(dt_draft *text, dt_span span);

#endif
