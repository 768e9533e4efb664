/* The lines of a file as a source of texts. */
#include "dtrain/text/source.h"

#include <stdio.h>
#include <string.h>

#include "characters.h"
#include "dtrain/core/log.h"
#include "dtrain/core/random.h"
#include "dtrain/core/utf8.h"
#include "dtrain/text/lines.h"
#include "file.h"

/* ---- settings ---- */

static bool wanted(const dt_config *config) { return config->train_file[0] != '\0'; }

static const char *subject(const dt_config *config) { return config->train_file; }

static dt_status check(const dt_config *config) {
    DT_REQUIRE(wanted(config) || config->text[0] || !config->train_digest[0], DT_ERR_ARG,
               "--train-digest %s says what --train-file or --text holds, and there is none; name "
               "the file",
               config->train_digest);
    return DT_OK;
}

/* What was opened is what the digest is of, and fits the model. */
static dt_status check_whole(const dt_lines *lines, const char *digest, const dt_config *config) {
    const dt_lines_facts *facts = dt_lines_about(lines);
    DT_TRY(dt_lines_are(lines, digest));
    DT_REQUIRE(config->places == 0 || (size_t)config->places >= facts->places, DT_ERR_ARG,
               "%s needs a model with --places %zu, for the digits of its longest number and the "
               "token behind it, and this one has %lld; start another run with more places",
               config->train_file, facts->places, (long long)config->places);
    return DT_OK;
}

/* *digest: of what was opened. */
static dt_status open_whole(dt_lines **lines, char digest[DT_FILE_DIGEST_MAX + 1],
                            const dt_config *config, const dt_tokenizer *tokenizer) {
    DT_TRY(dt_run_text_digest(digest, config, config->train_file, "train-file"));
    DT_TRY(dt_lines_open(lines, config->train_file, (size_t)config->context, tokenizer));
    const dt_status status = check_whole(*lines, digest, config);
    if (status != DT_OK) dt_lines_close(lines);
    return status;
}

static bool has_tab(const dt_tokenizer *tokenizer) {
    return dt_tokenizer_reach(tokenizer, "\t", 1) == 1;
}

static dt_status settle_by(dt_config *config, const dt_lines_facts *facts, const char *digest) {
    if (config->context == 0) config->context = (int64_t)facts->longest;
    if (config->places == 0 && config->positions != DT_POSITIONS_INDEX)
        config->places = (int64_t)facts->places + config->place_offset;
    const long long needed = (long long)facts->places + config->place_offset;
    DT_REQUIRE(config->place_offset == 0 || config->places >= needed, DT_ERR_ARG,
               "the numbers of %s, with --place-offset %lld, need a model with --places %lld, and "
               "this one has %lld; lower the offset, or start another run with more places",
               config->train_file, (long long)config->place_offset, needed,
               (long long)config->places);
    DT_REQUIRE(config->eval_every == 0 || facts->lines[DT_VALIDATION] > 0, DT_ERR_ARG,
               "none of the lines of %s falls into the validation split, a twentieth of all%s; "
               "give more different lines, or --eval-every 0",
               config->train_file,
               facts->differ ? "" : ": all are equal, and equal lines stay together");
    const int64_t lines = (int64_t)facts->lines[DT_TRAIN];
    if (config->train_examples == 0 || config->train_examples > lines)
        config->train_examples = lines;
    if (config->metric == DT_METRIC_EXACT_MATCH && facts->answers == 0) {
        config->metric = DT_METRIC_LOSS; /* no model predicts whole lines */
        dt_log_info("%s has no answers: the best model is the one with the least loss",
                    config->train_file);
    }
    dt_run_text_keep(config, digest);
    return DT_OK;
}

/* `ask` tells by the tab whether a model answers. */
static dt_status check_answers(const dt_config *config, const dt_lines_facts *facts,
                               const dt_tokenizer *tokenizer) {
    DT_REQUIRE(!tokenizer || facts->answers > 0 || !has_tab(tokenizer), DT_ERR_DATA,
               "no line of %s has a prompt and an answer with a tab between them, as the model to "
               "begin with reads lines; to go on with plain text give it with --text",
               config->train_file);
    return DT_OK;
}

static dt_status settle(dt_config *config, const dt_tokenizer *tokenizer) {
    dt_lines *lines;
    char digest[DT_FILE_DIGEST_MAX + 1];
    DT_TRY(open_whole(&lines, digest, config, tokenizer));
    dt_status status = check_answers(config, dt_lines_about(lines), tokenizer);
    if (status == DT_OK) status = settle_by(config, dt_lines_about(lines), digest);
    dt_lines_close(&lines);
    return status;
}

