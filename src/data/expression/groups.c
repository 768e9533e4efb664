/* Which numbers of a line have to do with each other. */
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/digits.h"
#include "follow.h"

static bool begins_number(char c) { return c == DT_NUMBER_MARK || c == DT_NEGATIVE_MARK; }

/* Whether a line sets a point or lines up decimals: it compares its numbers place by place. */
static bool has_decimals(dt_scan line) {
    dt_value value;
    const bool divides = memchr(line.at, ':', (size_t)(line.end - line.at));
    switch (line.at[-1]) {
    case 'B': return divides;
    case 'W':
        return !dt_scan_value(&value, &line) || !value.below.count ||
               dt_figure_power(&value.below) >= 0;
    default:
        return memchr(line.at, '.', (size_t)(line.end - line.at)) ||
               memchr(line.at, '%', (size_t)(line.end - line.at));
    }
}

/* Lines that calculate compare their numbers place by place, too: number `index` of them is alone
 * if one digit at a time is taken off it. Other lines copy, or take a digit off (L): there each is.
 */
static bool is_alone(dt_scan line, size_t index) {
    switch (line.at[-1]) {
    case 'S':
    case 'D':
    case 'G':
    case 'F':
    case 'R':
    case 'A':
    case 'H': return false;
    case 'M': return index == 1;
    default: return !has_decimals(line);
    }
}

/* The number from `begin` on, with the byte behind it. */
static size_t end_of(const char *at, size_t begin, size_t length) {
    dt_digit_run run = {.marked = true, .is_signed = true};
    size_t i = begin;
    do dt_digit_run_take(&run, at[i++]);
    while (i < length && !begins_number(at[i]) && run.digits > 0);
    return i;
}

static void fill(uint16_t *group, size_t begin, size_t end, uint16_t with) {
    for (size_t i = begin; i < end; i++) group[i] = with;
}

/* The numbers of what the model sees; 0 is the group of those that belong together. */
static void group_seen(uint16_t *group, const char *seen, size_t length) {
    const char *found = memchr(seen, DT_LINE_RETURN, length);
    const dt_scan line = {seen + 1, found ? found : seen + length - 1};
    uint16_t groups = 0;
    size_t index = 0;
    for (size_t i = 0; i < length; index++) {
        while (i < length && !begins_number(seen[i])) group[i++] = 0;
        if (i == length) return;
        const size_t end = end_of(seen, i, length);
        fill(group, i, end, is_alone(line, index) ? ++groups : 0);
        i = end;
    }
}

/* A number of the line that follows belongs to the one that it was copied from, or was below a
 * digit that was added. */
static void group_written(uint16_t *group, const char *line, size_t length, const int32_t *origin,
                          const uint16_t *seen) {
    for (size_t i = 0; i < length;) {
        while (i < length && !begins_number(line[i])) group[i++] = 0;
        if (i == length) return;
        const size_t end = end_of(line, i, length);
        uint16_t with = 0;
        for (size_t k = i; k < end; k++) with = origin[k] < 0 ? with : seen[origin[k]];
        fill(group, i, end, with);
        i = end;
    }
}

dt_status dt_expression_groups(uint16_t *group, const dt_text *text, dt_line_rules rules) {
    dt_text line = {0};
    int32_t *origin = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&origin, DT_LINE_BYTES_MAX, sizeof *origin, "a line"));
    dt_pen pen = {&line, DT_OK, .seen = text->bytes, .seen_length = text->prompt_length,
                  .origin = origin};
    DT_TRY_DONE(dt_line_follow(&pen, text->bytes, text->prompt_length, rules));
    DT_REQUIRE_DONE(line.length == text->length - text->prompt_length &&
                        line.length <= DT_LINE_BYTES_MAX,
                    DT_ERR_INTERNAL, "a line is not what follows from \"%.*s\"",
                    (int)text->prompt_length, text->bytes);
    group_seen(group, text->bytes, text->prompt_length);
    group_written(group + text->prompt_length, line.bytes, line.length, origin, group);
done:
    dt_memory_free(&origin);
    dt_text_destroy(&line);
    return status;
}
