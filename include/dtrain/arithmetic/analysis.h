/* Every problem of a domain by number, what is hard about it, where an answer went wrong, and
 * counts of it all. */
#ifndef DTRAIN_ANALYSIS_H
#define DTRAIN_ANALYSIS_H

#include <stdio.h>

#include "dtrain/arithmetic/problem.h"
#include "dtrain/data/source.h"

/* ---- the domain ---- */

/**
 * How many problems there are with the operations and digits of the settings: a+b and b+a are two.
 * @return DT_ERR_ARG if there are more than 2^53 (names the settings to lower)
 */
dt_status dt_domain_count(uint64_t *count, const dt_config *config);

/* Problem number `index` of them, below the count: operations in the order + - * /, then a, then b,
 * ascending. */
void dt_domain_problem(dt_problem *problem, const dt_config *config, uint64_t index);

/* ---- what is hard ---- */

/* What makes problems of an operation hard beside the length of their operands: "carries" of a sum,
 * "borrows" of a difference, "quotient_digits"; NULL: nothing is counted for it. */
const char *dt_difficulty_name(dt_operation operation);

/* How many: places of a+b that carry into the next, places of the larger minus the smaller operand
 * that borrow from the next, digits of the quotient; 0 for products. */
size_t dt_difficulty(const dt_problem *problem);

/* ---- where it went wrong ---- */

/*
 * A wrong answer is of one of three kinds, by where the text first departs from the right one:
 * a wrong step (in the working), a wrong copy (the working is right, the answer after it is not),
 * or a wrong answer where no working is written. Steps end with ';', or with ',' where there is no
 * ';'; each has one part or several.
 */
enum { DT_SLIP_PARTS = 8, DT_SLIP_COPY = DT_SLIP_PARTS, DT_SLIP_ANSWER, DT_SLIPS };

typedef struct {
    size_t kind; /* part of the step, from 0; or DT_SLIP_COPY, DT_SLIP_ANSWER */
    size_t step; /* from 1; 0: not in a step */
} dt_slip;

/* Both texts as they follow the prompt; `right` with its '$'. They differ. */
dt_slip dt_slip_find(const char *produced, const char *right);

/* "partial product", "copy", "answer"; NULL for a part that the operation's steps do not have. */
const char *dt_slip_name(dt_operation operation, size_t kind);

/* ---- counts ---- */

/* Lengths and difficulties up to 36 are counted each by itself, longer ones by tens: at the index
 * of 40 stand those from 37 to 40, at that of 210 those from 201 on. No length is 0. */
enum { DT_LENGTHS = 37 + 18, DT_DIFFICULTIES = DT_LENGTHS };
size_t dt_tally_index(size_t length);
size_t dt_tally_length(size_t index); /* the longest at an index */

/* Nothing but int64_t, so that ranks add it up as one array. */
typedef struct {
    dt_count length[DT_OPERATIONS][DT_LENGTHS][DT_LENGTHS]; /* by digits of a, digits of b */
    dt_count difficulty[DT_OPERATIONS][DT_DIFFICULTIES];
    dt_count split[DT_OPERATIONS][DT_SPLITS];
    int64_t slip[DT_OPERATIONS][DT_SLIPS]; /* of the wrong answers that were looked at */
} dt_tally;

enum { DT_TALLY_VALUES = sizeof(dt_tally) / sizeof(int64_t) };

/* One more problem. slip: NULL if the answer is right, or was not looked at. */
void dt_tally_add(dt_tally *tally, const dt_problem *problem, bool right, bool text,
                  const dt_slip *slip);

/* Sum over an operation; over all. */
dt_count dt_tally_operation(const dt_tally *tally, dt_operation operation);
dt_count dt_tally_all(const dt_tally *tally);

#endif
