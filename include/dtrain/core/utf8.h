/* Characters of UTF-8 text. */
#ifndef DTRAIN_UTF8_H
#define DTRAIN_UTF8_H

#include <stddef.h>

/* Bytes of the longest character, and of a text of one character. */
enum { DT_UTF8_MAX = 4, DT_UTF8_SIZE = DT_UTF8_MAX + 1 };

/* Bytes of the character at the beginning of `left` bytes; 0: they begin with none. Overlong forms,
 * surrogates and what lies behind U+10FFFF are none. */
size_t dt_utf8_length(const char *at, size_t left);

/* Characters of a text in valid UTF-8. */
size_t dt_utf8_count(const char *text);

#endif
