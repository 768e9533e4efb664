/* The backends there are, in one table: --backend names one, and auto takes the best that every
 * rank can use. */
#ifndef DTRAIN_REGISTRY_H
#define DTRAIN_REGISTRY_H

#include "dtrain/backend/backend.h"

/* A device that a backend can run on. */
typedef struct {
    char name[256];
    char platform[128]; /* whose driver it is; empty: none is needed */
    char driver[64];    /* its version */
    uint64_t memory;    /* bytes; 0 for the machine itself */
    bool gpu;           /* or another accelerator: no CPU */
    bool usable;        /* OpenCL: 1.2 with a compiler */
} dt_device;

typedef struct {
    const char *name; /* that of --backend */
    const char *help;
    int priority;      /* --backend auto takes the highest; 0: never, only by name */
    const char *needs; /* what auto asks of every rank, in words: "a GPU" */
    bool host;         /* works on the host's memory, and can update weights there */
    bool in_turns;     /* opening compiles for the device, which the driver keeps on disk for the
                          others */
    /* Whether this rank has what it needs; if not, `why` says what is missing. */
    dt_status (*probe)(bool *usable, char *why, size_t size);
    /* The devices of this machine, best first; allocated: dt_memory_free. None is no error. NULL:
     * none of its own. */
    dt_status (*devices)(dt_device **device, size_t *count);
    /* On the device that falls to a rank of this number on its node. May take signals away. */
    dt_status (*open)(dt_backend **backend, size_t local_rank);
} dt_backend_entry;

size_t dt_backend_count(void);
const dt_backend_entry *dt_backend_at(size_t i);
const dt_backend_entry *dt_backend_find(const char *name); /* NULL if there is none */

/* The one with the highest priority below `below`; NULL if there is none. */
const dt_backend_entry *dt_backend_next(int below);

/* The one that a program begins with: the first that works on the host's memory. */
const dt_backend_entry *dt_backend_host(void);

/* Open, and check that its tables are complete: DT_ERR_INTERNAL names what one lacks. */
dt_status dt_backend_open(dt_backend **backend, const dt_backend_entry *entry, size_t local_rank);

/* Whether the tables have all operations; for_host: those of updates, too. DT_ERR_INTERNAL. */
dt_status dt_backend_check(const dt_backend *backend, bool for_host);

#endif
