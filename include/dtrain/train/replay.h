/* Proves that training from one checkpoint gives a later one. */
#ifndef DTRAIN_REPLAY_H
#define DTRAIN_REPLAY_H

#include "dtrain/run/session.h"

/**
 * Train in memory from the checkpoint `from` to the later one `to`, and compare every byte; prints
 * the result. Writes no file. Collective.
 *
 * @param given  settings of this start, such as the backend
 * @return DT_ERR_DATA if anything differs, or if the two are not of one run
 */
dt_status dt_replay(dt_session *s, const dt_overrides *given, const char *from, const char *to,
                    bool json);

#endif