/* As settled when the run began. */
static dt_text_size size_of(const dt_config *config) {
    /* Places of the text itself: --places counts those that training moves them to as well. */
    const int64_t places = config->places - config->place_offset;
    return (dt_text_size){(size_t)config->context, places > 0 ? (size_t)places : 0};
}

/* A run is held to its file. */
static bool same_texts(const dt_config *x, const dt_config *y) {
    (void)x, (void)y;
    return true;
}

static dt_status evaluates(const char **part, const dt_config *config, const dt_config *trained) {
    DT_REQUIRE(strcmp(config->ops, trained->ops) == 0, DT_ERR_ARG,
               "--ops is for problems, and this model has learned the lines of %s; leave it out",
               config->train_file);
    *part = NULL;
    return DT_OK;
}

/* ---- opening ---- */

static dt_status open_lines(void **data, const dt_config *config, const dt_tokenizer *tokenizer) {
    char digest[DT_FILE_DIGEST_MAX + 1];
    dt_lines *lines = NULL;
    const dt_status status = open_whole(&lines, digest, config, tokenizer);
    *data = lines;
    return status;
}

static void close_lines(void **data) {
    dt_lines *lines = *data;
    dt_lines_close(&lines);
    *data = NULL;
}

static dt_status create_tokenizer(dt_tokenizer **tokenizer, const dt_config *config,
                                  const void *data) {
    (void)config;
    *tokenizer = NULL;
    return data ? dt_lines_tokenizer(tokenizer, data) : DT_OK;
}

static void announce(const dt_source *source) {
    const dt_lines_facts *facts = dt_lines_about(source->data);
    char empty[64] = "";
    if (facts->empty) {
        snprintf(empty, sizeof empty, "; %zu empty line%s left out", facts->empty,
                 facts->empty == 1 ? "" : "s");
    }
    dt_log_info("text: %s, %llu bytes: %zu lines to train on, %zu for validation, %zu for tests; "
                "%zu with an answer%s",
                source->config.train_file, (unsigned long long)facts->bytes, facts->lines[DT_TRAIN],
                facts->lines[DT_VALIDATION], facts->lines[DT_TEST], facts->answers, empty);
}

/* ---- texts ---- */

/* What it keeps in a text's note: where the text stands. */
typedef struct {
    dt_split split;
    uint64_t number;
} location;

/* Lines of a split are counted in a random order, so that the first of them speak for all, also of
 * a sorted file. */
static dt_status write(dt_text *text, const dt_source *source, dt_split split, uint64_t number) {
    DT_REQUIRE(split != DT_EVERY_TEXT, DT_ERR_INTERNAL, "lines are counted by split");
    const uint64_t count = dt_lines_about(source->data)->lines[split];
    const location at = {split, number};
    DT_REQUIRE(number < count, DT_ERR_INTERNAL, "line %llu of the %llu of a split",
               (unsigned long long)number, (unsigned long long)count);
    /* No epoch comes that far. */
    const uint32_t order = UINT32_MAX - (uint32_t)split;
    const uint64_t line = dt_random_permute(number, count, (uint64_t)source->config.seed, order);
    text->note = (dt_note){0};
    memcpy(text->note.own, &at, sizeof at);
    return dt_lines_read(text, source->data, split, line);
}

static dt_status train(dt_text *text, const dt_source *source, uint64_t position) {
    const dt_config *config = &source->config;
    const uint64_t examples = (uint64_t)config->train_examples;
    DT_REQUIRE(examples > 0, DT_ERR_INTERNAL, "how many lines to train on is not settled");
    const uint64_t number = dt_random_permute(position % examples, examples, (uint64_t)config->seed,
                                              (uint32_t)(position / examples));
    return write(text, source, DT_TRAIN, number);
}

/* A character is a token unless the vocabulary is given; the last one is only predicted. */
static dt_status train_length(uint32_t *tokens, dt_text *scratch, const dt_source *source,
                              uint64_t position) {
    DT_TRY(train(scratch, source, position));
    const size_t count = scratch->ids ? scratch->ids : dt_utf8_count(scratch->bytes);
    *tokens = (uint32_t)count - 1;
    return DT_OK;
}

