/* Preloaded into the program by tests: makes one rank calculate wrongly in chosen steps, like
 * broken memory or a diverging run, or lose a message.
 *
 * DTRAIN_TEST_FAULT="nan RANK FROM TO": products are not a number in steps FROM … TO-1 of this
 * start. DTRAIN_TEST_FAULT="weight RANK STEP": one weight of that rank's node changes in a step.
 * DTRAIN_TEST_FAULT="message RANK STEP": the exchange at the end of a step fails on that rank.
 * Steps are counted by the exchange at their end, so that there have to be two ranks, and no
 * validation before. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <cblas.h>
#include <dlfcn.h>
#include <math.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long steps;

/* The real function behind a name that this file defines. */
static void find(void *function, const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    memcpy(function, &found, sizeof found);
}

/* Whether this rank has that kind of fault in this step. */
static bool is_faulty(const char *kind) {
    const char *text = getenv("DTRAIN_TEST_FAULT"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    char named[16];
    long which, from, to;
    if (!text || !rank) return false;
    const int read = sscanf(text, "%15s %ld %ld %ld", named, &which, &from, &to);
    if (read == 3) to = from + 1;
    return read >= 3 && strcmp(named, kind) == 0 && strtol(rank, NULL, 10) == which &&
           steps >= from && steps < to;
}

void cblas_sgemm(const enum CBLAS_ORDER order, const enum CBLAS_TRANSPOSE ta,
                 const enum CBLAS_TRANSPOSE tb, const blasint m, const blasint n, const blasint k,
                 const float alpha, const float *a, const blasint lda, const float *b,
                 const blasint ldb, const float beta, float *c, const blasint ldc) {
    static void (*real)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint,
                        blasint, blasint, float, const float *, blasint, const float *, blasint,
                        float, float *, blasint);
    static bool changed;
    if (!real) find(&real, "cblas_sgemm");
    /* The forward pass multiplies by weights that are (out, in). */
    if (!changed && tb == CblasTrans && is_faulty("weight")) {
        changed = true;
        *(float *)(size_t)b += 0.01f;
    }
    real(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (is_faulty("nan")) c[0] = NAN;
}

int MPI_Allgatherv(const void *from, int count, MPI_Datatype type, void *to, const int *counts,
                   const int *offsets, MPI_Datatype to_type, MPI_Comm comm) {
    /* Gradients travel between nodes in the same way, in blocks of some thousand floats. */
    int size;
    MPI_Type_size(to_type, &size);
    if (is_faulty("message")) return MPI_ERR_OTHER;
    steps += size < 1024;
    return PMPI_Allgatherv(from, count, type, to, counts, offsets, to_type, comm);
}
