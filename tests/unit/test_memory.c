/* Memory: aligned, zeroed, grown without loss, and refused with a message if there is not enough.
 * */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "dtrain/core/memory.h"

static void memory_is_aligned_zero_and_writable(void **state) {
    (void)state;
    static const size_t bytes[] = {
        0, 1, 63, 64, 65, 4096, (1 << 20) - 65, (1 << 20) - 64, 1 << 20, 5000001};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        /* Twice: the second time, the allocator may return memory that was used before. */
        for (size_t again = 0; again < 2; again++) {
            unsigned char *memory;
            assert_int_equal(dt_memory_alloc(&memory, bytes[i], 1, "test"), DT_OK);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % DT_ALIGNMENT, 0);
            for (size_t at = 0; at < bytes[i]; at++) {
                if (memory[at]) fail_msg("byte %zu of %zu is not zero", at, bytes[i]);
            }
            memset(memory, 0xa5, bytes[i]);
            dt_memory_free(&memory);
            assert_null(memory);
            dt_memory_free(&memory);
        }
    }
}

/* The number of a block's pages that are in memory. */
static size_t pages_present(void *memory, size_t bytes) {
    enum { PAGE = 4096, MOST = 8192 };
    static unsigned char present[MOST];
    const uintptr_t begin = (uintptr_t)memory / PAGE * PAGE, end = (uintptr_t)memory + bytes;
    const size_t pages = (end - begin + PAGE - 1) / PAGE;
    assert_true(pages <= MOST);
    assert_int_equal(mincore((char *)memory - ((uintptr_t)memory - begin), end - begin, present),
                     0);
    size_t count = 0;
    for (size_t i = 0; i < pages; i++) count += present[i] & 1;
    return count;
}

static void pages_come_when_they_are_touched(void **state) {
    (void)state;
    const size_t bytes = 20000001;
    char *memory;
    assert_int_equal(dt_memory_alloc(&memory, bytes, 1, "test"), DT_OK);
    /* The sanitizer writes to the memory that it returns. */
#ifndef __SANITIZE_ADDRESS__
    assert_true(pages_present(memory, bytes) < 10);
#endif
    dt_memory_touch(memory, bytes);
    assert_true(pages_present(memory, bytes) >= bytes / 4096 + 1);
    for (size_t i = 0; i < bytes; i++) {
        if (memory[i]) fail_msg("byte %zu is not zero", i);
    }
    dt_memory_free(&memory);
}

static void released_pages_go_and_the_block_stays(void **state) {
    (void)state;
    const size_t bytes = 20000001;
    char *memory, *small;
    assert_int_equal(dt_memory_alloc(&memory, bytes, 1, "test"), DT_OK);
    assert_int_equal(dt_memory_alloc(&small, 100, 1, "test"), DT_OK);
    dt_memory_touch(memory, bytes);
    memset(small, 7, 100);
    dt_memory_release(memory);
    dt_memory_release(small);
#ifndef __SANITIZE_ADDRESS__ /* the sanitizer's allocator decides this */
    assert_true(pages_present(memory, bytes) < 10);
#endif
    for (size_t i = 0; i < 100; i++) assert_int_equal(small[i], 7);
    memset(memory, 7, bytes);
    assert_int_equal(memory[bytes - 1], 7);
    dt_memory_free(&memory);
    dt_memory_free(&small);
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    float *memory = (float *)&memory;
    assert_int_equal(dt_memory_alloc(&memory, SIZE_MAX / 2, 4, "gradients"), DT_ERR_MEMORY);
    assert_null(memory);
    assert_non_null(strstr(dt_error_text(), "gradients: "));

    memory = (float *)&memory;
    assert_int_equal(dt_memory_alloc(&memory, SIZE_MAX, 1, "gradients"), DT_ERR_MEMORY);
    assert_null(memory);

    memory = (float *)&memory;
    assert_int_equal(dt_memory_alloc(&memory, SIZE_MAX / 8, 1, "gradients"), DT_ERR_MEMORY);
    assert_null(memory);
    assert_non_null(strstr(dt_error_text(), "gradients need 2305843"));
}

static void growing_keeps_what_is_there(void **state) {
    (void)state;
    int64_t *value = NULL;
    size_t capacity = 0, moves = 0;
    for (size_t i = 0; i < 300000; i++) {
        const size_t before = capacity;
        assert_int_equal(dt_memory_grow(&value, &capacity, i + 1, sizeof *value, "values"), DT_OK);
        assert_true(capacity > i);
        moves += capacity != before;
        if (value[i]) fail_msg("new element %zu is not zero", i);
        value[i] = (int64_t)i;
    }
    assert_true(moves < 20);
    for (size_t i = 0; i < 300000; i++) {
        if (value[i] != (int64_t)i) fail_msg("element %zu was lost", i);
    }
    const size_t before = capacity;
    assert_int_equal(dt_memory_grow(&value, &capacity, SIZE_MAX / 16, sizeof *value, "values"),
                     DT_ERR_MEMORY);
    assert_int_equal(capacity, before);
    assert_int_equal(value[299999], 299999);
    dt_memory_free(&value);
}

static void sizes_are_rounded_up(void **state) {
    (void)state;
    assert_int_equal(dt_round_up(0, 16), 0);
    assert_int_equal(dt_round_up(1, 16), 16);
    assert_int_equal(dt_round_up(16, 16), 16);
    assert_int_equal(dt_round_up(17, 16), 32);
    assert_int_equal(dt_min_size(2, 3), 2);
    assert_int_equal(dt_max_size(2, 3), 3);
}

/* The loader chooses a clone of a hot function; the test is that it can be called. */
DT_HOT static float sum(const float *x, size_t n) {
    float total = 0;
    for (size_t i = 0; i < n; i++) total += x[i];
    return total;
}

static void hot_functions_can_be_called(void **state) {
    (void)state;
    float x[100];
    for (size_t i = 0; i < 100; i++) x[i] = (float)i;
    assert_true(sum(x, 100) == 4950.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_zero_and_writable),
        cmocka_unit_test(pages_come_when_they_are_touched),
        cmocka_unit_test(released_pages_go_and_the_block_stays),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(growing_keeps_what_is_there),
        cmocka_unit_test(sizes_are_rounded_up),
        cmocka_unit_test(hot_functions_can_be_called),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
