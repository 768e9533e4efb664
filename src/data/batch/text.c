/* Texts that grow. */
#include "dtrain/data/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"

dt_status dt_text_reserve(dt_text *text, size_t more) {
    DT_TRY(dt_memory_grow(&text->bytes, &text->capacity, text->length + more + 1, 1, "a text"));
    text->bytes[text->length] = '\0';
    return DT_OK;
}

void dt_text_clear(dt_text *text) {
    text->length = text->prompt_length = text->ids = 0;
    if (text->bytes) text->bytes[0] = '\0';
}

dt_status dt_text_append(dt_text *text, const char *bytes, size_t count) {
    DT_TRY(dt_text_reserve(text, count));
    memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    text->bytes[text->length] = '\0';
    return DT_OK;
}

dt_status dt_text_reserve_ids(dt_text *text, size_t count) {
    return dt_memory_grow(&text->id, &text->id_capacity, count, sizeof *text->id,
                          "the tokens of a text");
}

dt_status dt_text_format(dt_text *text, const char *format, ...) {
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    const int length = vsnprintf(NULL, 0, format, values);
    const dt_status status = dt_text_reserve(text, length > 0 ? (size_t)length : 0);
    if (status == DT_OK && length > 0) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(values);
    return status;
}

void dt_text_destroy(dt_text *text) {
    dt_memory_free(&text->bytes);
    dt_memory_free(&text->id);
    *text = (dt_text){0};
}
