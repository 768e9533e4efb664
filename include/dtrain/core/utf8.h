/* Characters of UTF-8 text. */
#ifndef DTRAIN_UTF8_H
#define DTRAIN_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest character, and of a text of one character. */
enum { DT_UTF8_MAX = 4, DT_UTF8_SIZE = DT_UTF8_MAX + 1 };

/* Bytes of the character at the beginning of `left` bytes; 0: they begin with none. Overlong forms,
 * surrogates and what lies behind U+10FFFF are none. */
size_t dt_utf8_length(const char *at, size_t left);

/* Whether all of these bytes begin a character, and more are needed to complete it. */
bool dt_utf8_begins(const char *at, size_t left);

/* Characters of a text in valid UTF-8. */
size_t dt_utf8_count(const char *text);

/* The number of a character of so many bytes, as dt_utf8_length gives them. */
uint32_t dt_utf8_code(const char *at, size_t length);

/* Whether people see a space, or nothing at all: no-break, ideographic, zero-width … */
bool dt_utf8_is_space(uint32_t code);

/* How many columns of a terminal a character takes; what is no character or controls the terminal
 * is shown as "?", which takes one. */
size_t dt_utf8_columns(const char *at, size_t length);

/* In the place of all that a terminal would obey rather than show, and of bytes that are no text,
 * put "?"; a tab becomes a space. kept: characters that stay, such as "\n". */
void dt_utf8_make_printable(char *text, const char *kept);

#endif
