/* Where the ranks of a start are, for its row of the history. */
#define _GNU_SOURCE /* CPU_COUNT */
#include "dtrain/run/topology.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"

size_t dt_topology_cpus(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* Ranks on the host of rank r, or 0 if a lower rank is on the same host. */
static size_t ranks_from(const dt_comm *comm, size_t r) {
    const char *host = dt_comm_host(comm, r);
    for (size_t i = 0; i < r; i++) {
        if (strcmp(dt_comm_host(comm, i), host) == 0) return 0;
    }
    size_t count = 0;
    for (size_t i = r; i < dt_comm_size(comm); i++) {
        if (strcmp(dt_comm_host(comm, i), host) == 0) count++;
    }
    return count;
}

/* "n1*2,n2*2" */
static void list_hosts(char *text, size_t size, const dt_comm *comm) {
    size_t used = 0, left_out = 0;
    for (size_t r = 0; r < dt_comm_size(comm); r++) {
        const size_t ranks = ranks_from(comm, r);
        if (ranks == 0) continue;
        char host[96];
        const int length = snprintf(host, sizeof host, "%s%.64s*%zu", used ? "," : "",
                                    dt_comm_host(comm, r), ranks);
        /* Leaves room for the number of hosts that did not fit. */
        if (left_out || used + (size_t)length + sizeof ",18446744073709551615 more" > size) {
            left_out++;
        } else {
            memcpy(text + used, host, (size_t)length + 1);
            used += (size_t)length;
        }
    }
    if (left_out) snprintf(text + used, size - used, ",%zu more", left_out);
}

dt_status dt_topology_describe(char *text, size_t size, dt_comm *comm) {
    const size_t ranks = dt_comm_size(comm);
    double *cpus;
    DT_TRY(dt_comm_agree(comm, dt_memory_alloc(&cpus, ranks, sizeof *cpus, "the table of CPUs")));
    dt_status status;
    DT_TRY_DONE(dt_comm_gather(comm, cpus, (double)dt_topology_cpus()));
    double least = cpus[0], most = cpus[0];
    for (size_t r = 1; r < ranks; r++) {
        least = fmin(least, cpus[r]);
        most = fmax(most, cpus[r]);
    }
    char share[80];
    if (least == most) {
        snprintf(share, sizeof share, "; %.0f CPU%s per rank", most, most > 1 ? "s" : "");
    } else {
        snprintf(share, sizeof share, "; %.0f to %.0f CPUs per rank", least, most);
    }
    list_hosts(text, size - strlen(share), comm);
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", share);
done:
    dt_memory_free(&cpus);
    return status;
}
