/* Which parameters a model has, by name, and where each lies in the flat block; their initial
 * values. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/model/model.h"

enum { OUTER = 5, PER_LAYER = 12 };

dt_status dt_model_shape_holds(const dt_model_shape *shape, const dt_config *config) {
    const size_t longest = dt_format_longest(config), places = dt_format_places(config);
    DT_REQUIRE(longest <= shape->T, DT_ERR_ARG,
               "problems of up to %zu tokens do not fit a model with --context %zu; lower "
               "--digits, --dividend-digits or --divisor-digits, or those of --eval-digits, or "
               "start another run with a longer context",
               longest, shape->T);
    DT_REQUIRE(places < shape->P, DT_ERR_ARG,
               "numbers of up to %zu digits, and the sign behind, do not fit a model with --places "
               "%zu; lower the digits, or start another run with more places",
               places - 1, shape->P - 1);
    return DT_OK;
}

dt_status dt_model_shape_from(dt_model_shape *shape, const dt_config *config, size_t vocabulary) {
    const size_t C = (size_t)config->width, offset = (size_t)config->place_offset;
    const dt_config evaluated = dt_config_evaluated(config);
    const size_t longest = dt_max_size(dt_format_longest(config), dt_format_longest(&evaluated));
    const size_t trained = dt_format_places(config) + offset;
    const size_t places = dt_max_size(trained, dt_format_places(&evaluated));
    *shape = (dt_model_shape){
        .L = (size_t)config->layers,
        .C = C,
        .H = (size_t)config->heads,
        .F = 4 * C,
        .V = vocabulary,
        .T = config->context ? (size_t)config->context : longest,
        .P = (config->places ? (size_t)config->places : places) + 1,
        .dropout = config->dropout,
        .no_positions = config->positions == DT_POSITIONS_NONE,
    };
    DT_REQUIRE(shape->H && C % shape->H == 0, DT_ERR_ARG, "--heads %zu does not divide --width %zu",
               shape->H, C);
    DT_REQUIRE(shape->T > 0 && shape->P > 1, DT_ERR_ARG,
               "--context and --places of a model of the lines of %s are not settled; give them",
               config->train_file);
    DT_TRY(dt_model_shape_holds(shape, config));
    DT_TRY(dt_model_shape_holds(shape, &evaluated));
    DT_REQUIRE(
        trained < shape->P, DT_ERR_ARG,
        "numbers of up to %zu digits, and the sign behind, with --place-offset %zu do not fit a "
        "model with --places %zu; lower the offset, or start another run with more places",
        trained - offset - 1, offset, shape->P - 1);
    return DT_OK;
}

static void append(dt_layout *layout, const char *name, size_t rows, size_t columns) {
    dt_parameter *p = &layout->parameter[layout->parameters++];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->rank = columns ? 2 : 1;
    p->extent[0] = rows;
    p->extent[1] = columns ? columns : 1;
    p->count = rows * p->extent[1];
    p->decayed = columns != 0;
    p->offset = layout->count;
    layout->count += dt_round_up(p->count, DT_ALIGNED_FLOATS);
    layout->weights += p->count;
}

static void append_in(dt_layout *layout, size_t layer, const char *name, size_t rows,
                      size_t columns) {
    char full[sizeof layout->parameter->name];
    snprintf(full, sizeof full, "layers/%zu/%s", layer, name);
    append(layout, full, rows, columns);
}

dt_status dt_layout_create(dt_layout *layout, const dt_model_shape *shape) {
    const size_t C = shape->C, F = shape->F;
    *layout = (dt_layout){0};
    DT_TRY(dt_memory_alloc(&layout->parameter, OUTER + PER_LAYER * shape->L,
                           sizeof *layout->parameter, "the parameter table"));
    append(layout, "tok_embed", shape->V, C);
    append(layout, "pos_embed", shape->no_positions ? 1 : shape->T, C);
    append(layout, "place_embed", shape->P, C);
    for (size_t l = 0; l < shape->L; l++) {
        append_in(layout, l, "attn_norm/scale", C, 0);
        append_in(layout, l, "attn_norm/bias", C, 0);
        append_in(layout, l, "attn_qkv/weight", 3 * C, C);
        append_in(layout, l, "attn_qkv/bias", 3 * C, 0);
        append_in(layout, l, "attn_out/weight", C, C);
        append_in(layout, l, "attn_out/bias", C, 0);
        append_in(layout, l, "mlp_norm/scale", C, 0);
        append_in(layout, l, "mlp_norm/bias", C, 0);
        append_in(layout, l, "mlp_in/weight", F, C);
        append_in(layout, l, "mlp_in/bias", F, 0);
        append_in(layout, l, "mlp_out/weight", C, F);
        append_in(layout, l, "mlp_out/bias", C, 0);
    }
    append(layout, "final_norm/scale", C, 0);
    append(layout, "final_norm/bias", C, 0);
    return DT_OK;
}

void dt_layout_destroy(dt_layout *layout) {
    dt_memory_free(&layout->parameter);
    *layout = (dt_layout){0};
}

const dt_parameter *dt_layout_find(const dt_layout *layout, const char *name) {
    for (size_t i = 0; i < layout->parameters; i++) {
        if (strcmp(layout->parameter[i].name, name) == 0) return &layout->parameter[i];
    }
    return NULL;
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Each layer adds twice to the residual stream: divided like this, its variance does not depend on
 * the depth. */
static double deviation_of(const dt_parameter *p, const dt_model_shape *shape) {
    const double deviation = 0.02;
    const bool into_residual =
        ends_with(p->name, "attn_out/weight") || ends_with(p->name, "mlp_out/weight");
    return into_residual ? deviation / sqrt(2.0 * (double)shape->L) : deviation;
}

void dt_model_initialise(float *weights, const dt_layout *layout, const dt_model_shape *shape,
                         uint64_t seed, size_t worker, size_t workers) {
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        /* Contiguous shares of about the same size: whose share holds the parameter's middle. */
        if ((p->offset + p->count / 2) * workers / layout->count != worker) continue;
        float *w = weights + p->offset;
        if (p->rank == 2) {
            dt_random_normal(w, p->count, deviation_of(p, shape), seed, DT_RANDOM_WEIGHTS,
                             (uint32_t)i);
        } else {
            const float value = ends_with(p->name, "scale") ? 1.0f : 0.0f;
            for (size_t k = 0; k < p->count; k++) w[k] = value;
        }
    }
}
