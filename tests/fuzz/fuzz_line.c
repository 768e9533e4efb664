/* Fuzzes lines of text: every byte belongs to a line, and an error can show any location. */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dtrain/core/line.h"
#include "dtrain/core/utf8.h"

static void show(const dt_line *line, size_t at) {
    MUST(dt_line_raise(DT_ERR_ARG, "fuzz.c", 1, line, at, "wrong") == DT_ERR_ARG);
    char text[2048], printable[2048];
    MUST(strlen(dt_error_text()) < sizeof text);
    strcpy(text, dt_error_text());
    strcpy(printable, text);
    dt_utf8_make_printable(printable, "\n");
    MUST(strcmp(text, printable) == 0 && text[strlen(text) - 1] == '^');
}

/* Both ways of reading find the same lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const int file = memfd_create("fuzz", 0);
    MUST(file >= 0 && write(file, data, size) == (ssize_t)size && lseek(file, 0, SEEK_SET) == 0);
    dt_line_reader *reader;
    MUST(dt_line_reader_open(&reader, file, "fuzz") == DT_OK);
    dt_line cut = {.name = "fuzz"}, read;
    bool found;
    for (size_t at = dt_line_mark(text, size), length; at < size; at += length) {
        MUST(dt_line_cut(&cut, &length, text + at, size - at, true));
        cut.number++;
        MUST(length > 0 && length <= size - at && cut.length <= length && length <= cut.length + 3);
        MUST(dt_line_reader_next(&read, &found, reader) == DT_OK && found);
        MUST(read.length == cut.length && read.number == cut.number);
        MUST(memcmp(read.text, cut.text, cut.length) == 0 && read.text[read.length] == '\0');
        const dt_status status = dt_line_check(&cut);
        MUST(status == DT_OK || status == DT_ERR_DATA);
        show(&cut, cut.length / 2);
        show(&cut, cut.length);
    }
    MUST(dt_line_reader_next(&read, &found, reader) == DT_OK && !found);
    dt_line_reader_close(&reader);
    close(file);
    return 0;
}
