/* Passes on how far a thread's work is. */
#include "dtrain/core/work.h"

#include <stddef.h>

static _Thread_local struct {
    dt_work_listener *call;
    void *context;
} listener;

void dt_work_listen(dt_work_listener *call, void *context) {
    listener.call = call;
    listener.context = context;
}

dt_status dt_work_tell(const char *what, uint64_t done, uint64_t all) {
    return listener.call ? listener.call(listener.context, what, done, all) : DT_OK;
}
