/* The plan command: what a run will take, before it begins. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "dtrain/run/topology.h"
#include "dtrain/train/forecast.h"
#include "dtrain/train/start.h"
#include "dtrain/ui/plan_report.h"

enum { OTHERS_MAX = 32 };

typedef struct {
    const char *ranks, *bandwidth, *latency, *budget;
    int64_t nodes; /* 0: as many as there are */
    bool json;
} plan_options;

/* A number and one of the units, each with its factor. */
static dt_status read_amount(double *value, const char *text, const char *option,
                             const char *const *unit, const double *factor, size_t units) {
    char *end;
    const double number = strtod(text, &end);
    for (size_t i = 0; i < units; i++) {
        if (end == text || strcmp(end, unit[i]) != 0 || !(number >= 0) || !isfinite(number))
            continue;
        *value = number * factor[i];
        return DT_OK;
    }
    DT_RAISE(DT_ERR_ARG, "--%s %s: write it like 12.5%s or 3%s", option, text, unit[0], unit[1]);
}

static dt_status read_network(dt_allocation *at, const plan_options *options) {
    static const char *const RATE[] = {"GB/s", "Gbit/s", "MB/s", "Mbit/s", ""};
    static const double RATES[] = {1e9, 1.25e8, 1e6, 1.25e5, 1};
    static const char *const TIME[] = {"us", "ms", "s", "ns", ""};
    static const double TIMES[] = {1e-6, 1e-3, 1, 1e-9, 1};
    if (options->bandwidth)
        DT_TRY(read_amount(&at->bandwidth, options->bandwidth, "bandwidth", RATE, RATES, 5));
    if (options->latency)
        DT_TRY(read_amount(&at->latency, options->latency, "latency", TIME, TIMES, 5));
    return DT_OK;
}

/* The settings of a run that begins on these ranks. */
static dt_status settle_for(dt_config *config, const dt_overrides *given, size_t ranks) {
    DT_TRY(dt_plan_settle_shards(config, given, ranks));
    DT_REQUIRE(
        ranks <= (size_t)config->shards, DT_ERR_ARG,
        "%zu ranks: a run of %lld shards has at most as many; give a larger power of two with "
        "--shards, and a batch as large",
        ranks, (long long)config->shards);
    return DT_OK;
}

/* "1,2,4,8": an allocation each. here: the ranks at hand. */
static dt_status read_ranks(dt_allocation *at, size_t *count, const dt_allocation *here,
                            const plan_options *options) {
    dt_allocation one = *here;
    DT_TRY(read_network(&one, options));
    *count = 0;
    char own[24];
    snprintf(own, sizeof own, "%zu", here->ranks);
    const char *rest = options->ranks ? options->ranks : options->nodes > 0 ? own : "";
    while (*rest) {
        char *end;
        const long ranks = strtol(rest, &end, 10);
        DT_REQUIRE(end != rest && ranks > 0 && (*end == ',' || !*end) && *count < OTHERS_MAX,
                   DT_ERR_ARG, "--ranks %s: write at most %d numbers like 1,2,4,8", options->ranks,
                   OTHERS_MAX);
        one.ranks = (size_t)ranks;
        const size_t nodes = options->nodes > 0 ? (size_t)options->nodes : here->nodes;
        one.nodes = nodes < one.ranks ? nodes : one.ranks;
        at[(*count)++] = one;
        rest = end + (*end == ',');
    }
    return DT_OK;
}

