/* The parameters of a model, their offsets and their initial values. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/random.h"
#include "dtrain/data/source.h"
#include "internal.h"

/* Sizes, as the tables below name them. */
typedef enum { NONE, WIDTH, QKV, MLP, VOCABULARY, POSITIONS, PLACES, RANK } size_name;

/* How a parameter is described. */
typedef struct {
    const char *name;
    dt_role role;
    size_name rows, columns; /* NONE: a vector */
    bool residual;           /* its product is added to the residual stream */
    size_t stacked;          /* 0: 1 */
    double initial;
    bool lowers, lifts; /* of an adapter: the side of its input, or of its output */
    dt_target target;   /* of an adapter: what it is for */
} description;

static const description EMBEDDING[EMBEDDINGS] = {
    [TOK_EMBED] = {"tok_embed", DT_ROLE_EMBEDDING, VOCABULARY, WIDTH},
    [POS_EMBED] = {"pos_embed", DT_ROLE_EMBEDDING, POSITIONS, WIDTH},
    [PLACE_EMBED] = {"place_embed", DT_ROLE_EMBEDDING, PLACES, WIDTH},
};

#define LOWERS(matrix, in, of)                                                                     \
    { matrix "/lora_a", DT_ROLE_ADAPTER, RANK, in, .lowers = true, .target = (of) }
#define LIFTS(matrix, out, of)                                                                     \
    { matrix "/lora_b", DT_ROLE_ADAPTER, out, RANK, .lifts = true, .target = (of) }
static const description IN_LAYER[LAYER_PARAMETERS] = {
    [ATTN_NORM_SCALE] = {"attn_norm/scale", DT_ROLE_VECTOR, WIDTH, .initial = 1},
    [ATTN_NORM_BIAS] = {"attn_norm/bias", DT_ROLE_VECTOR, WIDTH},
    [ATTN_QKV_WEIGHT] = {"attn_qkv/weight", DT_ROLE_MATRIX, QKV, WIDTH, .stacked = 3},
    [ATTN_QKV_BIAS] = {"attn_qkv/bias", DT_ROLE_VECTOR, QKV},
    [ATTN_QKV_A] = LOWERS("attn_qkv", WIDTH, DT_TARGET_ATTN_QKV),
    [ATTN_QKV_B] = LIFTS("attn_qkv", QKV, DT_TARGET_ATTN_QKV),
    [ATTN_OUT_WEIGHT] = {"attn_out/weight", DT_ROLE_MATRIX, WIDTH, WIDTH, .residual = true},
    [ATTN_OUT_BIAS] = {"attn_out/bias", DT_ROLE_VECTOR, WIDTH},
    [ATTN_OUT_A] = LOWERS("attn_out", WIDTH, DT_TARGET_ATTN_OUT),
    [ATTN_OUT_B] = LIFTS("attn_out", WIDTH, DT_TARGET_ATTN_OUT),
    [MLP_NORM_SCALE] = {"mlp_norm/scale", DT_ROLE_VECTOR, WIDTH, .initial = 1},
    [MLP_NORM_BIAS] = {"mlp_norm/bias", DT_ROLE_VECTOR, WIDTH},
    [MLP_IN_WEIGHT] = {"mlp_in/weight", DT_ROLE_MATRIX, MLP, WIDTH},
    [MLP_IN_BIAS] = {"mlp_in/bias", DT_ROLE_VECTOR, MLP},
    [MLP_IN_A] = LOWERS("mlp_in", WIDTH, DT_TARGET_MLP_IN),
    [MLP_IN_B] = LIFTS("mlp_in", MLP, DT_TARGET_MLP_IN),
    [MLP_OUT_WEIGHT] = {"mlp_out/weight", DT_ROLE_MATRIX, WIDTH, MLP, .residual = true},
    [MLP_OUT_BIAS] = {"mlp_out/bias", DT_ROLE_VECTOR, WIDTH},
    [MLP_OUT_A] = LOWERS("mlp_out", MLP, DT_TARGET_MLP_OUT),
    [MLP_OUT_B] = LIFTS("mlp_out", WIDTH, DT_TARGET_MLP_OUT),
};

static const description FINAL[FINAL_PARAMETERS] = {
    [FINAL_NORM_SCALE] = {"final_norm/scale", DT_ROLE_VECTOR, WIDTH, .initial = 1},
    [FINAL_NORM_BIAS] = {"final_norm/bias", DT_ROLE_VECTOR, WIDTH},
};

