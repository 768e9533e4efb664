/* Writes texts so that HTML shows them as they are. */
#include "html.h"

#include <string.h>

#include "dtrain/core/utf8.h"

static bool is_control(uint32_t code) {
    return (code < ' ' && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0);
}

void dt_html_text(FILE *out, const char *text) {
    const char *const end = text + strlen(text);
    for (size_t length; text < end; text += length ? length : 1) {
        length = dt_utf8_length(text, (size_t)(end - text));
        if (length == 0 || is_control(dt_utf8_code(text, length))) {
            fputs("&#xfffd;", out);
        } else if (strchr("<>&\"'", *text)) {
            fprintf(out, "&#%d;", *text);
        } else {
            fwrite(text, 1, length, out);
        }
    }
}
