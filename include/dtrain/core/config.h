/* Every setting of a run, in one table: command line, ini file, checkpoint and help all read it
 * from here. */
#ifndef DTRAIN_CONFIG_H
#define DTRAIN_CONFIG_H

#include <stdint.h>

#include "dtrain/core/status.h"

typedef enum {
    DT_FORMAT_PLAIN,
    DT_FORMAT_REVERSE,
    DT_FORMAT_SCRATCHPAD,
    DT_FORMAT_CHAT,
    DT_FORMAT_EXPRESSION
} dt_format;
typedef enum { DT_SHARPEN_FIXED, DT_SHARPEN_VALIDATION } dt_sharpen;
typedef enum { DT_MARKS_NONE, DT_MARKS_START } dt_marks;
typedef enum { DT_WINDOWS_AUTO, DT_WINDOWS_FIXED, DT_WINDOWS_MOVED } dt_windows_cut;
typedef enum { DT_WORKING_PLAIN, DT_WORKING_NEAR } dt_working;
typedef enum { DT_NUMBERS_ANY, DT_NUMBERS_NATURAL } dt_numbers;
typedef enum { DT_OPTIMIZER_ADAMW, DT_OPTIMIZER_MUON } dt_optimizer_kind;
typedef enum { DT_PLACES_LEARNED, DT_PLACES_WAVES, DT_PLACES_ROTARY } dt_place_embedding;
typedef enum { DT_POSITIONS_LEARNED, DT_POSITIONS_NONE, DT_POSITIONS_INDEX } dt_positions;
typedef enum { DT_SCHEDULE_COSINE, DT_SCHEDULE_CONSTANT } dt_schedule_kind;
typedef enum {
    DT_BACKEND_CPU,
    DT_BACKEND_OPENCL,
    DT_BACKEND_AUTO,
    DT_BACKEND_BLAS
} dt_backend_kind;
typedef enum { DT_PRECISION_FLOAT32, DT_PRECISION_BFLOAT16, DT_PRECISION_AUTO } dt_precision;
typedef enum { DT_UPDATES_AUTO, DT_UPDATES_NODE, DT_UPDATES_JOB } dt_updates;
typedef enum { DT_METRIC_EXACT_MATCH, DT_METRIC_TOKEN_ACCURACY, DT_METRIC_LOSS } dt_metric_kind;

/* How often: every so many steps, or seconds, or epochs, and by default as often as
 * dt_cadence_most_seconds says; all 0: only that. */
typedef struct {
    int64_t steps;
    double seconds;
    int64_t epochs;
} dt_cadence;

/* The longest time without it: DT_CADENCE_SECONDS, unless a time is given, of which the longest,
 * DT_CADENCE_NEVER, is written "never". */
enum { DT_CADENCE_SECONDS = 300, DT_CADENCE_NEVER = 1000000000 };
double dt_cadence_most_seconds(const dt_cadence *cadence);

enum {
    DT_PATH_MAX = 1024,
    DT_OPS_MAX = 16,
    DT_MAX_SHARDS = 65536,
    DT_FILE_DIGEST_MAX = 55,
    DT_SEPARATOR_MAX = 80,
    DT_PATHS_EACH = 180,
    DT_CURRENCY_MAX = 8
};

/* The matrices of a layer that adapters may be for. */
typedef enum {
    DT_TARGET_ATTN_QKV,
    DT_TARGET_ATTN_OUT,
    DT_TARGET_MLP_IN,
    DT_TARGET_MLP_OUT,
    DT_TARGETS
} dt_target;
enum { DT_TARGETS_MAX = 47 };

/* How the frozen matrices of the layers are stored. */
typedef enum { DT_BASE_FLOAT32, DT_BASE_Q8_0, DT_BASE_NF4 } dt_base_quant;

/* Plain data, without pointers: it can be copied, compared and sent as bytes. Zeroed before it is
 * filled. */
