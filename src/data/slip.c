/* Where a model's text first departs from the right one: in which part of which step, or after it.
 */
#include <string.h>

#include "decimal.h"
#include "dtrain/analysis.h"

/* What the parts of a step are called, in the order in which the formats write them. */
static const char *const part_name[DT_OPERATIONS][DT_SLIP_PARTS] = {
    [DT_MULTIPLY] = {"partial product", "running sum"},
    [DT_DIVIDE] = {"remainder so far", "quotient digit", "digit times divisor", "new remainder"},
};

const char *dt_slip_name(dt_operation operation, size_t kind) {
    if (kind == DT_SLIP_COPY) return "copy";
    if (kind == DT_SLIP_ANSWER) return "answer";
    return kind < DT_SLIP_PARTS ? part_name[operation][kind] : NULL;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

dt_slip dt_slip_find(const char *produced, const char *right) {
    size_t at = 0;
    while (right[at] && right[at] == produced[at]) at++;
    const char *equals = strrchr(right, '=');
    if (!equals) return (dt_slip){.kind = DT_SLIP_ANSWER};
    const size_t end = (size_t)(equals - right);
    if (at > end) return (dt_slip){.kind = DT_SLIP_COPY};
    const char between = memchr(right, ';', end) ? ';' : ',';
    dt_slip slip = {.kind = 0, .step = 1};
    for (size_t i = 0; i < at; i++) {
        if (right[i] == between) {
            slip.kind = 0;
            slip.step++;
        } else if (!is_digit(right[i]) && slip.kind + 1 < DT_SLIP_PARTS) {
            slip.kind++;
        }
    }
    return slip;
}