dt_status dt_model_shape_holds(const dt_model_shape *shape, const dt_config *config) {
    const dt_text_size size = dt_source_size(config);
    DT_REQUIRE(size.longest <= shape->T, DT_ERR_ARG,
               "problems of up to %zu tokens do not fit a model with --context %zu; lower "
               "--digits, --dividend-digits or --divisor-digits, or those of --eval-digits, or "
               "start another run with a longer context",
               size.longest, shape->T);
    DT_REQUIRE(shape->index_positions || size.places < shape->P, DT_ERR_ARG,
               "numbers of up to %zu digits, and the operator after them, do not fit a model with "
               "--places %zu; lower the digits, or start another run with more places",
               size.places - 1, shape->P - 1);
    return DT_OK;
}

static dt_element element_of(const dt_config *config) {
    switch ((dt_base_quant)config->base_quant) {
    case DT_BASE_Q8_0: return DT_ELEMENT_Q8_0;
    case DT_BASE_NF4: return DT_ELEMENT_NF4;
    case DT_BASE_FLOAT32: break;
    }
    return DT_ELEMENT_FLOAT32;
}

static const struct {
    const char *name;
    dt_element element;
    size_t block; /* weights */
} QUANTISED[] = {{"q8_0", DT_ELEMENT_Q8_0, DT_Q8_0_BLOCK}, {"nf4", DT_ELEMENT_NF4, DT_NF4_BLOCK}};
enum { QUANTISED_TYPES = sizeof QUANTISED / sizeof *QUANTISED };

const char *dt_quantised_name(dt_element element) {
    for (size_t i = 0; i < QUANTISED_TYPES; i++) {
        if (QUANTISED[i].element == element) return QUANTISED[i].name;
    }
    return "float32";
}

dt_element dt_quantised_find(const char *name) {
    for (size_t i = 0; i < QUANTISED_TYPES; i++) {
        if (strcmp(QUANTISED[i].name, name) == 0) return QUANTISED[i].element;
    }
    return DT_ELEMENT_FLOAT32;
}

/* Blocks do not reach over the end of a row. */
static dt_status check_blocks(const dt_model_shape *shape, dt_element element, const char *mend) {
    size_t block = 1;
    for (size_t i = 0; i < QUANTISED_TYPES; i++) {
        if (QUANTISED[i].element == element) block = QUANTISED[i].block;
    }
    DT_REQUIRE(shape->C % block == 0, DT_ERR_ARG,
               "%s stores blocks of %zu weights, and --width %zu is no multiple of that; %s",
               dt_quantised_name(element), block, shape->C, mend);
    return DT_OK;
}

dt_element dt_model_shape_matrices(const dt_model_shape *shape) {
    return shape->lora.rank > 0 ? shape->lora.matrices : shape->quantised;
}

dt_status dt_model_shape_quantise(dt_model_shape *shape, dt_element element) {
    DT_TRY(check_blocks(shape, element, "q8_0 has blocks of 32"));
    shape->quantised = element;
    return DT_OK;
}

