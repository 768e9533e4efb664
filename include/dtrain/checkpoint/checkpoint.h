/* One HDF5 file that holds all of a run: weights, optimizer, metrics, history, state. Schema:
 * io/README.md. */
#ifndef DTRAIN_CHECKPOINT_H
#define DTRAIN_CHECKPOINT_H

#include "dtrain/core/metrics.h"
#include "dtrain/model/model.h"

/* What a resume needs in addition to weights, moments and metrics. */
typedef struct {
    int64_t step;   /* updates made */
    int64_t tokens; /* trained on so far */
    int64_t problems;
    double seconds;    /* of training so far, over all starts */
    double best;       /* best value of the metric on the validation split */
    int64_t best_step; /* -1: none yet */
    int64_t stale;     /* validations since then */
    int64_t skipped;   /* updates left out because something was not finite */
    int64_t rollbacks; /* returns to an earlier checkpoint: shifts the training data */
} dt_run_state;

/* A checkpoint in memory. The tensors are given by reference when writing, and belong to the
 * checkpoint when read. */
typedef struct {
    dt_config config;
    dt_model_shape shape;
    dt_layout layout; /* of each block */
    dt_tokenizer *tokenizer;
    /* Flat blocks of layout.count elements, of what is trained. Read for their weights alone, the
       others are NULL. */
    float *weights; /* the model */
    float *m, *v;
    /* What is frozen: (layout.frozen_bytes). Beside adapters, dt_base_read has read it from the
       base; of a quantised model it is all of the weights. NULL: not read yet, or nothing is. */
    void *frozen;
    char digest[33]; /* of the file that was read */
    float *iterate;  /* where weights are averages: those that training continues with; else NULL */
    dt_metrics *metrics;
    dt_run_state state;
} dt_checkpoint;

/**
 * Write a checkpoint so that `path` is always either the old file or the whole new one:
 * temporary name in the same folder, close, fsync, reopen and verify, rename, fsync the folder.
 *
 * @return DT_ERR_CREATE, DT_ERR_IO (the temporary file is removed), DT_ERR_DATA for weights that
 * are not finite. Collective: no; rank 0 calls it.
 */
dt_status dt_checkpoint_write(const char *path, const dt_checkpoint *checkpoint);

/* Called now and then while a file is written: whether the file is no longer wanted. */
typedef bool dt_checkpoint_needless(void);

/* The same, but gives up when the file is needless, and leaves the old one.
 *
 * @return as dt_checkpoint_write; DT_ERR_STOPPED: it was needless
 */
dt_status dt_checkpoint_write_unless(const char *path, const dt_checkpoint *checkpoint,
                                     dt_checkpoint_needless *needless);

/* Bytes by which a checkpoint with these settings grows for each step, and for each validation. */
size_t dt_checkpoint_step_bytes(const dt_config *config);
size_t dt_checkpoint_validation_bytes(const dt_config *config);

typedef enum { DT_READ_SUMMARY, DT_READ_TRAINED, DT_READ_WEIGHTS, DT_READ_ALL } dt_read_depth;

/**
 * Read and verify. SUMMARY: configuration, tokenizer, state, metrics; WEIGHTS: also /weights;
 * TRAINED: of these what is not frozen; ALL: also the moments.
 *
 * @param[out] checkpoint  zeroed before; dt_checkpoint_destroy it, also after an error
 * @return DT_ERR_NO_INPUT: no such file; DT_ERR_DATA: not HDF5, not ours, truncated, of a newer
 * format, damaged: names the file and the part Collective: no.
 */
dt_status dt_checkpoint_read(dt_checkpoint *checkpoint, const char *path, dt_read_depth depth);
void dt_checkpoint_destroy(dt_checkpoint *checkpoint);

/* Whether an adapter's weights alone are in the file: the others are in its base. */
bool dt_checkpoint_is_adapter(const dt_checkpoint *checkpoint);

