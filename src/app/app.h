/* What the commands share: parsed options. */
#ifndef DTRAIN_APP_H
#define DTRAIN_APP_H

#include <stdio.h>

#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/data.h"
#include "dtrain/run/session.h"

/* ---- options ---- */

typedef enum {
    COMMAND_TRAIN,
    COMMAND_EVAL,
    COMMAND_ASK,
    COMMAND_INFO,
    COMMAND_DATA,
    COMMAND_PLOT,
    COMMAND_VERIFY,
    COMMANDS
} command_kind;

/* The command line as given; strings belong to argv. */
typedef struct {
    command_kind command;
    dt_overrides given;
    const char *resume;
    const char *init_from;
    bool fresh;
    bool check_gradients;
    bool json;
    bool show_work;
    bool tsv;
    bool tokens;
    dt_split split;
    int64_t count;
    int64_t first;
    const char *dump_logits;
    bool exhaustive;
    const char *errors;
    const char *output;
    bool ascii;
    bool grid;
    bool replay;
    bool devices;
    const char *target; /* the checkpoint or run */
    const char *later;  /* the second checkpoint of a replay */
    char **expression;  /* (expressions) what to ask */
    size_t expressions;
} app_options;

/* Does this command use all ranks? Looks at the first word, and for --replay and --grid. */
bool options_need_ranks(int argc, char **argv);

/* Parse; DT_ERR_ARG where argp has already said why, in which case dt_error_text() is empty.
 * Answers --help itself. */
dt_status options_parse(app_options *options, int argc, char **argv);
void options_destroy(app_options *options);

/* ---- commands ---- */

dt_status command_train(dt_session *s, const app_options *options);
dt_status command_eval(dt_session *s, const app_options *options);
dt_status command_ask(dt_session *s, const app_options *options);
dt_status command_info(dt_session *s, const app_options *options);
dt_status command_data(dt_session *s, const app_options *options);
dt_status command_plot(dt_session *s, const app_options *options);
dt_status command_verify(dt_session *s, const app_options *options);

#endif
