/* The info command: what a checkpoint holds. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/backend/registry.h"
#include "dtrain/core/cost.h"
#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/run/newest.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    bool json, devices;
} info_options;

static void print_settings(const dt_config *config, bool json) {
    const char *section = "";
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (setting->scope == DT_SETTING_LOCAL) continue;
        char value[DT_PATH_MAX];
        dt_config_shown(value, sizeof value, config, setting);
        const bool number = setting->type == DT_SETTING_INT || setting->type == DT_SETTING_REAL;
        if (json) {
            printf("%s\"%s\":", *section ? "," : "", setting->name);
            if (number) {
                printf("%s", value);
            } else {
                dt_json_print_text(value);
            }
        } else if (value[0]) {
            if (strcmp(section, setting->section) != 0)
                printf("%s\n  [%s]", *section ? "\n" : "", setting->section);
            printf("  %s %s", setting->name, value);
        }
        section = setting->section;
    }
    if (!json) printf("\n");
}

/* Energy and money, where they are known, and for how long nodes were used. */
static void print_used(const dt_checkpoint *c) {
    dt_usage usage;
    char cost[512];
    dt_metrics_usage(&usage, c->metrics);
    dt_cost_usage_text(cost, sizeof cost, &usage, &c->config);
    if (usage.seconds > 0)
        printf("used       %.0f s, %.0f s of processors%s%s\n", usage.seconds,
               usage.processor_seconds, *cost ? ", " : "", cost);
}

/* The base of an adapter, where it is; or why it is not found. */
static const char *base_of(char base[DT_PATH_MAX], const char *path, const dt_checkpoint *c) {
    if (dt_base_find(base, DT_PATH_MAX, &c->config, path) == DT_OK) return "there";
    dt_error_clear();
    snprintf(base, DT_PATH_MAX, "%s", c->config.base);
    return "missing";
}

static void print_adapter(const char *path, const dt_checkpoint *c, const dt_weight_count *count) {
    char base[DT_PATH_MAX];
    const char *found = base_of(base, path, c);
    printf("trained    %zu parameters, %.6g MB: adapters of rank %zu for", count->trained,
           (double)count->trained_bytes / 1e6, c->shape.lora.rank);
    for (size_t i = 0; i < DT_TARGETS; i++) {
        if (c->shape.lora.target[i]) printf(" %s", dt_target_name((dt_target)i));
    }
    printf("\nfrozen     %zu parameters, %.6g MB: the base %s, digest %s, %s\n", count->frozen,
           (double)count->frozen_bytes / 1e6, base, c->config.base_digest, found);
}

/* Of a model that is trained as a whole its size says all. */
static void print_weights(const char *path, const dt_checkpoint *c) {
    const dt_weight_count count = dt_layout_weights(&c->layout);
    if (dt_checkpoint_is_adapter(c)) {
        print_adapter(path, c, &count);
    } else if (count.frozen > 0) {
        printf("frozen     %zu parameters, %.6g MB: all, for eval, ask and sample\n", count.frozen,
               (double)count.frozen_bytes / 1e6);
    }
    if (count.quantised > 0)
        printf("quantised  %zu parameters of these, %.6g MB, in %s: the matrices of the layers\n",
               count.quantised, (double)count.quantised_bytes / 1e6,
               dt_quantised_name(count.element));
}

static void print_weights_json(const char *path, const dt_checkpoint *c) {
    const dt_weight_count count = dt_layout_weights(&c->layout);
    char base[DT_PATH_MAX];
    printf(",\"trained\":%zu,\"trained_bytes\":%zu,\"frozen\":%zu,\"frozen_bytes\":%zu,"
           "\"quantised\":%zu,\"quantised_bytes\":%zu,\"matrices\":\"%s\"",
           count.trained, count.trained_bytes, count.frozen, count.frozen_bytes, count.quantised,
           count.quantised_bytes, dt_quantised_name(count.element));
    if (!dt_checkpoint_is_adapter(c)) return;
    const bool there = strcmp(base_of(base, path, c), "there") == 0;
    printf(",\"base\":");
    dt_json_print_text(base);
    printf(",\"base_digest\":\"%s\",\"base_there\":%s", c->config.base_digest,
           there ? "true" : "false");
}

static void print_text(const char *path, const dt_checkpoint *c) {
    const dt_metrics *m = c->metrics;
    printf("%s\n", path);
    printf("model      %zu parameters: %zu layers, width %zu, %zu heads, vocabulary %zu, context "
           "%zu\n",
           c->layout.weights, c->shape.L, c->shape.C, c->shape.H, c->shape.V, c->shape.T);
    print_weights(path, c);
    printf("progress   step %lld of %lld, %lld problems, %lld tokens, %.0f s of training\n",
           (long long)c->state.step, (long long)c->config.steps, (long long)c->state.problems,
           (long long)c->state.tokens, c->state.seconds);
    if (c->state.best >= 0)
        printf("best       %s %.4f at step %lld\n", dt_metric_name(&c->config), c->state.best,
               (long long)c->state.best_step);
    if (m->train_count) {
        const dt_train_row *row = &m->train[m->train_count - 1];
        printf("last step  loss %.5f, lr %.3g, gradient norm %.4g\n", row->loss, row->lr,
               row->grad_norm);
    }
    if (m->validation_count) {
        const dt_validation_row *row = &m->validation[m->validation_count - 1];
        const dt_source_kind *source = dt_source_kind_of(&c->config);
        printf("validated  at step %lld: loss %.5f, tokens %.3f %%", (long long)row->step,
               row->loss, 100 * row->token_accuracy);
        if (source->answers) printf(", exact %.3f %%:", 100 * row->exact_match);
        for (size_t i = 0; i < source->kinds; i++) {
            const double value = row->exact_match_of[i];
            if (value == value) printf("  %s %.2f %%", source->kind[i].name, 100 * value);
        }
        printf("\n");
    }
    print_used(c);
    for (size_t i = 0; i < m->history_count; i++) {
        const dt_history_row *row = &m->history[i];
        printf("%s %s from step %lld, %lld rank%s on %lld node%s (%s): %s%s%s\n",
               i ? "          " : "starts    ", row->time, (long long)row->step,
               (long long)row->ranks, row->ranks == 1 ? "" : "s", (long long)row->nodes,
               row->nodes == 1 ? "" : "s", row->host, row->stopped,
               *row->changed ? "; changed: " : "", row->changed);
    }
    printf(
        "not read   the bytes of weights and of the optimizer's state: dtrain verify reads them\n");
    printf("settings");
    print_settings(&c->config, false);
}

