/* Running text as windows of tokens: looked through once, then read window by window where they
 * stand. */
#include "dtrain/text/windows.h"

#include <inttypes.h>
#include <string.h>

#include "characters.h"
#include "dtrain/core/digest.h"
#include "dtrain/core/line.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "file.h"

/* It is kept where every 16th window begins: for all of them each rank would need as much memory as
   a thirtieth of the file; finding one of sixteen takes microseconds. */
enum { STRIDE = 16 };

/* Of the file: for validation, and as much for tests. */
enum { HELD_OUT = 20 };

/* What is learned, validated on or tested. */
typedef struct {
    uint64_t begin, end; /* bytes */
    uint64_t *offset;    /* of windows 0, STRIDE, 2 STRIDE … */
    size_t count, capacity;
} part;

struct dt_windows {
    dt_text_file file;
    dt_text_tokens unit;
    size_t context;
    dt_windows_facts facts;
    part part[DT_SPLITS];
    dt_characters characters;
};

/* ---- tokens ---- */

static bool begins_character(char byte) { return ((unsigned char)byte & 0xc0) != 0x80; }

/* Bytes of the token at the beginning of `left` bytes; 0: they begin with none. */
static size_t token_length(const dt_windows *windows, const char *at, size_t left) {
    if (*at == '\0') return 0;
    return windows->unit == DT_TOKENS_BYTES ? 1 : dt_utf8_length(at, left);
}

/* Tokens by which a window is behind the one before. */
static uint64_t advance_of(const dt_windows *windows) { return windows->context - 1; }

/* ---- looking through the file ---- */

/* The next place where a character begins. */
static dt_status round_up(uint64_t *offset, const dt_windows *windows) {
    char next[DT_UTF8_MAX];
    size_t got, i = 0;
    if (windows->unit == DT_TOKENS_BYTES) return DT_OK;
    DT_TRY(dt_text_file_read(&got, next, sizeof next, &windows->file, *offset));
    while (i < got && !begins_character(next[i])) i++;
    *offset += i;
    return DT_OK;
}

static dt_status lay_out_parts(dt_windows *windows) {
    const uint64_t size = windows->facts.bytes, held_out = size / HELD_OUT;
    char mark[4];
    size_t got;
    DT_TRY(dt_text_file_read(&got, mark, sizeof mark, &windows->file, 0));
    uint64_t end[DT_SPLITS] = {
        [DT_TRAIN] = size - 2 * held_out, [DT_VALIDATION] = size - held_out, [DT_TEST] = size};
    uint64_t begin = dt_line_mark(mark, got);
    for (size_t split = 0; split < DT_SPLITS; split++) {
        if (end[split] < size) DT_TRY(round_up(&end[split], windows));
        if (end[split] < begin) end[split] = begin;
        windows->part[split].begin = begin;
        windows->part[split].end = begin = end[split];
    }
    return DT_OK;
}

static dt_status append_offset(part *p, uint64_t offset) {
    DT_TRY(dt_memory_grow(&p->offset, &p->capacity, p->count + 1, sizeof *p->offset,
                          "where windows begin"));
    p->offset[p->count++] = offset;
    return DT_OK;
}

/* Where the looking has come to. */
typedef struct {
    uint64_t offset;
    int64_t line;
    uint64_t line_begin;
} reading;

/* The tokens of a block that belong to this part; those whose end is not in it are left. */
static dt_status take_tokens(reading *at, dt_windows *windows, dt_split split, const char *block,
                             size_t size, bool last) {
    part *p = &windows->part[split];
    uint64_t *tokens = &windows->facts.tokens[split];
    const uint64_t step = advance_of(windows) * STRIDE;
    for (size_t i = 0; i < size;) {
        if (!last && size - i < DT_UTF8_MAX) break;
        const size_t length = token_length(windows, block + i, size - i);
        if (length == 0)
            return dt_text_file_raise_byte(
                &windows->file, at->line, at->offset - at->line_begin + 1, (unsigned char)block[i]);
        if (*tokens % step == 0) DT_TRY(append_offset(p, at->offset));
        if (windows->unit == DT_TOKENS_CHARACTERS)
            dt_characters_add(&windows->characters, block + i, length);
        ++*tokens;
        at->offset += length;
        if (block[i] == '\n') {
            at->line++;
            at->line_begin = at->offset;
        }
        i += length;
    }
    return DT_OK;
}

