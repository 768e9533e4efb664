/* The few types of values that a checkpoint holds. */
#ifndef DTRAIN_IO_STORED_H
#define DTRAIN_IO_STORED_H

#include "dtrain/core/status.h"

typedef enum {
    DT_STORED_INT64,   /* signed, little-endian */
    DT_STORED_FLOAT32, /* IEEE 754, little-endian */
    DT_STORED_FLOAT64,
    DT_STORED_UINT8, /* bytes of quantised matrices */
    DT_STORED_TEXT,  /* fixed length, padded with NUL, UTF-8 */
} dt_stored_kind;

typedef struct {
    dt_stored_kind kind;
    size_t size; /* bytes of one element */
} dt_stored_type;

#define DT_INT64 ((dt_stored_type){DT_STORED_INT64, 8})
#define DT_FLOAT32 ((dt_stored_type){DT_STORED_FLOAT32, 4})
#define DT_FLOAT64 ((dt_stored_type){DT_STORED_FLOAT64, 8})
#define DT_UINT8 ((dt_stored_type){DT_STORED_UINT8, 1})
#define DT_TEXT(length) ((dt_stored_type){DT_STORED_TEXT, (length)})

/* Rows and columns at most: scalar (rank 0), vector, matrix. */
enum { DT_STORED_RANK_MAX = 2, DT_STORED_PATH_MAX = 96 };

/* What dtrain keeps in memory is written as it stands. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "checkpoints are little-endian");

static inline bool dt_stored_equal(dt_stored_type x, dt_stored_type y) {
    return x.kind == y.kind && x.size == y.size;
}

#endif
