/* Reads Hugging Face's files of byte-level BPEs, and refuses what dtrain would encode in another
 * way. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/bpe/file.h"
#include "dtrain/core/memory.h"
#include "json.h"
#include "names.h"

/* What has been read of a BPE. Strings belong to the JSON. */
typedef struct {
    const char *name; /* of the file */
    const char **token;
    size_t tokens; /* ids up to the highest one that was met, at most capacity */
    size_t capacity;
    dt_bpe_merge *merge;
    size_t merges, merge_capacity;
    dt_bpe_added *added;
    size_t added_count, added_capacity;
    name_table names;
} reading;

static void destroy_reading(reading *r) {
    dt_memory_free(&r->token);
    dt_memory_free(&r->merge);
    dt_memory_free(&r->added);
    name_destroy(&r->names);
}

/* ---- what dtrain does ---- */

static const char *kind_of(const cJSON *item) {
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "type");
    return cJSON_IsString(type) ? type->valuestring : "?";
}

/* A part of the pipeline that must not be there, or be the one that dtrain does. */
static dt_status check_part(const cJSON *root, const char *part, const char *known,
                            const char *name) {
    const cJSON *item;
    DT_TRY(bpe_json_member(&item, root, part, name));
    DT_REQUIRE(!item || (known && strcmp(kind_of(item), known) == 0), DT_ERR_DATA,
               "%s: its %s is \"%s\", which dtrain does not do; it reads byte-level BPEs as "
               "GPT-2's, with %s",
               name, part, kind_of(item), known ? known : "none");
    return DT_OK;
}

static dt_status check_splitting(const cJSON *root, const char *name) {
    const cJSON *item, *prefix, *pattern;
    DT_TRY(check_part(root, "pre_tokenizer", "ByteLevel", name));
    DT_TRY(bpe_json_member(&item, root, "pre_tokenizer", name));
    DT_REQUIRE(item, DT_ERR_DATA,
               "%s: it has no pre_tokenizer; dtrain reads byte-level BPEs as GPT-2's, with "
               "ByteLevel",
               name);
    DT_TRY(bpe_json_member(&prefix, item, "add_prefix_space", name));
    DT_REQUIRE(cJSON_IsFalse(prefix), DT_ERR_DATA,
               "%s: its pre_tokenizer puts a space before each text (add_prefix_space), and "
               "dtrain gives texts back as they were",
               name);
    DT_TRY(bpe_json_member(&pattern, item, "use_regex", name));
    DT_REQUIRE(!pattern || cJSON_IsTrue(pattern), DT_ERR_DATA,
               "%s: its pre_tokenizer does not split text (use_regex), and dtrain does, as GPT-2",
               name);
    return DT_OK;
}

/* A setting of the model that must be absent, or nothing. */
static dt_status check_plain(const cJSON *model, const char *setting, const char *name) {
    const cJSON *item;
    DT_TRY(bpe_json_member(&item, model, setting, name));
    const bool nothing = !item || cJSON_IsFalse(item) ||
                         (cJSON_IsNumber(item) && item->valuedouble == 0) ||
                         (cJSON_IsString(item) && !*item->valuestring);
    DT_REQUIRE(nothing, DT_ERR_DATA, "%s: its model has a %s, which dtrain does not do", name,
               setting);
    return DT_OK;
}

