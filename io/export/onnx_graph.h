/* Builds the graph of an ONNX model: nodes, and constants. Private to io/export. */
#ifndef DTRAIN_EXPORT_ONNX_GRAPH_H
#define DTRAIN_EXPORT_ONNX_GRAPH_H

#include "dtrain/protobuf/message.h"

/* Numbers of onnx.proto. */
typedef enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9 } onnx_type;

enum { ONNX_NAME_MAX = 96 };

/* The fields of a GraphProto as they grow. After an error nothing more is added, so that one look
 * at `status` at the end is enough. */
typedef struct {
    dt_text fields;
    dt_status status;
} onnx_graph;

/* ---- attributes of the next node ---- */

typedef struct {
    dt_text fields;
    dt_status status;
} onnx_attributes;

void onnx_attribute_int(onnx_attributes *attributes, const char *name, int64_t value);
void onnx_attribute_ints(onnx_attributes *attributes, const char *name, const int64_t *value,
                         size_t count);
void onnx_attribute_float(onnx_attributes *attributes, const char *name, float value);
void onnx_attribute_text(onnx_attributes *attributes, const char *name, const char *value);
/* One element, as ConstantOfShape wants it. */
void onnx_attribute_value(onnx_attributes *attributes, const char *name, onnx_type type,
                          int64_t value);
void onnx_attribute_graph(onnx_attributes *attributes, const char *name, const onnx_graph *graph);

/**
 * Add a node.
 *
 * @param inputs, outputs  names with a space between them; "" between two spaces cannot occur
 * @param attributes       taken over: empty afterwards; NULL: none
 */
void onnx_node(onnx_graph *graph, const char *operation, const char *outputs, const char *inputs,
               onnx_attributes *attributes);

/* ---- constants, inputs and outputs ---- */

/* Whole numbers, a scalar if rank is 0. */
void onnx_constant(onnx_graph *graph, const char *name, const int64_t *value, size_t rank,
                   size_t count);
void onnx_constant_float(onnx_graph *graph, const char *name, float value);
void onnx_constant_bools(onnx_graph *graph, const char *name, const unsigned char *value,
                         size_t count);

/* A tensor without its values: what stands before `bytes` of them in a field of a GraphProto.
 * DT_ERR_MEMORY. */
dt_status onnx_tensor_head(dt_text *head, const char *name, onnx_type type, const size_t *extent,
                           size_t rank, uint64_t bytes);

/* dimensions: names, or numbers, with spaces between them; "": a scalar or unknown. */
void onnx_input(onnx_graph *graph, const char *name, onnx_type type, const char *dimensions);
void onnx_output(onnx_graph *graph, const char *name, onnx_type type, const char *dimensions);

#endif
