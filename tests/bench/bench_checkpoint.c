/* How long training waits for a background checkpoint, compared with memcpy of the same bytes, and
 * how long it takes until the checkpoint is on disk. Uses the writer of training.
 *
 * build/bench_checkpoint [-r REPETITIONS] [-m LARGEST] [-d FOLDER] [-j] LARGEST: millions of
 * parameters; -j prints one JSON object a line. Medians. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/arithmetic/format.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/writer.h"

typedef struct {
    size_t repetitions;
    long largest; /* millions of parameters */
    const char *folder;
    bool json;
} options;

/* Models of about 1, 10 and 50 million parameters. */
static const struct {
    int64_t layers, width, heads;
} MODEL[] = {{5, 128, 4}, {8, 320, 8}, {16, 512, 8}};
enum { MODELS = sizeof MODEL / sizeof *MODEL, STEPS = 1000, MOST = 1000, WIPE = 1 << 26 };
enum { BLOCKS = 4 }; /* of floats: weights, m, v and iterate */

/* A state to be written, and room for a plain copy of it. */
typedef struct {
    dt_checkpoint checkpoint;
    dt_metrics metrics;
    float *floats, *copy; /* (BLOCKS, layout.count) */
    char *wiper;          /* (WIPE) */
} scene;

static void view_scene(dt_checkpoint *view, void *context) {
    const scene *s = context;
    *view = s->checkpoint;
}

static dt_status fill_metrics(dt_metrics *metrics) {
    for (int64_t step = 0; step < STEPS; step++) {
        const dt_train_row row = {.step = step, .loss = 1, .lr = 1, .grad_norm = 1};
        DT_TRY(dt_metrics_add_train(metrics, &row));
    }
    const dt_history_row start = {.ranks = 1, .nodes = 1, .stopped = DT_STILL_RUNNING};
    return dt_metrics_add_history(metrics, &start);
}

static dt_status open_scene(scene *s, const options *o, size_t model) {
    dt_checkpoint *c = &s->checkpoint;
    dt_config_defaults(&c->config);
    snprintf(c->config.out, sizeof c->config.out, "%s", o->folder);
    c->config.layers = MODEL[model].layers;
    c->config.width = MODEL[model].width;
    c->config.heads = MODEL[model].heads;
    c->config.keep = 1;
    c->state = (dt_run_state){.step = STEPS, .best = -1, .best_step = -1};
    DT_TRY(
        dt_tokenizer_create(&c->tokenizer, (dt_format)c->config.format, (dt_marks)c->config.marks));
    DT_TRY(dt_model_shape_from(&c->shape, &c->config, dt_tokenizer_size(c->tokenizer)));
    DT_TRY(dt_layout_create(&c->layout, &c->shape));
    c->config.context = (int64_t)c->shape.T;
    c->config.places = (int64_t)c->shape.P - 1;
    const size_t count = c->layout.count;
    DT_TRY(dt_memory_alloc(&s->floats, BLOCKS * count, sizeof *s->floats, "the state"));
    DT_TRY(dt_memory_alloc(&s->copy, BLOCKS * count, sizeof *s->copy, "a copy"));
    DT_TRY(dt_memory_alloc(&s->wiper, WIPE, 1, "memory to clear the caches with"));
    memset(s->copy, 0, BLOCKS * count * sizeof *s->copy);
    dt_random_normal(s->floats, BLOCKS * count, 1, 1, DT_RANDOM_TEST, 0);
    c->weights = s->floats;
    c->m = s->floats + count;
    c->v = s->floats + 2 * count;
    c->iterate = s->floats + 3 * count;
    c->metrics = &s->metrics;
    return fill_metrics(&s->metrics);
}

static void close_scene(scene *s) {
    dt_memory_free(&s->floats);
    dt_memory_free(&s->copy);
    dt_memory_free(&s->wiper);
    dt_metrics_clear(&s->metrics);
    dt_layout_destroy(&s->checkpoint.layout);
    dt_tokenizer_destroy(&s->checkpoint.tokenizer);
}

/* The caches as an update leaves them: the state has just been written from its first byte to its
 * last; the copy has not been used for a long time. */
static void touch(scene *s) {
    memset(s->wiper, (int)(s->checkpoint.state.step & 127), WIPE);
    for (size_t i = 0; i < BLOCKS * s->checkpoint.layout.count; i++) s->floats[i] += 1e-6f;
    s->checkpoint.state.step++;
}

