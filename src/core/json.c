/* Texts as JSON. */
#include "dtrain/core/json.h"

#include <math.h>
#include <string.h>

#include "dtrain/core/utf8.h"

void dt_json_write_text(FILE *file, const char *text) {
    const char *const end = text + strlen(text);
    fputc('"', file);
    for (const char *c = text; c < end;) {
        const size_t length = dt_utf8_length(c, (size_t)(end - c));
        if (length == 0) {
            fputs("\\ufffd", file); /* a byte that is no text, as in old file names */
        } else if (*c == '"' || *c == '\\') {
            fprintf(file, "\\%c", *c);
        } else if ((unsigned char)*c < ' ' || *c == 127) {
            fprintf(file, "\\u%04x", (unsigned)*c);
        } else {
            fwrite(c, 1, length, file);
        }
        c += length ? length : 1;
    }
    fputc('"', file);
}

void dt_json_print_text(const char *text) { dt_json_write_text(stdout, text); }

const char *dt_json_number(char text[DT_JSON_NUMBER], int digits, double value) {
    if (isfinite(value)) {
        snprintf(text, DT_JSON_NUMBER, "%.*g", digits, value);
    } else {
        snprintf(text, DT_JSON_NUMBER, "null");
    }
    return text;
}
