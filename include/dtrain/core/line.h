/* Lines of text that people give: where a line ends, what it may hold, and how an error shows a
 * location in it. */
#ifndef DTRAIN_LINE_H
#define DTRAIN_LINE_H

#include <stdint.h>

#include "dtrain/core/status.h"

typedef struct {
    const char *name; /* of the file, for messages; NULL: it stands on the command line */
    int64_t number;   /* in the file, from 1 on */
    const char *text; /* not ended by NUL */
    size_t length;    /* bytes, without the end of the line */
} dt_line;

/* A text on the command line, as a whole. */
dt_line dt_line_of(const char *text);

/* Bytes of the byte-order mark that some editors put at the beginning of a text; 0: none. */
size_t dt_line_mark(const char *text, size_t size);

/**
 * The line that `text` begins with. It ends with \n, \r\n, \r\r\n or \r.
 *
 * @param[out] line    text and length only
 * @param[out] length  with its end: where the next one begins
 * @param      last    nothing comes after these bytes
 * @return false: its end is not there yet
 */
bool dt_line_cut(dt_line *line, size_t *length, const char *text, size_t size, bool last);

/* Whether people see nothing in it. */
bool dt_line_is_blank(const dt_line *line);

/* Whether all of it is text in UTF-8, without NUL. DT_ERR_DATA with the location. */
dt_status dt_line_check(const dt_line *line);

/**
 * Raise an error that shows a location in a line:
 *
 *     questions.txt:3:4: a number is missing; write it like 273*274
 *       12+x
 *          ^
 *
 * A long line is shown in part, and nothing in it reaches a terminal that would control it.
 *
 * @param at   byte of the line; its length: the end
 * @param fmt  the sentence
 * @return code
 */
dt_status dt_line_raise(dt_status code, const char *file, int source_line, const dt_line *line,
                        size_t at, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
#define DT_LINE_RAISE(code, line, at, ...)                                                         \
    return dt_line_raise((code), __FILE__, __LINE__, (line), (at), __VA_ARGS__)

/* ---- from a file that is read to its end, such as standard input ---- */

typedef struct dt_line_reader dt_line_reader;

/* name: for messages; kept by reference, as is the file, which stays open. */
dt_status dt_line_reader_open(dt_line_reader **reader, int file, const char *name);
void dt_line_reader_close(dt_line_reader **reader);

/**
 * The next line, as soon as its end is there.
 *
 * @param[out] line   valid until the next call; here its text is ended by NUL as well
 * @param[out] found  false: there is none any more
 * @return DT_ERR_IO; DT_ERR_DATA for a line of more than a MiB
 */
dt_status dt_line_reader_next(dt_line *line, bool *found, dt_line_reader *reader);

#endif
