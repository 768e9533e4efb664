/* Characters of UTF-8 text, as the standard allows them: Unicode 15, table 3-7. */
#include "dtrain/core/utf8.h"

size_t dt_utf8_length(const char *at, size_t left) {
    if (left == 0) return 0;
    const unsigned char first = (unsigned char)at[0];
    if (first < 0x80) return 1;
    const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || left < length) return 0;
    /* What the second byte may be keeps overlong forms, surrogates and too large numbers out. */
    const unsigned char second = (unsigned char)at[1];
    const unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return 0;
    for (size_t i = 2; i < length; i++) {
        if (((unsigned char)at[i] & 0xc0) != 0x80) return 0;
    }
    return length;
}

size_t dt_utf8_count(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}