/* Rank 0. */
static dt_status report(const dt_trial *trial, const dt_overrides *given,
                        const plan_options *options) {
    dt_allocation at[OTHERS_MAX];
    dt_forecast other[OTHERS_MAX];
    dt_budget budget;
    dt_cuts cuts;
    dt_known known;
    size_t others;
    DT_TRY(read_ranks(at, &others, &trial->at, options));
    for (size_t i = 0; i < others; i++) {
        dt_config config = trial->config;
        DT_TRY(settle_for(&config, given, at[i].ranks));
        other[i] = dt_forecast_make(trial, &config, trial->flops, &at[i]);
    }
    const dt_forecast forecast = dt_forecast_make(trial, &trial->config, trial->flops, &trial->at);
    dt_known_find(&known, &trial->config, trial->parameters);
    if (options->budget) {
        DT_TRY(dt_budget_parse(&budget, options->budget, &trial->config));
        DT_REQUIRE(isfinite(dt_budget_used(&budget, &forecast)), DT_ERR_ARG,
                   "--budget %s: what this run takes of it is not known; energy needs --watts "
                   "where it cannot be measured, and money a price",
                   options->budget);
        dt_cuts_make(&cuts, trial, &budget);
    }
    const dt_plan_report r = {.trial = trial,
                              .forecast = &forecast,
                              .known = &known,
                              .other = other,
                              .others = others,
                              .cuts = options->budget ? &cuts : NULL,
                              .budget = options->budget};
    if (options->json) {
        dt_plan_report_json(&r);
    } else {
        dt_plan_report_text(stdout, &r);
    }
    return DT_OK;
}

/* Before anything is measured. The same on all ranks. */
static dt_status check_options(const dt_session *s, const dt_overrides *given,
                               const plan_options *options) {
    dt_allocation at[OTHERS_MAX];
    dt_budget budget;
    dt_config config;
    size_t others;
    dt_config_defaults(&config);
    dt_status status = dt_overrides_apply(&config, given);
    const dt_allocation here = {.ranks = dt_comm_size(s->comm), .nodes = dt_comm_nodes(s->comm)};
    if (status == DT_OK) status = read_ranks(at, &others, &here, options);
    for (size_t i = 0; status == DT_OK && i < others; i++) {
        dt_config settled = config;
        status = settle_for(&settled, given, at[i].ranks);
    }
    if (status == DT_OK && config.lora_rank > 0)
        status = dt_error_raise(DT_ERR_ARG, __FILE__, __LINE__,
                                "--lora-rank: runs are planned that begin with weights of their "
                                "own, without adapters; leave it out");
    if (status == DT_OK && options->budget)
        status = dt_budget_parse(&budget, options->budget, &config);
    return dt_comm_agree(s->comm, status);
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const plan_options *options = own;
    dt_trial trial;
    DT_TRY(check_options(s, given, options));
    DT_TRY(dt_trial_run(&trial, s, given));
    dt_status status = DT_OK;
    if (dt_comm_rank(s->comm) == 0) status = report(&trial, given, options);
    return dt_comm_agree(s->comm, status);
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {OPTION_TEXT, offsetof(plan_options, ranks), "ranks", "LIST",
     "the same on other numbers of ranks, such as 1,2,4,8: a table with efficiency"},
    {OPTION_COUNT, offsetof(plan_options, nodes), "nodes", "N", "and on so many nodes"},
    {OPTION_TEXT, offsetof(plan_options, bandwidth), "bandwidth", "RATE",
     "between two nodes, such as 12.5GB/s or 100Gbit/s; measured where there are several nodes"},
    {OPTION_TEXT, offsetof(plan_options, latency), "latency", "TIME",
     "of a message between them, such as 2us"},
    {OPTION_TEXT, offsetof(plan_options, budget), "budget", "AMOUNT",
     "such as 24h, 2kWh or 500JPY: what to cut so that the run fits"},
    {OPTION_FLAG, offsetof(plan_options, json), "json", NULL, "print JSON"},
};

const command PLAN = {
    .name = "plan",
    .usage = "",
    .help = "Say what a run with these settings will take: text, time, memory, disk, energy and "
            "money. Some steps, a validation and a checkpoint are made on the ranks at hand, in a "
            "folder that is removed.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .reads_config = true,
    .knows = command_knows_all,
    .own_size = sizeof(plan_options),
    .needs_ranks = command_needs_ranks,
    .run = run,
};
