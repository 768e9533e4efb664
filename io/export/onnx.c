/* The model as an ONNX graph, from ids to logits; positions and places are computed in it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "classes.h"
#include "dtrain/core/memory.h"
#include "formats.h"
#include "onnx_graph.h"
#include "vocabulary.h"

enum { OPERATIONS = 20, FORMAT = 9 }; /* versions: Gelu came with 20, which needs format 9 */
enum { MODEL_FORMAT = 1, MODEL_PRODUCER = 2, MODEL_VERSION = 3, MODEL_GRAPH = 7, MODEL_IMPORT = 8 };
enum { MODEL_FACT = 14, FACT_KEY = 1, FACT_VALUE = 2, IMPORT_VERSION = 2, GRAPH_NAME = 2 };

/* Names of one layer: "%" stands for its prefix. */
static const char *name_in(char text[4 * ONNX_NAME_MAX], size_t layer, const char *names) {
    size_t used = 0;
    for (const char *c = names; *c && used < 3 * ONNX_NAME_MAX; c++) {
        if (*c == '%') {
            used += (size_t)snprintf(text + used, 32, "layers.%zu.", layer);
        } else {
            text[used++] = *c;
        }
    }
    text[used] = '\0';
    return text;
}

static void layer_node(onnx_graph *graph, size_t layer, const char *operation, const char *output,
                       const char *inputs, onnx_attributes *attributes) {
    char to[4 * ONNX_NAME_MAX], from[4 * ONNX_NAME_MAX];
    onnx_node(graph, operation, name_in(to, layer, output), name_in(from, layer, inputs),
              attributes);
}

typedef struct {
    const char *operation, *output, *inputs;
} described;

static void normalise(onnx_graph *graph, size_t layer, const char *output, const char *inputs) {
    onnx_attributes a = {0};
    onnx_attribute_int(&a, "axis", -1);
    onnx_attribute_float(&a, "epsilon", 1e-5f);
    layer_node(graph, layer, "LayerNormalization", output, inputs, &a);
}

static void transpose(onnx_graph *graph, size_t layer, const char *output, const char *input,
                      const int64_t *order, size_t rank) {
    onnx_attributes a = {0};
    onnx_attribute_ints(&a, "perm", order, rank);
    layer_node(graph, layer, "Transpose", output, input, &a);
}

/* ---- where tokens stand ---- */

/* One token of each text: the state before and after it, and what it is. The same rules as those
 * of dt_tokenizer_places. */
static void describe_step(onnx_graph *step) {
    static const described node[] = {
        {"Greater", "in_number", "digits none"},
        {"And", "carry", "in_number is_carry"},
        {"And", "added", "carried is_addend"},
        {"Or", "within", "carry added"},
        {"Not", "not_within", "within"},
        {"And", "digit", "not_within is_digit"},
        {"Not", "not_digit", "is_digit"},
        {"And", "outside", "not_within not_digit"},
        {"Add", "next", "digits one"},
        {"Where", "next_of_digit", "is_mark one next"},
        {"Where", "counted", "digit next_of_digit none"},
        {"Where", "digits_after", "within digits counted"},
        {"Identity", "carried_after", "carry"},
        {"Where", "moved", "outside one none"},
        {"Add", "before_after", "before moved"},
        {"Or", "has_place", "digit in_number"},
        {"Where", "wide_place", "has_place next none"},
        {"Min", "place", "wide_place last_place"},
        {"Identity", "position", "before"},
        {"Neg", "minus_place", "wide_place"},
        {"Where", "spot", "outside minus_place wide_place"},
    };
    for (size_t i = 0; i < sizeof node / sizeof *node; i++)
        onnx_node(step, node[i].operation, node[i].output, node[i].inputs, NULL);
    onnx_input(step, "digits", ONNX_INT64, "texts");
    onnx_input(step, "carried", ONNX_BOOL, "texts");
    onnx_input(step, "before", ONNX_INT64, "texts");
    onnx_input(step, "is_digit", ONNX_BOOL, "texts");
    onnx_input(step, "is_mark", ONNX_BOOL, "texts");
    onnx_input(step, "is_carry", ONNX_BOOL, "texts");
    onnx_input(step, "is_addend", ONNX_BOOL, "texts");
    onnx_output(step, "digits_after", ONNX_INT64, "texts");
    onnx_output(step, "carried_after", ONNX_BOOL, "texts");
    onnx_output(step, "before_after", ONNX_INT64, "texts");
    onnx_output(step, "position", ONNX_INT64, "texts");
    onnx_output(step, "place", ONNX_INT64, "texts");
    onnx_output(step, "spot", ONNX_INT64, "texts");
}