/* Seconds of each repetition: of the copy, of the wait, and then until it is on disk. */
typedef struct {
    double copy[MOST], wait[MOST], write[MOST];
} times;

static dt_status measure(times *t, scene *s, dt_writer *w, size_t repetitions) {
    const size_t bytes = BLOCKS * s->checkpoint.layout.count * sizeof *s->floats;
    for (size_t i = 0; i < repetitions; i++) {
        touch(s);
        double start = dt_seconds_now();
        memcpy(s->copy, s->floats, bytes);
        t->copy[i] = dt_seconds_now() - start;

        touch(s);
        const double before = dt_writer_wait_seconds(w);
        bool accepted;
        DT_TRY(dt_writer_submit(w, false, &accepted));
        DT_REQUIRE(accepted, DT_ERR_INTERNAL, "an idle writer has not accepted a checkpoint");
        t->wait[i] = dt_writer_wait_seconds(w) - before;
        start = dt_seconds_now();
        DT_TRY(dt_writer_drain(w));
        t->write[i] = dt_seconds_now() - start;
    }
    return DT_OK;
}

static void report(const options *o, const scene *s, times *t) {
    const double copy = median(t->copy, o->repetitions), wait = median(t->wait, o->repetitions);
    const double written = median(t->write, o->repetitions);
    const double slowest = t->write[o->repetitions - 1];
    const double bytes = 12.0 * (double)s->checkpoint.layout.count;
    printf(o->json ? "{\"parameters\":%zu,\"bytes\":%.0f,\"memcpy_seconds\":%.6f,\"wait_seconds\":"
                     "%.6f,\"ratio\":%.3f,\"write_seconds\":%.6f,\"slowest_write_seconds\":%.6f}\n"
                   : "%9zu parameters %6.1f MB: memcpy %.6f s, training waits %.6f s (%.2f "
                     "times), on disk %.3f s later (slowest %.3f s)\n",
           s->checkpoint.layout.weights, o->json ? bytes : bytes / 1e6, copy, wait, wait / copy,
           written, slowest);
    fflush(stdout);
}

static dt_status contest(const options *o, size_t model) {
    scene s = {0};
    dt_writer *w = NULL;
    times *t = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&t, 1, sizeof *t, "times"));
    DT_TRY_DONE(open_scene(&s, o, model));
    DT_TRY_DONE(dt_writer_open(&w, view_scene, &s));
    DT_TRY_DONE(measure(t, &s, w, o->repetitions));
    report(o, &s, t);
done:
    dt_writer_close(&w);
    close_scene(&s);
    dt_memory_free(&t);
    return status;
}

/* Removes all that the runs have left in the folder. */
static void clean(const char *folder) {
    int64_t *steps = NULL;
    size_t count = 0;
    char path[DT_PATH_MAX];
    if (dt_run_checkpoints(&steps, &count, folder) != DT_OK) return;
    for (size_t i = 0; i < count; i++) {
        if (dt_run_checkpoint_path(path, sizeof path, folder, steps[i]) == DT_OK) unlink(path);
    }
    dt_memory_free(&steps);
    snprintf(path, sizeof path, "%s/latest.h5", folder);
    unlink(path);
    rmdir(folder);
}

int main(int argc, char **argv) {
    options o = {.repetitions = 11, .largest = 50, .folder = "bench_checkpoint.run"};
    int option;
    while ((option = getopt(argc, argv, "r:m:d:j")) != -1) {
        if (option == 'r') o.repetitions = strtoul(optarg, NULL, 10);
        if (option == 'm') o.largest = strtol(optarg, NULL, 10);
        if (option == 'd') o.folder = optarg;
        if (option == 'j') o.json = true;
        if (option == '?') return 64;
    }
    if (o.repetitions < 1) o.repetitions = 1;
    if (o.repetitions > MOST) o.repetitions = MOST;
    static const long MILLIONS[MODELS] = {1, 10, 50};
    dt_status status = dt_run_folder_open(o.folder);
    for (size_t i = 0; i < MODELS && status == DT_OK; i++) {
        if (MILLIONS[i] <= o.largest) status = contest(&o, i);
        clean(o.folder);
        if (i + 1 < MODELS && status == DT_OK) status = dt_run_folder_open(o.folder);
    }
    if (status != DT_OK) fprintf(stderr, "bench_checkpoint: %s\n", dt_error_text());
    return dt_status_exit_code(status);
}
