/* Reads JSON into a tree: small files that this program has written. */
#ifndef DTRAIN_JSON_READ_H
#define DTRAIN_JSON_READ_H

#include <stdint.h>

#include "dtrain/core/status.h"

typedef enum {
    DT_JSON_IS_NULL,
    DT_JSON_IS_BOOL,
    DT_JSON_IS_NUMBER,
    DT_JSON_IS_TEXT,
    DT_JSON_IS_LIST,
    DT_JSON_IS_OBJECT
} dt_json_kind;

/* Values in the order of the file; 0 is the whole. */
typedef struct {
    dt_json_kind kind;
    const char *key; /* of a member of an object, NULL otherwise */
    size_t key_length;
    double number;    /* of a bool 0 or 1 */
    const char *text; /* between its quotes, with its escapes; NULL: it is no text */
    size_t length;
    size_t child; /* first value inside; 0: none */
    size_t next;  /* the value after it; 0: none */
} dt_json_value;

typedef struct {
    dt_json_value *value;
    size_t values, capacity;
} dt_json;

/**
 * @param[out] json  to be given back with dt_json_destroy, also after an error
 * @param text       ended by NUL; must outlive json
 * @param name       stands for the file in messages
 * @return DT_ERR_DATA with line and column, DT_ERR_MEMORY
 */
dt_status dt_json_parse(dt_json *json, const char *text, const char *name);
void dt_json_destroy(dt_json *json);

/* The member of an object; NULL if `of` is none, or has no such member. */
const dt_json_value *dt_json_member(const dt_json *json, const dt_json_value *of, const char *key);

/* Whether a member is a whole number below `end`. */
bool dt_json_whole(int64_t *number, const dt_json *json, const dt_json_value *of, const char *key,
                   double end);

/* What a text says, without escapes, ended by NUL; allocated: dt_memory_free. A NUL in it becomes
 * U+FFFD. DT_ERR_MEMORY. */
dt_status dt_json_text(char **text, const dt_json_value *value);

/* The first value in a list, the one after `value`; NULL at the end. */
const dt_json_value *dt_json_first(const dt_json *json, const dt_json_value *list);
const dt_json_value *dt_json_next(const dt_json *json, const dt_json_value *value);

#endif
