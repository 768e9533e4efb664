/* Trains some steps of a run to measure what the whole will take. */
#define _GNU_SOURCE /* mkdtemp */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/signals.h"
#include "dtrain/run/startup.h"
#include "dtrain/run/topology.h"
#include "dtrain/train/forecast.h"
#include "dtrain/train/trainer.h"
#include "plan.h"

/* The first steps are slower: memory is touched for the first time. */
enum { WARM_STEPS = 3, LEAST_STEPS = 10, CHECKPOINT_STEPS = 200 };
static const double LEAST_SECONDS = 4, BFLOAT16_SECONDS = 2;

typedef struct {
    dt_trainer t;
    dt_trial *trial;
    char folder[DT_PATH_MAX];
    bool leads;
    int64_t peak; /* proportional set size of this rank, in kB */
} trial_run;

/* ---- the folder ---- */

/* On the disk of the run: in the nearest folder of its path that is there. */
static dt_status make_folder(char folder[DT_PATH_MAX], const char *out) {
    char near[DT_PATH_MAX];
    snprintf(near, sizeof near, "%s", out);
    while (!dt_is_folder(near)) {
        char *slash = strrchr(near, '/');
        if (!slash) {
            snprintf(near, sizeof near, ".");
        } else {
            slash[slash == near] = '\0';
        }
    }
    const int length = snprintf(folder, DT_PATH_MAX, "%s/.dtrain-plan-XXXXXX", near);
    DT_REQUIRE(length > 0 && length < DT_PATH_MAX, DT_ERR_ARG, "the name %.80s... is too long",
               out);
    DT_REQUIRE(mkdtemp(folder), DT_ERR_CREATE,
               "no folder can be made in %s, where the run would be", near);
    return DT_OK;
}

/* All files in it are the trial's own. */
static void remove_folder(const char *folder) {
    DIR *files = *folder ? opendir(folder) : NULL;
    if (!files) return;
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;) {
        char path[DT_PATH_MAX + 300];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlink(path);
    }
    closedir(files);
    if (rmdir(folder) != 0) dt_log_warn("the folder %s could not be removed", folder);
}

/* ---- measuring ---- */

static double mean_over_ranks(const trial_run *r, double mine, dt_status *status) {
    double *all, sum = 0;
    dt_comm *comm = r->t.s->comm;
    const size_t ranks = dt_comm_size(comm);
    if (*status != DT_OK) return NAN;
    *status = dt_comm_agree(comm, dt_memory_alloc(&all, ranks, sizeof *all, "times of ranks"));
    if (*status != DT_OK) return NAN;
    *status = dt_comm_gather(comm, all, mine);
    for (size_t i = 0; i < ranks; i++) sum += all[i];
    dt_memory_free(&all);
    return sum / (double)ranks;
}

/* Memory that ranks share counts for each of them in part. */
static void note_memory(trial_run *r) {
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Pss:", strlen("Pss:")) != 0) continue;
        const int64_t kilobytes = strtoll(line + strlen("Pss:"), NULL, 10);
        if (kilobytes > r->peak) r->peak = kilobytes;
    }
    if (file) fclose(file);
}

typedef struct {
    double steps, tokens;
    double seconds; /* of rank 0, between the steps too */
    double update, adding, exchanging, waiting;
} measured_steps;

static dt_status one_step(trial_run *r, measured_steps *m) {
    dt_train_row row;
    dt_step_request request = {0};
    DT_TRY(dt_trainer_step(&r->t, &row, &request));
    DT_REQUIRE(!request.stop, DT_ERR_STOPPED, "the plan was stopped");
    m->steps++;
    m->tokens += (double)row.tokens;
    return DT_OK;
}

/* So many steps and seconds at least, as rank 0 counts them. Nothing is exchanged between the
 * steps, where a run does not wait either: ranks that share a core would lose or gain time there.
 */
