/* A dry run: what the program would do in a step on so many nodes, planned by its own code, and how
 * long the parts take that need no network: processor time of one core here, so that other programs
 * on it count little. For replay.c, which adds the network.
 *
 * build/bench_schedule measure [SETTING=VALUE …]
 * build/bench_schedule plan NODES RANKS LATENCY BANDWIDTH [-m FLOATS] [SETTING=VALUE …]
 *
 * RANKS: on each node; LATENCY in seconds, BANDWIDTH in bytes per second and node; -m: the longest
 * message. `plan` reads what `measure` has printed from standard input. Both print lines, a word
 * and numbers each, of which replay.c says what they mean. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/train/trainer.h"
#include "internal.h"
#include "owners.h"
#include "pieces.h"
#include "tree.h"

/* Repetitions of what is measured, of which the fastest counts; the most marks of a pass. */
enum { TURNS = 5, MARKS_MAX = 4096 };
static const double LONG_ENOUGH = 5; /* seconds of repetitions */

/* ---- how long it takes ---- */

/* When the backward pass had completed which elements. */
typedef struct {
    double at[MARKS_MAX];
    size_t from[MARKS_MAX];
    size_t count;
} marks;

static dt_status on_backward(void *context, size_t from) {
    marks *m = context;
    if (m->count < MARKS_MAX) {
        m->from[m->count] = from;
        m->at[m->count++] = processor_seconds();
    }
    return DT_OK;
}

/* A shard of so many texts, as a step computes it. */
static dt_status pass(double *seconds, marks *m, dt_trainer *t, size_t texts) {
    dt_backend *device = t->s->device;
    const dt_source source = dt_trainer_source(t);
    dt_buffer *gradient = t->slot[0];
    const dt_step_key key = {.seed = 1};
    dt_score score = {0};
    m->count = 0;
    const double start = processor_seconds();
    DT_TRY(device->op->push(device, dt_floats(t->device_weights, 0), t->layout.count));
    DT_TRY(device->op->fill_zero(device, dt_floats(gradient, 0), t->layout.count));
    DT_TRY(dt_trainer_fill_batch(&t->batch, &source, 0, texts));
    dt_model_watch(t->model, on_backward, m);
    DT_TRY(dt_model_backward(t->model, &score, gradient, &t->batch, &key));
    *seconds = processor_seconds() - start;
    for (size_t i = 0; i < m->count; i++) m->at[i] = (m->at[i] - start) / *seconds;
    return DT_OK;
}

static dt_status measure_passes(dt_trainer *t) {
    static marks best, now;
    static const size_t TEXTS[] = {1, 4, 16, 32, 64};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        double least = INFINITY;
        if (TEXTS[i] > (size_t)t->config.micro_batch) break;
        double spent = 0;
        for (size_t turn = 0; turn <= TURNS && (turn < 2 || spent < LONG_ENOUGH); turn++) {
            double seconds;
            DT_TRY(pass(&seconds, &now, t, TEXTS[i]));
            spent += seconds;
            if (turn == 0 || seconds > least) continue; /* the first one touches memory */
            least = seconds;
            best = now;
        }
        printf("pass %zu %zu %.9f\n", TEXTS[i], t->batch.tokens, least);
    }
    for (size_t i = 0; i < best.count; i++) printf("mark %.6f %zu\n", best.at[i], best.from[i]);
    return DT_OK;
}

/* Elements that are updated one by one. */
static size_t plain(const dt_trainer *t) {
    size_t count = t->layout.count;
    for (size_t i = 0; i < t->matrices; i++) count -= t->matrix[i].end - t->matrix[i].begin;
    return count;
}

static const dt_matrix *largest_matrix(const dt_trainer *t) {
    const dt_matrix *largest = &t->matrix[0];
    for (size_t i = 1; i < t->matrices; i++) {
        const dt_matrix *m = &t->matrix[i];
        if (m->end - m->begin > largest->end - largest->begin) largest = m;
    }
    return largest;
}

typedef enum { NORM, ADAM, AVERAGE, MATRIX, MOMENTUM, FOLD, PARTS } part;
static const char *const PART[] = {"norm", "adam", "average", "matrix", "momentum", "fold"};

