/* JSON through cJSON, which takes more than it should: what it would change without a word is
 * refused before. */
#include "json.h"

#include <math.h>
#include <string.h>

#include "dtrain/core/utf8.h"

/* Whether the text has \u0000, which cJSON takes for the end of a string. */
static bool has_escaped_zero(const char *text, size_t size) {
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] != '\\') continue;
        if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) return true;
        i++; /* an escaped backslash */
    }
    return false;
}

static dt_status check_text(const char *text, size_t size, const char *name) {
    for (size_t at = 0, length; at < size; at += length) {
        length = text[at] ? dt_utf8_length(text + at, size - at) : 0;
        DT_REQUIRE(length > 0, DT_ERR_DATA, "%s: byte %zu (0x%02x) is no text in UTF-8", name,
                   at + 1, (unsigned)(unsigned char)text[at]);
    }
    DT_REQUIRE(!has_escaped_zero(text, size), DT_ERR_DATA,
               "%s: a string has \\u0000, which dtrain cannot keep", name);
    return DT_OK;
}

static size_t line_of(const char *text, const char *at) {
    size_t line = 1;
    for (; text < at; text++) line += *text == '\n';
    return line;
}

dt_status bpe_json_parse(cJSON **root, const char *text, size_t size, const char *name) {
    *root = NULL;
    DT_TRY(check_text(text, size, name));
    const char *end = text;
    *root = cJSON_ParseWithLengthOpts(text, size, &end, 0);
    DT_REQUIRE(*root, DT_ERR_DATA, "%s: line %zu is no JSON, or nested more than %d deep", name,
               line_of(text, end), CJSON_NESTING_LIMIT);
    while (end < text + size && strchr(" \t\r\n", *end)) end++;
    if (end == text + size) return DT_OK;
    cJSON_Delete(*root);
    *root = NULL;
    DT_RAISE(DT_ERR_DATA, "%s: line %zu follows the end of the JSON", name, line_of(text, end));
}

dt_status bpe_json_member(const cJSON **member, const cJSON *object, const char *key,
                          const char *name) {
    *member = NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        if (!item->string || strcmp(item->string, key) != 0) continue;
        DT_REQUIRE(!*member, DT_ERR_DATA, "%s: \"%s\" stands twice in one object", name, key);
        *member = item;
    }
    if (cJSON_IsNull(*member)) *member = NULL;
    return DT_OK;
}

const char *bpe_json_text(const cJSON *item) {
    return cJSON_IsString(item) ? item->valuestring : "";
}

bool bpe_json_is_count(const cJSON *item, double most) {
    if (!cJSON_IsNumber(item)) return false;
    const double value = item->valuedouble;
    return value >= 0 && value <= most && floor(value) == value;
}
