/* Random choices of the sampler, as many as it wants. Private to src/data/expression. */
#ifndef DTRAIN_DATA_DICE_H
#define DTRAIN_DATA_DICE_H

#include "dtrain/core/random.h"
#include "lines.h"

/* Where random numbers come from: which attempt at which text. */
typedef struct {
    uint64_t seed, index;
    uint32_t purpose, attempt, block;
    uint32_t word[4];
    size_t used;
} dt_dice;

dt_dice dt_dice_for(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t attempt);

/* 0 … n-1, evenly. */
size_t dt_dice_below(dt_dice *dice, size_t n);
/* True once in n times. */
bool dt_dice_one_in(dt_dice *dice, size_t n);

/* A length of 1 … most: short ones more often. */
size_t dt_dice_length(dt_dice *dice, size_t most);

/* Digits of a number, from the lowest on; the highest is not 0. */
enum { DT_DICE_DIGITS = 512 };
typedef struct {
    char digit[DT_DICE_DIGITS];
    size_t count;
} dt_drawn;

void dt_drawn_digits(dt_drawn *number, dt_dice *dice, size_t count);
/* 10^n */
void dt_drawn_power(dt_drawn *number, size_t n);
/* number * 10^n, as far as there is room */
void dt_drawn_shift(dt_drawn *number, size_t n);
/* Below `most`, which is not 0; of 0 there is no digit. */
void dt_drawn_below(dt_drawn *number, dt_dice *dice, const dt_drawn *most);
/* a * factor + b, b below a. */
void dt_drawn_multiple(dt_drawn *number, const dt_drawn *a, unsigned factor, const dt_drawn *b);
void dt_drawn_write(dt_pen *pen, char mark, const dt_drawn *number);

#endif
