/* Ranks, nodes, agreement on errors, and small exchanges. */
#include "mpi_test.h"

#include "internal.h"

/* For each node size, all functions about nodes agree. */
static void check_nodes(size_t ranks_per_node) {
    CHECK(dt_comm_split_nodes(world, ranks_per_node) == DT_OK);
    const size_t size = dt_comm_size(world), rank = dt_comm_rank(world);
    const size_t k = ranks_per_node ? ranks_per_node : size; /* the tests run on one machine */
    CHECK(dt_comm_nodes(world) == (size + k - 1) / k);
    CHECK(dt_comm_node(world) == rank / k);
    CHECK(dt_comm_local_rank(world) == rank % k);
    CHECK(dt_comm_local_size(world) == dt_min_size(k, size - rank / k * k));
    CHECK(dt_comm_node_barrier(world) == DT_OK);
    CHECK(dt_comm_barrier(world) == DT_OK);
}

static void nodes_of_any_size(void **state) {
    (void)state;
    for (size_t k = 1; k <= dt_comm_size(world) + 1; k++) check_nodes(k);
    check_nodes(0);
}

static void ranks_know_who_they_are(void **state) {
    (void)state;
    int size, rank;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    CHECK(dt_comm_size(world) == (size_t)size);
    CHECK(dt_comm_rank(world) == (size_t)rank); /* one machine: nothing to reorder */
    char name[MPI_MAX_PROCESSOR_NAME];
    int length;
    MPI_Get_processor_name(name, &length);
    for (size_t r = 0; r < dt_comm_size(world); r++) CHECK(!strcmp(dt_comm_host(world, r), name));
    CHECK(strlen(dt_comm_library(world)) > 3 && !strpbrk(dt_comm_library(world), "\n\t,"));
}

/* Launchers distribute ranks over machines in many ways. */
static void ranks_are_ordered_by_machine(void **state) {
    (void)state;
    int order[7];
    dt_ranks_order(order, (const int[]){0, 0, 0, 3, 3, 5, 5}, 7);
    CHECK(!memcmp(order, (const int[]){0, 1, 2, 3, 4, 5, 6}, sizeof order));
    dt_ranks_order(order, (const int[]){0, 1, 2, 0, 1, 2, 0}, 7);
    CHECK(!memcmp(order, (const int[]){0, 3, 5, 1, 4, 6, 2}, sizeof order));
    dt_ranks_order(order, (const int[]){0, 1, 1, 0, 4, 1, 0}, 7);
    CHECK(!memcmp(order, (const int[]){0, 3, 4, 1, 6, 5, 2}, sizeof order));
}

static void agreement_on_success_is_silent(void **state) {
    (void)state;
    dt_error_clear();
    CHECK(dt_comm_agree(world, DT_OK) == DT_OK);
    CHECK(dt_error_code() == DT_OK);
}

static void any_rank_can_fail(void **state) {
    (void)state;
    const size_t rank = dt_comm_rank(world);
    for (size_t failing = 0; failing < dt_comm_size(world); failing++) {
        dt_error_clear();
        dt_status local = DT_OK;
        if (rank == failing) {
            local = dt_error_raise(DT_ERR_IO, "a/disk.c", 12, "disk of rank %zu is full", failing);
        }
        CHECK(dt_comm_agree(world, local) == DT_ERR_IO);
        char expected[512], from[400] = "";
        if (failing > 0 && rank != failing) {
            snprintf(from, sizeof from, "rank %zu on %s: ", failing, dt_comm_host(world, failing));
        }
        snprintf(expected, sizeof expected, "%sdisk of rank %zu is full", from, failing);
        CHECK(!strcmp(dt_error_text(), expected));
        CHECK(!strcmp(dt_error_location(), "disk.c:12"));
        CHECK(dt_error_code() == DT_ERR_IO);
    }
}

static void whole_numbers_are_added_up(void **state) {
    (void)state;
    const int64_t size = (int64_t)dt_comm_size(world), rank = (int64_t)dt_comm_rank(world);
    int64_t values[3] = {1, rank, (INT64_C(1) << 60) * (rank == 0) + rank};
    CHECK(dt_comm_sum(world, values, 3) == DT_OK);
    CHECK(values[0] == size && values[1] == size * (size - 1) / 2);
    CHECK(values[2] == (INT64_C(1) << 60) + values[1]);
}

