/* The wordings of questions and answers, in English and Japanese. */
#include "wording.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/digits.h"
#include "dtrain/expression/machine.h"

enum { PLAIN, IT_IS, SUM, DIFFERENCE, DISTANCE, PRODUCT, QUOTIENT, DESU, NARU, WA, SA, SEKI };

const dt_answer_wording dt_answer_wordings[] = {
    [PLAIN] = {"", "", "division by zero", false},
    [IT_IS] = {"It is ", ".", "Nothing can be divided by zero.", false},
    [SUM] = {"The sum is ", ".", "Nothing can be divided by zero.", false},
    [DIFFERENCE] = {"The difference is ", ".", "Nothing can be divided by zero.", false},
    [DISTANCE] = {"The difference is ", ".", "Nothing can be divided by zero.", true},
    [PRODUCT] = {"The product is ", ".", "Nothing can be divided by zero.", false},
    [QUOTIENT] = {"The quotient is ", ".", "Nothing can be divided by zero.", false},
    [DESU] = {"", "です。", "0では割れません。", false},
    [NARU] = {"", "になります。", "0では割れません。", false},
    [WA] = {"和は", "です。", "0では割れません。", false},
    [SA] = {"差は", "です。", "0では割れません。", true},
    [SEKI] = {"積は", "です。", "0では割れません。", false},
};
const size_t dt_answer_wording_count = sizeof dt_answer_wordings / sizeof *dt_answer_wordings;

/* A checkpoint knows the tokens it was trained with: rows that are changed make its model worse
   without a message. */
