/* Replays a step that bench_schedule has planned, on a network that SimGrid simulates.
 *
 * bench_replay [-e program|rabenseifner|none] [-t TEXTS] [-m TEXTS] [-a FACTOR] [-o SECONDS] [-g
 * BYTES] PLAN PLATFORM
 *
 * -e: what exchanges the gradients: the planned routes; Rabenseifner's all-reduce (doi:
 * 10.1007/978-3-540-24685-5_1) after the passes, between 2^k nodes, and each node updates all; or
 * nothing, on one node alone. -t: texts of a rank; -m: of a pass at most; -o: what a message takes
 * its sender's and its receiver's processor; -g: longer messages wait for a word from the receiver;
 * -a: multiplies all times that were measured. PLATFORM: for SimGrid, with hosts n0, n1 … (XML).
 * Prints one JSON object: seconds of the step, until the last node has passed.
 *
 * A node is one actor. Its ranks are clocks: each moves its pieces as mpi/exchange.c does, some at
 * a time, along the routes of the plan, at the moments at which the backward pass lets it, and then
 * all the time. Inside the node there are no messages, and a barrier takes what is said below. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <simgrid/actor.h>
#include <simgrid/comm.h>
#include <simgrid/cond.h>
#include <simgrid/engine.h>
#include <simgrid/host.h>
#include <simgrid/mailbox.h>
#include <simgrid/mutex.h>

#include "replay_plan.h"

enum { REQUEST_BYTES = 64 };

/* Seconds for one level of a barrier between the ranks of a node, in shared memory. */
static const double LEVEL = 1e-6;

/* What a rank reports in a step, the loss of one shard included: src/train/report.h. */
enum { REPORT_BYTES = 8 * 15 };

/* ---- what was measured ---- */

/* Seconds of a pass over so many tokens. */
static double pass_of(double tokens) {
    if (tokens <= g.pass_tokens[0]) return g.pass[0] * fmax(tokens / g.pass_tokens[0], 0.5);
    int i = 1;
    while (i + 1 < g.passes && tokens > g.pass_tokens[i]) i++;
    const double share =
        (tokens - g.pass_tokens[i - 1]) / (g.pass_tokens[i] - g.pass_tokens[i - 1]);
    return g.pass[i - 1] + share * (g.pass[i] - g.pass[i - 1]);
}

/* All passes of a rank, one shard each; *last: of the last one. */
static double passes_of_rank(double *last) {
    const double count = ceil(g.texts / g.micro);
    *last = g.factor * pass_of(g.texts / count * g.tokens);
    return count * *last;
}

/* As dt_trainer_deal, with a shard for each rank: a rank deals to a group of up to 1024 shards; if
 * it has many texts its ranks share the measuring of their lengths. */
static double dealing(void) {
    const double ranks = fmin((double)g.nodes * g.ranks, 1024), batch = ranks * g.texts;
    const double measured = batch >= 4096 ? g.texts : batch;
    return g.factor * (measured * g.length + batch * g.deal);
}

static double levels(double count) { return ceil(log2(fmax(1, count))); }
static double barrier(void) { return 2 * LEVEL * levels(g.ranks); }

/* ---- messages ---- */

typedef enum { DATA, REQUEST, CLEAR, REPORT, RESULT, BLOCK } letter_kind;

typedef struct {
    letter_kind kind;
    int from, piece, phase;
} letter;

typedef struct {
    int piece, phase, from;
    bool request;
} waiting; /* has come, but nobody has looked for it yet */

typedef struct task {
    int piece, phase;
    const route *route;
    int at;
    int leaving; /* long messages on their way */
} task;

typedef struct {
    task *task;        /* (stretches) */
    int started, done; /* of the pieces of this rank in this phase */
    int *piece;        /* (pieces) */
    int pieces;
    double clock;  /* until then its processor is busy */
    double stolen; /* seconds that the exchange has taken from the passes */
    double ready;  /* spread: own pieces from this element on may leave */
    int matrix;    /* the next one to update */
    bool updated;
} mover;

typedef struct {
    int number;
    mover *mover; /* (ranks) */
    waiting *come;
    int comes;
    sg_mutex_t mutex;
    sg_cond_t news; /* something has come, or a long message has left, */
    bool fresh;     /* and nobody has looked since */
    int reports, results;
    int blocks[64];
    int phase; /* 0: gradients, 1: new weights */
} node;

static sg_mailbox_t *mailbox;
static node *all;

