/* Prints what an evaluation has found. */
#include "dtrain/ui/report.h"

#include <inttypes.h>
#include <math.h>

#include "dtrain/core/json.h"
#include "perplexity.h"

static double share_of(int64_t part, int64_t whole) { return (double)part / (double)whole; }

void dt_report_text(const dt_eval_result *result, const dt_eval_problems *problems,
                    const dt_report_subject *of) {
    const dt_score *t = &result->total;
    const dt_count all = result->count[0];
    const dt_source_kind *kind = result->kind;
    const bool everything = problems->split == DT_EVERY_TEXT;
    if (of->text) {
        printf("%s at step %" PRId64 ", %" PRId64 " %s of %s: %.0f tokens, %" PRIu64 " bytes\n",
               of->checkpoint, of->step, all.problems, kind->texts, of->text, t->scored,
               result->bytes);
    } else if (everything) {
        printf("%s at step %" PRId64 ", all %" PRId64 " problems of its domain%s%s: %" PRId64
               " wrong\n",
               of->checkpoint, of->step, all.problems, of->part ? " with " : "",
               of->part ? of->part : "", all.problems - all.right);
    } else {
        printf("%s at step %" PRId64 ", %" PRId64 " %s of the %s split\n", of->checkpoint, of->step,
               all.problems, kind->texts, dt_split_name(problems->split));
    }
    char perplexity[DT_PERPLEXITY_SIZE];
    printf("loss            %.5f nats per token (perplexity %s)\n", t->loss / t->scored,
           dt_perplexity_text(perplexity, 4, exp(t->loss / t->scored)));
    if (kind->bits_per_byte) printf("bits per byte   %.5f\n", dt_eval_bits_per_byte(result));
    printf("token accuracy  %.4f %%\n", 100 * t->correct / t->scored);
    if (!result->answers) return;
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
    char number[5][DT_JSON_NUMBER];
    const double loss = t->loss / t->scored;
    printf("{\"checkpoint\":");
    dt_json_print_text(of->checkpoint);
    if (of->text) {
        printf(",\"text\":");
        dt_json_print_text(of->text);
        printf(",\"tokens\":%.0f,\"bytes\":%" PRIu64, t->scored, result->bytes);
    }
    printf(",\"step\":%" PRId64 ",\"split\":\"%s\",\"problems\":%" PRId64
           ",\"loss\":%s,\"perplexity\":%s,\"token_accuracy\":%s,\"exact_match\":%s,"
           "\"exact_text\":%s",
           of->step, dt_split_name(problems->split), all.problems,
           dt_json_number(number[0], 17, loss), dt_json_number(number[1], 17, exp(loss)),
           dt_json_number(number[2], 17, t->correct / t->scored),
           dt_json_number(number[3], 17, share_of(all.right, all.problems)),
           dt_json_number(number[4], 17, share_of(all.text, all.problems)));
    if (result->kind->bits_per_byte)
        printf(",\"bits_per_byte\":%s",
               dt_json_number(number[0], 17, dt_eval_bits_per_byte(result)));
    if (result->kind->tally_write) DT_TRY(result->kind->tally_write(stdout, result->tally));
    printf("}\n");
    return DT_OK;
}