static dt_status count(uint64_t *texts, const dt_source *source, dt_split split) {
    *texts = 0;
    DT_REQUIRE(split != DT_EVERY_TEXT, DT_ERR_ARG,
               "--exhaustive is for problems, and this model has learned the lines of %s; leave it "
               "out",
               source->config.train_file);
    *texts = dt_lines_about(source->data)->lines[split];
    return DT_OK;
}

/* ---- answers ---- */

static bool has_answers(const dt_source *source) {
    return dt_lines_about(source->data)->answers > 0;
}

/* What follows the prompt, without the end of the line, which is not generated. */
static bool is_rest(const dt_text *text, const char *produced) {
    const size_t length = strlen(produced);
    return text->bytes && text->prompt_length + length + 1 == text->length &&
           memcmp(text->bytes + text->prompt_length, produced, length) == 0;
}

/* The one right answer is generated if, and only if, each token is the likeliest after those before
 * it: the text alone tells. */
static dt_status judge(bool *right, int64_t *tally, dt_text *errors, const dt_source *source,
                       const dt_answer *answer) {
    (void)tally, (void)errors;
    *right = answer->exact;
    if (answer->exact || !answer->produced) return DT_OK;
    location at;
    dt_text text = {0};
    memcpy(&at, answer->note->own, sizeof at);
    const dt_status status = write(&text, source, at.split, at.number);
    if (status == DT_OK) *right = is_rest(&text, answer->produced);
    dt_text_destroy(&text);
    return status;
}

/* ---- asking, and showing ---- */

/* Its tokens end where the part does. */
static dt_status append_part(dt_text *prompt, const dt_tokenizer *tokenizer, const char *bytes,
                             size_t length) {
    size_t count = 0;
    DT_TRY(dt_text_append(prompt, bytes, length));
    DT_TRY(dt_text_reserve_ids(prompt, prompt->ids + length));
    DT_TRY(dt_tokenizer_encode(prompt->id + prompt->ids, length, &count, tokenizer, bytes, length));
    prompt->ids += count;
    return DT_OK;
}

/* A vocabulary with the tab answers after it; others go on with a text from its beginning. */
static dt_status ask(dt_text *prompt, const dt_source *source, const dt_line *typed) {
    const dt_tokenizer *tokenizer = source->tokenizer;
    const bool answers = has_tab(tokenizer);
    DT_TRY(dt_characters_check(tokenizer, typed));
    dt_text_clear(prompt);
    if (!answers) DT_TRY(append_part(prompt, tokenizer, "\n", 1));
    DT_TRY(append_part(prompt, tokenizer, typed->text, typed->length));
    if (answers) DT_TRY(append_part(prompt, tokenizer, "\t", 1));
    prompt->prompt_length = prompt->length;
    return DT_OK;
}

static dt_status reply_to(dt_text *reply, const dt_source *source, const dt_text *prompt,
                          const dt_line *typed, const char *produced, bool working) {
    (void)source, (void)prompt, (void)typed, (void)working;
    dt_text_clear(reply);
    return dt_text_format(reply, "%s\n", produced);
}

/* As it stands in the file; in a table, plain text is all answer. */
static dt_status show(FILE *out, const dt_source *source, const dt_text *text, dt_show_as as) {
    const bool answers = text->bytes[0] != '\n';
    const dt_span prompt = {text->bytes, answers ? text->prompt_length - 1 : 0};
    const dt_span rest = {text->bytes + text->prompt_length,
                          text->length - 1 - text->prompt_length};
    (void)source;
    if (as == DT_SHOW_JSON) return DT_OK;
    fwrite(prompt.at, 1, prompt.count, out);
    if (as == DT_SHOW_TSV || answers) fputc('\t', out);
    fwrite(rest.at, 1, rest.count, out);
    return DT_OK;
}

static const char *const settled[] = {"train-digest", "train-examples", NULL};

const dt_source_kind dt_lines_source = {
    .name = "lines",
    .texts = "lines",
    .setting = "train-file",
    .wanted = wanted,
    .subject = subject,
    .check = check,
    .settle = settle,
    .settled = settled,
    .size = size_of,
    .same_texts = same_texts,
    .evaluates = evaluates,
    .open = open_lines,
    .close = close_lines,
    .tokenizer = create_tokenizer,
    .announce = announce,
    .count = count,
    .write = write,
    .train = train,
    .train_length = train_length,
    .judge = judge,
    .has_answers = has_answers,
    .end = "\n",
    .hint = "a prompt, or how a text begins",
    .ask = ask,
    .reply = reply_to,
    .columns = "prompt\tanswer",
    .show = show,
};