typedef struct {
    /* run */
    char out[DT_PATH_MAX];
    int64_t seed;
    int64_t steps;
    int64_t backend;     /* dt_backend_kind */
    int64_t precision;   /* dt_precision */
    int64_t tensorboard; /* whether event files are written */
    int64_t log_level;   /* dt_log_level */
    double time_limit;   /* seconds for this start; 0: none but the batch system's */
    double
        stall_timeout; /* seconds without progress after which a rank counts as stuck; 0: never */
    /* batch */
    int64_t batch;          /* problems per step, over all ranks */
    int64_t shards;         /* logical shards: a power of two */
    int64_t micro_batch;    /* problems per forward and backward pass; 0: to be chosen */
    int64_t ranks_per_node; /* pretend; 0: ask the machine */
    int64_t transport;      /* dt_transport */
    int64_t exchange;       /* dt_exchange_kind */
    int64_t updates;        /* dt_updates */
    /* data */
    char ops[DT_OPS_MAX + 1]; /* of + - * and /; one that is given twice is drawn twice as often */
    int64_t digits;           /* of the operands of + - * */
    int64_t least_digits;     /* of all operands, where they may have as many */
    int64_t dividend_digits;
    int64_t divisor_digits;
    int64_t format;                            /* dt_format */
    int64_t operations;                        /* most of them in an expression */
    int64_t working;                           /* dt_working: of expressions */
    int64_t numbers;                           /* dt_numbers: of expressions */
    int64_t depth;                             /* most brackets within each other */
    int64_t decimals;                          /* of an answer that has no end */
    int64_t marks;                             /* dt_marks */
    int64_t distractors;                       /* most digits before a training text */
    int64_t distractor_run;                    /* most of them in a row; 0: each stands alone */
    int64_t train_examples;                    /* 0: an endless stream */
    char train_file[DT_PATH_MAX];              /* lines to learn instead of problems; "": none */
    char train_digest[DT_FILE_DIGEST_MAX + 1]; /* what the file holds: "SIZE-XXH3"; "": any */
    char text[DT_PATH_MAX];            /* running text to learn instead: paths with ":" between
                                          them; "": none */
    char validation_text[DT_PATH_MAX]; /* to validate on, instead of a part of it; "": none */
    char document_separator[DT_SEPARATOR_MAX + 1]; /* a line that ends a document; "": none */
    int64_t windows;                               /* dt_windows_cut: of running text */
    double validation_share, test_share;           /* parts of it that are not trained on */
    char tokenizer[DT_PATH_MAX];                   /* what its tokens are */
    /* model */
    int64_t layers, width, heads;
    int64_t context;         /* tokens of the longest problem; 0: as the data needs */
    int64_t places;          /* digits of the longest number and the operator after; 0: as needed */
    int64_t place_offset;    /* training adds up to this to a problem's place ids */
    int64_t place_embedding; /* dt_place_embedding */
    int64_t place_window;    /* of attention; 0: none */
    int64_t positions;       /* dt_positions */
    double sharpness;        /* factor of attention's scores in evaluation */
    int64_t sharpen;         /* dt_sharpen: what decides it */
    double dropout;
    /* adapter */
    int64_t lora_rank; /* 0: the weights themselves are trained */
    double lora_alpha;
    char lora_targets[DT_TARGETS_MAX + 1]; /* names with "," between them, or "all" */
    double lora_dropout;
    int64_t base_quant;     /* dt_base_quant */
    char base[DT_PATH_MAX]; /* checkpoint of the frozen weights, seen from the run's folder; "":
                               none */
    char base_digest[DT_FILE_DIGEST_MAX + 1];
    /* optimizer */
    int64_t optimizer; /* dt_optimizer_kind */
    double lr;
    int64_t warmup;   /* steps */
    int64_t schedule; /* dt_schedule_kind */
    double min_lr;    /* share of lr at the end of the cosine */
    double beta1, beta2, epsilon;
    double momentum; /* of muon */
    double weight_decay;
    double clip;    /* global norm; 0: off */
    double average; /* over which share of the steps so far; 0: off */
    /* evaluation */
    int64_t eval_every;        /* steps */
    int64_t eval_examples;     /* problems */
    int64_t eval_digits;       /* instead of digits; 0: those */
    int64_t eval_least_digits; /* instead of least_digits; 0: those */
    int64_t eval_dividend_digits, eval_divisor_digits;
    int64_t metric;       /* dt_metric_kind: what the best model is chosen by */
    int64_t patience;     /* validations without a better value before training ends; 0: never */
    double min_delta;     /* how much better counts */
    int64_t sample_every; /* validations; 0: never */
    /* checkpoints */
    dt_cadence checkpoint_every;
    int64_t keep;
    /* costs; 0: not known */
    double watts;     /* that a busy core takes */
    double price_kwh; /* money for a kilowatt-hour */
    char currency[DT_CURRENCY_MAX + 1];
    double co2;            /* grams for a kilowatt-hour */
    double price_hour;     /* money for an hour of a node */
    double units_per_hour; /* units for an hour of a node */
    double price_unit;     /* money for a unit */
} dt_config;

typedef enum {
    DT_SETTING_INT,
    DT_SETTING_REAL,
    DT_SETTING_TEXT,
    DT_SETTING_PATH,  /* a text; ~/ at its beginning is the home folder */
    DT_SETTING_PATHS, /* several, ":" between them; one that is given again adds to them */
    DT_SETTING_CHOICE,
    DT_SETTING_CADENCE,
    DT_SETTING_DURATION
} dt_setting_type;

/* What a resume does with a setting. */
typedef enum {
    DT_SETTING_FIXED, /* part of what the run is: may not change */
    DT_SETTING_FREE,  /* may change, and is reported */
    DT_SETTING_LOCAL, /* belongs to this start on this machine: not kept in the checkpoint */
} dt_setting_scope;

