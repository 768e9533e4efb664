/* Expressions as a source of texts: draws lines, judges answers, answers people. */
#include "dtrain/expression/source.h"

#include <inttypes.h>
#include <string.h>

#include "drawing.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/core/utf8.h"
#include "dtrain/expression/machine.h"
#include "exact.h"
#include "people.h"
#include "read.h"
#include "report.h"
#include "sampler.h"
#include "split.h"
#include "wording.h"

/* ---- settings ---- */

static bool wanted(const dt_config *config) { return config->format == DT_FORMAT_EXPRESSION; }

static const char *subject(const dt_config *config) {
    (void)config;
    return "expressions";
}

static dt_status check(const dt_config *config) {
    enum { DIGITS_MOST = 100 };
    if (!wanted(config)) return DT_OK;
    DT_REQUIRE(config->digits <= DIGITS_MOST, DT_ERR_ARG,
               "--digits %lld: numbers of expressions have at most %d digits",
               (long long)config->digits, DIGITS_MOST);
    DT_REQUIRE(config->eval_digits <= DIGITS_MOST, DT_ERR_ARG,
               "--eval-digits %lld: numbers of expressions have at most %d digits",
               (long long)config->eval_digits, DIGITS_MOST);
    DT_REQUIRE(config->working != DT_WORKING_NEAR || dt_expression_is_natural(config), DT_ERR_ARG,
               "--working near is the one of --numbers natural; give that, too, or leave it out");
    DT_REQUIRE(config->positions == DT_POSITIONS_LEARNED, DT_ERR_ARG,
               "--positions: expressions are read by learned positions; leave it out");
    return DT_OK;
}

static dt_text_size size_of(const dt_config *config) {
    return (dt_text_size){dt_expression_longest(config), dt_expression_digits(config) + 2};
}

static bool same_texts(const dt_config *x, const dt_config *y) {
    return strcmp(x->ops, y->ops) == 0 && x->digits == y->digits && x->numbers == y->numbers &&
           x->least_digits == y->least_digits && x->dividend_digits == y->dividend_digits &&
           x->divisor_digits == y->divisor_digits && x->operations == y->operations &&
           x->depth == y->depth && x->decimals == y->decimals;
}

static dt_status evaluates(const char **part, const dt_config *config, const dt_config *trained) {
    DT_TRY(check(config));
    return dt_config_evaluate_ops(part, config, trained);
}

/* ---- vocabulary ---- */

enum { TOKENS_MAX = 256 };

static dt_status add_token(const char **token, size_t *count, const char *string) {
    if (!string || !string[0]) return DT_OK;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(token[i], string) == 0) return DT_OK;
    }
    DT_REQUIRE(*count < TOKENS_MAX, DT_ERR_INTERNAL, "expressions have more than %d tokens",
               TOKENS_MAX);
    token[(*count)++] = string;
    return DT_OK;
}

static dt_status create_tokenizer(dt_tokenizer **tokenizer, const dt_config *config,
                                  const void *data) {
    static const char *const known[] = {
        "$", "0", "1", "2", "3", "4",   "5",   "6",   "7",   "8",   "9",   "+",   "-",
        "*", "/", "=", "r", ",", ":",   ".",   "(",   ")",   "%",   "!",   "≈",   "{",
        "}", ">", "A", "B", "C", "D",   "E",   "F",   "G",   "H",   "L",   "M",   "P",
        "Q", "R", "S", "W", "I", "J",   "K",   "N",   "O",   "T",   "a",   "b",   "c",
        "d", "e", "f", "g", "h", "i",   "j",   "k",   "l",   "m",   "n",   "o",   "p",
        "q", "s", "t", "^", "~", "[+]", "[-]", "[*]", "[/]", "]+[", "]-[", "]*[", "]/["};
    const char *token[TOKENS_MAX];
    size_t count = 0;
    (void)config;
    (void)data;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        DT_TRY(add_token(token, &count, known[i]));
    for (size_t i = 0; i < dt_wording_count; i++) {
        DT_TRY(add_token(token, &count, dt_wordings[i].before));
        DT_TRY(add_token(token, &count, dt_wordings[i].between));
        DT_TRY(add_token(token, &count, dt_wordings[i].after));
    }
    for (size_t i = 0; i < dt_answer_wording_count; i++) {
        DT_TRY(add_token(token, &count, dt_answer_wordings[i].before));
        DT_TRY(add_token(token, &count, dt_answer_wordings[i].after));
        DT_TRY(add_token(token, &count, dt_answer_wordings[i].none));
    }
    return dt_tokenizer_restore(tokenizer, token, count);
}

/* ---- texts ---- */

/* Of a note: what was drawn. */
typedef struct {
    uint64_t index;
    dt_split split;
} drawn;

