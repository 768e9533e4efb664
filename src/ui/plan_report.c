/* Prints a plan: for people, and as JSON. */
#include "dtrain/ui/plan_report.h"

#include <math.h>
#include <time.h>

#include "dtrain/core/json.h"
#include "dtrain/data/source.h"
#include "dtrain/ui/progress.h"

static const char OPERATION[] = "+-*/";

/* ---- for people ---- */

static void bytes_text(char *text, size_t size, double bytes) {
    if (bytes >= 1e10) {
        snprintf(text, size, "%.1f GB", bytes / 1e9);
    } else if (bytes >= 1e8) {
        snprintf(text, size, "%.0f MB", bytes / 1e6);
    } else {
        snprintf(text, size, "%.3g MB", bytes / 1e6);
    }
}

static void count_text(char *text, size_t size, double count) {
    if (count >= 1e9) {
        snprintf(text, size, "%.3g billion", count / 1e9);
    } else if (count >= 1e6) {
        snprintf(text, size, "%.3g million", count / 1e6);
    } else {
        snprintf(text, size, "%.0f", count);
    }
}

static void print_texts(FILE *out, const dt_plan_report *r) {
    char tokens[48], bytes[48], wanted[48];
    const dt_forecast *f = r->forecast;
    const dt_source_kind *kind = dt_source_kind_of(&r->trial->config);
    count_text(tokens, sizeof tokens, f->tokens);
    bytes_text(bytes, sizeof bytes, f->bytes);
    fprintf(out, "text        %s tokens, %s: ", tokens, bytes);
    if (f->epochs == 0) {
        fprintf(out, "new %s throughout\n", kind->texts);
    } else if (f->epochs <= 1) {
        fprintf(out, "all of it new, %.0f %% of the %s there are\n", 100 * f->epochs, kind->texts);
    } else {
        fprintf(out, "%.1f %% of it new, then again: %.1f epochs\n", 100 / f->epochs, f->epochs);
    }
    if (r->known->known) {
        fprintf(out, "accuracy    exact answers %.1f %%:", 100 * r->known->exact);
        for (size_t op = 0; op < 4; op++) {
            if (isfinite(r->known->of[op]))
                fprintf(out, "  %c %.1f %%", OPERATION[op], 100 * r->known->of[op]);
        }
        fprintf(out, "  (%s)\n", r->known->from);
    } else if (r->known->tokens_wanted > 0) {
        count_text(wanted, sizeof wanted, r->known->tokens_wanted);
        fprintf(out,
                "rule        %s tokens for these parameters, 20 for each (Hoffmann et al. 2022, "
                "for the best model of a given compute; a small model gains from many more): the "
                "run reads %.2g times that, different ones %.2g times\n",
                wanted, f->tokens / r->known->tokens_wanted,
                f->tokens / fmax(1, f->epochs) / r->known->tokens_wanted);
    } else {
        fprintf(out, "accuracy    nothing was measured for settings like these\n");
    }
}

static void print_memory(FILE *out, const dt_plan_report *r) {
    char node[48], rank[48], parts[400], file[48], folder[48];
    const dt_forecast *f = r->forecast;
    const size_t local = (f->at.ranks + f->at.nodes - 1) / f->at.nodes;
    const dt_footprint_ranks ranks = {f->at.ranks, local};
    bytes_text(node, sizeof node, f->memory_node);
    bytes_text(rank, sizeof rank, f->memory_rank);
    dt_footprint_text(parts, sizeof parts, &r->trial->footprint, &ranks);
    fprintf(out, "memory      %s a node, %s a rank; by count: %s\n", node, rank, parts);
    bytes_text(file, sizeof file, f->checkpoint_bytes);
    bytes_text(folder, sizeof folder, f->disk);
    fprintf(out, "disk        %s a checkpoint, %s in the folder at most\n", file, folder);
}