/* *units: how often what a figure is given for. */
static dt_status do_part(double *units, dt_trainer *t, part what) {
    dt_backend *host = t->s->host;
    const size_t count = t->layout.count;
    const dt_matrix *m = t->matrices > 0 ? largest_matrix(t) : NULL;
    const dt_tensor gradient = dt_floats(t->v, 0); /* zeros take as long */
    *units = (double)count;
    switch (what) {
    case NORM: return dt_norm_blocks(t->blocks, host, gradient, count, 0, count);
    case ADAM:
        *units = (double)plain(t);
        return dt_optimizer_update(host, t->weights, t->m, t->v, dt_floats(t->slot[0], 0),
                                   &t->layout, 0, count, &t->config, 0, 1);
    case AVERAGE:
        if (!t->average) return DT_OK;
        return host->update->average(host, dt_floats(t->average, 0), dt_floats(t->weights, 0),
                                     count, 0.5f);
    case MATRIX:
        if (!m) return DT_OK;
        *units = dt_matrix_cost(m->rows, m->columns);
        return dt_matrix_update(host, m, t->weights, t->m, gradient, &t->config, 0, 1);
    case MOMENTUM:
        if (!m) return DT_OK;
        *units = (double)(m->end - m->begin);
        return dt_matrix_update_momentum(host, m, t->m, gradient, &t->config, 1);
    default: { /* partial sums of another rank or node come to those here, from memory */
        const float *const both[] = {t->m_memory, t->v_memory};
        dt_tree_fold(t->m_memory, both, 1, count);
        return DT_OK;
    }
    }
}

static dt_status measure_parts(dt_trainer *t) {
    for (part what = 0; what < PARTS; what++) {
        double units, least = INFINITY;
        for (size_t turn = 0; turn <= TURNS; turn++) {
            const double start = processor_seconds();
            DT_TRY(do_part(&units, t, what));
            if (turn > 0) least = fmin(least, processor_seconds() - start);
        }
        printf("%s %.6g\n", PART[what], least / units);
    }
    return DT_OK;
}

/* Lengths of texts, and dealing them to a group of shards of which each gets a few. */
static dt_status measure_dealing(dt_trainer *t) {
    enum { TEXTS = 8192, PARTS_OF_GROUP = 1024 };
    const dt_source source = dt_trainer_source(t);
    dt_deal deal = {0};
    dt_status status;
    DT_TRY_DONE(dt_deal_create(&deal, TEXTS, PARTS_OF_GROUP));
    double begin = processor_seconds();
    for (size_t i = 0; i < TEXTS; i++)
        DT_TRY_DONE(source.kind->train_length(&deal.tokens[i], &t->batch.text, &source, i));
    printf("length %.6g\n", (processor_seconds() - begin) / TEXTS);
    double tokens = 0;
    for (size_t i = 0; i < TEXTS; i++) tokens += deal.tokens[i];
    printf("tokens %.3f\n", tokens / TEXTS);
    begin = processor_seconds();
    dt_deal_texts(&deal, TEXTS, PARTS_OF_GROUP, 0, PARTS_OF_GROUP);
    printf("deal %.6g\n", (processor_seconds() - begin) / TEXTS);
done:
    dt_deal_destroy(&deal);
    return status;
}

static dt_status measure(dt_session *s, const dt_config *config) {
    dt_trainer t = {0};
    dt_status status;
    DT_TRY(dt_session_open(s));
    DT_TRY_DONE(dt_trainer_create(&t, s, config, NULL));
    DT_TRY_DONE(dt_trainer_initialise(&t));
    printf("parameters %zu\nmicro %lld\n", t.layout.count, (long long)t.config.micro_batch);
    DT_TRY_DONE(measure_passes(&t));
    DT_TRY_DONE(measure_dealing(&t));
    status = measure_parts(&t);
done:
    dt_trainer_destroy(&t);
    return status;
}

/* ---- what it does on so many nodes ---- */

typedef struct {
    size_t nodes, ranks; /* ranks of each node */
    size_t message;
    dt_network network;
    dt_trainer t;
    dt_session s;
    dt_comm comm; /* pretended: only what planning reads */
    dt_owned *owned;
    dt_reducer_plan plan;
    size_t stride;
} dry;

static dt_status pretend(dry *d) {
    dt_comm *c = &d->comm;
    *c = (dt_comm){.all = MPI_COMM_NULL,
                   .machine = MPI_COMM_NULL,
                   .local = MPI_COMM_NULL,
                   .leaders = MPI_COMM_NULL,
                   .size = d->nodes * d->ranks,
                   .local_size = d->ranks,
                   .nodes = d->nodes};
    DT_TRY(dt_memory_alloc(&c->first, d->nodes + 1, sizeof *c->first, "nodes"));
    for (size_t node = 0; node <= d->nodes; node++) c->first[node] = node * d->ranks;
    d->s.comm = c;
    return DT_OK;
}