static dt_status some_steps(trial_run *r, measured_steps *m, int steps, double seconds) {
    double adding, exchanging, waiting, more[3];
    const double update = r->t.updating, own_waiting = r->t.waiting, start = dt_seconds_now();
    *m = (measured_steps){0};
    dt_reducer_times(r->t.reducer, &adding, &exchanging, &waiting);
    for (int64_t left = steps; left > 0;) {
        for (; left > 0; left--) DT_TRY(one_step(r, m));
        m->seconds = dt_seconds_now() - start;
        const double rest = (seconds - m->seconds) * m->steps / m->seconds;
        if (r->leads && rest > 0) left = (int64_t)ceil(rest);
        DT_TRY(dt_comm_max(r->t.s->comm, &left));
    }
    dt_reducer_times(r->t.reducer, &more[0], &more[1], &more[2]);
    dt_status status = DT_OK;
    m->update = mean_over_ranks(r, r->t.updating - update, &status);
    m->adding = mean_over_ranks(r, more[0] - adding, &status);
    m->exchanging = mean_over_ranks(r, more[1] - exchanging, &status);
    m->waiting = mean_over_ranks(r, more[2] - waiting + r->t.waiting - own_waiting, &status);
    return status;
}

static dt_status measure_steps(trial_run *r) {
    measured_steps m;
    dt_trial *trial = r->trial;
    dt_energy_part before, after;
    DT_TRY(some_steps(r, &m, WARM_STEPS, 0));
    DT_TRY(dt_energy_finish(&before, r->t.energy, false));
    const double start = dt_seconds_now();
    DT_TRY(some_steps(r, &m, LEAST_STEPS, LEAST_SECONDS));
    DT_TRY(dt_energy_finish(&after, r->t.energy, false));
    const double seconds = dt_seconds_now() - start;
    trial->step = m.seconds / m.steps;
    trial->tokens = m.tokens / m.steps;
    trial->update = m.update / m.steps;
    trial->adding = m.adding / m.steps;
    trial->exchanging = m.exchanging / m.steps;
    trial->waiting = m.waiting / m.steps;
    trial->passes =
        trial->step - trial->update - trial->adding - trial->exchanging - trial->waiting;
    trial->busy = (after.processor_seconds - before.processor_seconds) / seconds;
    dt_history_row row = {.nodes = 1};
    if (r->leads) {
        dt_energy_enter(&row, r->t.energy, &after);
        const double joules = row.joules;
        dt_energy_enter(&row, r->t.energy, &before);
        trial->watts = (joules - row.joules) / seconds;
        snprintf(trial->source, sizeof trial->source, "%s", row.energy_source);
    }
    note_memory(r);
    return DT_OK;
}

/* The first validation touches memory; the second one counts. */
static dt_status measure_validation(trial_run *r) {
    if (r->t.config.eval_every == 0) return DT_OK;
    for (int i = 0; i < 2; i++) {
        dt_validation_row row;
        bool improved, interrupted;
        DT_TRY(dt_trainer_validate(&r->t, &row, &improved, &interrupted));
        DT_REQUIRE(!interrupted, DT_ERR_STOPPED, "the plan was stopped");
        r->trial->validation = row.seconds;
        note_memory(r);
    }
    return DT_OK;
}

static double file_bytes(const trial_run *r, int64_t step) {
    char path[DT_PATH_MAX];
    struct stat info;
    if (dt_run_checkpoint_path(path, sizeof path, r->folder, step) != DT_OK) return NAN;
    return stat(path, &info) == 0 ? (double)info.st_size : NAN;
}

/* By how much steps become slower while one is written, and the copy for it. Training goes on until
 * it is written. */
static dt_status measure_checkpoint(trial_run *r) {
    measured_steps m = {0};
    bool accepted = false;
    dt_status status = DT_OK;
    const int64_t at = r->t.state.step;
    const double start = dt_seconds_now();
    double written = NAN;
    if (r->leads) status = dt_writer_submit(r->t.writer, true, &accepted);
    DT_TRY(dt_comm_agree(r->t.s->comm, status));
    for (int64_t on = 1; on;) {
        DT_TRY(one_step(r, &m));
        note_memory(r);
        const bool done = r->leads && dt_writer_written_step(r->t.writer) >= at;
        if (done && isnan(written)) written = dt_seconds_now() - start;
        on = r->leads && !done && m.steps < CHECKPOINT_STEPS;
        DT_TRY(dt_comm_max(r->t.s->comm, &on));
    }
    const double delay = dt_seconds_now() - start - m.steps * r->trial->step;
    if (r->leads) status = dt_writer_drain(r->t.writer);
    DT_TRY(dt_comm_agree(r->t.s->comm, status));
    if (isnan(written)) written = dt_seconds_now() - start;
    r->trial->checkpoint = fmax(0, delay);
    r->trial->write = written;
    return DT_OK;
}