dt_status dt_model_shape_from(dt_model_shape *shape, const dt_config *config, size_t vocabulary) {
    const size_t C = (size_t)config->width, offset = (size_t)config->place_offset;
    const dt_config evaluated = dt_source_evaluated(config);
    const dt_text_size training = dt_source_size(config), evaluation = dt_source_size(&evaluated);
    const size_t longest = dt_max_size(training.longest, evaluation.longest);
    const size_t trained = training.places + offset;
    const size_t places = dt_max_size(trained, evaluation.places);
    const bool index = config->positions == DT_POSITIONS_INDEX;
    *shape = (dt_model_shape){
        .L = (size_t)config->layers,
        .C = C,
        .H = (size_t)config->heads,
        .F = 4 * C,
        .V = vocabulary,
        .T = config->context ? (size_t)config->context : longest,
        .P = index ? 1 : (config->places ? (size_t)config->places : places) + 1,
        .dropout = config->dropout,
        .sharpness = config->sharpness,
        .no_positions = config->positions == DT_POSITIONS_NONE,
        .index_positions = index,
        .place_waves = offset > 0 || config->place_embedding == DT_PLACES_WAVES,
        .places_constant = config->place_embedding != DT_PLACES_LEARNED,
        .rotary = config->place_embedding == DT_PLACES_ROTARY,
        .window = (int32_t)config->place_window,
        .bfloat16 = config->precision == DT_PRECISION_BFLOAT16,
        .lora = {.rank = (size_t)config->lora_rank,
                 .alpha = config->lora_alpha,
                 .dropout = config->lora_dropout,
                 .matrices = element_of(config)},
    };
    for (size_t i = 0; i < DT_TARGETS; i++)
        shape->lora.target[i] = dt_config_adapts(config, (dt_target)i);
    DT_REQUIRE(
        shape->lora.rank <= C, DT_ERR_ARG,
        "--lora-rank %zu is more than the width of the model, %zu, and no adapter of that rank "
        "is smaller than its matrix; give a rank of 4 to 64",
        shape->lora.rank, C);
    DT_REQUIRE(config->distractors == 0 || offset > 0, DT_ERR_ARG,
               "--distractors %lld: they have the places that --place-offset moves digits to; give "
               "one, such as --place-offset 100, or leave them out",
               (long long)config->distractors);
    DT_REQUIRE(
        config->working != DT_WORKING_NEAR || config->place_window > 0, DT_ERR_ARG,
        "--working near is made for a --place-window, such as 3; give one, too. (A model "
        "without one has learned an earlier working of that name, which is no longer read.)");
    DT_TRY(check_blocks(shape, shape->lora.matrices, "leave --base-quant out"));
    DT_REQUIRE(shape->H && C % shape->H == 0, DT_ERR_ARG, "--heads %zu does not divide --width %zu",
               shape->H, C);
    DT_REQUIRE(!shape->rotary || C / shape->H % 4 == 0, DT_ERR_ARG,
               "--place-embedding rotary turns half of the pairs of channels of each head, and a "
               "head has %zu channels, which is no multiple of 4; give another --width or --heads",
               C / shape->H);
    DT_REQUIRE(shape->T > 0 && (index || shape->P > 1), DT_ERR_ARG,
               "--context and --places of a model of %s are not settled; give them",
               dt_source_kind_of(config)->subject(config));
    DT_TRY(dt_model_shape_holds(shape, config));
    DT_TRY(dt_model_shape_holds(shape, &evaluated));
    DT_REQUIRE(index || trained < shape->P, DT_ERR_ARG,
               "numbers of up to %zu digits, and the operator after them, with --place-offset %zu "
               "do not fit a model with --places %zu; lower the offset, or start another run with "
               "more places",
               trained - offset - 1, offset, shape->P - 1);
    return DT_OK;
}

static size_t size_of(size_name name, const dt_model_shape *shape) {
    switch (name) {
    case WIDTH: return shape->C;
    case QKV: return 3 * shape->C;
    case MLP: return shape->F;
    case VOCABULARY: return shape->V;
    case POSITIONS: return shape->no_positions ? 1 : shape->T;
    case PLACES: return shape->P;
    case RANK: return shape->lora.rank;
    case NONE: break;
    }
    return 1;
}

static bool is_adapter(const description *d) { return d->lowers || d->lifts; }

static bool has_waves(const description *d, const dt_model_shape *shape) {
    return d == &EMBEDDING[PLACE_EMBED] && shape->place_waves && !shape->rotary;
}

/* Each layer adds twice to the residual stream. With this factor the variance does not depend on
 * the depth. */
static double deviation_of(const description *d, const dt_model_shape *shape) {
    const double deviation = 0.02, of_waves = 0.06;
    if (has_waves(d, shape)) return of_waves;
    if (d->role == DT_ROLE_VECTOR || is_adapter(d)) return 0;
    return d->residual ? deviation / sqrt(2.0 * (double)shape->L) : deviation;
}

