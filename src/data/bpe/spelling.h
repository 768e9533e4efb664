/* How Hugging Face's files spell bytes as visible characters. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_SPELLING_H
#define DTRAIN_BPE_SPELLING_H

#include <stdbool.h>
#include <stddef.h>

enum { SPELLED_BYTE_MAX = 2 };

/* Appends the character of a byte; returns its bytes. (SPELLED_BYTE_MAX) */
size_t spell_byte(char *at, unsigned char byte);

/* The bytes that a spelled token stands for, without NUL; at most as many as it has itself. false:
 * one of its characters stands for no byte. */
bool spelling_bytes(char *bytes, size_t *length, const char *spelled);

/* The bytes in the order of their characters, which is that of their ids in learned vocabularies.
 */
unsigned char spelling_order(size_t number);

#endif
