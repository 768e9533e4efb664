/* Arithmetic problems, how they are written, as tokens, and packed into batches. Pure functions of
 * (configuration, index). */
#ifndef DTRAIN_DATA_H
#define DTRAIN_DATA_H

#include <stdint.h>

#include "dtrain/core/config.h"

typedef enum { DT_ADD, DT_SUBTRACT, DT_MULTIPLY, DT_DIVIDE, DT_OPERATIONS } dt_operation;
typedef enum { DT_TRAIN, DT_VALIDATION, DT_TEST, DT_SPLITS } dt_split;

/* Operands and answers; longer sums than 64 bits hold are what models are tried on. */
typedef unsigned __int128 dt_number;

typedef struct {
    dt_operation operation;
    dt_number a, b;
} dt_problem;

/* Longest text of a problem, working included, that any configuration can ask for, or of a line of
 * a file; buffers of this size always do. Most digits of the operands of sums and differences, of
 * products, of divisions.
 */
enum {
    DT_TEXT_MAX = 4096,
    DT_DIGITS_MAX = 36,
    DT_PRODUCT_DIGITS_MAX = 9,
    DT_DIVISION_DIGITS_MAX = 18,
};

/* A number in decimal, to be printed at once: dt_decimal_of(n).text. */
typedef struct {
    char text[40]; /* 2^128 has 39 digits */
} dt_decimal;

dt_decimal dt_decimal_of(dt_number number);

/* Digits of n as written; 0 has one. */
size_t dt_digit_count(dt_number n);

/* '+', '-', '*', '/' and "add", "subtract", "multiply", "divide"; "train", "validation", "test". */
char dt_operation_symbol(dt_operation operation);
const char *dt_operation_name(dt_operation operation);
const char *dt_split_name(dt_split split);

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
 * Read "273*274", "2060 / 71", "12 - 3 =": spaces allowed, × · ÷ and − understood.
 * @return DT_ERR_ARG, with a sentence that shows where it stopped making sense
 */
dt_status dt_problem_parse(dt_problem *problem, const char *text);

/* Whether this problem lies in the domain the configuration trains or evaluates on; if not,
 * DT_ERR_ARG says why.
 */
dt_status dt_problem_in_domain(const dt_problem *problem, const dt_config *config);

/* The settings with those of evaluation in the place of digits, dividend-digits and
 * divisor-digits. */
dt_config dt_config_evaluated(const dt_config *config);

/* What dt_config_check does not know: which operations there are, and how long their operands may
 * be. DT_ERR_ARG. */
dt_status dt_arithmetic_check(const dt_config *config);

/* ---- formats ---- */

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

/* The longest text the configuration can produce, in tokens, the end included. Of lines of a file,
 * and for the places below: as settled when the run began; 0 before. */
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
 * spaces, the sign at the end, and full-width characters in the place of ASCII do not matter. */
bool dt_chat_read(dt_problem *problem, size_t *phrasing, const char *text);

/* An answer as dt_format_answer gives it, in the words that go with the question: "It is 46." */
void dt_chat_sentence(char *text, size_t size, const char *answer, dt_operation operation,
                      size_t phrasing);

/* ---- tokenizer ---- */

typedef struct dt_tokenizer dt_tokenizer;

/* The token strings a format needs; id 0 is the end "$". */
dt_status dt_tokenizer_create(dt_tokenizer **tokenizer, dt_format format);

/* From the strings of a checkpoint: `count` NUL-terminated ones, copied. DT_ERR_DATA for doubles or
 * empty ones. */
dt_status dt_tokenizer_restore(dt_tokenizer **tokenizer, const char *const *token, size_t count);
void dt_tokenizer_destroy(dt_tokenizer **tokenizer);

size_t dt_tokenizer_size(const dt_tokenizer *tokenizer);
const char *dt_tokenizer_token(const dt_tokenizer *tokenizer,
                               int32_t id); /* NULL if there is none */
bool dt_tokenizer_equal(const dt_tokenizer *x, const dt_tokenizer *y);

