/* Shows with a validation what a model of running text writes: the same text on any number of
 * ranks. */
#include "dtrain/model/sample.h"

#include "dtrain/data/pieces.h"
#include "dtrain/run/signals.h"
#include "dtrain/train/trainer.h"

/* A few lines, of which one rank draws each token while the others wait: milliseconds. */
enum { SAMPLE_TOKENS = 200 };

static bool is_due(const dt_trainer *t) {
    const dt_config *c = &t->config;
    if (t->source.kind->end || c->sample_every == 0) return false;
    return t->state.step == c->steps || t->state.step / c->eval_every % c->sample_every == 0;
}

typedef struct {
    dt_trainer *t;
    dt_pieces pieces;
} taker;

static dt_status take(void *context, const char *bytes, size_t count, bool *stop) {
    taker *to = context;
    dt_watchdog_beat(to->t->watchdog);
    *stop = dt_signals_stop() != 0;
    return dt_pieces_append(&to->t->sample, &to->pieces, bytes, count);
}

/* Rank 0 alone. */
static dt_status draw(dt_trainer *t) {
    const dt_sample_request request = {.drawing = {.temperature = DT_USUAL_TEMPERATURE,
                                                   .top_p = 1,
                                                   .seed = (uint64_t)t->config.seed,
                                                   .text = (uint32_t)t->state.step},
                                       .tokens = SAMPLE_TOKENS,
                                       .end = dt_source_end(&t->source),
                                       .slides = true};
    const dt_line nothing = dt_line_of("");
    taker to = {.t = t};
    dt_text prompt = {0};
    dt_generator *generator = NULL;
    size_t count;
    bool ended;
    dt_status status;
    DT_TRY_DONE(t->source.kind->ask(&prompt, &t->source, &nothing));
    DT_TRY_DONE(dt_generator_create(&generator, t->model, 1));
    DT_TRY_DONE(
        dt_sample(&count, &ended, generator, &request, &prompt, t->source.tokenizer, take, &to));
done:
    dt_generator_destroy(&generator);
    dt_text_destroy(&prompt);
    return status;
}

dt_status dt_trainer_sample(dt_trainer *t) {
    dt_status status = DT_OK;
    dt_text_clear(&t->sample);
    if (!is_due(t)) return DT_OK;
    /* All ranks enter as many phases, so that one that is behind is found. */
    const bool leads = dt_comm_rank(t->s->comm) == 0;
    dt_watchdog_enter(t->watchdog, leads ? DT_PHASE_WORK : DT_PHASE_WAIT, t->state.step);
    if (leads) status = draw(t);
    dt_watchdog_enter(t->watchdog, DT_PHASE_WAIT, t->state.step);
    if (leads) {
        /* A model that has diverged is no reason to stop: training may go back. */
        if (status == DT_ERR_DATA) {
            dt_text_clear(&t->sample);
            dt_error_clear();
            status = DT_OK;
        }
    }
    return dt_comm_agree(t->s->comm, status);
}
