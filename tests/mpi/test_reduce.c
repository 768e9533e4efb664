/* The gradient sum equals a serial sum over the tree bit by bit, on any number of ranks and nodes.
 */
#include "mpi_test.h"

#include <math.h>
#include <time.h>

#include "internal.h"

static float value(size_t shard, size_t element, size_t step) {
    const uint64_t bits = mix(shard, element, step);
    const float magnitude = (float)(bits & 0xff) / 16.0f;
    return ((float)(bits >> 40) / (float)(1 << 24) - 0.5f) * magnitude;
}

static float tree_sum(size_t begin, size_t end, size_t element, size_t step) {
    if (end - begin == 1) return value(begin, element, step);
    const size_t middle = begin + (end - begin) / 2;
    return tree_sum(begin, middle, element, step) + tree_sum(middle, end, element, step);
}

static float plain_sum(size_t shards, size_t element, size_t step) {
    float sum = value(0, element, step);
    for (size_t shard = 1; shard < shards; shard++) sum += value(shard, element, step);
    return sum;
}

/* What one rank does in a step of training. */
static bool compute_shards(dt_reducer *reducer, size_t count, size_t shards, size_t step) {
    size_t begin, end;
    dt_shard_range(&begin, &end, shards, dt_comm_size(world), dt_comm_rank(world));
    for (size_t shard = begin; shard < end; shard++) {
        float *gradient = dt_reducer_slot(reducer, dt_reducer_begin_shard(reducer));
        for (size_t i = 0; i < count; i++) gradient[i] = value(shard, i, step);
        dt_reducer_end_shard(reducer);
    }
    return true;
}

/* The same in the order of a backward pass: the last shard from its end to its start, in stretches,
 * and each rank at its own speed. */
static bool compute_shards_by_stretches(dt_reducer *reducer, size_t count, size_t shards,
                                        size_t step) {
    size_t begin, end;
    const size_t rank = dt_comm_rank(world);
    dt_shard_range(&begin, &end, shards, dt_comm_size(world), rank);
    bool well = true;
    for (size_t shard = begin; shard < end; shard++) {
        float *gradient = dt_reducer_slot(reducer, dt_reducer_begin_shard(reducer));
        for (size_t from = count, turn = 0; from > 0; turn++) {
            const uint64_t chance = mix(rank, step, turn);
            const size_t most = shard + 1 < end ? count : 1 + (size_t)chance % (1 + count / 4);
            const size_t next = from - dt_min_size(from, most);
            for (size_t i = next; i < from; i++) gradient[i] = value(shard, i, step);
            from = next;
            dt_reducer_finish(reducer, from);
            const long pause = (long)(chance >> 32) % 400000;
            if (chance >> 20 & 1) nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
            well = well && dt_reducer_progress(reducer) == DT_OK;
        }
        dt_reducer_end_shard(reducer);
    }
    return well;
}

/* A reducer of the kind under test. */
static dt_exchange_kind kind;

static dt_status create(dt_reducer **reducer, size_t count, size_t shards, size_t block,
                        dt_transport transport, size_t message) {
    return dt_reducer_create(reducer, world,
                             &(dt_reducer_plan){.count = count,
                                                .shards = shards,
                                                .block = block,
                                                .transport = transport,
                                                .exchange = kind,
                                                .message = message});
}

typedef bool compute(dt_reducer *reducer, size_t count, size_t shards, size_t step);

/* Every element is in one slice of each node: mark them, and count the marks of the node. */
static bool slices_cover(size_t begin, size_t end, size_t count) {
    unsigned char *marks = calloc(count, 1);
    for (size_t i = begin; i < end; i++) marks[i] = 1;
    unsigned char *all = calloc(count, 1);
    MPI_Comm node;
    MPI_Comm_split(MPI_COMM_WORLD, (int)dt_comm_node(world), 0, &node);
    MPI_Allreduce(marks, all, (int)count, MPI_UNSIGNED_CHAR, MPI_SUM, node);
    MPI_Comm_free(&node);
    bool once = true;
    for (size_t i = 0; i < count; i++) once = once && all[i] == 1;
    free(all);
    free(marks);
    return once;
}

