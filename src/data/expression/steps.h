/* Lines that calculate with whole numbers, digit by digit. Private to src/data/expression. */
#ifndef DTRAIN_DATA_STEPS_H
#define DTRAIN_DATA_STEPS_H

#include "lines.h"

/* Most decimals that are looked at to see whether an answer has an end. */
enum { DT_DECIMALS_MAX = 8 };

/* What stands before the numbers of a division in the near working: those with different letters do
 * not see each other (dt_tokenizer_places). */
enum { OF_REST = 'a', OF_DIVISOR = 'b', OF_QUOTIENT = 'c', OF_LEFT = 'd' };

/*
 * What follows from a line after its letter; false: nothing does. found: what was found for it,
 * "": nothing has been looked for yet.
 */
bool dt_step_sum(dt_pen *pen, dt_scan line);        /* S^21+^43 */
bool dt_step_difference(dt_pen *pen, dt_scan line); /* D^21-^43 */
/* M^21*^43+^, or M^21*^4,N+- if `near`: both, and the sum so far */
bool dt_step_product(dt_pen *pen, dt_scan line, bool near);
/* G^602,^17: the next digit of a quotient */
bool dt_step_digit(dt_pen *pen, dt_scan line, bool near);
/* L^0602,^17,^,^, or La^060,M,b^17,c-,d^0 if `near`: what is left of the dividend, divisor,
 * quotient so far, remainder */
bool dt_step_quotient(dt_pen *pen, dt_scan line, dt_scan found, bool near);
/* The first such line. */
void dt_step_divide(dt_pen *pen, const dt_figure *dividend, const dt_figure *divisor, bool near);
/* What was found at last; near: the quotient is as it is read. */
bool dt_step_take_result(dt_figure *quotient, dt_figure *rest, dt_scan found, bool near);
/* The answer of the near working, "}=c^29rd^1". */
void dt_step_write_result(dt_pen *pen, const dt_figure *quotient, const dt_figure *rest);
/* F^,^17,^1: decimals so far, divisor, remainder */
bool dt_step_decimals(dt_pen *pen, dt_scan line, dt_scan found);

#endif
