/* The table of all kinds of data, and what is decided by which of them the settings ask for. */
#include <string.h>

#include "dtrain/arithmetic/source.h"
#include "dtrain/data/source.h"
#include "dtrain/expression/source.h"
#include "dtrain/text/source.h"

/* The first is learned where none of the others is asked for. */
const dt_source_kind *const dt_source_kinds[] = {&dt_arithmetic_source, &dt_lines_source,
                                                 &dt_windows_source, &dt_expression_source, NULL};

const dt_source_kind *dt_source_kind_of(const dt_config *config) {
    for (size_t i = 1; dt_source_kinds[i]; i++) {
        if (dt_source_kinds[i]->wanted(config)) return dt_source_kinds[i];
    }
    return &dt_arithmetic_source;
}

/* ---- settings ---- */

dt_status dt_source_check(const dt_config *config) {
    for (size_t i = 0; dt_source_kinds[i]; i++) DT_TRY(dt_source_kinds[i]->check(config));
    DT_REQUIRE(config->checkpoint_every.epochs == 0 || config->train_examples > 0 ||
                   !dt_source_kind_of(config)->endless,
               DT_ERR_ARG,
               "--checkpoint-every %llde: an endless stream of problems has no epochs; give steps "
               "or a time, or --train-examples",
               (long long)config->checkpoint_every.epochs);
    return DT_OK;
}

dt_status dt_source_check_given(const dt_config *config, const dt_overrides *given) {
    const dt_source_kind *kind = dt_source_kind_of(config);
    if (!kind->index_positions) return DT_OK;
    dt_config asked;
    dt_config_defaults(&asked);
    asked.positions = DT_POSITIONS_NONE;
    DT_TRY(dt_overrides_apply(&asked, given));
    DT_REQUIRE(
        asked.positions != DT_POSITIONS_LEARNED, DT_ERR_ARG,
        "--positions learned is for numbers; with --%s leave it out: tokens know their index "
        "(--positions index)",
        kind->setting);
    return DT_OK;
}

dt_status dt_source_settle(dt_config *config, const dt_tokenizer *tokenizer) {
    const dt_source_kind *kind = dt_source_kind_of(config);
    return kind->settle ? kind->settle(config, tokenizer) : DT_OK;
}

dt_status dt_source_replace(dt_config *config, const dt_config *asked) {
    const dt_source_kind *stays = dt_source_kind_of(asked);
    if (!stays->setting) return DT_OK;
    for (size_t i = 0; dt_source_kinds[i]; i++) {
        const dt_source_kind *kind = dt_source_kinds[i];
        if (!kind->setting || kind->wanted(asked)) continue;
        const dt_setting *setting = dt_setting_find(kind->setting);
        DT_TRY(dt_config_set(config, setting, setting->initial, setting->name));
    }
    return DT_OK;
}

bool dt_source_settles(const dt_config *config, const dt_setting *setting) {
    const char *const *name = dt_source_kind_of(config)->settled;
    for (; name && *name; name++) {
        if (strcmp(*name, setting->name) == 0) return true;
    }
    return false;
}

dt_status dt_source_forget(dt_config *config) {
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (!dt_source_settles(config, setting)) continue;
        DT_TRY(dt_config_set(config, setting, setting->initial, setting->name));
    }
    return DT_OK;
}

dt_config dt_source_evaluated(const dt_config *config) {
    const dt_source_kind *kind = dt_source_kind_of(config);
    dt_config evaluated = *config;
    if (kind->evaluate) kind->evaluate(&evaluated);
    return evaluated;
}

dt_text_size dt_source_size(const dt_config *config) {
    return dt_source_kind_of(config)->size(config);
}

bool dt_source_same_texts(const dt_config *x, const dt_config *y) {
    const dt_source_kind *kind = dt_source_kind_of(x);
    return kind == dt_source_kind_of(y) && kind->same_texts(x, y);
}

dt_status dt_source_evaluates(const char **part, const dt_config *config,
                              const dt_config *trained) {
    const dt_source_kind *wanted = dt_source_kind_of(config), *had = dt_source_kind_of(trained);
    *part = NULL;
    if (wanted == had) return had->evaluates(part, config, trained);
    DT_REQUIRE(!wanted->setting, DT_ERR_ARG,
               "--%s %s: this model has learned %s, not %s; leave it out", wanted->setting,
               wanted->subject(config), had->name, wanted->name);
    DT_RAISE(DT_ERR_ARG,
             "--%s is empty, and this model has learned the %s of %s; leave it out, or say where "
             "they are",
             had->setting, had->texts, had->subject(trained));
}

dt_status dt_source_same_vocabulary(bool *same, const dt_config *config,
                                    const dt_tokenizer *tokenizer) {
    dt_tokenizer *own = NULL;
    DT_TRY(dt_source_kind_of(config)->tokenizer(&own, config, NULL));
    *same = !own || dt_tokenizer_equal(tokenizer, own);
    dt_tokenizer_destroy(&own);
    return DT_OK;
}

dt_status dt_source_learn(dt_tokenizer **tokenizer, const dt_config *config,
                          const dt_counters *counters) {
    const dt_source_kind *kind = dt_source_kind_of(config);
    *tokenizer = NULL;
    DT_REQUIRE(kind->learn, DT_ERR_ARG,
               "--tokenizer %s is learned from running text; say with --text which",
               config->tokenizer);
    return kind->learn(tokenizer, config, counters);
}

/* ---- opening ---- */

dt_source dt_source_for_asking(const dt_config *config, const dt_tokenizer *tokenizer) {
    return (dt_source){dt_source_kind_of(config), *config, tokenizer, NULL, NULL};
}

dt_status dt_source_open(dt_source *source, const dt_config *config,
                         const dt_tokenizer *tokenizer) {
    dt_status status = DT_OK;
    *source = dt_source_for_asking(config, tokenizer);
    if (source->kind->open) DT_TRY_DONE(source->kind->open(&source->data, config, tokenizer));
    if (tokenizer) return DT_OK;
    DT_TRY_DONE(source->kind->tokenizer(&source->own_tokenizer, config, source->data));
    source->tokenizer = source->own_tokenizer;
done:
    if (status != DT_OK) dt_source_close(source);
    return status;
}

void dt_source_close(dt_source *source) {
    if (source->data) source->kind->close(&source->data);
    dt_tokenizer_destroy(&source->own_tokenizer);
    *source = (dt_source){0};
}