const dt_wording dt_wordings[] = {
    {"", NULL, "", 0, false, PLAIN},
    {"What is ", NULL, "?", 0, false, IT_IS},
    {"What is the value of ", NULL, "?", 0, false, IT_IS},
    {"How much is ", NULL, "?", 0, false, IT_IS},
    {"Calculate ", NULL, "", 0, false, IT_IS},
    {"Work out ", NULL, "", 0, false, IT_IS},
    {"Evaluate ", NULL, "", 0, false, IT_IS},
    {"Compute ", NULL, "", 0, false, IT_IS},
    {"", " plus ", "", '+', false, IT_IS},
    {"", " minus ", "", '-', false, IT_IS},
    {"", " times ", "", '*', false, IT_IS},
    {"", " divided by ", "", '/', false, IT_IS},
    {"What is ", " plus ", "?", '+', false, IT_IS},
    {"What is ", " minus ", "?", '-', false, IT_IS},
    {"What is ", " take away ", "?", '-', false, IT_IS},
    {"What is ", " less than ", "?", '-', true, IT_IS},
    {"What is ", " times ", "?", '*', false, IT_IS},
    {"What is ", " multiplied by ", "?", '*', false, IT_IS},
    {"What is ", " divided by ", "?", '/', false, IT_IS},
    {"Calculate ", " plus ", "", '+', false, IT_IS},
    {"Calculate ", " minus ", "", '-', false, IT_IS},
    {"Calculate ", " times ", "", '*', false, IT_IS},
    {"Calculate ", " divided by ", "", '/', false, IT_IS},
    {"Work out ", " plus ", "", '+', false, IT_IS},
    {"Work out ", " minus ", "", '-', false, IT_IS},
    {"Work out ", " times ", "", '*', false, IT_IS},
    {"Work out ", " divided by ", "", '/', false, IT_IS},
    {"How much is ", " plus ", "?", '+', false, IT_IS},
    {"How much is ", " minus ", "?", '-', false, IT_IS},
    {"How much is ", " times ", "?", '*', false, IT_IS},
    {"How much is ", " divided by ", "?", '/', false, IT_IS},
    {"Sum ", " and ", "", '+', false, SUM},
    {"Add ", " and ", "", '+', false, SUM},
    {"Add together ", " and ", "", '+', false, SUM},
    {"Put together ", " and ", "", '+', false, SUM},
    {"Total of ", " and ", "", '+', false, SUM},
    {"What is the sum of ", " and ", "?", '+', false, SUM},
    {"Add ", " to ", "", '+', true, SUM},
    {"Subtract ", " from ", "", '-', true, DIFFERENCE},
    {"What is the difference between ", " and ", "?", '-', false, DISTANCE},
    {"What is the distance between ", " and ", "?", '-', false, DISTANCE},
    {"Multiply ", " and ", "", '*', false, PRODUCT},
    {"Multiply ", " by ", "", '*', false, PRODUCT},
    {"Product of ", " and ", "", '*', false, PRODUCT},
    {"What is the product of ", " and ", "?", '*', false, PRODUCT},
    {"Divide ", " by ", "", '/', false, QUOTIENT},
    {"", NULL, "は？", 0, false, DESU},
    {"", NULL, "はいくつですか？", 0, false, DESU},
    {"", NULL, "を計算して", 0, false, DESU},
    {"", NULL, "を計算してください", 0, false, DESU},
    {"", "足す", "は？", '+', false, DESU},
    {"", "たす", "は？", '+', false, DESU},
    {"", "引く", "は？", '-', false, DESU},
    {"", "ひく", "は？", '-', false, DESU},
    {"", "掛ける", "は？", '*', false, DESU},
    {"", "かける", "は？", '*', false, DESU},
    {"", "割る", "は？", '/', false, DESU},
    {"", "わる", "は？", '/', false, DESU},
    {"", "足す", "はいくつですか？", '+', false, DESU},
    {"", "たす", "はいくつですか？", '+', false, DESU},
    {"", "引く", "はいくつですか？", '-', false, DESU},
    {"", "ひく", "はいくつですか？", '-', false, DESU},
    {"", "掛ける", "はいくつですか？", '*', false, DESU},
    {"", "かける", "はいくつですか？", '*', false, DESU},
    {"", "割る", "はいくつですか？", '/', false, DESU},
    {"", "わる", "はいくつですか？", '/', false, DESU},
    {"", "に", "を足すと？", '+', false, NARU},
    {"", "に", "をたすと？", '+', false, NARU},
    {"", "から", "を引くと？", '-', false, NARU},
    {"", "から", "をひくと？", '-', false, NARU},
    {"", "に", "を掛けると？", '*', false, NARU},
    {"", "に", "をかけると？", '*', false, NARU},
    {"", "を", "で割ると？", '/', false, NARU},
    {"", "を", "でわると？", '/', false, NARU},
    {"", "と", "の和は？", '+', false, WA},
    {"", "と", "の差は？", '-', false, SA},
    {"", "と", "の積は？", '*', false, SEKI},
};
const size_t dt_wording_count = sizeof dt_wordings / sizeof *dt_wordings;

/* ---- reading ---- */

static bool take_string(dt_scan *scan, const char *string) {
    const size_t length = strlen(string);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, string, length) != 0)
        return false;
    scan->at += length;
    return true;
}

static bool take_expression(dt_scan *expression, dt_scan *scan) {
    expression->at = scan->at;
    while (!dt_scan_ends(scan) && strchr("^~0123456789.%+-*/()", *scan->at)) scan->at++;
    expression->end = scan->at;
    return !dt_scan_ends(expression);
}

static bool is_asked_as(dt_scan expression[2], const dt_wording *wording, dt_scan line) {
    return take_string(&line, wording->before) && take_expression(&expression[0], &line) &&
           (!wording->between ||
            (take_string(&line, wording->between) && take_expression(&expression[1], &line))) &&
           take_string(&line, wording->after) && dt_scan_ends(&line);
}

bool dt_question_find(const dt_wording **wording, dt_scan expression[2], dt_scan line) {
    expression[0] = expression[1] = (dt_scan){line.at, line.at};
    for (size_t i = 0; i < dt_wording_count; i++) {
        *wording = &dt_wordings[i];
        if (is_asked_as(expression, *wording, line)) return true;
    }
    return false;
}

