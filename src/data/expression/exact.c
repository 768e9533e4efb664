/* The exact value of an expression, and the answers that it makes right. */
#include "exact.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "people.h"
#include "steps.h"
#include "wording.h"

/* ---- the value ---- */

/* What reading a value finds out. */
typedef struct {
    bool readable, by_zero;
    dt_question_facts facts;
    size_t depth;
} finding;

static void set_figure(mpz_t number, const dt_figure *figure) {
    mpz_set_ui(number, 0);
    for (size_t i = figure->count; i > 0; i--) {
        mpz_mul_ui(number, number, 10);
        mpz_add_ui(number, number, (unsigned long)(figure->digit[i - 1] - '0'));
    }
    if (figure->mark == '~') mpz_neg(number, number);
}

static void read_sum(mpq_t value, dt_scan *scan, finding *f);

static void read_operand(mpq_t value, dt_scan *scan, finding *f) {
    dt_value number;
    if (dt_scan_take(scan, '(')) {
        f->depth++;
        f->facts.depth = dt_max_size(f->facts.depth, f->depth);
        read_sum(value, scan, f);
        f->depth--;
        if (!dt_scan_take(scan, ')')) f->readable = false;
        return;
    }
    mpq_set_ui(value, 0, 1);
    if (!dt_scan_value(&number, scan) || !number.above.count) {
        f->readable = false;
        return;
    }
    f->facts.longest = dt_max_size(f->facts.longest, number.above.count);
    set_figure(mpq_numref(value), &number.above);
    if (!number.below.count) return;
    set_figure(mpq_denref(value), &number.below);
    if (mpz_sgn(mpq_denref(value)) == 0) {
        f->by_zero = true;
        mpq_set_ui(value, 0, 1);
    }
    mpq_canonicalize(value);
}

static void read_product(mpq_t value, dt_scan *scan, finding *f) {
    mpq_t factor;
    mpq_init(factor);
    read_operand(value, scan, f);
    while (f->readable && !dt_scan_ends(scan) && (*scan->at == '*' || *scan->at == '/')) {
        const char operation = *scan->at++;
        read_operand(factor, scan, f);
        f->facts.operations++;
        f->facts.operation = operation;
        if (operation == '*') {
            mpq_mul(value, value, factor);
        } else if (mpq_sgn(factor) == 0) {
            f->by_zero = true;
        } else {
            mpq_div(value, value, factor);
        }
    }
    mpq_clear(factor);
}

static void read_sum(mpq_t value, dt_scan *scan, finding *f) {
    mpq_t term;
    mpq_init(term);
    read_product(value, scan, f);
    while (f->readable && !dt_scan_ends(scan) && (*scan->at == '+' || *scan->at == '-')) {
        const char operation = *scan->at++;
        read_product(term, scan, f);
        f->facts.operations++;
        f->facts.operation = operation;
        (operation == '+' ? mpq_add : mpq_sub)(value, value, term);
    }
    mpq_clear(term);
}

/* The value of a question "Q…$", its wording and facts. DT_ERR_DATA. */
static dt_status evaluate(mpq_t value, finding *f, const dt_wording **wording,
                          const char *question) {
    dt_scan expression[2], scan;
    dt_text text = {0};
    dt_pen pen = {.text = &text};
    dt_status status = DT_OK;
    const size_t length = strcspn(question, "$");
    *f = (finding){.readable = true};
    DT_REQUIRE_DONE(length > 1 && dt_question_find(wording, expression,
                                                   (dt_scan){question + 1, question + length}),
                    DT_ERR_DATA, "\"%.*s\" is no question", (int)length, question);
    dt_question_write(&pen, *wording, expression);
    DT_TRY_DONE(pen.status);
    scan = (dt_scan){text.bytes, text.bytes + text.length};
    read_sum(value, &scan, f);
    DT_REQUIRE_DONE(f->readable && dt_scan_ends(&scan), DT_ERR_DATA, "\"%s\" is no expression",
                    text.bytes);
    if (dt_answer_wordings[(*wording)->answer].absolute) mpq_abs(value, value);
    if (f->facts.operations != 1) f->facts.operation = 0;
    f->facts.natural = dt_question_divides(*wording, expression);
done:
    dt_text_destroy(&text);
    return status;
}

