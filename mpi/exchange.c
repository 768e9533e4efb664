/* Follows the routes of several stretches at once, since MPI's own sums have an order of their own.
   A stretch waits for one message at a time; meanwhile the others go on. */
#include "exchange.h"

#include <limits.h>

#include "bfloat16.h"
#include "dtrain/core/memory.h"
#include "internal.h"
#include "tree.h"

/* Stretches that can be under way at once: the network should not be idle while stretches wait for
 * each other. Of short ones there are more, in as much memory. */
enum { STRETCHES_MIN = 8, STRETCHES_MAX = 32, STRETCHES_BYTES = 4 << 20 };

/* Tags that every MPI has. */
enum { TAGS = 32768 };

/* A stretch under way. */
typedef struct {
    dt_stretch stretch;
    const dt_route *route;
    float *const *own;
    size_t owns;
    bool rounded;      /* floats travel as bfloat16 */
    size_t at;         /* the next step */
    size_t looked;     /* receives before this step have been posted */
    float *buffer;     /* (buffers, longest) */
    MPI_Request *come; /* (buffers + 1) what is received into each buffer, and the whole sum */
    MPI_Request *sent; /* (messages) */
    int sends;
    size_t parts;
    /* With bfloat16, else NULL. The sum as it travels is the last of `packed`. */
    uint16_t *arrived; /* (buffers, longest) */
    uint16_t *packed;  /* (messages + 1, longest) */
} task;

struct dt_exchange {
    dt_exchange_plan plan;
    size_t stretches;
    task *task;           /* (stretches) */
    size_t started, done; /* stretches, one after the other */
    float *buffer;        /* of all tasks */
    uint16_t *arrived, *packed;
    MPI_Request *come, *sent;
    int *index;     /* room for the numbers of those that have come */
    size_t waiting; /* messages that have not come */
    double bytes;
};

size_t dt_exchange_stretches(size_t buffers, size_t longest) {
    const size_t fit = STRETCHES_BYTES / (dt_max_size(buffers, 1) * longest * sizeof(float));
    return dt_max_size(STRETCHES_MIN, dt_min_size(fit, STRETCHES_MAX));
}

size_t dt_exchange_bytes(size_t buffers, size_t messages, size_t longest) {
    const size_t stretches = dt_exchange_stretches(buffers, longest);
    const size_t requests = stretches * (buffers + 1 + messages) + 1;
    return (stretches * buffers + 1) * longest * sizeof(float) + requests * sizeof(MPI_Request);
}

static dt_status allocate(dt_exchange *x) {
    const char *what = "buffers between nodes";
    const dt_exchange_plan *p = &x->plan;
    const size_t buffers = p->buffers, come = buffers + 1, sent = p->messages;
    const size_t stretches = x->stretches = dt_exchange_stretches(buffers, p->longest);
    DT_REQUIRE(p->longest <= INT_MAX && stretches * come <= INT_MAX && sent <= INT_MAX,
               DT_ERR_INTERNAL, "%zu floats and %zu messages are too many for MPI", p->longest,
               sent);
    DT_TRY(dt_memory_alloc(&x->task, stretches, sizeof *x->task, what));
    DT_TRY(dt_memory_alloc(&x->come, stretches * come, sizeof *x->come, what));
    DT_TRY(dt_memory_alloc(&x->index, stretches * come, sizeof *x->index, what));
    DT_TRY(dt_memory_alloc(&x->sent, stretches * sent + 1, sizeof *x->sent, what));
    DT_TRY(
        dt_memory_alloc(&x->buffer, stretches * buffers + 1, p->longest * sizeof *x->buffer, what));
    if (p->transport == DT_TRANSPORT_BFLOAT16) {
        const size_t bytes = p->longest * sizeof(uint16_t);
        DT_TRY(dt_memory_alloc(&x->arrived, stretches * buffers + 1, bytes, what));
        DT_TRY(dt_memory_alloc(&x->packed, stretches * (sent + 1), bytes, what));
    }
    for (size_t i = 0; i < stretches * come; i++) x->come[i] = MPI_REQUEST_NULL;
    for (size_t i = 0; i < stretches; i++) {
        task *t = &x->task[i];
        t->come = x->come + i * come;
        t->sent = x->sent + i * sent;
        t->buffer = x->buffer + i * buffers * p->longest;
        if (!x->packed) continue;
        t->arrived = x->arrived + i * buffers * p->longest;
        t->packed = x->packed + i * (sent + 1) * p->longest;
    }
    return DT_OK;
}

