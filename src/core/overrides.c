/* Settings as a person gives them, put on top of others. */
#include <stdio.h>
#include <string.h>

#include "dtrain/core/config.h"

dt_status dt_overrides_apply(dt_config *config, const dt_overrides *given) {
    if (given->config_file) DT_TRY(dt_config_read(config, given->config_file));
    for (size_t i = 0; given->setting && i < dt_setting_count(); i++) {
        if (!given->setting[i]) continue;
        char where[64];
        snprintf(where, sizeof where, "--%s", dt_setting_at(i)->name);
        DT_TRY(dt_config_set(config, dt_setting_at(i), given->setting[i], where));
    }
    return DT_OK;
}

bool dt_overrides_has(const dt_overrides *given, const char *name) {
    for (size_t i = 0; given->setting && i < dt_setting_count(); i++) {
        if (strcmp(dt_setting_at(i)->name, name) == 0) return given->setting[i] != NULL;
    }
    return false;
}
