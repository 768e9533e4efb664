/* Which of some names a person probably meant. */
#include "dtrain/core/nearest.h"

#include <string.h>

/* Longer names than this are not guessed at. */
enum { NAME_MAX_GUESSED = 31 };

static size_t least(size_t a, size_t b, size_t c) {
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Letters to insert, delete, replace or swap with their neighbour to come from a to b; both at most
   NAME_MAX_GUESSED long. Source: Damerau 1964, restricted to one edit per position. */
static size_t edit_distance(const char *a, const char *b) {
    size_t distance[NAME_MAX_GUESSED + 1][NAME_MAX_GUESSED + 1];
    const size_t rows = strlen(a), columns = strlen(b);
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                distance[i][j] = i + j;
                continue;
            }
            distance[i][j] = least(distance[i - 1][j] + 1, distance[i][j - 1] + 1,
                                   distance[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                distance[i - 2][j - 2] + 1 < distance[i][j]) {
                distance[i][j] = distance[i - 2][j - 2] + 1;
            }
        }
    }
    return distance[rows][columns];
}

void dt_nearest_try(dt_nearest *n, const char *name) {
    const size_t length = strlen(n->meant);
    if (length > NAME_MAX_GUESSED || strlen(name) > NAME_MAX_GUESSED) return;
    const size_t distance = edit_distance(n->meant, name);
    if (distance > length / 3 + 1 || distance >= strlen(name)) return; /* another word */
    if (n->nearest && distance >= n->distance) return;
    n->nearest = name;
    n->distance = distance;
}
