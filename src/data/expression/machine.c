/* What follows from each line of a calculation. */
#include <string.h>

#include "dtrain/core/memory.h"
#include "follow.h"
#include "steps.h"
#include "wording.h"

/* ---- an expression: which operation comes next, and what it becomes with the result ---- */

/* A value, or a character: an operation, which may be the one that comes next, or a bracket. */
typedef struct {
    char character; /* 0: a value */
    bool chosen, in_brackets;
    const char *at, *end;
} item;

enum { ITEMS_MAX = 512 };

/* "[*]" comes next; "]*[" stands alone between brackets, which go away with it. */
static bool take_chosen(item *next, dt_scan *line) {
    const char *at = line->at;
    if (line->end - at < 3 || (at[0] != '[' && at[0] != ']')) return false;
    next->in_brackets = at[0] == ']';
    if (at[2] != (next->in_brackets ? '[' : ']')) return false;
    next->character = at[1];
    next->chosen = true;
    line->at += 3;
    return true;
}

static size_t take_items(item list[ITEMS_MAX], dt_scan line) {
    size_t count = 0;
    while (!dt_scan_ends(&line)) {
        dt_value value;
        item *next = &list[count];
        if (++count > ITEMS_MAX) return 0;
        *next = (item){.at = line.at};
        if (!dt_scan_value(&value, &line) && !take_chosen(next, &line))
            next->character = *line.at++;
        next->end = line.at;
    }
    return count;
}

static bool multiplies(char c) { return c == '*' || c == '/'; }
static bool adds(char c) { return c == '+' || c == '-'; }

static bool is_value(const item *list, size_t count, size_t index) {
    return index < count && !list[index].character;
}

/* The first operation, from the left, of two numbers that no neighbour claims. */
static bool find_next(size_t *index, const item *list, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const char left = i > 1 ? list[i - 2].character : '(', operation = list[i].character,
                   right = i + 2 < count ? list[i + 2].character : ')';
        if (!is_value(list, count, i - 1) || !is_value(list, count, i + 1)) continue;
        *index = i;
        if (multiplies(operation) && !multiplies(left)) return true;
        if (adds(operation) && !multiplies(left) && !adds(left) && !multiplies(right)) return true;
    }
    return false;
}

static void write_items(dt_pen *pen, const item *first, const item *end) {
    if (first < end) dt_pen_bytes(pen, first->at, (size_t)(end[-1].end - first->at));
}

/* E: the operation that comes next is marked. Where it is, is found out by a look at its
 * neighbours; once it is marked, all else is copied. */
static bool follow_expression(dt_pen *pen, dt_scan line) {
    item list[ITEMS_MAX];
    size_t at;
    const size_t count = take_items(list, line);
    if (count == 1 && !list->character) {
        dt_pen_char(pen, DT_LINE_RETURN);
        write_items(pen, list, list + 1);
        return true;
    }
    if (!find_next(&at, list, count)) return false;
    const bool in_brackets =
        at > 1 && list[at - 2].character == '(' && at + 2 < count && list[at + 2].character == ')';
    dt_pen_string(pen, ">P");
    write_items(pen, list, list + at);
    dt_pen_char(pen, in_brackets ? ']' : '[');
    dt_pen_char(pen, list[at].character);
    dt_pen_char(pen, in_brackets ? '[' : ']');
    write_items(pen, list + at + 1, list + count);
    return true;
}

/* P: the marked operation is calculated, and its result put in its place. */
static bool follow_chosen(dt_pen *pen, dt_scan line, dt_scan found) {
    item list[ITEMS_MAX];
    size_t at = 0;
    const size_t count = take_items(list, line);
    while (at < count && !list[at].chosen) at++;
    if (at == 0 || !is_value(list, count, at - 1) || !is_value(list, count, at + 1)) return false;
    if (dt_scan_ends(&found)) {
        dt_pen_string(pen, "{B");
        write_items(pen, list + at - 1, list + at);
        dt_pen_char(pen, list[at].character);
        write_items(pen, list + at + 1, list + at + 2);
        return true;
    }
    const size_t sides = list[at].in_brackets ? 2 : 1; /* a bracket goes, too */
    if (at < sides || at + sides >= count) return false;
    const item *first = list + at - sides, *behind = list + at + sides + 1, *end = list + count;
    const bool fails = *found.at == '!', whole = first == list && behind == end;
    dt_pen_string(pen, whole || fails ? "}" : ">E");
    if (!fails) write_items(pen, list, first);
    dt_pen_bytes(pen, found.at, (size_t)(found.end - found.at));
    if (!fails) write_items(pen, behind, end);
    return true;
}

