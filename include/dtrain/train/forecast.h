/* What a run will take: time, memory, disk, energy and money, from what a few of its steps took. */
#ifndef DTRAIN_FORECAST_H
#define DTRAIN_FORECAST_H

#include "dtrain/core/cost.h"
#include "dtrain/run/session.h"
#include "dtrain/train/footprint.h"

/* Ranks and the network between their nodes. */
typedef struct {
    size_t ranks, nodes;
    size_t cores;     /* of a node; more of its ranks share them */
    double bandwidth; /* bytes per second between two nodes; 0: not known */
    double latency;   /* seconds for a message between them */
} dt_allocation;

/* What was measured. Seconds are means over ranks, and of one step unless said. */
typedef struct {
    dt_config config; /* as it is trained: nothing is left open */
    dt_model_shape shape;
    dt_allocation at; /* where it was measured */
    size_t parameters;
    size_t floats;        /* of a block of weights, with gaps */
    double flops;         /* for a token, forward and backward */
    double tokens, bytes; /* of a step's texts */
    double texts_there;   /* different training texts; infinite: new ones without end */
    double start;         /* seconds from the beginning of the process to the first step */
    double step;
    double passes, update, adding, exchanging, waiting; /* parts of `step` */
    double validation;                                  /* one */
    double checkpoint;                                  /* seconds by which one delays training */
    double write;                                       /* seconds until one is on disk */
    double checkpoint_bytes; /* of a file without steps and validations */
    double busy;             /* processor seconds per second, of all ranks */
    double watts;            /* of all ranks; NaN: not known */
    char source[64];         /* how they were found out */
    double bfloat16;         /* a step's time in bfloat16 over that in float32; NaN: not measured */
    dt_footprint footprint;  /* by count */
    double memory;           /* measured: proportional set size of all ranks together */
} dt_trial;

/**
 * Train some steps, validate and write checkpoints in a folder that is removed afterwards.
 * Collective.
 *
 * @param[out] trial  the same on all ranks
 * @return DT_ERR_STOPPED: a signal came
 */
dt_status dt_trial_run(dt_trial *trial, dt_session *s, const dt_overrides *given);

/* Seconds unless said; for the whole run. */
typedef struct {
    dt_allocation at;
    double step;                                /* one */
    double computing, communicating, waiting;   /* parts of all steps */
    double validating, checkpointing, starting; /* the last: starts and the last write */
    double total;
    double efficiency; /* of the ranks, beside one rank */
    int64_t validations, checkpoints;
    double tokens, bytes;
    double epochs;                   /* how often each text is read; < 1: not all are */
    double checkpoint_bytes, disk;   /* of the last file; of the folder at most */
    double memory_rank, memory_node; /* bytes */
    int64_t starts;                  /* under --time-limit */
    double lost;                     /* seconds that each start after the first costs */
    dt_cost cost;
} dt_forecast;

/**
 * Forecast a run.
 *
 * @param config  may differ from the trial's in steps, batch, validations, checkpoints, precision,
 *                model and time limit: time then follows the number of operations
 * @param flops   of this configuration, for a token: dt_forecast_flops
 * @return total NaN: there are several nodes, and nothing is known of the network
 */
dt_forecast dt_forecast_make(const dt_trial *trial, const dt_config *config, double flops,
                             const dt_allocation *at);

/* Operations for a token of a model, forward and backward. */
double dt_forecast_flops(const dt_config *config, const dt_model_shape *shape);

/* ---- budgets ---- */

typedef enum { DT_BUDGET_SECONDS, DT_BUDGET_JOULES, DT_BUDGET_MONEY } dt_budget_kind;

typedef struct {
    dt_budget_kind kind;
    double amount;
} dt_budget;

/* "24h", "2kWh", "300Wh", "500JPY": money is in the currency of --currency. DT_ERR_ARG. */
dt_status dt_budget_parse(dt_budget *budget, const char *text, const dt_config *config);

/* What a forecast takes of such a budget; NaN: not known. */
double dt_budget_used(const dt_budget *budget, const dt_forecast *forecast);

/* A change that saves. */
typedef struct {
    char change[96]; /* "--precision bfloat16" */
    double saved;    /* seconds of the run, with the changes before it */
    char cost[240];  /* what it is known to cost */
    bool taken;      /* part of the line that fits; otherwise only possible */
} dt_cut;

enum { DT_CUTS_MAX = 12 };

/* The list of changes, in the order in which they are worth it. */
typedef struct {
    dt_cut cut[DT_CUTS_MAX];
    size_t cuts;
    bool needed;      /* the run as it is exceeds the budget */
    bool fits;        /* with what is taken, it does not */
    dt_config config; /* with what is taken */
    dt_forecast forecast;
    char line[400]; /* the options taken; "": none */
} dt_cuts;

/* A tenth of the budget is left as a reserve. */
void dt_cuts_make(dt_cuts *cuts, const dt_trial *trial, const dt_budget *budget);

/* ---- how much text ---- */

/* What was measured of accuracy over training, for settings like these. */
typedef struct {
    bool known;
    double exact;         /* share of exact answers predicted; NaN: not known */
    double of[4];         /* of + - * /; NaN: not asked for */
    const char *from;     /* how it was measured */
    double tokens_wanted; /* running text: 20 for each parameter; 0: not of text */
} dt_known;

/**
 * The accuracy that was measured after about as much training.
 *
 * @param parameters  of the model
 */
void dt_known_find(dt_known *known, const dt_config *config, size_t parameters);

/* A row of the table that is kept with the program. */
typedef struct {
    dt_format format;
    int64_t steps;    /* of 32 problems, with the default model */
    int64_t problems; /* different ones; 0: new ones without end */
    double of[4];     /* exact answers to unseen problems, in percent: + - * / */
} dt_known_row;
size_t dt_known_rows(const dt_known_row **rows);

#endif