static void append(dt_layout *layout, const description *d, const char *before,
                   const dt_model_shape *shape) {
    dt_parameter *p = &layout->parameter[layout->parameters++];
    *p = (dt_parameter){
        .role = d->role,
        .frozen =
            shape->quantised != DT_ELEMENT_FLOAT32 || (shape->lora.rank > 0 && !is_adapter(d)),
        .constant = d == &EMBEDDING[PLACE_EMBED] && shape->places_constant,
        .rank = d->columns == NONE ? 1 : 2,
        .extent = {size_of(d->rows, shape), size_of(d->columns, shape)},
        .stacked = dt_max_size(1, d->stacked),
        .initial = d->initial,
        .deviation = deviation_of(d, shape),
        .waves = has_waves(d, shape),
        .turned = d == &EMBEDDING[PLACE_EMBED] && shape->rotary ? shape->H : 0,
    };
    if (p->frozen && d->role == DT_ROLE_MATRIX) p->element = dt_model_shape_matrices(shape);
    if (d->lowers) p->bound = 1 / sqrt((double)p->extent[1]);
    p->count = p->extent[0] * p->extent[1];
    snprintf(p->name, sizeof p->name, "%s%s", before, d->name);
    layout->weights += p->count;
}

static bool is_there(const description *d, const dt_model_shape *shape) {
    return !is_adapter(d) || (shape->lora.rank > 0 && shape->lora.target[d->target]);
}

size_t layout_number(size_t number[LAYER_PARAMETERS], const dt_model_shape *shape) {
    size_t count = 0;
    for (size_t i = 0; i < LAYER_PARAMETERS; i++) {
        number[i] = count;
        count += is_there(&IN_LAYER[i], shape);
    }
    return count;
}

dt_status dt_layout_create(dt_layout *layout, const dt_model_shape *shape) {
    size_t number[LAYER_PARAMETERS];
    *layout = (dt_layout){0};
    DT_TRY(dt_memory_alloc(&layout->parameter,
                           EMBEDDINGS + layout_number(number, shape) * shape->L + FINAL_PARAMETERS,
                           sizeof *layout->parameter, "the parameter table"));
    for (size_t i = 0; i < EMBEDDINGS; i++) append(layout, &EMBEDDING[i], "", shape);
    for (size_t l = 0; l < shape->L; l++) {
        char before[32];
        snprintf(before, sizeof before, "layers/%zu/", l);
        for (size_t i = 0; i < LAYER_PARAMETERS; i++) {
            if (is_there(&IN_LAYER[i], shape)) append(layout, &IN_LAYER[i], before, shape);
        }
    }
    for (size_t i = 0; i < FINAL_PARAMETERS; i++) append(layout, &FINAL[i], "", shape);
    dt_layout_arrange(layout);
    return DT_OK;
}

void dt_layout_arrange(dt_layout *layout) {
    layout->count = layout->frozen_bytes = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        dt_parameter *p = &layout->parameter[i];
        p->offset = layout->count;
        p->frozen_offset = layout->frozen_bytes;
        if (p->frozen) {
            layout->frozen_bytes +=
                dt_round_up(dt_element_bytes(p->element, p->count), DT_ALIGNMENT);
        } else {
            layout->count += dt_round_up(p->count, DT_ALIGNED_FLOATS);
        }
    }
}

/* Whether the other model's parameter has the name and the shape of this one. */
static bool is_alike(const dt_parameter *p, const dt_parameter *other) {
    return other && !other->frozen && other->rank == p->rank && other->extent[0] == p->extent[0] &&
           other->extent[1] == p->extent[1];
}

static void pack(unsigned char *to, const dt_parameter *p, const float *weights) {
    switch (p->element) {
    case DT_ELEMENT_Q8_0: dt_q8_0_pack(to, weights, p->count); return;
    case DT_ELEMENT_NF4: dt_nf4_pack(to, weights, p->count); return;
    default: memcpy(to, weights, p->count * sizeof *weights);
    }
}

void dt_layout_values(float *values, const void *frozen, const dt_parameter *p) {
    const unsigned char *from = (const unsigned char *)frozen + p->frozen_offset;
    switch (p->element) {
    case DT_ELEMENT_Q8_0: dt_q8_0_unpack(values, from, 0, p->count); return;
    case DT_ELEMENT_NF4: dt_nf4_unpack(values, from, p->count, 0, p->count); return;
    default: memcpy(values, from, p->count * sizeof *values);
    }
}

dt_status dt_layout_fill_frozen(void *frozen, const dt_layout *layout, const dt_layout *base,
                                const float *weights) {
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (!p->frozen) continue;
        const dt_parameter *from = dt_layout_find(base, p->name);
        DT_REQUIRE(is_alike(p, from), DT_ERR_DATA,
                   "the base has no %s of the shape that its adapter needs", p->name);
        pack((unsigned char *)frozen + p->frozen_offset, p, weights + from->offset);
    }
    return DT_OK;
}

