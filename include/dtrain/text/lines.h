/* The lines of a file as texts to learn. */
#ifndef DTRAIN_LINES_H
#define DTRAIN_LINES_H

#include "dtrain/data/encoder.h"
#include "dtrain/data/split.h"

/* A file of texts to learn, one a line, in UTF-8: "prompt<TAB>answer", or plain text. */
typedef struct dt_lines dt_lines;

typedef struct {
    uint64_t bytes;
    size_t lines[DT_SPLITS];
    size_t empty;   /* lines without a character, which are skipped */
    bool differ;    /* not all lines are equal */
    size_t answers; /* lines with a prompt and an answer, of all splits */
    size_t longest; /* tokens of the longest text */
    size_t places;  /* digits of the longest number, and one more for the token behind */
} dt_lines_facts;

/**
 * Look through a file once: whether each line can be learned, which split it belongs to, and where
 * it stands. A line's split is a hash of its bytes: 5 % are validation, 5 % test, and equal lines
 * stay together.
 *
 * Each rank does so for itself: it keeps one or two bytes a line, and then reads lines where they
 * stand, so that the file may be larger than memory and ranks share nothing but the disk's cache.
 *
 * @param context    most tokens of a text; 0: any
 * @param tokenizer  what the lines are read with, kept by reference; NULL: their own characters
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA that shows the location: not UTF-8, more than one tab, too
 * long, or not in the vocabulary
 */
dt_status dt_lines_open(dt_lines **lines, const char *path, size_t context,
                        const dt_tokenizer *tokenizer);
void dt_lines_close(dt_lines **lines);
const dt_lines_facts *dt_lines_about(const dt_lines *lines);

/* Whether a digest (dt_file_digest) is of what was opened: DT_ERR_DATA if it is not. */
dt_status dt_lines_are(const dt_lines *lines, const char *digest);

/**
 * A line as the model sees it: "prompt\tanswer\n", or "\nplain text\n", where all but the first
 * token is to be produced. A token is part of the prompt or of what follows, never of both.
 * DT_ERR_DATA if the file does not hold any more what was looked through:
 * all of it is read again where its time is another one.
 *
 * @param index  of the split's lines, in the order of the file
 */
dt_status dt_lines_read(dt_text *text, dt_lines *lines, dt_split split, uint64_t index);

/* Every character of the file is a token, by code point; id 0 is the end, "\n". DT_ERR_DATA if they
 * are more than 65535. */
dt_status dt_lines_tokenizer(dt_tokenizer **tokenizer, const dt_lines *lines);

#endif
