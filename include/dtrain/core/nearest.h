/* Which of some names a person probably meant. */
#ifndef DTRAIN_NEAREST_H
#define DTRAIN_NEAREST_H

#include <stddef.h>

/* Begins as {.meant = name}; then each name there is goes to dt_nearest_try. */
typedef struct {
    const char *meant;
    const char *nearest; /* of the names tried; NULL: none is near */
    size_t distance;     /* edits between the two */
} dt_nearest;

void dt_nearest_try(dt_nearest *n, const char *name);

#endif