/* Which tokens belong to a class: (V) bools; and what the ids are: (texts,tokens). */
static dt_status look_up_class(onnx_graph *graph, const export_classes *classes, export_class which,
                               const char *table, const char *output) {
    char inputs[ONNX_NAME_MAX];
    unsigned char *belongs;
    DT_TRY(dt_memory_alloc(&belongs, classes->count, 1, "a class of tokens"));
    for (size_t i = 0; i < classes->count; i++) belongs[i] = (classes->of[i] & which) != 0;
    onnx_constant_bools(graph, table, belongs, classes->count);
    dt_memory_free(&belongs);
    snprintf(inputs, sizeof inputs, "%s input_ids", table);
    onnx_node(graph, "Gather", output, inputs, NULL);
    return DT_OK;
}

static void zeros(onnx_graph *graph, const char *output, onnx_type type) {
    onnx_attributes a = {0};
    onnx_attribute_value(&a, "value", type, 0);
    onnx_node(graph, "ConstantOfShape", output, "texts", &a);
}

static dt_status scan_numbers(onnx_graph *graph, const dt_checkpoint *c) {
    const int64_t last_place = (int64_t)c->shape.P - 1, along[] = {1, 1, 1, 1};
    export_classes classes = {0};
    onnx_graph step = {0};
    onnx_attributes a = {0};
    dt_status status;
    DT_TRY_DONE(export_classes_find(&classes, c->tokenizer));
    DT_TRY_DONE(look_up_class(graph, &classes, EXPORT_DIGIT, "digit_table", "are_digits"));
    DT_TRY_DONE(look_up_class(graph, &classes, EXPORT_MARK, "mark_table", "are_marks"));
    DT_TRY_DONE(look_up_class(graph, &classes, EXPORT_CARRY, "carry_table", "are_carries"));
    DT_TRY_DONE(look_up_class(graph, &classes, EXPORT_ADDEND, "addend_table", "are_addends"));
    onnx_constant(graph, "last_place", &last_place, 0, 1);
    zeros(graph, "first_digits", ONNX_INT64);
    zeros(graph, "first_carried", ONNX_BOOL);
    zeros(graph, "first_before", ONNX_INT64);
    describe_step(&step);
    DT_TRY_DONE(dt_message_text(&step.fields, GRAPH_NAME, "step"));
    onnx_attribute_graph(&a, "body", &step);
    onnx_attribute_int(&a, "num_scan_inputs", 4);
    onnx_attribute_ints(&a, "scan_input_axes", along, 4);
    onnx_attribute_ints(&a, "scan_output_axes", along, 3);
    onnx_node(
        graph, "Scan", "last_digits last_carried last_before counted_positions places spots",
        "first_digits first_carried first_before are_digits are_marks are_carries are_addends", &a);
done:
    dt_text_destroy(&a.fields);
    dt_text_destroy(&step.fields);
    export_classes_destroy(&classes);
    return status;
}

static void split_pairs(onnx_graph *graph, size_t layer, const char *outputs, const char *pairs) {
    onnx_attributes a = {0};
    onnx_attribute_int(&a, "axis", -1);
    onnx_attribute_int(&a, "num_outputs", 2);
    layer_node(graph, layer, "Split", outputs, pairs, &a);
}

/* Of each token and pair of channels: "cosine" and "sine", (texts,tokens,C/2,1). */
static void describe_turns(onnx_graph *graph) {
    const int64_t pairs[] = {0, 0, -1, 2}, channels[] = {0, 0, -1};
    onnx_constant(graph, "into_pairs", pairs, 1, 4);
    onnx_constant(graph, "out_of_pairs", channels, 1, 3);
    onnx_node(graph, "Reshape", "place_pairs", "place_vectors into_pairs", NULL);
    split_pairs(graph, 0, "cosine sine", "place_pairs");
}