/* Round 0: each rank has 100 bytes more than the one before; round 1: one byte less, so that old
 * bytes would be noticed. */
static size_t bytes_of_rank(size_t round, size_t rank) {
    return round == 0 ? 100 * rank : dt_comm_size(world) - 1 - rank;
}

static bool stand_in_rank_order(const char *bytes, size_t count, size_t round) {
    size_t at = 0;
    for (size_t rank = 0; rank < dt_comm_size(world); rank++) {
        for (size_t i = 0; i < bytes_of_rank(round, rank); i++, at++) {
            if (at >= count || bytes[at] != 'a' + (int)rank) return false;
        }
    }
    return at == count;
}

static void bytes_are_collected_in_rank_order(void **state) {
    (void)state;
    const size_t rank = dt_comm_rank(world);
    char *bytes = NULL;
    size_t capacity = 0;
    for (size_t round = 0; round < 2; round++) {
        const size_t mine = bytes_of_rank(round, rank);
        size_t count = mine;
        CHECK(dt_memory_grow(&bytes, &capacity, mine + 1, 1, "a test") == DT_OK);
        memset(bytes, 'a' + (int)rank, mine);
        CHECK(dt_comm_collect(world, &bytes, &capacity, &count) == DT_OK);
        CHECK(rank == 0 ? count <= capacity && stand_in_rank_order(bytes, count, round)
                        : count == 0 && (mine == 0 || bytes[mine - 1] == 'a' + (int)rank));
    }
    dt_memory_free(&bytes);
}

static void the_lowest_of_several_errors_wins(void **state) {
    (void)state;
    const size_t rank = dt_comm_rank(world), size = dt_comm_size(world);
    const size_t lowest = size > 1 ? 1 : 0;
    dt_status local = DT_OK;
    if (rank >= lowest) {
        const dt_status kind = rank == lowest ? DT_ERR_DATA : DT_ERR_MEMORY;
        local = dt_error_raise(kind, "x.c", 1, "trouble of rank %zu", rank);
    }
    CHECK(dt_comm_agree(world, local) == DT_ERR_DATA);
    char end[32];
    snprintf(end, sizeof end, "trouble of rank %zu", lowest);
    CHECK(strstr(dt_error_text(), end) != NULL);
}

static void a_status_without_a_message_is_still_an_error(void **state) {
    (void)state;
    dt_error_clear();
    const size_t last = dt_comm_size(world) - 1;
    const dt_status local = dt_comm_rank(world) == last ? DT_ERR_STOPPED : DT_OK;
    CHECK(dt_comm_agree(world, local) == DT_ERR_STOPPED);
}

static void mpi_errors_are_returned(void **state) {
    (void)state;
    int value = 0;
    CHECK(DT_MPI(MPI_Bcast(&value, 1, MPI_INT, 1000, MPI_COMM_WORLD)) == DT_ERR_COMM);
    CHECK(strstr(dt_error_text(), "MPI_Bcast failed: ") == dt_error_text());
    CHECK(DT_MPI(MPI_Bcast(&value, 1, MPI_INT, 1000, world->all)) == DT_ERR_COMM);
    CHECK(DT_MPI(MPI_Bcast(&value, 1, MPI_INT, 1000, world->local)) == DT_ERR_COMM);
}

static void broadcast_reaches_all(void **state) {
    (void)state;
    enum { COUNT = 100001 };
    unsigned char *bytes = malloc(COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        bytes[i] = dt_comm_rank(world) == 0 ? (unsigned char)mix(1, i, 0) : 0;
    }
    CHECK(dt_comm_broadcast(world, bytes, COUNT) == DT_OK);
    bool same = true;
    for (size_t i = 0; i < COUNT; i++) same = same && bytes[i] == (unsigned char)mix(1, i, 0);
    CHECK(same);
    CHECK(dt_comm_broadcast(world, NULL, 0) == DT_OK);
    free(bytes);
}

static void the_largest_value_wins(void **state) {
    (void)state;
    int64_t value = ((int64_t)1 << 40) - (int64_t)dt_comm_rank(world);
    CHECK(dt_comm_max(world, &value) == DT_OK);
    CHECK(value == (int64_t)1 << 40);
}