/* ---- two values ---- */

static void put(dt_pen *pen, const dt_figure *a) { dt_pen_figure(pen, a->mark, a); }

static void put_two(dt_pen *pen, const dt_figure *a, char operation, const dt_figure *b) {
    put(pen, a);
    dt_pen_char(pen, operation);
    put(pen, b);
}

static void put_in_brackets(dt_pen *pen, const dt_figure *a, char operation, const dt_figure *b) {
    dt_pen_char(pen, '(');
    put_two(pen, a, operation, b);
    dt_pen_char(pen, ')');
}

/* Whole numbers: signs are settled, so that numbers alone are left. */
static void add_whole(dt_pen *pen, const dt_figure *a, const dt_figure *b, bool near) {
    if (!near && (dt_figure_is_zero(a) || dt_figure_is_zero(b))) {
        dt_pen_char(pen, DT_LINE_RETURN);
        put(pen, dt_figure_is_zero(a) ? b : a);
        return;
    }
    dt_pen_string(pen, a->mark == b->mark ? ">S" : ">D");
    if (a->mark == b->mark) {
        put_two(pen, a, '+', b);
        return;
    }
    dt_pen_figure(pen, '^', a->mark == '^' ? a : b);
    dt_pen_char(pen, '-');
    dt_pen_figure(pen, '^', a->mark == '^' ? b : a);
}

/* Ten times a number. */
static void put_tenfold(dt_pen *pen, const dt_figure *a) {
    if (dt_figure_is_zero(a)) {
        dt_pen_string(pen, "^0");
        return;
    }
    dt_pen_char(pen, a->mark);
    dt_pen_char(pen, '0');
    dt_pen_bytes(pen, a->digit, a->count);
}

/* A tenth of 10^n. */
static void put_tenth(dt_pen *pen, const dt_figure *power) {
    dt_pen_char(pen, power->mark);
    dt_pen_bytes(pen, power->digit + 1, power->count - 1);
}

/* One of two factors is 10^n: its zeros go to the other, one at a time, since a model copies digits
 * well only where they move by no more than a place. */
static void multiply_power(dt_pen *pen, const dt_figure *a, const dt_figure *b) {
    const int power_a = dt_figure_power(a), power_b = dt_figure_power(b);
    if (power_a == 0 || power_b == 0) {
        dt_pen_char(pen, DT_LINE_RETURN);
        dt_pen_figure(pen, a->mark == b->mark ? '^' : '~', power_b == 0 ? a : b);
        return;
    }
    dt_pen_string(pen, ">B");
    (power_b > 0 ? put_tenfold : put_tenth)(pen, a);
    dt_pen_char(pen, '*');
    (power_b > 0 ? put_tenth : put_tenfold)(pen, b);
}

static void multiply_whole(dt_pen *pen, const dt_figure *a, const dt_figure *b, bool near) {
    if (!near && (dt_figure_is_zero(a) || dt_figure_is_zero(b))) {
        dt_pen_string(pen, "}^0");
        return;
    }
    if (!near && (dt_figure_power(a) >= 0 || dt_figure_power(b) >= 0)) {
        multiply_power(pen, a, b);
        return;
    }
    dt_pen_string(pen, ">M");
    dt_pen_figure(pen, '^', a);
    dt_pen_char(pen, '*');
    const dt_figure factor = dt_figure_trimmed(b);
    dt_pen_digits(pen, factor.digit, factor.count, near);
    dt_pen_char(pen, '+');
    dt_pen_char(pen, near ? '-' : a->mark == b->mark ? '^' : '~');
}

static void divide_whole(dt_pen *pen, const dt_figure *a, const dt_figure *b, bool near) {
    const char mark = a->mark == b->mark ? '^' : '~';
    dt_pen_char(pen, DT_LINE_RETURN);
    dt_pen_figure(pen, mark, a);
    if (!near && (dt_figure_is_zero(a) || (b->count == 1 && b->digit[0] == '1'))) return;
    dt_pen_char(pen, ':');
    dt_pen_figure(pen, '^', b);
}