static void print_times(FILE *out, const dt_plan_report *r) {
    char total[32], until[24];
    const dt_forecast *f = r->forecast;
    const double percent = 100 / f->total;
    dt_progress_duration(total, sizeof total, f->total);
    dt_progress_until(until, sizeof until, (double)time(NULL), f->total);
    fprintf(out,
            "time        %s, until %s if it starts now; %.4g ms a step; computing %.0f %%, "
            "communication %.1f %%, waiting %.1f %%, %lld validations %.1f %%, %lld checkpoints "
            "%.1f %%, start and end %.1f %%\n",
            total, until, 1000 * f->step, percent * f->computing, percent * f->communicating,
            percent * f->waiting, (long long)f->validations, percent * f->validating,
            (long long)f->checkpoints, percent * f->checkpointing, percent * f->starting);
    if (r->trial->config.time_limit > 0 && f->starts < INT64_MAX) {
        fprintf(out, "starts      %lld under --time-limit; each after the first costs %.1f s\n",
                (long long)f->starts, f->lost);
    } else if (r->trial->config.time_limit > 0) {
        fprintf(out, "starts      --time-limit is too short for a step and a checkpoint (%.1f s)\n",
                f->lost);
    }
}

static void print_cost(FILE *out, const dt_plan_report *r) {
    char cost[400];
    const char *source = r->trial->source[0] ? r->trial->source : NULL;
    dt_cost_text(cost, sizeof cost, &r->forecast->cost, &r->trial->config, source);
    if (*cost) fprintf(out, "cost        %s\n", cost);
}

static void print_others(FILE *out, const dt_plan_report *r) {
    if (r->others == 0) return;
    fprintf(out, "\n%6s %6s %11s %11s %10s %9s %12s  %s\n", "ranks", "nodes", "ms a step", "total",
            "efficiency", "MB a node", "communicate", "cost");
    for (size_t i = 0; i < r->others; i++) {
        const dt_forecast *f = &r->other[i];
        char total[32], cost[200];
        if (isnan(f->total)) {
            fprintf(out, "%6zu %6zu  give --bandwidth and --latency of the network\n", f->at.ranks,
                    f->at.nodes);
            continue;
        }
        dt_progress_duration(total, sizeof total, f->total);
        dt_cost_text(cost, sizeof cost, &f->cost, &r->trial->config, NULL);
        fprintf(out, "%6zu %6zu %11.4g %11s %8.0f %% %9.0f %10.1f %%  %s\n", f->at.ranks,
                f->at.nodes, 1000 * f->step, total, 100 * f->efficiency, f->memory_node / 1e6,
                100 * f->communicating / f->total, cost);
    }
}

void dt_plan_report_text(FILE *out, const dt_plan_report *r) {
    const dt_trial *t = r->trial;
    const dt_config *c = &t->config;
    fprintf(out, "plan        %lld steps of %lld %s on %zu rank%s of %zu node%s, %zu core%s each\n",
            (long long)c->steps, (long long)c->batch, dt_source_kind_of(c)->texts, t->at.ranks,
            t->at.ranks == 1 ? "" : "s", t->at.nodes, t->at.nodes == 1 ? "" : "s", t->at.cores,
            t->at.cores == 1 ? "" : "s");
    fprintf(out, "model       %zu parameters\n", t->parameters);
    print_texts(out, r);
    print_memory(out, r);
    print_times(out, r);
    print_cost(out, r);
    print_others(out, r);
    if (r->cuts) dt_plan_report_cuts(out, r);
}

void dt_plan_report_cuts(FILE *out, const dt_plan_report *r) {
    const dt_cuts *cuts = r->cuts;
    char total[32];
    fprintf(out, "\nbudget %s: the run as it is %s it\n", r->budget,
            cuts->needed ? "exceeds" : "fits into");
    for (size_t i = 0; i < cuts->cuts; i++) {
        const dt_cut *cut = &cuts->cut[i];
        char saved[32] = "";
        if (isfinite(cut->saved)) dt_progress_duration(saved, sizeof saved, cut->saved);
        fprintf(out, "  %s %-34s %s%-9s  %s\n", cut->taken ? "*" : "-", cut->change,
                *saved ? "saves " : "      ", saved, cut->cost);
    }
    if (!cuts->needed) return;
    dt_progress_duration(total, sizeof total, cuts->forecast.total);
    fprintf(out, "%s: %s\n", cuts->fits ? "these options fit (*)" : "even this does not fit",
            cuts->line);
    fprintf(out, "then it takes %s", total);
    dt_known known;
    dt_known_find(&known, &cuts->config, r->trial->parameters);
    if (known.known) fprintf(out, ", exact answers %.1f %%", 100 * known.exact);
    fprintf(out, "\n");
}

