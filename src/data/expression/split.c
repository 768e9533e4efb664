/* Splits lines by what they calculate, twins together. */
#include "split.h"

#include <string.h>

#include "wording.h"

/* Source: Steele et al. 2014, "Fast splittable pseudorandom number generators" (SplitMix64). */
static uint64_t mixed(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t hash_bytes(const char *at, const char *end) {
    uint64_t hash = 0;
    while (at < end) hash = mixed(hash ^ (unsigned char)*at++);
    return hash;
}

/* a + b and b + a are one, a - b and b - a are not. */
static uint64_t combined(char operation, uint64_t a, uint64_t b) {
    const bool commutes = operation == '+' || operation == '*';
    return mixed((commutes ? a + b : a + mixed(b)) ^ (unsigned char)operation);
}

static uint64_t hash_ratio(dt_scan *scan);

static uint64_t hash_operand(dt_scan *scan) {
    dt_value value;
    const char *begin = scan->at;
    if (!dt_scan_take(scan, '(')) {
        if (!dt_scan_value(&value, scan) && !dt_scan_ends(scan)) scan->at++;
        return hash_bytes(begin, scan->at);
    }
    const uint64_t hash = hash_ratio(scan);
    dt_scan_take(scan, ')');
    return hash;
}

static uint64_t hash_product(dt_scan *scan) {
    uint64_t hash = hash_operand(scan);
    while (!dt_scan_ends(scan) && (*scan->at == '*' || *scan->at == '/')) {
        const char operation = *scan->at++;
        hash = combined(operation, hash, hash_operand(scan));
    }
    return hash;
}

static uint64_t hash_sum(dt_scan *scan) {
    uint64_t hash = hash_product(scan);
    while (!dt_scan_ends(scan) && (*scan->at == '+' || *scan->at == '-')) {
        const char operation = *scan->at++;
        hash = combined(operation, hash, hash_product(scan));
    }
    return hash;
}

static uint64_t hash_ratio(dt_scan *scan) {
    const uint64_t hash = hash_sum(scan);
    return dt_scan_take(scan, ':') ? combined(':', hash, hash_sum(scan)) : hash;
}

/* A text that is empty has no bytes to point to. */
static uint64_t hash_text(const dt_text *text, uint64_t if_empty) {
    if (text->length == 0) return if_empty;
    dt_scan scan = {text->bytes, text->bytes + text->length};
    return hash_ratio(&scan);
}

static uint64_t hash_question(dt_scan line) {
    dt_scan expression[2];
    const dt_wording *wording;
    dt_text text = {0};
    dt_pen pen = {.text = &text};
    uint64_t hash = hash_bytes(line.at, line.end);
    if (dt_question_find(&wording, expression, line)) {
        dt_question_write(&pen, wording, expression);
        if (pen.status == DT_OK) hash = hash_text(&text, hash);
    }
    dt_text_destroy(&text);
    return hash;
}

/* Without the marks of the operation that comes next, or what is before the highest digit, which
 * may be a letter. */
static uint64_t hash_without(const char *left_out, dt_scan line) {
    dt_text text = {0};
    dt_pen pen = {.text = &text};
    uint64_t hash = hash_bytes(line.at, line.end);
    while (!dt_scan_ends(&line)) {
        char digit;
        if (dt_scan_letter(&digit, &line)) {
            dt_pen_char(&pen, digit);
            continue;
        }
        if (!strchr(left_out, *line.at)) dt_pen_char(&pen, *line.at);
        line.at++;
    }
    if (pen.status == DT_OK) hash = hash_text(&text, hash);
    dt_text_destroy(&text);
    return hash;
}

uint64_t dt_line_hash(const char *seen, size_t length) {
    const char *end = memchr(seen, '}', length);
    if (!end) end = seen + length - 1;
    dt_scan line = {seen + 1, end};
    switch (seen[0]) {
    case 'Q': return hash_question(line);
    case 'P': return hash_without("[]", line);
    case 'E':
    case 'B':
    case 'S':
    case 'D': return hash_ratio(&line);
    case 'M': /* the first line of a product has no sum yet */
        if (end - line.at > 2 && strchr("^~-", end[-1])) line.end = end - 2;
        return hash_without(",!", line);
    default: return hash_bytes(seen, seen + length);
    }
}

dt_split dt_line_split(const char *seen, size_t length) {
    const uint64_t part = mixed(dt_line_hash(seen, length)) % 20;
    return part == 0 ? DT_VALIDATION : part == 1 ? DT_TEST : DT_TRAIN;
}