static void combine_whole(dt_pen *pen, const dt_figure *a, char operation, const dt_figure *b,
                          bool near) {
    switch (operation) {
    case '*': multiply_whole(pen, a, b, near); return;
    case '/': divide_whole(pen, a, b, near); return;
    default: add_whole(pen, a, b, near);
    }
}

/* Fractions: an expression in which each operation is one of whole numbers. */
static void add_fractions(dt_pen *pen, const dt_value *a, char operation, const dt_value *b) {
    dt_pen_string(pen, ">E(");
    put(pen, &a->above);
    if (b->below.count) dt_pen_char(pen, '*'), put(pen, &b->below);
    dt_pen_char(pen, operation);
    put(pen, &b->above);
    if (a->below.count) dt_pen_char(pen, '*'), put(pen, &a->below);
    dt_pen_string(pen, "):");
    if (a->below.count && b->below.count) {
        put_in_brackets(pen, &a->below, '*', &b->below);
    } else {
        put(pen, a->below.count ? &a->below : &b->below);
    }
}

static void multiply_fractions(dt_pen *pen, const dt_value *a, const dt_value *b) {
    dt_pen_string(pen, ">E");
    put_in_brackets(pen, &a->above, '*', &b->above);
    dt_pen_char(pen, ':');
    if (a->below.count && b->below.count) {
        put_in_brackets(pen, &a->below, '*', &b->below);
    } else {
        put(pen, a->below.count ? &a->below : &b->below);
    }
}

/* The divisor's sign goes to the dividend. */
static void divide_fractions(dt_pen *pen, const dt_value *a, const dt_value *b) {
    dt_figure above = a->above, below = b->above;
    above.mark = above.mark == below.mark ? '^' : '~';
    below.mark = '^';
    dt_pen_string(pen, ">E");
    if (b->below.count) {
        put_in_brackets(pen, &above, '*', &b->below);
    } else {
        put(pen, &above);
    }
    dt_pen_char(pen, ':');
    if (a->below.count) {
        put_in_brackets(pen, &a->below, '*', &below);
    } else {
        put(pen, &below);
    }
}

/* How many decimals: none of a whole number; -1: it is another fraction. */
static int decimals_of(const dt_value *a) {
    return a->below.count ? dt_figure_power(&a->below) : 0;
}

/* Both have as many decimals: a quotient drops them, a sum or difference keeps them. */
static void combine_lined_up(dt_pen *pen, const dt_value *a, char operation, const dt_value *b) {
    if (operation == '/') {
        dt_pen_string(pen, ">B");
        put_two(pen, &a->above, operation, &b->above);
        return;
    }
    dt_pen_string(pen, ">E");
    put_in_brackets(pen, &a->above, operation, &b->above);
    dt_pen_char(pen, ':');
    put(pen, &a->below);
}

/* With one decimal more. */
static void put_longer(dt_pen *pen, const dt_value *a) {
    static const dt_figure one = {'^', "1", 1};
    put_tenfold(pen, &a->above);
    dt_pen_char(pen, ':');
    put_tenfold(pen, a->below.count ? &a->below : &one);
}

/* As people write decimals below each other: the one with fewer gets zeros, one at a time. */
static void line_up(dt_pen *pen, const dt_value *a, char operation, const dt_value *b) {
    const bool first = decimals_of(a) < decimals_of(b);
    dt_pen_string(pen, ">B");
    (first ? put_longer : dt_pen_value)(pen, a);
    dt_pen_char(pen, operation);
    (first ? dt_pen_value : put_longer)(pen, b);
}

static void combine_fractions(dt_pen *pen, const dt_value *a, char operation, const dt_value *b) {
    const int decimals_a = decimals_of(a), decimals_b = decimals_of(b);
    if (operation == '*') {
        multiply_fractions(pen, a, b);
    } else if (decimals_a >= 0 && decimals_a == decimals_b && a->below.count && b->below.count) {
        combine_lined_up(pen, a, operation, b);
    } else if (decimals_a >= 0 && decimals_b >= 0 && decimals_a != decimals_b) {
        line_up(pen, a, operation, b);
    } else if (operation == '/') {
        divide_fractions(pen, a, b);
    } else {
        add_fractions(pen, a, operation, b);
    }
}

