/* Every problem of a domain by number, and what makes it hard. */
#include <inttypes.h>
#include <string.h>

#include "decimal.h"
#include "dtrain/arithmetic/analysis.h"

/* Operands of an operation: b runs from `least` on, both stay below a power of ten. */
typedef struct {
    dt_number a_end, b_end;
    uint64_t b_least;
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

/* Second operands, where 64 bits count them. */
static uint64_t each_of(const range *r) { return r->b_end.limb[0] - r->b_least; }

/* Problems of one operation, or `most` + 1 if there are more than that. */
static uint64_t count_operation(const dt_config *config, dt_operation operation, uint64_t most) {
    const range r = range_of(config, operation);
    if (!dt_number_fits(&r.b_end, most)) return most + 1;
    const uint64_t each = each_of(&r);
    return dt_number_fits(&r.a_end, most / each) ? r.a_end.limb[0] * each : most + 1;
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
        const uint64_t each = each_of(&r);
        *problem = (dt_problem){operation, dt_number_of(index / each),
                                dt_number_of(r.b_least + index % each)};
        return;
    }
}

/* ---- what is hard ---- */

const char *dt_difficulty_name(dt_operation operation) {
    static const char *const name[DT_OPERATIONS] = {"carries", "borrows", NULL, "quotient_digits"};
    return name[operation];
}

static size_t count_carries(const dt_number *a, const dt_number *b) {
    dt_number x = *a, y = *b;
    size_t carries = 0;
    for (unsigned carry = 0; !dt_number_is_zero(&x) || !dt_number_is_zero(&y);) {
        carry = dt_number_take_digit(&x) + dt_number_take_digit(&y) + carry >= 10;
        carries += carry;
    }
    return carries;
}

/* larger - smaller */
static size_t count_borrows(const dt_number *larger, const dt_number *smaller) {
    dt_number x = *larger, y = *smaller;
    size_t borrows = 0;
    for (unsigned borrow = 0; !dt_number_is_zero(&x);) {
        borrow = dt_number_take_digit(&x) < dt_number_take_digit(&y) + borrow;
        borrows += borrow;
    }
    return borrows;
}

size_t dt_difficulty(const dt_problem *problem) {
    const dt_number *a = &problem->a, *b = &problem->b;
    dt_number quotient;
    switch (problem->operation) {
    case DT_ADD: return count_carries(a, b);
    case DT_SUBTRACT:
        return dt_number_compare(a, b) < 0 ? count_borrows(b, a) : count_borrows(a, b);
    case DT_DIVIDE: quotient = dt_number_quotient(NULL, a, b); return dt_digit_count(&quotient);
    case DT_MULTIPLY:
    case DT_OPERATIONS: break;
    }
    return 0;
}
