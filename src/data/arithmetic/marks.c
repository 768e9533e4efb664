/* Start marks: what stands before each number of a text. */
#include "marks.h"

#include <string.h>

#include "dtrain/data/digits.h"
#include "format.h"

/* Letters are digits in a working alone; elsewhere they are those of words. */
typedef struct {
    dt_digit_run run;
    bool working;
} reader;

/* Whether a number begins with this character. */
static bool begins_number(reader *r, char character) {
    const bool new_run = r->run.digits == 0;
    const dt_character_kind kind = dt_digit_run_take(&r->run, character);
    if (character == '=') r->working = false;
    if (kind != DT_DIGIT || !new_run) return false;
    return r->working || (character >= '0' && character <= '9');
}

static dt_status put_marked(dt_text *marked, reader *r, dt_span span) {
    const char mark = DT_NUMBER_MARK;
    for (size_t i = 0; i < span.count; i++) {
        if (begins_number(r, span.at[i])) DT_TRY(dt_text_append(marked, &mark, 1));
        DT_TRY(dt_text_append(marked, span.at + i, 1));
    }
    return DT_OK;
}

/* What follows the prompt. */
static dt_status put_rest(dt_text *marked, dt_span rest, dt_format format) {
    reader r = {.working = dt_format_has_working(format)};
    return put_marked(marked, &r, rest);
}

dt_status dt_marks_insert(dt_text *marked, const dt_text *plain, dt_format format) {
    reader r = {.working = false};
    const size_t given = plain->prompt_length;
    dt_text_clear(marked);
    DT_TRY(dt_text_reserve(marked, 2 * plain->length));
    DT_TRY(put_marked(marked, &r, (dt_span){plain->bytes, given}));
    marked->prompt_length = marked->length;
    return put_rest(marked, (dt_span){plain->bytes + given, plain->length - given}, format);
}

dt_status dt_marks_remove(dt_text *plain, bool *placed, const char *produced, dt_format format) {
    dt_text again = {0};
    dt_status status = DT_OK;
    dt_text_clear(plain);
    DT_TRY_DONE(dt_text_reserve(plain, strlen(produced)));
    for (const char *at = produced; *at; at++) {
        if (*at != DT_NUMBER_MARK) DT_TRY_DONE(dt_text_append(plain, at, 1));
    }
    DT_TRY_DONE(dt_text_reserve(&again, strlen(produced)));
    DT_TRY_DONE(put_rest(&again, (dt_span){plain->bytes, plain->length}, format));
    *placed = strcmp(again.bytes, produced) == 0;
done:
    dt_text_destroy(&again);
    return status;
}