dt_status dt_question_facts_of(dt_question_facts *facts, const char *question) {
    const dt_wording *wording;
    finding f;
    mpq_t value;
    mpq_init(value);
    const dt_status status = evaluate(value, &f, &wording, question);
    *facts = f.facts;
    mpq_clear(value);
    return status;
}

/* ---- as people read it ---- */

static dt_status append_whole(dt_text *text, const mpz_t number) {
    char *digits = mpz_get_str(NULL, 10, number);
    DT_REQUIRE(digits, DT_ERR_MEMORY, "out of memory: a number");
    const dt_status status = dt_text_append(text, digits, strlen(digits));
    free(digits);
    return status;
}

/* A number of so many decimals; number: times 10^decimals. */
static dt_status append_decimal(dt_text *text, const mpz_t number, size_t decimals) {
    mpz_t size;
    mpz_init(size);
    mpz_abs(size, number);
    const size_t begin = text->length + (mpz_sgn(number) < 0);
    dt_status status = mpz_sgn(number) < 0 ? dt_text_append(text, "-", 1) : DT_OK;
    if (status == DT_OK) status = append_whole(text, size);
    mpz_clear(size);
    DT_TRY(status);
    while (text->length - begin <= decimals) {
        DT_TRY(dt_text_append(text, "0", 1));
        memmove(text->bytes + begin + 1, text->bytes + begin, text->length - 1 - begin);
        text->bytes[begin] = '0';
    }
    if (decimals == 0) return DT_OK;
    DT_TRY(dt_text_append(text, ".", 1));
    char *point = text->bytes + text->length - 1 - decimals;
    memmove(point + 1, point, decimals);
    *point = '.';
    return DT_OK;
}

/* How many decimals a number has; -1: it has no end. */
static long decimals_of(const mpq_t value) {
    mpz_t left;
    unsigned long two = 0, five = 0;
    mpz_init_set(left, mpq_denref(value));
    while (mpz_divisible_ui_p(left, 2)) mpz_divexact_ui(left, left, 2), two++;
    while (mpz_divisible_ui_p(left, 5)) mpz_divexact_ui(left, left, 5), five++;
    const bool has_end = mpz_cmp_ui(left, 1) == 0;
    mpz_clear(left);
    return has_end ? (long)(two > five ? two : five) : -1;
}

/* The nearest number of so many decimals, halves away from 0, times 10^decimals. */
static void round_to(mpz_t number, const mpq_t value, unsigned long decimals) {
    mpz_t twice;
    mpz_init(twice);
    mpz_ui_pow_ui(number, 10, decimals);
    mpz_mul(number, number, mpq_numref(value));
    mpz_mul_2exp(number, number, 1);
    if (mpz_sgn(number) < 0)
        mpz_sub(number, number, mpq_denref(value));
    else
        mpz_add(number, number, mpq_denref(value));
    mpz_mul_2exp(twice, mpq_denref(value), 1);
    mpz_tdiv_q(number, number, twice);
    mpz_clear(twice);
}

static dt_status append_rounded(dt_text *text, const mpq_t value, int64_t decimals) {
    mpz_t number;
    mpz_init(number);
    round_to(number, value, (unsigned long)decimals);
    dt_status status = dt_text_append(text, "≈ ", strlen("≈ "));
    if (status == DT_OK) status = append_decimal(text, number, (size_t)decimals);
    mpz_clear(number);
    return status;
}

static dt_status append_exact(dt_text *text, const mpq_t value, long decimals) {
    mpz_t number;
    mpz_init(number);
    mpz_ui_pow_ui(number, 10, (unsigned long)decimals);
    mpz_mul(number, number, mpq_numref(value));
    mpz_divexact(number, number, mpq_denref(value));
    const dt_status status = append_decimal(text, number, (size_t)decimals);
    mpz_clear(number);
    return status;
}