static bool follow_two(dt_pen *pen, dt_scan line, bool near) {
    dt_value a, b;
    if (!dt_scan_value(&a, &line) || dt_scan_ends(&line)) return false;
    const char operation = *line.at++;
    if (!strchr("+-*/", operation) || !dt_scan_value(&b, &line) || !dt_scan_ends(&line))
        return false;
    if (!a.above.count || !b.above.count) return false;
    const bool whole = !a.below.count && !b.below.count;
    if (operation == '/' && dt_figure_is_zero(&b.above)) {
        dt_pen_string(pen, "}!");
    } else if (whole) {
        if (operation == '-') b.above.mark = dt_opposite(b.above.mark);
        combine_whole(pen, &a.above, operation, &b.above, near);
    } else {
        combine_fractions(pen, &a, operation, &b);
    }
    return true;
}

/* ---- the answer ---- */

/* A number over 10^n, with a point before its n lowest digits. */
static void write_point(dt_pen *pen, char mark, const dt_figure *number, size_t n) {
    dt_pen_char(pen, dt_figure_is_zero(number) ? '^' : mark);
    for (size_t i = 0; i < n; i++) dt_pen_char(pen, (char)('0' + dt_figure_digit(number, i)));
    if (n > 0) dt_pen_char(pen, '.');
    if (number->count > n) dt_pen_bytes(pen, number->digit + n, number->count - n);
    if (number->count <= n) dt_pen_char(pen, '0');
}

/* R or W, ~5:^7: a fraction becomes an answer; W: of two natural numbers. Near: quotient and
 * remainder, also where that is 0. */
static bool follow_fraction(dt_pen *pen, dt_scan line, dt_scan found, bool natural, bool near) {
    dt_value value;
    dt_figure quotient, rest;
    if (!dt_scan_value(&value, &line) || !dt_scan_ends(&line) || !value.below.count) return false;
    const int power = near ? 0 : dt_figure_power(&value.below);
    if (dt_scan_ends(&found) && power > 0) {
        dt_pen_string(pen, "}=");
        write_point(pen, value.above.mark, &value.above, (size_t)power);
        return true;
    }
    if (dt_scan_ends(&found)) {
        dt_pen_char(pen, DT_LINE_CALL);
        dt_step_divide(pen, &value.above, &value.below, near);
        return true;
    }
    if (!dt_step_take_result(&quotient, &rest, found, near)) return false;
    if (near) {
        dt_step_write_result(pen, &quotient, &rest);
        return true;
    }
    if (dt_figure_is_zero(&rest)) {
        dt_pen_string(pen, "}=");
        dt_pen_figure(pen, value.above.mark, &quotient);
        return true;
    }
    dt_pen_string(pen, natural ? ">C" : ">A");
    dt_pen_char(pen, value.above.mark);
    dt_pen_bytes(pen, quotient.digit, quotient.count);
    dt_pen_char(pen, ',');
    put_two(pen, &rest, ':', &value.below);
    return true;
}

/* The quotient without decimals behind the last that is kept, and whether it is rounded up. */
static void write_rounded(dt_pen *pen, const dt_figure *quotient, const dt_figure *decimals,
                          size_t kept) {
    char digit[DT_LINE_BYTES_MAX];
    const size_t cut = decimals->count - kept;
    const bool up = decimals->digit[cut - 1] >= '5';
    memcpy(digit, decimals->digit + cut, kept);
    memcpy(digit + kept, quotient->digit, quotient->count);
    const dt_figure number = {quotient->mark, digit, kept + quotient->count};
    size_t count = number.count;
    while (count > 1 && digit[count - 1] == '0') count--;
    const dt_figure shorter = {quotient->mark, digit, count};
    if (up) { /* 0 has a sign here: -0.00006 */
        dt_pen_string(pen, ">H");
        dt_pen_char(pen, shorter.mark);
        dt_pen_bytes(pen, digit, count);
        return;
    }
    dt_pen_string(pen, "}=≈");
    write_point(pen, shorter.mark, &shorter, kept);
}

