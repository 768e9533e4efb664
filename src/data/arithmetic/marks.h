/* Start marks: what stands before each number of a text where the settings ask for it. Private to
 * src/data/arithmetic. */
#ifndef DTRAIN_DATA_MARKS_H
#define DTRAIN_DATA_MARKS_H

#include "dtrain/core/config.h"
#include "dtrain/data/text.h"

/**
 * Write a mark before each number: "987+654=5421$" becomes "^987+^654=^5421$".
 *
 * @param marked  replaced; its prompt ends where that of `plain` does: a mark that stands behind
 *   the prompt must be produced. Its note stays.
 */
dt_status dt_marks_insert(dt_text *marked, const dt_text *plain, dt_format format);

/**
 * Take the marks out of what a model produced.
 *
 * @param[out] plain   replaced
 * @param[out] placed  whether there was one before each number, and nowhere else
 */
dt_status dt_marks_remove(dt_text *plain, bool *placed, const char *produced, dt_format format);

#endif
