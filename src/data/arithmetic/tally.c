/* Counts right and wrong answers by all that tells problems apart. */
#include "dtrain/arithmetic/analysis.h"
#include "dtrain/core/memory.h"

static void count(dt_count *to, bool right, bool text) {
    to->problems += 1;
    to->right += right;
    to->text += text;
}

/* The first index of ten lengths. */
enum { SINGLE = 36, FIRST_TEN = 40 };

size_t dt_tally_index(size_t length) {
    if (length <= SINGLE) return length;
    return dt_min_size(SINGLE + 1 + (length - 1) / 10 - (FIRST_TEN - 1) / 10, DT_LENGTHS - 1);
}

size_t dt_tally_length(size_t index) {
    return index <= SINGLE ? index : FIRST_TEN + 10 * (index - SINGLE - 1);
}

void dt_tally_add(dt_tally *tally, const dt_problem *problem, bool right, bool text,
                  const dt_slip *slip) {
    const dt_operation op = problem->operation;
    const size_t a = dt_tally_index(dt_digit_count(&problem->a)),
                 b = dt_tally_index(dt_digit_count(&problem->b));
    count(&tally->length[op][a][b], right, text);
    count(&tally->difficulty[op][dt_tally_index(dt_difficulty(problem))], right, text);
    count(&tally->split[op][dt_problem_split(problem)], right, text);
    if (slip) tally->slip[op][slip->kind]++;
}

static void add_counts(dt_count *to, const dt_count *more) {
    to->problems += more->problems;
    to->right += more->right;
    to->text += more->text;
}

dt_count dt_tally_operation(const dt_tally *tally, dt_operation operation) {
    dt_count sum = {0};
    for (size_t split = 0; split < DT_SPLITS; split++) {
        add_counts(&sum, &tally->split[operation][split]);
    }
    return sum;
}

dt_count dt_tally_all(const dt_tally *tally) {
    dt_count sum = {0};
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const dt_count part = dt_tally_operation(tally, (dt_operation)op);
        add_counts(&sum, &part);
    }
    return sum;
}
