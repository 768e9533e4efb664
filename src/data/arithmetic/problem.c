/* What a problem is: its names, its answer, the split it belongs to, and whether a model can know
 * it. */
#include <inttypes.h>
#include <string.h>

#include "dtrain/core/random.h"
#include "format.h"

/* Keys the split. Chosen so that operands of one digit already give every operation at least three
   problems in each split; another value would move problems between splits and spoil every
   checkpoint's held-out score. */
static const uint64_t split_key = 21;

const dt_text_kind dt_operation_kind[DT_OPERATIONS] = {
    {"add", '+'}, {"subtract", '-'}, {"multiply", '*'}, {"divide", '/'}};

char dt_operation_symbol(dt_operation operation) { return dt_operation_kind[operation].symbol; }

const char *dt_operation_name(dt_operation operation) { return dt_operation_kind[operation].name; }

dt_split dt_problem_split(const dt_problem *problem) {
    const bool commutes = problem->operation == DT_ADD || problem->operation == DT_MULTIPLY;
    const bool swap = commutes && dt_number_compare(&problem->a, &problem->b) > 0;
    const dt_number *first = swap ? &problem->b : &problem->a;
    const dt_number *second = swap ? &problem->a : &problem->b;
    /* The purpose after the last split's is no stream of the sampler. */
    const uint32_t purpose = DT_RANDOM_PROBLEM + DT_SPLITS, major = (uint32_t)problem->operation;
    uint32_t word[4];
    dt_random_block(word, split_key + first->limb[0], purpose, major, second->limb[0]);
    for (size_t i = 1; i < DT_NUMBER_LIMBS; i++) {
        if (!first->limb[i] && !second->limb[i]) continue;
        const uint64_t key = (uint64_t)word[1] << 32 | word[0];
        dt_random_block(word, key + first->limb[i], purpose, major, second->limb[i]);
    }
    switch (((uint64_t)word[0] * 20) >> 32) {
    case 0: return DT_VALIDATION;
    case 1: return DT_TEST;
    default: return DT_TRAIN;
    }
}

dt_status dt_problem_check(const dt_problem *problem) {
    static const size_t most_digits[DT_OPERATIONS] = {
        DT_DIGITS_MAX, DT_DIGITS_MAX, DT_PRODUCT_DIGITS_MAX, DT_DIVISION_DIGITS_MAX};
    const dt_number *a = &problem->a, *b = &problem->b;
    DT_REQUIRE(problem->operation < DT_OPERATIONS, DT_ERR_INTERNAL, "operation %d does not exist",
               (int)problem->operation);
    const char symbol = dt_operation_symbol(problem->operation);
    const size_t most = most_digits[problem->operation];
    DT_REQUIRE(dt_digit_count(a) <= most && dt_digit_count(b) <= most, DT_ERR_ARG,
               "%s%c%s: use operands of at most %zu digits", dt_decimal_of(a).text, symbol,
               dt_decimal_of(b).text, most);
    DT_REQUIRE(problem->operation != DT_DIVIDE || !dt_number_is_zero(b), DT_ERR_ARG,
               "%s/0: a division by zero has no answer", dt_decimal_of(a).text);
    return DT_OK;
}

dt_status dt_problem_answer(char *text, size_t size, const dt_problem *problem) {
    const dt_number *a = &problem->a, *b = &problem->b;
    dt_number result, rest;
    DT_TRY(dt_problem_check(problem));
    DT_REQUIRE(size > 0, DT_ERR_INTERNAL, "no room for an answer: a buffer of 0 bytes");
    dt_draft answer = dt_draft_begin(text, size);
    switch (problem->operation) {
    case DT_ADD: result = dt_number_sum(a, b); break;
    case DT_SUBTRACT:
        if (dt_number_compare(a, b) < 0) dt_draft_char(&answer, '-');
        result = dt_number_distance(a, b);
        break;
    case DT_MULTIPLY: result = dt_number_product(a, b); break;
    default: result = dt_number_quotient(&rest, a, b);
    }
    dt_draft_number(&answer, &result);
    if (problem->operation == DT_DIVIDE) {
        dt_draft_string(&answer, " r ");
        dt_draft_number(&answer, &rest);
    }
    DT_REQUIRE(!answer.full, DT_ERR_INTERNAL, "an answer does not fit into %zu bytes", size);
    return DT_OK;
}

static int64_t larger(int64_t x, int64_t y) { return x > y ? x : y; }

dt_status dt_problem_in_domain(const dt_problem *problem, const dt_config *config) {
    DT_TRY(dt_problem_check(problem));
    const char symbol = dt_operation_symbol(problem->operation);
    const bool divides = problem->operation == DT_DIVIDE;
    DT_REQUIRE(strchr(config->ops, symbol), DT_ERR_ARG,
               "%s%c%s: the model was trained on %s only; train one with '%c' among --ops",
               dt_decimal_of(&problem->a).text, symbol, dt_decimal_of(&problem->b).text,
               config->ops, symbol);
    const int64_t digits = larger(config->digits, config->eval_digits),
                  dividend = larger(config->dividend_digits, config->eval_dividend_digits),
                  divisor = larger(config->divisor_digits, config->eval_divisor_digits);
    const struct {
        const dt_number *value;
        int64_t most;
        const char *setting;
    } operand[2] = {
        {&problem->a, divides ? dividend : digits, divides ? "dividend-digits" : "digits"},
        {&problem->b, divides ? divisor : digits, divides ? "divisor-digits" : "digits"},
    };
    for (size_t i = 0; i < 2; i++) {
        const size_t length = dt_digit_count(operand[i].value);
        DT_REQUIRE((int64_t)length <= operand[i].most, DT_ERR_ARG,
                   "%s has %zu digits, and the model was trained on up to %" PRId64
                   " in this operand; ask a shorter one, or train with a larger --%s",
                   dt_decimal_of(operand[i].value).text, length, operand[i].most,
                   operand[i].setting);
    }
    return DT_OK;
}
