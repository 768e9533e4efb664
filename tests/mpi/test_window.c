/* Windows: one zeroed, aligned block per node, shared by its ranks only. */
#include "mpi_test.h"

static bool is_zero(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

static void check_window(size_t bytes) {
    dt_window *window;
    CHECK(dt_window_create(&window, world, bytes, "test block") == DT_OK);
    unsigned char *memory = dt_window_memory(window);
    CHECK((uintptr_t)memory % DT_ALIGNMENT == 0);
    CHECK(is_zero(memory, bytes));
    CHECK(dt_comm_node_barrier(world) == DT_OK);
    /* Each rank of the node writes every local_size-th byte, and sees those of the others. */
    const size_t k = dt_comm_local_size(world), node = dt_comm_node(world);
    for (size_t i = dt_comm_local_rank(world); i < bytes; i += k) {
        memory[i] = (unsigned char)(1 + (node * 31 + i) % 255);
    }
    CHECK(dt_comm_node_barrier(world) == DT_OK);
    bool right = true;
    for (size_t i = 0; i < bytes; i++) {
        right = right && memory[i] == (unsigned char)(1 + (node * 31 + i) % 255);
    }
    CHECK(right);
    dt_window_destroy(&window);
    CHECK(window == NULL);
}

static void ranks_of_a_node_see_one_block(void **state) {
    (void)state;
    for (size_t k = 0; k <= 3; k++) {
        CHECK(dt_comm_split_nodes(world, k) == DT_OK);
        static const size_t sizes[] = {0, 1, 63, 64, 1000, 3000003};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_window(sizes[i]);
    }
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

static void several_windows_are_apart(void **state) {
    (void)state;
    dt_window *a, *b;
    CHECK(dt_window_create(&a, world, 5000, "a") == DT_OK);
    CHECK(dt_window_create(&b, world, 5000, "b") == DT_OK);
    if (dt_comm_local_rank(world) == 0) memset(dt_window_memory(a), 1, 5000);
    CHECK(dt_comm_node_barrier(world) == DT_OK);
    CHECK(is_zero(dt_window_memory(b), 5000));
    CHECK(*(unsigned char *)dt_window_memory(a) == 1);
    /* The nodes cannot change while a window is open. */
    CHECK(dt_comm_split_nodes(world, 1) == DT_ERR_INTERNAL);
    dt_window_destroy(&a);
    dt_window_destroy(&b);
    dt_window_destroy(&b);
}

static void a_block_too_large_is_refused_everywhere(void **state) {
    (void)state;
    dt_window *window;
    CHECK(dt_window_create(&window, world, (size_t)1 << 50, "huge block") == DT_ERR_MEMORY);
    CHECK(window == NULL && strstr(dt_error_text(), "huge block"));
    CHECK(dt_window_create(&window, world, SIZE_MAX, "huge block") == DT_ERR_MEMORY);
    /* Nothing is left behind. */
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
    check_window(100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_of_a_node_see_one_block),
        cmocka_unit_test(several_windows_are_apart),
        cmocka_unit_test(a_block_too_large_is_refused_everywhere),
    };
    return cmocka_run_group_tests(tests, start_ranks, end_ranks);
}