dt_status dt_exchange_create(dt_exchange **exchange, const dt_exchange_plan *plan) {
    *exchange = NULL;
    dt_exchange *made;
    DT_TRY(dt_memory_alloc(&made, 1, sizeof *made, "plan of the node exchange"));
    made->plan = *plan;
    const dt_status status = allocate(made);
    if (status != DT_OK) dt_exchange_destroy(&made);
    *exchange = made;
    return status;
}

void dt_exchange_destroy(dt_exchange **exchange) {
    dt_exchange *x = *exchange;
    if (!x) return;
    dt_memory_free(&x->packed);
    dt_memory_free(&x->arrived);
    dt_memory_free(&x->buffer);
    dt_memory_free(&x->sent);
    dt_memory_free(&x->index);
    dt_memory_free(&x->come);
    dt_memory_free(&x->task);
    dt_memory_free(exchange);
}

size_t dt_exchange_mover(const size_t *first, const dt_stretch *stretch, size_t node) {
    if (node == stretch->owner) return stretch->mover;
    return first[node] + stretch->number % (first[node + 1] - first[node]);
}

/* ---- messages ---- */

static size_t length_of(const task *t) { return t->stretch.end - t->stretch.begin; }

static MPI_Datatype type_of(const task *t) { return t->rounded ? MPI_UINT16_T : MPI_FLOAT; }

static int tag_of(const task *t) { return (int)(t->stretch.number % TAGS); }

static int rank_on(const dt_exchange *x, const task *t, size_t node) {
    return (int)dt_exchange_mover(x->plan.first, &t->stretch, node);
}

static float *value_at(const dt_exchange *x, const task *t, size_t value) {
    if (value < t->owns) return t->own[value] + t->stretch.begin;
    return t->buffer + (value - t->owns) * x->plan.longest;
}

static uint16_t *packed_sum(const dt_exchange *x, const task *t) {
    return t->packed + x->plan.messages * x->plan.longest;
}

static dt_status send(dt_exchange *x, task *t, const void *from, size_t node) {
    const size_t count = length_of(t);
    x->bytes += (double)(count * (t->rounded ? sizeof(uint16_t) : sizeof(float)));
    return DT_MPI(MPI_Isend(from, (int)count, type_of(t), rank_on(x, t, node), tag_of(t),
                            x->plan.all, &t->sent[t->sends++]));
}

static dt_status receive(dt_exchange *x, task *t, void *to, size_t node, MPI_Request *request) {
    x->waiting++;
    return DT_MPI(MPI_Irecv(to, (int)length_of(t), type_of(t), rank_on(x, t, node), tag_of(t),
                            x->plan.all, request));
}

static dt_status have_left(bool *all, task *t) {
    int left = 1;
    if (t->sends > 0) DT_TRY(DT_MPI(MPI_Testall(t->sends, t->sent, &left, MPI_STATUSES_IGNORE)));
    if (left) t->sends = 0;
    *all = left;
    return DT_OK;
}

/* ---- steps ---- */

/* Post what is to come into buffers that are free, in the order of the steps. */
static dt_status post(dt_exchange *x, task *t) {
    for (; t->looked < t->route->steps; t->looked++) {
        const dt_route_step *step = &t->route->step[t->looked];
        if (step->kind == DT_ROUTE_TAKE) return DT_OK; /* in its turn */
        if (step->kind != DT_ROUTE_RECEIVE) continue;
        if (step->after > t->at) return DT_OK;
        const size_t buffer = step->left - t->owns;
        void *to = t->rounded ? (void *)(t->arrived + buffer * x->plan.longest)
                              : (void *)value_at(x, t, step->left);
        DT_TRY(receive(x, t, to, step->node, &t->come[buffer]));
    }
    return DT_OK;
}

static void unpack(const dt_exchange *x, const task *t, size_t value) {
    const size_t buffer = value - t->owns;
    dt_bfloat16_unpack(value_at(x, t, value), t->arrived + buffer * x->plan.longest, length_of(t));
}

static void add(const dt_exchange *x, const task *t, const dt_route_step *step, double *adding) {
    const double start = dt_clock();
    const float *const part[] = {value_at(x, t, step->left), value_at(x, t, step->right)};
    dt_tree_fold(value_at(x, t, step->sum), part, 1, length_of(t));
    *adding += dt_clock() - start;
}

static dt_status send_part(dt_exchange *x, task *t, const dt_route_step *step) {
    const float *from = value_at(x, t, step->left);
    if (!t->rounded) return send(x, t, from, step->node);
    uint16_t *packed = t->packed + t->parts++ * x->plan.longest;
    dt_bfloat16_pack(packed, from, length_of(t));
    return send(x, t, packed, step->node);
}

