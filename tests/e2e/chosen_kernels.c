/* Linked into a copy of the program for tests: the CPU backend uses the kernels that the
 * environment variable DTRAIN_TEST_BACKEND names, avx512, avx2 or base. The linker redirects calls
 * of dt_backend_open to this file (--wrap). */
#include <stdlib.h>

#include "cpu/cpu.h"
#include "dtrain/backend/registry.h"

dt_status __real_dt_backend_open(dt_backend **backend, const dt_backend_entry *entry,
                                 size_t local_rank);
dt_status __wrap_dt_backend_open(dt_backend **backend, const dt_backend_entry *entry,
                                 size_t local_rank);

dt_status __wrap_dt_backend_open(dt_backend **backend, const dt_backend_entry *entry,
                                 size_t local_rank) {
    const char *name = getenv("DTRAIN_TEST_BACKEND");
    DT_TRY(__real_dt_backend_open(backend, entry, local_rank));
    if (entry != dt_backend_host()) return DT_OK;
    const cpu_kernels *kernels = cpu_kernels_find(name);
    DT_REQUIRE(kernels, DT_ERR_ARG, "DTRAIN_TEST_BACKEND: this processor has no %s", name);
    cpu_kernels_use((cpu_backend *)*backend, kernels);
    return cpu_products_test((cpu_backend *)*backend);
}
