/* Preloaded into the program by tests: makes one rank calculate wrongly in chosen steps, like
 * broken memory or a diverging run, or lose a message.
 *
 * DTRAIN_TEST_FAULT="nan RANK FROM TO": products are not a number in steps FROM … TO-1 of this
 * start. DTRAIN_TEST_FAULT="weight RANK STEP": one weight of that rank's node changes in a step.
 * DTRAIN_TEST_FAULT="message RANK STEP": the exchange at the end of a step fails on that rank.
 * DTRAIN_TEST_FAULT="memory RANK STEP": that rank gets no memory in a step, but for a
 * few bytes.
 * Steps are counted by the exchange at their end, so that there have to be two ranks.
 * DTRAIN_TEST_FAULT="share RANK N", "free RANK N", "leave RANK 0": that rank is stopped (STOP)
 * where it makes its shared window number N, counted from 0, gives it back, or leaves MPI. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <cblas.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <mpi.h>
#include <signal.h>
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

/* Whether this rank has that kind of fault at this number. */
static bool is_faulty_at(const char *kind, long number) {
    const char *text = getenv("DTRAIN_TEST_FAULT"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    char named[16];
    long which, from, to;
    if (!text || !rank) return false;
    const int read = sscanf(text, "%15s %ld %ld %ld", named, &which, &from, &to);
    if (read == 3) to = from + 1;
    return read >= 3 && strcmp(named, kind) == 0 && strtol(rank, NULL, 10) == which &&
           number >= from && number < to;
}

/* In this step. */
static bool is_faulty(const char *kind) { return is_faulty_at(kind, steps); }

void cblas_sgemm(const enum CBLAS_ORDER order, const enum CBLAS_TRANSPOSE ta,
                 const enum CBLAS_TRANSPOSE tb, const blasint m, const blasint n, const blasint k,
                 const float alpha, const float *a, const blasint lda, const float *b,
                 const blasint ldb, const float beta, float *c, const blasint ldc) {
    static void (*real)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint,
                        blasint, blasint, float, const float *, blasint, const float *, blasint,
                        float, float *, blasint);
    static bool changed;
    if (!real) find(&real, "cblas_sgemm");
    /* The forward pass multiplies by weights that are (out, in), the first ones with more rows than
     * columns; the update multiplies no such matrix. */
    if (!changed && tb == CblasTrans && n > k && is_faulty("weight")) {
        changed = true;
        *(float *)(size_t)b += 0.01f;
    }
    real(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (is_faulty("nan")) c[0] = NAN;
}

int MPI_Gather(const void *from, int count, MPI_Datatype type, void *to, int to_count,
               MPI_Datatype to_type, int root, MPI_Comm comm) {
    if (is_faulty("message")) return MPI_ERR_OTHER;
    steps++;
    return PMPI_Gather(from, count, type, to, to_count, to_type, root, comm);
}

void *aligned_alloc(size_t alignment, size_t size) {
    static void *(*real)(size_t, size_t);
    if (!real) find(&real, "aligned_alloc");
    if (size < 4096 || !is_faulty("memory")) return real(alignment, size);
    errno = ENOMEM;
    return NULL;
}

int MPI_Win_allocate_shared(MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm, void *base,
                            MPI_Win *win) {
    static long number;
    if (is_faulty_at("share", number++)) raise(SIGSTOP);
    return PMPI_Win_allocate_shared(size, unit, info, comm, base, win);
}

int MPI_Win_free(MPI_Win *win) {
    static long number;
    if (is_faulty_at("free", number++)) raise(SIGSTOP);
    return PMPI_Win_free(win);
}

int MPI_Finalize(void) {
    if (is_faulty_at("leave", 0)) raise(SIGSTOP);
    return PMPI_Finalize();
}