/* Layout, matrices and their owners. */
static dt_status prepare(dry *d, const dt_config *config, double matrix_seconds) {
    dt_trainer *t = &d->t;
    t->s = &d->s;
    t->config = *config;
    t->network = d->network;
    DT_TRY(dt_source_open(&t->source, &t->config, NULL));
    DT_TRY(dt_model_shape_from(&t->shape, &t->config, dt_tokenizer_size(t->source.tokenizer)));
    DT_TRY(dt_layout_create(&t->layout, &t->shape));
    DT_TRY(dt_matrices_list(&t->matrix, &t->matrices, &t->layout, &t->config));
    DT_TRY(dt_owners_share(t, matrix_seconds));
    DT_TRY(dt_owners_list(&d->owned, t));
    d->stride = dt_round_up(t->layout.count, DT_NORM_BLOCK);
    d->plan = (dt_reducer_plan){.count = t->layout.count,
                                .shards = (size_t)config->shards,
                                .block = DT_NORM_BLOCK,
                                .network = d->network,
                                .owned = d->owned,
                                .owned_count = d->owned ? t->matrices : 0};
    return DT_OK;
}

static dt_status pieces_of(dt_pieces *p, const dry *d, dt_exchange_kind kind, size_t node) {
    const dt_place place = {
        .first = d->comm.first, .nodes = d->nodes, .node = node, .rank = SIZE_MAX};
    return dt_pieces_cut(p, &d->plan, kind, &place, d->stride);
}

/* As the ranks of a job agree on it. */
static dt_status choose_kind(dt_exchange_kind *kind, const dry *d) {
    double seconds[] = {[DT_EXCHANGE_DIRECT] = 0, [DT_EXCHANGE_TREE] = 0};
    for (size_t k = DT_EXCHANGE_DIRECT; k <= DT_EXCHANGE_TREE; k++) {
        for (size_t node = 0; node < d->nodes; node++) {
            dt_pieces p;
            DT_TRY(pieces_of(&p, d, (dt_exchange_kind)k, node));
            seconds[k] = fmax(seconds[k], p.seconds);
            dt_pieces_destroy(&p);
        }
    }
    *kind = seconds[DT_EXCHANGE_TREE] <= seconds[DT_EXCHANGE_DIRECT] ? DT_EXCHANGE_TREE
                                                                     : DT_EXCHANGE_DIRECT;
    return DT_OK;
}

static void print_route(const dt_route *route, const char *name, size_t owner, size_t node) {
    if (!route->step) return;
    printf("route %s %zu %zu %zu", name, owner, node, route->steps);
    for (size_t i = 0; i < route->steps; i++) {
        const dt_route_step *s = &route->step[i];
        switch (s->kind) {
        case DT_ROUTE_RECEIVE: printf(" r%u", s->node); break;
        case DT_ROUTE_ADD: printf(" a%d", s->waits); break;
        case DT_ROUTE_SEND: printf(" s%u", s->node); break;
        case DT_ROUTE_ROUND: printf(" o0"); break;
        case DT_ROUTE_TAKE: printf(" t%u", s->node); break;
        case DT_ROUTE_GIVE: printf(" g%u", s->node); break;
        }
    }
    putchar('\n');
}

static void print_pieces(const dry *d, const dt_pieces *p) {
    for (size_t i = 0; i < p->count; i++) {
        const dt_stretch *s = &p->piece[i].stretch;
        const size_t other = (s->owner + 1) % d->nodes;
        printf("piece %zu %zu %zu %zu %zu %d\n", s->begin, s->end, s->owner,
               dt_exchange_mover(d->comm.first, s, s->owner) - d->comm.first[s->owner],
               dt_exchange_mover(d->comm.first, s, other) - d->comm.first[other],
               p->piece[i].owned);
    }
}

static void print_matrices(const dt_trainer *t) {
    for (size_t i = t->matrices; i > 0; i--) {
        const dt_matrix *m = &t->matrix[i - 1];
        printf("own %zu %zu %zu %.6g\n", m->begin, m->end, m->worker,
               dt_matrix_cost(m->rows, m->columns));
    }
}

/* What the buffers of a rank take at most, and the longest piece, in bytes; and how many pieces are
 * under way at once. */
static dt_status print_memory(const dry *d, dt_exchange_kind kind) {
    size_t most = 0, longest = 0, stretches = SIZE_MAX;
    for (size_t node = 0; node < d->nodes; node++) {
        dt_pieces p;
        DT_TRY(pieces_of(&p, d, kind, node));
        most = dt_max_size(most, dt_exchange_bytes(p.buffers, p.messages, p.longest));
        stretches = dt_min_size(stretches, dt_exchange_stretches(p.buffers, p.longest));
        longest = p.longest * sizeof(float);
        dt_pieces_destroy(&p);
    }
    printf("memory %zu %zu %zu\n", most, longest, stretches);
    return DT_OK;
}