/* The first one touches memory; the second one counts. */
static dt_status measure_checkpoints(trial_run *r) {
    DT_TRY(measure_checkpoint(r));
    const int64_t step = r->t.state.step;
    const double validations = (double)r->t.metrics.validation_count;
    DT_TRY(measure_checkpoint(r));
    const double growth = (double)step * (double)dt_checkpoint_step_bytes(&r->t.config) +
                          validations * (double)dt_checkpoint_validation_bytes(&r->t.config);
    r->trial->checkpoint_bytes = file_bytes(r, step) - growth;
    return DT_OK;
}

static dt_status measure_bfloat16(trial_run *r) {
    measured_steps m;
    r->trial->bfloat16 = NAN;
    if (r->t.s->bfloat16 != DT_FAST_BFLOAT16 || r->t.config.precision == DT_PRECISION_BFLOAT16)
        return DT_OK;
    DT_TRY(dt_trainer_use_precision(&r->t, DT_PRECISION_BFLOAT16));
    DT_TRY(some_steps(r, &m, WARM_STEPS, 0));
    DT_TRY(some_steps(r, &m, LEAST_STEPS / 2, BFLOAT16_SECONDS));
    r->trial->bfloat16 = m.seconds / m.steps / r->trial->step;
    return DT_OK;
}

/* ---- what is known without measuring ---- */

static dt_status measure_texts(trial_run *r) {
    enum { SAMPLE = 256 };
    dt_trial *trial = r->trial;
    const dt_source source = dt_trainer_source(&r->t);
    const dt_config *c = &r->t.config;
    dt_text text = {0};
    dt_status status = DT_OK;
    uint64_t count = UINT64_MAX, sample = dt_min_size((size_t)c->batch, SAMPLE);
    double bytes = 0;
    if (c->train_examples > 0) {
        count = (uint64_t)c->train_examples;
    } else if (!source.kind->endless) {
        DT_TRY_DONE(dt_source_count(&count, &source, DT_TRAIN, UINT64_MAX));
    }
    for (uint64_t i = 0; i < sample; i++) {
        DT_TRY_DONE(source.kind->train(&text, &source, i));
        bytes += (double)strlen(text.bytes);
    }
    trial->bytes = bytes / (double)sample * (double)c->batch;
    trial->texts_there = count == UINT64_MAX ? INFINITY : (double)count;
done:
    dt_text_destroy(&text);
    return status;
}

/* Seconds since this process began. */
static double process_age(void) {
    char text[1024];
    double up = NAN;
    unsigned long long began = 0;
    FILE *file = fopen("/proc/uptime", "re");
    if (file && fgets(text, sizeof text, file)) up = strtod(text, NULL);
    if (file) fclose(file);
    file = fopen("/proc/self/stat", "re");
    const char *rest = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
    if (file) fclose(file);
    /* Field 22, of which the first two end at the bracket. */
    for (int i = 0; rest && i < 20; i++) rest = strchr(rest + 1, ' ');
    if (rest) began = strtoull(rest + 1, NULL, 10);
    const double age = up - (double)began / (double)sysconf(_SC_CLK_TCK);
    return isfinite(age) && age > 0 && age < 1e6 ? age : 0;
}

static void describe(trial_run *r, size_t cores) {
    dt_trial *trial = r->trial;
    const dt_comm *comm = r->t.s->comm;
    trial->config = r->t.config;
    trial->shape = r->t.shape;
    trial->at =
        (dt_allocation){.ranks = dt_comm_size(comm), .nodes = dt_comm_nodes(comm), .cores = cores};
    trial->parameters = r->t.layout.weights;
    trial->floats = r->t.layout.count;
    trial->flops = dt_forecast_flops(&trial->config, &trial->shape);
    const dt_footprint_ranks ranks = {dt_comm_size(comm), dt_comm_local_size(comm)};
    trial->footprint = dt_footprint_of(&trial->config, &trial->shape, &r->t.layout, &ranks);
}