/* "?" stands for the part. */
static const char *named(char text[ONNX_NAME_MAX], const char *names, char part) {
    size_t i = 0;
    for (; names[i] && i + 1 < ONNX_NAME_MAX; i++) text[i] = names[i] == '?' ? part : names[i];
    text[i] = '\0';
    return text;
}

/* "%q" is turned to "%q_turned". */
static void turn(onnx_graph *graph, size_t l, char part) {
    static const described node[] = {
        {"Mul", "%?_a_cosine", "%?_a cosine"},
        {"Mul", "%?_b_sine", "%?_b sine"},
        {"Sub", "%?_a_turned", "%?_a_cosine %?_b_sine"},
        {"Mul", "%?_a_sine", "%?_a sine"},
        {"Mul", "%?_b_cosine", "%?_b cosine"},
        {"Add", "%?_b_turned", "%?_a_sine %?_b_cosine"},
    };
    char output[ONNX_NAME_MAX], inputs[ONNX_NAME_MAX];
    onnx_attributes a = {0};
    layer_node(graph, l, "Reshape", named(output, "%?_pairs", part),
               named(inputs, "%? into_pairs", part), NULL);
    split_pairs(graph, l, named(output, "%?_a %?_b", part), named(inputs, "%?_pairs", part));
    for (size_t i = 0; i < sizeof node / sizeof *node; i++)
        layer_node(graph, l, node[i].operation, named(output, node[i].output, part),
                   named(inputs, node[i].inputs, part), NULL);
    onnx_attribute_int(&a, "axis", -1);
    layer_node(graph, l, "Concat", named(output, "%?_turned_pairs", part),
               named(inputs, "%?_a_turned %?_b_turned", part), &a);
    layer_node(graph, l, "Reshape", named(output, "%?_turned", part),
               named(inputs, "%?_turned_pairs out_of_pairs", part), NULL);
}

/* The sum of the embeddings: "x". */
static dt_status embed(onnx_graph *graph, const dt_checkpoint *c) {
    onnx_node(graph, "Gather", "tok", "tok_embed.weight input_ids", NULL);
    if (c->shape.index_positions) {
        onnx_node(graph, "Gather", "pos", "pos_embed.weight index", NULL);
        onnx_node(graph, "Add", "x", "tok pos", NULL);
        return DT_OK;
    }
    DT_TRY(scan_numbers(graph, c));
    onnx_node(graph, "Gather", "pos",
              c->shape.no_positions ? "pos_embed.weight none"
                                    : "pos_embed.weight counted_positions",
              NULL);
    onnx_node(graph, "Gather", "place_vectors", "place_embed.weight places", NULL);
    if (c->shape.rotary) {
        describe_turns(graph);
        onnx_node(graph, "Add", "x", "tok pos", NULL);
        return DT_OK;
    }
    onnx_node(graph, "Add", "placed", "tok pos", NULL);
    onnx_node(graph, "Add", "x", "placed place_vectors", NULL);
    return DT_OK;
}

/* ---- layers ---- */

static void measure_axis(onnx_graph *graph, const char *output, int64_t axis) {
    onnx_attributes a = {0};
    onnx_attribute_int(&a, "start", axis);
    onnx_attribute_int(&a, "end", axis + 1);
    onnx_node(graph, "Shape", output, "input_ids", &a);
}

/* The tokens' index, and which of them each may look at: itself and those before. */
static void describe_index(onnx_graph *graph) {
    const int64_t none = 0, one = 1;
    onnx_constant(graph, "none", &none, 0, 1);
    onnx_constant(graph, "one", &one, 0, 1);
    onnx_constant(graph, "first_axis", &none, 1, 1);
    onnx_constant(graph, "second_axis", &one, 1, 1);
    measure_axis(graph, "texts", 0);
    measure_axis(graph, "tokens", 1);
    onnx_node(graph, "Squeeze", "count", "tokens", NULL);
    onnx_node(graph, "Range", "index", "none count one", NULL);
    onnx_node(graph, "Unsqueeze", "index_before", "index first_axis", NULL);
    onnx_node(graph, "Unsqueeze", "index_of", "index second_axis", NULL);
    onnx_node(graph, "LessOrEqual", "seen", "index_before index_of", NULL);
}

