/* Slots that hold copies of a run's state. */
#include "snapshot.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/run/writer.h"

/* The blocks of floats of a checkpoint, and the most it can have. */
enum { BLOCKS = 4 };

static void find_blocks(float **block[BLOCKS], dt_checkpoint *c) {
    float **const all[BLOCKS] = {&c->weights, &c->m, &c->v, &c->iterate};
    memcpy(block, all, sizeof all);
}

static size_t count_blocks(const dt_checkpoint *view) {
    dt_checkpoint copy = *view;
    float **block[BLOCKS];
    size_t blocks = 0;
    find_blocks(block, &copy);
    for (size_t i = 0; i < BLOCKS; i++) blocks += *block[i] != NULL;
    return blocks;
}

dt_status dt_snapshots_open(dt_snapshots *s, const dt_checkpoint *view) {
    *s = (dt_snapshots){.blocks = count_blocks(view), .count = view->layout.count};
    for (size_t i = 0; i < DT_SNAPSHOTS; i++) {
        DT_TRY(dt_memory_alloc(&s->slot[i].floats, s->blocks * s->count, sizeof(float),
                               "a snapshot of the weights"));
        dt_memory_touch(s->slot[i].floats, dt_snapshots_bytes(s));
    }
    return DT_OK;
}

void dt_snapshots_close(dt_snapshots *s) {
    for (size_t i = 0; i < DT_SNAPSHOTS; i++) {
        dt_memory_free(&s->slot[i].floats);
        dt_metrics_clear(&s->slot[i].metrics);
    }
}

size_t dt_snapshots_bytes(const dt_snapshots *s) { return s->blocks * s->count * sizeof(float); }

dt_snapshot *dt_snapshots_find(dt_snapshots *s, dt_slot_state state) {
    for (size_t i = 0; i < DT_SNAPSHOTS; i++) {
        if (s->slot[i].state == state) return &s->slot[i];
    }
    return NULL;
}

dt_snapshot *dt_snapshots_oldest(dt_snapshots *s) {
    dt_snapshot *oldest = NULL;
    for (size_t i = 0; i < DT_SNAPSHOTS; i++) {
        dt_snapshot *slot = &s->slot[i];
        if (slot->state == DT_SLOT_FILLED && (!oldest || slot->number < oldest->number))
            oldest = slot;
    }
    return oldest;
}

void dt_snapshots_lend(dt_snapshots *s) {
    for (size_t i = 0; i < DT_SNAPSHOTS; i++) {
        if (s->slot[i].state == DT_SLOT_FREE) dt_memory_release(s->slot[i].floats);
    }
}

static dt_status copy_rows(void *to, size_t *to_count, size_t *to_capacity, const void *from,
                           size_t count, size_t size) {
    DT_TRY(dt_memory_grow(to, to_capacity, count, size, "a snapshot of the metrics"));
    void *rows;
    memcpy(&rows, to, sizeof rows);
    if (count) memcpy(rows, from, count * size);
    *to_count = count;
    return DT_OK;
}

static dt_status copy_metrics(dt_metrics *to, const dt_metrics *from) {
    DT_TRY(copy_rows(&to->train, &to->train_count, &to->train_capacity, from->train,
                     from->train_count, sizeof *to->train));
    DT_TRY(copy_rows(&to->validation, &to->validation_count, &to->validation_capacity,
                     from->validation, from->validation_count, sizeof *to->validation));
    return copy_rows(&to->history, &to->history_count, &to->history_capacity, from->history,
                     from->history_count, sizeof *to->history);
}

dt_status dt_snapshot_take(dt_snapshot *s, const dt_snapshots *all, const dt_checkpoint *view) {
    float **block[BLOCKS], *to = s->floats;
    DT_REQUIRE(count_blocks(view) == all->blocks && view->layout.count == all->count,
               DT_ERR_INTERNAL,
               "the state has %zu blocks of %zu floats, and a snapshot has room for %zu of %zu",
               count_blocks(view), view->layout.count, all->blocks, all->count);
    DT_TRY(copy_metrics(&s->metrics, view->metrics));
    s->copy = *view;
    find_blocks(block, &s->copy);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (!*block[i]) continue;
        *block[i] = memcpy(to, *block[i], all->count * sizeof *to);
        to += all->count;
    }
    s->copy.metrics = &s->metrics;
    return DT_OK;
}

bool dt_snapshot_is_best(const dt_snapshot *s) {
    return s->copy.state.best_step == s->copy.state.step;
}

bool dt_snapshot_says_running(const dt_snapshot *s) {
    const dt_metrics *m = &s->metrics;
    return m->history_count &&
           strcmp(m->history[m->history_count - 1].stopped, DT_STILL_RUNNING) == 0;
}
