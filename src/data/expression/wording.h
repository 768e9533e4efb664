/* Questions in words and signs, and the answers that go with them. Private to src/data/expression.
 */
#ifndef DTRAIN_DATA_WORDING_H
#define DTRAIN_DATA_WORDING_H

#include "lines.h"

/* "Subtract ", " from ", "" with the numbers swapped. operation 0: there is one expression. */
typedef struct {
    const char *before, *between, *after;
    char operation;
    bool swapped;
    unsigned char answer;
} dt_wording;

typedef struct {
    const char *before, *after;
    const char *none; /* of a division by zero */
    bool absolute;    /* without its sign */
} dt_answer_wording;

extern const dt_wording dt_wordings[];
extern const size_t dt_wording_count;
/* The first so many have a whole expression, and English words. */
enum { DT_WORDINGS_OF_EXPRESSIONS = 8 };
extern const dt_answer_wording dt_answer_wordings[];
extern const size_t dt_answer_wording_count;

/* The wording of a question without its first letter, and its one or two expressions; false: it is
 * none. */
bool dt_question_find(const dt_wording **wording, dt_scan expression[2], dt_scan line);

/* Append the question's expression as calculations have it: "^3+^521:^01". */
void dt_question_write(dt_pen *pen, const dt_wording *wording, const dt_scan expression[2]);

/* "^21+^43": two natural numbers with one of these operations between them, and nothing else. */
bool dt_scan_two_naturals(dt_scan scan, const char *ops);

/* Whether it asks for the quotient of two natural numbers. */
bool dt_question_divides(const dt_wording *wording, const dt_scan expression[2]);

/* What follows from a question. */
bool dt_question_follow(dt_pen *pen, dt_scan line, dt_scan found);

#endif