static dt_status look_through(dt_windows *windows, char *block, dt_digester *digester) {
    reading at = {.offset = windows->part[DT_TRAIN].begin, .line = 1};
    size_t mark;
    DT_TRY(dt_text_file_read(&mark, block, (size_t)at.offset, &windows->file, 0));
    dt_digester_add(digester, block, mark);
    for (size_t split = 0; split < DT_SPLITS; split++) {
        const part *p = &windows->part[split];
        while (at.offset < p->end) {
            const size_t wanted =
                p->end - at.offset < DT_TEXT_BLOCK ? (size_t)(p->end - at.offset) : DT_TEXT_BLOCK;
            size_t got;
            DT_TRY(dt_text_file_read(&got, block, wanted, &windows->file, at.offset));
            DT_REQUIRE(got == wanted, DT_ERR_DATA, "%s has become shorter while it was read",
                       windows->file.path);
            const bool last = at.offset + got == p->end;
            const uint64_t begin = at.offset;
            DT_TRY(take_tokens(&at, windows, (dt_split)split, block, got, last));
            dt_digester_add(digester, block, (size_t)(at.offset - begin));
        }
        const uint64_t tokens = windows->facts.tokens[split], advance = advance_of(windows);
        windows->facts.windows[split] = tokens < 2 ? 0 : (tokens - 1 + advance - 1) / advance;
    }
    return DT_OK;
}

dt_status dt_windows_open(dt_windows **out, const char *path, size_t context, dt_text_tokens unit) {
    dt_windows *windows = NULL;
    char *block = NULL;
    dt_digester *digester = NULL;
    dt_status status;
    *out = NULL;
    DT_REQUIRE(context >= 2, DT_ERR_ARG,
               "--context %zu: a window of running text has 2 tokens at least", context);
    DT_TRY_DONE(dt_memory_alloc(&windows, 1, sizeof *windows, "the windows of a text"));
    windows->file.descriptor = -1;
    windows->unit = unit;
    windows->context = context;
    DT_TRY_DONE(dt_text_file_open(&windows->file, path, "windows"));
    windows->facts.bytes = (uint64_t)windows->file.info.st_size;
    DT_TRY_DONE(dt_characters_create(&windows->characters));
    DT_TRY_DONE(dt_memory_alloc(&block, DT_TEXT_BLOCK, 1, "a block of a file"));
    DT_TRY_DONE(lay_out_parts(windows));
    DT_TRY_DONE(dt_digester_create(&digester));
    dt_digester_start(digester);
    DT_TRY_DONE(look_through(windows, block, digester));
    windows->file.digest = dt_digester_finish(digester);
    DT_REQUIRE_DONE(windows->facts.tokens[DT_TRAIN] >= context, DT_ERR_DATA,
                    "%s has %" PRIu64 " tokens to train on, and a window has %zu; give more text, "
                    "or a smaller --context",
                    path, windows->facts.tokens[DT_TRAIN], context);
    DT_TRY_DONE(dt_text_file_check(&windows->file));
    *out = windows;
    windows = NULL;
done:
    dt_digester_destroy(&digester);
    dt_memory_free(&block);
    dt_windows_close(&windows);
    return status;
}

void dt_windows_close(dt_windows **windows) {
    if (!*windows) return;
    dt_text_file_close(&(*windows)->file);
    for (size_t split = 0; split < DT_SPLITS; split++)
        dt_memory_free(&(*windows)->part[split].offset);
    dt_characters_destroy(&(*windows)->characters);
    dt_memory_free(windows);
}

const dt_windows_facts *dt_windows_about(const dt_windows *windows) { return &windows->facts; }

