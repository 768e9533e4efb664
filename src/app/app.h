/* What the commands share: parsed options, the open ranks and devices. */
#ifndef DTRAIN_APP_H
#define DTRAIN_APP_H

#include <stdio.h>

#include "dtrain/checkpoint.h"
#include "dtrain/comm.h"
#include "dtrain/log.h"
#include "dtrain/memory.h"
#include "dtrain/optim.h"
#include "dtrain/random.h"

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
    const char **setting; /* by dt_setting_at's index: the text given, or NULL */
    const char *config_file;
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

/* Put the settings file, then the command line, on top of `config`. */
dt_status options_apply(dt_config *config, const app_options *options);

/* ---- session ---- */

/* What is open while a command runs. comm is NULL for commands that need no ranks. */
typedef struct {
    dt_comm *comm;
    dt_backend *host;   /* works on host memory: updates, sums */
    dt_backend *device; /* runs the model; the same as host for the CPU backend */
} session;

/* The host's backend; until session_open_device the model runs on it, too. Collective with ranks.
 */
dt_status session_open(session *s);

/* Open what --backend asks for. Signals may have to be caught again afterwards. Collective with
 * ranks. */
dt_status session_open_device(session *s, dt_backend_kind wanted);

/* The same as the command line has it, for commands without settings from elsewhere; says what it
 * is. */
dt_status session_open_device_given(session *s, const app_options *options);
void session_close(session *s);

/* Who runs on what, in a few lines; warnings about threads and cores. Collective. */
dt_status session_announce(session *s);

/* Open a checkpoint's model on the session's device. Gives back everything with loaded_close. */
typedef struct {
    dt_checkpoint checkpoint;
    dt_buffer *weights;
    dt_model *model;
    size_t problems; /* room for */
} loaded_model;

dt_status loaded_open(loaded_model *loaded, session *s, const char *name, size_t problems);
void loaded_close(loaded_model *loaded, session *s);

/* ---- commands ---- */

dt_status command_train(session *s, const app_options *options);
dt_status command_eval(session *s, const app_options *options);
dt_status command_ask(session *s, const app_options *options);
dt_status command_info(session *s, const app_options *options);
dt_status command_data(session *s, const app_options *options);
dt_status command_plot(session *s, const app_options *options);
dt_status command_verify(session *s, const app_options *options);

/* verify --replay: the way from one checkpoint to another once more, in memory. Collective. */
dt_status command_replay(session *s, const app_options *options);

/* Fill a batch with `count` training texts from `position` on, counted over the whole run. */
dt_status fill_train_batch(dt_batch *batch, const dt_source *source, uint64_t position,
                           size_t count);

/**
 * Compare each parameter's gradient with a finite difference of the loss along it; prints a table.
 * Not collective.
 *
 * @param weights  what device_weights is attached to; moved and put back
 * @return DT_ERR_INTERNAL naming the parameter that is off
 */
dt_status check_gradients(session *s, dt_model *model, dt_buffer *device_weights, float *weights,
                          const dt_source *source);

/* The devices of this machine, to standard output. */
dt_status print_devices(const session *s, bool json);

/* A string of JSON, quotes included; to standard output. */
void write_json_text(FILE *file, const char *text);
void print_json_text(const char *text);

/* Seconds since some moment in the past; never runs backwards. */
double seconds_now(void);

#endif