static bool same_bits(const void *x, const void *y) { return memcmp(x, y, sizeof(float)) == 0; }

static bool is_sum(const float *sum, size_t begin, size_t end, size_t shards, size_t step) {
    bool same = true;
    for (size_t i = begin; i < end; i++) {
        const float expected = tree_sum(0, shards, i, step);
        same = same && same_bits(&sum[i], &expected);
    }
    return same;
}

static void check_sums(size_t count, size_t shards, size_t block, size_t message) {
    static compute *const how[] = {compute_shards, compute_shards_by_stretches,
                                   compute_shards_by_stretches};
    dt_reducer *reducer;
    CHECK(create(&reducer, count, shards, block, DT_TRANSPORT_FLOAT32, message) == DT_OK);
    for (size_t step = 0; step < sizeof how / sizeof *how; step++) {
        CHECK(how[step](reducer, count, shards, step));
        float *sum;
        size_t begin, end;
        CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
        CHECK((begin % block == 0 || begin == count) && end <= count);
        CHECK(is_sum(sum, begin, end, shards, step));
        CHECK(slices_cover(begin, end, count));
        CHECK(dt_comm_node_barrier(world) == DT_OK);
        CHECK(is_sum(sum, 0, count, shards, step));
        CHECK(dt_comm_node_barrier(world) == DT_OK);
    }
    dt_reducer_destroy(&reducer);
    CHECK(reducer == NULL);
}