static void post(int to, letter_kind kind, int from, int number, int phase, double bytes) {
    letter *l = need(malloc(sizeof *l));
    *l = (letter){kind, from, number, phase};
    g.bytes += bytes;
    g.messages++;
    sg_comm_detach(sg_mailbox_put_init(mailbox[to], l, (long)bytes), NULL);
}

static double bytes_of(int number) {
    return 4.0 * (double)(g.piece[number].end - g.piece[number].begin);
}

static bool is_long(int number) { return bytes_of(number) > g.eager; }

static mover *mover_of(node *n, int number) {
    const piece *p = &g.piece[number];
    return &n->mover[p->owner == n->number ? p->mover : p->other];
}

static task *task_of(node *n, int number, int phase) {
    mover *m = mover_of(n, number);
    if (n->phase != phase) return NULL;
    for (int i = m->done; i < m->started; i++) {
        task *t = &m->task[i % g.stretches];
        if (t->piece == number) return t;
    }
    return NULL;
}

static void send_now(const node *n, const task *t, int to) {
    post(to, DATA, n->number, t->piece, t->phase, bytes_of(t->piece));
}

static void send_piece(const node *n, mover *m, task *t, int to) {
    m->clock += g.overhead;
    if (!is_long(t->piece)) {
        send_now(n, t, to);
        return;
    }
    t->leaving++;
    post(to, REQUEST, n->number, t->piece, t->phase, REQUEST_BYTES);
}

static void enter(node *n, int number, int phase, int from, bool request) {
    n->come = grow(n->come, n->comes, sizeof *n->come);
    n->come[n->comes++] = (waiting){number, phase, from, request};
}

static bool take_come(node *n, const task *t, int from, bool request) {
    for (int i = 0; i < n->comes; i++) {
        const waiting *w = &n->come[i];
        if (w->piece != t->piece || w->phase != t->phase || w->request != request) continue;
        if (from >= 0 && w->from != from) continue;
        memmove(&n->come[i], &n->come[i + 1], (size_t)(--n->comes - i) * sizeof *n->come);
        return true;
    }
    return false;
}

/* Tell senders of long messages for a piece under way that there is room. */
static void clear(node *n, const task *t) {
    if (!is_long(t->piece)) return;
    for (int i = 0; i < n->comes; i++) {
        const waiting w = n->come[i];
        if (w.piece != t->piece || w.phase != t->phase || !w.request) continue;
        memmove(&n->come[i], &n->come[i + 1], (size_t)(--n->comes - i) * sizeof *n->come);
        post(w.from, CLEAR, n->number, t->piece, t->phase, REQUEST_BYTES);
        i--;
    }
}

/* ---- the steps of a route ---- */

static bool do_step(node *n, mover *m, task *t) {
    const step *s = &t->route->step[t->at];
    const double floats = bytes_of(t->piece) / 4;
    switch (s->kind) {
    case 'r':
        if (!take_come(n, t, s->node, false)) return false;
        m->clock += g.overhead;
        return true;
    case 't':
        if (t->leaving > 0 || !take_come(n, t, s->node, false)) return false;
        m->clock += g.overhead;
        return true;
    case 'a':
        if (s->node && t->leaving > 0) return false;
        m->clock += g.factor * g.fold * floats;
        return true;
    case 's':
    case 'g': send_piece(n, m, t, s->node); return true;
    default: return true;
    }
}

/* Goes on as far as it can at this moment; returns false if the processor is busy. */
static bool go_on(node *n, mover *m, task *t, double now) {
    while (t->at < t->route->steps) {
        if (m->clock > now) return false;
        if (!do_step(n, m, t)) return true;
        t->at++;
    }
    return true;
}

static void start(node *n, mover *m, int number) {
    task *t = &m->task[m->started++ % g.stretches];
    const piece *p = &g.piece[number];
    const way w = n->phase == 1 ? SPREAD : p->owned ? OWNED : SUM;
    *t = (task){.piece = number,
                .phase = n->phase,
                .route = &g.route[w][(size_t)p->owner * (size_t)g.nodes + (size_t)n->number]};
    if (n->phase == 0 && g.ranks > 1) /* the sum over the ranks of the node */
        m->clock += g.factor * g.fold * (g.ranks - 1) * bytes_of(number) / 4;
    clear(n, t);
}

static bool may_start(const node *n, const mover *m, size_t final) {
    if (m->started == m->pieces || m->started - m->done == g.stretches) return false;
    const piece *p = &g.piece[m->piece[m->started]];
    if (n->phase == 0) return p->begin >= final;
    const bool mine = p->owner == n->number;
    return !mine || (double)p->begin >= m->ready;
}

