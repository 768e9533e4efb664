/* Prints what an evaluation has found. */
#include "dtrain/ui/report.h"

#include <inttypes.h>
#include <math.h>

#include "dtrain/core/json.h"

static double share_of(int64_t part, int64_t whole) { return (double)part / (double)whole; }

void dt_report_text(const dt_eval_result *result, const dt_eval_problems *problems,
                    const dt_report_subject *of) {
    const dt_score *t = &result->total;
    const dt_count all = result->count[0];
    const dt_source_kind *kind = result->kind;
    const bool everything = problems->split == DT_EVERY_TEXT;
    if (everything) {
        printf("%s at step %" PRId64 ", all %" PRId64 " problems of its domain%s%s: %" PRId64
               " wrong\n",
               of->checkpoint, of->step, all.problems, of->part ? " with " : "",
               of->part ? of->part : "", all.problems - all.right);
    } else {
        printf("%s at step %" PRId64 ", %" PRId64 " %s of the %s split\n", of->checkpoint, of->step,
               all.problems, kind->texts, dt_split_name(problems->split));
    }
    printf("loss            %.5f nats per token (perplexity %.4f)\n", t->loss / t->scored,
           exp(t->loss / t->scored));
    printf("token accuracy  %.4f %%\n", 100 * t->correct / t->scored);
    printf("exact match     %.3f %%", 100 * share_of(all.right, all.problems));
    if (kind->answers)
        printf("   (the working as well: %.3f %%)", 100 * share_of(all.text, all.problems));
    printf("\n");
    if (kind->tally_print) kind->tally_print(stdout, result->tally, everything);
}

dt_status dt_report_json(const dt_eval_result *result, const dt_eval_problems *problems,
                         const dt_report_subject *of) {
    const dt_score *t = &result->total;
    const dt_count all = result->count[0];
    printf("{\"checkpoint\":");
    dt_json_print_text(of->checkpoint);
    printf(",\"step\":%" PRId64 ",\"split\":\"%s\",\"problems\":%" PRId64
           ",\"loss\":%.17g,\"perplexity\":%.17g,\"token_accuracy\":%.17g,\"exact_match\":%.17g,"
           "\"exact_text\":%.17g",
           of->step, dt_split_name(problems->split), all.problems, t->loss / t->scored,
           exp(t->loss / t->scored), t->correct / t->scored, share_of(all.right, all.problems),
           share_of(all.text, all.problems));
    if (result->kind->tally_write) DT_TRY(result->kind->tally_write(stdout, result->tally));
    printf("}\n");
    return DT_OK;
}
