/* How problems are written for the model, and how its answers are read. */
#ifndef DTRAIN_FORMAT_H
#define DTRAIN_FORMAT_H

#include "dtrain/arithmetic/problem.h"
#include "dtrain/data/tokenizer.h"

/**
 * Write a problem the way the model sees it, ending with '$':
 * "372*472=2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=208470$".
 *
 * @param[out] prompt_length  how many bytes are given; what follows must be produced
 */
dt_status dt_format_write(char *text, size_t size, size_t *prompt_length, const dt_problem *problem,
                          dt_format format);

/* The same in one of the phrasings of the format chat; without this it is the first. Other formats
 * have but one. */
dt_status dt_format_write_as(char *text, size_t size, size_t *prompt_length,
                             const dt_problem *problem, dt_format format, size_t phrasing);

/* The longest text the configuration can produce, in tokens, the end included. */
size_t dt_format_longest(const dt_config *config);

/**
 * What the model produced after the prompt, as people write it: the answer alone ("29 r 1").
 * @return DT_ERR_DATA if it is not an answer in this format
 */
dt_status dt_format_answer(char *answer, size_t size, const char *produced,
                           const dt_problem *problem, dt_format format);

/**
 * The working for people, one step a line, numbers the normal way round: "273 * 4 = 1092".
 * Works on what the model produced, right or wrong; what cannot be understood is shown as it
 * stands. Lines are separated by newlines; a problem without working of its own gives one line,
 * "123 + 456 = 579".
 */
void dt_format_working(char *text, size_t size, const char *produced, const dt_problem *problem,
                       dt_format format);

/* ---- questions in words ---- */

/* In how many ways the format chat asks each operation: the first half in English, the others in
 * Japanese. */
enum { DT_PHRASINGS = 8 };

/* The phrasing of the problem with this number: a pure function of it. */
size_t dt_chat_phrasing(uint64_t index);

/* Read a question in any phrasing: "What is 12 plus 34?", "12足す34は？". False: it is none. Case,
 * spaces, punctuation at the end, and full-width characters in the place of ASCII do not matter. */
bool dt_chat_read(dt_problem *problem, size_t *phrasing, const dt_line *typed);

/* An answer as dt_format_answer gives it, in the words that go with the question: "It is 46." */
void dt_chat_sentence(char *text, size_t size, const char *answer, dt_operation operation,
                      size_t phrasing);

/* ---- vocabulary ---- */

/* The token strings a format needs; id 0 is the end "$". */
dt_status dt_tokenizer_create(dt_tokenizer **tokenizer, dt_format format, dt_marks marks);

/* Place ids go from 0 to this: the longest run of digits any problem of this configuration
 * contains, and the token behind it. */
size_t dt_format_places(const dt_config *config);

#endif
