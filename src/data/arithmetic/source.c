/* Arithmetic as a source of texts: writes problems, judges answers, answers people. */
#include "dtrain/arithmetic/source.h"

#include <inttypes.h>
#include <string.h>

#include "dtrain/arithmetic/analysis.h"
#include "dtrain/core/utf8.h"
#include "format.h"
#include "marks.h"
#include "report.h"

/* What it keeps in a text's note. */
typedef struct {
    dt_problem problem;
    size_t phrasing;
    bool in_words; /* so it was asked */
} known;

_Static_assert(sizeof(known) <= sizeof((dt_note *)0)->own,
               "a note holds what is known of a problem");

static known known_of(const dt_note *note) {
    known k;
    memcpy(&k, note->own, sizeof k);
    return k;
}

dt_problem dt_arithmetic_problem(const dt_note *note) { return known_of(note).problem; }

static dt_format format_of(const dt_source *source) { return (dt_format)source->config.format; }

/* ---- settings ---- */

static bool wanted(const dt_config *config) {
    (void)config;
    return true;
}

static const char *subject(const dt_config *config) {
    (void)config;
    return "arithmetic";
}

static dt_text_size size_of(const dt_config *config) {
    return (dt_text_size){dt_format_longest(config), dt_format_places(config)};
}

static bool same_texts(const dt_config *x, const dt_config *y) {
    return strcmp(x->ops, y->ops) == 0 && x->digits == y->digits &&
           x->least_digits == y->least_digits && x->dividend_digits == y->dividend_digits &&
           x->divisor_digits == y->divisor_digits;
}

static dt_status create_tokenizer(dt_tokenizer **tokenizer, const dt_config *config,
                                  const void *data) {
    (void)data;
    return dt_tokenizer_create(tokenizer, (dt_format)config->format, (dt_marks)config->marks);
}

/* ---- texts ---- */

static dt_status count(uint64_t *texts, const dt_source *source, dt_split split) {
    *texts = UINT64_MAX;
    return split == DT_EVERY_TEXT ? dt_domain_count(texts, &source->config) : DT_OK;
}

static dt_status write_known(dt_text *text, const known *k, const dt_config *config) {
    DT_TRY(dt_format_write_text(text, &k->problem, (dt_format)config->format,
                                (dt_marks)config->marks, k->phrasing));
    text->note.kind = k->problem.operation;
    memcpy(text->note.own, k, sizeof *k);
    return DT_OK;
}

dt_status dt_arithmetic_write(dt_text *text, const dt_problem *problem, const dt_config *config,
                              uint64_t index) {
    const known k = {*problem, dt_chat_phrasing(index), false};
    return write_known(text, &k, config);
}

static dt_status write(dt_text *text, const dt_source *source, dt_split split, uint64_t index) {
    dt_problem problem;
    if (split == DT_EVERY_TEXT) {
        dt_domain_problem(&problem, &source->config, index);
    } else {
        DT_TRY(dt_problem_sample(&problem, &source->config, split, index));
    }
    return dt_arithmetic_write(text, &problem, &source->config, index);
}

static dt_status train(dt_text *text, const dt_source *source, uint64_t position) {
    dt_problem problem;
    DT_TRY(dt_problem_train(&problem, &source->config, position));
    return dt_arithmetic_write(text, &problem, &source->config, position);
}

/* A character is a token; the last one is only predicted. */
static dt_status train_length(uint32_t *tokens, dt_text *scratch, const dt_source *source,
                              uint64_t position) {
    DT_TRY(train(scratch, source, position));
    *tokens = (uint32_t)dt_utf8_count(scratch->bytes) - 1;
    return DT_OK;
}

/* ---- answers ---- */

/* What breaks a table is shown as '?'. */
static void clean(char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
    }
}

static dt_status list_error(dt_text *errors, const dt_answer *answer, const dt_problem *problem,
                            const char *wanted_answer, const char *given_answer,
                            const dt_slip *slip, const char *right) {
    char part[32];
    const char *name = dt_slip_name(problem->operation, slip->kind);
    snprintf(part, sizeof part, "part %zu", slip->kind + 1);
    clean(answer->produced);
    return dt_text_format(errors, "%" PRIu64 "\t%s\t%c\t%s\t%s\t%s\t%s\t%s\t%zu\t%s\t%s\n",
                          answer->index, dt_split_name(dt_problem_split(problem)),
                          dt_operation_symbol(problem->operation), dt_decimal_of(&problem->a).text,
                          dt_decimal_of(&problem->b).text, wanted_answer, given_answer,
                          name ? name : part, slip->step, answer->produced, right);
}

