/* What several commands check. */
#include "command.h"

#include <string.h>

dt_status command_check_target(const char *target) {
    DT_REQUIRE(target, DT_ERR_ARG,
               "which checkpoint? Give a file or a run folder, such as runs/default");
    return DT_OK;
}

bool command_knows_name(const dt_setting *setting, const char *const *name, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(setting->name, name[i]) == 0) return true;
    }
    return false;
}
