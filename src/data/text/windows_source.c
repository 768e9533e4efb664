/* Running text as a source: each text that is learned is a window of it. */
#include <stdio.h>
#include <string.h>

#include "characters.h"
#include "dtrain/core/log.h"
#include "dtrain/core/random.h"
#include "dtrain/text/source.h"
#include "dtrain/text/windows.h"
#include "file.h"
#include "learn.h"
#include "spool.h"
#include "vocabulary.h"

/* ---- settings ---- */

/* Tokens of a window unless --context says how many. */
enum { USUAL_CONTEXT = 256 };

static bool wanted(const dt_config *config) { return config->text[0] != '\0'; }

static const char *subject(const dt_config *config) { return config->text; }

static size_t context_of(const dt_config *config) {
    return config->context > 0 ? (size_t)config->context : USUAL_CONTEXT;
}

static dt_status check(const dt_config *config) {
    DT_TRY(dt_vocabulary_check(config));
    DT_REQUIRE(!wanted(config) || context_of(config) >= 2, DT_ERR_ARG,
               "--context %lld: a window of running text has at least 2 tokens",
               (long long)config->context);
    DT_REQUIRE(wanted(config) || !config->validation_text[0], DT_ERR_ARG,
               "--validation-text %s is to validate on, and there is no --text to learn",
               config->validation_text);
    DT_REQUIRE(config->validation_share + config->test_share < 1, DT_ERR_ARG,
               "--validation-share %g and --test-share %g leave nothing to train on",
               config->validation_share, config->test_share);
    DT_REQUIRE(!wanted(config) || !config->train_file[0], DT_ERR_ARG,
               "--text %s is running text and --train-file %s has lines, and a model learns one of "
               "them; leave one out, or make it empty: \"\"",
               config->text, config->train_file);
    DT_REQUIRE(!wanted(config) || config->positions != DT_POSITIONS_NONE, DT_ERR_ARG,
               "--positions none is for arithmetic; leave it out: tokens of running text know "
               "their index");
    return DT_OK;
}

/* Windows of an epoch, unless there are fewer to train on. */
static uint64_t epoch_of(const dt_config *config, const dt_windows_facts *facts) {
    return config->windows == DT_WINDOWS_MOVED ? facts->moved_windows : facts->windows[DT_TRAIN];
}

static dt_status settle_by(dt_config *config, const dt_windows_facts *facts) {
    const size_t context = context_of(config);
    DT_REQUIRE(facts->tokens[DT_TRAIN] >= context, DT_ERR_DATA,
               "%s has %llu tokens to train on, and a window has %zu; give more text, or a smaller "
               "--context",
               config->text, (unsigned long long)facts->tokens[DT_TRAIN], context);
    config->context = (int64_t)context;
    config->positions = DT_POSITIONS_INDEX;
    DT_REQUIRE(config->eval_every == 0 || facts->windows[DT_VALIDATION] > 0, DT_ERR_ARG,
               "%s has no window for validation (--validation-share %g); give more text, or "
               "--eval-every 0",
               config->validation_text[0] ? config->validation_text : config->text,
               config->validation_share);
    /* A run that knows its text has begun, and stays as it is: there auto means fixed. */
    if (config->windows == DT_WINDOWS_AUTO && !config->train_digest[0])
        config->windows = DT_WINDOWS_MOVED;
    const int64_t windows = (int64_t)epoch_of(config, facts);
    if (config->train_examples == 0 || config->train_examples > windows)
        config->train_examples = windows;
    if (config->metric == DT_METRIC_EXACT_MATCH) {
        config->metric = DT_METRIC_LOSS; /* no model predicts whole windows */
        dt_log_info("%s is running text: the best model is the one with the least loss",
                    config->text);
    }
    dt_run_text_keep(config, facts->digest);
    return DT_OK;
}

/* What was made for settings that do not fit is not kept. */
static dt_status settle(dt_config *config, const dt_tokenizer *tokenizer) {
    dt_windows *windows = NULL;
    dt_spools spools;
    if (tokenizer) DT_TRY(dt_vocabulary_stays(config, tokenizer));
    DT_TRY(dt_spool(&spools, config));
    dt_status status = dt_windows_open(&windows, config, tokenizer, context_of(config), true);
    if (status == DT_OK) status = settle_by(config, dt_windows_about(windows));
    if (status != DT_OK) dt_windows_discard(&windows);
    if (status != DT_OK) dt_spools_discard(&spools);
    dt_windows_close(&windows);
    return status;
}

static dt_text_size size_of(const dt_config *config) {
    return (dt_text_size){.longest = context_of(config)};
}

/* A run is held to its text. */
static bool same_texts(const dt_config *x, const dt_config *y) {
    (void)x, (void)y;
    return true;
}

