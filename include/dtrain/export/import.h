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

#endif
