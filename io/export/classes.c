/* Finds out by asking the tokenizer, so that there is only one definition of numbers. */
#include "classes.h"

#include "dtrain/core/memory.h"

/* The place of the last of these tokens. */
static int32_t place_of_last(const dt_tokenizer *tokenizer, const int32_t *id, size_t count) {
    enum { MOST = 4 };
    int32_t position[MOST], place[MOST];
    dt_tokenizer_places(position, place, NULL, tokenizer, id, count);
    return place[count - 1];
}

/* The first token of a class; -1: none. */
static int32_t first_of(const export_classes *classes, export_class which) {
    for (size_t i = 0; i < classes->count; i++) {
        if (classes->of[i] & which) return (int32_t)i;
    }
    return -1;
}

dt_status export_classes_find(export_classes *classes, const dt_tokenizer *tokenizer) {
    classes->count = dt_tokenizer_size(tokenizer);
    DT_TRY(dt_memory_alloc(&classes->of, classes->count, 1, "classes of tokens"));
    const int32_t count = (int32_t)classes->count;
    for (int32_t i = 0; i < count; i++) {
        if (place_of_last(tokenizer, &i, 1) == 1) classes->of[i] = EXPORT_DIGIT;
    }
    const int32_t digit = first_of(classes, EXPORT_DIGIT);
    if (digit < 0) return DT_OK;
    /* A digit after what is part of the number is the second one, otherwise the first. */
    for (int32_t i = 0; i < count; i++) {
        const int32_t text[] = {digit, i, digit};
        const bool is_digit = classes->of[i] & EXPORT_DIGIT;
        if (!is_digit && place_of_last(tokenizer, text, 3) == 2) classes->of[i] |= EXPORT_CARRY;
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t text[] = {digit, i, digit};
        const bool is_digit = classes->of[i] & EXPORT_DIGIT;
        if (is_digit && place_of_last(tokenizer, text, 3) == 2) classes->of[i] |= EXPORT_MARK;
    }
    const int32_t carry = first_of(classes, EXPORT_CARRY);
    if (carry < 0) return DT_OK;
    for (int32_t i = 0; i < count; i++) {
        const int32_t text[] = {digit, carry, i, digit};
        const unsigned char other = EXPORT_DIGIT | EXPORT_CARRY;
        if (!(classes->of[i] & other) && place_of_last(tokenizer, text, 4) == 2)
            classes->of[i] |= EXPORT_ADDEND;
    }
    return DT_OK;
}

void export_classes_destroy(export_classes *classes) { dt_memory_free(&classes->of); }
