/* What an evaluation has found: shares of right answers by operation, lengths and difficulty, and
 * where wrong ones went wrong. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "dtrain/arithmetic/analysis.h"
#include "dtrain/core/memory.h"

/* ---- for people ---- */

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
static void print_lengths(FILE *out, const dt_tally *tally, dt_operation operation) {
    enum { WIDE_COLUMNS = 9 };
    size_t most_b = 0;
    for (size_t a = 1; a < DT_LENGTHS; a++) {
        for (size_t b = 1; b < DT_LENGTHS; b++) {
            if (tally->length[operation][a][b].problems > 0) most_b = dt_max_size(most_b, b);
        }
    }
    const bool wide = most_b <= WIDE_COLUMNS;
    const int width = wide ? 10 : 6;
    fprintf(out, "  digits of a %c b", dt_operation_symbol(operation));
    for (size_t b = 1; b <= most_b; b++) {
        char heading[16];
        snprintf(heading, sizeof heading, wide ? "b: %zu" : "%zu", dt_tally_length(b));
        fprintf(out, "%*s", width, heading);
    }
    fprintf(out, "\n");
    for (size_t a = 1; a < DT_LENGTHS; a++) {
        int64_t row = 0;
        for (size_t b = 1; b <= most_b; b++) row += tally->length[operation][a][b].problems;
        if (row == 0) continue;
        fprintf(out, "           a: %3zu ", dt_tally_length(a));
        for (size_t b = 1; b <= most_b; b++) {
            char text[CELL_TEXT];
            const dt_count *cell = &tally->length[operation][a][b];
            fprintf(out, "%*s", width, wide ? cell_text(text, cell) : narrow_text(text, cell));
        }
        fprintf(out, "\n");
    }
}

static void print_difficulty(FILE *out, const dt_tally *tally, dt_operation operation) {
    const char *name = dt_difficulty_name(operation);
    if (!name) return;
    char words[32];
    snprintf(words, sizeof words, "%s", name);
    for (char *c = words; *c; c++) *c = *c == '_' ? ' ' : *c;
    fprintf(out, "  %s:", words);
    const char *comma = "";
    for (size_t value = 0; value < DT_DIFFICULTIES; value++) {
        char text[CELL_TEXT];
        const dt_count *cell = &tally->difficulty[operation][value];
        if (cell->problems == 0) continue;
        fprintf(out, "%s  %zu: %s", comma, dt_tally_length(value), cell_text(text, cell));
        comma = ",";
    }
    fprintf(out, "\n");
}

static void print_splits(FILE *out, const dt_tally *tally, dt_operation operation) {
    fprintf(out, "  wrong by split:");
    for (size_t split = 0; split < DT_SPLITS; split++) {
        const dt_count *count = &tally->split[operation][split];
        fprintf(out, "%s  %s %" PRId64 " of %" PRId64, split ? "," : "",
                dt_split_name((dt_split)split), count->problems - count->right, count->problems);
    }
    fprintf(out, "\n");
}

/* "wrong: 26, of them 20 wrong steps (12 running sum, 8 partial product), 6 wrong copies" */
static void print_slips(FILE *out, const dt_tally *tally, dt_operation operation) {
    const int64_t *slip = tally->slip[operation];
    int64_t steps = 0;
    for (size_t part = 0; part < DT_SLIP_PARTS; part++) steps += slip[part];
    const int64_t copies = slip[DT_SLIP_COPY], wrong = steps + copies + slip[DT_SLIP_ANSWER];
    if (wrong == 0) return;
    fprintf(out, "  wrong: %" PRId64, wrong);
    const char *before = "(";
    if (steps > 0) fprintf(out, ", of them %" PRId64 " by a wrong step ", steps);
    for (size_t part = 0; part < DT_SLIP_PARTS; part++) {
        if (slip[part] == 0) continue;
        const char *name = dt_slip_name(operation, part);
        fprintf(out, "%s%" PRId64 " ", before, slip[part]);
        if (name) fprintf(out, "%s", name);
        if (!name) fprintf(out, "part %zu", part + 1);
        before = ", ";
    }
    if (steps > 0) fprintf(out, ")");
    if (copies > 0) fprintf(out, ", %" PRId64 " by a wrong copy", copies);
    fprintf(out, "\n");
}

