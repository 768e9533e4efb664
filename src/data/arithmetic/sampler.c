/* Draws problems by number: each a pure function of the data settings, the seed, the split and its
 * index. */
#include <inttypes.h>

#include "decimal.h"
#include "dtrain/arithmetic/problem.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"

/* The rarest case, one held-out problem among the hundred that one digit gives, is missed once in
 * 10^13. */
enum { ATTEMPTS = 4096, EXACT_ONE_IN = 8, FEW = 4 };

/* Digits that are drawn at once: 64 bits hold them. */
enum { PART = 18 };

/* What one word of random bits decides: two for whether a gets zeros, one for each place behind its
 * first; the same for b; one for each place where b may be like a; the highest for near b. */
enum { ZEROS_A = 0, ZEROS_B = 2 + FEW - 1, ALIKE = 2 * ZEROS_B };
_Static_assert(ALIKE + FEW < 32, "no bit decides two things");

static uint32_t draw(uint32_t word, uint32_t n) { return (uint32_t)(((uint64_t)word * n) >> 32); }

static dt_status draw_operation(dt_operation *operation, const dt_config *config, uint32_t word) {
    uint32_t count = 0;
    while (count < DT_OPS_MAX && config->ops[count]) count++;
    DT_REQUIRE(count > 0, DT_ERR_ARG, "ops is empty: name at least one of + - * /");
    const char symbol = config->ops[draw(word, count)];
    for (int known = 0; known < DT_OPERATIONS; known++) {
        if (dt_operation_symbol((dt_operation)known) == symbol) {
            *operation = (dt_operation)known;
            return DT_OK;
        }
    }
    DT_RAISE(DT_ERR_ARG, "ops is \"%s\": '%c' is none of + - * /", config->ops, symbol);
}

/* Where an operand's random numbers stand: which attempt at which problem. */
typedef struct {
    uint64_t seed, index;
    uint32_t purpose, attempt;
} origin;

/* 10^n, n < 20. */
static uint64_t power_of_ten(size_t n) {
    uint64_t power = 1;
    while (n-- > 0) power *= 10;
    return power;
}

/* A number of exactly so many digits, at most PART, evenly; of one digit: from `least`. */
static uint64_t draw_digits(const uint32_t word[2], size_t digits, uint64_t least) {
    if (digits > 1) least = power_of_ten(digits - 1);
    return least + dt_random_below(word, power_of_ten(digits) - least);
}

/* How many digits an operand has. */
typedef struct {
    uint32_t least, most;
} lengths;

/* Few digits: d with weight 2 d - 1. Drawn evenly by value, nine numbers in ten would have the
 * greatest length, and evenly by length, only one problem in nine would have three digits twice, as
 * four in five of the domain have. More digits evenly: short numbers are where a model begins, and
 * without enough of them it does not learn the long ones. So are those of divisors: the shortest
 * have the longest quotients, whose last steps no others have. */
static size_t draw_length(uint32_t word, lengths from_to, bool divisor) {
    const uint32_t most = from_to.most, least = from_to.least;
    if (divisor || most > FEW || least > 1) return least + draw(word, most - least + 1);
    const uint32_t square = draw(word, most * most);
    size_t digits = 1;
    while (digits * digits <= square) digits++;
    return digits;
}

/* The number with other's digits at some of its lowest `digits` places: those whose bit is set. */
static uint64_t with_digits_of(uint64_t number, uint64_t other, size_t digits, uint32_t places) {
    uint64_t unit = 1;
    for (size_t place = 0; place < digits; place++, unit *= 10) {
        if (places >> place & 1) number += (other / unit % 10 - number / unit % 10) * unit;
    }
    return number;
}

/* By chance few short numbers have several zeros, and a model gets last right what it has seen
 * least: 207+409, 100*4. Of one number in four each digit behind the first is 0 or as it was drawn,
 * either as often. */
static uint64_t with_zeros(uint64_t number, size_t digits, uint32_t bits) {
    return bits & 3 ? number : with_digits_of(number, 0, digits - 1, bits >> 2);
}

/* A longer number in parts; the first has the rest of its digits. */
static dt_number draw_long(const origin *from, const uint32_t word[2], size_t digits,
                           uint32_t which) {
    enum { FIRST_BLOCK = 2 * ATTEMPTS + 1 };
    const uint64_t unit = power_of_ten(PART);
    dt_number number = dt_number_of(draw_digits(word, (digits - 1) % PART + 1, 1));
    for (uint32_t part = 0; part < (digits - 1) / PART; part++) {
        uint32_t block[4];
        dt_random_block(block, from->seed, from->purpose,
                        FIRST_BLOCK + part * ATTEMPTS + from->attempt, from->index);
        const dt_number higher = dt_number_times(&number, unit),
                        lower = dt_number_of(dt_random_below(block + 2 * which, unit));
        number = dt_number_sum(&higher, &lower);
    }
    return number;
}

