/* Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
#include "onnx_graph.h"

#include <stdlib.h>
#include <string.h>

enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OPERATION = 4, NODE_ATTRIBUTE = 5 };
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_FLOAT = 2,
    ATTRIBUTE_INT = 3,
    ATTRIBUTE_TEXT = 4,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_GRAPH = 6,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20
};
enum { IS_FLOAT = 1, IS_INT = 2, IS_TEXT = 3, IS_TENSOR = 4, IS_GRAPH = 5, IS_INTS = 7 };
enum { TENSOR_DIMENSION = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_BYTES = 9 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { SHAPE_DIMENSION = 1, DIMENSION_NUMBER = 1, DIMENSION_NAME = 2 };

/* Keep the first error. */
static void keep(dt_status *status, dt_status other) {
    if (*status == DT_OK) *status = other;
}

/* ---- attributes ---- */

/* Adds an attribute whose value is in `value`, with its name and type; empties it. */
static void finish_attribute(onnx_attributes *attributes, dt_text *value, const char *name,
                             int64_t type, dt_status status) {
    if (status == DT_OK) status = dt_message_text(value, ATTRIBUTE_NAME, name);
    if (status == DT_OK) status = dt_message_whole(value, ATTRIBUTE_TYPE, type);
    if (status == DT_OK) status = dt_message_inner(&attributes->fields, NODE_ATTRIBUTE, value);
    keep(&attributes->status, status);
    dt_text_destroy(value);
}

void onnx_attribute_int(onnx_attributes *attributes, const char *name, int64_t number) {
    dt_text value = {0};
    const dt_status status = dt_message_whole(&value, ATTRIBUTE_INT, number);
    finish_attribute(attributes, &value, name, IS_INT, status);
}

void onnx_attribute_ints(onnx_attributes *attributes, const char *name, const int64_t *number,
                         size_t count) {
    dt_text value = {0};
    dt_status status = DT_OK;
    for (size_t i = 0; i < count; i++)
        keep(&status, dt_message_whole(&value, ATTRIBUTE_INTS, number[i]));
    finish_attribute(attributes, &value, name, IS_INTS, status);
}

void onnx_attribute_float(onnx_attributes *attributes, const char *name, float number) {
    dt_text value = {0};
    const dt_status status = dt_message_float(&value, ATTRIBUTE_FLOAT, number);
    finish_attribute(attributes, &value, name, IS_FLOAT, status);
}

void onnx_attribute_text(onnx_attributes *attributes, const char *name, const char *text) {
    dt_text value = {0};
    const dt_status status = dt_message_text(&value, ATTRIBUTE_TEXT, text);
    finish_attribute(attributes, &value, name, IS_TEXT, status);
}

void onnx_attribute_value(onnx_attributes *attributes, const char *name, onnx_type type,
                          int64_t number) {
    dt_text tensor = {0}, value = {0};
    dt_status status = dt_message_whole(&tensor, TENSOR_DIMENSION, 1);
    keep(&status, dt_message_whole(&tensor, TENSOR_TYPE, type));
    keep(&status,
         dt_message_bytes(&tensor, TENSOR_BYTES, &number, type == ONNX_BOOL ? 1 : sizeof number));
    keep(&status, dt_message_inner(&value, ATTRIBUTE_TENSOR, &tensor));
    dt_text_destroy(&tensor);
    finish_attribute(attributes, &value, name, IS_TENSOR, status);
}

void onnx_attribute_graph(onnx_attributes *attributes, const char *name, const onnx_graph *graph) {
    dt_text value = {0};
    dt_status status = graph->status;
    keep(&status, dt_message_inner(&value, ATTRIBUTE_GRAPH, &graph->fields));
    finish_attribute(attributes, &value, name, IS_GRAPH, status);
}

/* ---- nodes ---- */

/* Calls for each of the words in a text. */
static dt_status add_words(dt_text *node, unsigned field, const char *words) {
    while (*words) {
        const size_t length = strcspn(words, " ");
        DT_TRY(dt_message_bytes(node, field, words, length));
        words += length + (words[length] == ' ');
    }
    return DT_OK;
}

void onnx_node(onnx_graph *graph, const char *operation, const char *outputs, const char *inputs,
               onnx_attributes *attributes) {
    dt_text node = {0};
    dt_status status = add_words(&node, NODE_INPUT, inputs);
    keep(&status, add_words(&node, NODE_OUTPUT, outputs));
    keep(&status, dt_message_bytes(&node, NODE_NAME, outputs, strcspn(outputs, " ")));
    keep(&status, dt_message_text(&node, NODE_OPERATION, operation));
    if (attributes) {
        keep(&status, attributes->status);
        keep(&status,
             dt_text_append(&node, attributes->fields.length ? attributes->fields.bytes : "",
                            attributes->fields.length));
        dt_text_destroy(&attributes->fields);
        attributes->status = DT_OK;
    }
    keep(&status, dt_message_inner(&graph->fields, GRAPH_NODE, &node));
    keep(&graph->status, status);
    dt_text_destroy(&node);
}