/* ---- the expression ---- */

/* A number with a point or in percent becomes a fraction. */
static const char *write_number(dt_pen *pen, dt_scan scan) {
    char digit[DT_LINE_BYTES_MAX] = "";
    const char mark = *scan.at++, *first = scan.at;
    size_t count = 0, decimals = 0;
    bool point = false;
    for (; !dt_scan_ends(&scan) && strchr("0123456789.", *scan.at); scan.at++) {
        if (*scan.at == '.') decimals = count, point = true;
        if (*scan.at != '.') digit[count++] = *scan.at;
    }
    dt_pen_number(pen, mark, point ? digit : first, count);
    if (dt_scan_take(&scan, '%')) decimals += 2;
    if (decimals == 0) return scan.at;
    dt_pen_string(pen, ":^");
    while (decimals-- > 0) dt_pen_char(pen, '0');
    dt_pen_char(pen, '1');
    return scan.at;
}

static void write_expression(dt_pen *pen, dt_scan scan) {
    while (!dt_scan_ends(&scan)) {
        if (*scan.at == '^' || *scan.at == '~') {
            scan.at = write_number(pen, scan);
        } else {
            dt_pen_char(pen, *scan.at++);
        }
    }
}

void dt_question_write(dt_pen *pen, const dt_wording *wording, const dt_scan expression[2]) {
    write_expression(pen, expression[wording->swapped]);
    if (!wording->between) return;
    dt_pen_char(pen, wording->operation);
    write_expression(pen, expression[!wording->swapped]);
}

static bool take_natural(dt_scan *scan) {
    dt_figure figure;
    return dt_scan_figure(&figure, scan) && figure.mark == '^' && figure.count > 0;
}

bool dt_scan_two_naturals(dt_scan scan, const char *ops) {
    return take_natural(&scan) && !dt_scan_ends(&scan) && strchr(ops, *scan.at++) &&
           take_natural(&scan) && dt_scan_ends(&scan);
}

bool dt_question_divides(const dt_wording *wording, const dt_scan expression[2]) {
    dt_scan a = expression[0], b = expression[1];
    if (!wording->between) return dt_scan_two_naturals(a, "/");
    return wording->operation == '/' && take_natural(&a) && dt_scan_ends(&a) && take_natural(&b) &&
           dt_scan_ends(&b);
}

/* ---- what follows ---- */

bool dt_question_follow(dt_pen *pen, dt_scan line, dt_scan found) {
    const dt_wording *wording;
    dt_scan expression[2];
    dt_value value;
    if (!dt_question_find(&wording, expression, line)) return false;
    if (dt_scan_ends(&found)) {
        dt_pen_string(pen, "{E");
        dt_question_write(pen, wording, expression);
        return true;
    }
    const dt_answer_wording *answer = &dt_answer_wordings[wording->answer];
    dt_scan behind = found;
    char mark = '\0'; /* of a whole number; an answer has its own */
    if (dt_scan_take(&behind, '!')) {
        dt_pen_char(pen, DT_LINE_RETURN);
        dt_pen_string(pen, answer->none);
        return dt_scan_ends(&behind);
    }
    if (!dt_scan_take(&behind, '=')) {
        if (!dt_scan_value(&value, &behind) || !dt_scan_ends(&behind)) return false;
        if (answer->absolute) value.above.mark = DT_NUMBER_MARK;
        if (value.below.count) {
            dt_pen_string(pen, dt_question_divides(wording, expression) ? "{W" : "{R");
            dt_pen_value(pen, &value);
            return true;
        }
        behind = (dt_scan){value.above.digit, value.above.digit + value.above.count};
        mark = value.above.mark;
    }
    dt_pen_char(pen, DT_LINE_RETURN);
    dt_pen_string(pen, answer->before);
    if (mark) dt_pen_char(pen, mark);
    dt_pen_bytes(pen, behind.at, (size_t)(behind.end - behind.at));
    dt_pen_string(pen, answer->after);
    return true;
}
