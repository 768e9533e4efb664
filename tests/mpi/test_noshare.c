/* If MPI offers no shared windows, every rank is its own node, and nothing else changes. */
#include "mpi_test.h"

static void every_rank_is_a_node(void **state) {
    (void)state;
    CHECK(dt_comm_nodes(world) == dt_comm_size(world));
    CHECK(dt_comm_local_size(world) == 1);
    CHECK(dt_comm_split_nodes(world, 2) == DT_OK);
    CHECK(dt_comm_nodes(world) == dt_comm_size(world));
}

static void gradients_are_summed_all_the_same(void **state) {
    (void)state;
    enum { COUNT = 1000, SHARDS = 8 };
    dt_reducer *reducer;
    CHECK(dt_reducer_create(&reducer, world,
                            &(dt_reducer_plan){.count = COUNT, .shards = SHARDS, .block = 64}) ==
          DT_OK);
    size_t begin, end;
    dt_shard_range(&begin, &end, SHARDS, dt_comm_size(world), dt_comm_rank(world));
    for (size_t shard = begin; shard < end; shard++) {
        float *gradient = dt_reducer_slot(reducer, dt_reducer_begin_shard(reducer));
        for (size_t i = 0; i < COUNT; i++) gradient[i] = (float)(shard * i);
        dt_reducer_end_shard(reducer);
    }
    float *sum;
    CHECK(dt_reducer_sum(reducer, &sum, &begin, &end) == DT_OK);
    bool right = begin == 0 && end == COUNT;
    for (size_t i = 0; i < COUNT; i++) right = right && sum[i] == (float)(28 * i);
    CHECK(right);
    dt_reducer_destroy(&reducer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rank_is_a_node),
        cmocka_unit_test(gradients_are_summed_all_the_same),
    };
    return cmocka_run_group_tests(tests, start_ranks, end_ranks);
}
