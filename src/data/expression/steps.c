/* Sums, differences, products and quotients of whole numbers, digit by digit. */
#include "steps.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/digits.h"
#include "dtrain/expression/machine.h"

/* Digits of a result, from the lowest on. */
typedef struct {
    char digit[DT_LINE_BYTES_MAX];
    size_t count;
} result;

static void add_digit(result *to, unsigned digit) { to->digit[to->count++] = (char)('0' + digit); }

static dt_figure figure_of(const result *of) {
    return (dt_figure){DT_NUMBER_MARK, of->digit, of->count};
}

/* a + b, one digit wider than the longer, each digit a letter where it carries. */
static void write_sum(dt_pen *pen, result *sum, const dt_figure *a, const dt_figure *b) {
    const size_t width = dt_max_size(a->count, b->count) + 1;
    unsigned carry = 0;
    sum->count = 0;
    for (size_t i = 0; i < width; i++) {
        const unsigned digit = dt_figure_digit(a, i) + dt_figure_digit(b, i) + carry;
        carry = digit >= 10;
        add_digit(sum, digit % 10);
        dt_pen_char(pen, dt_digit_character(digit % 10, carry));
    }
}

/* a - b, as wide as the longer, each digit a letter where it borrows. Whether b is larger. */
static bool write_difference(dt_pen *pen, result *left, const dt_figure *a, const dt_figure *b) {
    const size_t width = dt_max_size(a->count, b->count);
    unsigned borrow = 0;
    left->count = 0;
    for (size_t i = 0; i < width; i++) {
        const unsigned digit = 10 + dt_figure_digit(a, i) - dt_figure_digit(b, i) - borrow;
        borrow = digit < 10;
        add_digit(left, digit % 10);
        dt_pen_char(pen, dt_digit_character(digit % 10, borrow));
    }
    return borrow;
}

static bool take_two(dt_figure *a, dt_figure *b, dt_scan *line, char between) {
    return dt_scan_figure(a, line) && dt_scan_take(line, between) && dt_scan_figure(b, line) &&
           a->count > 0 && b->count > 0;
}

/* A letter that tells numbers apart. */
static bool take_letter(dt_scan *scan, char letter, bool near) {
    return !near || dt_scan_take(scan, letter);
}

static void write_letter(dt_pen *pen, char letter, bool near) {
    if (near) dt_pen_char(pen, letter);
}

/* What there is so far, a sum or a quotient; near: - for nothing, which is no number, and so is
 * seen from everywhere. */
static bool take_so_far(dt_figure *figure, dt_scan *line, bool near) {
    if (!near || !dt_scan_take(line, '-')) return dt_scan_figure(figure, line);
    *figure = (dt_figure){DT_NUMBER_MARK, line->at, 0};
    return true;
}

bool dt_step_sum(dt_pen *pen, dt_scan line) {
    dt_figure a, b;
    result sum;
    if (!take_two(&a, &b, &line, '+') || !dt_scan_ends(&line)) return false;
    dt_pen_char(pen, '^');
    write_sum(pen, &sum, &a, &b);
    dt_pen_char(pen, DT_LINE_RETURN);
    dt_pen_number(pen, a.mark, sum.digit, sum.count);
    return true;
}

bool dt_step_difference(dt_pen *pen, dt_scan line) {
    dt_figure a, b;
    result left;
    if (!take_two(&a, &b, &line, '-') || !dt_scan_ends(&line)) return false;
    dt_pen_char(pen, '^');
    if (!write_difference(pen, &left, &a, &b)) {
        dt_pen_char(pen, DT_LINE_RETURN);
        dt_pen_number(pen, a.mark, left.digit, left.count);
        return true;
    }
    dt_pen_string(pen, ">D");
    dt_pen_figure(pen, dt_opposite(a.mark), &b);
    dt_pen_char(pen, '-');
    dt_pen_figure(pen, dt_opposite(a.mark), &a);
    return true;
}

/* a times one digit. Before each digit but the first and the last stand what was carried to it, and
 * the last digit of the product of the two digits alone. */
static void write_row(dt_pen *pen, result *row, const dt_figure *a, unsigned factor) {
    unsigned carry = 0;
    row->count = 0;
    for (size_t i = 0; i < a->count; i++) {
        const unsigned product = dt_figure_digit(a, i) * factor;
        if (i > 0) {
            dt_pen_char(pen, (char)('a' + carry));
            dt_pen_letter(pen, (char)('0' + product % 10));
        }
        add_digit(row, (product + carry) % 10);
        dt_pen_char(pen, row->digit[i]);
        carry = (product + carry) / 10;
    }
    add_digit(row, carry);
    dt_pen_char(pen, row->digit[a->count]);
}

