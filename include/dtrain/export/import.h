/* A model of other programs as a checkpoint: the GPT-2 family in safetensors. */
#ifndef DTRAIN_IMPORT_H
#define DTRAIN_IMPORT_H

#include "dtrain/checkpoint/checkpoint.h"

/**
 * Read a model: config.json, the tokenizer, and the tensors; and, where dtrain has exported it,
 * dtrain.ini, the settings of its run.
 *
 * @param[out] checkpoint  of step 0, with moments that are 0; zeroed before; dt_checkpoint_destroy
 * it, also after an error
 * @param path  a folder with model.safetensors, or the file itself
 * @return DT_ERR_NO_INPUT: a file is missing; DT_ERR_DATA: damaged, or a model that dtrain cannot
 * compute: names the part, such as the activation function
 * Collective: no.
 */
dt_status dt_import_read(dt_checkpoint *checkpoint, const char *path);

/* Whether the folder holds an adapter of PEFT: adapter_config.json is there. */
bool dt_import_is_adapter(const char *path);

/**
 * Read an adapter of PEFT: adapter_config.json, adapter_model.safetensors, and dtrain.ini if dtrain
 * has exported it.
 *
 * @param[in,out] checkpoint  the base, read from base_path with its weights; becomes the adapter,
 * of step 0
 * @param out  the folder of the run that it will be in
 * @return DT_ERR_NO_INPUT, DT_ERR_DATA: damaged, of another base, or of a kind that dtrain does not
 * compute
 */
dt_status dt_import_adapter(dt_checkpoint *checkpoint, const char *path, const char *base_path,
                            const char *out);

#endif