/* A wrong answer was generated: where does it go wrong? */
static dt_status count_wrong(dt_tally *tally, dt_text *errors, const dt_source *source,
                             const dt_answer *answer, const char *wanted_answer,
                             const char *given_answer) {
    const known k = known_of(answer->note);
    dt_text right = {0};
    dt_status status;
    DT_TRY_DONE(
        dt_format_write_text(&right, &k.problem, format_of(source), DT_MARKS_NONE, k.phrasing));
    const char *rest = right.bytes + right.prompt_length;
    const dt_slip slip = dt_slip_find(answer->produced, rest);
    dt_tally_add(tally, &k.problem, false, false, &slip);
    if (!errors) goto done;
    status = list_error(errors, answer, &k.problem, wanted_answer, given_answer, &slip, rest);
done:
    dt_text_destroy(&right);
    return status;
}

/* What was generated, without marks. placed: they were where they belong; an answer with others is
 * wrong, since nobody could read it. */
static dt_status judge_plain(bool *right, dt_tally *tally, dt_text *errors, const dt_source *source,
                             const dt_answer *answer, bool placed) {
    const known k = known_of(answer->note);
    char given[DT_ANSWER_SIZE] = "", wanted_answer[DT_ANSWER_SIZE];
    DT_TRY(dt_problem_answer(wanted_answer, sizeof wanted_answer, &k.problem));
    *right = placed &&
             dt_format_answer(given, sizeof given, answer->produced, &k.problem,
                              format_of(source)) == DT_OK &&
             strcmp(given, wanted_answer) == 0;
    dt_error_clear();
    if (!*right) return count_wrong(tally, errors, source, answer, wanted_answer, given);
    dt_tally_add(tally, &k.problem, true, false, NULL);
    return DT_OK;
}

static dt_status judge_produced(bool *right, dt_tally *tally, dt_text *errors,
                                const dt_source *source, const dt_answer *answer) {
    dt_text plain = {0};
    bool placed = true;
    if (source->config.marks == DT_MARKS_NONE)
        return judge_plain(right, tally, errors, source, answer, true);
    dt_status status = dt_marks_remove(&plain, &placed, answer->produced, format_of(source));
    if (status == DT_OK) {
        dt_answer unmarked = *answer;
        unmarked.produced = plain.bytes;
        status = judge_plain(right, tally, errors, source, &unmarked, placed);
    }
    dt_text_destroy(&plain);
    return status;
}

static dt_status judge(bool *right, int64_t *values, dt_text *errors, const dt_source *source,
                       const dt_answer *answer) {
    dt_tally *tally = (dt_tally *)(void *)values;
    const known k = known_of(answer->note);
    *right = answer->exact;
    if (answer->exact || !answer->produced) {
        dt_tally_add(tally, &k.problem, answer->exact, answer->exact, NULL);
        return DT_OK;
    }
    return judge_produced(right, tally, errors, source, answer);
}

/* ---- asking ---- */

static dt_status ask(dt_text *prompt, const dt_source *source, const dt_line *typed) {
    known k = {0};
    k.in_words = dt_chat_read(&k.problem, &k.phrasing, typed);
    if (!k.in_words) DT_TRY(dt_problem_parse(&k.problem, typed));
    const dt_status status = dt_problem_in_domain(&k.problem, &source->config);
    if (status != DT_OK) DT_LINE_RAISE(status, typed, 0, "%s", dt_error_text());
    DT_TRY(write_known(prompt, &k, &source->config));
    prompt->length = prompt->prompt_length;
    prompt->bytes[prompt->length] = '\0';
    return DT_OK;
}

static dt_status append_working(dt_text *reply, const known *k, const char *produced,
                                dt_format format) {
    const size_t room = 4 * (DT_PROBLEM_TEXT_MAX + strlen(produced));
    DT_TRY(dt_text_reserve(reply, room));
    char *working = reply->bytes + reply->length;
    dt_format_working(working, room, produced, &k->problem, format);
    const size_t length = strlen(working);
    reply->length += length;
    return length && working[length - 1] != '\n' ? dt_text_append(reply, "\n", 1) : DT_OK;
}