/* The highest digit of b, times a, is added to ten times the sum so far. */
bool dt_step_product(dt_pen *pen, dt_scan line, bool near) {
    dt_figure a, rest, sum, shifted;
    char highest;
    result row, total, ten_times = {.count = 0};
    if (!dt_scan_figure(&a, &line) || a.count == 0 || !dt_scan_take(&line, '*') ||
        !dt_scan_digits(&rest, &highest, &line, near) || !dt_scan_take(&line, '+') ||
        !take_so_far(&sum, &line, near) || !dt_scan_ends(&line) ||
        sum.count + 2 > DT_LINE_BYTES_MAX / 2) {
        return false;
    }
    const unsigned factor = (unsigned)(highest - '0');
    if (sum.count > 0) add_digit(&ten_times, 0);
    memcpy(ten_times.digit + ten_times.count, sum.digit, sum.count);
    ten_times.count += sum.count;
    shifted = figure_of(&ten_times);
    if (factor > 0) {
        dt_pen_char(pen, '^');
        write_row(pen, &row, &a, factor);
        const dt_figure product = figure_of(&row);
        if (sum.count > 0) {
            dt_pen_string(pen, "+^");
            write_sum(pen, &total, &product, &shifted);
            shifted = figure_of(&total);
        } else {
            shifted = product;
        }
    }
    if (near && factor > 0) dt_pen_char(pen, ','); /* from here it is seen whether that was all */
    if (rest.count > 0) {
        dt_pen_string(pen, ">M");
        dt_pen_figure(pen, '^', &a);
        dt_pen_char(pen, '*');
        dt_pen_digits(pen, rest.digit, rest.count, near);
        dt_pen_char(pen, '+');
    } else {
        dt_pen_char(pen, DT_LINE_RETURN);
    }
    dt_pen_figure(pen, sum.mark, &shifted);
    return true;
}

/* The divisor is subtracted as often as it can be; a letter before each difference says how often
 * it was before: K to T for 0 to 9. */
bool dt_step_digit(dt_pen *pen, dt_scan line, bool near) {
    dt_figure a, b;
    result left[2];
    if (!take_two(&a, &b, &line, ',') || !dt_scan_ends(&line) || dt_figure_is_zero(&b))
        return false;
    dt_figure now = a;
    for (unsigned times = 0; times < 10; times++) {
        dt_pen_letter(pen, (char)('0' + times));
        dt_pen_char(pen, '^');
        if (!write_difference(pen, &left[times % 2], &now, &b)) {
            now = figure_of(&left[times % 2]);
            continue;
        }
        const char found = (char)('0' + times);
        dt_pen_string(pen, near ? "}" : "}^");
        (near ? dt_pen_letter : dt_pen_char)(pen, found);
        dt_pen_char(pen, ',');
        write_letter(pen, OF_LEFT, near);
        dt_pen_figure(pen, '^', &now);
        return true;
    }
    return false;
}

/* A digit below a number: ten times the number and the digit. Nothing is 0. */
static void write_below(dt_pen *pen, char digit, const dt_figure *figure) {
    dt_pen_char(pen, '^');
    dt_pen_char(pen, digit);
    dt_pen_bytes(pen, figure->digit, figure->count);
}

/* A number of which 0 has no digit. */
static void write_or_nothing(dt_pen *pen, const dt_figure *figure) {
    dt_pen_char(pen, '^');
    if (!dt_figure_is_zero(figure)) dt_pen_bytes(pen, figure->digit, figure->count);
}

typedef struct {
    dt_figure rest, divisor, quotient, left;
    char highest; /* digit of the rest */
} division;

static bool take_division(division *d, dt_scan line, bool near) {
    return take_letter(&line, OF_REST, near) &&
           dt_scan_digits(&d->rest, &d->highest, &line, near) && dt_scan_take(&line, ',') &&
           take_letter(&line, OF_DIVISOR, near) && dt_scan_figure(&d->divisor, &line) &&
           d->divisor.count > 0 && dt_scan_take(&line, ',') &&
           take_letter(&line, OF_QUOTIENT, near) && take_so_far(&d->quotient, &line, near) &&
           dt_scan_take(&line, ',') && take_letter(&line, OF_LEFT, near) &&
           dt_scan_figure(&d->left, &line) && dt_scan_ends(&line);
}

/* What was found: the next digit of the quotient, and what is left. */
static bool take_found(char *digit, dt_figure *left, dt_scan found, bool near) {
    dt_figure number;
    if (near) {
        return dt_scan_letter(digit, &found) && dt_scan_take(&found, ',') &&
               dt_scan_take(&found, OF_LEFT) && dt_scan_figure(left, &found) && left->count > 0 &&
               dt_scan_ends(&found);
    }
    if (!take_two(&number, left, &found, ',') || !dt_scan_ends(&found)) return false;
    *digit = number.digit[0];
    return true;
}

