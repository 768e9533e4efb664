/* Lines that calculate with whole numbers, digit by digit. Private to src/data/expression. */
#ifndef DTRAIN_DATA_STEPS_H
#define DTRAIN_DATA_STEPS_H

#include "lines.h"

/* Most decimals that are looked at to see whether an answer has an end. */
enum { DT_DECIMALS_MAX = 8 };

/*
 * What follows from a line after its letter; false: nothing does. found: what was found for it,
 * "": nothing has been looked for yet.
 */
bool dt_step_sum(dt_pen *pen, dt_scan line);        /* S^21+^43 */
bool dt_step_difference(dt_pen *pen, dt_scan line); /* D^21-^43 */
/* M^21*^43+^, or M^21*^4,3+^0 if `near`: both, and the sum so far */
bool dt_step_product(dt_pen *pen, dt_scan line, bool near);
bool dt_step_digit(dt_pen *pen, dt_scan line); /* G^602,^17: the next digit of a quotient */
/* L^0602,^17,^,^, or L^060,2,^17,^,^ if `near`: what is left of the dividend, divisor, quotient so
 * far, remainder */
bool dt_step_quotient(dt_pen *pen, dt_scan line, dt_scan found, bool near);
/* F^,^17,^1: decimals so far, divisor, remainder */
bool dt_step_decimals(dt_pen *pen, dt_scan line, dt_scan found);

#endif
