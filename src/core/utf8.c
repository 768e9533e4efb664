/* Characters of UTF-8 text, as the standard allows them: Unicode 15, table 3-7. */
#include "dtrain/core/utf8.h"

#include <string.h>

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

bool dt_utf8_begins(const char *at, size_t left) {
    /* What the second byte may be has one of these limits: if neither fits, nothing does. */
    static const char *const rest[] = {"\x80\x80\x80", "\xbf\xbf\xbf"};
    const unsigned char first = left ? (unsigned char)at[0] : 0;
    const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0x80 || left >= length) return false;
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        char filled[DT_UTF8_MAX];
        memcpy(filled, at, left);
        memcpy(filled + left, rest[i], length - left);
        if (dt_utf8_length(filled, length)) return true;
    }
    return false;
}

size_t dt_utf8_count(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

uint32_t dt_utf8_code(const char *at, size_t length) {
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)at[0] & first_bits[length];
    for (size_t i = 1; i < length; i++) code = code << 6 | ((unsigned char)at[i] & 0x3fu);
    return code;
}

typedef struct {
    uint32_t first, last;
} code_range;

static bool is_in(uint32_t code, const code_range *range, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (code >= range[i].first && code <= range[i].last) return true;
    }
    return false;
}
#define IS_IN(code, range) is_in((code), (range), sizeof(range) / sizeof *(range))

bool dt_utf8_is_space(uint32_t code) {
    /* White_Space of Unicode, and what takes no room at all. */
    static const code_range space[] = {{0x09, 0x0d},     {0x20, 0x20},     {0x85, 0x85},
                                       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200b},
                                       {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x2060},
                                       {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    return IS_IN(code, space);
}

/* What a terminal obeys rather than shows: C0, C1, ends of lines, and the direction of writing. */
static bool is_control(uint32_t code) {
    static const code_range control[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x200e, 0x200f},
                                         {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}};
    return IS_IN(code, control);
}

size_t dt_utf8_columns(const char *at, size_t length) {
    static const code_range none[] = {{0x300, 0x36f},   {0x200b, 0x200d}, {0x2060, 0x2060},
                                      {0x20d0, 0x20ff}, {0x3099, 0x309a}, {0xfe00, 0xfe0f},
                                      {0xfe20, 0xfe2f}};
    static const code_range two[] = {{0x1100, 0x115f},  {0x2e80, 0x303e}, {0x3041, 0xa4cf},
                                     {0xac00, 0xd7a3},  {0xf900, 0xfaff}, {0xfe30, 0xfe6f},
                                     {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1faff},
                                     {0x20000, 0x3fffd}};
    if (dt_utf8_length(at, length) != length) return 1;
    const uint32_t code = dt_utf8_code(at, length);
    return IS_IN(code, none) ? 0 : IS_IN(code, two) ? 2 : 1;
}

void dt_utf8_make_printable(char *text, const char *kept) {
    const size_t size = strlen(text);
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        const size_t length = dt_utf8_length(text + at, size - at);
        if (length > 0 &&
            (strchr(kept, text[at]) || !is_control(dt_utf8_code(text + at, length)))) {
            memmove(text + used, text + at, length);
            used += length;
        } else {
            text[used++] = text[at] == '\t' ? ' ' : '?';
        }
        at += length ? length : 1;
    }
    text[used] = '\0';
}
