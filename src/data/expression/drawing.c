/* Draws numbers, values, expressions and questions. */
#include "drawing.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "wording.h"

bool dt_expression_is_natural(const dt_config *config) {
    return config->numbers == DT_NUMBERS_NATURAL;
}

size_t dt_drawing_longest(const dt_drawing *d) { return 2 * (size_t)d->config->digits + 8; }

/* ---- numbers ---- */

/* Of two digits alone: which of them comes next is told by its place, not by what stands before. */
static void draw_alike(dt_drawn *number, dt_drawing *d) {
    for (size_t i = 0; i < number->count; i++) number->digit[i] = d->digit[below(d, 2)];
    if (number->count > 0 && number->digit[number->count - 1] == '0')
        number->digit[number->count - 1] = d->digit[0];
}

void dt_drawing_choose_digits(dt_drawing *d) {
    d->digit[0] = (char)('1' + below(d, 9));
    d->digit[1] = (char)('0' + below(d, 10));
}

void dt_drawing_choose_operations(dt_drawing *d) {
    const char *ops = d->config->ops;
    for (size_t i = 0; i < 2; i++) d->operation[i] = ops[below(d, strlen(ops))];
}

void dt_drawing_number(dt_drawn *number, dt_drawing *d, size_t most) {
    if (d->alike) {
        number->count = 1 + below(d, dt_min_size(dt_max_size(most, 1), 2));
        draw_alike(number, d);
        return;
    }
    dt_drawn_digits(number, &d->dice, dt_dice_length(&d->dice, dt_max_size(most, 1)));
}

void dt_drawing_put_number(dt_drawing *d, char mark, size_t most) {
    dt_drawn number;
    dt_drawing_number(&number, d, most);
    dt_drawn_write(&d->pen, mark, &number);
}

/* Of a question: "^5.21", "~3%". */
static void put_asked_number(dt_drawing *d) {
    dt_drawn number;
    const bool decimal = d->decimals && one_in(d, 2);
    const size_t whole = one_in(d, decimal ? 4 : 20) ? 0 : dt_dice_length(&d->dice, d->digits);
    dt_drawn_digits(&number, &d->dice, whole);
    const size_t point = decimal ? dt_dice_length(&d->dice, d->digits) : 0,
                 zeros = point > 0 && one_in(d, 3) ? below(d, point) : 0;
    dt_pen_char(&d->pen, whole && d->negatives && one_in(d, 2) ? '~' : '^');
    for (size_t i = 0; i < point; i++) {
        const size_t digit = i == 0 ? 1 + below(d, 9) : below(d, 10);
        dt_pen_char(&d->pen, (char)('0' + (i + zeros < point ? digit : 0)));
    }
    if (point > 0) dt_pen_char(&d->pen, '.');
    if (whole == 0) dt_pen_char(&d->pen, '0');
    dt_pen_bytes(&d->pen, number.digit, number.count);
    if (d->percent && one_in(d, 2)) dt_pen_char(&d->pen, '%');
}

void dt_drawing_put_power(dt_drawing *d, char mark, size_t n) {
    dt_drawn power;
    dt_drawn_power(&power, n);
    dt_drawn_write(&d->pen, mark, &power);
}

size_t dt_drawing_power(dt_drawing *d) { return dt_dice_length(&d->dice, d->digits); }

void dt_drawing_put_near_power(dt_drawing *d) {
    dt_drawn power;
    dt_drawn_power(&power, dt_drawing_power(d));
    if (one_in(d, 2)) {
        const size_t most = one_in(d, 2) ? 2 : power.count;
        power.digit[power.count - 1 - below(d, most)] = (char)('1' + below(d, 9));
    }
    dt_drawn_write(&d->pen, any_mark(d), &power);
}

/* On the way: a whole number. */
void dt_drawing_put_whole(dt_drawing *d, size_t most) {
    if (one_in(d, 16)) {
        dt_pen_string(&d->pen, "^0");
    } else if (one_in(d, 12)) {
        dt_drawing_put_near_power(d);
    } else {
        dt_drawing_put_number(d, any_mark(d), most);
    }
}

size_t dt_drawing_digits(dt_drawing *d) {
    return one_in(d, 6) ? dt_drawing_longest(d) - 4 : d->digits;
}