/* ---- constants, inputs and outputs ---- */

static dt_status describe_tensor(dt_text *tensor, const char *name, onnx_type type,
                                 const size_t *extent, size_t rank) {
    for (size_t i = 0; i < rank; i++)
        DT_TRY(dt_message_whole(tensor, TENSOR_DIMENSION, (int64_t)extent[i]));
    DT_TRY(dt_message_whole(tensor, TENSOR_TYPE, type));
    return dt_message_text(tensor, TENSOR_NAME, name);
}

static void add_constant(onnx_graph *graph, const char *name, onnx_type type, const size_t *extent,
                         size_t rank, const void *bytes, size_t count) {
    dt_text tensor = {0};
    dt_status status = describe_tensor(&tensor, name, type, extent, rank);
    keep(&status, dt_message_bytes(&tensor, TENSOR_BYTES, bytes, count));
    keep(&status, dt_message_inner(&graph->fields, GRAPH_INITIALIZER, &tensor));
    keep(&graph->status, status);
    dt_text_destroy(&tensor);
}

void onnx_constant(onnx_graph *graph, const char *name, const int64_t *value, size_t rank,
                   size_t count) {
    add_constant(graph, name, ONNX_INT64, &count, rank, value, count * sizeof *value);
}

void onnx_constant_float(onnx_graph *graph, const char *name, float value) {
    add_constant(graph, name, ONNX_FLOAT, NULL, 0, &value, sizeof value);
}

void onnx_constant_bools(onnx_graph *graph, const char *name, const unsigned char *value,
                         size_t count) {
    add_constant(graph, name, ONNX_BOOL, &count, 1, value, count);
}

dt_status onnx_tensor_head(dt_text *head, const char *name, onnx_type type, const size_t *extent,
                           size_t rank, uint64_t bytes) {
    dt_text tensor = {0};
    dt_status status = describe_tensor(&tensor, name, type, extent, rank);
    keep(&status, dt_message_head(&tensor, TENSOR_BYTES, bytes));
    keep(&status, dt_message_head(head, GRAPH_INITIALIZER, tensor.length + bytes));
    if (status == DT_OK) status = dt_text_append(head, tensor.bytes, tensor.length);
    dt_text_destroy(&tensor);
    return status;
}

static dt_status add_dimensions(dt_text *shape, const char *dimensions) {
    dt_status status = DT_OK;
    while (*dimensions && status == DT_OK) {
        const size_t length = strcspn(dimensions, " ");
        dt_text dimension = {0};
        char *end;
        const long long number = strtoll(dimensions, &end, 10);
        status = end == dimensions + length
                     ? dt_message_whole(&dimension, DIMENSION_NUMBER, number)
                     : dt_message_bytes(&dimension, DIMENSION_NAME, dimensions, length);
        keep(&status, dt_message_inner(shape, SHAPE_DIMENSION, &dimension));
        dt_text_destroy(&dimension);
        dimensions += length + (dimensions[length] == ' ');
    }
    return status;
}

static void add_value(onnx_graph *graph, unsigned field, const char *name, onnx_type type,
                      const char *dimensions) {
    dt_text shape = {0}, tensor = {0}, kind = {0}, value = {0};
    dt_status status = dt_text_reserve(&shape, 0);
    keep(&status, add_dimensions(&shape, dimensions));
    keep(&status, dt_message_whole(&tensor, TENSOR_ELEMENT, type));
    keep(&status, dt_message_inner(&tensor, TENSOR_SHAPE, &shape));
    keep(&status, dt_message_inner(&kind, TYPE_TENSOR, &tensor));
    keep(&status, dt_message_text(&value, VALUE_NAME, name));
    keep(&status, dt_message_inner(&value, VALUE_TYPE, &kind));
    keep(&status, dt_message_inner(&graph->fields, field, &value));
    keep(&graph->status, status);
    dt_text_destroy(&shape);
    dt_text_destroy(&tensor);
    dt_text_destroy(&kind);
    dt_text_destroy(&value);
}

void onnx_input(onnx_graph *graph, const char *name, onnx_type type, const char *dimensions) {
    add_value(graph, GRAPH_INPUT, name, type, dimensions);
}

void onnx_output(onnx_graph *graph, const char *name, onnx_type type, const char *dimensions) {
    add_value(graph, GRAPH_OUTPUT, name, type, dimensions);
}