static dt_status evaluates(const char **part, const dt_config *config, const dt_config *trained) {
    DT_REQUIRE(strcmp(config->ops, trained->ops) == 0, DT_ERR_ARG,
               "--ops is for problems, and this model has learned the text %s; leave it out",
               config->text);
    *part = NULL;
    return DT_OK;
}

/* Its tokens are not kept. */
static void take_all(dt_config *config) {
    config->train_digest[0] = config->validation_text[0] = config->out[0] = '\0';
    config->validation_share = config->test_share = 0;
}

/* ---- opening ---- */

static dt_status open_windows(void **data, const dt_config *config, const dt_tokenizer *tokenizer) {
    dt_windows *windows = NULL;
    const dt_status status =
        dt_windows_open(&windows, config, tokenizer, context_of(config), false);
    *data = windows;
    return status;
}

static void close_windows(void **data) {
    dt_windows *windows = *data;
    dt_windows_close(&windows);
    *data = NULL;
}

/* The text decides which characters, or whether byte 0, it has. */
static dt_status create_tokenizer(dt_tokenizer **tokenizer, const dt_config *config,
                                  const void *data) {
    (void)config;
    *tokenizer = NULL;
    return data ? dt_windows_tokenizer(tokenizer, data) : DT_OK;
}

static dt_status learn(dt_tokenizer **tokenizer, const dt_config *config,
                       const dt_counters *counters) {
    dt_documents *documents = NULL;
    const size_t tokens = dt_vocabulary_learned(config);
    *tokenizer = NULL;
    DT_REQUIRE(tokens > 0, DT_ERR_ARG,
               "--tokenizer %s is not learned; say with bpe:N how many tokens to learn",
               config->tokenizer);
    dt_status status = dt_documents_open(&documents, config, true);
    if (counters->agree) status = counters->agree(counters->context, status);
    if (status == DT_OK) status = dt_learn_text(tokenizer, documents, tokens, false, counters);
    dt_documents_close(&documents);
    return status;
}

static void announce(const dt_source *source) {
    const dt_windows_facts *facts = dt_windows_about(source->data);
    char documents[48] = "";
    if (facts->documents > 1) {
        snprintf(documents, sizeof documents, " in %llu documents",
                 (unsigned long long)facts->documents);
    }
    dt_log_info("text: %s, %llu bytes%s: %llu tokens to train on, in %llu windows; %llu for "
                "validation, %llu for tests",
                source->config.text, (unsigned long long)facts->bytes, documents,
                (unsigned long long)facts->tokens[DT_TRAIN],
                (unsigned long long)epoch_of(&source->config, facts),
                (unsigned long long)facts->tokens[DT_VALIDATION],
                (unsigned long long)facts->tokens[DT_TEST]);
}

/* ---- texts ---- */

/* All windows are those of training where there are no others. */
static dt_split split_with(const dt_source *source, dt_split split) {
    const uint64_t *windows = dt_windows_about(source->data)->windows;
    const bool only = windows[DT_VALIDATION] == 0 && windows[DT_TEST] == 0;
    return split == DT_EVERY_TEXT && only ? DT_TRAIN : split;
}

/* Windows of a split are counted in a random order, so that the first of them speak for all. */
static uint64_t find_window(const dt_source *source, dt_split split, uint64_t number,
                            uint64_t count) {
    /* No epoch comes that far. */
    const uint32_t order = UINT32_MAX - (uint32_t)split;
    return dt_random_permute(number, count, (uint64_t)source->config.seed, order);
}

static dt_status write(dt_text *text, const dt_source *source, dt_split wanted, uint64_t number) {
    const dt_split split = split_with(source, wanted);
    DT_REQUIRE(split != DT_EVERY_TEXT, DT_ERR_INTERNAL, "windows are counted by split");
    const uint64_t count = dt_windows_about(source->data)->windows[split];
    DT_REQUIRE(number < count, DT_ERR_INTERNAL, "window %llu of the %llu of a split",
               (unsigned long long)number, (unsigned long long)count);
    text->note = (dt_note){0};
    return dt_windows_read(text, source->data, split, 0, find_window(source, split, number, count));
}

/* Of a position in the run: where its epoch's windows begin, and which of them it is. */
typedef struct {
    uint64_t back, window;
} trained;