/* What dt_reducer_progress does at a moment. final: elements from there on are complete. */
static void progress(node *n, mover *m, double now, size_t final) {
    bool moved = true;
    while (moved && m->clock <= now) {
        moved = false;
        for (int i = m->done; i < m->started; i++) {
            if (!go_on(n, m, &m->task[i % g.stretches], now)) return;
        }
        while (m->done < m->started) {
            const task *t = &m->task[m->done % g.stretches];
            if (t->at < t->route->steps || t->leaving > 0) break;
            m->done++;
            moved = true;
        }
        while (may_start(n, m, final) && m->clock <= now) {
            start(n, m, m->piece[m->started]);
            moved = true;
        }
    }
}

static bool is_moved(const mover *m) { return m->done == m->pieces; }

/* ---- waiting ---- */

static void tell(node *n) {
    n->fresh = true;
    sg_cond_notify_all(n->news);
}

/* A long message has left its sender, which knows it when it has arrived. */
static void left(node *n, const letter *l) {
    task *t = task_of(n, l->piece, l->phase);
    if (!t) fail("a message of a piece that is not under way");
    t->leaving--;
    tell(n);
}

static void handle(node *n, letter *l) {
    task *t;
    switch (l->kind) {
    case DATA:
        enter(n, l->piece, l->phase, l->from, false);
        if (is_long(l->piece)) left(&all[l->from], l);
        break;
    case REQUEST:
        t = task_of(n, l->piece, l->phase);
        if (t) {
            post(l->from, CLEAR, n->number, l->piece, l->phase, REQUEST_BYTES);
        } else {
            enter(n, l->piece, l->phase, l->from, true);
        }
        break;
    case CLEAR:
        t = task_of(n, l->piece, l->phase);
        if (!t) fail("a word for a piece that is not under way");
        send_now(n, t, l->from);
        break;
    case REPORT: n->reports++; break;
    case RESULT: n->results++; break;
    case BLOCK: n->blocks[l->phase]++; break;
    }
    free(l);
}

/* Takes what comes to a node. */
static void run_inbox(int argc, char **argv) {
    if (argc < 2) fail("an inbox without a number");
    node *n = &all[strtol(argv[1], NULL, 10)];
    sg_mailbox_set_receiver(sg_mailbox_get_name(mailbox[n->number]));
    for (;;) {
        handle(n, sg_mailbox_get(mailbox[n->number]));
        tell(n);
    }
}

/* Until a message comes, a long one has left, or a moment. */
static void wait_until(node *n, double moment) {
    const double rest = moment - simgrid_get_clock();
    /* Others go on while this node sends. */
    if (n->fresh || rest <= 0) {
        n->fresh = false;
        return;
    }
    if (isfinite(rest)) {
        sg_cond_wait_for(n->news, n->mutex, rest);
    } else {
        sg_cond_wait(n->news, n->mutex);
    }
}

static void wait_for_moment(node *n, double moment) {
    while (simgrid_get_clock() < moment) wait_until(n, moment);
}

/* ---- phases of a step ---- */

/* Forward and backward passes, with the exchange at the moments at which the last pass lets it. */
static void passes(node *n) {
    double last;
    const double work = dealing() + passes_of_rank(&last), before = work - last;
    const bool moves = g.exchange == PROGRAM;
    for (int i = 0; moves && i < g.marks; i++) {
        const double at = before + g.mark[i].at * last;
        wait_for_moment(n, at);
        for (int r = 0; r < g.ranks; r++) {
            mover *m = &n->mover[r];
            if (is_moved(m)) continue;
            /* It does all there is to do now, and its passes go on later. */
            m->clock = at;
            for (double then = -1; m->clock != then;) {
                then = m->clock;
                progress(n, m, then, g.mark[i].from);
            }
            m->stolen += m->clock - at;
        }
    }
    double most = 0;
    for (int r = 0; r < g.ranks; r++) most = fmax(most, n->mover[r].stolen);
    wait_for_moment(n, work + most);
    g.passed = fmax(g.passed, simgrid_get_clock());
    for (int r = 0; r < g.ranks; r++) n->mover[r].clock = simgrid_get_clock();
}