/* A or C, ~3,^1:^7: the whole part, and what is left, to be divided on. */
static bool follow_parts(dt_pen *pen, dt_scan line, dt_scan found, bool natural, size_t kept) {
    dt_figure quotient, decimals;
    dt_value rest;
    if (!dt_scan_figure(&quotient, &line) || !dt_scan_take(&line, ',') ||
        !dt_scan_value(&rest, &line) || !dt_scan_ends(&line) || !rest.below.count) {
        return false;
    }
    if (dt_scan_ends(&found)) {
        dt_pen_string(pen, "{F^,");
        put_two(pen, &rest.below, ',', &rest.above);
        return true;
    }
    if (!dt_scan_figure(&decimals, &found) || !dt_scan_ends(&found)) return false;
    if (decimals.mark == '~' && !natural) {
        if (decimals.count <= kept || quotient.count + kept > DT_LINE_BYTES_MAX) return false;
        write_rounded(pen, &quotient, &decimals, kept);
        return true;
    }
    dt_pen_string(pen, "}=");
    dt_pen_char(pen, quotient.mark);
    dt_pen_bytes(pen, quotient.digit, quotient.count);
    dt_pen_string(pen, decimals.mark == '^' ? ".^" : "r^");
    if (decimals.mark == '^') dt_pen_bytes(pen, decimals.digit, decimals.count);
    if (decimals.mark != '^') dt_pen_bytes(pen, rest.above.digit, rest.above.count);
    return true;
}

/* H~12345: one more in the last place. */
static bool follow_rounded(dt_pen *pen, dt_scan line, dt_scan found, size_t kept) {
    dt_figure number;
    if (!dt_scan_figure(&number, &line) || !dt_scan_ends(&line)) return false;
    if (dt_scan_ends(&found)) {
        const dt_figure one = {number.mark, "1", 1};
        dt_pen_string(pen, "{B");
        put_two(pen, &number, '+', &one);
        return true;
    }
    if (!dt_scan_figure(&number, &found) || !dt_scan_ends(&found)) return false;
    dt_pen_string(pen, "}=≈");
    write_point(pen, number.mark, &number, kept);
    return true;
}

/* ---- all ---- */

static bool follow(dt_pen *pen, char letter, dt_scan line, dt_scan found, dt_line_rules rules) {
    const size_t kept = (size_t)rules.decimals;
    if (dt_scan_ends(&found)) {
        switch (letter) {
        case 'E': return follow_expression(pen, line);
        case 'B': return follow_two(pen, line, rules.near);
        case 'S': return dt_step_sum(pen, line);
        case 'D': return dt_step_difference(pen, line);
        case 'M': return dt_step_product(pen, line, rules.near);
        case 'G': return dt_step_digit(pen, line, rules.near);
        default: break;
        }
    }
    switch (letter) {
    case 'Q': return dt_question_follow(pen, line, found);
    case 'P': return follow_chosen(pen, line, found);
    case 'L': return dt_step_quotient(pen, line, found, rules.near);
    case 'F': return dt_step_decimals(pen, line, found);
    case 'R': return follow_fraction(pen, line, found, false, rules.near);
    case 'W': return follow_fraction(pen, line, found, true, rules.near);
    case 'A': return follow_parts(pen, line, found, false, kept);
    case 'C': return follow_parts(pen, line, found, true, kept);
    case 'H': return follow_rounded(pen, line, found, kept);
    default: return false;
    }
}

dt_line_rules dt_line_rules_of(const dt_config *config) {
    return (dt_line_rules){config->decimals, config->working == DT_WORKING_NEAR};
}

dt_status dt_line_follow(dt_pen *pen, const char *seen, size_t length, dt_line_rules rules) {
    DT_REQUIRE(length > 1 && length < DT_LINE_BYTES_MAX / 2 && seen[length - 1] == DT_LINE_END,
               DT_ERR_DATA, "a line of %zu bytes is none of a calculation", length);
    const char *end = seen + length - 1, *mark = memchr(seen, DT_LINE_RETURN, length);
    const dt_scan from = {seen + 1, mark ? mark : end}, found = {mark ? mark + 1 : end, end};
    DT_REQUIRE(follow(pen, seen[0], from, found, rules), DT_ERR_DATA,
               "nothing follows from \"%.*s\"", (int)length, seen);
    dt_pen_char(pen, DT_LINE_END);
    return pen->status;
}

dt_status dt_expression_next(dt_text *line, const char *seen, size_t length, dt_line_rules rules) {
    dt_pen pen = {.text = line};
    return dt_line_follow(&pen, seen, length, rules);
}