static void sums_have_the_bits_of_the_serial_tree(void **state) {
    (void)state;
    static const size_t nodes[] = {0, 1, 2, 3};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        CHECK(dt_comm_split_nodes(world, nodes[i]) == DT_OK);
        for (size_t shards = 8; shards <= 16; shards *= 2) {
            check_sums(1, shards, 16, 1 << 16);    /* one element, most slices empty */
            check_sums(100, shards, 64, 64);       /* fewer blocks than ranks */
            check_sums(1000, shards, 16, 32);      /* many pieces, the last one shorter */
            check_sums(3001, shards, 16, 1 << 16); /* one piece, several rows */
        }
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

static void default_messages_carry_large_sums(void **state) {
    (void)state;
    CHECK(dt_comm_split_nodes(world, 2) == DT_OK);
    const size_t count = 800 * 1024 + 5, shards = 8;
    dt_reducer *reducer;
    CHECK(create(&reducer, count, shards, 4096, DT_TRANSPORT_FLOAT32, 0) == DT_OK);
    compute_shards(reducer, count, shards, 9);
    float *sum;
    size_t begin, end;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    CHECK(dt_comm_node_barrier(world) == DT_OK);
    bool same = true;
    for (size_t i = 0; i < count; i += 61) {
        const float expected = tree_sum(0, shards, i, 9);
        same = same && same_bits(&sum[i], &expected);
    }
    CHECK(same);
    dt_reducer_destroy(&reducer);
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* Each rank is a node, so that the sum appears in its own first slot. */
static void sums_between_nodes_begin_before_the_end(void **state) {
    (void)state;
    enum { COUNT = 4096, HALF = COUNT / 2, SHARDS = 8 };
    CHECK(dt_comm_split_nodes(world, 1) == DT_OK);
    dt_reducer *reducer;
    CHECK(create(&reducer, COUNT, SHARDS, 16, DT_TRANSPORT_FLOAT32, 16) == DT_OK);
    CHECK(dt_reducer_overlaps(reducer) == (dt_comm_size(world) > 1));
    size_t begin, end;
    dt_shard_range(&begin, &end, SHARDS, dt_comm_size(world), dt_comm_rank(world));
    float *gradient = NULL;
    for (size_t shard = begin; shard < end; shard++) {
        gradient = dt_reducer_slot(reducer, dt_reducer_begin_shard(reducer));
        for (size_t i = 0; i < COUNT; i++) gradient[i] = value(shard, i, 0);
        if (shard + 1 < end) dt_reducer_end_shard(reducer);
    }
    CHECK(gradient != NULL);
    for (size_t i = 0; i < HALF; i++) gradient[i] = NAN; /* still to come */
    dt_reducer_finish(reducer, HALF);
    /* A piece that crosses the middle has to wait. */
    const size_t whole = HALF + 16;
    bool well = true, summed = false;
    int everywhere = 0; /* until then the others may need this rank to send sums on */
    MPI_Request all = MPI_REQUEST_NULL;
    for (time_t until = time(NULL) + 20; well && !everywhere && time(NULL) < until;) {
        well = dt_reducer_progress(reducer) == DT_OK;
        if (!summed && is_sum(dt_reducer_slot(reducer, 0), whole, COUNT, SHARDS, 0)) {
            summed = true;
            MPI_Ibarrier(MPI_COMM_WORLD, &all);
        }
        if (summed) MPI_Test(&all, &everywhere, MPI_STATUS_IGNORE);
    }
    CHECK(well && summed);
    for (size_t i = 0; i < HALF; i++) gradient[i] = value(end - 1, i, 0);
    dt_reducer_end_shard(reducer);
    float *sum;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    CHECK(is_sum(sum, 0, COUNT, SHARDS, 0));
    dt_reducer_destroy(&reducer);
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* Ranks that abandon a step leave their slots incomplete. */
static void steps_that_are_given_up_end(void **state) {
    (void)state;
    enum { COUNT = 3000, SHARDS = 8 };
    for (size_t node = 1; node <= 3; node++) {
        CHECK(dt_comm_split_nodes(world, node) == DT_OK);
        dt_reducer *reducer;
        CHECK(create(&reducer, COUNT, SHARDS, 16, DT_TRANSPORT_FLOAT32, 32) == DT_OK);
        const size_t rank = dt_comm_rank(world);
        float *sum;
        size_t begin, end;
        for (size_t step = 0; step < 6; step++) {
            const bool given_up = step % 2 == 0;
            bool well = true;
            dt_shard_range(&begin, &end, SHARDS, dt_comm_size(world), rank);
            if (given_up && rank % 2 == step / 2 % 2) {
                for (size_t shard = begin; shard < end; shard++) {
                    dt_reducer_begin_shard(reducer);
                    if (rank % 3 == 0) dt_reducer_finish(reducer, COUNT - 100 * shard);
                    dt_reducer_end_shard(reducer);
                }
            } else {
                well = compute_shards_by_stretches(reducer, COUNT, SHARDS, step);
            }
            CHECK(well);
            CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
            CHECK(given_up || is_sum(sum, begin, end, SHARDS, step));
            CHECK(dt_comm_node_barrier(world) == DT_OK);
        }
        dt_reducer_destroy(&reducer);
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* All nodes have the same bits as the node of rank 0. */
static bool is_everywhere(const float *sum, size_t count) {
    float *first = malloc(count * sizeof *first);
    memcpy(first, sum, count * sizeof *first);
    MPI_Bcast(first, (int)count, MPI_FLOAT, 0, MPI_COMM_WORLD);
    const bool same = memcmp(first, sum, count * sizeof *first) == 0;
    free(first);
    return same;
}

/* Two roundings, of partial sums and of their sum, each by at most 2^-8; those of float32 are much
 * smaller. */
static bool is_nearly_sum(const float *sum, size_t count, size_t shards, size_t step) {
    bool near = true;
    for (size_t i = 0; i < count; i++) {
        double exact = 0, size = 0;
        for (size_t shard = 0; shard < shards; shard++) {
            exact += (double)value(shard, i, step);
            size += fabs((double)value(shard, i, step));
        }
        near = near && fabs((double)sum[i] - exact) <= 1.01 / 128 * size;
    }
    return near;
}

static void half_as_many_bytes_give_nearly_the_sum(void **state) {
    (void)state;
    enum { COUNT = 3001, SHARDS = 8 };
    for (size_t node = 0; node <= 3; node++) {
        CHECK(dt_comm_split_nodes(world, node) == DT_OK);
        dt_reducer *reducer;
        CHECK(create(&reducer, COUNT, SHARDS, 16, DT_TRANSPORT_BFLOAT16, 32) == DT_OK);
        for (size_t step = 0; step < 3; step++) {
            float *sum;
            size_t begin, end;
            CHECK(compute_shards_by_stretches(reducer, COUNT, SHARDS, step));
            CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
            CHECK(dt_comm_node_barrier(world) == DT_OK);
            CHECK(is_nearly_sum(sum, COUNT, SHARDS, step));
            CHECK(is_everywhere(sum, COUNT));
            /* Nothing is sent inside a node. */
            CHECK(is_sum(sum, 0, COUNT, SHARDS, step) == (dt_comm_nodes(world) == 1));
            CHECK(dt_comm_node_barrier(world) == DT_OK);
        }
        dt_reducer_destroy(&reducer);
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* Without this, the comparison above would prove nothing. */
static void the_data_tells_orders_apart(void **state) {
    (void)state;
    size_t different = 0;
    for (size_t i = 0; i < 1000; i++) different += plain_sum(8, i, 0) != tree_sum(0, 8, i, 0);
    CHECK(different > 300);
}

static void shards_that_do_not_fit_are_refused(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(create(&reducer, 100, 12, 16, DT_TRANSPORT_FLOAT32, 0) == DT_ERR_ARG);
    CHECK(reducer == NULL && strstr(dt_error_text(), "power of two"));
    if (dt_comm_size(world) > 1) {
        CHECK(create(&reducer, 100, 1, 16, DT_TRANSPORT_FLOAT32, 0) == DT_ERR_ARG);
        CHECK(strstr(dt_error_text(), "start at most 1 ranks"));
    }
    CHECK(create(&reducer, 100, 8, 24, DT_TRANSPORT_FLOAT32, 0) == DT_ERR_INTERNAL);
}

static void a_gradient_too_large_is_refused_everywhere(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(create(&reducer, (size_t)1 << 45, 8, 4096, DT_TRANSPORT_FLOAT32, 0) == DT_ERR_MEMORY);
    CHECK(reducer == NULL);
}

static void a_missing_shard_is_noticed(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(create(&reducer, 100, 8, 16, DT_TRANSPORT_FLOAT32, 0) == DT_OK);
    float *sum;
    size_t begin, end;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_ERR_INTERNAL);
    /* One shard too many stays within the buffers. */
    compute_shards(reducer, 100, 8, 0);
    CHECK(dt_reducer_begin_shard(reducer) < dt_reducer_slots(reducer));
    dt_reducer_end_shard(reducer);
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_ERR_INTERNAL);
    dt_reducer_destroy(&reducer);
}

static void buffers_grow_with_the_logarithm_of_the_shards(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(create(&reducer, 100, 16, 16, DT_TRANSPORT_FLOAT32, 0) == DT_OK);
    size_t begin, end;
    dt_shard_range(&begin, &end, 16, dt_comm_size(world), dt_comm_rank(world));
    size_t log_2 = 0;
    while ((size_t)1 << log_2 < end - begin) log_2++;
    CHECK(dt_reducer_slots(reducer) <= 2 + log_2);
    bool aligned = true, apart = true;
    for (size_t i = 0; i < dt_reducer_slots(reducer); i++) {
        aligned = aligned && (uintptr_t)dt_reducer_slot(reducer, i) % DT_ALIGNMENT == 0;
        if (i > 0)
            apart = apart && dt_reducer_slot(reducer, i) >= dt_reducer_slot(reducer, i - 1) + 100;
    }
    CHECK(aligned);
    CHECK(apart);
    double adding, exchanging, waiting;
    dt_reducer_times(reducer, &adding, &exchanging, &waiting);
    CHECK(adding == 0 && exchanging == 0 && waiting == 0);
    dt_reducer_destroy(&reducer);
}

static void times_grow(void **state) {
    (void)state;
    CHECK(dt_comm_split_nodes(world, 1) == DT_OK);
    dt_reducer *reducer;
    CHECK(create(&reducer, 5000, 8, 16, DT_TRANSPORT_FLOAT32, 0) == DT_OK);
    compute_shards(reducer, 5000, 8, 0);
    float *sum;
    size_t begin, end;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    double adding, exchanging, waiting;
    dt_reducer_times(reducer, &adding, &exchanging, &waiting);
    CHECK(adding > 0 && waiting >= 0 && (exchanging > 0) == (dt_comm_size(world) > 1));
    const double both = exchanging + waiting;
    dt_reducer_waited(reducer, 1e9);
    dt_reducer_times(reducer, &adding, &exchanging, &waiting);
    CHECK(exchanging >= 0 && exchanging < 1e-9 && fabs(waiting - both) < 1e-9);
    dt_reducer_destroy(&reducer);
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* ---- stretches that one rank updates for all ---- */

enum { OWNED_COUNT = 5000, OWNED_SHARDS = 16, STRETCHES = 9, STRETCH = 500 };

/* Neither aligned nor next to one another, the owners in no order. */
static void own_stretches(dt_owned owned[STRETCHES]) {
    for (size_t i = 0; i < STRETCHES; i++) {
        const size_t begin = i * (STRETCH + 9) + (i % 3 ? 0 : 7);
        owned[i] = (dt_owned){begin, begin + STRETCH - i, (i * 5 + 1) % dt_comm_size(world)};
    }
}

static size_t node_of(size_t rank) {
    size_t node = 0;
    while (dt_comm_first_rank(world, node + 1) <= rank) node++;
    return node;
}

/* Where this node needs the sum, it has it. */
static bool is_sum_where_needed(const float *sum, const dt_owned *owned, size_t step) {
    bool same = true;
    size_t end = 0;
    for (size_t i = 0; i <= STRETCHES; i++) {
        const size_t begin = i < STRETCHES ? owned[i].begin : OWNED_COUNT;
        same = same && is_sum(sum, end, begin, OWNED_SHARDS, step);
        if (i == STRETCHES) break;
        end = owned[i].end;
        if (dt_comm_node(world) == 0 || dt_comm_node(world) == node_of(owned[i].rank))
            same = same && is_sum(sum, begin, end, OWNED_SHARDS, step);
    }
    return same;
}

static bool is_spread(const float *weights, const dt_owned *owned, size_t step) {
    bool right = true;
    for (size_t i = 0; i < STRETCHES; i++) {
        for (size_t at = owned[i].begin; at < owned[i].end; at++) {
            const float expected = value(i, at, step);
            right = right && same_bits(&weights[at], &expected);
        }
    }
    return right;
}

static void check_owned(dt_transport transport) {
    dt_reducer *reducer;
    dt_owned owned[STRETCHES];
    own_stretches(owned);
    dt_window *window;
    CHECK(dt_window_create(&window, world, OWNED_COUNT * sizeof(float), "weights") == DT_OK);
    float *weights = dt_window_memory(window), *sum;
    CHECK(dt_reducer_create(&reducer, world,
                            &(dt_reducer_plan){.count = OWNED_COUNT,
                                               .shards = OWNED_SHARDS,
                                               .block = 64,
                                               .transport = transport,
                                               .exchange = kind,
                                               .owned = owned,
                                               .owned_count = STRETCHES,
                                               .message = 128}) == DT_OK);
    for (size_t step = 0; step < 3; step++) {
        size_t begin, end;
        CHECK(compute_shards_by_stretches(reducer, OWNED_COUNT, OWNED_SHARDS, step));
        CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
        CHECK(dt_comm_node_barrier(world) == DT_OK);
        CHECK(transport == DT_TRANSPORT_BFLOAT16 || is_sum_where_needed(sum, owned, step));
        CHECK(dt_reducer_begin_spread(reducer, weights) == DT_OK);
        bool well = true;
        for (size_t i = STRETCHES; i > 0; i--) {
            const dt_owned *o = &owned[i - 1];
            if (o->rank != dt_comm_rank(world)) continue;
            for (size_t at = o->begin; at < o->end; at++) weights[at] = value(i - 1, at, step);
            well = well && dt_reducer_spread(reducer, o->begin) == DT_OK;
        }
        well = well && dt_reducer_end_spread(reducer) == DT_OK;
        CHECK(well);
        CHECK(dt_comm_node_barrier(world) == DT_OK);
        CHECK(is_spread(weights, owned, step));
        CHECK(dt_comm_node_barrier(world) == DT_OK);
    }
    CHECK((dt_reducer_sent(reducer) > 0) == (dt_comm_nodes(world) > 1) || dt_comm_rank(world) > 0);
    dt_reducer_destroy(&reducer);
    dt_window_destroy(&window);
}

static void owners_get_sums_and_spread_what_they_update(void **state) {
    (void)state;
    for (size_t node = 0; node <= 3; node++) {
        CHECK(dt_comm_split_nodes(world, node) == DT_OK);
        check_owned(DT_TRANSPORT_FLOAT32);
        check_owned(DT_TRANSPORT_BFLOAT16); /* weights are not rounded */
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* Bytes that all ranks send for a sum that all nodes need, in gradients. */
static double gradients_sent(size_t shards) {
    enum { COUNT = 1 << 18 };
    dt_reducer *reducer;
    float *sum;
    size_t begin, end;
    CHECK(create(&reducer, COUNT, shards, 4096, DT_TRANSPORT_FLOAT32, 4096) == DT_OK);
    dt_shard_range(&begin, &end, shards, dt_comm_size(world), dt_comm_rank(world));
    for (size_t shard = begin; shard < end; shard++) {
        dt_reducer_begin_shard(reducer);
        dt_reducer_end_shard(reducer);
    }
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    double bytes = dt_reducer_sent(reducer);
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    dt_reducer_destroy(&reducer);
    return bytes / COUNT / sizeof(float);
}

/* The fewest that any exchange can send: each node but one sends its part, and gets the sum. Where
 * a node's shards are no subtree, it is one more for each subtree that has to meet another. */
static void as_few_bytes_are_sent_as_can_be(void **state) {
    (void)state;
    const size_t nodes = dt_comm_size(world);
    CHECK(dt_comm_split_nodes(world, 1) == DT_OK);
    const double sent = gradients_sent(16), least = 2 * (double)(nodes - 1);
    if ((nodes & (nodes - 1)) == 0) {
        CHECK(sent == least);
    } else if (nodes == 3 && kind == DT_EXCHANGE_TREE) {
        const double sent_64 = gradients_sent(64);
        CHECK(sent <= 6 && sent_64 <= 8);
    } else {
        CHECK(sent >= least);
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

static int use_direct(void **state) {
    (void)state;
    kind = DT_EXCHANGE_DIRECT;
    return 0;
}

static int use_tree(void **state) {
    (void)state;
    kind = DT_EXCHANGE_TREE;
    return 0;
}

/* With both kinds of exchange. */
#define TWICE(test) cmocka_unit_test_setup(test, use_direct), cmocka_unit_test_setup(test, use_tree)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_data_tells_orders_apart),
        TWICE(sums_have_the_bits_of_the_serial_tree),
        TWICE(default_messages_carry_large_sums),
        TWICE(sums_between_nodes_begin_before_the_end),
        TWICE(steps_that_are_given_up_end),
        TWICE(half_as_many_bytes_give_nearly_the_sum),
        TWICE(owners_get_sums_and_spread_what_they_update),
        TWICE(as_few_bytes_are_sent_as_can_be),
        cmocka_unit_test(shards_that_do_not_fit_are_refused),
        cmocka_unit_test(a_gradient_too_large_is_refused_everywhere),
        cmocka_unit_test(a_missing_shard_is_noticed),
        cmocka_unit_test(buffers_grow_with_the_logarithm_of_the_shards),
        TWICE(times_grow),
    };
    return cmocka_run_group_tests(tests, start_ranks, end_ranks);
}
