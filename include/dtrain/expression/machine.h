/* A calculation as a text of lines: what each line follows from, and what the model sees of it. */
#ifndef DTRAIN_MACHINE_H
#define DTRAIN_MACHINE_H

#include "dtrain/core/config.h"
#include "dtrain/data/text.h"

/* Most bytes of a line that is written; what the model reads at once has less than half as many. */
enum { DT_LINE_BYTES_MAX = 8192 };

/* What ends a line, and what tells what becomes of it. */
enum { DT_LINE_END = '$', DT_LINE_CALL = '{', DT_LINE_GO_ON = '>', DT_LINE_RETURN = '}' };

/* How lines are written. */
typedef struct {
    int64_t decimals; /* of an answer without end */
    bool near;        /* of natural numbers: what a step needs is near it, or has no place */
} dt_line_rules;

dt_line_rules dt_line_rules_of(const dt_config *config);

/**
 * Append the right line after what the model sees: its working, what becomes of it, and its end.
 *
 * @param seen      as dt_expression_window gives it: "B^21+^43$"; no part of `line`, which may move
 * @return DT_ERR_DATA: nothing follows from that
 */
dt_status dt_expression_next(dt_text *line, const char *seen, size_t length, dt_line_rules rules);

/**
 * Which numbers of a line, and of the right one after it, have to do with each other: those that
 * are calculated with, place by place, and what comes out; and each number that is only copied, or
 * of which one digit is taken, with its copies.
 *
 * @param[out] group  (length of the text) of each byte of a number and the one behind it; 0: of the
 *                    former, or of no number
 * @param      text   its prompt is the line
 * @return DT_ERR_DATA: nothing follows from that; DT_ERR_INTERNAL: not the rest of the text
 */
dt_status dt_expression_groups(uint16_t *group, const dt_text *text, dt_line_rules rules);

/**
 * What the model sees of a text: the line that is being worked on, and what was found for it.
 *
 * @param[out] seen   replaced
 * @param[out] ended  the text is complete: nothing follows. So it is if it cannot be understood
 * @param      text   all lines so far, the first of them a question; the last end may be missing
 */
dt_status dt_expression_window(dt_text *seen, bool *ended, const char *text);

/* Whether the last line of a text is what was found for its first. */
bool dt_expression_is_complete(const char *text);

/* Append all lines of a calculation to its first, as far as one may have lines. */
dt_status dt_expression_solve(dt_text *text, dt_line_rules rules);

#endif
