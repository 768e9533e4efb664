/* Reads JSON into a tree (RFC 8259). */
#include "dtrain/core/json_read.h"

#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"

/* No file of dtrain is nested deeper. */
enum { DEPTH_MAX = 32 };

typedef struct {
    dt_json *json;
    const char *text, *at, *name;
    size_t depth;
} reader;

static dt_status refuse(const reader *in, const char *wanted) {
    size_t line = 1, column = 1;
    for (const char *c = in->text; c < in->at; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    DT_RAISE(DT_ERR_DATA, "%s: line %zu, column %zu: %s was expected", in->name, line, column,
             wanted);
}

static void skip_spaces(reader *in) { in->at += strspn(in->at, " \t\r\n"); }

static bool take(reader *in, char c) {
    skip_spaces(in);
    if (*in->at != c) return false;
    in->at++;
    return true;
}

/* The text between two quotes. */
static dt_status read_text(reader *in, const char **text, size_t *length) {
    if (!take(in, '"')) return refuse(in, "a text in quotes");
    *text = in->at;
    while (*in->at && *in->at != '"') in->at += in->at[0] == '\\' && in->at[1] ? 2 : 1;
    *length = (size_t)(in->at - *text);
    return take(in, '"') ? DT_OK : refuse(in, "the end of a text");
}

static dt_status read_number(reader *in, double *number) {
    char *end;
    *number = strtod(in->at, &end);
    const size_t length = strspn(in->at, "+-.0123456789eE");
    if (length == 0 || end != in->at + length) return refuse(in, "a value");
    in->at = end;
    return DT_OK;
}

static bool take_word(reader *in, const char *word) {
    const size_t length = strlen(word);
    if (strncmp(in->at, word, length) != 0) return false;
    in->at += length;
    return true;
}

static dt_status read_value(reader *in, size_t *made);

/* Members of an object, or values of a list, up to `close`. */
static dt_status read_inside(reader *in, size_t parent, bool named, char close) {
    size_t last = 0;
    if (take(in, close)) return DT_OK;
    do {
        const char *key = NULL;
        size_t length = 0, made;
        if (named) {
            DT_TRY(read_text(in, &key, &length));
            if (!take(in, ':')) return refuse(in, "':'");
        }
        DT_TRY(read_value(in, &made));
        in->json->value[made].key = key;
        in->json->value[made].key_length = length;
        if (last) {
            in->json->value[last].next = made;
        } else {
            in->json->value[parent].child = made;
        }
        last = made;
    } while (take(in, ','));
    return take(in, close) ? DT_OK : refuse(in, close == '}' ? "',' or '}'" : "',' or ']'");
}

static dt_status read_value(reader *in, size_t *made) {
    dt_json *json = in->json;
    DT_TRY(dt_memory_grow(&json->value, &json->capacity, json->values + 1, sizeof *json->value,
                          "JSON"));
    *made = json->values++;
    dt_json_value value = {.kind = DT_JSON_IS_NULL};
    const char *text = NULL;
    size_t length = 0;
    skip_spaces(in);
    const char first = *in->at;
    if (first == '"') {
        value.kind = DT_JSON_IS_TEXT;
        DT_TRY(read_text(in, &text, &length));
        value.text = text;
        value.length = length;
    } else if (take_word(in, "true") || take_word(in, "false")) {
        value.kind = DT_JSON_IS_BOOL;
        value.number = first == 't';
    } else if (first == '{' || first == '[') {
        value.kind = first == '{' ? DT_JSON_IS_OBJECT : DT_JSON_IS_LIST;
    } else if (!take_word(in, "null")) {
        value.kind = DT_JSON_IS_NUMBER;
        DT_TRY(read_number(in, &value.number));
    }
    json->value[*made] = value;
    if (value.kind != DT_JSON_IS_OBJECT && value.kind != DT_JSON_IS_LIST) return DT_OK;
    if (++in->depth > DEPTH_MAX) return refuse(in, "less depth");
    in->at++;
    DT_TRY(read_inside(in, *made, first == '{', first == '{' ? '}' : ']'));
    in->depth--;
    return DT_OK;
}

dt_status dt_json_parse(dt_json *json, const char *text, const char *name) {
    *json = (dt_json){0};
    reader in = {json, text, text, name, 0};
    size_t whole;
    DT_TRY(read_value(&in, &whole));
    skip_spaces(&in);
    return *in.at ? refuse(&in, "the end of the file") : DT_OK;
}

void dt_json_destroy(dt_json *json) {
    dt_memory_free(&json->value);
    *json = (dt_json){0};
}

const dt_json_value *dt_json_first(const dt_json *json, const dt_json_value *list) {
    return list && list->child ? &json->value[list->child] : NULL;
}

const dt_json_value *dt_json_next(const dt_json *json, const dt_json_value *value) {
    return value->next ? &json->value[value->next] : NULL;
}

const dt_json_value *dt_json_member(const dt_json *json, const dt_json_value *of, const char *key) {
    if (!of || of->kind != DT_JSON_IS_OBJECT) return NULL;
    for (const dt_json_value *v = dt_json_first(json, of); v; v = dt_json_next(json, v)) {
        if (v->key_length == strlen(key) && memcmp(v->key, key, v->key_length) == 0) return v;
    }
    return NULL;
}

bool dt_json_whole(int64_t *number, const dt_json *json, const dt_json_value *of, const char *key,
                   double end) {
    const dt_json_value *value = dt_json_member(json, of, key);
    if (!value || value->kind != DT_JSON_IS_NUMBER) return false;
    if (!(value->number >= 0 && value->number < end)) return false;
    *number = (int64_t)value->number;
    return (double)*number == value->number;
}

/* ---- texts ---- */

/* The number of four hexadecimal digits; -1: they are none. */
static long hexadecimal(const char *digits, const char *end) {
    char four[5] = "";
    if (end - digits < 4) return -1;
    memcpy(four, digits, 4);
    return strspn(four, "0123456789abcdefABCDEF") == 4 ? strtol(four, NULL, 16) : -1;
}

/* A character as UTF-8; returns its end. */
static char *put_character(char *to, unsigned long code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char FIRST[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(FIRST[more] | code >> 6 * more);
    for (int i = more - 1; i >= 0; i--) *to++ = (char)(0x80 | (code >> 6 * i & 0x3f));
    return to;
}

/* The character of "uXXXX", which may be the first half of a pair; moves on behind it. */
static unsigned long take_character(const char **at, const char *end) {
    enum { UNKNOWN = 0xfffd };
    const long code = hexadecimal(*at + 1, end);
    *at += code < 0 ? 1 : 5;
    if (code <= 0 || (code >= 0xdc00 && code <= 0xdfff)) return UNKNOWN;
    if (code < 0xd800 || code > 0xdbff) return (unsigned long)code;
    const long half =
        end - *at > 2 && (*at)[0] == '\\' && (*at)[1] == 'u' ? hexadecimal(*at + 2, end) : -1;
    if (half < 0xdc00 || half > 0xdfff) return UNKNOWN;
    *at += 6;
    return 0x10000 + (((unsigned long)code - 0xd800) << 10) + ((unsigned long)half - 0xdc00);
}

dt_status dt_json_text(char **text, const dt_json_value *value) {
    static const char ESCAPE[] = "bfnrt", MEANT[] = "\b\f\n\r\t";
    /* What a \u without its digits stands for, U+FFFD, is one byte longer; all else is no longer.
     */
    DT_TRY(dt_memory_alloc(text, value->length + value->length / 2 + 1, 1, "a text of JSON"));
    char *to = *text;
    const char *const end = value->text + value->length;
    for (const char *at = value->text; at < end;) {
        if (*at != '\\' || at + 1 == end) {
            *to++ = *at++;
            continue;
        }
        at++;
        const char *escape = *at ? strchr(ESCAPE, *at) : NULL;
        if (*at == 'u') {
            to = put_character(to, take_character(&at, end));
        } else {
            *to++ = escape ? MEANT[escape - ESCAPE] : *at;
            at++;
        }
    }
    *to = '\0';
    return DT_OK;
}