typedef struct {
    const char *name;    /* "weight-decay": the option and the key */
    const char *section; /* "optimizer": its group in --help and in the ini file */
    dt_setting_type type;
    dt_setting_scope scope;
    size_t offset;       /* in dt_config */
    double min, max;     /* of a number; length of a text */
    const char *choices; /* "cosine|constant", in the order of the enum */
    const char *value;   /* "N": what --help calls the value */
    const char *initial; /* the default, as text */
    const char *absent; /* what a checkpoint without it means, which is not kept in one; NULL: every
                           checkpoint has it */
    const char *implied; /* what its option means without a value; NULL: it needs one */
    const char *help;
    const char *zero; /* a word for the number 0: "auto"; NULL: there is none */
} dt_setting;

size_t dt_setting_count(void);
const dt_setting *dt_setting_at(size_t i);
const dt_setting *dt_setting_find(const char *name); /* NULL if there is none */
const char *dt_setting_nearest(const char *name);    /* what was probably meant, or NULL */

/* Fill with the default job. */
void dt_config_defaults(dt_config *config);

/* Every setting as it is where a checkpoint has not got it. */
void dt_config_absent(dt_config *config);

/* Whether a checkpoint keeps this setting of this configuration. A program from before it existed
 * can read checkpoints that do not use it. */
bool dt_config_keeps(const dt_config *config, const dt_setting *setting);

/**
 * Set one setting from text.
 *
 * @param where  how the error message calls the location: "--width" or "my.ini:12: width"
 * @return DT_ERR_ARG with the name, the value and what is allowed
 */
dt_status dt_config_set(dt_config *config, const dt_setting *setting, const char *text,
                        const char *where);

/* The value as text that dt_config_set reads back to the same bits, as does that of older programs.
 */
void dt_config_text(char *text, size_t size, const dt_config *config, const dt_setting *setting);

/* The same for people. */
void dt_config_shown(char *text, size_t size, const dt_config *config, const dt_setting *setting);

/* A setting that has another value in a second configuration. */
typedef struct {
    const dt_setting *setting;
    char was[DT_PATH_MAX], is[DT_PATH_MAX];
    size_t next; /* where the search goes on; 0 at first */
} dt_setting_change;

/* The next difference between two configurations, LOCAL settings left out; false: there is none. */
bool dt_config_next_change(dt_setting_change *change, const dt_config *before,
                           const dt_config *now);

/* Append "lr 0.002 -> 0.001" to a list whose parts are separated by commas. */
void dt_setting_change_append(char *list, size_t size, const dt_setting_change *change);

/* Whether the settings train an adapter for a matrix. */
bool dt_config_adapts(const dt_config *config, dt_target target);

/* "attn_qkv" */
const char *dt_target_name(dt_target target);

/* What the best model is chosen by, in words: "exact match". */
const char *dt_metric_name(const dt_config *config);

/* Read an ini file over what is set. DT_ERR_NO_INPUT, DT_ERR_ARG with file and line. */
dt_status dt_config_read(dt_config *config, const char *path);

/* The same from memory; `name` stands for the file in messages. */
dt_status dt_config_parse(dt_config *config, const char *ini, const char *name);

/* The whole configuration as ini text (only what a checkpoint keeps if kept_only), allocated:
 * dt_memory_free. */
dt_status dt_config_format(char **ini, const dt_config *config, bool kept_only);

/* What a person gives to change settings: a file, and single ones, which win over it. */
typedef struct {
    const char *config_file; /* NULL: none */
    const char **setting; /* by dt_setting_at's index: the text given, or NULL; NULL: none at all */
} dt_overrides;

/* Put the file, then the single settings, on top of `config`. DT_ERR_ARG, DT_ERR_NO_INPUT. */
dt_status dt_overrides_apply(dt_config *config, const dt_overrides *given);

/* Whether this setting is given by itself. */
bool dt_overrides_has(const dt_overrides *given, const char *name);

/* What no single setting can know: heads divide the width, shards is a power of two, batch >=
 * shards … */
dt_status dt_config_check(const dt_config *config);

/* Put the digits of evaluation in the place of digits, least-digits, dividend-digits and
 * divisor-digits. */
void dt_config_evaluate_digits(dt_config *config);

/**
 * Whether a model can be evaluated on these operations.
 *
 * @param[out] part  --ops as configured, NULL where it was trained on the same
 * @return DT_ERR_ARG: it was not trained on one of them
 */
dt_status dt_config_evaluate_ops(const char **part, const dt_config *config,
                                 const dt_config *trained);

/* "90s", "5m", "23h50m", "1d": seconds; DT_ERR_ARG otherwise. */
dt_status dt_duration_parse(double *seconds, const char *text, const char *where);

#endif