/* Windows move only where an epoch has all of them: a part of them would have other tokens then. */
static dt_status find_trained(trained *at, const dt_source *source, uint64_t position) {
    const dt_config *config = &source->config;
    const dt_windows_facts *facts = dt_windows_about(source->data);
    const uint64_t examples = (uint64_t)config->train_examples, seed = (uint64_t)config->seed;
    const bool moved = config->windows == DT_WINDOWS_MOVED && examples == facts->moved_windows;
    const uint64_t count = moved ? facts->moved_windows : facts->windows[DT_TRAIN];
    DT_REQUIRE(examples > 0 && examples <= count, DT_ERR_INTERNAL,
               "%llu windows to train on, of the %llu of an epoch", (unsigned long long)examples,
               (unsigned long long)count);
    const uint64_t epoch = position / examples;
    const uint64_t number = dt_random_permute(position % examples, examples, seed, (uint32_t)epoch);
    at->back = moved ? dt_windows_back(source->data, seed, epoch) : 0;
    at->window = find_window(source, DT_TRAIN, number, count);
    return DT_OK;
}

static dt_status train(dt_text *text, const dt_source *source, uint64_t position) {
    trained at = {0};
    DT_TRY(find_trained(&at, source, position));
    text->note = (dt_note){0};
    return dt_windows_read(text, source->data, DT_TRAIN, at.back, at.window);
}

/* The last token is only predicted. */
static dt_status train_length(uint32_t *tokens, dt_text *scratch, const dt_source *source,
                              uint64_t position) {
    trained at = {0};
    (void)scratch;
    DT_TRY(find_trained(&at, source, position));
    *tokens = (uint32_t)dt_windows_length(source->data, DT_TRAIN, at.back, at.window) - 1;
    return DT_OK;
}

static dt_status count(uint64_t *texts, const dt_source *source, dt_split wanted) {
    const dt_split split = split_with(source, wanted);
    *texts = 0;
    DT_REQUIRE(split != DT_EVERY_TEXT, DT_ERR_ARG,
               "--exhaustive is for problems, and this model has learned the text %s; leave it out",
               source->config.text);
    *texts = dt_windows_about(source->data)->windows[split];
    return DT_OK;
}

/* ---- answers: there are none, and nothing is generated ---- */

static bool has_answers(const dt_source *source) {
    (void)source;
    return false;
}

static dt_status judge(bool *right, int64_t *tally, dt_text *errors, const dt_source *source,
                       const dt_answer *answer) {
    (void)tally, (void)errors, (void)source;
    *right = answer->exact;
    return DT_OK;
}

/* ---- asking, and showing ---- */

/* Text is gone on with; nothing is gone on with as a document or a line begins. */
static dt_status ask(dt_text *prompt, const dt_source *source, const dt_line *typed) {
    const char *begin = dt_tokenizer_end(source->tokenizer) >= 0 ? DT_END_OF_DOCUMENT : "\n";
    DT_TRY(dt_characters_check(source->tokenizer, typed));
    dt_text_clear(prompt);
    if (typed->length == 0) DT_TRY(dt_text_append(prompt, begin, strlen(begin)));
    DT_TRY(dt_text_append(prompt, typed->text, typed->length));
    prompt->prompt_length = prompt->length;
    return DT_OK;
}

static dt_status reply_to(dt_text *reply, const dt_source *source, const dt_text *prompt,
                          const dt_line *typed, const char *produced, bool working) {
    (void)source, (void)prompt, (void)typed, (void)working;
    dt_text_clear(reply);
    return dt_text_format(reply, "%s\n", produced);
}

/* On one line: ends of lines, tabs and backslashes as "\n", "\t" and "\\". */
static dt_status show(FILE *out, const dt_source *source, const dt_text *text, dt_show_as as) {
    (void)source;
    if (as == DT_SHOW_JSON) return DT_OK;
    for (size_t i = 0; i < text->length; i++) {
        switch (text->bytes[i]) {
        case '\n': fputs("\\n", out); break;
        case '\r': fputs("\\r", out); break;
        case '\t': fputs("\\t", out); break;
        case '\\': fputs("\\\\", out); break;
        default: fputc(text->bytes[i], out);
        }
    }
    return DT_OK;
}

static const char *const settled[] = {"train-digest", "train-examples", "validation-text",
                                      "windows", NULL};

const dt_source_kind dt_windows_source = {
    .name = "running text",
    .texts = "windows",
    .setting = "text",
    .index_positions = true,
    .wanted = wanted,
    .subject = subject,
    .check = check,
    .settle = settle,
    .settled = settled,
    .size = size_of,
    .same_texts = same_texts,
    .evaluates = evaluates,
    .take_all = take_all,
    .open = open_windows,
    .close = close_windows,
    .tokenizer = create_tokenizer,
    .learn = learn,
    .announce = announce,
    .count = count,
    .write = write,
    .train = train,
    .train_length = train_length,
    .has_answers = has_answers,
    .judge = judge,
    .bits_per_byte = true,
    .hint = "how a text begins",
    .ask = ask,
    .reply = reply_to,
    .columns = "text",
    .show = show,
};
