/* How much memory a run takes, before it allocates any. */
#ifndef DTRAIN_FOOTPRINT_H
#define DTRAIN_FOOTPRINT_H

#include "dtrain/model/model.h"

/* Bytes, by what they are for. */
typedef struct {
    double state;       /* of a node: weights, their average, moments */
    double gradients;   /* of a rank: partial sums that it stores at once, in the node's window */
    double activations; /* of a rank: of one forward and backward pass, and their gradients */
    double packed;      /* of a rank: weights as the kernels read them */
    double scratch;     /* of a rank: for the update of its largest matrix */
    double snapshots;   /* of rank 0: copies that checkpoints are written from */
    double libraries;   /* of a rank: the program, MPI, BLAS */
} dt_footprint;

/* Where the ranks of a run are. */
typedef struct {
    size_t ranks, local; /* in all, and on the node that has most of them */
} dt_footprint_ranks;

/**
 * What a run with these settings takes.
 *
 * @param layout  of the shape
 * @param config  its micro-batch is a number, not 0
 */
dt_footprint dt_footprint_of(const dt_config *config, const dt_model_shape *shape,
                             const dt_layout *layout, const dt_footprint_ranks *ranks);

/* Of the node with rank 0. */
double dt_footprint_node(const dt_footprint *footprint, const dt_footprint_ranks *ranks);

/* "weights, averages and moments 9.9 MB, gradients 2 x 9.9 MB, …" */
void dt_footprint_text(char *text, size_t size, const dt_footprint *footprint,
                       const dt_footprint_ranks *ranks);

/* The most texts of a pass with these settings, and the most tokens that the model has room for. */
size_t dt_footprint_texts(const dt_config *config);
size_t dt_footprint_tokens(const dt_config *config, const dt_model_shape *shape);

#endif
