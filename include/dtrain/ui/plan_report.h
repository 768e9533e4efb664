/* Prints what a run will take. */
#ifndef DTRAIN_PLAN_REPORT_H
#define DTRAIN_PLAN_REPORT_H

#include <stdio.h>

#include "dtrain/train/forecast.h"

/* All by reference. */
typedef struct {
    const dt_trial *trial;
    const dt_forecast *forecast; /* on the ranks at hand */
    const dt_known *known;
    const dt_forecast *other; /* (others) on other ranks */
    size_t others;
    const dt_cuts *cuts; /* NULL: there is no budget */
    const char *budget;  /* "24h" */
} dt_plan_report;

/* To `out`, for people. */
void dt_plan_report_text(FILE *out, const dt_plan_report *report);

/* To `out`, what to cut and the line of options that fits. */
void dt_plan_report_cuts(FILE *out, const dt_plan_report *report);

/* One line of JSON on standard output. */
void dt_plan_report_json(const dt_plan_report *report);

#endif