/* "visible" (texts,1,tokens,tokens): which of those each may look at in a window of places. */
static void describe_window(onnx_graph *graph, int64_t window) {
    static const described node[] = {
        {"Unsqueeze", "spot_before", "spots second_axis"},
        {"Unsqueeze", "spot_of", "spots third_axis"},
        {"Abs", "place_before", "spot_before"},
        {"Abs", "place_of", "spot_of"},
        {"Sub", "further", "place_before place_of"},
        {"Abs", "apart", "further"},
        {"LessOrEqual", "is_close", "apart window"},
        {"Greater", "has_place_itself", "place_of none"},
        {"And", "is_near", "is_close has_place_itself"},
        {"Equal", "is_free", "spot_before none"},
        {"LessOrEqual", "is_no_digit", "spot_of none"},
        {"Less", "ends_number", "spot_before none"},
        {"And", "between_numbers", "is_no_digit ends_number"},
        {"Or", "near_or_free", "is_near is_free"},
        {"Or", "in_window", "near_or_free between_numbers"},
        {"And", "seen_there", "seen in_window"},
        {"Unsqueeze", "visible", "seen_there second_axis"},
    };
    const int64_t two = 2;
    onnx_constant(graph, "window", &window, 0, 1);
    onnx_constant(graph, "third_axis", &two, 1, 1);
    for (size_t i = 0; i < sizeof node / sizeof *node; i++)
        onnx_node(graph, node[i].operation, node[i].output, node[i].inputs, NULL);
}

static void attend(onnx_graph *graph, size_t l, const dt_model_shape *shape) {
    const bool rotary = shape->rotary;
    static const int64_t heads_first[] = {0, 2, 1, 3}, keys_last[] = {0, 2, 3, 1};
    onnx_attributes a = {0};
    onnx_attribute_int(&a, "axis", 2);
    onnx_attribute_int(&a, "num_outputs", 3);
    layer_node(graph, l, "Split", "%q %k %v", "%qkv", &a);
    if (rotary) {
        turn(graph, l, 'q');
        turn(graph, l, 'k');
    }
    layer_node(graph, l, "Reshape", "%q_rows", rotary ? "%q_turned into_heads" : "%q into_heads",
               NULL);
    layer_node(graph, l, "Reshape", "%k_rows", rotary ? "%k_turned into_heads" : "%k into_heads",
               NULL);
    layer_node(graph, l, "Reshape", "%v_rows", "%v into_heads", NULL);
    transpose(graph, l, "%q_heads", "%q_rows", heads_first, 4);
    transpose(graph, l, "%k_heads", "%k_rows", keys_last, 4);
    transpose(graph, l, "%v_heads", "%v_rows", heads_first, 4);
    layer_node(graph, l, "MatMul", "%products", "%q_heads %k_heads", NULL);
    layer_node(graph, l, "Mul", "%scores", "%products score_factor", NULL);
    layer_node(graph, l, "Where", "%masked",
               shape->window > 0 ? "visible %scores never" : "seen %scores never", NULL);
    onnx_attribute_int(&a, "axis", -1);
    layer_node(graph, l, "Softmax", "%weights", "%masked", &a);
    layer_node(graph, l, "MatMul", "%attended", "%weights %v_heads", NULL);
    transpose(graph, l, "%attended_rows", "%attended", heads_first, 4);
    layer_node(graph, l, "Reshape", "%attended_all", "%attended_rows out_of_heads", NULL);
}

/* The weight is stored (out,in). */
static void multiply(onnx_graph *graph, size_t l, const char *output, const char *input,
                     const char *name) {
    static const int64_t swapped[] = {1, 0};
    char text[4][ONNX_NAME_MAX];
    snprintf(text[0], sizeof text[0], "%%%s.transposed", name);
    snprintf(text[1], sizeof text[1], "%%%s.weight", name);
    transpose(graph, l, text[0], text[1], swapped, 2);
    snprintf(text[2], sizeof text[2], "%s %%%s.transposed", input, name);
    snprintf(text[1], sizeof text[1], "%%%s.product", name);
    layer_node(graph, l, "MatMul", text[1], text[2], NULL);
    snprintf(text[3], sizeof text[3], "%%%s.product %%%s.bias", name, name);
    layer_node(graph, l, "Add", output, text[3], NULL);
}

