/* What is in the folder of a run that dtrain has not made there: found before the first write, and
 * never replaced. */
#ifndef DTRAIN_FOREIGN_H
#define DTRAIN_FOREIGN_H

#include "dtrain/core/config.h"

typedef enum {
    DT_SETTINGS_NONE,    /* there is no config.ini */
    DT_SETTINGS_OWN,     /* as dtrain writes it, but perhaps of another run, or with other values */
    DT_SETTINGS_PERSON,  /* with comments, or some settings alone */
    DT_SETTINGS_FOREIGN, /* of another program, or broken */
} dt_settings_origin;

typedef struct {
    char checkpoint[256]; /* a file that looks like one, but by its name is none of the run: best.h5
                             that is no link, "checkpoint-00000020 (1).h5"; "": there is none */
    dt_settings_origin settings;
    char why[512]; /* why config.ini cannot be read; "": it can */
    bool log;      /* log.jsonl is another program's */
} dt_foreign;

/* Look through a folder; there need be none. */
dt_status dt_foreign_find(dt_foreign *found, const char *folder);

/* Whether a file is there that is no picture or page of dtrain's. */
bool dt_foreign_is_picture(const char *path);

#endif