void dt_drawing_put_value(dt_drawing *d, bool fraction) {
    const size_t most = dt_drawing_digits(d);
    dt_drawing_put_whole(d, most);
    if (!fraction) return;
    dt_pen_char(&d->pen, ':');
    if (one_in(d, 3)) {
        dt_drawing_put_power(d, '^', dt_drawing_power(d));
    } else {
        dt_drawn number;
        dt_drawing_number(&number, d, most);
        if (number.count == 1 && number.digit[0] == '1') number.digit[0] = '2'; /* few are :1 */
        dt_drawn_write(&d->pen, '^', &number);
    }
}

static void put_any_value(dt_drawing *d) { dt_drawing_put_value(d, one_in(d, 4)); }

/* ---- expressions ---- */

typedef struct {
    size_t operations, depth;
    int least; /* operations that bind less need brackets: 0 none, 1 + and -, 2 * and / */
    bool asked;
} shape;

char dt_drawing_operation(dt_drawing *d) {
    const char *ops = d->config->ops;
    return d->alike ? d->operation[below(d, 2)] : ops[below(d, strlen(ops))];
}

static void put_expression(dt_drawing *d, shape s) {
    if (s.operations == 0) {
        (s.asked ? put_asked_number : put_any_value)(d);
        return;
    }
    const char operation = dt_drawing_operation(d);
    const int binds = operation == '*' || operation == '/' ? 2 : 1;
    const bool brackets = s.depth > 0 && (binds < s.least || (s.least > 0 && one_in(d, 6)));
    const size_t left = one_in(d, 2) ? s.operations - 1 : below(d, s.operations);
    const size_t depth = s.depth - brackets;
    if (brackets) dt_pen_char(&d->pen, '(');
    put_expression(d, (shape){left, depth, binds, s.asked});
    dt_pen_char(&d->pen, operation);
    put_expression(d, (shape){s.operations - 1 - left, depth, binds + 1, s.asked});
    if (brackets) dt_pen_char(&d->pen, ')');
}

static shape any_shape(dt_drawing *d, bool asked) {
    const size_t most = (size_t)d->config->operations;
    const size_t count = one_in(d, asked ? 3 : 6) ? 1 : 1 + below(d, most);
    return (shape){one_in(d, 50) ? 0 : count, (size_t)d->config->depth, 0, asked};
}

void dt_drawing_put_expression(dt_drawing *d) { put_expression(d, any_shape(d, false)); }

static void put_natural(dt_drawing *d, size_t most) {
    const size_t least = dt_min_size((size_t)d->config->least_digits, most);
    dt_drawn number;
    dt_drawn_digits(&number, &d->dice, least + below(d, most - least + 1));
    if (!one_in(d, 8)) {
        dt_drawing_choose_digits(d);
        draw_alike(&number, d);
    }
    if (least == 1 && one_in(d, 40)) number.count = 0;
    dt_drawn_write(&d->pen, '^', &number);
}

static void put_natural_question(dt_drawing *d) {
    const dt_config *config = d->config;
    const char operation = dt_drawing_operation(d);
    const bool divides = operation == '/';
    dt_pen_char(&d->pen, 'Q');
    put_natural(d, (size_t)(divides ? config->dividend_digits : config->digits));
    dt_pen_char(&d->pen, operation);
    put_natural(d, (size_t)(divides ? config->divisor_digits : config->digits));
}

void dt_drawing_put_question(dt_drawing *d) {
    if (dt_expression_is_natural(d->config)) {
        put_natural_question(d);
        return;
    }
    const size_t which = below(d, one_in(d, 2) ? dt_wording_count : DT_WORDINGS_OF_EXPRESSIONS);
    const dt_wording *wording = &dt_wordings[one_in(d, 3) ? 0 : which];
    d->negatives = one_in(d, 3);
    d->decimals = one_in(d, 3);
    d->percent = one_in(d, 6);
    dt_pen_char(&d->pen, 'Q');
    dt_pen_string(&d->pen, wording->before);
    if (wording->between) {
        put_asked_number(d);
        dt_pen_string(&d->pen, wording->between);
        put_asked_number(d);
    } else {
        put_expression(d, any_shape(d, true));
    }
    dt_pen_string(&d->pen, wording->after);
}
