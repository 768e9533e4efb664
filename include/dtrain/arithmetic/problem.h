/* Problems of arithmetic: pure functions of (settings, seed, split, number). */
#ifndef DTRAIN_PROBLEM_H
#define DTRAIN_PROBLEM_H

#include <stdint.h>

#include "dtrain/arithmetic/number.h"
#include "dtrain/core/config.h"
#include "dtrain/core/line.h"
#include "dtrain/core/metrics.h"
#include "dtrain/data/split.h"

typedef enum { DT_ADD, DT_SUBTRACT, DT_MULTIPLY, DT_DIVIDE, DT_OPERATIONS } dt_operation;

typedef struct {
    dt_operation operation;
    dt_number a, b;
} dt_problem;

/* Room for an answer as people write it: a sum, or quotient and remainder of a division. */
enum { DT_ANSWER_SIZE = DT_NUMBER_DIGITS + 32 };

/* Longest text of a problem, working included, that any configuration can ask for; buffers of this
 * size always do. Most digits of the operands of sums and differences, of products, of divisions.
 */
enum {
    DT_PROBLEM_TEXT_MAX = 4096,
    DT_DIGITS_MAX = 200,
    DT_PRODUCT_DIGITS_MAX = 24,
    DT_DIVISION_DIGITS_MAX = 18,
};

extern const dt_text_kind dt_operation_kind[DT_OPERATIONS];

/* '+', '-', '*', '/' and "add", "subtract", "multiply", "divide". */
char dt_operation_symbol(dt_operation operation);
const char *dt_operation_name(dt_operation operation);

/* ---- problems ---- */

/* Which split a problem belongs to: a hash of it, the same for a+b and b+a (a*b and b*a), whatever
 * the seed. 5 % are validation, 5 % test. */
dt_split dt_problem_split(const dt_problem *problem);

/**
 * Problem number `index` of a split: a pure function of (data settings, seed, split, index).
 *
 * A length is drawn, then a number of that length: d digits with weight 2 d - 1 where the setting
 * allows four at most, otherwise each length as often. One division in eight is made exact; of one
 * subtraction in four a and the difference are drawn so. Where the setting allows four digits at
 * most, any digit behind the first of one number in four may become 0, and any digit of b that of a
 * in one subtraction in four. The divisor is never 0.
 * @return DT_ERR_ARG if the domain is so small that the split has no such problem (names the
 * setting to raise)
 */
dt_status dt_problem_sample(dt_problem *problem, const dt_config *config, dt_split split,
                            uint64_t index);

/**
 * Training problem `position` (counted over the whole run: step * batch + place in the batch). With
 * train-examples N, a fresh permutation of the first N problems in each epoch; otherwise an endless
 * stream.
 */
dt_status dt_problem_train(dt_problem *problem, const dt_config *config, uint64_t position);

/* The answer as people write it: "74802", "-87", "29 r 1". DT_ERR_ARG for a division by zero. */
dt_status dt_problem_answer(char *text, size_t size, const dt_problem *problem);

/**
 * Read "273*274", "2060 / 71", "12 - 3 = ?", "What is 12 + 34?": with any spaces, full-width digits
 * and signs, and × · ÷ −.
 * @return DT_ERR_ARG, with a sentence that shows where it stopped making sense
 */
dt_status dt_problem_parse(dt_problem *problem, const dt_line *typed);

/* Whether this problem lies in the domain the configuration trains or evaluates on; if not,
 * DT_ERR_ARG says why.
 */
dt_status dt_problem_in_domain(const dt_problem *problem, const dt_config *config);

/* What dt_config_check does not know: which operations there are, and how long their operands may
 * be. DT_ERR_ARG. */
dt_status dt_arithmetic_check(const dt_config *config);

#endif
