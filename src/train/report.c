/* Reports of a step: one row of each rank to rank 0, and the sum of them back to all. */
#include "report.h"

#include <math.h>
#include <string.h>

#include "dtrain/core/memory.h"

enum { HEAD = sizeof(dt_report) / sizeof(double) };

size_t dt_trainer_report_length(const dt_trainer *t) {
    const size_t ranks = dt_comm_size(t->s->comm);
    return HEAD + dt_round_up((size_t)t->config.shards, ranks) / ranks;
}

double *dt_trainer_report_losses(dt_trainer *t) { return t->report + HEAD; }

static const double *row_of(const dt_trainer *t, size_t rank) {
    return t->reports + rank * dt_trainer_report_length(t);
}

static dt_report report_of(const dt_trainer *t, size_t rank) {
    dt_report report;
    memcpy(&report, row_of(t, rank), sizeof report);
    return report;
}

/* In the order of the shards, which rounding depends on. */
static double add_losses(const dt_trainer *t) {
    double sum = 0;
    for (size_t rank = 0; rank < dt_comm_size(t->s->comm); rank++) {
        size_t begin, end;
        dt_shard_range(&begin, &end, (size_t)t->config.shards, dt_comm_size(t->s->comm), rank);
        const double *loss = row_of(t, rank) + HEAD;
        for (size_t i = 0; i < end - begin; i++) sum += loss[i];
    }
    return sum;
}

static double add_squares(const dt_trainer *t) {
    const size_t blocks = (t->layout.count + DT_NORM_BLOCK - 1) / DT_NORM_BLOCK;
    double square = 0;
    for (size_t i = 0; i < blocks; i++) square += t->blocks[i];
    return square;
}

/* Of all ranks of a node together. */
static uint64_t print_of(const dt_trainer *t, size_t node) {
    uint64_t print = 0;
    const size_t end = dt_comm_first_rank(t->s->comm, node + 1);
    for (size_t rank = dt_comm_first_rank(t->s->comm, node); rank < end; rank++) {
        const dt_report report = report_of(t, rank);
        uint64_t part;
        memcpy(&part, &report.print, sizeof part);
        print ^= part;
    }
    return print;
}

static bool nodes_differ(const dt_trainer *t) {
    const uint64_t first = print_of(t, 0);
    for (size_t node = 1; node < dt_comm_nodes(t->s->comm); node++) {
        if (print_of(t, node) != first) return true;
    }
    return false;
}

/* Flags and requests: the maximum. */
static void add_up(dt_report *all, const dt_trainer *t) {
    *all = (dt_report){.loss = add_losses(t), .square = add_squares(t)};
    for (size_t rank = 0; rank < dt_comm_size(t->s->comm); rank++) {
        const dt_report one = report_of(t, rank);
        all->scored += one.scored;
        all->tokens += one.tokens;
        all->stop = fmax(all->stop, one.stop);
        all->stop_after = fmax(all->stop_after, one.stop_after);
        all->checkpoint = fmax(all->checkpoint, one.checkpoint);
        all->asked = fmax(all->asked, one.asked);
        all->failed = fmax(all->failed, one.failed);
        all->energy.processor_seconds += one.energy.processor_seconds;
        all->energy.joules += one.energy.joules;
        all->energy.lost += one.energy.lost;
        all->arrived = fmax(all->arrived, one.arrived);
    }
    all->print = t->divided && nodes_differ(t);
}

dt_status dt_trainer_report(dt_trainer *t, dt_report *all, const dt_report *mine) {
    dt_comm *comm = t->s->comm;
    memcpy(t->report, mine, sizeof *mine);
    DT_TRY(dt_comm_gather_rows(comm, t->reports, t->report, dt_trainer_report_length(t)));
    if (dt_comm_rank(comm) == 0) add_up(all, t);
    return dt_comm_broadcast(comm, all, sizeof *all);
}