static dt_status check_model(const cJSON *model, const char *name) {
    static const char *const setting[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix", "ignore_merges"};
    const cJSON *type;
    DT_REQUIRE(cJSON_IsObject(model), DT_ERR_DATA, "%s: its model is no object", name);
    DT_TRY(bpe_json_member(&type, model, "type", name));
    DT_REQUIRE(!type || strcmp(bpe_json_text(type), "BPE") == 0, DT_ERR_DATA,
               "%s: its model is \"%s\", and dtrain reads BPE", name, bpe_json_text(type));
    for (size_t i = 0; i < sizeof setting / sizeof *setting; i++)
        DT_TRY(check_plain(model, setting[i], name));
    return DT_OK;
}

static dt_status check_pipeline(const cJSON *root, const char *name) {
    DT_TRY(check_part(root, "normalizer", NULL, name));
    DT_TRY(check_splitting(root, name));
    DT_TRY(check_part(root, "post_processor", "ByteLevel", name));
    return check_part(root, "decoder", "ByteLevel", name);
}

/* ---- tokens ---- */

static dt_status set_token(reading *r, const cJSON *id, const char *token) {
    DT_REQUIRE(bpe_json_is_count(id, DT_BPE_TOKENS_MAX - 1), DT_ERR_DATA,
               "%s: the id of \"%.60s\" is no whole number from 0 to %d", r->name, token,
               DT_BPE_TOKENS_MAX - 1);
    const size_t at = (size_t)id->valuedouble;
    DT_REQUIRE(at < r->capacity, DT_ERR_DATA,
               "%s: \"%.60s\" has the id %zu, and there are only %zu tokens: some ids below it "
               "have none",
               r->name, token, at, r->capacity);
    DT_REQUIRE(!r->token[at] || strcmp(r->token[at], token) == 0, DT_ERR_DATA,
               "%s: \"%.60s\" and \"%.60s\" both have the id %zu", r->name, r->token[at], token,
               at);
    r->token[at] = token;
    r->tokens = dt_max_size(r->tokens, at + 1);
    return DT_OK;
}

static dt_status read_vocabulary(reading *r, const cJSON *vocabulary, size_t more) {
    DT_REQUIRE(cJSON_IsObject(vocabulary), DT_ERR_DATA, "%s: its vocab is no object", r->name);
    const cJSON *item;
    size_t count = 0;
    cJSON_ArrayForEach(item, vocabulary) count++;
    r->capacity = count + more;
    DT_REQUIRE(count > 0 && r->capacity <= DT_BPE_TOKENS_MAX, DT_ERR_DATA,
               "%s: %zu tokens, where 1 to %d make sense", r->name, r->capacity, DT_BPE_TOKENS_MAX);
    DT_TRY(dt_memory_alloc(&r->token, r->capacity, sizeof *r->token, "tokens"));
    cJSON_ArrayForEach(item, vocabulary) DT_TRY(set_token(r, item, item->string));
    return DT_OK;
}

/* No id without a token, and a table of their names. */
static dt_status name_tokens(reading *r) {
    r->names.name = r->token;
    for (size_t i = 0; i < r->tokens; i++) {
        int32_t twice;
        DT_REQUIRE(r->token[i], DT_ERR_DATA,
                   "%s: no token has the id %zu, and others have higher ones", r->name, i);
        DT_TRY(name_add(&twice, &r->names, (int32_t)i));
        DT_REQUIRE(twice < 0, DT_ERR_DATA, "%s: \"%.60s\" has the ids %" PRId32 " and %zu", r->name,
                   r->token[i], twice, i);
    }
    return DT_OK;
}

static int compare_added(const void *x, const void *y) {
    const dt_bpe_added *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static dt_status append_added(reading *r, dt_bpe_added added) {
    DT_TRY(dt_memory_grow(&r->added, &r->added_capacity, r->added_count + 1, sizeof *r->added,
                          "added tokens"));
    r->added[r->added_count++] = added;
    return DT_OK;
}

static dt_status read_added_token(reading *r, const cJSON *item) {
    static const char *const flag[] = {"single_word", "lstrip", "rstrip"};
    const cJSON *id, *content, *special, *normalized, *value;
    DT_TRY(bpe_json_member(&id, item, "id", r->name));
    DT_TRY(bpe_json_member(&content, item, "content", r->name));
    DT_TRY(bpe_json_member(&special, item, "special", r->name));
    DT_TRY(bpe_json_member(&normalized, item, "normalized", r->name));
    const char *text = bpe_json_text(content);
    DT_REQUIRE(*text, DT_ERR_DATA, "%s: an added token has no content", r->name);
    for (size_t i = 0; i < sizeof flag / sizeof *flag; i++) {
        DT_TRY(bpe_json_member(&value, item, flag[i], r->name));
        DT_REQUIRE(!cJSON_IsTrue(value), DT_ERR_DATA,
                   "%s: the added token \"%.60s\" is %s, which dtrain does not do", r->name, text,
                   flag[i]);
    }
    DT_TRY(set_token(r, id, text));
    const bool is_special = cJSON_IsTrue(special);
    const dt_bpe_added added = {.id = (int32_t)id->valuedouble,
                                .special = is_special,
                                .normalized = normalized ? cJSON_IsTrue(normalized) : !is_special};
    return append_added(r, added);
}

static dt_status read_added(reading *r, const cJSON *list) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) DT_TRY(read_added_token(r, item));
    if (r->added_count > 0) qsort(r->added, r->added_count, sizeof *r->added, compare_added);
    return DT_OK;
}

/* ---- merges ---- */

static dt_status find_part(int32_t *id, const reading *r, const char *part, size_t length) {
    *id = name_find(&r->names, part, length);
    DT_REQUIRE(*id >= 0, DT_ERR_DATA, "%s: merge %zu is of \"%.*s\", which is no token", r->name,
               r->merges, (int)dt_min_size(length, 60), part);
    return DT_OK;
}

static dt_status append_merge(reading *r, const char *left, size_t left_length, const char *right,
                              size_t right_length) {
    dt_bpe_merge merge;
    DT_TRY(find_part(&merge.left, r, left, left_length));
    DT_TRY(find_part(&merge.right, r, right, right_length));
    DT_TRY(
        dt_memory_grow(&r->merge, &r->merge_capacity, r->merges + 1, sizeof *r->merge, "merges"));
    r->merge[r->merges++] = merge;
    return DT_OK;
}