_Static_assert(sizeof(drawn) <= sizeof((dt_note *)0)->own, "a note holds what was drawn");

enum { ADD, SUBTRACT, MULTIPLY, DIVIDE, SEVERAL, KINDS };
static const dt_text_kind kinds[KINDS] = {
    {"add", '+'}, {"subtract", '-'}, {"multiply", '*'}, {"divide", '/'}, {"several", '('}};

static size_t kind_of_operation(char operation) {
    switch (operation) {
    case '+': return ADD;
    case '-': return SUBTRACT;
    case '*': return MULTIPLY;
    case '/': return DIVIDE;
    default: return SEVERAL;
    }
}

static size_t kind_of_line(const char *text) {
    dt_question_facts facts;
    switch (text[0]) {
    case 'S': return ADD;
    case 'D': return SUBTRACT;
    case 'M': return MULTIPLY;
    case 'G':
    case 'L':
    case 'F': return DIVIDE;
    case 'Q':
        return dt_question_facts_of(&facts, text) == DT_OK ? kind_of_operation(facts.operation)
                                                           : SEVERAL;
    default: return SEVERAL;
    }
}

static dt_status count(uint64_t *texts, const dt_source *source, dt_split split) {
    (void)source;
    DT_REQUIRE(split != DT_EVERY_TEXT, DT_ERR_ARG,
               "expressions cannot be counted; leave out --exhaustive");
    *texts = UINT64_MAX;
    return DT_OK;
}

/* Tests are whole questions; the model is trained and validated on single lines. */
static dt_status write(dt_text *text, const dt_source *source, dt_split split, uint64_t index) {
    const drawn note = {index, split};
    DT_TRY((split == DT_TEST ? dt_question_sample : dt_line_sample)(text, &source->config, split,
                                                                    index));
    text->ids = 0;
    text->note.kind = kind_of_line(text->bytes);
    memcpy(text->note.own, &note, sizeof note);
    return DT_OK;
}

static dt_status train(dt_text *text, const dt_source *source, uint64_t position) {
    const uint64_t examples = (uint64_t)source->config.train_examples;
    const uint64_t index =
        examples ? dt_random_permute(position % examples, examples, (uint64_t)source->config.seed,
                                     (uint32_t)(position / examples))
                 : position;
    return write(text, source, DT_TRAIN, index);
}

static dt_status groups(uint16_t *group, const dt_source *source, const dt_text *text) {
    return dt_expression_groups(group, text, dt_line_rules_of(&source->config));
}

static dt_status train_length(uint32_t *tokens, dt_text *scratch, const dt_source *source,
                              uint64_t position) {
    size_t length = 0;
    DT_TRY(train(scratch, source, position));
    for (size_t at = 0, bytes; at < scratch->length; at += bytes, length++) {
        const int32_t id = dt_tokenizer_match(&bytes, source->tokenizer, scratch->bytes + at,
                                              scratch->length - at);
        DT_REQUIRE(id >= 0, DT_ERR_DATA, "\"%s\": byte %zu is no token of this vocabulary",
                   scratch->bytes, at + 1);
    }
    *tokens = (uint32_t)length - 1;
    return DT_OK;
}

static dt_status window(dt_text *seen, bool *ended, const dt_source *source, const char *text) {
    (void)source;
    return dt_expression_window(seen, ended, text);
}

/* ---- answers ---- */

/* A line by itself is right if it is the one that follows; what comes after it does not count. */
static dt_status judge_line(bool *right, const dt_text *text, const char *produced) {
    const size_t length = strcspn(produced, "$"), end = text->length - 1;
    *right = text->prompt_length + length == end &&
             memcmp(text->bytes + text->prompt_length, produced, length) == 0;
    return DT_OK;
}

static dt_status judge_question(bool *right, dt_text *given, dt_text *answers, const dt_text *text,
                                const char *produced, dt_line_rules rules) {
    dt_text whole = {0};
    dt_status status;
    DT_TRY_DONE(dt_text_append(&whole, text->bytes, text->prompt_length));
    DT_TRY_DONE(dt_text_append(&whole, produced, strlen(produced)));
    DT_TRY_DONE(dt_exact_answers(answers, text->bytes, rules));
    DT_TRY_DONE(dt_text_reserve(given, 0));
    *right = false;
    status = dt_people_answer(given, whole.bytes, rules);
    if (status == DT_ERR_DATA) {
        dt_error_clear();
        dt_text_clear(given);
        status = DT_OK;
    } else if (status == DT_OK) {
        *right = strcmp(given->bytes, answers[0].bytes) == 0 ||
                 (answers[1].length > 0 && strcmp(given->bytes, answers[1].bytes) == 0);
    }
done:
    dt_text_destroy(&whole);
    return status;
}

