/* Which settings differ between two configurations. */
#include <stdio.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/core/memory.h"

bool dt_config_next_change(dt_setting_change *change, const dt_config *before,
                           const dt_config *now) {
    while (change->next < dt_setting_count()) {
        const dt_setting *setting = dt_setting_at(change->next++);
        if (setting->scope == DT_SETTING_LOCAL) continue;
        dt_config_shown(change->was, sizeof change->was, before, setting);
        dt_config_shown(change->is, sizeof change->is, now, setting);
        change->setting = setting;
        if (strcmp(change->was, change->is) != 0) return true;
    }
    return false;
}

void dt_setting_change_append(char *list, size_t size, const dt_setting_change *change) {
    const size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s %s -> %s", used ? ", " : "", change->setting->name,
             change->was, change->is);
}
