/* The lines of a file as texts to learn: looked through once, then read one by one where they
 * stand, so that the file may be larger than memory. */
#include "dtrain/text/lines.h"

#include <inttypes.h>
#include <string.h>

#include "characters.h"
#include "dtrain/core/line.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/core/utf8.h"
#include "dtrain/core/work.h"
#include "dtrain/data/encoder.h"
#include "file.h"

/* The most that --context may be. */
enum { CONTEXT_MAX = 65536 };

/* What stands before and behind the bytes of a line in its text. */
enum { FRAME = 2 };

/* It is kept where every 16th training line begins. For all of them each rank would need as much
   memory as a sixth of the file; finding one of sixteen takes microseconds. */
static const size_t stride[DT_SPLITS] = {[DT_TRAIN] = 16, [DT_VALIDATION] = 1, [DT_TEST] = 1};

typedef struct {
    uint64_t *offset; /* of lines 0, stride, 2 stride … */
    size_t count, capacity;
} line_index;

struct dt_lines {
    dt_text_file file;
    dt_lines_facts facts;
    line_index index[DT_SPLITS];
    dt_characters characters;
    dt_text first;                 /* the first line */
    const dt_tokenizer *tokenizer; /* NULL: each character is a token */
    dt_encoder *encoder;
    dt_ids ids; /* of one line */
};

/* ---- one line ---- */

/* A line, wherever it stands: duplicates fall into one split. */
static dt_split split_of(const dt_line *line) {
    uint64_t state = line->length;
    uint32_t word[4] = {0};
    for (size_t at = 0; at < line->length; at += 12) {
        unsigned char bytes[12] = {0};
        memcpy(bytes, line->text + at, dt_min_size(sizeof bytes, line->length - at));
        uint64_t low = 0;
        uint32_t high = 0;
        for (size_t i = 8; i-- > 0;) low = low << 8 | bytes[i];
        for (size_t i = 12; i-- > 8;) high = high << 8 | bytes[i];
        dt_random_block(word, state, DT_RANDOM_LINE, high, low);
        state = (uint64_t)word[1] << 32 | word[0];
    }
    switch (((uint64_t)word[2] * 20) >> 32) {
    case 0: return DT_VALIDATION;
    case 1: return DT_TEST;
    default: return DT_TRAIN;
    }
}

/* What a line consists of. */
typedef struct {
    size_t characters, tabs, run; /* run: digits in a row, at most */
    size_t tab;                   /* bytes before the last tab */
    size_t tokens;                /* of its text */
} line_facts;

static line_facts read_characters(dt_characters *characters, const dt_line *line) {
    line_facts facts = {0};
    size_t run = 0;
    for (size_t at = 0; at < line->length;) {
        const char *c = line->text + at;
        const size_t length = dt_utf8_length(c, line->length - at);
        if (*c == '\t') facts.tab = at;
        facts.tabs += *c == '\t';
        run = *c >= '0' && *c <= '9' ? run + 1 : 0;
        facts.run = dt_max_size(facts.run, run);
        dt_characters_add(characters, c, length);
        facts.characters++;
        at += length;
    }
    facts.tokens = facts.characters + FRAME - facts.tabs;
    return facts;
}

static dt_status encode_part(dt_lines *lines, const char *bytes, size_t count) {
    return dt_encoder_feed(lines->encoder, bytes, count, true, &lines->ids);
}

/* The tokens of a text. prompt: what stands before the tab; empty: all of the line is to be
 * produced. */
static dt_status encode(dt_lines *lines, dt_span prompt, dt_span rest) {
    lines->ids.count = 0;
    if (prompt.count) DT_TRY(encode_part(lines, prompt.at, prompt.count));
    DT_TRY(encode_part(lines, prompt.count ? "\t" : "\n", 1));
    DT_TRY(encode_part(lines, rest.at, rest.count));
    return encode_part(lines, "\n", 1);
}

