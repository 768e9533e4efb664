/* Every problem of a domain by number, and what makes it hard. */
#include <inttypes.h>
#include <string.h>

#include "decimal.h"
#include "dtrain/arithmetic/analysis.h"

/* Operands of an operation: b runs from `least` on, both stay below a power of ten. */
typedef struct {
    dt_number a_end, b_end, b_least;
} range;

static bool has_operation(const dt_config *config, dt_operation operation) {
    return strchr(config->ops, dt_operation_symbol(operation)) != NULL;
}

static range range_of(const dt_config *config, dt_operation operation) {
    const bool divides = operation == DT_DIVIDE;
    return (range){
        .a_end = dt_power_of_ten((size_t)(divides ? config->dividend_digits : config->digits)),
        .b_end = dt_power_of_ten((size_t)(divides ? config->divisor_digits : config->digits)),
        .b_least = divides,
    };
}

/* Problems of one operation, or `most` + 1 if there are more than that. */
static uint64_t count_operation(const dt_config *config, dt_operation operation, uint64_t most) {
    const range r = range_of(config, operation);
    const dt_number each = r.b_end - r.b_least;
    return r.a_end <= most / each ? (uint64_t)(r.a_end * each) : most + 1;
}

dt_status dt_domain_count(uint64_t *count, const dt_config *config) {
    const uint64_t most = UINT64_C(1) << 53;
    *count = 0;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        if (!has_operation(config, (dt_operation)op)) continue;
        *count += count_operation(config, (dt_operation)op, most);
        DT_REQUIRE(*count <= most, DT_ERR_ARG,
                   "with operands of %" PRId64 " digits, and divisions of %" PRId64 " by %" PRId64
                   ", there are more problems than can be numbered; lower --digits, "
                   "--dividend-digits or --divisor-digits",
                   config->digits, config->dividend_digits, config->divisor_digits);
    }
    return DT_OK;
}

void dt_domain_problem(dt_problem *problem, const dt_config *config, uint64_t index) {
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const dt_operation operation = (dt_operation)op;
        if (!has_operation(config, operation)) continue;
        const uint64_t count = count_operation(config, operation, UINT64_MAX - 1);
        if (index >= count) {
            index -= count;
            continue;
        }
        const range r = range_of(config, operation);
        const uint64_t each = (uint64_t)(r.b_end - r.b_least);
        *problem = (dt_problem){operation, index / each, r.b_least + index % each};
        return;
    }
}

/* ---- what is hard ---- */

const char *dt_difficulty_name(dt_operation operation) {
    static const char *const name[DT_OPERATIONS] = {"carries", "borrows", NULL, "quotient_digits"};
    return name[operation];
}

static size_t count_carries(dt_number a, dt_number b) {
    size_t carries = 0;
    for (unsigned carry = 0; a > 0 || b > 0; a /= 10, b /= 10) {
        carry = (unsigned)(a % 10) + (unsigned)(b % 10) + carry >= 10;
        carries += carry;
    }
    return carries;
}

/* larger - smaller */
static size_t count_borrows(dt_number larger, dt_number smaller) {
    size_t borrows = 0;
    for (unsigned borrow = 0; larger > 0; larger /= 10, smaller /= 10) {
        borrow = (unsigned)(larger % 10) < (unsigned)(smaller % 10) + borrow;
        borrows += borrow;
    }
    return borrows;
}

size_t dt_difficulty(const dt_problem *problem) {
    const dt_number a = problem->a, b = problem->b;
    switch (problem->operation) {
    case DT_ADD: return count_carries(a, b);
    case DT_SUBTRACT: return a < b ? count_borrows(b, a) : count_borrows(a, b);
    case DT_DIVIDE: return dt_digit_count(a / b);
    case DT_MULTIPLY:
    case DT_OPERATIONS: break;
    }
    return 0;
}
