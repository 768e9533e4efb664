/* Where a model's text first departs from the right one: in which part of which step, or after it.
 */
#include <string.h>

#include "decimal.h"
#include "dtrain/arithmetic/analysis.h"

/* Parts of a step of division; of a product; of a difference. */
enum { MULTIPLE, REST, DIFFERENCE, DIGIT, LEFT, QUOTIENT };
enum { PARTIAL_PRODUCT, RUNNING_SUM };
enum { FIRST_DIFFERENCE, COMPLEMENT };

/* What the parts of a step are called, as src/data/format_steps.c writes them. */
static const char *const part_name[DT_OPERATIONS][DT_SLIP_PARTS] = {
    [DT_ADD] = {"sum"},
    [DT_SUBTRACT] = {[FIRST_DIFFERENCE] = "difference", [COMPLEMENT] = "complement"},
    [DT_MULTIPLY] = {[PARTIAL_PRODUCT] = "partial product", [RUNNING_SUM] = "running sum"},
    [DT_DIVIDE] = {[MULTIPLE] = "multiple of the divisor",
                   [REST] = "remainder so far",
                   [DIFFERENCE] = "difference",
                   [DIGIT] = "quotient digit",
                   [LEFT] = "remainder of the step",
                   [QUOTIENT] = "quotient so far"},
};

const char *dt_slip_name(dt_operation operation, size_t kind) {
    if (kind == DT_SLIP_COPY) return "copy";
    if (kind == DT_SLIP_ANSWER) return "answer";
    return kind < DT_SLIP_PARTS ? part_name[operation][kind] : NULL;
}

/* Of the character at `at` in a working of division; begin: where its step begins. */
static size_t division_part(const char *right, size_t begin, size_t at) {
    if (begin == 0) return MULTIPLE;
    if (right[at] >= 'A' && right[at] <= 'T') return DIGIT;
    for (size_t i = begin; i < at; i++) {
        if (right[i] < 'K' || right[i] > 'T') continue;
        return memchr(right + i, ',', at - i) ? QUOTIENT : LEFT;
    }
    return memchr(right + begin, ',', at - begin) ? DIFFERENCE : REST;
}

/* Of the character at `at`: the sum behind the '+' of a product's step; the complement of a
   difference, the only second step that has no '+'. */
static size_t other_part(const char *right, size_t begin, size_t at) {
    const char *step = right + begin;
    if (memchr(step, '+', at - begin)) return RUNNING_SUM;
    return begin > 0 && !memchr(step, '+', strcspn(step, ",=")) ? COMPLEMENT : 0;
}

dt_slip dt_slip_find(const char *produced, const char *right) {
    size_t at = 0;
    while (right[at] && right[at] == produced[at]) at++;
    const char *equals = strrchr(right, '=');
    if (!equals) return (dt_slip){.kind = DT_SLIP_ANSWER};
    const size_t end = (size_t)(equals - right);
    const bool divides = memchr(right, ';', end) != NULL;
    if (at > end) return (dt_slip){.kind = DT_SLIP_COPY};
    const char between = divides ? ';' : ',';
    dt_slip slip = {.step = 1};
    size_t begin = 0;
    for (size_t i = 0; i < at; i++) {
        if (right[i] != between) continue;
        slip.step++;
        begin = i + 1;
    }
    slip.kind = divides ? division_part(right, begin, at) : other_part(right, begin, at);
    return slip;
}