static void print_operation(FILE *out, const dt_tally *tally, dt_operation operation,
                            bool everything) {
    const dt_count sum = dt_tally_operation(tally, operation);
    if (sum.problems == 0) return;
    fprintf(out, "\n%-14s  %.3f %%   (%" PRId64 " of %" PRId64 "; working %.3f %%)\n",
            dt_operation_name(operation), 100 * share_of(sum.right, sum.problems), sum.right,
            sum.problems, 100 * share_of(sum.text, sum.problems));
    print_lengths(out, tally, operation);
    print_difficulty(out, tally, operation);
    print_slips(out, tally, operation);
    if (everything) print_splits(out, tally, operation);
}

void dt_tally_print(FILE *out, const int64_t *values, bool everything) {
    const dt_tally *tally = (const dt_tally *)(const void *)values;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        print_operation(out, tally, (dt_operation)op, everything);
    }
}

/* ---- as JSON ---- */

static void write_count(FILE *out, const dt_count *count) {
    fprintf(out, "\"problems\":%" PRId64 ",\"right\":%" PRId64 ",\"exact_text\":%" PRId64 "}",
            count->problems, count->right, count->text);
}

static void write_lengths(FILE *out, const dt_tally *tally, size_t op) {
    const char *comma = "";
    fprintf(out, ",\"cells\":[");
    for (size_t a = 1; a < DT_LENGTHS; a++) {
        for (size_t b = 1; b < DT_LENGTHS; b++) {
            const dt_count *cell = &tally->length[op][a][b];
            if (cell->problems == 0) continue;
            fprintf(out, "%s{\"a_digits\":%zu,\"b_digits\":%zu,", comma, dt_tally_length(a),
                    dt_tally_length(b));
            write_count(out, cell);
            comma = ",";
        }
    }
    fprintf(out, "]");
}

static void write_difficulty(FILE *out, const dt_tally *tally, size_t op) {
    const char *name = dt_difficulty_name((dt_operation)op), *comma = "";
    if (!name) return;
    fprintf(out, ",\"by_%s\":[", name);
    for (size_t value = 0; value < DT_DIFFICULTIES; value++) {
        const dt_count *cell = &tally->difficulty[op][value];
        if (cell->problems == 0) continue;
        fprintf(out, "%s{\"%s\":%zu,", comma, name, dt_tally_length(value));
        write_count(out, cell);
        comma = ",";
    }
    fprintf(out, "]");
}

static void write_splits(FILE *out, const dt_tally *tally, size_t op) {
    fprintf(out, ",\"splits\":{");
    for (size_t split = 0; split < DT_SPLITS; split++) {
        fprintf(out, "%s\"%s\":{", split ? "," : "", dt_split_name((dt_split)split));
        write_count(out, &tally->split[op][split]);
    }
    fprintf(out, "}");
}

static void write_slips(FILE *out, const dt_tally *tally, size_t op) {
    const int64_t *slip = tally->slip[op];
    const char *comma = "";
    fprintf(out, ",\"wrong_steps\":{");
    for (size_t part = 0; part < DT_SLIP_PARTS; part++) {
        const char *name = dt_slip_name((dt_operation)op, part);
        if (slip[part] == 0) continue;
        if (name) fprintf(out, "%s\"%s\":%" PRId64, comma, name, slip[part]);
        if (!name) fprintf(out, "%s\"part %zu\":%" PRId64, comma, part + 1, slip[part]);
        comma = ",";
    }
    fprintf(out, "},\"wrong_copies\":%" PRId64 ",\"wrong_answers\":%" PRId64, slip[DT_SLIP_COPY],
            slip[DT_SLIP_ANSWER]);
}

dt_status dt_tally_write(FILE *out, const int64_t *values) {
    const dt_tally *tally = (const dt_tally *)(const void *)values;
    for (size_t op = 0; op < DT_OPERATIONS; op++) {
        const dt_count sum = dt_tally_operation(tally, (dt_operation)op);
        if (sum.problems == 0) continue;
        fprintf(out, ",\"%s\":{\"problems\":%" PRId64 ",\"exact_match\":%.17g,\"exact_text\":%.17g",
                dt_operation_name((dt_operation)op), sum.problems,
                (double)sum.right / (double)sum.problems, (double)sum.text / (double)sum.problems);
        write_lengths(out, tally, op);
        write_difficulty(out, tally, op);
        write_splits(out, tally, op);
        write_slips(out, tally, op);
        fprintf(out, "}");
    }
    DT_REQUIRE(!ferror(out), DT_ERR_IO, "the result cannot be written: %s", strerror(errno));
    return DT_OK;
}