/* The length first. */
static dt_number draw_operand(const origin *from, uint32_t length_word, const uint32_t word[2],
                              lengths from_to, bool divisor, uint32_t bits, uint32_t which) {
    const size_t digits = draw_length(length_word, from_to, divisor);
    if (from_to.most <= FEW)
        return dt_number_of(with_zeros(draw_digits(word, digits, divisor), digits, bits));
    if (digits <= PART) return dt_number_of(draw_digits(word, digits, divisor));
    return draw_long(from, word, digits, which);
}

/* b becomes what differs from a by b, where that is in the domain: differences of fewer digits than
 * the operands are rare otherwise. */
static void bring_near(dt_problem *problem, int64_t most_digits, uint32_t word) {
    const dt_number *a = &problem->a, *b = &problem->b;
    if (draw(word, 2) == 0) {
        if (dt_number_compare(a, b) >= 0) problem->b = dt_number_difference(a, b);
        return;
    }
    const dt_number sum = dt_number_sum(a, b), end = dt_power_of_ten((size_t)most_digits);
    if (dt_number_compare(&sum, &end) < 0) problem->b = sum;
}

/* b has a's digit at some of the places that both have: 9-709, where borrows begin and end. */
static void bring_alike(dt_problem *problem, uint32_t bits) {
    const size_t both = dt_min_size(dt_digit_count(&problem->a), dt_digit_count(&problem->b));
    problem->b = dt_number_of(with_digits_of(problem->b.limb[0], problem->a.limb[0], both, bits));
}

/* Operands that may have fewer digits than the least have as many as they may. */
static lengths lengths_of(const dt_config *config, int64_t most) {
    const int64_t least = config->least_digits < most ? config->least_digits : most;
    return (lengths){least > 1 ? (uint32_t)least : 1, (uint32_t)most};
}

static void make_exact(dt_problem *problem) {
    dt_number rest;
    dt_number_quotient(&rest, &problem->a, &problem->b);
    problem->a = dt_number_difference(&problem->a, &rest);
}

/* Of four differences one is near, one alike if it has few digits, two are as drawn. */
static void vary_difference(dt_problem *problem, int64_t most_digits, uint32_t kind,
                            uint32_t bits) {
    switch (draw(kind, 4)) {
    case 0: bring_near(problem, most_digits, bits); return;
    case 1:
        if (most_digits <= FEW) bring_alike(problem, bits >> ALIKE);
        return;
    default: return;
    }
}

dt_status dt_problem_sample(dt_problem *problem, const dt_config *config, dt_split split,
                            uint64_t index) {
    const uint64_t seed = (uint64_t)config->seed;
    const uint32_t purpose = DT_RANDOM_PROBLEM + (uint32_t)split;
    uint32_t choice[4], value[4];
    dt_problem drawn = {0};
    /* The operation stays over the attempts: each has its share in every split, however few
     * problems it has there. */
    dt_random_block(choice, seed, purpose, 0, index);
    DT_TRY(draw_operation(&drawn.operation, config, choice[0]));
    const bool divides = drawn.operation == DT_DIVIDE;
    const int64_t digits_a = divides ? config->dividend_digits : config->digits;
    const int64_t digits_b = divides ? config->divisor_digits : config->digits;
    const lengths lengths_a = lengths_of(config, digits_a),
                  lengths_b = lengths_of(config, digits_b);
    for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        dt_random_block(choice, seed, purpose, 2 * attempt + 1, index);
        dt_random_block(value, seed, purpose, 2 * attempt + 2, index);
        const origin from = {seed, index, purpose, attempt};
        const uint32_t bits = choice[3];
        drawn.a = draw_operand(&from, choice[0], value, lengths_a, false, bits >> ZEROS_A, 0);
        drawn.b = draw_operand(&from, choice[1], value + 2, lengths_b, divides, bits >> ZEROS_B, 1);
        if (divides && draw(choice[2], EXACT_ONE_IN) == 0) make_exact(&drawn);
        if (drawn.operation == DT_SUBTRACT) {
            vary_difference(&drawn, digits_a, choice[2], bits);
        }
        if (dt_problem_split(&drawn) == split) {
            *problem = drawn;
            return DT_OK;
        }
    }
    DT_RAISE(DT_ERR_ARG,
             "no %s problem to %s with operands of up to %" PRId64 " and %" PRId64
             " digits was found in %d tries; raise --%s",
             dt_split_name(split), dt_operation_name(drawn.operation), digits_a, digits_b, ATTEMPTS,
             divides ? "dividend-digits" : "digits");
}

dt_status dt_problem_train(dt_problem *problem, const dt_config *config, uint64_t position) {
    uint64_t index = position;
    if (config->train_examples > 0) {
        const uint64_t examples = (uint64_t)config->train_examples;
        index = dt_random_permute(position % examples, examples, (uint64_t)config->seed,
                                  (uint32_t)(position / examples));
    }
    return dt_problem_sample(problem, config, DT_TRAIN, index);
}
