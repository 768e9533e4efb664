/* The gradient sum: the bits of a serial sum over the tree, on any number of ranks and nodes. */
#include "mpi_test.h"

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
static void compute_shards(dt_reducer *reducer, size_t count, size_t shards, size_t step) {
    size_t begin, end;
    dt_shard_range(&begin, &end, shards, dt_comm_size(world), dt_comm_rank(world));
    for (size_t shard = begin; shard < end; shard++) {
        float *gradient = dt_reducer_slot(reducer, dt_reducer_begin_shard(reducer));
        for (size_t i = 0; i < count; i++) gradient[i] = value(shard, i, step);
        dt_reducer_end_shard(reducer);
    }
}

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

static void check_sums(size_t count, size_t shards, size_t block, size_t message) {
    dt_reducer *reducer;
    CHECK(dt_reducer_create_limited(&reducer, world, count, shards, block, message) == DT_OK);
    for (size_t step = 0; step < 3; step++) {
        compute_shards(reducer, count, shards, step);
        float *sum;
        size_t begin, end;
        CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
        bool own_slice = (begin % block == 0 || begin == count) && end <= count;
        for (size_t i = begin; i < end; i++) {
            const float expected = tree_sum(0, shards, i, step);
            own_slice = own_slice && memcmp(&sum[i], &expected, sizeof expected) == 0;
        }
        CHECK(own_slice);
        CHECK(slices_cover(begin, end, count));
        CHECK(dt_comm_node_barrier(world) == DT_OK);
        bool whole = true;
        for (size_t i = 0; i < count; i++) {
            const float expected = tree_sum(0, shards, i, step);
            whole = whole && memcmp(&sum[i], &expected, sizeof expected) == 0;
        }
        CHECK(whole);
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
            check_sums(1, shards, 16, 1 << 16); /* one element, most slices empty */
            check_sums(100, shards, 64, 64);    /* fewer blocks than ranks */
            check_sums(1000, shards, 16, 32);   /* many messages, the last ones of unequal number */
            check_sums(3001, shards, 16, 1 << 16); /* one message, several rows */
        }
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

static void default_messages_carry_large_sums(void **state) {
    (void)state;
    CHECK(dt_comm_split_nodes(world, 2) == DT_OK);
    const size_t count = 800 * 1024 + 5, shards = 8;
    dt_reducer *reducer;
    CHECK(dt_reducer_create(&reducer, world, count, shards, 4096) == DT_OK);
    compute_shards(reducer, count, shards, 9);
    float *sum;
    size_t begin, end;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    CHECK(dt_comm_node_barrier(world) == DT_OK);
    bool same = true;
    for (size_t i = 0; i < count; i += 61) {
        const float expected = tree_sum(0, shards, i, 9);
        same = same && memcmp(&sum[i], &expected, sizeof expected) == 0;
    }
    CHECK(same);
    dt_reducer_destroy(&reducer);
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* Otherwise the comparison above would show nothing. */
static void the_data_tells_orders_apart(void **state) {
    (void)state;
    size_t different = 0;
    for (size_t i = 0; i < 1000; i++) different += plain_sum(8, i, 0) != tree_sum(0, 8, i, 0);
    CHECK(different > 300);
}

static void shards_that_do_not_fit_are_refused(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(dt_reducer_create(&reducer, world, 100, 12, 16) == DT_ERR_ARG);
    CHECK(reducer == NULL && strstr(dt_error_text(), "power of two"));
    if (dt_comm_size(world) > 1) {
        CHECK(dt_reducer_create(&reducer, world, 100, 1, 16) == DT_ERR_ARG);
        CHECK(strstr(dt_error_text(), "start at most 1 ranks"));
    }
    CHECK(dt_reducer_create(&reducer, world, 100, 8, 24) == DT_ERR_INTERNAL);
}

static void a_gradient_too_large_is_refused_everywhere(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(dt_reducer_create(&reducer, world, (size_t)1 << 45, 8, 4096) == DT_ERR_MEMORY);
    CHECK(reducer == NULL);
}

static void a_missing_shard_is_noticed(void **state) {
    (void)state;
    dt_reducer *reducer;
    CHECK(dt_reducer_create(&reducer, world, 100, 8, 16) == DT_OK);
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
    CHECK(dt_reducer_create(&reducer, world, 100, 16, 16) == DT_OK);
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
    CHECK(dt_reducer_create(&reducer, world, 5000, 8, 16) == DT_OK);
    compute_shards(reducer, 5000, 8, 0);
    float *sum;
    size_t begin, end;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    double adding, exchanging, waiting;
    dt_reducer_times(reducer, &adding, &exchanging, &waiting);
    CHECK(adding > 0 && waiting >= 0 && (exchanging > 0) == (dt_comm_size(world) > 1));
    dt_reducer_destroy(&reducer);
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_data_tells_orders_apart),
        cmocka_unit_test(sums_have_the_bits_of_the_serial_tree),
        cmocka_unit_test(default_messages_carry_large_sums),
        cmocka_unit_test(shards_that_do_not_fit_are_refused),
        cmocka_unit_test(a_gradient_too_large_is_refused_everywhere),
        cmocka_unit_test(a_missing_shard_is_noticed),
        cmocka_unit_test(buffers_grow_with_the_logarithm_of_the_shards),
        cmocka_unit_test(times_grow),
    };
    return cmocka_run_group_tests(tests, start_ranks, end_ranks);
}
