/* Where the ranks of a start are, for its row of the history. */
#define _GNU_SOURCE /* CPU_COUNT */
#include "dtrain/run/topology.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"

size_t dt_topology_cpus(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* A host, and its ranks. */
typedef struct {
    const char *name;
    size_t first, ranks;
} host;

static int by_name(const void *x, const void *y) {
    const host *a = x, *b = y;
    const int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->first > b->first) - (a->first < b->first);
}

static int by_first(const void *x, const void *y) {
    const host *a = x, *b = y;
    return (a->first > b->first) - (a->first < b->first);
}

/* Hosts in the order of their lowest ranks; how many. */
static size_t find_hosts(host *hosts, const dt_comm *comm) {
    const size_t ranks = dt_comm_size(comm);
    size_t found = 0;
    if (!hosts) return 0; /* never: clang-analyzer cannot follow that ranks agree on errors */
    for (size_t r = 0; r < ranks; r++) hosts[r] = (host){dt_comm_host(comm, r), r, 1};
    qsort(hosts, ranks, sizeof *hosts, by_name);
    for (size_t r = 0; r < ranks; r++) {
        if (found > 0 && strcmp(hosts[found - 1].name, hosts[r].name) == 0) {
            hosts[found - 1].ranks++;
        } else {
            hosts[found++] = hosts[r];
        }
    }
    qsort(hosts, found, sizeof *hosts, by_first);
    return found;
}

/* "n1*2,n2*2" */
static void list_hosts(char *text, size_t size, const host *hosts, size_t count) {
    size_t used = 0, left_out = 0;
    for (size_t i = 0; i < count; i++) {
        char one[96];
        const int length = snprintf(one, sizeof one, "%s%.64s*%zu", used ? "," : "", hosts[i].name,
                                    hosts[i].ranks);
        /* Leaves room for the number of hosts that did not fit. */
        if (left_out || used + (size_t)length + sizeof ",18446744073709551615 more" > size) {
            left_out++;
        } else {
            memcpy(text + used, one, (size_t)length + 1);
            used += (size_t)length;
        }
    }
    if (left_out) snprintf(text + used, size - used, ",%zu more", left_out);
}

dt_status dt_topology_describe(char *text, size_t size, dt_comm *comm) {
    const size_t ranks = dt_comm_size(comm);
    double *cpus = NULL;
    host *hosts = NULL;
    dt_status status = dt_memory_alloc(&cpus, ranks, sizeof *cpus, "the table of CPUs");
    if (status == DT_OK)
        status = dt_memory_alloc(&hosts, ranks, sizeof *hosts, "the table of hosts");
    DT_TRY_DONE(dt_comm_agree(comm, status));
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
    list_hosts(text, size - strlen(share), hosts, find_hosts(hosts, comm));
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", share);
done:
    dt_memory_free(&hosts);
    dt_memory_free(&cpus);
    return status;
}