static void *sum_at(const dt_exchange *x, const task *t) {
    return t->rounded ? (void *)packed_sum(x, t) : (void *)value_at(x, t, 0);
}

static void unpack_sum(const dt_exchange *x, const task *t) {
    if (t->rounded) dt_bfloat16_unpack(value_at(x, t, 0), packed_sum(x, t), length_of(t));
}

static void round_sum(const dt_exchange *x, const task *t) {
    if (t->rounded) dt_bfloat16_pack(packed_sum(x, t), value_at(x, t, 0), length_of(t));
    unpack_sum(x, t);
}

/* *done: the whole sum is here. */
static dt_status take(bool *done, dt_exchange *x, task *t, const dt_route_step *step) {
    MPI_Request *request = &t->come[x->plan.buffers];
    if (t->looked > t->at) { /* it has been posted */
        *done = *request == MPI_REQUEST_NULL;
        if (*done) unpack_sum(x, t);
        return DT_OK;
    }
    bool left;
    *done = false;
    DT_TRY(have_left(&left, t));
    if (!left) return DT_OK;
    t->looked = t->at + 1;
    return receive(x, t, sum_at(x, t), step->node, request);
}

/* *done: it is, and the next one can follow. */
static dt_status do_step(bool *done, dt_exchange *x, task *t, double *adding) {
    const dt_route_step *step = &t->route->step[t->at];
    *done = true;
    switch (step->kind) {
    case DT_ROUTE_RECEIVE:
        *done = t->looked > t->at && t->come[step->left - t->owns] == MPI_REQUEST_NULL;
        if (*done && t->rounded) unpack(x, t, step->left);
        return DT_OK;
    case DT_ROUTE_ADD:
        if (step->waits) DT_TRY(have_left(done, t));
        if (*done) add(x, t, step, adding);
        return DT_OK;
    case DT_ROUTE_SEND: return send_part(x, t, step);
    case DT_ROUTE_ROUND: round_sum(x, t); return DT_OK;
    case DT_ROUTE_TAKE: return take(done, x, t, step);
    case DT_ROUTE_GIVE: return send(x, t, sum_at(x, t), step->node);
    }
    return DT_OK;
}

static dt_status go_on(dt_exchange *x, task *t, double *adding) {
    bool done = true;
    while (done) {
        DT_TRY(post(x, t));
        if (t->at == t->route->steps) return DT_OK;
        DT_TRY(do_step(&done, x, t, adding));
        t->at += done;
    }
    return DT_OK;
}

/* ---- stretches ---- */

static task *task_at(dt_exchange *x, size_t number) { return &x->task[number % x->stretches]; }

bool dt_exchange_has_room(const dt_exchange *x) { return x->started - x->done < x->stretches; }

bool dt_exchange_is_idle(const dt_exchange *x) { return x->done == x->started; }

double dt_exchange_sent(const dt_exchange *x) { return x->bytes; }

dt_status dt_exchange_start(dt_exchange *x, const dt_stretch *stretch, const dt_route *route,
                            float *const *own, size_t owns, bool exact) {
    DT_REQUIRE(dt_exchange_has_room(x) && stretch->end - stretch->begin <= x->plan.longest,
               DT_ERR_INTERNAL,
               "elements %zu to %zu do not fit what is under way between the nodes", stretch->begin,
               stretch->end);
    task *t = task_at(x, x->started++);
    t->stretch = *stretch;
    t->route = route;
    t->own = own;
    t->owns = owns;
    t->rounded = !exact && x->plan.transport == DT_TRANSPORT_BFLOAT16;
    t->at = t->looked = t->parts = 0;
    t->sends = 0;
    double adding = 0; /* nothing has come yet */
    return go_on(x, t, &adding);
}

/* A test that fails may cost as much as a turn of another process, where there are more of them
   than processors: so all messages are looked at in one call. */
dt_status dt_exchange_progress(dt_exchange *x, double *adding) {
    if (x->waiting > 0) {
        const size_t requests = x->stretches * (x->plan.buffers + 1);
        int come;
        DT_TRY(DT_MPI(MPI_Testsome((int)requests, x->come, &come, x->index, MPI_STATUSES_IGNORE)));
        if (come != MPI_UNDEFINED) x->waiting -= (size_t)come;
    }
    for (size_t i = x->done; i < x->started; i++) DT_TRY(go_on(x, task_at(x, i), adding));
    while (x->done < x->started) {
        task *t = task_at(x, x->done);
        bool left = t->at == t->route->steps;
        if (left) DT_TRY(have_left(&left, t));
        if (!left) break;
        x->done++;
    }
    return DT_OK;
}
