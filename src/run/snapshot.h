/* Copies of a run's state, which are written while the state itself changes. */
#ifndef DTRAIN_SNAPSHOT_H
#define DTRAIN_SNAPSHOT_H

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/run/writer.h"

typedef enum {
    DT_SLOT_FREE,
    DT_SLOT_FILLED, /* waits to be written */
    DT_SLOT_BUSY,   /* is being filled or written */
    DT_SLOT_SHADOW, /* the last completed step, while an update changes the state */
} dt_slot_state;

/* One slot. */
typedef struct {
    dt_slot_state state;
    dt_checkpoint copy; /* its arrays belong to the slot; its layout and tokenizer to the run */
    dt_metrics metrics;
    float *floats;  /* (blocks, count) */
    int64_t number; /* order of submission */
} dt_snapshot;

/* All slots. Threads that share them need a lock. */
typedef struct {
    size_t blocks,
        count; /* blocks of floats that the state has, and floats of each: layout.count */
    dt_snapshot slot[DT_SNAPSHOTS];
} dt_snapshots;

/* Allocate all memory now: later there may be none left, and the first access to a page takes
 * longer than copying it. DT_ERR_MEMORY. Call dt_snapshots_close, also after an error. */
dt_status dt_snapshots_open(dt_snapshots *s, const dt_checkpoint *view);
void dt_snapshots_close(dt_snapshots *s);

/* Bytes of the floats of one snapshot. */
size_t dt_snapshots_bytes(const dt_snapshots *s);

/* A slot in this state; NULL if there is none. */
dt_snapshot *dt_snapshots_find(dt_snapshots *s, dt_slot_state state);

/* The filled slot that was submitted first. */
dt_snapshot *dt_snapshots_oldest(dt_snapshots *s);

/* Return the memory of the free slots to the system until they are filled again. */
void dt_snapshots_lend(dt_snapshots *s);

/* Copy a state, which must have the same blocks as when the slots were opened. DT_ERR_MEMORY. */
dt_status dt_snapshot_take(dt_snapshot *s, const dt_snapshots *all, const dt_checkpoint *view);

/* Whether it is the best model so far. */
bool dt_snapshot_is_best(const dt_snapshot *s);

/* Whether it was taken while the run did not yet know why it stops. */
bool dt_snapshot_says_running(const dt_snapshot *s);

#endif
