/* Characters as people type them. */
#include "dtrain/data/typed.h"

#include <string.h>

size_t dt_typed_character(char plain[DT_UTF8_SIZE], const dt_line *line, size_t at) {
    enum { FULL_WIDTH = 0xff00, ASCII = 0x20 }; /* U+FF01 is the exclamation mark, U+0021 */
    const size_t left = line->length - at;
    plain[0] = '\0';
    if (left == 0) return 0;
    const size_t length = dt_utf8_length(line->text + at, left);
    memcpy(plain, line->text + at, length ? length : 1);
    plain[length ? length : 1] = '\0';
    if (length == 0) return 1;
    const uint32_t code = dt_utf8_code(plain, length);
    if (dt_utf8_is_space(code)) {
        memcpy(plain, " ", 2);
    } else if (code > FULL_WIDTH && code <= FULL_WIDTH + '~' - ASCII) {
        plain[0] = (char)(code - FULL_WIDTH + ASCII);
        plain[1] = '\0';
    }
    return length;
}

bool dt_typed_ends_question(const char *plain) {
    return strcmp(plain, "?") == 0 || strcmp(plain, ".") == 0 || strcmp(plain, "!") == 0 ||
           strcmp(plain, "。") == 0;
}