/* Whether it is a model with matrices in 8 or 4 bits, which only evaluation and generation take. */
bool dt_checkpoint_is_quantised(const dt_checkpoint *checkpoint);

/* DT_ERR_ARG: it is one, and what it is for needs a model in float32. */
dt_status dt_checkpoint_expect_floats(const dt_checkpoint *checkpoint, const char *path);

/* Turn a whole model into one with matrices of that type; the rest stays float32. It has no
 * moments. DT_ERR_ARG: the blocks do not fit its width. */
dt_status dt_checkpoint_quantise(dt_checkpoint *checkpoint, dt_element element);

/**
 * Read the base of an adapter, and keep its weights as `frozen`; does nothing for other
 * checkpoints.
 *
 * @param path  of the adapter's file; the base is looked for where that says, as base.h5 in the
 *   same folder, and by its own name there and in the folder above
 * @return DT_ERR_NO_INPUT: there is no base; DT_ERR_DATA: it is another one, by its digest
 */
dt_status dt_base_read(dt_checkpoint *checkpoint, const char *path);

/* Where the base is. The file there may still be another one. Errors as above. */
dt_status dt_base_find(char *base, size_t size, const dt_config *config, const char *path);

/* Let a run begin with adapters for this checkpoint: sets `base` and `base_digest`.
 * DT_ERR_ARG: the checkpoint is an adapter itself. */
dt_status dt_base_name(dt_config *config, const dt_checkpoint *base, const char *path);

/* Turn an adapter whose base was read into an ordinary model with W + alpha / rank b a; its moments
 * are those of the adapter's run no more. DT_ERR_DATA: a sum is not finite. */
dt_status dt_base_merge(dt_checkpoint *checkpoint);

/* Moments, metrics and state as they are at the begin of a run with these weights. */
dt_status dt_checkpoint_begin(dt_checkpoint *checkpoint);

/* Whether its model reads problems as this dtrain writes them: its tokens may differ in
 * the dtrain that wrote the file, which is DT_ERR_DATA. */
dt_status dt_checkpoint_check_vocabulary(const dt_checkpoint *checkpoint, const char *path);

/* One thing that is wrong with a checkpoint. */
typedef struct {
    char part[192]; /* "/weights/tok_embed", "/state: attribute best" */
    char what[512];
    bool others; /* dtrain reads the file all the same, and other readers of HDF5 do not */
} dt_fault;

/* Faults that are named; at this number the check ends. */
enum { DT_FAULTS_MAX = 100 };

/* What dt_checkpoint_verify has checked and found. */
typedef struct {
    int64_t step;    /* -1: it cannot be told */
    char digest[33]; /* of the whole file, as computed again; "": it cannot be */
    size_t datasets, attributes;
    uint64_t bytes; /* of the file */
    dt_fault *fault;
    size_t faults, fault_capacity;
    dt_fault *remark; /* not wrong, but not of dtrain: attributes that people have added to / */
    size_t remarks, remark_capacity;
} dt_verdict;

/**
 * Read all of a file as dt_checkpoint_read does, but go on after a fault where that makes sense,
 * so that all of them are named: digests, types, shapes, values that are not finite, columns of
 * different length, steps that do not rise, and contradictions.
 *
 * @param[out] verdict  zeroed before; dt_verdict_clear it, also after an error. No faults: the file
 * is whole. dt_checkpoint_read takes it unless there are faults that count for dtrain.
 * @return DT_OK also for a damaged file; DT_ERR_NO_INPUT: no such file. Takes no more memory than
 * the largest tensor and the metrics need. Collective: no.
 */
dt_status dt_checkpoint_verify(dt_verdict *verdict, const char *path);
void dt_verdict_clear(dt_verdict *verdict);

/* The first fault for which dtrain refuses the file; NULL: there is none. */
const dt_fault *dt_verdict_refusal(const dt_verdict *verdict);

#endif
