/* Fuzzes the reading of settings from ini files: they are refused with a location, or understood;
 * then the written settings are read again as the same. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/model/model.h"

/* What a checked configuration promises. */
static void inspect(const dt_config *config) {
    dt_model_shape shape;
    MUST(config->width % config->heads == 0 && config->batch >= config->shards);
    MUST(isfinite(config->lr) && config->lr > 0);
    if (dt_model_shape_from(&shape, config, 20) != DT_OK) return;
    MUST(shape.T >= dt_format_longest(config) - 1);
    MUST(shape.index_positions || shape.P > dt_format_places(config));
    dt_problem problem;
    if (dt_problem_train(&problem, config, 12345) == DT_OK) {
        char text[DT_PROBLEM_TEXT_MAX];
        size_t given;
        MUST(dt_problem_in_domain(&problem, config) == DT_OK);
        MUST(dt_format_write(text, sizeof text, &given, &problem, (dt_format)config->format) ==
             DT_OK);
        MUST(strlen(text) <= dt_format_longest(config));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    dt_config config, again;
    dt_config_defaults(&config);
    const dt_status status = dt_config_parse(&config, text, "fuzz.ini");
    free(text);
    MUST(status == DT_OK || status == DT_ERR_ARG);
    MUST(status == DT_OK || dt_error_text()[0]);
    if (status != DT_OK) return 0;
    dt_status checked = dt_config_check(&config);
    if (checked == DT_OK) checked = dt_source_check(&config);
    MUST(checked == DT_OK || checked == DT_ERR_ARG);
    char *ini = NULL, *ini_again = NULL;
    MUST(dt_config_format(&ini, &config, false) == DT_OK);
    dt_config_defaults(&again);
    MUST(dt_config_parse(&again, ini, "again.ini") == DT_OK);
    MUST(dt_config_format(&ini_again, &again, false) == DT_OK);
    MUST(strcmp(ini, ini_again) == 0);
    dt_memory_free(&ini);
    dt_memory_free(&ini_again);
    if (checked == DT_OK) inspect(&config);
    return 0;
}
