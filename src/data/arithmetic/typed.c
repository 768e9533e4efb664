/* Problems as people type them: "273*274", "2060 ÷ 71 =", "１２＋３４？", "What is 12 + 34?" */
#include <ctype.h>
#include <string.h>

#include "dtrain/arithmetic/problem.h"
#include "dtrain/data/typed.h"

/* Where reading stands. */
typedef struct {
    const dt_line *line;
    size_t at, bytes;         /* the character there takes */
    char plain[DT_UTF8_SIZE]; /* it; "" at the end */
} cursor;

static void move_to(cursor *c, size_t at) {
    c->at = at;
    c->bytes = dt_typed_character(c->plain, c->line, at);
}

static void step(cursor *c) { move_to(c, c->at + c->bytes); }

static void skip_spaces(cursor *c) {
    while (c->plain[0] == ' ') step(c);
}

static bool is_digit(const cursor *c) { return isdigit((unsigned char)c->plain[0]) != 0; }

static dt_status refuse(const cursor *c, const char *why) {
    DT_LINE_RAISE(DT_ERR_ARG, c->line, c->at,
                  "%s; write it like 273*274 or 2060/71, or ask \"What is 12 plus 34?\"", why);
}

/* Whether the character is an operation. */
static bool find_symbol(dt_operation *operation, const cursor *c) {
    static const struct {
        const char *symbol;
        dt_operation operation;
    } known[] = {{"+", DT_ADD},      {"-", DT_SUBTRACT}, {"−", DT_SUBTRACT}, {"–", DT_SUBTRACT},
                 {"‐", DT_SUBTRACT}, {"‑", DT_SUBTRACT}, {"*", DT_MULTIPLY}, {"×", DT_MULTIPLY},
                 {"·", DT_MULTIPLY}, {"⋅", DT_MULTIPLY}, {"∗", DT_MULTIPLY}, {"/", DT_DIVIDE},
                 {"÷", DT_DIVIDE},   {"∕", DT_DIVIDE},   {"⁄", DT_DIVIDE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(c->plain, known[i].symbol) != 0) continue;
        *operation = known[i].operation;
        return true;
    }
    return false;
}

static dt_status read_operand(dt_number *value, cursor *c) {
    dt_operation symbol;
    skip_spaces(c);
    if (find_symbol(&symbol, c) && symbol == DT_SUBTRACT) {
        return refuse(c, "operands are natural numbers, but there is a minus sign");
    }
    if (!is_digit(c)) return refuse(c, "a number is missing");
    while (c->plain[0] == '0') step(c);
    *value = dt_number_of(0);
    for (int digits = 0; is_digit(c); digits++, step(c)) {
        if (digits == DT_DIGITS_MAX)
            return refuse(c, "a number has more than the 200 digits that can be read");
        dt_number_append_digit(value, (unsigned)(c->plain[0] - '0'));
    }
    return DT_OK;
}

/* Words before a problem in symbols, such as "What is". Other words are left for the error. */
static void skip_words(cursor *c) {
    static const char *const known[] = {"whatis", "what's", "whats", "howmuchis", "calculate"};
    char words[16] = "";
    cursor end = *c;
    for (size_t used = 0; end.bytes && !is_digit(&end); step(&end)) {
        if (end.plain[0] == ' ') continue;
        if (end.plain[1] || used + 1 == sizeof words) return;
        words[used++] = (char)tolower((unsigned char)end.plain[0]);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(words, known[i]) == 0) *c = end;
    }
}

dt_status dt_problem_parse(dt_problem *problem, const dt_line *typed) {
    dt_problem read = {0};
    cursor c = {.line = typed};
    move_to(&c, 0);
    skip_words(&c);
    DT_TRY(read_operand(&read.a, &c));
    skip_spaces(&c);
    if (!find_symbol(&read.operation, &c)) return refuse(&c, "one of + - * / is missing");
    step(&c);
    DT_TRY(read_operand(&read.b, &c));
    skip_spaces(&c);
    if (c.plain[0] == '=') step(&c);
    skip_spaces(&c);
    while (dt_typed_ends_question(c.plain)) step(&c);
    skip_spaces(&c);
    if (c.bytes) return refuse(&c, "something follows the problem");
    *problem = read;
    return DT_OK;
}
