/* The CPU's tables of operations. */
#include "cpu.h"

static void cpu_close(dt_backend **backend) {
    cpu_backend *cpu = (cpu_backend *)*backend;
    if (!cpu) return;
    dt_memory_free(&cpu->scratch.at);
    dt_memory_free(&cpu->panels.at);
    dt_memory_free(&cpu);
    *backend = NULL;
}

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
    .embed_forward = cpu_embed_forward,
    .embed_backward = cpu_embed_backward,
    .norm_forward = cpu_norm_forward,
    .norm_backward = cpu_norm_backward,
    .linear_forward = cpu_linear_forward,
    .linear_backward = cpu_linear_backward,
    .attention_forward = cpu_attention_forward,
    .attention_backward = cpu_attention_backward,
    .attention_decode = cpu_attention_decode,
    .dropout = cpu_dropout,
    .loss = cpu_loss,
};

static const dt_update_table CPU_UPDATE = {
    .adamw = cpu_adamw,
    .muon = cpu_muon,
    .square_sum = cpu_square_sum,
};

void dt_backend_cpu_leave_to_blas(dt_backend *backend) {
    cpu_backend *cpu = (cpu_backend *)backend;
    cpu->kernel = false;
    cpu_blas_describe(cpu->description, sizeof cpu->description, false);
}

dt_status dt_backend_cpu_open(dt_backend **backend) {
    *backend = NULL;
    cpu_backend *cpu;
    DT_TRY(dt_memory_alloc(&cpu, 1, sizeof *cpu, "the CPU backend"));
    cpu->kernel = cpu_has_kernel();
    cpu_blas_describe(cpu->description, sizeof cpu->description, cpu->kernel);
    cpu->table = CPU_TABLE;
    cpu->table.description = cpu->description;
    cpu->base.op = &cpu->table;
    cpu->base.update = &CPU_UPDATE;
    const dt_status status = cpu_products_test(cpu);
    if (status != DT_OK) {
        dt_memory_free(&cpu->panels.at);
        dt_memory_free(&cpu);
        return status;
    }
    *backend = &cpu->base;
    return DT_OK;
}