/* Cores of a node. A bound rank sees only its own. */
static dt_status count_cores(size_t *cores, dt_comm *comm) {
    int64_t most = (int64_t)dt_topology_cpus();
    DT_TRY(dt_comm_max(comm, &most));
    const int64_t bound = most * (int64_t)dt_comm_local_size(comm);
    const int64_t online = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t here = bound < online ? bound : online;
    if (here < most) here = most;
    DT_TRY(dt_comm_max(comm, &here));
    *cores = (size_t)here;
    return DT_OK;
}

/* ---- all of it ---- */

static dt_status decide(dt_start_plan *plan, char *folder, dt_session *s,
                        const dt_overrides *given) {
    const dt_start_request request = {.given = *given};
    dt_status status = DT_OK;
    if (dt_comm_rank(s->comm) == 0) {
        status = dt_plan_begin(plan, &request);
        if (status == DT_OK)
            status = dt_plan_decide(plan, DT_FOUND_NOTHING, NULL, &request, dt_comm_size(s->comm));
        if (status == DT_OK) status = make_folder(folder, plan->config.out);
    }
    DT_TRY(dt_comm_agree(s->comm, status));
    DT_TRY(dt_comm_broadcast(s->comm, plan, sizeof *plan));
    return dt_comm_split_nodes(s->comm, (size_t)plan->config.ranks_per_node);
}

/* Nothing is kept of a trial. */
static void no_last_words(void *context) { (void)context; }

static dt_status open_run(trial_run *r, dt_session *s, const dt_start_plan *plan) {
    dt_config config = plan->config;
    dt_history_row row = {.ranks = (int64_t)dt_comm_size(s->comm),
                          .nodes = (int64_t)dt_comm_nodes(s->comm),
                          .stopped = DT_STILL_RUNNING};
    DT_TRY(dt_session_open_device(s, (dt_backend_kind)config.backend));
    dt_signals_catch();
    DT_TRY(dt_session_settle_precision(s, &config));
    memcpy(config.out, r->folder, sizeof config.out);
    DT_TRY(dt_trainer_create(&r->t, s, &config, NULL));
    DT_TRY(dt_energy_open(&r->t.energy, s->comm, config.watts, dt_seconds_now()));
    dt_energy_explain(r->t.energy);
    DT_TRY(dt_trainer_initialise(&r->t));
    dt_status status = DT_OK;
    if (r->leads) status = dt_metrics_add_history(&r->t.metrics, &row);
    if (r->leads && status == DT_OK) status = dt_writer_open(&r->t.writer, dt_trainer_view, &r->t);
    DT_TRY(dt_comm_agree(s->comm, status));
    return dt_watchdog_open(&r->t.watchdog, s->comm, config.stall_timeout, no_last_words, NULL);
}

static dt_status measure(trial_run *r, double start) {
    size_t cores;
    DT_TRY(count_cores(&cores, r->t.s->comm));
    r->trial->start = start;
    describe(r, cores);
    DT_TRY(dt_comm_agree(r->t.s->comm, r->leads ? measure_texts(r) : DT_OK));
    DT_TRY(measure_steps(r));
    DT_TRY(measure_validation(r));
    DT_TRY(measure_checkpoints(r));
    dt_status status = DT_OK;
    const double mean = mean_over_ranks(r, 1024.0 * (double)r->peak, &status);
    r->trial->memory = mean * (double)dt_comm_size(r->t.s->comm);
    DT_TRY(status);
    return measure_bfloat16(r);
}

dt_status dt_trial_run(dt_trial *trial, dt_session *s, const dt_overrides *given) {
    dt_start_plan plan;
    trial_run r = {.trial = trial, .leads = dt_comm_rank(s->comm) == 0};
    dt_status status;
    *trial = (dt_trial){.watts = NAN, .bfloat16 = NAN};
    dt_signals_catch();
    DT_TRY_DONE(decide(&plan, r.folder, s, given));
    DT_TRY_DONE(open_run(&r, s, &plan));
    dt_startup_end();
    status = measure(&r, process_age());
    if (status == DT_OK) status = dt_comm_broadcast(s->comm, trial, sizeof *trial);
    memcpy(trial->config.out, plan.config.out, sizeof trial->config.out);
done:
    if (status == DT_ERR_COMM) return status; /* the job ends */
    dt_watchdog_close(&r.t.watchdog);
    dt_writer_close(&r.t.writer);
    dt_trainer_destroy(&r.t);
    if (r.leads) remove_folder(r.folder);
    return status;
}
