/* Distractors: digits of other places before a training text. */
#ifndef DTRAIN_DISTRACT_H
#define DTRAIN_DISTRACT_H

#include "dtrain/core/config.h"
#include "dtrain/data/pack.h"

/* How many training text `position` is to have: 0 … config->distractors, all as likely; a pure
 * function of (seed, position). */
size_t dt_distractors(const dt_config *config, uint64_t position);

/**
 * Let them stand before the last text of a batch, whose places have been moved on already; fewer
 * where a text's share of the batch's tokens, the context, has no room for all of them.
 *
 * Each is a digit of the text, or a letter in one of its numbers, with the position that it has
 * there, and another place: any that digits of such texts may have, but for those of this text and
 * the two beside them. They are not scored. So what is learned tells a place from all others, as
 * longer numbers have them, and not only from the few of the text.
 *
 * Where batch->apart says that a token of the text is moved, those that are like it go along; the
 * text itself is moved afterwards.
 *
 * With distractor_run R they stand in rows of 1 … R. A row goes on with one of the text's numbers:
 * up from the text's last place, or down from its first. Half of the rows that go up and leave room
 * have what ends their number behind them. Where texts have start marks one distractor in eight
 * (rotary: three) is a mark instead, at any place.
 */
void dt_batch_distract(dt_batch *batch, const dt_config *config, const dt_tokenizer *tokenizer,
                       uint64_t position);

#endif
