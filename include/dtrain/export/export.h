/* A trained model as files of other programs: Hugging Face transformers, llama.cpp, ONNX Runtime.
 * Formats: io/export/README.md. */
#ifndef DTRAIN_EXPORT_H
#define DTRAIN_EXPORT_H

#include "dtrain/checkpoint/checkpoint.h"

/* How GGUF stores matrices; the order is that of the names in dt_export_quants. */
typedef enum { DT_QUANT_F32, DT_QUANT_Q8_0, DT_QUANT_Q4_0 } dt_quant;
enum { DT_QUANTS = 3 };
extern const char *const dt_export_quants[DT_QUANTS];

/* "safetensors|gguf|onnx|adapter" */
extern const char dt_export_formats[];

typedef struct {
    const dt_checkpoint *checkpoint; /* with weights */
    const char *path, *digest;       /* of its file */
    const char *folder;              /* where the files go */
    const char *format;              /* one of dt_export_formats */
    dt_quant quant;
} dt_export;

/**
 * Whether the model can be exported so.
 *
 * @return DT_ERR_ARG: there is no such format, or it cannot hold this model: the sentence names the
 * settings; DT_ERR_CREATE: one of its files is in the folder already
 */
dt_status dt_export_check(const dt_export *to);

/* Called for each file that has been written. */
typedef void dt_export_written(void *context, const char *path);

/**
 * Write the model, its tokenizer, its settings and what is known of it into the folder, which is
 * there. Each file appears whole.
 *
 * @return as dt_export_check, and DT_ERR_IO
 * Memory: twice the largest tensor. Collective: no.
 */
dt_status dt_export_write(const dt_export *to, dt_export_written *written, void *context);

#endif
