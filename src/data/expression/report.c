/* What an evaluation has found: shares of right answers by operations, brackets and length. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "dtrain/core/memory.h"

static void count(dt_count *list, size_t size, size_t index, bool right) {
    dt_count *to = &list[dt_min_size(index, size - 1)];
    to->problems++;
    to->right += right;
    to->text += right;
}

void dt_expression_count(dt_expression_tally *tally, const dt_question_facts *facts, bool right) {
    count(tally->operations, DT_TALLY_OPERATIONS, facts->operations, right);
    count(tally->depth, DT_TALLY_DEPTHS, facts->depth, right);
    count(tally->longest, DT_TALLY_DIGITS, facts->longest, right);
}

/* Each list by its name. */
static const struct {
    const char *name, *title;
    size_t offset, size;
} lists[] = {
    {"operations", "operations", offsetof(dt_expression_tally, operations), DT_TALLY_OPERATIONS},
    {"brackets", "brackets within each other", offsetof(dt_expression_tally, depth),
     DT_TALLY_DEPTHS},
    {"longest", "digits of the longest number", offsetof(dt_expression_tally, longest),
     DT_TALLY_DIGITS},
};
enum { LISTS = sizeof lists / sizeof *lists };

static const dt_count *list_of(const int64_t *tally, size_t which) {
    return (const dt_count *)(const void *)((const char *)tally + lists[which].offset);
}

static double share_of(const dt_count *of) { return (double)of->right / (double)of->problems; }

static const char *or_more(size_t which, size_t i) { return i + 1 == lists[which].size ? "+" : ""; }

void dt_expression_print(FILE *out, const int64_t *tally, bool everything) {
    (void)everything;
    for (size_t which = 0; which < LISTS; which++) {
        const dt_count *list = list_of(tally, which);
        fprintf(out, "  %s:", lists[which].title);
        const char *comma = "";
        for (size_t i = 0; i < lists[which].size; i++) {
            if (list[i].problems == 0) continue;
            fprintf(out, "%s  %zu%s: %.2f %% of %" PRId64, comma, i, or_more(which, i),
                    100 * share_of(&list[i]), list[i].problems);
            comma = ",";
        }
        fprintf(out, "\n");
    }
}

dt_status dt_expression_report(FILE *out, const int64_t *tally) {
    for (size_t which = 0; which < LISTS; which++) {
        const dt_count *list = list_of(tally, which);
        fprintf(out, ",\"%s\":{", lists[which].name);
        const char *comma = "";
        for (size_t i = 0; i < lists[which].size; i++) {
            if (list[i].problems == 0) continue;
            fprintf(out, "%s\"%zu%s\":{\"problems\":%" PRId64 ",\"exact_match\":%.17g}", comma, i,
                    or_more(which, i), list[i].problems, share_of(&list[i]));
            comma = ",";
        }
        fprintf(out, "}");
    }
    DT_REQUIRE(!ferror(out), DT_ERR_IO, "the result cannot be written: %s", strerror(errno));
    return DT_OK;
}
