/* Which characters of a text are digits. */
#include "dtrain/data/digits.h"

#include <string.h>

static const char carrying_digit[] = "jklmnopqst";

char dt_digit_character(unsigned digit, bool carries) {
    return carries ? carrying_digit[digit] : (char)('0' + (int)digit);
}

int dt_digit_value(char character) {
    if (character >= '0' && character <= '9') return character - '0';
    const char *at = character ? strchr(carrying_digit, character) : NULL;
    return at ? (int)(at - carrying_digit) : -1;
}

dt_character_kind dt_digit_run_take(dt_digit_run *run, char character) {
    const bool carried = run->digits > 0 && character >= 'a' && character <= 'i';
    const bool within = carried || (run->carried && character >= 'K' && character <= 'T');
    const bool point = run->is_signed && run->digits > 0 && character == '.';
    run->carried = carried;
    if (within || point) return DT_WITHIN;
    if ((run->marked && character == DT_NUMBER_MARK) ||
        (run->is_signed && character == DT_NEGATIVE_MARK)) {
        run->digits = 1;
        return DT_DIGIT;
    }
    const bool digit = dt_digit_value(character) >= 0;
    run->digits = digit ? run->digits + 1 : 0;
    return digit ? DT_DIGIT : DT_OUTSIDE;
}
