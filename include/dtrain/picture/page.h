/* A page in HTML that tells how runs went: curves, samples, starts and settings in one file, which
 * needs no network. */
#ifndef DTRAIN_PAGE_H
#define DTRAIN_PAGE_H

#include "dtrain/core/config.h"
#include "dtrain/picture/plot.h"
#include "dtrain/picture/run_log.h"

/* "model", "617,728 parameters". */
typedef struct {
    const char *name;
    char value[192];
} dt_page_fact;

enum { DT_PAGE_FACTS_MAX = 16 };

/* What a page says of a run besides its curves; all by reference. */
typedef struct {
    const dt_config *config;
    const dt_run_log *log;
    dt_page_fact fact[DT_PAGE_FACTS_MAX];
    size_t facts;
} dt_page_run;

typedef struct {
    const dt_plot *plot;
    const dt_page_run *run; /* (plot->runs) in the same order */
    const char *version;    /* of dtrain */
} dt_page;

/**
 * Write the page. `path` is either the old file or the whole new one. Texts may hold anything:
 * they are shown as they are.
 *
 * @return DT_ERR_DATA: nothing has been measured; DT_ERR_CREATE, DT_ERR_IO, DT_ERR_MEMORY
 */
dt_status dt_page_write(const char *path, const dt_page *page);

#endif
