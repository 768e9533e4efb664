/* Which characters of a text are digits of a number, and at which place. */
#ifndef DTRAIN_DIGITS_H
#define DTRAIN_DIGITS_H

#include <stdbool.h>
#include <stddef.h>

/* What stands before each number in a vocabulary that has start marks. It counts as the number's
 * first digit, so that where a number begins can be found by its place. */
enum { DT_NUMBER_MARK = '^' };

/* The mark of a negative number, in a vocabulary that has it; there, a point is part of the number.
 */
enum { DT_NEGATIVE_MARK = '~' };

/* A number in a text that is read character by character; all 0 to begin with. */
typedef struct {
    bool marked;    /* the vocabulary has start marks */
    bool is_signed; /* and those of negative numbers */
    size_t digits;  /* so far; 0: the last character was no part of a number */
    bool carried;   /* the last character was a carry */
} dt_digit_run;

/* What a character is to the number it stands in or behind. Within it, between two digits of a
 * partial product, stand a carry, a to i for 0 to 8, and what it is added to, K to T for 0 to 9. */
typedef enum { DT_OUTSIDE, DT_DIGIT, DT_WITHIN } dt_character_kind;

dt_character_kind dt_digit_run_take(dt_digit_run *run, char character);

/*
 * A digit of a sum or difference in a working. Where it carries, or borrows, out of its place it is
 * a letter, j to t for 0 to 9, without r, which stands before a remainder.
 */
char dt_digit_character(unsigned digit, bool carries);

/* 0 to 9, whether it carries or not; -1: it is no digit. */
int dt_digit_value(char character);

#endif
