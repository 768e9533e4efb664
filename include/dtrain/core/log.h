/* Messages for people on standard error, by level; usually from rank 0 only. */
#ifndef DTRAIN_LOG_H
#define DTRAIN_LOG_H

typedef enum { DT_LOG_ERROR, DT_LOG_WARN, DT_LOG_INFO, DT_LOG_DEBUG } dt_log_level;

/* Rank of this process; -1 before the ranks are known. Ranks other than 0 write at level debug
 * only, and leave out messages for people. */
void dt_log_open(dt_log_level level, int rank);
dt_log_level dt_log_current(void);

/* Called before each message, to clear the last line of the terminal; NULL: nothing to clear. */
void dt_log_before(void (*call)(void));

void dt_log(dt_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define dt_log_error(...) dt_log(DT_LOG_ERROR, __VA_ARGS__)
#define dt_log_warn(...) dt_log(DT_LOG_WARN, __VA_ARGS__)
#define dt_log_info(...) dt_log(DT_LOG_INFO, __VA_ARGS__)
#define dt_log_debug(...) dt_log(DT_LOG_DEBUG, __VA_ARGS__)

#endif
