/* Chooses ranges and ticks: 1, 2 or 5 times a power of ten, few enough to be read. */
#include "axis.h"

#include <math.h>
#include <stdio.h>

/* Spaces between ticks, at most. */
enum { SPACES_Y = 5, SPACES_X = 10 };

double dt_axis_position(const dt_axis *axis, double value) {
    if (!isfinite(value)) return NAN;
    if (!axis->logarithmic) return (value - axis->low) / (axis->high - axis->low);
    return value > 0 ? log(value / axis->low) / log(axis->high / axis->low) : NAN;
}

bool dt_axis_wants_logarithm(double least, double most) { return least > 0 && most / least >= 8; }

/* Six digits are enough for ticks; steps from 100000 on are counted in thousands and so on. */
static void write_label(char *label, size_t size, double value, double largest) {
    static const struct {
        double from, unit;
        const char *letter;
    } UNIT[] = {{1e12, 1e12, "T"}, {1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e5, 1e3, "k"}};
    for (size_t i = 0; i < sizeof UNIT / sizeof *UNIT && value != 0; i++) {
        if (largest < UNIT[i].from) continue;
        snprintf(label, size, "%.6g%s", value / UNIT[i].unit, UNIT[i].letter);
        return;
    }
    const int length = snprintf(label, size, "%.6g", value);
    if (length > DT_LABEL_MAX) snprintf(label, size, "%.1e", value);
}

static void add_tick(dt_axis *axis, double value) {
    if (axis->ticks == DT_TICKS_MAX) return;
    axis->tick[axis->ticks].value = value;
    write_label(axis->tick[axis->ticks].label, sizeof axis->tick[0].label, value,
                fmax(fabs(axis->low), fabs(axis->high)));
    axis->ticks++;
}

/* The smallest 1, 2 or 5 times a power of ten that is not below. */
static double round_step(double atleast) {
    const double power = pow(10, floor(log10(atleast)));
    const double steps[] = {1, 2, 5};
    for (size_t i = 0; i < 3; i++) {
        if (steps[i] * power >= atleast * (1 - 1e-9)) return steps[i] * power;
    }
    return 10 * power;
}

static void add_linear_ticks(dt_axis *axis, double step) {
    const double slack = 1e-6 * step;
    const double first = ceil((axis->low - slack) / step);
    for (size_t i = 0; (first + (double)i) * step <= axis->high + slack; i++) {
        add_tick(axis, (first + (double)i) * step);
        if (axis->ticks == DT_TICKS_MAX) return;
    }
}

void dt_axis_linear(dt_axis *axis, double least, double most) {
    *axis = (dt_axis){0};
    double extent = most - least;
    /* Hardly any difference: room above and below, so that the line is in the middle. */
    if (extent <= 1e-9 * fmax(fabs(least), fabs(most))) {
        extent = fmax(fabs(most), 1e-9);
    }
    axis->low = least == 0 ? 0 : least - 0.05 * extent;
    axis->high = most + 0.05 * extent;
    add_linear_ticks(axis, round_step((axis->high - axis->low) / SPACES_Y));
}

void dt_axis_logarithmic(dt_axis *axis, double least, double most) {
    *axis = (dt_axis){.logarithmic = true};
    const double room = pow(most / least, 0.04);
    axis->low = least / room;
    axis->high = most * room;
    const int first = (int)floor(log10(axis->low)), last = (int)ceil(log10(axis->high));
    const int stride = last - first > 8 ? (last - first + 7) / 8 : 1;
    const double within[] = {1, 2, 5};
    const size_t each = log10(axis->high / axis->low) < 2.5 ? 3 : 1;
    for (int decade = first; decade <= last; decade += stride) {
        for (size_t i = 0; i < each; i++) {
            const double value = within[i] * pow(10, decade);
            if (value >= axis->low && value <= axis->high) add_tick(axis, value);
        }
    }
}

void dt_axis_percent(dt_axis *axis) {
    *axis = (dt_axis){.low = -3, .high = 103};
    add_linear_ticks(axis, 20);
}

void dt_axis_steps(dt_axis *axis, double first, double last) {
    *axis = (dt_axis){.low = first, .high = fmax(last, first + 1)};
    add_linear_ticks(axis, fmax(1, round_step((axis->high - axis->low) / SPACES_X)));
}
