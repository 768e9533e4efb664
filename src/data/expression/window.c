/* What the model sees of a calculation: the line that is being worked on, and what was found for
 * it. */
#include <string.h>

#include "dtrain/expression/machine.h"

/* Lines within each other, and in all. */
enum { FRAMES_MAX = 32, LINES_MAX = 2000 };

typedef struct {
    dt_span frame[FRAMES_MAX]; /* lines that wait for what is found for them */
    size_t frames;
    dt_span found; /* at NULL: nothing */
} stack;

/* The line at `at`, without its end. */
static dt_span line_at(const char *at) {
    const char *end = strchr(at, DT_LINE_END);
    return (dt_span){at, end ? (size_t)(end - at) : strlen(at)};
}

/* What becomes of a line stands behind its last mark. */
static dt_span cut_working(char *what, dt_span line) {
    for (size_t i = line.count; i > 0; i--) {
        *what = line.at[i - 1];
        if (*what == DT_LINE_CALL || *what == DT_LINE_GO_ON || *what == DT_LINE_RETURN)
            return (dt_span){line.at + i, line.count - i};
    }
    *what = '\0';
    return line;
}

/* A line that goes on as itself would do so for ever. */
static bool go_on(dt_span *frame, dt_span rest) {
    const bool moves = frame->count != rest.count || memcmp(frame->at, rest.at, rest.count) != 0;
    *frame = rest;
    return moves;
}

/* False: that was the last one. */
static bool take_line(stack *s, dt_span line) {
    char what;
    const dt_span rest = cut_working(&what, line);
    s->found = (dt_span){0};
    switch (what) {
    case DT_LINE_CALL:
        if (s->frames == FRAMES_MAX) return false;
        s->frame[s->frames++] = rest;
        return true;
    case DT_LINE_GO_ON: return go_on(&s->frame[s->frames - 1], rest);
    case DT_LINE_RETURN: s->found = rest; return --s->frames > 0;
    default: return false;
    }
}

bool dt_expression_is_complete(const char *text) {
    stack s = {.frames = 1};
    dt_span line = line_at(text);
    s.frame[0] = line;
    while (line.at[line.count] && line.at[line.count + 1]) {
        line = line_at(line.at + line.count + 1);
        if (!take_line(&s, line)) break;
    }
    return s.frames == 0 && (!line.at[line.count] || !line.at[line.count + 1]);
}

dt_status dt_expression_window(dt_text *seen, bool *ended, const char *text) {
    stack s = {.frames = 1};
    dt_span line = line_at(text);
    size_t lines = 0;
    s.frame[0] = line;
    *ended = false;
    dt_text_clear(seen);
    while (line.at[line.count] && line.at[line.count + 1] && !*ended) {
        line = line_at(line.at + line.count + 1);
        *ended = !take_line(&s, line) || text[0] != 'Q' || ++lines == LINES_MAX;
    }
    if (*ended) return DT_OK;
    const dt_span frame = s.frame[s.frames - 1];
    DT_TRY(dt_text_append(seen, frame.at, frame.count));
    if (s.found.at) DT_TRY(dt_text_append(seen, "}", 1));
    if (s.found.at) DT_TRY(dt_text_append(seen, s.found.at, s.found.count));
    return dt_text_append(seen, "$", 1);
}

dt_status dt_expression_solve(dt_text *text, dt_line_rules rules) {
    dt_text seen = {0};
    bool ended = false;
    dt_status status = DT_OK;
    for (;;) {
        DT_TRY_DONE(dt_expression_window(&seen, &ended, text->bytes));
        if (ended) break;
        DT_TRY_DONE(dt_expression_next(text, seen.bytes, seen.length, rules));
    }
done:
    dt_text_destroy(&seen);
    return status;
}
