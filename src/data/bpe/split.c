/* GPT-2's pattern, matched by PCRE2. */
#include "split.h"

#include <pcre2.h>
#include <stdint.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"

/* White_Space of Unicode: PCRE2's own \s has U+180E as well. */
#define SPACE                                                                                      \
    "\\x{9}-\\x{d} "                                                                               \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* Source: GPT-2's encoder.py. */
static const char PATTERN[] = "'s|'t|'re|'ve|'m|'ll|'d"
                              "| ?\\p{L}+"
                              "| ?\\p{N}+"
                              "| ?[^" SPACE "\\p{L}\\p{N}]+"
                              "|[" SPACE "]+(?![^" SPACE "])"
                              "|[" SPACE "]+";

typedef int match_function(const pcre2_code *, PCRE2_SPTR, PCRE2_SIZE, PCRE2_SIZE, uint32_t,
                           pcre2_match_data *, pcre2_match_context *);

struct word_splitter {
    pcre2_code *code;
    pcre2_match_data *match;
    match_function *run;
    uint32_t options;
};

static dt_status raise_pcre2(int error, const char *what) {
    PCRE2_UCHAR text[128] = "";
    pcre2_get_error_message(error, text, sizeof text);
    DT_RAISE(DT_ERR_INTERNAL, "PCRE2 cannot %s: %s", what, (const char *)text);
}

dt_status word_splitter_create(word_splitter **splitter) {
    int error;
    PCRE2_SIZE offset;
    DT_TRY(dt_memory_alloc(splitter, 1, sizeof **splitter, "the splitting of text"));
    word_splitter *made = *splitter;
    made->code = pcre2_compile((PCRE2_SPTR)PATTERN, PCRE2_ZERO_TERMINATED,
                               PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &offset, NULL);
    if (made->code) made->match = pcre2_match_data_create(1, NULL);
    if (!made->match) {
        const bool compiled = made->code != NULL;
        word_splitter_destroy(splitter);
        DT_REQUIRE(!compiled, DT_ERR_MEMORY, "out of memory: the splitting of text");
        return raise_pcre2(error, "compile the pattern that splits text");
    }
    /* Where there is no compiler for the processor, it is interpreted. */
    const bool fast = pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE) == 0;
    made->run = fast ? pcre2_jit_match : pcre2_match;
    made->options = fast ? 0 : PCRE2_NO_UTF_CHECK;
    return DT_OK;
}

void word_splitter_destroy(word_splitter **splitter) {
    if (!*splitter) return;
    pcre2_match_data_free((*splitter)->match);
    pcre2_code_free((*splitter)->code);
    dt_memory_free(splitter);
}

size_t valid_length(const char *text, size_t length) {
    size_t at = 0;
    while (at < length) {
        uint64_t eight;
        if (length - at >= sizeof eight) {
            memcpy(&eight, text + at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        const size_t character = dt_utf8_length(text + at, length - at);
        if (character == 0) break;
        at += character;
    }
    return at;
}

size_t invalid_length(const char *text, size_t length) {
    size_t at = 0;
    while (at < length && dt_utf8_length(text + at, length - at) == 0) at++;
    return at;
}

/* The largest number of bytes up to `most` that ends between two characters. */
static size_t round_down(const char *text, size_t most) {
    while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80) most--;
    return most;
}

dt_status next_word(size_t *word, word_splitter *splitter, const char *text, size_t length,
                    size_t longest) {
    /* More is not looked at, so that a long word does not cost its square. */
    const size_t seen =
        longest + WORD_AHEAD < length ? round_down(text, longest + WORD_AHEAD) : length;
    const int matched = splitter->run(splitter->code, (PCRE2_SPTR)text, seen, 0, splitter->options,
                                      splitter->match, NULL);
    if (matched < 0) return raise_pcre2(matched, "split a text");
    const size_t end = pcre2_get_ovector_pointer(splitter->match)[1];
    *word = end > longest ? round_down(text, longest) : end;
    return DT_OK;
}

/* ---- where a text can be cut ---- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Whether a character that is no space ends before these bytes. */
static bool ends_word(const char *text, size_t at) {
    size_t begin = at - 1;
    while (begin > 0 && at - begin < DT_UTF8_MAX && ((unsigned char)text[begin] & 0xc0) == 0x80)
        begin--;
    const size_t length = dt_utf8_length(text + begin, at - begin);
    return length == at - begin && !dt_utf8_is_space(dt_utf8_code(text + begin, length));
}

size_t last_gap(const char *text, size_t length) {
    for (size_t at = length; at-- > 1;) {
        if (is_space(text[at]) && ends_word(text, at)) return at;
    }
    return 0;
}

/* The end of the last word of a text without gaps. */
static size_t last_end(word_splitter *splitter, const char *text, size_t length, size_t longest) {
    size_t end = 0;
    for (size_t at = 0; at < length;) {
        const size_t valid = valid_length(text + at, length - at);
        for (const size_t stop = at + valid; at < stop;) {
            size_t word = 0;
            if (next_word(&word, splitter, text + at, stop - at, longest) != DT_OK) return end;
            at += word;
            if (at + WORD_AHEAD > length) return end;
            /* Spaces at the end of a text are split in another way, unless they are cut. */
            if (ends_word(text, at) || word + DT_UTF8_MAX > longest) end = at;
        }
        at += dt_min_size(invalid_length(text + at, length - at), longest);
        if (at + WORD_AHEAD > length) return end;
        end = at;
    }
    return end;
}

size_t settled_words(word_splitter *splitter, const char *text, size_t length, size_t longest) {
    const size_t gap = last_gap(text, length);
    return gap > 0 ? gap : last_end(splitter, text, length, longest);
}
