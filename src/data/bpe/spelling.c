/* Bytes as characters: those of Latin-1 that one can see are themselves, the others follow from
 * U+0100 on. Source: GPT-2's encoder.py, bytes_to_unicode. */
#include "spelling.h"

#include <stdint.h>

#include "dtrain/core/utf8.h"

enum { BYTES = 256, HIDDEN_FROM = 0x100 };

static bool is_visible(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

unsigned char spelling_order(size_t number) {
    for (int hidden = 0; hidden < 2; hidden++) {
        for (unsigned byte = 0; byte < BYTES; byte++) {
            if (is_visible(byte) == hidden) continue;
            if (number-- == 0) return (unsigned char)byte;
        }
    }
    return 0;
}

static uint32_t code_of(unsigned byte) {
    if (is_visible(byte)) return byte;
    uint32_t code = HIDDEN_FROM;
    for (unsigned before = 0; before < byte; before++) code += !is_visible(before);
    return code;
}

size_t spell_byte(char *at, unsigned char byte) {
    const uint32_t code = code_of(byte);
    if (code < 0x80) {
        at[0] = (char)code;
        return 1;
    }
    at[0] = (char)(0xc0 | code >> 6);
    at[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

/* The byte of a character; -1: it stands for none. */
static int byte_of(uint32_t code) {
    if (code < HIDDEN_FROM) return is_visible(code) ? (int)code : -1;
    uint32_t hidden = HIDDEN_FROM;
    for (unsigned byte = 0; byte < BYTES; byte++) {
        if (!is_visible(byte) && hidden++ == code) return (int)byte;
    }
    return -1;
}

bool spelling_bytes(char *bytes, size_t *length, const char *spelled) {
    size_t used = 0;
    for (const char *at = spelled; *at;) {
        const size_t size = dt_utf8_length(at, DT_UTF8_MAX);
        const int byte = size ? byte_of(dt_utf8_code(at, size)) : -1;
        if (byte < 0) return false;
        bytes[used++] = (char)byte;
        at += size;
    }
    *length = used;
    return true;
}