/* Reads a line with the vocabulary that is given. */
static dt_status count_tokens(line_facts *facts, dt_lines *lines, const dt_line *line) {
    const size_t skip = facts->tabs ? facts->tab + 1 : 0;
    const dt_span prompt = {line->text, facts->tabs ? facts->tab : 0};
    const dt_status status =
        encode(lines, prompt, (dt_span){line->text + skip, line->length - skip});
    facts->tokens = lines->ids.count;
    if (status != DT_ERR_DATA) return status;
    if (facts->tabs && dt_tokenizer_reach(lines->tokenizer, "\t", 1) == 0) {
        DT_LINE_RAISE(DT_ERR_DATA, line, facts->tab,
                      "the model's vocabulary has no tab, which stands between prompt and answer: "
                      "begin with a model whose text has one, or with --tokenizer bytes");
    }
    DT_TRY(dt_characters_check(lines->tokenizer, line));
    return status;
}

/* Where the character of a number stands, in bytes. */
static size_t find_character(const dt_line *line, size_t number) {
    size_t at = 0;
    while (number-- > 0 && at < line->length)
        at += dt_utf8_length(line->text + at, line->length - at);
    return at;
}

static dt_status check_tabs(const line_facts *facts, const dt_line *line) {
    if (facts->tabs > 1) {
        DT_LINE_RAISE(DT_ERR_DATA, line, facts->tab,
                      "%zu tabs; one between prompt and answer is the most", facts->tabs);
    }
    if (facts->tabs == 1 && facts->tab == 0)
        DT_LINE_RAISE(DT_ERR_DATA, line, 0, "there is no prompt before the tab");
    if (facts->tabs == 1 && facts->tab + 1 == line->length)
        DT_LINE_RAISE(DT_ERR_DATA, line, line->length, "there is no answer behind the tab");
    return DT_OK;
}

/* Where characters are tokens, the first one too many is shown. */
static dt_status check_length(const line_facts *facts, const dt_line *line, size_t context) {
    const size_t frame = FRAME - facts->tabs, tokens = facts->tokens;
    if (tokens > CONTEXT_MAX) {
        DT_LINE_RAISE(DT_ERR_DATA, line, find_character(line, CONTEXT_MAX - frame),
                      "the line needs %zu tokens, and --context is %d at most; break it up", tokens,
                      CONTEXT_MAX);
    }
    if (context > 0 && tokens > context) {
        DT_LINE_RAISE(DT_ERR_DATA, line,
                      find_character(line, context - dt_min_size(context, frame)),
                      "the line needs %zu tokens, and --context has room for %zu; break it up, or "
                      "train a model with a longer --context",
                      tokens, context);
    }
    return DT_OK;
}

static dt_status append_offset(line_index *index, uint64_t offset) {
    DT_TRY(dt_memory_grow(&index->offset, &index->capacity, index->count + 1, sizeof *index->offset,
                          "where lines begin"));
    index->offset[index->count++] = offset;
    return DT_OK;
}

/* Whether all lines so far are equal. */
static dt_status compare_with_first(dt_lines *lines, const dt_line *line) {
    dt_lines_facts *all = &lines->facts;
    if (all->differ) return DT_OK;
    if (!lines->first.bytes) return dt_text_append(&lines->first, line->text, line->length);
    all->differ = line->length != lines->first.length ||
                  memcmp(line->text, lines->first.bytes, line->length) != 0;
    return DT_OK;
}