static void print_json(const char *path, const dt_checkpoint *c) {
    char metric[32], best[DT_JSON_NUMBER];
    dt_config_text(metric, sizeof metric, &c->config, dt_setting_find("metric"));
    printf("{\"checkpoint\":");
    dt_json_print_text(path);
    printf(",\"step\":%lld,\"tokens\":%lld,\"problems\":%lld,\"seconds\":%."
           "3f,\"metric\":\"%s\",\"best\":%s,\"best_step\":%lld,"
           "\"parameters\":%zu,\"layers\":%zu,\"width\":%zu,\"heads\":%zu,\"vocabulary\":%zu,"
           "\"context\":%zu,\"starts\":%zu,\"settings\":{",
           (long long)c->state.step, (long long)c->state.tokens, (long long)c->state.problems,
           c->state.seconds, metric, dt_json_number(best, 9, c->state.best),
           (long long)c->state.best_step, c->layout.weights, c->shape.L, c->shape.C, c->shape.H,
           c->shape.V, c->shape.T, c->metrics->history_count);
    print_settings(&c->config, true);
    dt_usage usage;
    char cost[600];
    dt_metrics_usage(&usage, c->metrics);
    dt_cost_usage_json(cost, sizeof cost, &usage, &c->config);
    printf("}");
    print_weights_json(path, c);
    printf("%s,\"unread\":[\"weights\",\"optimizer\"]}\n", cost);
}

static void print_device_text(const char *backend, const dt_device *d) {
    printf("%-7s %s", backend, d->name);
    if (*d->platform)
        printf(", %s, %.1f GB (%s, driver %s)", d->gpu ? "GPU" : "CPU", (double)d->memory / 1e9,
               d->platform, d->driver);
    printf("%s\n", d->usable ? "" : "; not usable: it needs OpenCL 1.2 and a compiler");
}

static void print_device_json(const char *backend, const dt_device *d, bool first) {
    printf("%s{\"backend\":\"%s\",\"name\":", first ? "" : ",", backend);
    dt_json_print_text(d->name);
    if (*d->platform) {
        printf(",\"platform\":");
        dt_json_print_text(d->platform);
        printf(",\"driver\":");
        dt_json_print_text(d->driver);
        printf(",\"memory\":%llu,\"gpu\":%s,\"usable\":%s", (unsigned long long)d->memory,
               d->gpu ? "true" : "false", d->usable ? "true" : "false");
    }
    printf("}");
}

static dt_status print_devices_of(const dt_backend_entry *entry, bool json, size_t *printed) {
    dt_device *device = NULL;
    size_t count = 0;
    char why[128];
    bool usable;
    if (entry->devices) DT_TRY(entry->devices(&device, &count));
    for (size_t i = 0; i < count; i++, ++*printed) {
        if (json) {
            print_device_json(entry->name, &device[i], *printed == 0);
        } else {
            print_device_text(entry->name, &device[i]);
        }
    }
    dt_memory_free(&device);
    if (json || count > 0) return DT_OK;
    DT_TRY(entry->probe(&usable, why, sizeof why));
    printf("%-7s %s\n", entry->name, usable ? entry->help : why);
    return DT_OK;
}

static dt_status print_devices(bool json) {
    size_t printed = 0;
    if (json) printf("{\"devices\":[");
    for (size_t i = 0; i < dt_backend_count(); i++)
        DT_TRY(print_devices_of(dt_backend_at(i), json, &printed));
    if (json) printf("]}\n");
    return DT_OK;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    (void)s;
    (void)given;
    const info_options *options = own;
    if (options->devices) return print_devices(options->json);
    char path[DT_PATH_MAX];
    dt_checkpoint checkpoint = {0};
    dt_status status = dt_newest_summary(&checkpoint, path, sizeof path, options->target);
    if (status == DT_OK) (options->json ? print_json : print_text)(path, &checkpoint);
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(info_options, target), "CHECKPOINT", NULL, NULL},
    {OPTION_FLAG, offsetof(info_options, json), "json", NULL, "print JSON"},
    {OPTION_FLAG, offsetof(info_options, devices), "devices", NULL,
     "list what --backend can run on, with memory and driver; needs no checkpoint"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level", "backend"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    const info_options *options = own;
    return options->devices ? DT_OK : command_check_target(options->target);
}

const command INFO = {
    .name = "info",
    .usage = "CHECKPOINT|RUN\n--devices",
    .help = "Show what a checkpoint holds: model, settings, progress; or which devices this "
            "machine has.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(info_options),
    .check = check,
    .run = run,
};
