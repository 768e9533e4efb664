/* Random numbers of any length. */
#include "dice.h"

#include <string.h>

#include "dtrain/core/memory.h"

enum { BLOCKS = 4096 }; /* of an attempt, at most */

dt_dice dt_dice_for(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t attempt) {
    return (dt_dice){
        .seed = seed, .index = index, .purpose = purpose, .attempt = attempt, .used = 4};
}

size_t dt_dice_below(dt_dice *dice, size_t n) {
    if (dice->used == 4) {
        dt_random_block(dice->word, dice->seed, dice->purpose,
                        dice->attempt * BLOCKS + dice->block++ % BLOCKS, dice->index);
        dice->used = 0;
    }
    return (size_t)((uint64_t)dice->word[dice->used++] * n >> 32);
}

bool dt_dice_one_in(dt_dice *dice, size_t n) { return dt_dice_below(dice, n) == 0; }

size_t dt_dice_length(dt_dice *dice, size_t most) {
    enum { SHORT = 3 };
    const size_t range = dt_dice_one_in(dice, 3) ? dt_min_size(SHORT, most) : most;
    return 1 + dt_dice_below(dice, range);
}

/* By chance few numbers have several zeros or nines, over which carries run: in one of four numbers
 * half of the digits are one of them. */
void dt_drawn_digits(dt_drawn *number, dt_dice *dice, size_t count) {
    const bool zeros = dt_dice_one_in(dice, 8), nines = !zeros && dt_dice_one_in(dice, 8);
    number->count = dt_min_size(count, DT_DICE_DIGITS);
    for (size_t i = 0; i < number->count; i++) {
        size_t digit = dt_dice_below(dice, 10);
        if ((zeros || nines) && dt_dice_one_in(dice, 2)) digit = zeros ? 0 : 9;
        if (i + 1 == number->count && digit == 0) digit = 1 + dt_dice_below(dice, 9);
        number->digit[i] = (char)('0' + digit);
    }
}

void dt_drawn_power(dt_drawn *number, size_t n) {
    number->count = dt_min_size(n + 1, DT_DICE_DIGITS);
    memset(number->digit, '0', number->count);
    number->digit[number->count - 1] = '1';
}

void dt_drawn_shift(dt_drawn *number, size_t n) {
    if (number->count == 0) return;
    n = dt_min_size(n, DT_DICE_DIGITS - number->count);
    memmove(number->digit + n, number->digit, number->count);
    memset(number->digit, '0', n);
    number->count += n;
}

/* Equal from the highest digit down to one that is lower; of half of them that is the highest. */
void dt_drawn_below(dt_drawn *number, dt_dice *dice, const dt_drawn *most) {
    const size_t count = most->count;
    size_t place = dt_dice_one_in(dice, 2) ? count - 1 : dt_dice_below(dice, count);
    while (most->digit[place] == '0') place++;
    memcpy(number->digit, most->digit, count);
    number->digit[place] = (char)('0' + dt_dice_below(dice, (size_t)(most->digit[place] - '0')));
    for (size_t i = 0; i < place; i++) number->digit[i] = (char)('0' + dt_dice_below(dice, 10));
    number->count = count;
    while (number->count > 0 && number->digit[number->count - 1] == '0') number->count--;
}

void dt_drawn_multiple(dt_drawn *number, const dt_drawn *a, unsigned factor, const dt_drawn *b) {
    unsigned carry = 0;
    for (size_t i = 0; i < a->count; i++) {
        carry += (unsigned)(a->digit[i] - '0') * factor;
        if (i < b->count) carry += (unsigned)(b->digit[i] - '0');
        number->digit[i] = (char)('0' + carry % 10);
        carry /= 10;
    }
    number->count = a->count;
    if (carry > 0 && number->count < DT_DICE_DIGITS)
        number->digit[number->count++] = (char)('0' + carry);
    while (number->count > 0 && number->digit[number->count - 1] == '0') number->count--;
}

void dt_drawn_write(dt_pen *pen, char mark, const dt_drawn *number) {
    dt_pen_number(pen, mark, number->digit, number->count);
}
