/* Creates checkpoints for the tests, and compares them. */
#include "fixture.h"

#include "dtrain/arithmetic/format.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"

static void must(dt_status status) {
    if (status == DT_OK) return;
    fprintf(stderr, "fixture: %s\n", dt_error_text());
    exit(99);
}

static void fill_metrics(dt_metrics *metrics, int64_t steps) {
    for (int64_t i = 0; i < steps; i++) {
        const dt_train_row row = {.step = i,
                                  .loss = 2.0 / (1.0 + 0.1 * (double)i),
                                  .lr = 1e-3 * (double)i / 7,
                                  .grad_norm = 1.0 / 3,
                                  .tokens = 1000 + i,
                                  .seconds = 0.25};
        must(dt_metrics_add_train(metrics, &row));
    }
    for (int64_t i = 1; i <= 3; i++) {
        const dt_validation_row row = {.step = i * steps / 3,
                                       .loss = 1.0 / (double)i,
                                       .perplexity = exp(1.0 / (double)i),
                                       .token_accuracy = 0.5,
                                       .exact_match = 0.25 * (double)i,
                                       .exact_match_of = {0.5, 0.25, 0.125, NAN},
                                       .seconds = 0.5};
        must(dt_metrics_add_validation(metrics, &row));
    }
    const dt_history_row first = {.ranks = 4,
                                  .nodes = 1,
                                  .host = "node1",
                                  .time = "2026-01-31T12:00:00Z",
                                  .stopped = "signal TERM",
                                  .seconds = 3,
                                  .processor_seconds = 10,
                                  .joules = 250,
                                  .energy_source = "RAPL"};
    const dt_history_row second = {.step = steps / 2,
                                   .ranks = 3,
                                   .nodes = 2,
                                   .host = "n\xc3\xb6"
                                           "de2",
                                   .time = "2026-02-01T12:00:00Z",
                                   .stopped = "running",
                                   .changed = "lr 0.002 -> 0.001",
                                   .seconds = NAN,
                                   .processor_seconds = NAN,
                                   .joules = NAN};
    must(dt_metrics_add_history(metrics, &first));
    must(dt_metrics_add_history(metrics, &second));
}

void fixture_create(dt_checkpoint *checkpoint, fixture_size size) {
    memset(checkpoint, 0, sizeof *checkpoint);
    dt_config *config = &checkpoint->config;
    dt_config_defaults(config);
    config->width = (int64_t)size.width;
    config->layers = (int64_t)size.layers;
    config->heads = 2;
    config->steps = 2000;
    config->digits = 2;
    config->lr = 1.0 / 3;
    config->checkpoint_every = (dt_cadence){.seconds = 600};
    must(dt_tokenizer_create(&checkpoint->tokenizer, (dt_format)config->format,
                             (dt_marks)config->marks));
    must(dt_model_shape_from(&checkpoint->shape, config, dt_tokenizer_size(checkpoint->tokenizer)));
    must(dt_layout_create(&checkpoint->layout, &checkpoint->shape));
    float **const block[] = {&checkpoint->weights, &checkpoint->m, &checkpoint->v,
                             &checkpoint->iterate};
    for (uint32_t b = 0; b < 4; b++) {
        const dt_layout *layout = &checkpoint->layout;
        must(dt_memory_alloc(block[b], layout->count, sizeof(float), "tensors"));
        for (size_t i = 0; i < layout->parameters; i++) {
            dt_random_normal(*block[b] + layout->parameter[i].offset, layout->parameter[i].count,
                             0.02, size.seed + b, DT_RANDOM_TEST, (uint32_t)i);
        }
    }
    must(dt_memory_alloc(&checkpoint->metrics, 1, sizeof *checkpoint->metrics, "metrics"));
    fill_metrics(checkpoint->metrics, size.steps);
    checkpoint->state = (dt_run_state){.step = size.steps,
                                       .tokens = 12345,
                                       .problems = 678,
                                       .seconds = 90.125,
                                       .best = 0.75,
                                       .best_step = size.steps / 3};
}

static bool same(const char *what, bool equal) {
    if (!equal) fprintf(stderr, "%s: differs\n", what);
    return equal;
}

static bool same_bytes(const char *what, const void *x, const void *y, size_t size) {
    return same(what, (!x && !y) || (x && y && memcmp(x, y, size) == 0) || size == 0);
}

/* Compares the stored settings; those of the machine are not stored. */
static bool same_config(const dt_config *x, const dt_config *y) {
    char *a = NULL, *b = NULL;
    must(dt_config_format(&a, x, true));
    must(dt_config_format(&b, y, true));
    const bool equal = same("config", strcmp(a, b) == 0);
    dt_memory_free(&a);
    dt_memory_free(&b);
    return equal;
}

static bool same_metrics(const dt_metrics *x, const dt_metrics *y) {
    return same("rows", x->train_count == y->train_count &&
                            x->validation_count == y->validation_count &&
                            x->history_count == y->history_count) &&
           same_bytes("train", x->train, y->train, x->train_count * sizeof *x->train) &&
           same_bytes("validation", x->validation, y->validation,
                      x->validation_count * sizeof *x->validation) &&
           same_bytes("history", x->history, y->history, x->history_count * sizeof *x->history);
}

bool fixture_equal(const dt_checkpoint *x, const dt_checkpoint *y) {
    const size_t bytes = x->layout.count * sizeof(float);
    return same("elements", x->layout.count == y->layout.count) &&
           same_config(&x->config, &y->config) &&
           same_bytes("shape", &x->shape, &y->shape, sizeof x->shape) &&
           same("tokenizer", dt_tokenizer_equal(x->tokenizer, y->tokenizer)) &&
           same_bytes("state", &x->state, &y->state, sizeof x->state) &&
           same_bytes("weights", x->weights, y->weights, bytes) &&
           same_bytes("m", x->m, y->m, bytes) && same_bytes("v", x->v, y->v, bytes) &&
           same_bytes("iterate", x->iterate, y->iterate, bytes) &&
           same_metrics(x->metrics, y->metrics);
}

void fixture_folder(char folder[256]) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, 256, "%s/dtrain-io-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) exit(99);
}

/* Calls `use`, if given, for each name in a folder; returns their number. */
static size_t each_file(const char *folder, void (*use)(const char *path)) {
    size_t count = 0;
    DIR *entries = opendir(folder);
    if (!entries) return 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        char path[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (use) use(path);
        count++;
    }
    closedir(entries);
    return count;
}

static void remove_any(const char *path) { remove(path); }

void fixture_remove(const char *folder) {
    each_file(folder, remove_any);
    rmdir(folder);
}

size_t fixture_files(const char *folder) { return each_file(folder, NULL); }

unsigned char *fixture_load(size_t *size, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) exit(99);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size) exit(99);
    fclose(file);
    return bytes;
}

void fixture_store(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) exit(99);
}
