/* What takes long tells how far it is: to a bar, or to the watchdog. */
#ifndef DTRAIN_WORK_H
#define DTRAIN_WORK_H

#include <stdint.h>

#include "dtrain/core/status.h"

/* what: "reading the text"; done of all of it, mostly bytes; all 0: unknown. Its error ends the
 * work.
 */
typedef dt_status dt_work_listener(void *context, const char *what, uint64_t done, uint64_t all);

/* From here on this thread's work is told to a listener; NULL: to nobody. context: kept by
 * reference. */
void dt_work_listen(dt_work_listener *listener, void *context);

/* Some of it has been done. Costs next to nothing. Returns what the listener does. */
dt_status dt_work_tell(const char *what, uint64_t done, uint64_t all);

#endif
