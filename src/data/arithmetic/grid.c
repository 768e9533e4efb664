/* The tally of an evaluation as a grid, and read back from the JSON that eval prints. */
#include <stdio.h>

#include "dtrain/arithmetic/analysis.h"
#include "report.h"

/* ---- panels ---- */

static size_t list_panels(dt_grid_panel panel[DT_GRID_PANELS_MAX], const int64_t *values) {
    const dt_tally *tally = (const dt_tally *)(const void *)values;
    static const char *const hard[DT_OPERATIONS] = {"carries", "borrows", NULL,
                                                    "digits of the quotient"};
    size_t count = 0;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const char symbol = dt_operation_symbol((dt_operation)op);
        if (dt_tally_operation(tally, (dt_operation)op).problems == 0) continue;
        dt_grid_panel *lengths = &panel[count++];
        *lengths = (dt_grid_panel){.x_name = "digits of b",
                                   .y_name = "digits of a",
                                   .cell = &tally->length[op][0][0],
                                   .rows = DT_LENGTHS,
                                   .columns = DT_LENGTHS,
                                   .number = dt_tally_length};
        snprintf(lengths->title, sizeof lengths->title, "a %c b, by lengths", symbol);
        if (!hard[op]) continue;
        dt_grid_panel *difficulty = &panel[count++];
        *difficulty = (dt_grid_panel){.x_name = hard[op],
                                      .cell = tally->difficulty[op],
                                      .rows = 1,
                                      .columns = DT_DIFFICULTIES,
                                      .number = dt_tally_length};
        snprintf(difficulty->title, sizeof difficulty->title, "a %c b, by %s", symbol, hard[op]);
    }
    return count;
}

static dt_count total(const int64_t *tally) {
    return dt_tally_all((const dt_tally *)(const void *)tally);
}

/* ---- reading ---- */

static bool read_count(dt_count *count, const dt_json *json, const dt_json_value *of) {
    const double end = 9007199254740992.0; /* 2^53 */
    return dt_json_whole(&count->problems, json, of, "problems", end) &&
           dt_json_whole(&count->right, json, of, "right", end) &&
           dt_json_whole(&count->text, json, of, "exact_text", end) &&
           count->right <= count->problems && count->text <= count->problems;
}

/* Where the file has them. */
static bool read_splits(dt_tally *tally, const dt_json *json, const dt_json_value *of,
                        dt_operation op) {
    const dt_json_value *splits = dt_json_member(json, of, "splits");
    for (size_t split = 0; splits && split < DT_SPLITS; split++) {
        const char *name = dt_split_name((dt_split)split);
        if (!read_count(&tally->split[op][split], json, dt_json_member(json, splits, name))) {
            return false;
        }
    }
    return true;
}

static bool read_operation(dt_tally *tally, const dt_json *json, const dt_json_value *of,
                           dt_operation op) {
    const char *name = dt_difficulty_name(op);
    char list[32];
    snprintf(list, sizeof list, "by_%s", name ? name : "");
    const dt_json_value *v = dt_json_first(json, dt_json_member(json, of, "cells"));
    if (!v) return false;
    for (; v; v = dt_json_next(json, v)) {
        int64_t a, b;
        if (!dt_json_whole(&a, json, v, "a_digits", DT_NUMBER_DIGITS) ||
            !dt_json_whole(&b, json, v, "b_digits", DT_NUMBER_DIGITS) ||
            !read_count(&tally->length[op][dt_tally_index((size_t)a)][dt_tally_index((size_t)b)],
                        json, v)) {
            return false;
        }
    }
    v = name ? dt_json_first(json, dt_json_member(json, of, list)) : NULL;
    for (; v; v = dt_json_next(json, v)) {
        int64_t value;
        if (!dt_json_whole(&value, json, v, name, DT_NUMBER_DIGITS) ||
            !read_count(&tally->difficulty[op][dt_tally_index((size_t)value)], json, v)) {
            return false;
        }
    }
    return read_splits(tally, json, of, op);
}

static dt_status read_tally(bool *found, int64_t *values, const dt_json *json, const char *file) {
    dt_tally *tally = (dt_tally *)(void *)values;
    *found = false;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const char *name = dt_operation_name((dt_operation)op);
        const dt_json_value *of = dt_json_member(json, json->value, name);
        if (!of) continue;
        DT_REQUIRE(read_operation(tally, json, of, (dt_operation)op), DT_ERR_DATA,
                   "%s: the counts of \"%s\" are not those that eval --json prints", file, name);
        *found = true;
    }
    return DT_OK;
}

const dt_grid_kind dt_tally_grid = {.panels = list_panels, .total = total, .read = read_tally};
