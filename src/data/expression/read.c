/* Reads questions: "273*274", "12.5% × [３−(−4)]", "What is 12 plus 34?", "5から3を引くと？" */
#include "read.h"

#include <ctype.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/typed.h"
#include "dtrain/expression/machine.h"
#include "wording.h"

enum { BRACKETS_MAX = 16, DIGITS_MAX = 200 };

/* Where reading stands, and the farthest that it came. */
typedef struct {
    const dt_line *line;
    size_t at, bytes;         /* the character there takes */
    char plain[DT_UTF8_SIZE]; /* it; "" at the end */
    int brackets;
    bool in_words; /* so may operations be: "3 plus 4 times 5" */
    dt_pen pen;
    const char *why; /* NULL: nothing was refused yet */
    size_t why_at;
} reading;

static void move_to(reading *r, size_t at) {
    r->at = at;
    r->bytes = dt_typed_character(r->plain, r->line, at);
}

static void step(reading *r) { move_to(r, r->at + r->bytes); }

static void skip_spaces(reading *r) {
    while (r->plain[0] == ' ') step(r);
}

static bool refuse(reading *r, const char *why) {
    if (!r->why || r->at > r->why_at) {
        r->why = why;
        r->why_at = r->at;
    }
    return false;
}

static bool is_digit(const reading *r) { return isdigit((unsigned char)r->plain[0]) != 0; }

/* + - * / for the character, or 0. */
static char sign_at(const reading *r) {
    static const struct {
        const char *sign;
        char operation;
    } known[] = {{"+", '+'}, {"-", '-'}, {"−", '-'}, {"–", '-'}, {"‐", '-'}, {"‑", '-'},
                 {"*", '*'}, {"×", '*'}, {"·", '*'}, {"⋅", '*'}, {"∗", '*'}, {"x", '*'},
                 {"X", '*'}, {"/", '/'}, {"÷", '/'}, {"∕", '/'}, {"⁄", '/'}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(r->plain, known[i].sign) == 0) return known[i].operation;
    }
    return 0;
}

/* Whether these words stand there; case and spaces do not matter, nor what ends a question. */
static bool take_words(reading *r, const char *words) {
    const dt_line line = dt_line_of(words);
    char wanted[DT_UTF8_SIZE];
    const size_t begin = r->at;
    for (size_t at = 0; at < line.length;) {
        at += dt_typed_character(wanted, &line, at);
        if (wanted[0] == ' ' || dt_typed_ends_question(wanted)) continue;
        skip_spaces(r);
        char here[DT_UTF8_SIZE];
        memcpy(here, r->plain, sizeof here);
        if (!here[1]) here[0] = (char)tolower((unsigned char)here[0]);
        if (!wanted[1]) wanted[0] = (char)tolower((unsigned char)wanted[0]);
        if (strcmp(here, wanted) != 0) {
            move_to(r, begin);
            return false;
        }
        step(r);
    }
    return true;
}

/* Takes an operation: + - * / for it, or 0. */
static char take_operation(reading *r) {
    static const struct {
        const char *words;
        char operation;
    } known[] = {{"plus", '+'}, {"minus", '-'},      {"times", '*'},  {"multiplied by", '*'},
                 {"over", '/'}, {"divided by", '/'}, {"足す", '+'},   {"たす", '+'},
                 {"引く", '-'}, {"ひく", '-'},       {"掛ける", '*'}, {"かける", '*'},
                 {"割る", '/'}, {"わる", '/'}};
    const char sign = sign_at(r);
    const dt_text *text = r->pen.text;
    if (sign) {
        step(r);
        return sign;
    }
    if (text->length > 0 && text->bytes[text->length - 1] == '%' && take_words(r, "of"))
        return '*'; /* "20% of 50" */
    for (size_t i = 0; r->in_words && i < sizeof known / sizeof *known; i++) {
        if (take_words(r, known[i].words)) return known[i].operation;
    }
    return 0;
}

/* ---- numbers ---- */

/* Digits as typed, then as a line has them: from the lowest on. */
typedef struct {
    char digit[DIGITS_MAX];
    size_t count;
} typed_digits;

