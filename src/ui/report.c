/* Prints what an evaluation has found: shares of right answers by operation, lengths and
 * difficulty, and where wrong ones went wrong. */
#include "dtrain/ui/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/picture/grid.h"

enum { CELL_TEXT = 32 };

static double share_of(int64_t part, int64_t whole) { return (double)part / (double)whole; }

/* "99.53 %" or, where that would hide them, how many are wrong. */
static const char *cell_text(char text[CELL_TEXT], const dt_count *cell) {
    const int64_t wrong = cell->problems - cell->right;
    if (cell->problems == 0) return "-";
    if (wrong == 0) return "100 %";
    if (wrong < 1000 && share_of(wrong, cell->problems) < 0.0005) {
        snprintf(text, CELL_TEXT, "%" PRId64 " wrong", wrong);
    } else {
        snprintf(text, CELL_TEXT, "%.2f %%", 100 * share_of(cell->right, cell->problems));
    }
    return text;
}

/* The same in five characters. */
static const char *narrow_text(char text[CELL_TEXT], const dt_count *cell) {
    const int64_t wrong = cell->problems - cell->right;
    if (cell->problems == 0) return "-";
    if (wrong == 0) return "100";
    snprintf(text, CELL_TEXT, "%.1f", fmin(99.9, 100 * share_of(cell->right, cell->problems)));
    return text;
}

/* A table per operation: rows are lengths of a, columns of b, each cell the share of right
   answers. */
static void print_lengths(const dt_tally *tally, dt_operation operation) {
    enum { WIDE_COLUMNS = 9 };
    size_t most_b = 0;
    for (size_t a = 1; a < DT_LENGTHS; a++) {
        for (size_t b = 1; b < DT_LENGTHS; b++) {
            if (tally->length[operation][a][b].problems > 0) most_b = dt_max_size(most_b, b);
        }
    }
    const bool wide = most_b <= WIDE_COLUMNS;
    const int width = wide ? 10 : 6;
    printf("  digits of a %c b", dt_operation_symbol(operation));
    for (size_t b = 1; b <= most_b; b++) {
        char heading[16];
        snprintf(heading, sizeof heading, wide ? "b: %zu" : "%zu", b);
        printf("%*s", width, heading);
    }
    printf("\n");
    for (size_t a = 1; a < DT_LENGTHS; a++) {
        int64_t row = 0;
        for (size_t b = 1; b <= most_b; b++) row += tally->length[operation][a][b].problems;
        if (row == 0) continue;
        printf("           a: %3zu ", a);
        for (size_t b = 1; b <= most_b; b++) {
            char text[CELL_TEXT];
            const dt_count *cell = &tally->length[operation][a][b];
            printf("%*s", width, wide ? cell_text(text, cell) : narrow_text(text, cell));
        }
        printf("\n");
    }
}

static void print_difficulty(const dt_tally *tally, dt_operation operation) {
    const char *name = dt_difficulty_name(operation);
    if (!name) return;
    char words[32];
    snprintf(words, sizeof words, "%s", name);
    for (char *c = words; *c; c++) *c = *c == '_' ? ' ' : *c;
    printf("  %s:", words);
    const char *comma = "";
    for (size_t value = 0; value < DT_DIFFICULTIES; value++) {
        char text[CELL_TEXT];
        const dt_count *cell = &tally->difficulty[operation][value];
        if (cell->problems == 0) continue;
        printf("%s  %zu: %s", comma, value, cell_text(text, cell));
        comma = ",";
    }
    printf("\n");
}

static void print_splits(const dt_tally *tally, dt_operation operation) {
    printf("  wrong by split:");
    for (size_t split = 0; split < DT_SPLITS; split++) {
        const dt_count *count = &tally->split[operation][split];
        printf("%s  %s %" PRId64 " of %" PRId64, split ? "," : "", dt_split_name((dt_split)split),
               count->problems - count->right, count->problems);
    }
    printf("\n");
}