/* The quotient with its next digit; before the first one but 0 there is none. Near: the highest
 * digit first, as it is read, so that none of them moves. */
static void write_quotient(dt_pen *pen, char digit, const dt_figure *quotient, bool last,
                           bool near) {
    const bool none = !last && quotient->count == 0 && digit == '0';
    write_letter(pen, OF_QUOTIENT, near);
    dt_pen_char(pen, none && near ? '-' : '^');
    if (!none && !near) dt_pen_char(pen, digit);
    dt_pen_bytes(pen, quotient->digit, quotient->count);
    if (!none && near) dt_pen_char(pen, digit);
    dt_pen_char(pen, ',');
    write_letter(pen, OF_LEFT, near);
}

static void begin_line(dt_pen *pen, const dt_figure *rest, const dt_figure *divisor, bool near) {
    dt_pen_char(pen, 'L');
    write_letter(pen, OF_REST, near);
    dt_pen_digits(pen, rest->digit, rest->count, near);
    dt_pen_char(pen, ',');
    write_letter(pen, OF_DIVISOR, near);
    dt_pen_figure(pen, '^', divisor);
    dt_pen_char(pen, ',');
}

void dt_step_divide(dt_pen *pen, const dt_figure *dividend, const dt_figure *divisor, bool near) {
    const dt_figure all = dt_figure_trimmed(dividend);
    begin_line(pen, &all, divisor, near);
    write_letter(pen, OF_QUOTIENT, near);
    dt_pen_string(pen, near ? "-," : "^,");
    write_letter(pen, OF_LEFT, near);
    dt_pen_string(pen, near ? "^0" : "^");
}

bool dt_step_take_result(dt_figure *quotient, dt_figure *rest, dt_scan found, bool near) {
    return take_letter(&found, OF_QUOTIENT, near) && dt_scan_figure(quotient, &found) &&
           dt_scan_take(&found, ',') && take_letter(&found, OF_LEFT, near) &&
           dt_scan_figure(rest, &found) && dt_scan_ends(&found);
}

void dt_step_write_result(dt_pen *pen, const dt_figure *quotient, const dt_figure *rest) {
    dt_pen_string(pen, "}=");
    write_letter(pen, OF_QUOTIENT, true);
    dt_pen_char(pen, '^');
    dt_pen_bytes(pen, quotient->digit, quotient->count);
    dt_pen_char(pen, 'r');
    write_letter(pen, OF_LEFT, true);
    dt_pen_figure(pen, '^', rest);
}

bool dt_step_quotient(dt_pen *pen, dt_scan line, dt_scan found, bool near) {
    division d;
    dt_figure now_left;
    char digit;
    if (!take_division(&d, line, near)) return false;
    if (dt_scan_ends(&found)) {
        dt_pen_string(pen, "{G");
        write_below(pen, d.highest, &d.left);
        dt_pen_char(pen, ',');
        dt_pen_figure(pen, '^', &d.divisor);
        return true;
    }
    if (!take_found(&digit, &now_left, found, near)) return false;
    const bool last = d.rest.count == 0;
    dt_pen_char(pen, last ? DT_LINE_RETURN : DT_LINE_GO_ON);
    if (!last) begin_line(pen, &d.rest, &d.divisor, near);
    write_quotient(pen, digit, &d.quotient, last, near);
    if (near || last)
        dt_pen_figure(pen, '^', &now_left);
    else
        write_or_nothing(pen, &now_left);
    return true;
}

bool dt_step_decimals(dt_pen *pen, dt_scan line, dt_scan found) {
    dt_figure decimals, divisor, left, digit, now_left;
    if (!dt_scan_figure(&decimals, &line) || !dt_scan_take(&line, ',') ||
        !take_two(&divisor, &left, &line, ',') || !dt_scan_ends(&line)) {
        return false;
    }
    if (dt_scan_ends(&found)) {
        dt_pen_string(pen, "{G");
        write_below(pen, '0', &left);
        dt_pen_char(pen, ',');
        dt_pen_figure(pen, '^', &divisor);
        return true;
    }
    if (!take_two(&digit, &now_left, &found, ',') || !dt_scan_ends(&found)) return false;
    const bool exact = dt_figure_is_zero(&now_left);
    const bool last = exact || decimals.count + 1 >= DT_DECIMALS_MAX;
    dt_pen_string(pen, !last ? ">F^" : exact ? "}^" : "}~");
    dt_pen_char(pen, digit.digit[0]);
    dt_pen_bytes(pen, decimals.digit, decimals.count);
    if (last) return true;
    dt_pen_char(pen, ',');
    dt_pen_figure(pen, '^', &divisor);
    dt_pen_char(pen, ',');
    dt_pen_figure(pen, '^', &now_left);
    return true;
}
