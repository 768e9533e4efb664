/* Finds the rank that causes a stall. */
#include "stall.h"

#include <math.h>

void dt_stall_look(dt_stall_rank *rank, const dt_stall_beat *now, double passed) {
    rank->still = now->count == rank->beat.count ? rank->still + passed : 0;
    rank->gone = now->looks == rank->beat.looks ? rank->gone + passed : 0;
    rank->beat = *now;
}

static bool works(const dt_stall_rank *rank) { return rank->beat.kind == DT_PHASE_WORK; }

/* Whether its process does not run at all. Unknown before its watchdog's first look. */
static bool is_gone(const dt_stall_rank *rank, double timeout) {
    return rank->beat.looks > 0 && rank->gone > timeout / 2;
}

double dt_stall_seconds(const dt_stall_rank *rank, size_t ranks, double timeout) {
    double least = INFINITY, longest = 0;
    for (size_t r = 0; r < ranks; r++) {
        if (rank[r].beat.over) continue;
        least = fmin(least, rank[r].still);
        if (works(&rank[r]) || is_gone(&rank[r], timeout)) longest = fmax(longest, rank[r].still);
    }
    return isfinite(least) ? fmax(least, longest) : 0;
}

int dt_stall_culprit(const dt_stall_rank *rank, size_t ranks, double timeout) {
    int found = -1;
    int64_t least = 0, most = 0;
    for (size_t r = 0; r < ranks; r++) {
        if (rank[r].beat.over) continue;
        if (is_gone(&rank[r], timeout) || (works(&rank[r]) && rank[r].still > timeout))
            return (int)r;
        const int64_t phase = rank[r].beat.phase;
        if (found < 0 || phase > most) most = phase;
        if (found < 0 || phase < least) {
            found = (int)r;
            least = phase;
        }
    }
    return least < most ? found : -1;
}

double dt_stall_patience(const dt_stall_rank *rank, size_t ranks, size_t number, double timeout) {
    const double later = 2.0 * (double)number;
    return timeout + later + (dt_stall_culprit(rank, ranks, timeout) < 0 ? DT_PATIENCE_NODES : 0);
}
