/* The tokens that arithmetic is written with. */
#include <string.h>

#include "chat.h"
#include "dtrain/arithmetic/format.h"
#include "dtrain/data/digits.h"

/* The tokens of arithmetic, by id: what all formats need, then those of the working. */
static const char *const known[] = {"$", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+",
                                    "-", "*", "/", "=", "r", ",", ";", "A", "B", "C", "D", "E",
                                    "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q",
                                    "R", "S", "T", "a", "b", "c", "d", "e", "f", "g", "h", "i",
                                    "j", "k", "l", "m", "n", "o", "p", "q", "s", "t"};
enum { KNOWN = sizeof known / sizeof *known, WORKING = 41 };

/* The mark before numbers comes last, if there are marks. */
static dt_status create(dt_tokenizer **tokenizer, const char **token, size_t count,
                        dt_marks marks) {
    static const char mark[] = {DT_NUMBER_MARK, '\0'};
    if (marks == DT_MARKS_START) token[count++] = mark;
    return dt_tokenizer_restore(tokenizer, token, count);
}

/* Of chat: those of the working, then every other character of the phrasings. */
static size_t add_chat(const char **token, char (*character)[DT_UTF8_SIZE]) {
    const size_t characters = dt_chat_characters(character);
    size_t count = KNOWN;
    for (size_t i = 0; i < characters; i++) {
        bool found = false;
        for (size_t k = 0; k < KNOWN && !found; k++) found = strcmp(known[k], character[i]) == 0;
        if (!found) token[count++] = character[i];
    }
    return count;
}

dt_status dt_tokenizer_create(dt_tokenizer **tokenizer, dt_format format, dt_marks marks) {
    char character[DT_CHAT_CHARACTERS_MAX][DT_UTF8_SIZE];
    const char *token[DT_CHAT_CHARACTERS_MAX + KNOWN + 1];
    memcpy(token, known, sizeof known);
    switch (format) {
    case DT_FORMAT_PLAIN:
    case DT_FORMAT_REVERSE: return create(tokenizer, token, KNOWN - WORKING, marks);
    case DT_FORMAT_SCRATCHPAD: return create(tokenizer, token, KNOWN, marks);
    case DT_FORMAT_EXPRESSION: break;
    case DT_FORMAT_CHAT: return create(tokenizer, token, add_chat(token, character), marks);
    }
    *tokenizer = NULL;
    DT_RAISE(DT_ERR_INTERNAL, "format %d does not exist", (int)format);
}
