/* What the parameters of a model are called elsewhere, and their values there. Private to
 * io/export. */
#ifndef DTRAIN_EXPORT_NAMES_H
#define DTRAIN_EXPORT_NAMES_H

#include "dtrain/checkpoint/checkpoint.h"

enum { EXPORT_NAME_MAX = 80 };

typedef enum {
    EXPORT_GPT2,   /* Hugging Face's: linear layers are stored (in, out) */
    EXPORT_GGUF,   /* llama.cpp's */
    EXPORT_DTRAIN, /* modeling_dtrain.py's */
} export_family;

/* The name of a parameter, of an adapter PEFT's; false: the family has no such parameter, or it is
 * frozen. GPT-2 and llama.cpp add the
 * place that all tokens have to the positions. */
bool export_name(char name[EXPORT_NAME_MAX], export_family family, const dt_parameter *parameter);

/* Whether the family stores it as (in, out). */
bool export_is_transposed(export_family family, const dt_parameter *parameter);

/* y (columns,rows) = x (rows,columns) transposed. */
void export_transpose(float *y, const float *x, size_t rows, size_t columns);

/* Room for the values of the largest tensor. */
dt_status export_values_create(float **values, const dt_layout *layout);

/* The values (count) as the family stores them. */
void export_values(float *values, export_family family, const dt_checkpoint *checkpoint,
                   const dt_parameter *parameter);

/* Whether a model is a GPT-2: tokens know their index, and no places; attention is not sharpened.
 */
bool export_is_gpt2(const dt_model_shape *shape);

#endif