static bool take_digits(typed_digits *to, reading *r) {
    for (; is_digit(r); step(r)) {
        if (to->count == DIGITS_MAX)
            return refuse(r, "a number has more than the 200 digits that can be read");
        to->digit[to->count++] = r->plain[0];
    }
    return true;
}

static size_t count_next_digits(const reading *r) {
    reading next = *r;
    size_t count = 0;
    for (step(&next); is_digit(&next); step(&next)) count++;
    return count;
}

static bool next_is_digit(const reading *r) { return count_next_digits(r) > 0; }

/* "1,234,567": commas before three digits each. */
static bool take_grouped_digits(typed_digits *to, reading *r) {
    if (!take_digits(to, r)) return false;
    if (to->count == 0 || to->count > 3) return true;
    while (r->plain[0] == ',' && count_next_digits(r) == 3) {
        step(r);
        if (!take_digits(to, r)) return false;
    }
    return true;
}

/* "-2.50%": "~5.2%". Neither zeros before the number nor those at the end of its decimals count. */
static bool read_number(reading *r, bool negative) {
    typed_digits whole = {.count = 0}, decimals = {.count = 0};
    size_t first = 0;
    if (!is_digit(r) && !(r->plain[0] == '.' && next_is_digit(r)))
        return refuse(r, "a number is missing");
    if (!take_grouped_digits(&whole, r)) return false;
    if (r->plain[0] == '.' && next_is_digit(r)) {
        step(r);
        if (!take_digits(&decimals, r)) return false;
    }
    while (first < whole.count && whole.digit[first] == '0') first++;
    while (decimals.count > 0 && decimals.digit[decimals.count - 1] == '0') decimals.count--;
    const bool zero = first == whole.count && decimals.count == 0;
    dt_pen_char(&r->pen, negative && !zero ? '~' : '^');
    dt_pen_backwards(&r->pen, decimals.digit, decimals.count);
    if (decimals.count > 0) dt_pen_char(&r->pen, '.');
    if (first == whole.count) dt_pen_char(&r->pen, '0');
    dt_pen_backwards(&r->pen, whole.digit + first, whole.count - first);
    skip_spaces(r);
    if (r->plain[0] == '%') {
        dt_pen_char(&r->pen, '%');
        step(r);
    }
    return true;
}

/* ---- expressions ---- */

static bool read_sum(reading *r, bool *single);

static char closing(char opening) {
    return opening == '(' ? ')' : opening == '[' ? ']' : opening == '{' ? '}' : '\0';
}

static void insert(reading *r, size_t at, const char *bytes) {
    dt_text *text = r->pen.text;
    const size_t count = strlen(bytes), length = text->length;
    dt_pen_string(&r->pen, bytes);
    if (r->pen.status != DT_OK) return;
    memmove(text->bytes + at + count, text->bytes + at, length - at);
    memcpy(text->bytes + at, bytes, count);
}

/* Brackets around a number, or around brackets, are left out. */
static bool read_brackets(reading *r) {
    const char end = closing(r->plain[0]);
    const size_t begin = r->pen.text->length;
    bool single;
    if (r->brackets == BRACKETS_MAX) return refuse(r, "there are too many brackets in each other");
    r->brackets++;
    step(r);
    if (!read_sum(r, &single)) return false;
    skip_spaces(r);
    if (r->plain[0] != end) {
        return refuse(r, end == ')'   ? "the bracket ) is missing"
                         : end == ']' ? "the bracket ] is missing"
                                      : "the bracket } is missing");
    }
    step(r);
    r->brackets--;
    if (!single) {
        insert(r, begin, "(");
        dt_pen_char(&r->pen, ')');
    }
    skip_spaces(r);
    if (r->plain[0] != '%') return true;
    if (single && r->pen.text->bytes[begin] != '(')
        return refuse(r, "write the percent sign directly behind the number");
    step(r);
    insert(r, begin, "(");
    dt_pen_string(&r->pen, "/^001)");
    return true;
}

