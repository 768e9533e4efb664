/* Running text as windows to learn. */
#ifndef DTRAIN_WINDOWS_H
#define DTRAIN_WINDOWS_H

#include "dtrain/data/split.h"
#include "dtrain/data/tokenizer.h"

/* What a token of running text is. */
typedef enum { DT_TOKENS_CHARACTERS, DT_TOKENS_BYTES } dt_text_tokens;

/* A file of running text, cut into windows. */
typedef struct dt_windows dt_windows;

typedef struct {
    uint64_t bytes;
    uint64_t tokens[DT_SPLITS];
    uint64_t windows[DT_SPLITS];
} dt_windows_facts;

/**
 * Look through a file once. The last twentieth of its bytes is for tests, the one before for
 * validation, the rest for training; no character is split.
 *
 * A window has `context` tokens, and begins with the last one of the window before: so every token
 * of a part but its first is predicted in exactly one window. The last window of a part may be
 * shorter.
 *
 * Each rank does so for itself: it keeps where every 16th window begins, and then reads windows
 * where they stand, so that the file may be larger than memory.
 *
 * @param context  tokens of a window, at least 2
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA naming file, line and byte: not UTF-8, or a byte 0; or not
 * enough to train on
 */
dt_status dt_windows_open(dt_windows **windows, const char *path, size_t context,
                          dt_text_tokens tokens);
void dt_windows_close(dt_windows **windows);
const dt_windows_facts *dt_windows_about(const dt_windows *windows);

/* Whether a digest (dt_file_digest) is of what was opened: DT_ERR_DATA if it is not. */
dt_status dt_windows_are(const dt_windows *windows, const char *digest);

/* Tokens of a window. */
size_t dt_windows_length(const dt_windows *windows, dt_split split, uint64_t index);

/**
 * A window as it stands in the text; its first token is given. DT_ERR_DATA if the file does not
 * hold any more what was looked through: all of it is read again where its time is another one.
 *
 * @param index  of the part's windows, in the order of the text
 */
dt_status dt_windows_read(dt_text *text, dt_windows *windows, dt_split split, uint64_t index);

/* Every character of the file is a token, by code point; or every byte but 0. Id 0 is "\n". */
dt_status dt_windows_tokenizer(dt_tokenizer **tokenizer, const dt_windows *windows);

/* The vocabulary of bytes, without a file. */
dt_status dt_bytes_tokenizer(dt_tokenizer **tokenizer);

#endif
