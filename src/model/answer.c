/* Lets a model write texts of which it sees a part at a time. */
#include "dtrain/model/answer.h"

#include <string.h>

#include "dtrain/core/memory.h"

/* One text that is being written. */
typedef struct {
    dt_text whole; /* from its prompt on */
    dt_text seen, line;
    bool ended;
} writing;

static dt_status look(writing *w, const dt_source *source) {
    if (!w->ended) DT_TRY(source->kind->window(&w->seen, &w->ended, source, w->whole.bytes));
    return DT_OK;
}

/* A line, without its end: what comes before another line is ended by it. An empty one is the last.
 */
static dt_status add_line(writing *w, const char *end) {
    w->ended = w->line.length == 0;
    if (w->whole.bytes[w->whole.length - 1] != *end) DT_TRY(dt_text_append(&w->whole, end, 1));
    return dt_text_append(&w->whole, w->line.bytes, w->line.length);
}

/* The next line of each text that has not ended; *going: whether there was one. */
static dt_status write_lines(bool *going, writing *list, size_t count, dt_generator *generator,
                             const dt_source *source) {
    const char **prompt = NULL;
    dt_text *line = NULL;
    writing **open = NULL;
    size_t lines = 0;
    dt_status status;
    *going = false;
    DT_TRY_DONE(dt_memory_alloc(&prompt, count, sizeof *prompt, "answers"));
    DT_TRY_DONE(dt_memory_alloc(&line, count, sizeof *line, "answers"));
    DT_TRY_DONE(dt_memory_alloc(&open, count, sizeof *open, "answers"));
    for (size_t i = 0; i < count; i++) {
        DT_TRY_DONE(look(&list[i], source));
        if (list[i].ended) continue;
        int32_t id[1];
        size_t tokens = 0, at = 0, bytes;
        for (; at < list[i].seen.length; at += bytes, tokens++) {
            id[0] = dt_tokenizer_match(&bytes, source->tokenizer, list[i].seen.bytes + at,
                                       list[i].seen.length - at);
            if (id[0] < 0) break;
        }
        /* What does not fit has no continuation. */
        list[i].ended = at < list[i].seen.length || tokens >= dt_generator_context(generator);
        if (list[i].ended) continue;
        prompt[lines] = list[i].seen.bytes;
        line[lines] = list[i].line;
        open[lines++] = &list[i];
    }
    *going = lines > 0;
    if (lines > 0) {
        status = dt_generator_run(generator, line, prompt, lines, source->tokenizer);
        for (size_t i = 0; i < lines; i++) open[i]->line = line[i];
        DT_TRY_DONE(status);
    }
    for (size_t i = 0; i < lines; i++) DT_TRY_DONE(add_line(open[i], source->kind->end));
done:
    dt_memory_free(&prompt);
    dt_memory_free(&line);
    dt_memory_free(&open);
    return status;
}

dt_status dt_generator_answer(dt_generator *generator, dt_text *produced, const char *const *prompt,
                              size_t count, const dt_source *source) {
    writing *list = NULL;
    dt_status status;
    bool going = count > 0;
    if (!source->kind->window)
        return dt_generator_run(generator, produced, prompt, count, source->tokenizer);
    DT_TRY_DONE(dt_memory_alloc(&list, dt_max_size(count, 1), sizeof *list, "answers"));
    for (size_t i = 0; i < count; i++)
        DT_TRY_DONE(dt_text_append(&list[i].whole, prompt[i], strlen(prompt[i])));
    while (going) DT_TRY_DONE(write_lines(&going, list, count, generator, source));
    for (size_t i = 0; i < count; i++) {
        const size_t given = strlen(prompt[i]);
        dt_text_clear(&produced[i]);
        DT_TRY_DONE(dt_text_append(&produced[i], list[i].whole.bytes + given,
                                   list[i].whole.length - given));
    }
done:
    for (size_t i = 0; list && i < count; i++) {
        dt_text_destroy(&list[i].whole);
        dt_text_destroy(&list[i].seen);
        dt_text_destroy(&list[i].line);
    }
    dt_memory_free(&list);
    return status;
}
