/* In a copy of the program for tests: the CPU backend computes with the kernels that the
 * environment variable DTRAIN_TEST_BACKEND names, avx512, avx2 or base. The linker leads calls of
 * dt_backend_cpu_open here (--wrap). */
#include <stdlib.h>

#include "cpu/cpu.h"

dt_status __real_dt_backend_cpu_open(dt_backend **backend);
dt_status __wrap_dt_backend_cpu_open(dt_backend **backend);

dt_status __wrap_dt_backend_cpu_open(dt_backend **backend) {
    const char *name = getenv("DTRAIN_TEST_BACKEND");
    DT_TRY(__real_dt_backend_cpu_open(backend));
    const cpu_kernels *kernels = cpu_kernels_find(name);
    DT_REQUIRE(kernels, DT_ERR_ARG, "DTRAIN_TEST_BACKEND: this processor has no %s", name);
    cpu_kernels_use((cpu_backend *)*backend, kernels);
    return cpu_products_test((cpu_backend *)*backend);
}