static void gather_is_by_rank(void **state) {
    (void)state;
    double all[64] = {0};
    CHECK(dt_comm_gather(world, all, 0.5 + (double)dt_comm_rank(world)) == DT_OK);
    bool right = true;
    for (size_t r = 0; r < dt_comm_size(world); r++) right = right && all[r] == 0.5 + (double)r;
    CHECK(right);
}

static void shard_ranges_cover_all(void **state) {
    (void)state;
    bool right = true;
    for (size_t shards = 1; shards <= 1024; shards *= 2) {
        for (size_t size = 1; size <= shards; size += 1 + size / 9) {
            size_t at = 0, least = shards, most = 0;
            for (size_t rank = 0; rank < size; rank++) {
                size_t begin, end;
                dt_shard_range(&begin, &end, shards, size, rank);
                right = right && begin == at && end > begin;
                least = dt_min_size(least, end - begin);
                most = dt_max_size(most, end - begin);
                at = end;
            }
            right = right && at == shards && most - least <= 1;
        }
    }
    CHECK(right);
}

static void shared_values_reach_all(void **state) {
    (void)state;
    for (size_t shards = 8; shards <= 16; shards *= 2) {
        for (size_t per_shard = 0; per_shard <= 5; per_shard++) {
            double all[16 * 5];
            for (size_t i = 0; i < 16 * 5; i++) all[i] = -1;
            size_t begin, end;
            dt_shard_range(&begin, &end, shards, dt_comm_size(world), dt_comm_rank(world));
            for (size_t i = begin * per_shard; i < end * per_shard; i++) all[i] = 0.1 * (double)i;
            CHECK(dt_comm_share(world, all, shards, per_shard) == DT_OK);
            bool right = true;
            for (size_t i = 0; i < 16 * 5; i++) {
                right = right && all[i] == (i < shards * per_shard ? 0.1 * (double)i : -1);
            }
            CHECK(right);
        }
    }
}

/* Teams of two neighbours, but rank 0 is alone in its own and the last rank in none. */
static void teams_share_numbers(void **state) {
    (void)state;
    const size_t rank = dt_comm_rank(world), size = dt_comm_size(world);
    const bool none = size > 1 && rank + 1 == size;
    const size_t number = (rank + 1) / 2;
    dt_team *team;
    CHECK(dt_team_create(&team, world, none ? -1 : (int)number) == DT_OK);
    CHECK((team == NULL) == none);
    const size_t first = number > 0 ? 2 * number - 1 : 0, end = size > 1 ? size - 1 : 1;
    const size_t members = dt_min_size(2 * number + 1, end) - first;
    CHECK(none || (dt_team_size(team) == members && dt_team_rank(team) == rank - first));
    for (size_t count = 0; count <= 7; count += 7) {
        uint32_t all[8] = {0};
        size_t from = 0, to = 0;
        if (team) dt_shard_range(&from, &to, count, dt_team_size(team), dt_team_rank(team));
        for (size_t i = from; i < to; i++) all[i] = (uint32_t)(1000 * number + i);
        CHECK(none || dt_team_share_numbers(team, all, count) == DT_OK);
        bool right = true;
        for (size_t i = 0; i < 8; i++)
            right = right && all[i] == (!none && i < count ? (uint32_t)(1000 * number + i) : 0);
        CHECK(right);
    }
    dt_team_destroy(&team);
    CHECK(team == NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_know_who_they_are),
        cmocka_unit_test(ranks_are_ordered_by_machine),
        cmocka_unit_test(nodes_of_any_size),
        cmocka_unit_test(agreement_on_success_is_silent),
        cmocka_unit_test(any_rank_can_fail),
        cmocka_unit_test(whole_numbers_are_added_up),
        cmocka_unit_test(bytes_are_collected_in_rank_order),
        cmocka_unit_test(the_lowest_of_several_errors_wins),
        cmocka_unit_test(a_status_without_a_message_is_still_an_error),
        cmocka_unit_test(mpi_errors_are_returned),
        cmocka_unit_test(broadcast_reaches_all),
        cmocka_unit_test(the_largest_value_wins),
        cmocka_unit_test(gather_is_by_rank),
        cmocka_unit_test(shard_ranges_cover_all),
        cmocka_unit_test(teams_share_numbers),
        cmocka_unit_test(shared_values_reach_all),
    };
    return cmocka_run_group_tests(tests, start_ranks, end_ranks);
}