/* Text to ids. DT_ERR_DATA names the first byte that is no token. */
dt_status dt_tokenizer_encode(int32_t *id, size_t capacity, size_t *count,
                              const dt_tokenizer *tokenizer, const char *text);

/* Ids to text. */
dt_status dt_tokenizer_decode(char *text, size_t size, const dt_tokenizer *tokenizer,
                              const int32_t *id, size_t count);

/**
 * Where each token stands. Position: how many tokens that are no part of a number stand before it;
 * all digits of a number share one, with the sign behind them. Place: 1 for the first digit of a
 * number as written, 2 for the next … and for the sign behind the last one, 0 for all else: so a
 * number's end can be found by its place, as a digit can. In a vocabulary that has the letters of
 * the working those that are digits count as such, and those between two digits are part of the
 * number and have the place of the second.
 * Together with what it is they tell any two tokens of a text apart, and what belongs together has
 * one of them in common. Both depend on what stands before alone, so that generation computes them
 * as it goes.
 *
 * @param[out] position, place  (count)
 */
void dt_tokenizer_places(int32_t *position, int32_t *place, const dt_tokenizer *tokenizer,
                         const int32_t *id, size_t count);

/* Place ids go from 0 to this: the longest run of digits any problem of this configuration
 * contains, and the sign behind it. */
size_t dt_format_places(const dt_config *config);

/* ---- lines of a file ---- */

/* A file of texts to learn, one a line, in UTF-8: "prompt<TAB>answer", or plain text. */
typedef struct dt_lines dt_lines;

typedef struct {
    uint64_t bytes;
    size_t lines[DT_SPLITS];
    size_t answers; /* lines with a prompt and an answer, of all splits */
    size_t longest; /* tokens of the longest text */
    size_t places;  /* digits of the longest number, and one more for the sign behind */
} dt_lines_facts;

/**
 * Look through a file once: whether each line can be learned, which split it belongs to, and where
 * it stands. A line's split is a hash of its bytes: 5 % are validation, 5 % test, and equal lines
 * stay together.
 *
 * Each rank does so for itself: it keeps one or two bytes a line, and then reads lines where they
 * stand, so that the file may be larger than memory and ranks share nothing but the disk's cache.
 *
 * @param context  most tokens of a text; 0: any
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA naming file and line: not UTF-8, empty, more than one tab,
 * too long
 */
dt_status dt_lines_open(dt_lines **lines, const char *path, size_t context);
void dt_lines_close(dt_lines **lines);
const dt_lines_facts *dt_lines_about(const dt_lines *lines);

/* Whether the file has not been touched since: DT_ERR_DATA if it has. Reading a line asks, too. */
dt_status dt_lines_check(const dt_lines *lines);

/**
 * A line as the model sees it: "prompt\tanswer\n", or "\nplain text\n", where all but the first
 * token is to be produced.
 *
 * @param index  of the split's lines, in the order of the file
 */
dt_status dt_lines_read(char *text, size_t size, size_t *prompt_length, const dt_lines *lines,
                        dt_split split, uint64_t index);

/* Every character of the file is a token, by code point; id 0 is the end, "\n". DT_ERR_DATA if they
 * are more than 65535. */
dt_status dt_lines_tokenizer(dt_tokenizer **tokenizer, const dt_lines *lines);

/* ---- packed batches ---- */

/* Problems back to back, without padding: B problems, N tokens. Each array is the batch's own. */
typedef struct {
    size_t problems;     /* B */
    size_t tokens;       /* N: a text of n tokens gives n - 1 inputs */
    size_t scored;       /* targets that count */
    int32_t *offset;     /* (B+1) first token of each problem */
    int32_t *token;      /* (N) */
    int32_t *position;   /* (N) as dt_tokenizer_places gives it */
    int32_t *place;      /* (N) */
    int32_t *target;     /* (N) the next token, or -1 where the loss does not count (the prompt) */
    uint64_t *index;     /* (B) the problem's number in its split, for what is keyed by it */
    dt_problem *problem; /* (B) */
    size_t problem_capacity, token_capacity;
} dt_batch;

