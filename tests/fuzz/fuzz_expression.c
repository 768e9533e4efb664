/* Fuzzes expressions: whatever can be read as a question is solved line by line to the answer that
 * exact arithmetic gives, and whatever a model writes is shown, or has no answer. */
#include "fuzz.h"

#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/expression/machine.h"
#include "dtrain/expression/source.h"
#include "exact.h"
#include "people.h"
#include "split.h"
#include "wording.h"

enum { DECIMALS = 4 };

/* A calculation of more lines than a model may write has no answer. */
static void solve(const dt_text *prompt, bool near) {
    dt_text whole = {0}, answer = {0}, right[2] = {{0}};
    MUST(dt_text_append(&whole, prompt->bytes, prompt->length) == DT_OK);
    MUST(dt_expression_solve(&whole, (dt_line_rules){DECIMALS, near}) == DT_OK);
    MUST(dt_exact_answers(right, prompt->bytes, (dt_line_rules){DECIMALS, near}) == DT_OK);
    const dt_status status =
        dt_people_answer(&answer, whole.bytes, (dt_line_rules){DECIMALS, near});
    MUST(status == DT_OK || status == DT_ERR_DATA);
    if (status == DT_OK) {
        MUST(strcmp(answer.bytes, right[0].bytes) == 0 ||
             (right[1].length > 0 && strcmp(answer.bytes, right[1].bytes) == 0));
    }
    dt_text_destroy(&whole);
    dt_text_destroy(&answer);
    dt_text_destroy(&right[0]);
    dt_text_destroy(&right[1]);
}

static void ask(const dt_source *source, const char *text) {
    dt_text prompt = {0};
    const dt_line line = dt_line_of(text);
    const dt_status status = dt_expression_source.ask(&prompt, source, &line);
    MUST(status == DT_OK || status == DT_ERR_ARG);
    if (status == DT_OK) {
        const dt_scan asked = {prompt.bytes + 1, prompt.bytes + prompt.length - 1};
        solve(&prompt, false);
        if (dt_scan_two_naturals(asked, "+-*/")) solve(&prompt, true);
    }
    MUST(status == DT_OK || strchr(dt_error_text(), '\n'));
    dt_error_clear();
    dt_text_destroy(&prompt);
}

/* A text as a model might write it. */
static void read_lines(const char *text, bool near) {
    dt_text seen = {0}, next = {0}, shown = {0};
    bool ended;
    MUST(dt_expression_window(&seen, &ended, text) == DT_OK);
    if (!ended) {
        const dt_status status =
            dt_expression_next(&next, seen.bytes, seen.length, (dt_line_rules){DECIMALS, near});
        MUST(status == DT_OK || status == DT_ERR_DATA);
        dt_error_clear();
        if (seen.length > 1) dt_line_hash(seen.bytes, seen.length);
    }
    MUST(dt_people_working(&shown, text) == DT_OK);
    const dt_status status = dt_people_answer(&shown, text, (dt_line_rules){DECIMALS, near});
    MUST(status == DT_OK || status == DT_ERR_DATA);
    dt_error_clear();
    dt_text_destroy(&seen);
    dt_text_destroy(&next);
    dt_text_destroy(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static dt_source source;
    if (!source.kind) {
        dt_config config;
        dt_config_defaults(&config);
        config.format = DT_FORMAT_EXPRESSION;
        source = dt_source_for_asking(&config, NULL);
    }
    char *text = fuzz_text(data, size);
    ask(&source, text);
    for (size_t near = 0; text[0] && near < 2; near++) read_lines(text, near);
    free(text);
    return 0;
}
