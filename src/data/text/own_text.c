/* Opens the file that a run learns from, and keeps the run to it. */
#include "dtrain/data/own_text.h"

#include <stdio.h>
#include <string.h>

#include "dtrain/core/digest.h"
#include "dtrain/core/log.h"

/* "1234-0a1b…": 1234 bytes. */
static dt_status compare_digests(const dt_config *config, const char *digest) {
    const char *wanted = config->train_digest;
    DT_REQUIRE(
        !wanted[0] || strcmp(wanted, digest) == 0, DT_ERR_DATA,
        "%s is not the text that the run learns from: that one has %.*s bytes and the XXH3 digest "
        "%s, and this one %.*s and %s; name the right file with --train-file, or begin another run "
        "with --out DIR or --fresh",
        config->train_file, (int)strcspn(wanted, "-"), wanted,
        wanted + strcspn(wanted, "-") + (strchr(wanted, '-') != NULL), (int)strcspn(digest, "-"),
        digest, strchr(digest, '-') + 1);
    return DT_OK;
}

/* What was opened is what the digest is of, and fits the model. */
static dt_status check_whole(const dt_lines_facts *facts, const char *digest,
                             const dt_config *config) {
    char size[32];
    snprintf(size, sizeof size, "%llu-", (unsigned long long)facts->bytes);
    DT_REQUIRE(strncmp(size, digest, strlen(size)) == 0, DT_ERR_DATA,
               "%s is being written to; start again when it is complete", config->train_file);
    DT_REQUIRE(config->places == 0 || (size_t)config->places >= facts->places, DT_ERR_ARG,
               "%s needs a model with --places %zu, for the digits of its longest number and the "
               "sign behind, and this one has %lld; start another run with more places",
               config->train_file, facts->places, (long long)config->places);
    return DT_OK;
}

/* *digest: of what was opened. */
static dt_status open_whole(dt_lines **lines, char digest[DT_FILE_DIGEST_MAX + 1],
                            const dt_config *config) {
    DT_TRY(dt_file_digest(digest, DT_FILE_DIGEST_MAX + 1, config->train_file));
    DT_TRY(compare_digests(config, digest));
    DT_TRY(dt_lines_open(lines, config->train_file, (size_t)config->context));
    const dt_status status = check_whole(dt_lines_about(*lines), digest, config);
    if (status != DT_OK) dt_lines_close(lines);
    return status;
}

dt_status dt_own_text_open(dt_lines **lines, const dt_config *config) {
    char digest[DT_FILE_DIGEST_MAX + 1];
    *lines = NULL;
    return config->train_file[0] ? open_whole(lines, digest, config) : DT_OK;
}

static dt_status settle(dt_config *config, const dt_lines_facts *facts, const char *digest) {
    if (config->context == 0) config->context = (int64_t)facts->longest;
    if (config->places == 0) config->places = (int64_t)facts->places;
    DT_REQUIRE(config->eval_every == 0 || facts->lines[DT_VALIDATION] > 0, DT_ERR_ARG,
               "none of the lines of %s falls into the validation split, a twentieth of all; give "
               "more lines, or --eval-every 0",
               config->train_file);
    const int64_t lines = (int64_t)facts->lines[DT_TRAIN];
    if (config->train_examples == 0 || config->train_examples > lines)
        config->train_examples = lines;
    if (config->metric == DT_METRIC_EXACT_MATCH && facts->answers == 0) {
        config->metric = DT_METRIC_LOSS; /* nobody foretells whole lines */
        dt_log_info("%s has no answers: the best model is the one with the least loss",
                    config->train_file);
    }
    memset(config->train_digest, 0, sizeof config->train_digest);
    memcpy(config->train_digest, digest, strlen(digest));
    return DT_OK;
}

dt_status dt_own_text_settle(dt_config *config) {
    dt_lines *lines;
    char digest[DT_FILE_DIGEST_MAX + 1];
    DT_REQUIRE(config->train_file[0] || !config->train_digest[0], DT_ERR_ARG,
               "--train-digest %s says what --train-file holds, and there is none; name the file",
               config->train_digest);
    if (!config->train_file[0]) return DT_OK;
    DT_TRY(open_whole(&lines, digest, config));
    const dt_status status = settle(config, dt_lines_about(lines), digest);
    dt_lines_close(&lines);
    return status;
}

dt_status dt_own_text_tokenizer(dt_tokenizer **tokenizer, const dt_config *config,
                                const dt_lines *lines) {
    return lines ? dt_lines_tokenizer(tokenizer, lines)
                 : dt_tokenizer_create(tokenizer, (dt_format)config->format);
}

void dt_own_text_announce(const dt_config *config, const dt_lines *lines) {
    if (!lines) return;
    const dt_lines_facts *facts = dt_lines_about(lines);
    dt_log_info("text: %s, %llu bytes: %zu lines to train on, %zu for validation, %zu for tests; "
                "%zu with an answer",
                config->train_file, (unsigned long long)facts->bytes, facts->lines[DT_TRAIN],
                facts->lines[DT_VALIDATION], facts->lines[DT_TEST], facts->answers);
}