static dt_status list_error(dt_text *errors, const dt_answer *answer, const dt_text *text,
                            const char *given, const char *right) {
    dt_text asked = {0};
    dt_status status;
    DT_TRY_DONE(dt_people_write(&asked, text->bytes + 1, text->prompt_length - 2));
    status = dt_text_format(errors, "%" PRIu64 "\t%s\t%s\t%s\t%s\n", answer->index, asked.bytes,
                            right, given, answer->produced);
done:
    dt_text_destroy(&asked);
    return status;
}

/* A line is listed as the model sees it. */
static dt_status list_line(dt_text *errors, const dt_answer *answer, const dt_text *text) {
    const int prompt = (int)text->prompt_length, rest = (int)text->length - 1 - prompt,
              line = (int)strcspn(answer->produced, "$");
    return dt_text_format(errors, "%" PRIu64 "\t%.*s\t%.*s\t%.*s\t%s\n", answer->index, prompt,
                          text->bytes, rest, text->bytes + prompt, line, answer->produced,
                          answer->produced);
}

static dt_status judge_produced(bool *right, dt_text *errors, const dt_source *source,
                                const dt_answer *answer, const dt_text *text, dt_split split) {
    dt_text given = {0}, answers[2] = {{0}};
    dt_status status;
    if (split != DT_TEST) {
        DT_TRY(judge_line(right, text, answer->produced));
        return *right || !errors ? DT_OK : list_line(errors, answer, text);
    }
    DT_TRY_DONE(judge_question(right, &given, answers, text, answer->produced,
                               dt_line_rules_of(&source->config)));
    if (!*right && errors) {
        DT_TRY_DONE(list_error(errors, answer, text, given.bytes, answers[0].bytes));
    }
done:
    dt_text_destroy(&given);
    dt_text_destroy(&answers[0]);
    dt_text_destroy(&answers[1]);
    return status;
}

static dt_status judge(bool *right, int64_t *values, dt_text *errors, const dt_source *source,
                       const dt_answer *answer) {
    dt_text text = {0};
    dt_question_facts facts;
    drawn note;
    dt_status status = DT_OK;
    *right = answer->exact;
    memcpy(&note, answer->note->own, sizeof note);
    if (!answer->produced && note.split != DT_TEST) return DT_OK;
    DT_TRY_DONE(write(&text, source, note.split, note.index));
    if (answer->produced)
        DT_TRY_DONE(judge_produced(right, errors, source, answer, &text, note.split));
    if (note.split == DT_TEST) {
        DT_TRY_DONE(dt_question_facts_of(&facts, text.bytes));
        dt_expression_count((dt_expression_tally *)(void *)values, &facts, *right);
    }
done:
    dt_text_destroy(&text);
    return status;
}

/* ---- asking ---- */

static dt_status ask(dt_text *prompt, const dt_source *source, const dt_line *typed) {
    const drawn note = {0, DT_TEST};
    const size_t longest = dt_expression_longest(&source->config),
                 digits = dt_expression_digits(&source->config);
    DT_TRY(dt_question_read(prompt, typed));
    const size_t number = dt_expression_longest_number(prompt->bytes);
    const dt_scan line = {prompt->bytes + 1, prompt->bytes + prompt->length - 1};
    if (source->config.numbers == DT_NUMBERS_NATURAL &&
        !dt_scan_two_naturals(line, source->config.ops)) {
        DT_LINE_RAISE(DT_ERR_ARG, typed, typed->length,
                      "the model has learned one of %s between two natural numbers, in signs; ask "
                      "such a question, or train without --numbers natural",
                      source->config.ops);
    }
    if (number > digits) {
        DT_LINE_RAISE(
            DT_ERR_ARG, typed, typed->length,
            "a number has %zu digits, and the model can read %zu; ask with a shorter one, "
            "or train with more --digits",
            number, digits);
    }
    if (2 * dt_utf8_count(prompt->bytes) > longest) {
        DT_LINE_RAISE(
            DT_ERR_ARG, typed, typed->length,
            "the question has %zu characters in the model's writing, and it was trained "
            "on up to %zu; ask a shorter one, or train with more --operations or --digits",
            dt_utf8_count(prompt->bytes), longest / 2);
    }
    prompt->note.kind = kind_of_line(prompt->bytes);
    memcpy(prompt->note.own, &note, sizeof note);
    return DT_OK;
}

