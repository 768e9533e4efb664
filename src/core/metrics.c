/* Keeps what a run has measured in memory, steps always rising, until a checkpoint takes it. */
#include "dtrain/core/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"

/* After a rollback the same steps are measured again: what was known about them is dropped, so that
   a curve never has two points at one step. */
#define DROP_FROM(rows, count, first)                                                              \
    do {                                                                                           \
        while ((count) > 0 && (rows)[(count)-1].step >= (first)) (count)--;                        \
    } while (0)

dt_status dt_metrics_reserve_train(dt_metrics *metrics) {
    return dt_memory_grow(&metrics->train, &metrics->train_capacity, metrics->train_count + 1,
                          sizeof *metrics->train, "training metrics");
}

dt_status dt_metrics_add_train(dt_metrics *metrics, const dt_train_row *row) {
    DROP_FROM(metrics->train, metrics->train_count, row->step);
    DT_TRY(dt_metrics_reserve_train(metrics));
    metrics->train[metrics->train_count++] = *row;
    return DT_OK;
}

dt_status dt_metrics_add_validation(dt_metrics *metrics, const dt_validation_row *row) {
    DROP_FROM(metrics->validation, metrics->validation_count, row->step);
    DT_TRY(dt_memory_grow(&metrics->validation, &metrics->validation_capacity,
                          metrics->validation_count + 1, sizeof *row, "validation metrics"));
    metrics->validation[metrics->validation_count++] = *row;
    return DT_OK;
}

dt_status dt_metrics_add_history(dt_metrics *metrics, const dt_history_row *row) {
    DT_TRY(dt_memory_grow(&metrics->history, &metrics->history_capacity, metrics->history_count + 1,
                          sizeof *row, "the history of starts"));
    metrics->history[metrics->history_count++] = *row;
    return DT_OK;
}

/* Whether the list "RAPL, Slurm" has this source. */
static bool has_source(const char *list, const char *source) {
    const size_t length = strlen(source);
    for (const char *found = list; (found = strstr(found, source)) != NULL; found += length) {
        const bool begins = found == list || found[-1] == ' ';
        if (begins && (!found[length] || found[length] == ',')) return true;
    }
    return false;
}

void dt_metrics_usage(dt_usage *usage, const dt_metrics *metrics) {
    *usage = (dt_usage){.starts = metrics->history_count};
    for (size_t i = 0; i < metrics->history_count; i++) {
        const dt_history_row *row = &metrics->history[i];
        if (isfinite(row->seconds)) {
            usage->seconds += row->seconds;
            usage->node_seconds += row->seconds * (double)row->nodes;
        }
        if (isfinite(row->processor_seconds)) usage->processor_seconds += row->processor_seconds;
        if (!row->energy_source[0] || !isfinite(row->joules)) continue;
        usage->joules += row->joules;
        usage->measured++;
        const size_t used = strlen(usage->source);
        if (!has_source(usage->source, row->energy_source))
            snprintf(usage->source + used, sizeof usage->source - used, "%s%s", used ? ", " : "",
                     row->energy_source);
    }
    if (usage->measured == 0) usage->joules = NAN;
}

void dt_metrics_clear(dt_metrics *metrics) {
    dt_memory_free(&metrics->train);
    dt_memory_free(&metrics->validation);
    dt_memory_free(&metrics->history);
    *metrics = (dt_metrics){0};
}
