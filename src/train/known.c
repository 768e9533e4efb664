/* The accuracy that was measured after so much training: data that is kept with the program.
 * tests/bench/known.sh measures it again; its conditions are in tests/bench/RESULTS.md. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/data/source.h"
#include "dtrain/train/forecast.h"

/* Exact answers in percent, of 4096 unseen problems: the default model, 32 problems a step, seed 1.
 */
static const dt_known_row TABLE[] = {
#include "known.inc"
};

enum { ROWS = sizeof TABLE / sizeof *TABLE, OPS = 4 };

static const char FROM[] = "measured with the default model on other runs (tests/bench/RESULTS.md)";

/* Sources without a vocabulary of their own learn numbers. Source: Hoffmann et al. 2022,
 * arXiv:2203.15556: about 20 tokens for each parameter where compute is what is short; many more
 * where the model is what has to stay small. */
static const double TOKENS_PER_PARAMETER = 20;

size_t dt_known_rows(const dt_known_row **rows) {
    *rows = TABLE;
    return ROWS;
}

/* Whether the figures were measured with such numbers. */
static bool is_alike(const dt_config *c) {
    dt_config standard;
    dt_config_defaults(&standard);
    return c->digits <= standard.digits && c->dividend_digits <= standard.dividend_digits &&
           c->divisor_digits <= standard.divisor_digits && c->layers >= standard.layers &&
           c->width >= standard.width && c->positions == DT_POSITIONS_LEARNED;
}

/* Nearness of a row: by problems in all, then by different ones. Rows with more training than this
 * do not count. */
static const dt_known_row *find_below(const dt_config *c, double problems) {
    const dt_known_row *best = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        const dt_known_row *row = &TABLE[i];
        if (row->format != (dt_format)c->format || 32.0 * (double)row->steps > problems) continue;
        const bool fewer =
            row->problems > 0 && (c->train_examples == 0 || row->problems <= c->train_examples);
        const bool same = row->problems == 0 && c->train_examples == 0;
        if (!same && !(fewer && c->train_examples > 0)) continue;
        if (!best || row->steps > best->steps ||
            (row->steps == best->steps && row->problems > best->problems))
            best = row;
    }
    return best;
}

/* The next row of the same kind with more steps. */
static const dt_known_row *find_above(const dt_known_row *below) {
    const dt_known_row *best = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        const dt_known_row *row = &TABLE[i];
        if (row->format != below->format || row->problems != below->problems) continue;
        if (row->steps > below->steps && (!best || row->steps < best->steps)) best = row;
    }
    return best;
}

static const char OPERATION[] = "+-*/";

/* Between two rows by the logarithm of the training. */
static double between(const dt_known_row *x, const dt_known_row *y, size_t op, double problems) {
    if (!y) return x->of[op];
    const double low = log(32.0 * (double)x->steps), high = log(32.0 * (double)y->steps);
    const double share = fmin(1, fmax(0, (log(problems) - low) / (high - low)));
    return x->of[op] + share * (y->of[op] - x->of[op]);
}

void dt_known_find(dt_known *known, const dt_config *config, size_t parameters) {
    *known = (dt_known){.exact = NAN, .of = {NAN, NAN, NAN, NAN}, .from = FROM};
    if (config->train_file[0] || config->text[0]) {
        known->tokens_wanted = TOKENS_PER_PARAMETER * (double)parameters;
        return;
    }
    const double problems = (double)config->steps * (double)config->batch;
    const dt_known_row *below = is_alike(config) ? find_below(config, problems) : NULL;
    if (!below) return;
    const dt_known_row *above = find_above(below);
    double sum = 0, weight = 0;
    for (size_t op = 0; op < OPS; op++) {
        double drawn = 0;
        for (const char *c = config->ops; *c; c++) drawn += *c == OPERATION[op];
        if (drawn == 0) continue;
        known->of[op] = between(below, above, op, problems) / 100;
        sum += drawn * known->of[op];
        weight += drawn;
    }
    known->known = true;
    known->exact = sum / weight;
}
