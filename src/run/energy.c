/* Adds up the energy that the ranks of a start use. */
#include "dtrain/run/energy.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/run/power.h"
#include "dtrain/run/signals.h"
#include "slurm.h"

typedef enum { BY_NOTHING, BY_COUNTERS, BY_SLURM, BY_PROCESSOR_TIME } energy_source;

static const double EVERY = 1; /* seconds between two looks at the counters */

struct dt_energy {
    dt_comm *comm;
    energy_source by;
    double watts, began;
    bool told; /* that counters are lost */

    /* With counters: */
    dt_window *window;      /* of the node: */
    _Atomic double *worked; /* (local ranks) processor seconds of each */
    dt_power power;         /* the rest is for the first rank of a node */
    double read_at;         /* dt_seconds_now() */
    double power_before;    /* joules of all processors at the last look */
    double busy_before;     /* busy seconds of all processors at the last look */
    double worked_before;   /* of the ranks: what is attributed already */
    double joules;          /* attributed to the ranks */

    dt_slurm_energy slurm; /* of rank 0 */
};

const char *dt_energy_folder(void) {
    const char *named = getenv("DTRAIN_POWERCAP");
    return named && *named ? named : "/sys/class/powercap";
}

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* DTRAIN_PROC_STAT, too, is for machines that show it elsewhere. */
static double busy_seconds(void) {
    const char *named = getenv("DTRAIN_PROC_STAT");
    return dt_power_busy_seconds(named && *named ? named : "/proc/stat");
}

static bool leads_node(const dt_energy *e) { return dt_comm_local_rank(e->comm) == 0; }
static bool leads(const dt_energy *e) { return dt_comm_rank(e->comm) == 0; }

/* ---- counters ---- */

static double worked_here(const dt_energy *e) {
    double sum = 0;
    for (size_t i = 0; i < dt_comm_local_size(e->comm); i++) sum += atomic_load(&e->worked[i]);
    return sum;
}

/* What the processors took since the last look, times the share of the ranks in their work. A rank
 * may be late with its processor time: what exceeds the work of all is attributed later. */
static void look_at_counters(dt_energy *e) {
    const double worked = worked_here(e) - e->worked_before;
    e->read_at = dt_seconds_now();
    if (e->power.lost) {
        e->joules += worked * e->watts;
        e->worked_before += worked;
        return;
    }
    const double busy = busy_seconds() - e->busy_before;
    dt_power_read(&e->power);
    if (e->power.lost || !(busy > 0)) return;
    const double own = fmin(worked, busy);
    e->joules += (e->power.joules - e->power_before) * own / busy;
    e->power_before = e->power.joules;
    e->busy_before += busy;
    e->worked_before += own;
}

static dt_status open_counters(dt_energy *e) {
    DT_TRY(dt_window_create(&e->window, e->comm, dt_comm_local_size(e->comm) * sizeof(double),
                            "processor time"));
    e->worked = dt_window_memory(e->window);
    atomic_store(&e->worked[dt_comm_local_rank(e->comm)], processor_seconds());
    DT_TRY(dt_comm_node_barrier(e->comm));
    if (!leads_node(e)) return DT_OK;
    dt_power_read(&e->power);
    e->power_before = e->power.joules;
    e->busy_before = busy_seconds();
    e->worked_before = worked_here(e);
    e->read_at = dt_seconds_now();
    return DT_OK;
}

/* ---- all sources ---- */

static dt_status choose(dt_energy *e) {
    int64_t lacks = 0, slurm = 0;
    if (leads_node(e)) {
        const bool readable = dt_power_open(&e->power, dt_energy_folder());
        lacks = !readable || isnan(busy_seconds());
    }
    DT_TRY(dt_comm_max(e->comm, &lacks));
    if (!lacks) {
        e->by = BY_COUNTERS;
        return DT_OK;
    }
    if (leads(e)) {
        dt_slurm_energy_open(&e->slurm);
        slurm = e->slurm.command[0] != '\0';
    }
    DT_TRY(dt_comm_max(e->comm, &slurm));
    e->by = slurm ? BY_SLURM : e->watts > 0 ? BY_PROCESSOR_TIME : BY_NOTHING;
    return DT_OK;
}

void dt_energy_explain(const dt_energy *e) {
    if (e->by != BY_NOTHING) return;
    dt_log_info("energy is not shown, since nothing tells it here (%s); give --watts W, what a "
                "busy core takes, to have it from processor time",
                *e->power.why ? e->power.why : "another node shows no counters");
}

