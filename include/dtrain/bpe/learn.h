/* Learns a byte-level BPE: counts the words of a text, then merges the most frequent pairs. */
#ifndef DTRAIN_BPE_LEARN_H
#define DTRAIN_BPE_LEARN_H

#include "dtrain/bpe/bpe.h"

/* The least vocabulary: all bytes, and what ends a document. */
enum { DT_BPE_LEAST = 257 };

/* Words and how often they stand in a text. */
typedef struct dt_bpe_words dt_bpe_words;

dt_status dt_bpe_words_create(dt_bpe_words **words);
void dt_bpe_words_destroy(dt_bpe_words **words);
void dt_bpe_words_clear(dt_bpe_words *words);
size_t dt_bpe_words_count(const dt_bpe_words *words); /* different ones */
size_t dt_bpe_words_bytes(const dt_bpe_words *words); /* of these */

/**
 * Count the words of the next bytes of a document, of any number: a word may go on in the next
 * ones. Words of more than 4096 bytes are cut.
 *
 * @param[out] settled  bytes whose words are counted now, of these and of those before
 * @param      last     the document ends with these bytes
 * @param      counts   false: another rank counts them
 */
dt_status dt_bpe_words_take(size_t *settled, dt_bpe_words *words, const char *text, size_t length,
                            bool last, bool counts);

/**
 * Drop the rarest words, of equally rare ones the longest, until there are at most so many words
 * with at most so many bytes in all.
 *
 * @param[out] dropped  how many
 */
dt_status dt_bpe_words_trim(size_t *dropped, dt_bpe_words *words, size_t count, size_t bytes);

/* All words and counts as bytes, for another rank: dt_memory_free. */
dt_status dt_bpe_words_pack(char **packed, size_t *size, const dt_bpe_words *words);

/* Add those that another rank has packed. */
dt_status dt_bpe_words_add(dt_bpe_words *words, const char *packed, size_t size);

/**
 * Merge pairs of tokens, the most frequent first, of equally frequent ones that with the lower ids,
 * until there are so many tokens or no pairs any more. The result depends on the words and their
 * counts alone. Id 0 is DT_BPE_END, then come the bytes.
 *
 * Gives the same as BpeTrainer of Hugging Face's tokenizers for the same words.
 * @param tokens  DT_BPE_LEAST … DT_BPE_TOKENS_MAX
 */
dt_status dt_bpe_learn(dt_bpe **bpe, const dt_bpe_words *words, size_t tokens);

#endif
