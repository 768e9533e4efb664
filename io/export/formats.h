/* The formats, and the files of which each consists. Private to io/export. */
#ifndef DTRAIN_EXPORT_FORMATS_H
#define DTRAIN_EXPORT_FORMATS_H

#include <stdio.h>

#include "dtrain/export/export.h"
#include "names.h"

/* Names of files that are read as well as written. */
#define EXPORT_TENSORS "model.safetensors"
#define EXPORT_CONFIG "config.json"
#define EXPORT_TOKENIZER "tokenizer.json"
#define EXPORT_SETTINGS "dtrain.ini"
#define EXPORT_ADAPTER_TENSORS "adapter_model.safetensors"
#define EXPORT_ADAPTER_CONFIG "adapter_config.json"

/* One file of a format. What cannot be written to `out` is noticed by who opened it. */
typedef struct {
    const char *name; /* "model.safetensors" */
    dt_status (*write)(FILE *out, const dt_export *to);
} export_part;

typedef struct {
    const char *name; /* "safetensors" */
    /* Whether it can hold this model. DT_ERR_ARG. */
    dt_status (*check)(const dt_export *to);
    /* Its files, in the order in which they are written; one without a name ends them. Those that
     * all formats have, which tell of the model, follow. */
    const export_part *(*parts)(const dt_export *to);
} export_format;

extern const export_format export_to_safetensors, export_to_gguf, export_to_onnx, export_to_adapter;

/* ---- files that several formats have ---- */

/* Tensors as safetensors, and adapters as llama.cpp reads them. */
dt_status export_write_tensors(FILE *out, const dt_export *to);
dt_status export_write_gguf_adapter(FILE *out, const dt_export *to);

dt_status export_write_tokenizer(FILE *out, const dt_export *to);
dt_status export_write_tokenizer_config(FILE *out, const dt_export *to);
dt_status export_write_settings(FILE *out, const dt_export *to);
dt_status export_write_facts(FILE *out, const dt_export *to);
dt_status export_write_card(FILE *out, const dt_export *to);

/* The token that ends a text of this model, or a document of running text; -1: there is none. */
int32_t export_end(const dt_checkpoint *checkpoint);

#endif
