/* Fuzzes the loader of checkpoints: any file is read, or refused with a message. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dtrain/checkpoint/checkpoint.h"
#include "finite.h"
#include "hdf5_links.h"
#include "hdf5_read.h"
#include "manifest.h"
#include "schema.h"

/* A file in memory with a name, and one for the mutator. */
typedef struct {
    int file;
    char path[64];
} memory_file;
static memory_file input, scratch;

static void open_file(memory_file *memory) {
    memory->file = memfd_create("checkpoint.h5", 0);
    MUST(memory->file >= 0);
    snprintf(memory->path, sizeof memory->path, "/proc/self/fd/%d", memory->file);
}

static void store(const memory_file *memory, const uint8_t *data, size_t size) {
    MUST(ftruncate(memory->file, 0) == 0);
    MUST(pwrite(memory->file, data, size, 0) == (ssize_t)size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    open_file(&input);
    open_file(&scratch);
    return 0;
}

/* All values of a quantised model are numbers. */
static void inspect_quantised(const dt_checkpoint *c) {
    MUST(c->frozen && c->layout.count == 0 && !c->m && !c->v && !c->iterate);
    for (size_t i = 0; i < c->layout.parameters; i++) {
        const dt_parameter *p = &c->layout.parameter[i];
        float *values = malloc(p->count * sizeof *values);
        MUST(values && p->frozen);
        dt_layout_values(values, c->frozen, p);
        MUST(dt_finite_count(values, p->count) == p->count);
        free(values);
    }
}

static void inspect_blocks(const dt_checkpoint *c) {
    MUST(c->weights && c->m && c->v);
    MUST(dt_finite_count(c->weights, c->layout.count) == c->layout.count);
    MUST(dt_finite_count(c->m, c->layout.count) == c->layout.count);
    MUST(dt_finite_count(c->v, c->layout.count) == c->layout.count);
    MUST(!c->iterate == !(c->config.average > 0));
    MUST(!c->iterate || dt_finite_count(c->iterate, c->layout.count) == c->layout.count);
}

/* What holds for every checkpoint that was read. */
static void inspect(const dt_checkpoint *c) {
    MUST(c->tokenizer && dt_tokenizer_size(c->tokenizer) == c->shape.V);
    MUST(dt_config_check(&c->config) == DT_OK);
    if (dt_checkpoint_is_quantised(c)) {
        inspect_quantised(c);
    } else {
        inspect_blocks(c);
    }
    MUST(c->state.step >= 0 && c->state.tokens >= 0 && c->state.seconds >= 0);
    int64_t before = -1;
    for (size_t i = 0; i < c->metrics->train_count; i++) {
        MUST(c->metrics->train[i].step > before);
        before = c->metrics->train[i].step;
    }
    MUST(before < c->state.step);
    for (size_t i = 0; i < c->metrics->history_count; i++) {
        const dt_history_row *row = &c->metrics->history[i];
        MUST(strlen(row->host) < sizeof row->host && strlen(row->changed) < sizeof row->changed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    store(&input, data, size);
    dt_checkpoint checkpoint;
    dt_verdict verdict;
    const dt_status read = dt_checkpoint_read(&checkpoint, input.path, DT_READ_ALL);
    MUST(read == DT_OK || (read == DT_ERR_DATA && strstr(dt_error_text(), input.path)));
    if (read == DT_OK) inspect(&checkpoint);
    dt_checkpoint_destroy(&checkpoint);
    /* Verifying finds a refusal in each file that reading refuses, and in no other. */
    MUST(dt_checkpoint_verify(&verdict, input.path) == DT_OK);
    MUST(verdict.faults <= DT_FAULTS_MAX);
    MUST((read != DT_OK) == (dt_verdict_refusal(&verdict) != NULL));
    dt_verdict_clear(&verdict);
    return 0;
}

/* ---- mutations that the digests do not stop ---- */

/* The text of each digest occurs once. */
static void replace(uint8_t *data, size_t size, const unsigned char *old, const char *new) {
    uint8_t *at = memmem(data, size, old, DT_DIGEST_LENGTH);
    if (at) memcpy(at, new, DT_DIGEST_LENGTH);
}

static const unsigned char *digest_of(const dt_hdf5_file *in, const dt_hdf5_object *object) {
    const dt_hdf5_attribute *digest = dt_hdf5_find_attribute(in, object, "digest");
    return digest && dt_stored_equal(digest->type, DT_TEXT(DT_DIGEST_LENGTH)) ? digest->bytes
                                                                              : NULL;
}

static void sign_datasets(uint8_t *data, size_t size) {
    dt_hdf5_file in;
    store(&scratch, data, size);
    if (dt_hdf5_open(&in, scratch.path, NULL) == DT_OK &&
        dt_hdf5_walk(&in, dt_checkpoint_group, DT_CHECKPOINT_GROUPS) == DT_OK) {
        for (size_t i = 0; i < in.objects; i++) {
            const dt_hdf5_object *object = &in.object[i];
            const unsigned char *old = object->group ? NULL : digest_of(&in, object);
            if (!old) continue;
            const dt_digest digest =
                dt_digest_of(object->size ? data + object->offset : data, object->size);
            replace(data, size, old, digest.text);
        }
    }
    dt_hdf5_close(&in);
}

static void sign_file(uint8_t *data, size_t size) {
    dt_hdf5_file in;
    dt_verdict verdict;
    store(&scratch, data, size);
    if (dt_checkpoint_verify(&verdict, scratch.path) == DT_OK && verdict.digest[0] &&
        dt_hdf5_open(&in, scratch.path, NULL) == DT_OK) {
        const unsigned char *old = digest_of(&in, &in.object[0]);
        if (old) replace(data, size, old, verdict.digest);
        dt_hdf5_close(&in);
    }
    dt_verdict_clear(&verdict);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    enum { END = 40 };
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 4 == 0 || size < 96) return size;
    for (size_t i = 0; i < 8; i++) data[END + i] = (uint8_t)(size >> 8 * i);
    if (seed % 4 > 1) {
        sign_datasets(data, size);
        sign_file(data, size);
    }
    return size;
}