static dt_status append_quotient(dt_text *text, const char *question) {
    dt_scan expression[2] = {{0}}, scan;
    const dt_wording *wording;
    dt_figure figure[2] = {{0}};
    mpz_t a, b, rest;
    mpz_inits(a, b, rest, NULL);
    dt_question_find(&wording, expression,
                     (dt_scan){question + 1, question + strcspn(question, "$")});
    scan = expression[0];
    dt_scan_figure(&figure[0], &scan);
    dt_scan_take(&scan, '/');
    if (wording->between) scan = expression[1];
    dt_scan_figure(&figure[1], &scan);
    set_figure(a, &figure[wording->swapped]);
    set_figure(b, &figure[!wording->swapped]);
    mpz_tdiv_qr(a, rest, a, b);
    dt_status status = append_whole(text, a);
    if (status == DT_OK) status = dt_text_append(text, " r ", 3);
    if (status == DT_OK) status = append_whole(text, rest);
    mpz_clears(a, b, rest, NULL);
    return status;
}

static dt_status in_words(dt_text *answer, const dt_answer_wording *words) {
    DT_TRY(dt_text_append(answer, words->after, strlen(words->after)));
    const size_t count = strlen(words->before), length = answer->length;
    DT_TRY(dt_text_append(answer, words->before, count));
    memmove(answer->bytes + count, answer->bytes, length);
    memcpy(answer->bytes, words->before, count);
    return DT_OK;
}

dt_status dt_exact_answers(dt_text right[2], const char *question, dt_line_rules rules) {
    const dt_wording *wording = dt_wordings;
    finding f;
    mpq_t value;
    dt_status status;
    mpq_init(value);
    dt_text_clear(&right[0]);
    dt_text_clear(&right[1]);
    DT_TRY_DONE(dt_text_reserve(&right[1], 0));
    DT_TRY_DONE(evaluate(value, &f, &wording, question));
    const dt_answer_wording *words = &dt_answer_wordings[wording->answer];
    if (f.by_zero) {
        status = dt_text_append(&right[0], words->none, strlen(words->none));
        goto done;
    }
    long exact = decimals_of(value);
    if (rules.near && exact > 0) exact = -1; /* quotient and remainder */
    const bool both = exact > DT_DECIMALS_MAX;
    dt_text *endless = &right[both];
    if (exact >= 0) {
        DT_TRY_DONE(append_exact(&right[0], value, exact));
        DT_TRY_DONE(in_words(&right[0], words));
    }
    if (exact >= 0 && !both) goto done;
    DT_TRY_DONE(f.facts.natural ? append_quotient(endless, question)
                                : append_rounded(endless, value, rules.decimals));
    DT_TRY_DONE(in_words(endless, words));
done:
    mpq_clear(value);
    return status;
}

/* ---- values of a file ---- */

/* "7", "-0.25", "22/7": in *value; false: it is none. Ends at a space. */
static bool read_value(mpq_t value, const char *text) {
    char number[512];
    size_t count = 0, decimals = 0;
    bool point = false;
    for (; *text && *text != ' '; text++) {
        if (count + 1 == sizeof number) return false;
        if (*text == '.' && !point && !memchr(number, '/', count)) {
            point = true;
            continue;
        }
        if (*text == '/' && point) return false;
        decimals += point;
        number[count++] = *text;
    }
    number[count] = '\0';
    if (!count || mpq_set_str(value, number, 10) != 0 || mpz_sgn(mpq_denref(value)) == 0)
        return false;
    mpq_canonicalize(value);
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, decimals);
    mpz_mul(mpq_denref(value), mpq_denref(value), power);
    mpq_canonicalize(value);
    mpz_clear(power);
    return true;
}

dt_status dt_exact_is(bool *right, const char *answer, const char *question, const char *value,
                      dt_line_rules rules) {
    const dt_wording *wording;
    finding f;
    mpq_t wanted, asked;
    dt_text answers[2] = {{0}};
    dt_status status;
    mpq_inits(wanted, asked, NULL);
    *right = false;
    DT_REQUIRE_DONE(read_value(wanted, value), DT_ERR_DATA,
                    "the value \"%.80s\" is no number; write 7, -0.25 or 22/7", value);
    DT_TRY_DONE(evaluate(asked, &f, &wording, question));
    if (f.by_zero || !mpq_equal(wanted, asked)) goto done;
    DT_TRY_DONE(dt_exact_answers(answers, question, rules));
    *right = strcmp(answer, answers[0].bytes) == 0 ||
             (answers[1].length > 0 && strcmp(answer, answers[1].bytes) == 0);
done:
    mpq_clears(wanted, asked, NULL);
    dt_text_destroy(&answers[0]);
    dt_text_destroy(&answers[1]);
    return status;
}
