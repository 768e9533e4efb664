/* Reads log.jsonl line by line. */
#include "dtrain/picture/run_log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/core/json_read.h"
#include "dtrain/core/memory.h"

typedef struct {
    dt_run_log *log;
    dt_metrics *metrics;
    int64_t last;
} reading;

static bool is_event(const dt_json *json, const char *name) {
    const dt_json_value *event = dt_json_member(json, json->value, "event");
    return event && event->text && event->length == strlen(name) &&
           memcmp(event->text, name, event->length) == 0;
}

/* The checkpoint has the loss that belongs to the bits: a branch that was given up has another. */
static void take_bits(const reading *r, const dt_json *json, int64_t step) {
    const dt_json_value *bits = dt_json_member(json, json->value, "bits_per_byte");
    const dt_json_value *loss = dt_json_member(json, json->value, "loss");
    if (!bits || bits->kind != DT_JSON_IS_NUMBER || !loss || loss->kind != DT_JSON_IS_NUMBER)
        return;
    for (size_t i = 0; i < r->metrics->validation_count; i++) {
        dt_validation_row *row = &r->metrics->validation[i];
        if (row->step == step && fabs(row->loss - loss->number) <= 1e-6 * fabs(row->loss))
            row->bits_per_byte = bits->number;
    }
}

/* Steps always rise: what came before of the same or later ones was given up. */
static dt_status take_sample(const reading *r, const dt_json *json, int64_t step) {
    dt_run_log *log = r->log;
    const dt_json_value *text = dt_json_member(json, json->value, "text");
    while (log->samples > 0 && log->sample[log->samples - 1].step >= step)
        dt_memory_free(&log->sample[--log->samples].text);
    if (!text || !text->text || step > r->last) return DT_OK;
    DT_TRY(dt_memory_grow(&log->sample, &log->capacity, log->samples + 1, sizeof *log->sample,
                          "samples"));
    log->sample[log->samples] = (dt_run_sample){.step = step};
    DT_TRY(dt_json_text(&log->sample[log->samples].text, text));
    log->samples++;
    return DT_OK;
}

static dt_status take_line(const reading *r, const char *line) {
    dt_json json;
    dt_status status = dt_json_parse(&json, line, "log.jsonl");
    if (status == DT_ERR_DATA) {
        dt_error_clear();
        status = DT_OK;
        goto done;
    }
    if (status != DT_OK) goto done;
    const dt_json_value *step = dt_json_member(&json, json.value, "step");
    if (!step || step->kind != DT_JSON_IS_NUMBER || !(fabs(step->number) < 1e15)) goto done;
    if (is_event(&json, "validation")) take_bits(r, &json, (int64_t)step->number);
    if (is_event(&json, "sample")) status = take_sample(r, &json, (int64_t)step->number);
done:
    dt_json_destroy(&json);
    return status;
}

dt_status dt_run_log_read(dt_run_log *log, dt_metrics *metrics, const char *folder, int64_t last) {
    char path[DT_PATH_MAX], *line = NULL;
    size_t size = 0;
    dt_status status = DT_OK;
    *log = (dt_run_log){0};
    for (size_t i = 0; i < metrics->validation_count; i++)
        metrics->validation[i].bits_per_byte = NAN;
    const int length = snprintf(path, sizeof path, "%s/log.jsonl", folder);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file) return DT_OK;
    const reading r = {log, metrics, last};
    while (status == DT_OK && getline(&line, &size, file) > 0) {
        /* Most lines are of steps, which are not needed. */
        if (strncmp(line, "{\"event\":\"step\"", strlen("{\"event\":\"step\"")) != 0)
            status = take_line(&r, line);
    }
    free(line);
    fclose(file);
    return status;
}

void dt_run_log_destroy(dt_run_log *log) {
    while (log->samples > 0) dt_memory_free(&log->sample[--log->samples].text);
    dt_memory_free(&log->sample);
    *log = (dt_run_log){0};
}
