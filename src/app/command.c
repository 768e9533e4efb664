/* What several commands check. */
#include "command.h"

#include <string.h>

#include "dtrain/core/memory.h"

dt_status command_check_target(const char *target) {
    DT_REQUIRE(target, DT_ERR_ARG,
               "which checkpoint? Give a file or a run folder, such as runs/default");
    return DT_OK;
}

dt_status command_find_room(size_t *tokens, const dt_text *prompt, const dt_line *typed,
                            const dt_tokenizer *tokenizer, size_t context) {
    const size_t most = prompt->length;
    int32_t *id = NULL;
    size_t count = 0;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&id, most + 1, sizeof *id, "the tokens of a prompt"));
    DT_TRY_DONE(dt_text_tokens(id, most, &count, prompt, tokenizer));
    if (count >= context) {
        status = dt_line_raise(DT_ERR_ARG, __FILE__, __LINE__, typed, typed->length,
                               "this has %zu tokens, and the model reads and writes %zu in all; "
                               "ask something shorter",
                               count, context);
    }
    *tokens = context - dt_min_size(count, context);
done:
    dt_memory_free(&id);
    return status;
}

bool command_knows_all(const dt_setting *setting) {
    (void)setting;
    return true;
}

bool command_needs_ranks(const void *own) {
    (void)own;
    return true;
}

bool command_knows_name(const dt_setting *setting, const char *const *name, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(setting->name, name[i]) == 0) return true;
    }
    return false;
}
