/* The file of a run that learns lines of text instead of arithmetic. */
#ifndef DTRAIN_OWN_TEXT_H
#define DTRAIN_OWN_TEXT_H

#include "dtrain/data/data.h"

/**
 * Open --train-file; *lines stays NULL if there is none.
 *
 * @return DT_ERR_DATA if it does not hold what --train-digest says, and as dt_lines_open
 * Collective: no; every rank opens its own.
 */
dt_status dt_own_text_open(dt_lines **lines, const dt_config *config);

/**
 * What the file decides where the settings leave it open: digest, context, places, how many lines
 * to train on, and what the best model is chosen by. Later starts are held to it.
 *
 * @return DT_ERR_ARG for settings that do not fit the file, or speak of one that is not given; as
 * dt_own_text_open
 */
dt_status dt_own_text_settle(dt_config *config);

/* The vocabulary of the file, or else of the format. */
dt_status dt_own_text_tokenizer(dt_tokenizer **tokenizer, const dt_config *config,
                                const dt_lines *lines);

/* How much there is to learn, for people. */
void dt_own_text_announce(const dt_config *config, const dt_lines *lines);

#endif