/* "LEFT RIGHT" */
static dt_status take_merge(reading *r, const char *line, size_t length) {
    const char *space = memchr(line, ' ', length);
    const size_t left = space ? (size_t)(space - line) : length;
    DT_REQUIRE(space && left > 0 && left + 1 < length && !memchr(space + 1, ' ', length - left - 1),
               DT_ERR_DATA, "%s: merge %zu, \"%.*s\", is not two tokens with a space between",
               r->name, r->merges, (int)dt_min_size(length, 60), line);
    return append_merge(r, line, left, space + 1, length - left - 1);
}

static dt_status read_merges(reading *r, const cJSON *list) {
    DT_REQUIRE(cJSON_IsArray(list), DT_ERR_DATA, "%s: its merges are no list", r->name);
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (cJSON_IsString(item)) {
            DT_TRY(take_merge(r, item->valuestring, strlen(item->valuestring)));
            continue;
        }
        const cJSON *left = item->child, *right = left ? left->next : NULL;
        DT_REQUIRE(right && !right->next && cJSON_IsArray(item) && cJSON_IsString(left) &&
                       cJSON_IsString(right),
                   DT_ERR_DATA, "%s: merge %zu is neither \"LEFT RIGHT\" nor two strings", r->name,
                   r->merges);
        DT_TRY(append_merge(r, left->valuestring, strlen(left->valuestring), right->valuestring,
                            strlen(right->valuestring)));
    }
    return DT_OK;
}

static dt_status read_merge_lines(reading *r, const char *text, size_t size) {
    static const char version[] = "#version";
    for (size_t at = 0; at < size;) {
        const char *line = text + at, *stop = memchr(line, '\n', size - at);
        size_t length = stop ? (size_t)(stop - line) : size - at;
        at += length + 1;
        if (length > 0 && line[length - 1] == '\r') length--;
        if (length == 0 ||
            (length >= sizeof version - 1 && memcmp(line, version, sizeof version - 1) == 0))
            continue;
        DT_TRY(take_merge(r, line, length));
    }
    return DT_OK;
}

/* ---- all of it ---- */

static dt_status create(dt_bpe **bpe, const reading *r) {
    const dt_bpe_parts parts = {.token = r->token,
                                .tokens = r->tokens,
                                .merge = r->merge,
                                .merges = r->merges,
                                .added = r->added,
                                .added_count = r->added_count};
    return dt_bpe_create(bpe, &parts, r->name);
}

static dt_status read_root(dt_bpe **bpe, reading *r, const cJSON *root) {
    const cJSON *model, *vocabulary, *merges, *added;
    DT_TRY(bpe_json_member(&model, root, "model", r->name));
    DT_REQUIRE(model, DT_ERR_DATA, "%s: it has no model: it is no tokenizer.json", r->name);
    DT_TRY(check_model(model, r->name));
    DT_TRY(check_pipeline(root, r->name));
    DT_TRY(bpe_json_member(&vocabulary, model, "vocab", r->name));
    DT_TRY(bpe_json_member(&merges, model, "merges", r->name));
    DT_TRY(bpe_json_member(&added, root, "added_tokens", r->name));
    DT_REQUIRE(!added || cJSON_IsArray(added), DT_ERR_DATA, "%s: its added_tokens are no list",
               r->name);
    DT_TRY(read_vocabulary(r, vocabulary, added ? (size_t)cJSON_GetArraySize(added) : 0));
    DT_TRY(read_added(r, added));
    DT_TRY(name_tokens(r));
    DT_TRY(read_merges(r, merges));
    return create(bpe, r);
}

dt_status dt_bpe_parse(dt_bpe **bpe, const char *json, size_t size, const char *name) {
    reading r = {.name = name};
    cJSON *root;
    *bpe = NULL;
    DT_TRY(bpe_json_parse(&root, json, size, name));
    const dt_status status = read_root(bpe, &r, root);
    destroy_reading(&r);
    cJSON_Delete(root);
    return status;
}

static dt_status read_pair(dt_bpe **bpe, reading *r, const cJSON *root, const char *merges,
                           size_t size) {
    DT_TRY(read_vocabulary(r, root, 0));
    DT_TRY(name_tokens(r));
    const int32_t end = name_find(&r->names, DT_BPE_END, strlen(DT_BPE_END));
    if (end >= 0) DT_TRY(append_added(r, (dt_bpe_added){.id = end, .special = true}));
    DT_TRY(read_merge_lines(r, merges, size));
    return create(bpe, r);
}

dt_status dt_bpe_parse_pair(dt_bpe **bpe, const char *vocab, size_t vocab_size, const char *merges,
                            size_t merges_size, const char *name) {
    reading r = {.name = name};
    cJSON *root;
    *bpe = NULL;
    DT_TRY(bpe_json_parse(&root, vocab, vocab_size, name));
    const dt_status status = read_pair(bpe, &r, root, merges, merges_size);
    destroy_reading(&r);
    cJSON_Delete(root);
    return status;
}
