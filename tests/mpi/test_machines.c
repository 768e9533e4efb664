/* Two machines of unequal size that get ranks in turn: two_machines.sh starts this. */
#include "mpi_test.h"

static void nodes_are_contiguous_in_rank_order(void **state) {
    (void)state;
    const size_t rank = dt_comm_rank(world), size = dt_comm_size(world);
    CHECK(dt_comm_nodes(world) == 2);
    size_t changes = 0;
    for (size_t r = 1; r < size; r++) {
        changes += strcmp(dt_comm_host(world, r), dt_comm_host(world, r - 1)) != 0;
    }
    CHECK(changes == 1);
    CHECK(dt_comm_node(world) == (strcmp(dt_comm_host(world, rank), dt_comm_host(world, 0)) != 0));
    char name[MPI_MAX_PROCESSOR_NAME];
    int length, launched;
    MPI_Get_processor_name(name, &length);
    CHECK(!strcmp(dt_comm_host(world, rank), name));
    MPI_Comm_rank(MPI_COMM_WORLD, &launched);
    CHECK((rank == 0) == (launched == 0));
}

static void the_launcher_had_dealt_them_out(void **state) {
    (void)state;
    int launched;
    MPI_Comm_rank(MPI_COMM_WORLD, &launched);
    int moved = (size_t)launched != dt_comm_rank(world);
    MPI_Allreduce(MPI_IN_PLACE, &moved, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    CHECK(moved);
}

static void errors_name_the_other_machine(void **state) {
    (void)state;
    const size_t last = dt_comm_size(world) - 1;
    dt_status local = DT_OK;
    if (dt_comm_rank(world) == last) local = dt_error_raise(DT_ERR_IO, "x.c", 1, "disk full");
    CHECK(dt_comm_agree(world, local) == DT_ERR_IO);
    const bool named = strstr(dt_error_text(), dt_comm_host(world, last)) != NULL;
    CHECK(named || dt_comm_rank(world) == last);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_launcher_had_dealt_them_out),
        cmocka_unit_test(nodes_are_contiguous_in_rank_order),
        cmocka_unit_test(errors_name_the_other_machine),
    };
    return cmocka_run_group_tests(tests, start_ranks, end_ranks);
}