static dt_status print_plan(dry *d) {
    dt_exchange_kind kind = (dt_exchange_kind)d->t.config.exchange;
    if (kind == DT_EXCHANGE_AUTO) DT_TRY(choose_kind(&kind, d));
    printf("plan %zu %zu %zu %zu %d %s\n", d->nodes, d->ranks, d->t.layout.count, plain(&d->t),
           d->t.divided, kind == DT_EXCHANGE_TREE ? "tree" : "direct");
    print_matrices(&d->t);
    DT_TRY(print_memory(d, kind));
    d->plan.message =
        d->message; /* what is chosen and what memory it takes does not depend on it */
    for (size_t node = 0; node < d->nodes; node++) {
        dt_pieces p;
        DT_TRY(pieces_of(&p, d, kind, node));
        if (node == 0) print_pieces(d, &p);
        for (size_t owner = 0; owner < d->nodes; owner++) {
            print_route(&p.routes[owner].sum, "sum", owner, node);
            print_route(&p.routes[owner].owned, "owned", owner, node);
            print_route(&p.routes[owner].spread, "spread", owner, node);
        }
        dt_pieces_destroy(&p);
    }
    return DT_OK;
}

/* What `measure` has printed goes on to replay.c. */
static double copy_measured(void) {
    static const char NAME[] = "matrix ";
    char line[256];
    double matrix = 0;
    while (fgets(line, sizeof line, stdin)) {
        fputs(line, stdout);
        if (strncmp(line, NAME, strlen(NAME)) == 0) matrix = strtod(line + strlen(NAME), NULL);
    }
    return matrix;
}

static dt_status plan(dry *d, const dt_config *config) {
    const double matrix = copy_measured();
    dt_status status;
    DT_TRY_DONE(pretend(d));
    DT_TRY_DONE(prepare(d, config, matrix));
    status = print_plan(d);
done:
    dt_memory_free(&d->owned);
    dt_memory_free(&d->t.matrix);
    dt_layout_destroy(&d->t.layout);
    dt_source_close(&d->t.source);
    dt_memory_free(&d->comm.first);
    return status;
}

/* ---- options ---- */

static dt_status read_plan_words(dry *d, int *at, int argc, char **argv) {
    DT_REQUIRE(argc >= 6, DT_ERR_ARG,
               "usage: bench_schedule plan NODES RANKS LATENCY BANDWIDTH [-m FLOATS] "
               "[SETTING=VALUE …]");
    d->nodes = strtoul(argv[2], NULL, 10);
    d->ranks = strtoul(argv[3], NULL, 10);
    d->network = (dt_network){strtod(argv[4], NULL), strtod(argv[5], NULL)};
    *at = 6;
    if (argc > 7 && strcmp(argv[6], "-m") == 0) {
        d->message = strtoul(argv[7], NULL, 10);
        *at = 8;
    }
    DT_REQUIRE(
        d->nodes > 1 && d->ranks > 0 && d->network.bandwidth > 0, DT_ERR_ARG,
        "%s nodes of %s ranks with %s bytes per second: give 2 nodes or more, a rank on each "
        "and a bandwidth",
        argv[2], argv[3], argv[5]);
    return DT_OK;
}

static dt_status run(dry *d, dt_session *s, int argc, char **argv) {
    dt_config config;
    int at = 2;
    dt_config_defaults(&config);
    DT_REQUIRE(argc > 1, DT_ERR_ARG, "usage: bench_schedule measure|plan …");
    const bool measures = strcmp(argv[1], "measure") == 0;
    config.shards = config.batch = 1;
    if (measures) {
        config.batch = 32;
    } else {
        DT_TRY(read_plan_words(d, &at, argc, argv));
        size_t shards = 1;
        while (shards < d->nodes * d->ranks) shards *= 2;
        config.shards = config.batch = (int64_t)shards;
    }
    for (int i = at; i < argc; i++) DT_TRY(read_setting(&config, argv[i]));
    if (measures) config.micro_batch = config.batch;
    DT_TRY(dt_config_check(&config));
    return measures ? measure(s, &config) : plan(d, &config);
}

int main(int argc, char **argv) {
    static dry d;
    dt_session s = {0};
    dt_status status = dt_comm_open(&s.comm, &argc, &argv);
    if (status == DT_OK) status = run(&d, &s, argc, argv);
    if (status != DT_OK) dt_log_error("%s", dt_error_text());
    dt_comm *comm = s.comm;
    dt_session_close(&s);
    const dt_status closed = dt_comm_close(&comm);
    return dt_status_exit_code(status != DT_OK ? status : closed);
}