static void describe_layer(onnx_graph *graph, size_t l, const dt_model_shape *shape, const char *x,
                           char next[ONNX_NAME_MAX]) {
    char inputs[2 * ONNX_NAME_MAX];
    onnx_attributes a = {0};
    snprintf(inputs, sizeof inputs, "%s %%attn_norm.weight %%attn_norm.bias", x);
    normalise(graph, l, "%attn_normed", inputs);
    multiply(graph, l, "%qkv", "%attn_normed", "attn_qkv");
    attend(graph, l, shape);
    multiply(graph, l, "%attn_branch", "%attended_all", "attn_out");
    snprintf(inputs, sizeof inputs, "%s %%attn_branch", x);
    layer_node(graph, l, "Add", "%middle", inputs, NULL);
    normalise(graph, l, "%mlp_normed", "%middle %mlp_norm.weight %mlp_norm.bias");
    multiply(graph, l, "%hidden", "%mlp_normed", "mlp_in");
    onnx_attribute_text(&a, "approximate", "tanh");
    layer_node(graph, l, "Gelu", "%activated", "%hidden", &a);
    multiply(graph, l, "%mlp_branch", "%activated", "mlp_out");
    layer_node(graph, l, "Add", "%end", "%middle %mlp_branch", NULL);
    snprintf(next, ONNX_NAME_MAX, "layers.%zu.end", l);
}

static dt_status describe(onnx_graph *graph, const dt_checkpoint *c) {
    static const int64_t swapped[] = {1, 0};
    const dt_model_shape *s = &c->shape;
    const int64_t into[] = {0, 0, (int64_t)s->H, (int64_t)(s->C / s->H)};
    const int64_t out_of[] = {0, 0, (int64_t)s->C};
    char x[ONNX_NAME_MAX] = "x", inputs[2 * ONNX_NAME_MAX], logits[ONNX_NAME_MAX];
    describe_index(graph);
    onnx_constant(graph, "into_heads", into, 1, 4);
    onnx_constant(graph, "out_of_heads", out_of, 1, 3);
    onnx_constant_float(graph, "score_factor",
                        (float)(s->sharpness / sqrt((double)s->C / (double)s->H)));
    onnx_constant_float(graph, "never", -INFINITY);
    DT_TRY(embed(graph, c));
    if (s->window > 0) describe_window(graph, s->window);
    for (size_t l = 0; l < s->L; l++) describe_layer(graph, l, s, x, x);
    snprintf(inputs, sizeof inputs, "%s final_norm.weight final_norm.bias", x);
    normalise(graph, 0, "features", inputs);
    transpose(graph, 0, "output.transposed", "tok_embed.weight", swapped, 2);
    onnx_node(graph, "MatMul", "logits", "features output.transposed", NULL);
    onnx_input(graph, "input_ids", ONNX_INT64, "texts tokens");
    snprintf(logits, sizeof logits, "texts tokens %zu", s->V);
    onnx_output(graph, "logits", ONNX_FLOAT, logits);
    DT_TRY(dt_message_text(&graph->fields, GRAPH_NAME, "dtrain"));
    return graph->status;
}

/* ---- the file ---- */

/* The parameters that the graph has, and the family whose values they hold. */
static bool takes(char name[EXPORT_NAME_MAX], export_family *values, const dt_export *to,
                  const dt_parameter *p) {
    *values = to->checkpoint->shape.index_positions ? EXPORT_GGUF : EXPORT_DTRAIN;
    return export_name(name, *values, p) && export_name(name, EXPORT_DTRAIN, p);
}

static dt_status tensor_head(dt_text *head, const dt_export *to, const dt_parameter *p) {
    char name[EXPORT_NAME_MAX];
    export_family values;
    dt_text_clear(head);
    if (!takes(name, &values, to, p)) return DT_OK;
    return onnx_tensor_head(head, name, ONNX_FLOAT, p->extent, p->rank, p->count * sizeof(float));
}

static dt_status put_fact(dt_text *model, const char *key, const char *value) {
    dt_text fact = {0};
    dt_status status;
    DT_TRY_DONE(dt_message_text(&fact, FACT_KEY, key));
    DT_TRY_DONE(dt_message_text(&fact, FACT_VALUE, value));
    status = dt_message_inner(model, MODEL_FACT, &fact);
done:
    dt_text_destroy(&fact);
    return status;
}

