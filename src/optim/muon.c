/* Muon: updates each matrix inside the layers by the orthogonal matrix nearest to its momentum. */
#include <math.h>

#include "dtrain/core/memory.h"
#include "matrices.h"

size_t matrix_count(const dt_parameter *p, const dt_config *config) {
    const bool whole = config->optimizer == DT_OPTIMIZER_MUON && p->role == DT_ROLE_MATRIX;
    return whole && !p->frozen ? p->stacked : 0;
}

dt_status dt_matrices_list(dt_matrix **matrix, size_t *count, const dt_layout *layout,
                           const dt_config *config) {
    size_t all = 0;
    *matrix = NULL;
    *count = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        all += matrix_count(&layout->parameter[i], config);
    }
    DT_TRY(dt_memory_alloc(matrix, all, sizeof **matrix, "the list of matrices"));
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        const size_t stacked = matrix_count(p, config);
        for (size_t k = 0; k < stacked; k++) {
            const size_t rows = p->extent[0] / stacked, size = rows * p->extent[1];
            const size_t begin = p->offset + k * size;
            (*matrix)[(*count)++] = (dt_matrix){
                .begin = begin, .end = begin + size, .rows = rows, .columns = p->extent[1]};
        }
    }
    return DT_OK;
}

size_t dt_matrices_scratch(const dt_layout *layout, const dt_config *config) {
    size_t most = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        const size_t stacked = matrix_count(p, config);
        if (stacked == 0) continue;
        most = dt_max_size(most, dt_muon_scratch(p->extent[0] / stacked, p->extent[1]));
    }
    return most;
}

double dt_matrix_cost(size_t rows, size_t columns) {
    const double r = (double)dt_min_size(rows, columns), c = (double)dt_max_size(rows, columns);
    /* As the backend computes it: four steps, of which a wide matrix takes part in two. */
    return c >= 2 * r ? 3 * r * r * c + 13 * r * r * r : 12 * r * r * c + 4 * r * r * r;
}

static double cost_of(const dt_matrix *m) { return dt_matrix_cost(m->rows, m->columns); }

void dt_matrices_share(dt_matrix *matrix, size_t count, double *load, size_t workers) {
    for (size_t i = 0; i < count; i++) matrix[i].worker = workers;
    for (size_t given = 0; given < count; given++) {
        size_t next = count, least = 0;
        for (size_t i = 0; i < count; i++) {
            if (matrix[i].worker != workers) continue;
            if (next == count || cost_of(&matrix[i]) > cost_of(&matrix[next])) next = i;
        }
        for (size_t w = 1; w < workers; w++) {
            if (load[w] < load[least]) least = w;
        }
        matrix[next].worker = least;
        load[least] += cost_of(&matrix[next]);
    }
}

static dt_muon constants_of(const dt_matrix *matrix, const dt_config *config, int64_t step,
                            double gradient_scale) {
    /* Makes the update as large as AdamW's, so that both can use one learning rate. Source: Liu et
     * al. 2025, arXiv:2502.16982, section 2.2. */
    const float longest = (float)dt_max_size(matrix->rows, matrix->columns);
    return (dt_muon){.lr = (float)dt_schedule_lr(config, step),
                     .momentum = (float)config->momentum,
                     .decay = (float)config->weight_decay,
                     .gradient_scale = (float)gradient_scale,
                     .scale = 0.2f * sqrtf(longest)};
}

dt_status dt_matrix_update(dt_backend *host, const dt_matrix *matrix, dt_buffer *weights,
                           dt_buffer *m, dt_tensor gradient, const dt_config *config, int64_t step,
                           double gradient_scale) {
    const dt_muon constants = constants_of(matrix, config, step, gradient_scale);
    return host->update->muon(host, dt_floats(weights, matrix->begin), dt_floats(m, matrix->begin),
                              dt_tensor_at(gradient, matrix->begin), matrix->rows, matrix->columns,
                              &constants);
}

dt_status dt_matrix_update_momentum(dt_backend *host, const dt_matrix *matrix, dt_buffer *m,
                                    dt_tensor gradient, const dt_config *config,
                                    double gradient_scale) {
    const dt_muon constants = constants_of(matrix, config, 0, gradient_scale);
    return host->update->momentum(host, dt_floats(m, matrix->begin),
                                  dt_tensor_at(gradient, matrix->begin),
                                  matrix->end - matrix->begin, &constants);
}