/* A question in words gets words from a model that was taught them. */
static dt_status append_answer(dt_text *reply, const known *k, const char *answer,
                               dt_format format) {
    char sentence[DT_ANSWER_SIZE + 256];
    if (!k->in_words || format != DT_FORMAT_CHAT) return dt_text_format(reply, "%s\n", answer);
    dt_chat_sentence(sentence, sizeof sentence, answer, k->problem.operation, k->phrasing);
    return dt_text_format(reply, "%s\n", sentence);
}

/* To what was generated, without marks. */
static dt_status reply_plain(dt_text *reply, const dt_source *source, const dt_text *prompt,
                             const dt_line *typed, const char *produced, bool working) {
    const known k = known_of(&prompt->note);
    const dt_format format = format_of(source);
    char answer[DT_ANSWER_SIZE];
    if (working) DT_TRY(append_working(reply, &k, produced, format));
    if (dt_format_answer(answer, sizeof answer, produced, &k.problem, format) != DT_OK) {
        DT_LINE_RAISE(DT_ERR_DATA, typed, typed->length,
                      "the model wrote \"%s\", which is no answer; it needs more training",
                      produced);
    }
    return append_answer(reply, &k, answer, format);
}

static dt_status reply_to(dt_text *reply, const dt_source *source, const dt_text *prompt,
                          const dt_line *typed, const char *produced, bool working) {
    dt_text plain = {0};
    bool placed = true;
    dt_text_clear(reply);
    if (source->config.marks == DT_MARKS_NONE)
        return reply_plain(reply, source, prompt, typed, produced, working);
    dt_status status = dt_marks_remove(&plain, &placed, produced, format_of(source));
    if (status == DT_OK) {
        status =
            reply_plain(reply, source, prompt, typed, placed ? plain.bytes : produced, working);
    }
    dt_text_destroy(&plain);
    return status;
}

/* ---- showing ---- */

static dt_status show(FILE *out, const dt_source *source, const dt_text *text, dt_show_as as) {
    const dt_problem problem = known_of(&text->note).problem;
    const char symbol = dt_operation_symbol(problem.operation);
    const dt_decimal a = dt_decimal_of(&problem.a), b = dt_decimal_of(&problem.b);
    char answer[DT_ANSWER_SIZE], asked[3 * DT_ANSWER_SIZE];
    (void)source;
    DT_TRY(dt_problem_answer(answer, sizeof answer, &problem));
    switch (as) {
    case DT_SHOW_JSON:
        fprintf(out, "\"op\":\"%c\",\"a\":%s,\"b\":%s,\"answer\":\"%s\",", symbol, a.text, b.text,
                answer);
        break;
    case DT_SHOW_TSV:
        fprintf(out, "%c\t%s\t%s\t%s\t%s", symbol, a.text, b.text, answer, text->bytes);
        break;
    case DT_SHOW_LINE:
        snprintf(asked, sizeof asked, "%s %c %s = %s", a.text, symbol, b.text, answer);
        fprintf(out, "%-28s %s", asked, text->bytes);
        break;
    }
    return DT_OK;
}

const dt_source_kind dt_arithmetic_source = {
    .name = "arithmetic",
    .texts = "problems",
    .wanted = wanted,
    .subject = subject,
    .check = dt_arithmetic_check,
    .endless = true,
    .evaluate = dt_config_evaluate_digits,
    .size = size_of,
    .same_texts = same_texts,
    .evaluates = dt_config_evaluate_ops,
    .tokenizer = create_tokenizer,
    .count = count,
    .write = write,
    .train = train,
    .train_length = train_length,
    .kind = dt_operation_kind,
    .kinds = DT_OPERATIONS,
    .answers = true,
    .judge = judge,
    .tally_values = DT_TALLY_VALUES,
    .tally_print = dt_tally_print,
    .tally_write = dt_tally_write,
    .grid = &dt_tally_grid,
    .errors_heading = "index\tsplit\top\ta\tb\tright\tmodel\tslip\tstep\ttext\tright_text\n",
    .end = "$",
    .hint = "a problem such as 273*274, 2060/71 or What is 12 plus 34?",
    .ask = ask,
    .reply = reply_to,
    .columns = "op\ta\tb\tanswer\ttext",
    .show = show,
};
