/* Learns a byte-level BPE from a running text. Private to src/data/text. */
#ifndef DTRAIN_TEXT_LEARN_H
#define DTRAIN_TEXT_LEARN_H

#include "documents.h"
#include "dtrain/data/counters.h"
#include "dtrain/data/tokenizer.h"

/**
 * Count the words of a text, and merge pairs until there are so many tokens. The result depends on
 * the text alone, not on how many ranks count.
 *
 * Memory: 8 MiB of text are counted at a time. Each time there are more than 2^22 different words
 * in all, or 2^26 bytes of them, three quarters of that are kept, the most frequent, and of equally
 * frequent ones the shortest. Merging them takes up to 2 GB, usually a tenth of it.
 *
 * @param[out] tokenizer  on rank 0; NULL on the others
 * @param      training   of what is trained on alone; false: of all
 */
dt_status dt_learn_text(dt_tokenizer **tokenizer, dt_documents *documents, size_t tokens,
                        bool training, const dt_counters *counters);

#endif