dt_weight_count dt_layout_weights(const dt_layout *layout) {
    dt_weight_count count = {0};
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        const size_t bytes = dt_element_bytes(p->element, p->count);
        *(p->frozen ? &count.frozen : &count.trained) += p->count;
        *(p->frozen ? &count.frozen_bytes : &count.trained_bytes) += bytes;
        if (p->element == DT_ELEMENT_FLOAT32) continue;
        count.quantised += p->count;
        count.quantised_bytes += bytes;
        count.element = p->element;
    }
    return count;
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

bool dt_layout_find_adapter(const dt_parameter **a, const dt_parameter **b, const dt_layout *layout,
                            const dt_parameter *matrix) {
    char name[sizeof matrix->name];
    const char *end = strrchr(matrix->name, '/');
    if (!end || matrix->role != DT_ROLE_MATRIX) return false;
    const int length = (int)(end - matrix->name);
    snprintf(name, sizeof name, "%.*s/lora_a", length, matrix->name);
    *a = dt_layout_find(layout, name);
    snprintf(name, sizeof name, "%.*s/lora_b", length, matrix->name);
    *b = dt_layout_find(layout, name);
    return *a && *b;
}

/* Sines and cosines of the number of the row, of wavelengths from pi to 400 rows (Vaswani et al.
 * 2017, arXiv:1706.03762, section 3.5): rows that are equally far apart differ by one and the same
 * linear map. So what is learned of places of some digits holds of all. */
static void put_waves(float *w, size_t rows, size_t width, double deviation) {
    const double pi = 3.14159265358979323846, shortest = pi, longest = 400,
                 amplitude = deviation * sqrt(2);
    const size_t last = (width - 1) / 2;
    for (size_t c = 0; c < width; c++) {
        const size_t pair = c / 2;
        const double share = last > 0 ? (double)pair / (double)last : 0,
                     length = shortest * pow(longest / shortest, share);
        for (size_t r = 0; r < rows; r++) {
            const double angle = 2 * pi * (double)r / length;
            w[r * width + c] = (float)(amplitude * (c % 2 == 0 ? cos(angle) : sin(angle)));
        }
    }
}

/* Turns of the pairs of channels of each head by an angle that grows with the number of the row (Su
 * et al. 2021, arXiv:2104.09864): cosine and sine. The second half of each head is not turned, so
 * that what has no place, or is looked for whatever its place is, is found, too. Wavelengths from
 * pi to 100 rows are shared out among the heads. */
static void put_turns(float *w, size_t rows, size_t width, size_t heads) {
    const double pi = 3.14159265358979323846, shortest = pi, longest = 100;
    const size_t pairs = width / heads / 2, turned = pairs / 2,
                 last = dt_max_size(1, turned * heads - 1);
    for (size_t k = 0; k < width / 2; k++) {
        const size_t head = k / pairs, pair = k % pairs;
        const double share = (double)(pair * heads + head) / (double)last,
                     length = shortest * pow(longest / shortest, share);
        for (size_t r = 0; r < rows; r++) {
            const double place = (double)dt_max_size(r, 1),
                         angle = pair < turned ? 2 * pi * place / length : 0;
            w[r * width + 2 * k] = (float)cos(angle);
            w[r * width + 2 * k + 1] = (float)sin(angle);
        }
    }
}

void dt_model_initialise(float *weights, const dt_layout *layout, uint64_t seed, size_t worker,
                         size_t workers) {
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (p->frozen) continue;
        /* Contiguous shares of about equal size: the parameter belongs to the share that holds its
         * middle. */
        if ((p->offset + p->count / 2) * workers / layout->count != worker) continue;
        float *w = weights + p->offset;
        if (p->turned > 0) {
            put_turns(w, p->extent[0], p->extent[1], p->turned);
        } else if (p->waves) {
            put_waves(w, p->extent[0], p->extent[1], p->deviation);
        } else if (p->deviation > 0) {
            dt_random_normal(w, p->count, p->deviation, seed, DT_RANDOM_WEIGHTS, (uint32_t)i);
        } else if (p->bound > 0) {
            dt_random_uniform(w, p->count, p->bound, seed, DT_RANDOM_WEIGHTS, (uint32_t)i);
        } else {
            for (size_t k = 0; k < p->count; k++) w[k] = (float)p->initial;
        }
    }
}
