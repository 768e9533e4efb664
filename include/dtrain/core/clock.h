/* The clocks: seconds for measurements, and the time of day for people. */
#ifndef DTRAIN_CLOCK_H
#define DTRAIN_CLOCK_H

#include <stddef.h>

/* Seconds since some moment in the past; never runs backwards. */
double dt_seconds_now(void);

/* "2026-01-31T12:00:00Z"; `size` of at least 21 holds it. */
void dt_utc_now(char *text, size_t size);

/* The same as strftime's format says. */
void dt_utc_format(char *text, size_t size, const char *format)
    __attribute__((format(strftime, 3, 0)));

#endif
