/* The CPU's tables of operations, and the choice of kernels. */
#include <stdio.h>

#include "cpu.h"
#include "dtrain/core/limit.h"
#include "entries.h"

static void cpu_close(dt_backend **backend) {
    cpu_backend *cpu = (cpu_backend *)*backend;
    if (!cpu) return;
    dt_memory_free(&cpu->scratch.at);
    dt_memory_free(&cpu->unpacked.at);
    dt_memory_free(&cpu->padded.at);
    dt_memory_free(&cpu->packing.room.at);
    dt_memory_free(&cpu);
    *backend = NULL;
}

/* The kernels are entered when the backend is opened. */
static const dt_backend_table CPU_TABLE = {
    .name = "cpu",
    .close = cpu_close,
    .buffer_create = cpu_buffer_create,
    .buffer_attach = cpu_buffer_attach,
    .buffer_destroy = cpu_buffer_destroy,
    .push = cpu_push,
    .pull = cpu_pull,
    .finish = cpu_finish,
    .upload = cpu_upload,
    .download = cpu_download,
    .fill_zero = cpu_fill_zero,
    .add = cpu_add,
    .dropout = cpu_dropout,
    .loss = cpu_loss,
};

static bool runs_everywhere(void) { return true; }

#ifdef DT_X86_KERNELS
static bool runs_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool runs_avx512(void) {
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

const cpu_bf16_kernels *cpu_bf16_native(const cpu_kernels *kernels) {
#ifdef DT_BFLOAT16_KERNELS
    if (kernels == &cpu_kernels_avx512 && __builtin_cpu_supports("avx512bf16"))
        return &cpu_bf16_kernels_native;
#endif
    (void)kernels;
    return NULL;
}

const cpu_bf16_kernels *cpu_bf16_fused(const cpu_kernels *kernels) {
#ifdef DT_BFLOAT16_KERNELS
    if (cpu_bf16_native(kernels)) return &cpu_bf16_kernels_fused;
#endif
    return kernels->bf16;
}

/* The widest ones first. */
static const struct {
    const char *name;
    const cpu_kernels *kernels;
    bool (*runs)(void);
} BUILT[] = {
#ifdef DT_X86_KERNELS
    {"avx512", &cpu_kernels_avx512, runs_avx512},
    {"avx2", &cpu_kernels_avx2, runs_avx2},
#endif
    {"base", &cpu_kernels_base, runs_everywhere},
};

const cpu_kernels *cpu_kernels_find(const char *name) {
    for (size_t i = 0; i < sizeof BUILT / sizeof *BUILT; i++) {
        if ((!name || strcmp(name, BUILT[i].name) == 0) && BUILT[i].runs()) return BUILT[i].kernels;
    }
    return NULL;
}

void cpu_kernels_use(cpu_backend *cpu, const cpu_kernels *kernels) {
    cpu->kernels = kernels;
    cpu->own = kernels->products;
    cpu->bf16 = cpu_bf16_native(kernels);
    if (!cpu->bf16) cpu->bf16 = kernels->bf16;
    cpu->table.quantised = true;
    cpu->table.bfloat16 = cpu->own ? DT_EVEN_BFLOAT16 : DT_SLOW_BFLOAT16;
    kernels->enter(&cpu->table, &cpu->update);
    cpu_blas_describe(cpu);
}

/* OpenBLAS maps a buffer of 128 MiB at its first product, and retries without end if that fails. */
static dt_status check_room(void) {
    enum { BUFFER = 136 << 20 };
    char why[DT_LIMIT_TEXT];
    DT_REQUIRE(dt_limit_allows(BUFFER), DT_ERR_MEMORY,
               "out of memory: OpenBLAS needs %d MB, and %s", BUFFER / 1000000, dt_limit_text(why));
    return DT_OK;
}

static dt_status open_with(dt_backend **backend, bool blas) {
    *backend = NULL;
    DT_TRY(check_room());
    cpu_backend *cpu;
    DT_TRY(dt_memory_alloc(&cpu, 1, sizeof *cpu, "the CPU backend"));
    cpu->table = CPU_TABLE;
    cpu_kernels_use(cpu, cpu_kernels_find(NULL));
    cpu->table.description = cpu->description;
    cpu->base.op = &cpu->table;
    cpu->base.update = &cpu->update;
    if (blas) {
        cpu->own = false;
        cpu->table.name = "blas";
        cpu->table.bfloat16 = DT_NO_BFLOAT16;
        cpu_blas_describe(cpu);
    }
    const dt_status status = cpu_products_test(cpu);
    *backend = &cpu->base;
    if (status != DT_OK) cpu_close(backend);
    return status;
}

static dt_status cpu_open(dt_backend **backend, size_t local_rank) {
    (void)local_rank;
    return open_with(backend, false);
}

static dt_status blas_open(dt_backend **backend, size_t local_rank) {
    (void)local_rank;
    return open_with(backend, true);
}

static dt_status cpu_probe(bool *usable, char *why, size_t size) {
    (void)why;
    (void)size;
    *usable = true;
    return DT_OK;
}

/* The machine, with the backend's own description as its name. */
static dt_status cpu_devices(dt_device **device, size_t *count) {
    dt_backend *backend;
    *device = NULL;
    *count = 0;
    DT_TRY(cpu_open(&backend, 0));
    const dt_status status = dt_memory_alloc(device, 1, sizeof **device, "the list of devices");
    if (status == DT_OK) {
        snprintf((*device)->name, sizeof(*device)->name, "%s", backend->op->description);
        (*device)->usable = true;
        *count = 1;
    }
    cpu_close(&backend);
    return status;
}

const dt_backend_entry entry_cpu = {
    .name = "cpu",
    .help = "the processor",
    .priority = 10,
    .needs = "a processor",
    .host = true,
    .probe = cpu_probe,
    .devices = cpu_devices,
    .open = cpu_open,
};

const dt_backend_entry entry_blas = {
    .name = "blas",
    .help = "the processor, with all products by BLAS",
    .needs = "a processor",
    .host = true,
    .probe = cpu_probe,
    .open = blas_open,
};
