/* The table of backends: --backend names one, and auto takes the best one that every rank can use.
 */
#ifndef DTRAIN_REGISTRY_H
#define DTRAIN_REGISTRY_H

#include "dtrain/backend/backend.h"

/* A device that a backend can run on. */
typedef struct {
    char name[256];
    char platform[128]; /* the driver's platform; empty: no driver is needed */
    char driver[64];    /* the driver's version */
    uint64_t memory;    /* bytes; 0 for the machine itself */
    bool gpu;           /* a GPU or another accelerator, not a CPU */
    bool usable;        /* OpenCL: 1.2 with a compiler */
} dt_device;

typedef struct {
    const char *name; /* as in --backend NAME */
    const char *help;
    int priority;      /* --backend auto takes the highest; 0: never, only by name */
    const char *needs; /* what auto asks of every rank, in words: "a GPU" */
    bool host;         /* works on the host's memory, and can update weights there */
    bool in_turns; /* ranks open it one after another: opening compiles kernels, which the driver
                      keeps on disk for the next rank */
    /* Whether this rank can use the backend; if not, `why` says what is missing. */
    dt_status (*probe)(bool *usable, char *why, size_t size);
    /* The devices of this machine, best first; allocated: dt_memory_free. An empty list is no
     * error. NULL: the backend has no devices of its own. */
    dt_status (*devices)(dt_device **device, size_t *count);
    /* Open on the device for this rank of the node. May replace signal handlers. */
    dt_status (*open)(dt_backend **backend, size_t local_rank);
} dt_backend_entry;

size_t dt_backend_count(void);
const dt_backend_entry *dt_backend_at(size_t i);
const dt_backend_entry *dt_backend_find(const char *name); /* NULL if there is none */

/* The backend with the highest priority less than `below`; NULL if there is none. */
const dt_backend_entry *dt_backend_next(int below);

/* The backend that a program starts with: the first one that works on the host's memory. */
const dt_backend_entry *dt_backend_host(void);

/* Open, and check that its tables are complete: DT_ERR_INTERNAL names a missing entry. */
dt_status dt_backend_open(dt_backend **backend, const dt_backend_entry *entry, size_t local_rank);

/* Check that the tables have all operations, with for_host also those of updates: DT_ERR_INTERNAL.
 */
dt_status dt_backend_check(const dt_backend *backend, bool for_host);

#endif
