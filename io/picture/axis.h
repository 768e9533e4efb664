/* Ranges and ticks of axes that people read easily. */
#ifndef DTRAIN_IO_AXIS_H
#define DTRAIN_IO_AXIS_H

#include <stdbool.h>
#include <stddef.h>

/* Ticks of an axis, and characters of a label, at most. */
enum { DT_TICKS_MAX = 16, DT_LABEL_MAX = 8 };

typedef struct {
    double low, high; /* low < high; both > 0 if logarithmic */
    bool logarithmic;
    struct {
        double value;
        char label[2 * DT_LABEL_MAX];
    } tick[DT_TICKS_MAX];
    size_t ticks;
} dt_axis;

/* Whether values differ so much that a linear axis would hide the small ones. */
bool dt_axis_wants_logarithm(double least, double most);

/* Finite least <= most. The range is somewhat wider, but begins at 0 if least does. */
void dt_axis_linear(dt_axis *axis, double least, double most);

/* 0 < least <= most. */
void dt_axis_logarithmic(dt_axis *axis, double least, double most);

/* From 0 to 100, with room for points at the ends. */
void dt_axis_percent(dt_axis *axis);

/* Whole numbers; not widened. */
void dt_axis_steps(dt_axis *axis, double first, double last);

/* The position of a value: 0 at the low end, 1 at the high one; NaN if it cannot be shown. */
double dt_axis_position(const dt_axis *axis, double value);

#endif