dt_status dt_windows_are(const dt_windows *windows, const char *digest) {
    return dt_run_text_is_whole(&windows->file, digest);
}

/* ---- reading one ---- */

size_t dt_windows_length(const dt_windows *windows, dt_split split, uint64_t index) {
    const uint64_t left = windows->facts.tokens[split] - index * advance_of(windows);
    return left < windows->context ? (size_t)left : windows->context;
}

static dt_status raise_changed(const dt_windows *windows) {
    DT_RAISE(DT_ERR_DATA, "%s has changed while it was trained on", windows->file.path);
}

/* Bytes that the first `tokens` of a block take; *tokens: how many it lacks. */
static size_t bytes_of(uint64_t *tokens, const dt_windows *windows, const char *block,
                       size_t size) {
    size_t i = 0;
    if (windows->unit == DT_TOKENS_BYTES) {
        i = *tokens < size ? (size_t)*tokens : size;
        *tokens -= i;
        return i;
    }
    for (; i < size; i++) {
        if (!begins_character(block[i])) continue;
        if (*tokens == 0) break;
        --*tokens;
    }
    return i;
}

/* From the beginning of a token over so many of them. */
static dt_status skip_tokens(uint64_t *offset, const dt_windows *windows, uint64_t tokens) {
    char block[4096];
    while (tokens > 0) {
        size_t got;
        if (windows->unit == DT_TOKENS_BYTES) {
            *offset += tokens;
            return DT_OK;
        }
        DT_TRY(dt_text_file_read(&got, block, sizeof block, &windows->file, *offset));
        if (got == 0) return raise_changed(windows);
        *offset += bytes_of(&tokens, windows, block, got);
    }
    return round_up(offset, windows); /* of the last token, a part may stand in the next block */
}

dt_status dt_windows_read(dt_text *text, dt_windows *windows, dt_split split, uint64_t index) {
    DT_REQUIRE(index < windows->facts.windows[split], DT_ERR_INTERNAL,
               "%s has %" PRIu64 " windows of the %s split, and none with number %" PRIu64,
               windows->file.path, windows->facts.windows[split], dt_split_name(split), index);
    const part *p = &windows->part[split];
    const size_t length = dt_windows_length(windows, split, index);
    const size_t most = length * (windows->unit == DT_TOKENS_BYTES ? 1 : DT_UTF8_MAX);
    uint64_t offset = p->offset[index / STRIDE], tokens = length;
    size_t got;
    DT_TRY(dt_text_file_check(&windows->file));
    DT_TRY(skip_tokens(&offset, windows, index % STRIDE * advance_of(windows)));
    if (offset >= p->end) return raise_changed(windows);
    dt_text_clear(text);
    DT_TRY(dt_text_reserve(text, most));
    const size_t wanted = p->end - offset < most ? (size_t)(p->end - offset) : most;
    DT_TRY(dt_text_file_read(&got, text->bytes, wanted, &windows->file, offset));
    text->length = bytes_of(&tokens, windows, text->bytes, got);
    if (tokens > 0) return raise_changed(windows);
    text->bytes[text->length] = '\0';
    text->prompt_length = token_length(windows, text->bytes, text->length);
    return text->prompt_length > 0 ? DT_OK : raise_changed(windows);
}

/* ---- vocabulary ---- */

dt_status dt_bytes_tokenizer(dt_tokenizer **tokenizer) {
    char byte[256][2] = {{'\n', '\0'}};
    const char *token[256] = {byte[0]};
    size_t count = 1;
    for (int value = 1; value < 256; value++) {
        if (value == '\n') continue;
        byte[count][0] = (char)value;
        token[count] = byte[count];
        count++;
    }
    return dt_tokenizer_restore(tokenizer, token, count);
}

dt_status dt_windows_tokenizer(dt_tokenizer **tokenizer, const dt_windows *windows) {
    if (windows->unit == DT_TOKENS_BYTES) return dt_bytes_tokenizer(tokenizer);
    return dt_characters_tokenizer(tokenizer, &windows->characters, windows->file.path);
}