static dt_status take_line(dt_lines *lines, const dt_line *line, uint64_t offset, size_t context) {
    dt_lines_facts *all = &lines->facts;
    all->empty += line->length == 0;
    if (line->length == 0) return DT_OK;
    DT_TRY(dt_line_check(line));
    line_facts facts = read_characters(&lines->characters, line);
    DT_TRY(check_tabs(&facts, line));
    if (lines->tokenizer) DT_TRY(count_tokens(&facts, lines, line));
    DT_TRY(check_length(&facts, line, context));
    DT_TRY(compare_with_first(lines, line));
    const dt_split split = split_of(line);
    if (all->lines[split] % stride[split] == 0) DT_TRY(append_offset(&lines->index[split], offset));
    all->lines[split]++;
    all->answers += facts.tabs;
    all->longest = dt_max_size(all->longest, facts.tokens);
    all->places = dt_max_size(all->places, facts.run);
    return DT_OK;
}

/* ---- looking through the file ---- */

static dt_status look_through(dt_lines *lines, char *block, dt_digester *digester, size_t context) {
    const uint64_t size = (uint64_t)lines->file.info.st_size;
    dt_line line = {.name = lines->file.path, .number = 1};
    for (uint64_t offset = 0; offset < size;) {
        size_t got, at = 0, length;
        DT_TRY(dt_text_file_read(&got, block, DT_TEXT_BLOCK, &lines->file, offset));
        DT_REQUIRE(got > 0, DT_ERR_DATA, "%s has become shorter while it was read",
                   lines->file.path);
        if (offset == 0) at = dt_line_mark(block, got);
        const bool last = offset + got >= size;
        while (at < got && dt_line_cut(&line, &length, block + at, got - at, last)) {
            DT_TRY(take_line(lines, &line, offset + at, context));
            at += length;
            line.number++;
        }
        DT_REQUIRE(at > 0, DT_ERR_DATA, "%s:%" PRId64 ": the line has more than %d bytes",
                   lines->file.path, line.number, DT_TEXT_BLOCK);
        dt_digester_add(digester, block, at);
        offset += at;
        DT_TRY(dt_work_tell("reading the lines", offset, size));
    }
    return DT_OK;
}

dt_status dt_lines_open(dt_lines **out, const char *path, size_t context,
                        const dt_tokenizer *tokenizer) {
    dt_lines *lines = NULL;
    char *block = NULL;
    dt_digester *digester = NULL;
    dt_status status;
    *out = NULL;
    DT_TRY_DONE(dt_memory_alloc(&lines, 1, sizeof *lines, "the lines of a file"));
    lines->file.descriptor = -1;
    lines->tokenizer = tokenizer;
    if (tokenizer) DT_TRY_DONE(dt_encoder_create(&lines->encoder, tokenizer));
    DT_TRY_DONE(dt_text_file_open(&lines->file, path, "lines"));
    lines->facts.bytes = (uint64_t)lines->file.info.st_size;
    DT_TRY_DONE(dt_characters_create(&lines->characters));
    DT_TRY_DONE(dt_memory_alloc(&block, DT_TEXT_BLOCK, 1, "a block of a file"));
    DT_TRY_DONE(dt_digester_create(&digester));
    dt_digester_start(digester);
    DT_TRY_DONE(look_through(lines, block, digester, context));
    lines->file.digest = dt_digester_finish(digester);
    DT_REQUIRE_DONE(lines->facts.lines[DT_TRAIN] > 0, DT_ERR_DATA,
                    "%s has no line to train on: of %zu lines%s none falls into the training split",
                    path, lines->facts.lines[DT_VALIDATION] + lines->facts.lines[DT_TEST],
                    lines->facts.differ ? "" : ", all of them equal,");
    lines->facts.places++; /* the token behind has one, too */
    DT_TRY_DONE(dt_text_file_check(&lines->file));
    *out = lines;
    lines = NULL;
done:
    dt_digester_destroy(&digester);
    dt_memory_free(&block);
    dt_lines_close(&lines);
    return status;
}