/* Updates of matrices, one after the other; returns when the next one is done. */
static void update_matrices(node *n, int r, double now) {
    mover *m = &n->mover[r];
    while (!m->updated && m->clock <= now) {
        while (m->matrix < g.matrices &&
               g.matrix[m->matrix].worker != (size_t)(g.divided ? n->number * g.ranks + r : r))
            m->matrix++;
        if (m->matrix == g.matrices) {
            m->updated = true;
            if (g.divided && n->number == 0)
                m->clock += g.factor * g.momentum * (g.parameters - g.plain) / g.ranks;
            m->ready = 0;
            break;
        }
        m->ready = m->matrix > 0 ? (double)g.matrix[m->matrix - 1].begin : INFINITY;
        m->clock += g.factor * g.matrix_cost * g.matrix[m->matrix++].cost;
    }
}

/* Until all pieces are moved and, in the second phase, all matrices updated. */
static void finish_phase(node *n) {
    for (;;) {
        const double now = simgrid_get_clock();
        double next = INFINITY;
        bool all = true;
        for (int r = 0; r < g.ranks; r++) {
            mover *m = &n->mover[r];
            if (n->phase == 1) update_matrices(n, r, now);
            if (m->clock <= now) progress(n, m, now, 0);
            if (m->clock > now) next = fmin(next, m->clock);
            all = all && is_moved(m) && (n->phase == 0 || m->updated) && m->clock <= now;
        }
        if (all) return;
        wait_until(n, next);
    }
}

/* Rows of all ranks to rank 0, and the sum back, along binomial trees. */
static void report(node *n) {
    const int self = n->number;
    int expected = 0, low = self ? self & -self : 1, below = 1;
    while (self == 0 && low < g.nodes) low *= 2;
    for (int bit = 1; bit < low && self + bit < g.nodes; bit *= 2) {
        expected++;
        below += bit < g.nodes - self - bit ? bit : g.nodes - self - bit;
    }
    while (n->reports < expected) wait_until(n, INFINITY);
    if (self) {
        post(self - low, REPORT, self, 0, 0, (double)below * g.ranks * REPORT_BYTES);
        while (n->results == 0) wait_until(n, INFINITY);
    }
    for (int bit = low; bit > 0; bit /= 2) {
        if (bit < low && self + bit < g.nodes) post(self + bit, RESULT, self, 0, 0, REPORT_BYTES);
    }
    wait_for_moment(n, simgrid_get_clock() + barrier());
}

static void update(node *n) {
    const double begin = simgrid_get_clock();
    const double slice = g.parameters / g.ranks;
    for (int r = 0; r < g.ranks; r++) {
        mover *m = &n->mover[r];
        m->clock = begin + g.factor * g.adam * fmin(slice, g.plain);
        m->started = m->done = 0;
        m->matrix = 0;
        m->updated = false;
        m->ready = INFINITY;
        m->pieces = 0;
    }
    n->phase = 1;
    for (int i = 0; g.divided && i < g.pieces; i++) {
        if (!g.piece[i].owned) continue;
        mover *m = mover_of(n, i);
        m->piece[m->pieces++] = i;
    }
    finish_phase(n);
    wait_for_moment(n, simgrid_get_clock() + 2 * barrier() + g.factor * g.average * slice);
}

/* The sum over the ranks of the node, of which each adds a slice. */
static void add_ranks(node *n) {
    wait_for_moment(n, simgrid_get_clock() +
                           g.factor * g.fold * g.parameters * (g.ranks - 1) / g.ranks);
}

/* Halves that get smaller, then blocks that get larger; between 2^k nodes. */
static void rabenseifner(node *n) {
    double bytes = 4 * g.parameters / 2;
    int round = 0;
    for (int bit = g.nodes / 2; bit > 0; bit /= 2, bytes /= 2, round++) {
        post(n->number ^ bit, BLOCK, n->number, 0, round, bytes);
        while (n->blocks[round] == 0) wait_until(n, INFINITY);
        wait_for_moment(n, simgrid_get_clock() + 2 * g.overhead +
                               g.factor * g.fold * bytes / 4 / g.ranks);
    }
    for (int bit = 1; bit < g.nodes; bit *= 2, round++) {
        bytes *= 2;
        post(n->number ^ bit, BLOCK, n->number, 0, round, bytes);
        while (n->blocks[round] == 0) wait_until(n, INFINITY);
    }
}