/* ---- JSON ---- */

static void number(const char *name, double value) {
    char text[DT_JSON_NUMBER];
    printf(",\"%s\":%s", name, dt_json_number(text, 9, value));
}

static void json_forecast(const dt_forecast *f) {
    printf("\"ranks\":%zu,\"nodes\":%zu", f->at.ranks, f->at.nodes);
    number("step_seconds", f->step);
    number("total_seconds", f->total);
    number("computing_seconds", f->computing);
    number("communicating_seconds", f->communicating);
    number("waiting_seconds", f->waiting);
    number("validating_seconds", f->validating);
    number("checkpointing_seconds", f->checkpointing);
    number("starting_seconds", f->starting);
    number("efficiency", f->efficiency);
    number("memory_rank", f->memory_rank);
    number("memory_node", f->memory_node);
    number("joules", f->cost.joules);
    number("money", f->cost.money);
    number("co2_grams", f->cost.co2_grams);
}

static void json_cuts(const dt_plan_report *r) {
    const dt_cuts *cuts = r->cuts;
    dt_known known;
    dt_known_find(&known, &cuts->config, r->trial->parameters);
    printf(",\"budget\":{\"text\":");
    dt_json_print_text(r->budget);
    printf(",\"exceeded\":%s,\"fits\":%s,\"line\":", cuts->needed ? "true" : "false",
           cuts->fits ? "true" : "false");
    dt_json_print_text(cuts->line);
    number("total_seconds", cuts->forecast.total);
    number("exact", known.exact);
    printf(",\"cuts\":[");
    for (size_t i = 0; i < cuts->cuts; i++) {
        printf("%s{\"change\":", i ? "," : "");
        dt_json_print_text(cuts->cut[i].change);
        printf(",\"taken\":%s,\"cost\":", cuts->cut[i].taken ? "true" : "false");
        dt_json_print_text(cuts->cut[i].cost);
        number("saved_seconds", cuts->cut[i].saved);
        printf("}");
    }
    printf("]}");
}

void dt_plan_report_json(const dt_plan_report *r) {
    const dt_trial *t = r->trial;
    const dt_forecast *f = r->forecast;
    printf("{");
    json_forecast(f);
    printf(",\"parameters\":%zu,\"steps\":%lld", t->parameters, (long long)t->config.steps);
    number("tokens", f->tokens);
    number("bytes", f->bytes);
    number("epochs", f->epochs);
    number("exact", r->known->exact);
    number("tokens_wanted", r->known->tokens_wanted > 0 ? r->known->tokens_wanted : NAN);
    number("checkpoint_bytes", f->checkpoint_bytes);
    number("disk_bytes", f->disk);
    printf(",\"validations\":%lld,\"checkpoints\":%lld,\"starts\":%lld", (long long)f->validations,
           (long long)f->checkpoints, (long long)f->starts);
    number("lost_seconds", f->lost);
    number("bfloat16_step_ratio", t->bfloat16);
    printf(",\"energy_source\":");
    dt_json_print_text(t->source);
    printf(",\"memory\":{\"state\":%.0f", t->footprint.state);
    number("gradients_rank", t->footprint.gradients);
    number("activations_rank", t->footprint.activations);
    number("packed_rank", t->footprint.packed);
    number("updates_rank", t->footprint.scratch);
    number("snapshots", t->footprint.snapshots);
    number("libraries_rank", t->footprint.libraries);
    number("measured", t->memory);
    printf("},\"others\":[");
    for (size_t i = 0; i < r->others; i++) {
        printf("%s{", i ? "," : "");
        json_forecast(&r->other[i]);
        printf("}");
    }
    printf("]");
    if (r->cuts) json_cuts(r);
    printf("}\n");
}
