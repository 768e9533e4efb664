/* Running text as windows to learn. */
#ifndef DTRAIN_WINDOWS_H
#define DTRAIN_WINDOWS_H

#include "dtrain/core/config.h"
#include "dtrain/data/split.h"
#include "dtrain/data/tokenizer.h"

/* A running text, cut into windows of tokens. */
typedef struct dt_windows dt_windows;

typedef struct {
    uint64_t bytes, documents;
    uint64_t tokens[DT_SPLITS];
    uint64_t windows[DT_SPLITS];
    uint64_t moved_windows;              /* of DT_TRAIN where epochs move them: one more at most */
    char digest[DT_FILE_DIGEST_MAX + 1]; /* of the text, as kept in train-digest */
} dt_windows_facts;

/**
 * The windows of the text that the settings name. The last --test-share of its bytes is for tests,
 * --validation-share before it for validation, the rest for training; no character is split, unless
 * tokens are bytes.
 *
 * A window has `context` tokens, and begins with the last one of the window before: so every token
 * of a part but its first is predicted in exactly one window. The last window of a part may be
 * shorter.
 *
 * The tokens are computed once, and kept in the folder "tokens" of --out; all ranks read them
 * there.
 *
 * @param tokenizer  NULL: the text's own
 * @param context    tokens of a window, at least 2
 * @param reads      read all of the text to see whether it is what train-digest says; otherwise
 *                   only if its files have been written to
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA naming file, line and byte: not UTF-8, or no token; or
 * another text than that of train-digest
 */
dt_status dt_windows_open(dt_windows **windows, const dt_config *config,
                          const dt_tokenizer *tokenizer, size_t context, bool reads);
void dt_windows_close(dt_windows **windows);
const dt_windows_facts *dt_windows_about(const dt_windows *windows);

/* Close, and delete what opening has made. */
void dt_windows_discard(dt_windows **windows);

/* By how many tokens all windows of this epoch of training are moved towards the beginning; drawn
 * from seed and epoch. The `moved_windows` of them still predict each token but the first exactly
 * once; the first may be shorter, too. */
uint64_t dt_windows_back(const dt_windows *windows, uint64_t seed, uint64_t epoch);

/* Tokens of a window; the parameters are those of dt_windows_read. */
size_t dt_windows_length(const dt_windows *windows, dt_split split, uint64_t back, uint64_t index);

/**
 * The tokens of a window, and the bytes that they stand for; its first token is given.
 *
 * @param back   0, or of dt_windows_back for DT_TRAIN
 * @param index  of the part's windows, in the order of the text
 */
dt_status dt_windows_read(dt_text *text, const dt_windows *windows, dt_split split, uint64_t back,
                          uint64_t index);

/* The vocabulary of the tokens, as a new one. */
dt_status dt_windows_tokenizer(dt_tokenizer **tokenizer, const dt_windows *windows);

#endif