static void run_node(int argc, char **argv) {
    if (argc < 2) fail("a node without a number");
    node *const n = &all[strtol(argv[1], NULL, 10)];
    sg_mutex_lock(n->mutex);
    n->mover = need(calloc((size_t)g.ranks, sizeof *n->mover));
    int *count = need(calloc((size_t)g.ranks, sizeof *count));
    for (int i = 0; i < g.pieces; i++) count[mover_of(n, i) - n->mover]++;
    for (int r = 0; r < g.ranks; r++) {
        n->mover[r].task = need(calloc((size_t)g.stretches, sizeof *n->mover[r].task));
        n->mover[r].piece = need(calloc((size_t)count[r] + 1, sizeof(int)));
    }
    for (int i = 0; i < g.pieces; i++) {
        mover *m = mover_of(n, i);
        if (m->piece) m->piece[m->pieces++] = i;
    }
    passes(n);
    finish_phase(n);
    if (g.exchange != PROGRAM) add_ranks(n);
    if (g.exchange == RABENSEIFNER) rabenseifner(n);
    wait_for_moment(n, simgrid_get_clock() + barrier());
    g.summed = fmax(g.summed, simgrid_get_clock());
    if (n->number == 0) /* the norm */
        wait_for_moment(n, simgrid_get_clock() + g.factor * g.norm * g.parameters / g.ranks);
    report(n);
    update(n);
    g.end = fmax(g.end, simgrid_get_clock());
    sg_mutex_unlock(n->mutex);
    free(count);
}

/* ---- */

/* *micro: 0 if it is not given. */
static void read_options(double *micro, int argc, char **argv) {
    *micro = 0;
    for (int option; (option = getopt(argc, argv, "e:t:m:a:o:g:")) != -1;) {
        switch (option) {
        case 'e':
            g.exchange = strcmp(optarg, "program") == 0        ? PROGRAM
                         : strcmp(optarg, "rabenseifner") == 0 ? RABENSEIFNER
                                                               : NONE;
            break;
        case 't': g.texts = strtod(optarg, NULL); break;
        case 'm': *micro = strtod(optarg, NULL); break;
        case 'a': g.factor = strtod(optarg, NULL); break;
        case 'o': g.overhead = strtod(optarg, NULL); break;
        case 'g': g.eager = strtod(optarg, NULL); break;
        default:
            fail("usage: bench_replay [-e program|rabenseifner|none] [-t TEXTS] PLAN PLATFORM");
        }
    }
    if (argc - optind != 2) fail("give a plan and a platform");
}

int main(int argc, char **argv) {
    simgrid_init(&argc, argv);
    double micro;
    read_options(&micro, argc, argv);
    read_file(argv[optind]);
    if (micro > 0) g.micro = micro;
    if (g.exchange != PROGRAM) g.pieces = 0;
    if (g.exchange == NONE) g.nodes = 1;
    if (g.exchange != PROGRAM) g.divided = false;
    if (g.exchange == RABENSEIFNER && (g.nodes & (g.nodes - 1)) != 0)
        fail("Rabenseifner's all-reduce is between 2^k nodes");
    simgrid_load_platform(argv[optind + 1]);
    if (g.nodes < 1) fail("a plan without nodes");
    mailbox = need(calloc((size_t)g.nodes, sizeof(sg_mailbox_t)));
    all = need(calloc((size_t)g.nodes, sizeof *all));
    for (int i = 0; i < g.nodes; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        mailbox[i] = sg_mailbox_by_name(name);
        const sg_host_t host = sg_host_by_name(name);
        if (!host) fail("the platform has not enough hosts");
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *words[] = {name, number};
        all[i] = (node){.number = i, .mutex = sg_mutex_init(), .news = sg_cond_init()};
        sg_actor_daemonize(sg_actor_create_("inbox", host, run_inbox, 2, words));
        sg_actor_create_(name, host, run_node, 2, words);
    }
    simgrid_run();
    printf("{\"nodes\":%d,\"ranks\":%d,\"exchange\":\"%s\",\"updates\":\"%s\",\"parameters\":%.0f,"
           "\"texts\":%g,\"step\":%.6f,\"passes\":%.6f,\"summed\":%.6f,\"messages\":%.0f,"
           "\"bytes\":%.0f,\"buffers\":%.0f,\"piece\":%.0f}\n",
           g.nodes, g.ranks,
           g.exchange == PROGRAM ? g.kind
           : g.exchange == NONE  ? "none"
                                 : "rabenseifner",
           g.divided ? "job" : "node", g.parameters, g.texts, g.end, g.passed, g.summed, g.messages,
           g.bytes, g.buffers, g.longest);
    return 0;
}