/* "wrong: 26, of them 20 wrong steps (12 running sum, 8 partial product), 6 wrong copies" */
static void print_slips(const dt_tally *tally, dt_operation operation) {
    const int64_t *slip = tally->slip[operation];
    int64_t steps = 0;
    for (size_t part = 0; part < DT_SLIP_PARTS; part++) steps += slip[part];
    const int64_t copies = slip[DT_SLIP_COPY], wrong = steps + copies + slip[DT_SLIP_ANSWER];
    if (wrong == 0) return;
    printf("  wrong: %" PRId64, wrong);
    const char *before = "(";
    if (steps > 0) printf(", of them %" PRId64 " by a wrong step ", steps);
    for (size_t part = 0; part < DT_SLIP_PARTS; part++) {
        if (slip[part] == 0) continue;
        const char *name = dt_slip_name(operation, part);
        printf("%s%" PRId64 " ", before, slip[part]);
        if (name) printf("%s", name);
        if (!name) printf("part %zu", part + 1);
        before = ", ";
    }
    if (steps > 0) printf(")");
    if (copies > 0) printf(", %" PRId64 " by a wrong copy", copies);
    printf("\n");
}

static void print_operation(const dt_eval_result *result, dt_operation operation, bool exhaustive) {
    const dt_count sum = dt_tally_operation(&result->tally, operation);
    if (sum.problems == 0) return;
    printf("\n%-14s  %.3f %%   (%" PRId64 " of %" PRId64 "; working %.3f %%)\n",
           dt_operation_name(operation), 100 * share_of(sum.right, sum.problems), sum.right,
           sum.problems, 100 * share_of(sum.text, sum.problems));
    print_lengths(&result->tally, operation);
    print_difficulty(&result->tally, operation);
    print_slips(&result->tally, operation);
    if (exhaustive) print_splits(&result->tally, operation);
}

void dt_report_text(const dt_eval_result *result, const dt_eval_problems *problems,
                    const dt_report_subject *of) {
    const dt_score *t = &result->total;
    const dt_count all = dt_evaluate_all(result);
    if (problems->exhaustive) {
        printf("%s at step %" PRId64 ", all %" PRId64 " problems of its domain%s%s: %" PRId64
               " wrong\n",
               of->checkpoint, of->step, all.problems, of->ops ? " with " : "",
               of->ops ? of->ops : "", all.problems - all.right);
    } else {
        printf("%s at step %" PRId64 ", %" PRId64 " %s of the %s split\n", of->checkpoint, of->step,
               all.problems, of->lines ? "lines" : "problems", dt_split_name(problems->split));
    }
    printf("loss            %.5f nats per token (perplexity %.4f)\n", t->loss / t->scored,
           exp(t->loss / t->scored));
    printf("token accuracy  %.4f %%\n", 100 * t->correct / t->scored);
    printf("exact match     %.3f %%", 100 * share_of(all.right, all.problems));
    if (!of->lines)
        printf("   (the working as well: %.3f %%)", 100 * share_of(all.text, all.problems));
    printf("\n");
    for (int op = 0; op < DT_OPERATIONS; op++) {
        print_operation(result, (dt_operation)op, problems->exhaustive);
    }
}

dt_status dt_report_json(const dt_eval_result *result, const dt_eval_problems *problems,
                         const dt_report_subject *of) {
    const dt_score *t = &result->total;
    const dt_count all = dt_evaluate_all(result);
    printf("{\"checkpoint\":");
    dt_json_print_text(of->checkpoint);
    printf(",\"step\":%" PRId64 ",\"split\":\"%s\",\"problems\":%" PRId64
           ",\"loss\":%.17g,\"perplexity\":%.17g,\"token_accuracy\":%.17g,\"exact_match\":%.17g,"
           "\"exact_text\":%.17g",
           of->step, problems->exhaustive ? "all" : dt_split_name(problems->split), all.problems,
           t->loss / t->scored, exp(t->loss / t->scored), t->correct / t->scored,
           share_of(all.right, all.problems), share_of(all.text, all.problems));
    DT_TRY(dt_tally_write(stdout, &result->tally));
    printf("}\n");
    return DT_OK;
}