static dt_status put_facts(dt_text *model, const dt_export *to) {
    char step[32], *ini = NULL;
    dt_status status;
    snprintf(step, sizeof step, "%" PRId64, to->checkpoint->state.step);
    DT_TRY_DONE(dt_config_format(&ini, &to->checkpoint->config, true));
    DT_TRY_DONE(put_fact(model, "dtrain.settings", ini));
    DT_TRY_DONE(put_fact(model, "dtrain.checkpoint", to->digest));
    status = put_fact(model, "dtrain.step", step);
done:
    dt_memory_free(&ini);
    return status;
}

static dt_status put_head(dt_text *model, const dt_export *to) {
    dt_text import = {0};
    dt_status status;
    DT_TRY_DONE(dt_message_whole(model, MODEL_FORMAT, FORMAT));
    DT_TRY_DONE(dt_message_text(model, MODEL_PRODUCER, "dtrain"));
    DT_TRY_DONE(dt_message_text(model, MODEL_VERSION, DTRAIN_VERSION));
    DT_TRY_DONE(dt_message_whole(&import, IMPORT_VERSION, OPERATIONS));
    DT_TRY_DONE(dt_message_inner(model, MODEL_IMPORT, &import));
    status = put_facts(model, to);
done:
    dt_text_destroy(&import);
    return status;
}

static dt_status write_tensors(FILE *out, const dt_export *to, dt_text *head) {
    const dt_layout *layout = &to->checkpoint->layout;
    float *values;
    dt_status status = DT_OK;
    DT_TRY(export_values_create(&values, layout));
    for (size_t i = 0; i < layout->parameters && status == DT_OK; i++) {
        const dt_parameter *p = &layout->parameter[i];
        char name[EXPORT_NAME_MAX];
        export_family family;
        if (!takes(name, &family, to, p)) continue;
        status = tensor_head(head, to, p);
        export_values(values, family, to->checkpoint, p);
        fwrite(head->bytes, head->length, 1, out);
        fwrite(values, sizeof *values, p->count, out);
    }
    dt_memory_free(&values);
    return status;
}

static dt_status write_onnx(FILE *out, const dt_export *to) {
    const dt_layout *layout = &to->checkpoint->layout;
    onnx_graph graph = {0};
    dt_text model = {0}, head = {0};
    dt_status status;
    DT_TRY_DONE(describe(&graph, to->checkpoint));
    DT_TRY_DONE(put_head(&model, to));
    uint64_t size = graph.fields.length;
    for (size_t i = 0; i < layout->parameters; i++) {
        DT_TRY_DONE(tensor_head(&head, to, &layout->parameter[i]));
        if (head.length) size += head.length + layout->parameter[i].count * sizeof(float);
    }
    DT_TRY_DONE(dt_message_head(&model, MODEL_GRAPH, size));
    fwrite(model.bytes, model.length, 1, out);
    fwrite(graph.fields.bytes, graph.fields.length, 1, out);
    status = write_tensors(out, to, &head);
done:
    dt_text_destroy(&graph.fields);
    dt_text_destroy(&model);
    dt_text_destroy(&head);
    return status;
}

/* ---- the format ---- */

static dt_status check(const dt_export *to) {
    const uint64_t most = UINT64_C(1) << 31, bytes = to->checkpoint->layout.weights * sizeof(float);
    export_vocabulary kind;
    DT_REQUIRE(
        bytes < most - (1 << 24), DT_ERR_ARG,
        "the model has %.1f GB of weights, and an ONNX file holds 2 GB at most; export it as "
        "safetensors or gguf",
        (double)bytes / 1e9);
    return export_vocabulary_find(&kind, to->checkpoint->tokenizer);
}

static const export_part *parts(const dt_export *to) {
    static const export_part list[] = {{"model.onnx", write_onnx},
                                       {EXPORT_TOKENIZER, export_write_tokenizer},
                                       {"tokenizer_config.json", export_write_tokenizer_config},
                                       {NULL, NULL}};
    (void)to;
    return list;
}

const export_format export_to_onnx = {"onnx", check, parts};
