/* Fuzzes texts of people and models: durations, problems, and answers with their working. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"

enum { FORMATS = DT_FORMAT_CHAT + 1 };

static void read_duration(const char *text) {
    double seconds;
    const dt_status status = dt_duration_parse(&seconds, text, "--time-limit");
    MUST(status == DT_OK || status == DT_ERR_ARG);
    MUST(status != DT_OK || (isfinite(seconds) && seconds >= 0));
}

static void read_settings(const char *text) {
    dt_config config;
    for (size_t i = 0; i < dt_setting_count(); i++) {
        dt_config_defaults(&config);
        const dt_setting *setting = dt_setting_at(i);
        const dt_status status = dt_config_set(&config, setting, text, setting->name);
        MUST(status == DT_OK || status == DT_ERR_ARG);
        if (status != DT_OK) continue;
        char written[DT_PATH_MAX], again[DT_PATH_MAX];
        dt_config_text(written, sizeof written, &config, setting);
        MUST(dt_config_set(&config, setting, written, setting->name) == DT_OK);
        dt_config_text(again, sizeof again, &config, setting);
        MUST(strcmp(written, again) == 0);
    }
}

/* What the model produced, after the problem. */
static void read_produced(const dt_problem *problem, const char *produced) {
    for (int format = 0; format < FORMATS; format++) {
        char answer[64], small[8], working[DT_PROBLEM_TEXT_MAX], tiny[16];
        const dt_status status =
            dt_format_answer(answer, sizeof answer, produced, problem, (dt_format)format);
        MUST(status == DT_OK || status == DT_ERR_DATA);
        MUST(status != DT_OK || strlen(answer) < sizeof answer);
        dt_format_answer(small, sizeof small, produced, problem, (dt_format)format);
        dt_format_working(working, sizeof working, produced, problem, (dt_format)format);
        MUST(strlen(working) < sizeof working);
        dt_format_working(tiny, sizeof tiny, produced, problem, (dt_format)format);
        MUST(strlen(tiny) < sizeof tiny);
    }
}

/* A right answer is understood. */
static void solve(const dt_problem *problem) {
    for (int format = 0; format < FORMATS; format++) {
        char text[DT_PROBLEM_TEXT_MAX], right[DT_ANSWER_SIZE], answer[DT_ANSWER_SIZE];
        size_t given;
        if (dt_problem_answer(right, sizeof right, problem) != DT_OK) return;
        if (dt_format_write(text, sizeof text, &given, problem, (dt_format)format) != DT_OK) {
            continue;
        }
        MUST(given <= strlen(text) && text[strlen(text) - 1] == '$');
        text[strlen(text) - 1] = '\0';
        MUST(dt_format_answer(answer, sizeof answer, text + given, problem, (dt_format)format) ==
             DT_OK);
        MUST(strcmp(answer, right) == 0);
    }
}

/* "PROBLEM;WHAT WAS PRODUCED" */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *produced = strchr(text, ';');
    if (produced) *produced++ = '\0';
    read_duration(text);
    read_settings(text);
    dt_problem problem;
    size_t phrasing;
    const dt_line line = dt_line_of(text);
    MUST(!dt_chat_read(&problem, &phrasing, &line) || phrasing < DT_PHRASINGS);
    const dt_status status = dt_problem_parse(&problem, &line);
    MUST(status == DT_OK || status == DT_ERR_ARG);
    if (status == DT_OK) {
        solve(&problem);
        if (produced) read_produced(&problem, produced);
    }
    free(text);
    return 0;
}
