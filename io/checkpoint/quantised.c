/* Models of which nothing is trained any more, with matrices in 8 or 4 bits. */
#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/core/memory.h"

bool dt_checkpoint_is_quantised(const dt_checkpoint *checkpoint) {
    return checkpoint->shape.quantised != DT_ELEMENT_FLOAT32;
}

dt_status dt_checkpoint_expect_floats(const dt_checkpoint *checkpoint, const char *path) {
    DT_REQUIRE(!dt_checkpoint_is_quantised(checkpoint), DT_ERR_ARG,
               "%s is quantised (%s), for eval, ask and sample alone; give the checkpoint that it "
               "was made from",
               path, dt_quantised_name(checkpoint->shape.quantised));
    return DT_OK;
}

dt_status dt_checkpoint_quantise(dt_checkpoint *c, dt_element element) {
    dt_model_shape shape = c->shape;
    dt_layout layout = {0};
    void *frozen = NULL;
    float *weights = NULL;
    dt_status status;
    DT_REQUIRE(c->weights && !c->frozen && !dt_checkpoint_is_adapter(c), DT_ERR_INTERNAL,
               "only a whole model can be quantised");
    DT_TRY(dt_model_shape_quantise(&shape, element));
    DT_TRY_DONE(dt_layout_create(&layout, &shape));
    DT_TRY_DONE(dt_memory_alloc(&frozen, layout.frozen_bytes, 1, "quantised weights"));
    DT_TRY_DONE(dt_memory_alloc(&weights, layout.count, sizeof *weights, "weights"));
    DT_TRY_DONE(dt_layout_fill_frozen(frozen, &layout, &c->layout, c->weights));
    float **const block[] = {&c->weights, &c->m, &c->v, &c->iterate};
    for (size_t i = 0; i < sizeof block / sizeof *block; i++) dt_memory_free(block[i]);
    dt_layout_destroy(&c->layout);
    c->shape = shape;
    c->layout = layout;
    c->frozen = frozen;
    c->weights = weights;
    return DT_OK;
done:
    dt_memory_free(&weights);
    dt_memory_free(&frozen);
    dt_layout_destroy(&layout);
    return status;
}
