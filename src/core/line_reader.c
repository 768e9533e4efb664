/* Reads a text to its end line by line, each as soon as it is there. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/line.h"
#include "dtrain/core/memory.h"

enum { FIRST_SIZE = 1 << 12, LINE_MAX_BYTES = 1 << 20 };

struct dt_line_reader {
    int file;
    const char *name;
    char *buffer; /* one byte more than is read: for NUL */
    size_t capacity;
    size_t begin, end; /* what has not been given out */
    int64_t lines;     /* given out */
    bool begun;        /* a mark at the beginning has been left out */
    bool over;         /* the file has come to its end */
    bool after_return; /* the last line ended with \r, and what belongs to that may still come */
};

dt_status dt_line_reader_open(dt_line_reader **reader, int file, const char *name) {
    DT_TRY(dt_memory_alloc(reader, 1, sizeof **reader, "a reader of lines"));
    **reader = (dt_line_reader){.file = file, .name = name};
    return DT_OK;
}

void dt_line_reader_close(dt_line_reader **reader) {
    if (!*reader) return;
    dt_memory_free(&(*reader)->buffer);
    dt_memory_free(reader);
}

static dt_status check_length(const dt_line_reader *r, size_t length) {
    DT_REQUIRE(length <= LINE_MAX_BYTES, DT_ERR_DATA,
               "%s:%" PRId64 ": the line has more than %d bytes", r->name, r->lines + 1,
               LINE_MAX_BYTES);
    return DT_OK;
}

/* Some more bytes, or the end. */
static dt_status read_more(dt_line_reader *r) {
    if (r->begin > 0) memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    if (r->capacity < r->end + FIRST_SIZE + 1) {
        DT_TRY(dt_memory_grow(&r->buffer, &r->capacity, r->end + FIRST_SIZE + 1, 1, "a line"));
    }
    ssize_t got;
    do {
        got = read(r->file, r->buffer + r->end, r->capacity - r->end - 1);
    } while (got < 0 && errno == EINTR);
    DT_REQUIRE(got >= 0, DT_ERR_IO, "%s cannot be read: %s", r->name, strerror(errno));
    r->end += (size_t)got;
    r->over = got == 0;
    return DT_OK;
}

/* A \r was taken for the end of a line without waiting for more: \n or \r\n after it belong to it.
 */
static dt_status finish_return(dt_line_reader *r) {
    static const char *const rest[] = {"\n", "\r\n"};
    if (!r->after_return) return DT_OK;
    for (;;) {
        const char *text = r->buffer + r->begin;
        const size_t size = r->end - r->begin;
        const bool tells = size >= 2 || (size == 1 && *text != '\r') || r->over;
        if (tells) {
            for (size_t i = 0; i < sizeof rest / sizeof *rest && r->after_return; i++) {
                const size_t length = strlen(rest[i]);
                if (size < length || memcmp(text, rest[i], length) != 0) continue;
                r->begin += length;
                r->after_return = false;
            }
            r->after_return = false;
            return DT_OK;
        }
        DT_TRY(read_more(r));
    }
}

/* Whether there is a line; one that ends with \r is not kept until more comes. */
static bool cut(dt_line *line, size_t *length, dt_line_reader *r) {
    const char *text = r->buffer + r->begin;
    const size_t size = r->end - r->begin;
    if (dt_line_cut(line, length, text, size, r->over)) return size > 0;
    if (line->length == size) return false;
    *length = line->length + 1;
    r->after_return = true;
    return true;
}

/* Nothing is waited for that need not come: a first line may be shorter than a mark. */
static dt_status skip_mark(dt_line_reader *r) {
    static const char mark[] = "\xef\xbb\xbf";
    while (!r->begun) {
        const size_t size = r->end < strlen(mark) ? r->end : strlen(mark);
        r->begun =
            r->over || size == strlen(mark) || (size > 0 && memcmp(r->buffer, mark, size) != 0);
        if (!r->begun) DT_TRY(read_more(r));
    }
    return DT_OK;
}

dt_status dt_line_reader_next(dt_line *line, bool *found, dt_line_reader *r) {
    size_t length;
    *found = false;
    if (!r->begun) {
        DT_TRY(skip_mark(r));
        r->begin = dt_line_mark(r->buffer, r->end);
    }
    DT_TRY(finish_return(r));
    while (!cut(line, &length, r)) {
        if (r->over) return DT_OK;
        DT_TRY(check_length(r, r->end - r->begin));
        DT_TRY(read_more(r));
    }
    DT_TRY(check_length(r, line->length));
    r->buffer[r->begin + line->length] = '\0';
    r->begin += length;
    line->name = r->name;
    line->number = ++r->lines;
    *found = true;
    return DT_OK;
}
