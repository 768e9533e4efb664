/* The info command: what a checkpoint holds. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app.h"

void write_json_text(FILE *file, const char *text) {
    fputc('"', file);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(file, "\\%c", *c);
        } else if ((unsigned char)*c < ' ') {
            fprintf(file, "\\u%04x", (unsigned)*c);
        } else {
            fputc(*c, file);
        }
    }
    fputc('"', file);
}

void print_json_text(const char *text) { write_json_text(stdout, text); }

static void print_settings(const dt_config *config, bool json) {
    const char *section = "";
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (setting->scope == DT_SETTING_LOCAL) continue;
        char value[DT_PATH_MAX];
        dt_config_text(value, sizeof value, config, setting);
        const bool number = setting->type == DT_SETTING_INT || setting->type == DT_SETTING_REAL;
        if (json) {
            printf("%s\"%s\":", *section ? "," : "", setting->name);
            if (number) {
                printf("%s", value);
            } else {
                print_json_text(value);
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

static void print_text(const char *path, const dt_checkpoint *c) {
    const dt_metrics *m = c->metrics;
    printf("%s\n", path);
    printf("model      %zu parameters: %zu layers, width %zu, %zu heads, vocabulary %zu, context "
           "%zu\n",
           c->layout.weights, c->shape.L, c->shape.C, c->shape.H, c->shape.V, c->shape.T);
    printf("progress   step %lld of %lld, %lld problems, %lld tokens, %.0f s of training\n",
           (long long)c->state.step, (long long)c->config.steps, (long long)c->state.problems,
           (long long)c->state.tokens, c->state.seconds);
    if (c->state.best >= 0)
        printf("best       exact match %.4f at step %lld\n", c->state.best,
               (long long)c->state.best_step);
    if (m->train_count) {
        const dt_train_row *row = &m->train[m->train_count - 1];
        printf("last step  loss %.5f, lr %.3g, gradient norm %.4g\n", row->loss, row->lr,
               row->grad_norm);
    }
    if (m->validation_count) {
        const dt_validation_row *row = &m->validation[m->validation_count - 1];
        printf("validated  at step %lld: loss %.5f, tokens %.3f %%, exact %.3f %%:",
               (long long)row->step, row->loss, 100 * row->token_accuracy, 100 * row->exact_match);
        for (int op = 0; op < DT_OPERATIONS; op++) {
            const double value = row->exact_match_of[op];
            if (value == value)
                printf("  %s %.2f %%", dt_operation_name((dt_operation)op), 100 * value);
        }
        printf("\n");
    }
    for (size_t i = 0; i < m->history_count; i++) {
        const dt_history_row *row = &m->history[i];
        printf("%s %s from step %lld, %lld rank%s on %lld node%s (%s): %s%s%s\n",
               i ? "          " : "starts    ", row->time, (long long)row->step,
               (long long)row->ranks, row->ranks == 1 ? "" : "s", (long long)row->nodes,
               row->nodes == 1 ? "" : "s", row->host, row->stopped,
               *row->changed ? "; changed: " : "", row->changed);
    }
    printf("settings");
    print_settings(&c->config, false);
}

static void print_json(const char *path, const dt_checkpoint *c) {
    printf("{\"checkpoint\":");
    print_json_text(path);
    printf(",\"step\":%lld,\"tokens\":%lld,\"problems\":%lld,\"seconds\":%."
           "3f,\"best\":%.9g,\"best_step\":%lld,"
           "\"parameters\":%zu,\"layers\":%zu,\"width\":%zu,\"heads\":%zu,\"vocabulary\":%zu,"
           "\"context\":%zu,\"starts\":%zu,\"settings\":{",
           (long long)c->state.step, (long long)c->state.tokens, (long long)c->state.problems,
           c->state.seconds, c->state.best, (long long)c->state.best_step, c->layout.weights,
           c->shape.L, c->shape.C, c->shape.H, c->shape.V, c->shape.T, c->metrics->history_count);
    print_settings(&c->config, true);
    printf("}}\n");
}

dt_status command_info(session *s, const app_options *options) {
    if (options->devices) return print_devices(s, options->json);
    char path[DT_PATH_MAX];
    dt_checkpoint checkpoint = {0};
    /* Of a run, the newest says most: the best may be long past. */
    char newest[DT_PATH_MAX];
    snprintf(newest, sizeof newest, "%.900s/latest.h5", options->target);
    dt_status status =
        dt_run_resolve(path, sizeof path, access(newest, F_OK) == 0 ? newest : options->target);
    if (status == DT_OK) status = dt_checkpoint_read(&checkpoint, path, DT_READ_SUMMARY);
    if (status == DT_OK) (options->json ? print_json : print_text)(path, &checkpoint);
    dt_checkpoint_destroy(&checkpoint);
    return status;
}