/* A number or brackets, with any signs before it. before: the operation, or 0. *single: without a
 * factor -1. */
static bool read_factor(reading *r, char before, bool number_only, bool *single) {
    bool negative = false;
    skip_spaces(r);
    for (;;) {
        const size_t at = r->at;
        const char sign = take_operation(r);
        if (sign != '-' && sign != '+') {
            move_to(r, at);
            break;
        }
        if (sign == '-') negative = !negative;
        skip_spaces(r);
    }
    *single = true;
    if (!closing(r->plain[0])) return read_number(r, negative);
    if (number_only) return refuse(r, "a number is missing");
    *single = !negative;
    if (negative) dt_pen_string(&r->pen, before == '/' ? "~1/" : "~1*");
    return read_brackets(r);
}

/* single: it is one number, or brackets. */
static bool read_sum(reading *r, bool *single) {
    bool one;
    if (!read_factor(r, 0, false, single)) return false;
    for (;;) {
        skip_spaces(r);
        const char operation = take_operation(r);
        if (!operation) return true;
        dt_pen_char(&r->pen, operation);
        *single = false;
        if (!read_factor(r, operation, false, &one)) return false;
    }
}

/* Of the whole, too, brackets around all of it are left out. */
static bool read_expression(reading *r, bool number_only) {
    dt_text *text = r->pen.text;
    const size_t begin = text->length;
    bool single = true;
    r->brackets = 0;
    if (number_only) return read_factor(r, 0, true, &single);
    if (!read_sum(r, &single)) return false;
    if (single && r->pen.status == DT_OK && text->bytes[begin] == '(') {
        memmove(text->bytes + begin, text->bytes + begin + 1, text->length - begin - 2);
        text->length -= 2;
        text->bytes[text->length] = '\0';
    }
    return true;
}

/* ---- words ---- */

static bool take_end(reading *r) {
    skip_spaces(r);
    if (r->plain[0] == '=') step(r);
    skip_spaces(r);
    while (dt_typed_ends_question(r->plain) && r->plain[0] != '!') step(r); /* "5!" is no 5 */
    skip_spaces(r);
    return r->bytes == 0;
}

static bool read_as(reading *r, const dt_wording *wording) {
    move_to(r, 0);
    dt_text_clear(r->pen.text);
    dt_pen_char(&r->pen, 'Q');
    if (!take_words(r, wording->before)) return refuse(r, "a number is missing");
    dt_pen_string(&r->pen, wording->before);
    skip_spaces(r);
    if (!read_expression(r, wording->between != NULL)) return false;
    if (wording->between) {
        if (!take_words(r, wording->between)) return refuse(r, "one of + - * / is missing");
        dt_pen_string(&r->pen, wording->between);
        skip_spaces(r);
        if (!read_expression(r, true)) return false;
    }
    if (!take_words(r, wording->after) || !take_end(r)) {
        skip_spaces(r);
        return refuse(r, closing(r->plain[0]) || is_digit(r)
                             ? "one of + - * / is missing"
                             : "something follows the question that is no part of it");
    }
    dt_pen_string(&r->pen, wording->after);
    dt_pen_char(&r->pen, DT_LINE_END);
    return true;
}

/* First as the wordings have it, and if that fails with any operations in words. */
dt_status dt_question_read(dt_text *text, const dt_line *typed) {
    reading r = {.line = typed, .pen = {.text = text}};
    for (int in_words = 0; in_words < 2; in_words++) {
        r.in_words = in_words;
        for (size_t i = 0; i < dt_wording_count; i++) {
            const bool known = read_as(&r, &dt_wordings[i]);
            DT_TRY(r.pen.status);
            if (!known) continue;
            DT_REQUIRE(text->length < DT_LINE_BYTES_MAX / 2, DT_ERR_ARG,
                       "a question of %zu characters is too long", text->length);
            text->prompt_length = text->length;
            return DT_OK;
        }
    }
    DT_LINE_RAISE(DT_ERR_ARG, typed, r.why_at,
                  "%s; write it like (12.5+3)*4 or 2060/71, or ask \"What is 12 plus 34?\"", r.why);
}