/* Room for that many problems and tokens, once. */
dt_status dt_batch_create(dt_batch *batch, size_t problems, size_t tokens);
void dt_batch_destroy(dt_batch *batch);
void dt_batch_clear(dt_batch *batch);

/* Append one text, of which the first prompt_length bytes are given: at least one token.
 * DT_ERR_DATA for what the vocabulary lacks; DT_ERR_INTERNAL if there is no room. */
dt_status dt_batch_append_text(dt_batch *batch, const char *text, size_t prompt_length,
                               uint64_t index, const dt_tokenizer *tokenizer);

/* Append one problem, in the phrasing that goes with its number. DT_ERR_INTERNAL if there is no
 * room. */
dt_status dt_batch_append(dt_batch *batch, const dt_problem *problem, uint64_t index,
                          dt_format format, const dt_tokenizer *tokenizer);

/* Let the places of problem b's digits begin at `offset` more. */
void dt_batch_shift_places(dt_batch *batch, size_t b, int32_t offset);

/* By how much in training: evenly 0 … place-offset, a pure function of (seed, position), the
 * problem's number over the whole run. Source: McLeish et al. 2024, arXiv:2405.17399, "Abacus". */
int32_t dt_place_offset(const dt_config *config, uint64_t position);

/* What is given of problem b, and the whole of its text, end sign included. */
dt_status dt_batch_prompt(char *text, size_t size, const dt_batch *batch, size_t b,
                          const dt_tokenizer *tokenizer);
dt_status dt_batch_text(char *text, size_t size, const dt_batch *batch, size_t b,
                        const dt_tokenizer *tokenizer);

/* ---- where texts come from ---- */

/* Drawn problems, or the lines of a file; by reference. */
typedef struct {
    const dt_config *config;
    const dt_tokenizer *tokenizer;
    const dt_lines *lines; /* NULL: problems */
} dt_source;

/* Append training text `position`, counted over the whole run, as dt_problem_train counts. Of a
 * file, the first train-examples lines of the split's order, freshly permuted in each epoch. */
dt_status dt_source_train(dt_batch *batch, const dt_source *source, uint64_t position);

/* Append text number `index` of a split. */
dt_status dt_source_sample(dt_batch *batch, const dt_source *source, dt_split split,
                           uint64_t index);

/* How many tokens dt_source_train would append. */
dt_status dt_source_train_length(uint32_t *tokens, const dt_source *source, uint64_t position);

/* How many texts a split has, at most `wanted`. */
size_t dt_source_count(const dt_source *source, dt_split split, size_t wanted);

/* ---- texts of a step ---- */

/* What a part has got. */
typedef struct {
    uint64_t tokens;
    size_t next, room; /* its next place, and how many are left */
} dt_part;

/* Which text of a global batch stands at which place: a pure function of their lengths. Part k of a
 * batch has places dt_deal_start(k) … dt_deal_start(k + 1) - 1: equal counts, give or take one. */
typedef struct {
    size_t texts, parts; /* room for */
    uint32_t *tokens;    /* (texts) in: the length of each */
    uint32_t *order;     /* (texts) out: the text at each place; they rise within a part */
    uint64_t *rank;      /* (texts) and below: its own */
    uint32_t *owner;     /* (texts) */
    dt_part *part;       /* (parts) */
} dt_deal;

/* Room for so many texts and parts, once. DT_ERR_ARG for 2^32 texts. */
dt_status dt_deal_create(dt_deal *deal, size_t texts, size_t parts);
void dt_deal_destroy(dt_deal *deal);

/* The first place of a part. */
size_t dt_deal_start(size_t batch, size_t parts, size_t part);

/**
 * Deal texts out so that all parts have about as many tokens: the longest first, each to the part
 * that has the fewest so far; then the heaviest and the lightest part exchange texts while that
 * brings them nearer to each other.
 *
 * @param batch  how many texts; `tokens` has their lengths
 * @param parts  how many parts, at least 1
 * Source: Graham 1969, doi:10.1137/0117039, "LPT".
 */
void dt_deal_texts(dt_deal *deal, size_t batch, size_t parts);

#endif