void dt_lines_close(dt_lines **lines) {
    if (!*lines) return;
    dt_text_file_close(&(*lines)->file);
    for (size_t split = 0; split < DT_SPLITS; split++) {
        dt_memory_free(&(*lines)->index[split].offset);
    }
    dt_text_destroy(&(*lines)->first);
    dt_encoder_destroy(&(*lines)->encoder);
    dt_ids_destroy(&(*lines)->ids);
    dt_characters_destroy(&(*lines)->characters);
    dt_memory_free(lines);
}

const dt_lines_facts *dt_lines_about(const dt_lines *lines) { return &lines->facts; }

dt_status dt_lines_are(const dt_lines *lines, const char *digest) {
    return dt_run_text_is_whole(&lines->file, digest);
}

/* ---- reading one ---- */

/* The line at `offset`, read to text->bytes + 1, and how far the next one is. */
static dt_status read_line(dt_line *line, size_t *length, dt_text *text, const dt_lines *lines,
                           uint64_t offset) {
    enum { USUAL = 4096 };
    *length = 0;
    dt_text_clear(text);
    for (size_t size = USUAL;; size *= 4) {
        size_t got;
        DT_TRY(dt_text_reserve(text, size + FRAME));
        char *block = text->bytes + 1;
        DT_TRY(dt_text_file_read(&got, block, size, &lines->file, offset));
        DT_REQUIRE(got > 0, DT_ERR_DATA, "%s has changed while it was trained on",
                   lines->file.path);
        const bool last = offset + got >= lines->facts.bytes;
        if (dt_line_cut(line, length, block, got, last)) return DT_OK;
        DT_REQUIRE(size <= DT_TEXT_BLOCK, DT_ERR_DATA, "%s has changed while it was trained on",
                   lines->file.path);
    }
}

/* As the model sees the line that stands at text->bytes + 1: "\nplain text\n", where all is to be
 * produced, or "prompt\tanswer\n". */
static void frame_line(dt_text *text, const dt_line *line) {
    const char *tab = memchr(line->text, '\t', line->length);
    text->length = line->length + 1 + (tab == NULL);
    text->prompt_length = tab ? (size_t)(tab - line->text) + 1 : 1;
    text->bytes[0] = '\n';
    if (tab) memmove(text->bytes, line->text, line->length);
    text->bytes[text->length - 1] = '\n';
    text->bytes[text->length] = '\0';
}

/* The tokens of a framed line, which the tokenizer might find otherwise across the tab. */
static dt_status add_tokens(dt_text *text, dt_lines *lines) {
    if (!lines->tokenizer) return DT_OK;
    const size_t given = text->prompt_length;
    const dt_span prompt = {text->bytes, given - 1},
                  rest = {text->bytes + given, text->length - 1 - given};
    DT_TRY(encode(lines, prompt, rest));
    DT_TRY(dt_text_reserve_ids(text, lines->ids.count));
    memcpy(text->id, lines->ids.id, lines->ids.count * sizeof *text->id);
    text->ids = lines->ids.count;
    return DT_OK;
}

dt_status dt_lines_read(dt_text *text, dt_lines *lines, dt_split split, uint64_t index) {
    DT_REQUIRE(index < lines->facts.lines[split], DT_ERR_INTERNAL,
               "%s has %zu lines of the %s split, and none with number %" PRIu64, lines->file.path,
               lines->facts.lines[split], dt_split_name(split), index);
    DT_TRY(dt_text_file_check(&lines->file));
    uint64_t offset = lines->index[split].offset[index / stride[split]];
    for (size_t skip = index % stride[split];;) {
        size_t length;
        dt_line line = {0};
        DT_TRY(read_line(&line, &length, text, lines, offset));
        offset += length;
        if (line.length == 0 || split_of(&line) != split || skip-- > 0) continue;
        frame_line(text, &line);
        return add_tokens(text, lines);
    }
}

/* ---- vocabulary ---- */

dt_status dt_lines_tokenizer(dt_tokenizer **tokenizer, const dt_lines *lines) {
    return dt_characters_tokenizer(tokenizer, &lines->characters, lines->file.path, false);
}
