/* A text that is drawn at random: its numbers, values, expressions and questions. Private to
 * src/data/expression. */
#ifndef DTRAIN_DATA_EXPRESSION_DRAWING_H
#define DTRAIN_DATA_EXPRESSION_DRAWING_H

#include "dice.h"
#include "dtrain/core/config.h"

/* What is drawn, and for which settings. After an error nothing is added. */
typedef struct {
    dt_dice dice;
    const dt_config *config;
    dt_pen pen;
    size_t digits; /* most of the numbers of this text */
    bool alike;    /* they have these digits alone, and the expression these operations */
    char digit[2], operation[2];
    /* of the numbers of a question */
    bool negatives, decimals, percent;
} dt_drawing;

static inline size_t below(dt_drawing *d, size_t n) { return dt_dice_below(&d->dice, n); }
static inline bool one_in(dt_drawing *d, size_t n) { return dt_dice_one_in(&d->dice, n); }
static inline char any_mark(dt_drawing *d) { return one_in(d, 3) ? '~' : '^'; }

/* Questions have one operation of two natural numbers. */
bool dt_expression_is_natural(const dt_config *config);

/* Most digits of numbers that come up on the way; and of one of them. */
size_t dt_drawing_longest(const dt_drawing *d);
size_t dt_drawing_digits(dt_drawing *d);

/* A number of up to `most` digits, at least one. */
void dt_drawing_number(dt_drawn *number, dt_drawing *d, size_t most);
void dt_drawing_put_number(dt_drawing *d, char mark, size_t most);

/* n of 10^n; 10^n; that or what could be taken for it: 3000, 1100. */
size_t dt_drawing_power(dt_drawing *d);
void dt_drawing_put_power(dt_drawing *d, char mark, size_t n);
void dt_drawing_put_near_power(dt_drawing *d);

/* As they come up on the way: a whole number; that or a fraction, one in three of which is over 10,
 * 100 … */
void dt_drawing_put_whole(dt_drawing *d, size_t most);
void dt_drawing_put_value(dt_drawing *d, bool fraction);

/* Which two digits numbers have that are alike, and which two operations their expression. */
void dt_drawing_choose_digits(dt_drawing *d);
void dt_drawing_choose_operations(dt_drawing *d);

char dt_drawing_operation(dt_drawing *d);
void dt_drawing_put_expression(dt_drawing *d);
/* With its letter, without its end. */
void dt_drawing_put_question(dt_drawing *d);

#endif