dt_status dt_energy_open(dt_energy **out, dt_comm *comm, double watts, double began) {
    dt_energy *e;
    *out = NULL;
    DT_TRY(dt_comm_agree(comm, dt_memory_alloc(&e, 1, sizeof *e, "the energy meter")));
    e->comm = comm;
    e->watts = watts;
    e->began = began;
    *out = e;
    DT_TRY(choose(e));
    return e->by == BY_COUNTERS ? open_counters(e) : DT_OK;
}

void dt_energy_close(dt_energy **out) {
    dt_energy *e = *out;
    if (!e) return;
    dt_window_destroy(&e->window);
    dt_slurm_energy_close(&e->slurm);
    dt_memory_free(out);
}

static dt_energy_part part_of(const dt_energy *e) {
    return (dt_energy_part){
        .processor_seconds = processor_seconds(), .joules = e->joules, .lost = e->power.lost};
}

dt_energy_part dt_energy_note(dt_energy *e) {
    if (!e) return (dt_energy_part){0};
    if (e->by == BY_SLURM && leads(e)) dt_slurm_energy_look(&e->slurm, 0);
    if (e->by == BY_COUNTERS) {
        atomic_store(&e->worked[dt_comm_local_rank(e->comm)], processor_seconds());
        if (leads_node(e) && dt_seconds_now() - e->read_at >= EVERY) look_at_counters(e);
    }
    return part_of(e);
}

static dt_status sum_over_ranks(double *sum, dt_energy *e, double mine) {
    double *all;
    const size_t ranks = dt_comm_size(e->comm);
    DT_TRY(dt_comm_agree(e->comm, dt_memory_alloc(&all, ranks, sizeof *all, "energy of ranks")));
    const dt_status status = dt_comm_gather(e->comm, all, mine);
    *sum = 0;
    for (size_t r = 0; r < ranks; r++) *sum += all[r];
    dt_memory_free(&all);
    return status;
}

dt_status dt_energy_finish(dt_energy_part *sum, dt_energy *e, bool hurry) {
    static const double WAIT = 5; /* seconds, for Slurm */
    if (e->by == BY_SLURM && leads(e))
        dt_slurm_energy_look(&e->slurm, hurry || dt_signals_stop() ? 0 : WAIT);
    if (e->by == BY_COUNTERS) {
        atomic_store(&e->worked[dt_comm_local_rank(e->comm)], processor_seconds());
        DT_TRY(dt_comm_node_barrier(e->comm));
        if (leads_node(e)) look_at_counters(e);
    }
    const dt_energy_part mine = part_of(e);
    DT_TRY(sum_over_ranks(&sum->processor_seconds, e, mine.processor_seconds));
    DT_TRY(sum_over_ranks(&sum->joules, e, mine.joules));
    return sum_over_ranks(&sum->lost, e, mine.lost);
}

/* Said once; the first rank of another node may know why. */
static void tell_lost(dt_energy *e) {
    if (e->told) return;
    e->told = true;
    const char *why = *e->power.why ? e->power.why : "on another node";
    if (e->watts > 0) {
        dt_log_warn("energy counters can no longer be read (%s): from here on energy comes from "
                    "processor time at %g W a core",
                    why, e->watts);
    } else {
        dt_log_warn("energy counters can no longer be read (%s): from here on their energy is "
                    "missing; with --watts W it would come from processor time",
                    why);
    }
}

void dt_energy_enter(dt_history_row *row, dt_energy *e, const dt_energy_part *sum) {
    row->joules = NAN;
    row->energy_source[0] = '\0';
    if (!e) return;
    row->seconds = dt_seconds_now() - e->began;
    row->processor_seconds = sum->processor_seconds;
    char watts[40];
    snprintf(watts, sizeof watts, "processor time at %.4g W a core", e->watts);
    const bool lost = sum->lost > 0;
    if (lost) tell_lost(e);
    switch (e->by) {
    case BY_NOTHING: return;
    case BY_COUNTERS:
        row->joules = sum->joules;
        snprintf(row->energy_source, sizeof row->energy_source, "RAPL%s%s",
                 !lost          ? ""
                 : e->watts > 0 ? ", then "
                                : ", then nothing",
                 lost && e->watts > 0 ? watts : "");
        return;
    case BY_SLURM:
        row->joules = dt_slurm_energy_joules(&e->slurm);
        if (isfinite(row->joules)) snprintf(row->energy_source, sizeof row->energy_source, "Slurm");
        return;
    case BY_PROCESSOR_TIME:
        row->joules = sum->processor_seconds * e->watts;
        snprintf(row->energy_source, sizeof row->energy_source, "%s", watts);
        return;
    }
}