static dt_status reply_to(dt_text *reply, const dt_source *source, const dt_text *prompt,
                          const dt_line *typed, const char *produced, bool working) {
    dt_text whole = {0};
    dt_status status;
    (void)source;
    dt_text_clear(reply);
    DT_TRY_DONE(dt_text_append(&whole, prompt->bytes, prompt->prompt_length));
    DT_TRY_DONE(dt_text_append(&whole, produced, strlen(produced)));
    if (working) DT_TRY_DONE(dt_people_working(reply, whole.bytes));
    status = dt_people_answer(reply, whole.bytes, dt_line_rules_of(&source->config));
    if (status == DT_ERR_DATA) {
        status = dt_line_raise(DT_ERR_DATA, __FILE__, __LINE__, typed, typed->length,
                               "the model wrote no answer at the end of its %zu characters; it "
                               "needs more training, or the numbers on the way are too long for it",
                               strlen(produced));
    } else if (status == DT_OK) {
        status = dt_text_append(reply, "\n", 1);
    }
done:
    dt_text_destroy(&whole);
    return status;
}

static dt_status is_value(bool *right, const dt_source *source, const dt_text *prompt,
                          const char *produced, const char *value) {
    dt_text whole = {0}, answer = {0};
    dt_status status;
    DT_TRY_DONE(dt_text_append(&whole, prompt->bytes, prompt->prompt_length));
    DT_TRY_DONE(dt_text_append(&whole, produced, strlen(produced)));
    DT_TRY_DONE(dt_text_reserve(&answer, 0));
    status = dt_people_answer(&answer, whole.bytes, dt_line_rules_of(&source->config));
    if (status == DT_ERR_DATA) {
        dt_error_clear();
        dt_text_clear(&answer);
        status = DT_OK;
    }
    DT_TRY_DONE(status);
    status =
        dt_exact_is(right, answer.bytes, prompt->bytes, value, dt_line_rules_of(&source->config));
done:
    dt_text_destroy(&whole);
    dt_text_destroy(&answer);
    return status;
}

/* ---- showing ---- */

/* A question with the whole of its text. */
static dt_status show_question(FILE *out, const dt_source *source, const dt_text *text,
                               dt_show_as as) {
    dt_text whole = {0}, asked = {0}, answer = {0};
    dt_status status;
    DT_TRY_DONE(dt_text_append(&whole, text->bytes, text->prompt_length));
    DT_TRY_DONE(dt_expression_solve(&whole, dt_line_rules_of(&source->config)));
    DT_TRY_DONE(dt_people_write(&asked, text->bytes + 1, text->prompt_length - 2));
    DT_TRY_DONE(dt_people_answer(&answer, whole.bytes, dt_line_rules_of(&source->config)));
    if (as == DT_SHOW_JSON) {
        fprintf(out, "\"asked\":\"%s\",\"answer\":\"%s\",", asked.bytes, answer.bytes);
    } else if (as == DT_SHOW_TSV) {
        fprintf(out, "%s\t%s\t%s", asked.bytes, answer.bytes, whole.bytes);
    } else {
        fprintf(out, "%s = %s  %s", asked.bytes, answer.bytes, whole.bytes);
    }
done:
    dt_text_destroy(&whole);
    dt_text_destroy(&asked);
    dt_text_destroy(&answer);
    return status;
}

static dt_status show(FILE *out, const dt_source *source, const dt_text *text, dt_show_as as) {
    drawn note;
    memcpy(&note, text->note.own, sizeof note);
    if (note.split == DT_TEST) return show_question(out, source, text, as);
    if (as == DT_SHOW_JSON) fprintf(out, "\"asked\":\"\",\"answer\":\"\",");
    if (as == DT_SHOW_TSV) fprintf(out, "\t\t%s", text->bytes);
    if (as == DT_SHOW_LINE) fprintf(out, "%s", text->bytes);
    return DT_OK;
}

const dt_source_kind dt_expression_source = {
    .name = "expressions",
    .texts = "questions",
    .setting = "format",
    .wanted = wanted,
    .subject = subject,
    .check = check,
    .endless = true,
    .evaluate = dt_config_evaluate_digits,
    .size = size_of,
    .same_texts = same_texts,
    .evaluates = evaluates,
    .tokenizer = create_tokenizer,
    .count = count,
    .write = write,
    .train = train,
    .train_length = train_length,
    .groups = groups,
    .window = window,
    .kind = kinds,
    .kinds = KINDS,
    .answers = true,
    .judge = judge,
    .is_value = is_value,
    .tally_values = sizeof(dt_expression_tally) / sizeof(int64_t),
    .tally_print = dt_expression_print,
    .tally_write = dt_expression_report,
    .errors_heading = "index\tasked\tright\tmodel\ttext\n",
    .end = "$",
    .hint = "a question such as (12.5+3)*4, 2060/71 or What is 12 plus 34?",
    .ask = ask,
    .reply = reply_to,
    .columns = "asked\tanswer\ttext",
    .show = show,
};
