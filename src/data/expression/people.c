/* Turns the lines of a calculation into what people write. */
#include "people.h"

#include <string.h>

#include "dtrain/expression/machine.h"
#include "lines.h"
#include "steps.h"

static bool is_mark(char c) { return c == '^' || c == '~'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The digits behind a mark, and a point between two of them. */
static size_t number_length(const char *at, size_t left) {
    size_t count = 0;
    while (count < left && (is_digit(at[count]) ||
                            (at[count] == '.' && count + 1 < left && is_digit(at[count + 1])))) {
        count++;
    }
    return count;
}

/* Zeros at the end of decimals are not shown, unless the number is rounded. */
static size_t skipped_zeros(const char *at, size_t count, bool rounded) {
    const char *point = memchr(at, '.', count);
    size_t zeros = 0;
    if (!point || rounded) return 0;
    while (at[zeros] == '0') zeros++;
    return at[zeros] == '.' ? zeros + 1 : zeros;
}

/* A number, and decimals of their own behind it: "^3.^52". The bytes they take. */
static size_t write_number(dt_pen *pen, const char *at, size_t left, bool rounded) {
    const size_t count = number_length(at + 1, left - 1);
    const size_t skipped = skipped_zeros(at + 1, count, rounded);
    if (*at == '~') dt_pen_char(pen, '-');
    dt_pen_backwards(pen, at + 1 + skipped, count - skipped);
    at += 1 + count;
    left -= 1 + count;
    if (left < 3 || at[0] != '.' || !is_mark(at[1]) || !is_digit(at[2])) return 1 + count;
    const size_t decimals = number_length(at + 2, left - 2);
    dt_pen_char(pen, '.');
    dt_pen_backwards(pen, at + 2, decimals);
    return 1 + count + 2 + decimals;
}

/* A letter that tells numbers of the near working apart. */
static bool has_letter(const char *at, size_t left) {
    return left > 1 && at[0] >= OF_REST && at[0] <= OF_LEFT && is_mark(at[1]);
}

/* "c^29", a quotient of the near working, which is as it is read. */
static size_t write_as_read(dt_pen *pen, const char *at, size_t left) {
    const size_t count = number_length(at + 2, left - 2);
    dt_pen_bytes(pen, at + 2, count);
    return 2 + count;
}

dt_status dt_people_write(dt_text *text, const char *part, size_t count) {
    static const char about[] = "≈";
    const size_t mark = sizeof about - 1;
    dt_pen pen = {.text = text};
    bool rounded = false;
    for (size_t i = 0; i < count;) {
        const size_t left = count - i;
        if (is_mark(part[i])) {
            i += write_number(&pen, part + i, left, rounded);
            continue;
        }
        if (has_letter(part + i, left)) {
            i += part[i] == OF_QUOTIENT ? write_as_read(&pen, part + i, left) : 1;
            continue;
        }
        const bool is_about = left >= mark && memcmp(part + i, about, mark) == 0;
        const bool remainder = part[i] == 'r' && left > 1 &&
                               (is_mark(part[i + 1]) || has_letter(part + i + 1, left - 1));
        if (is_about)
            dt_pen_string(&pen, "≈ ");
        else if (remainder)
            dt_pen_string(&pen, " r ");
        else
            dt_pen_char(&pen, part[i] == ':' ? '/' : part[i]);
        rounded = rounded || is_about;
        i += is_about ? mark : 1;
    }
    return pen.status;
}

static const char *line_end(const char *line) {
    const char *end = strchr(line, DT_LINE_END);
    return end ? end : line + strlen(line);
}

/* The mark that tells what becomes of a line; NULL: it has none. */
static const char *find_mark(char *what, const char *line, const char *end) {
    while (end > line) {
        *what = *--end;
        if (*what == DT_LINE_CALL || *what == DT_LINE_GO_ON || *what == DT_LINE_RETURN) return end;
    }
    return NULL;
}

/* In the near working an answer has a remainder, also where none is left. */
static void drop_nothing_left(dt_text *answer) {
    static const char none[] = " r 0";
    const size_t count = sizeof none - 1, length = answer->length;
    if (length <= count || strcmp(answer->bytes + length - count, none) != 0) return;
    answer->length -= count;
    answer->bytes[answer->length] = '\0';
}

dt_status dt_people_answer(dt_text *answer, const char *text, dt_line_rules rules) {
    char what = 0;
    const char *line = text, *end = line_end(line), *mark;
    while (*end && end[1]) line = end + 1, end = line_end(line);
    mark = find_mark(&what, line, end);
    DT_REQUIRE(dt_expression_is_complete(text) && mark && mark + 1 < end, DT_ERR_DATA,
               "there is no answer in the text");
    DT_TRY(dt_people_write(answer, mark + 1, (size_t)(end - mark - 1)));
    if (rules.near) drop_nothing_left(answer);
    return DT_OK;
}

/* ---- the working ---- */

typedef struct {
    const char *at, *end; /* at NULL: its result is not shown */
} asked;

enum { ASKED_MAX = 32 };

static dt_status write_line(dt_text *working, size_t depth, const char *before, const char *at,
                            const char *end) {
    for (size_t i = 1; i < depth; i++) DT_TRY(dt_text_append(working, "  ", 2));
    DT_TRY(dt_text_append(working, before, strlen(before)));
    DT_TRY(dt_people_write(working, at, (size_t)(end - at)));
    return dt_text_append(working, "\n", 1);
}

/* A number, up to the comma behind it; the comma. */
static dt_status write_part(const char **comma, dt_text *working, const char *at, const char *end) {
    *comma = memchr(at, ',', (size_t)(end - at));
    if (!*comma) *comma = end;
    return dt_people_write(working, at, (size_t)(*comma - at));
}

/* The first two numbers of at … end. */
static dt_status write_parts(dt_text *working, const char *at, const char *end,
                             const char *between) {
    const char *comma;
    DT_TRY(write_part(&comma, working, at, end));
    const bool none_left = *between == ' ' && end - comma > 2 && end[-1] == '0' && is_mark(end[-2]);
    if (comma == end || none_left) return DT_OK;
    DT_TRY(dt_text_append(working, between, strlen(between)));
    return write_part(&comma, working, comma + 1, end);
}

/* The same where the highest digit of the first one is a letter. */
static dt_status write_apart(dt_text *working, const dt_figure *below, char highest, dt_scan rest) {
    dt_pen pen = {.text = working};
    dt_pen_char(&pen, highest);
    dt_pen_backwards(&pen, below->digit, below->count);
    dt_pen_char(&pen, '/');
    DT_TRY(pen.status);
    return write_part(&rest.at, working, rest.at, rest.end);
}

/* "5*7 = 35", once it is known; "2060/71 = 29 r 1". Fractions that stay are not shown. */
static dt_status write_result(dt_text *working, size_t depth, const asked *what, const char *at,
                              const char *end) {
    char highest;
    dt_figure number;
    dt_scan line = {what->at + (what->at < what->end && *what->at == OF_REST), what->end};
    const bool stays = memchr(what->at, '/', (size_t)(what->end - what->at)) &&
                       memchr(at, ':', (size_t)(end - at));
    if (stays) return DT_OK;
    for (size_t i = 1; i < depth; i++) DT_TRY(dt_text_append(working, "  ", 2));
    const bool apart = dt_scan_digits(&number, &highest, &line, true) && dt_scan_take(&line, ',');
    DT_TRY(apart ? write_apart(working, &number, highest, line)
                 : write_parts(working, what->at, what->end, "/"));
    DT_TRY(dt_text_append(working, " = ", 3));
    if (*at == '!') return dt_text_append(working, "division by zero\n", 17);
    DT_TRY(write_parts(working, at, end, " r "));
    return dt_text_append(working, "\n", 1);
}

dt_status dt_people_working(dt_text *working, const char *text) {
    asked waits[ASKED_MAX] = {{0}};
    size_t depth = 0;
    bool rounds = false; /* one more in the last place, of a number without its point */
    const char *line = line_end(text);
    while (*line && line[1]) {
        char what = 0;
        const char *end = line_end(++line), *mark = find_mark(&what, line, end);
        if (!mark) break;
        const char *rest = mark + 1;
        if (what == DT_LINE_CALL && depth + 1 < ASKED_MAX) waits[++depth].at = NULL;
        if (what != DT_LINE_RETURN && *rest == 'E' && rest[1])
            DT_TRY(write_line(working, depth, what == DT_LINE_CALL ? "" : "= ", rest + 1, end));
        if (what == DT_LINE_CALL && (*rest == 'B' || *rest == 'L') && !rounds)
            waits[depth] = (asked){rest + 1, end};
        rounds = what == DT_LINE_GO_ON && *rest == 'H';
        if (what == DT_LINE_RETURN && depth > 0) {
            if (waits[depth].at) DT_TRY(write_result(working, depth, &waits[depth], rest, end));
            depth--;
        }
        line = end;
    }
    return DT_OK;
}
