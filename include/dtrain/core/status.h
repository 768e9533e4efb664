/* Errors as values: what failed, where, and a sentence that says how to mend it. */
#ifndef DTRAIN_STATUS_H
#define DTRAIN_STATUS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    DT_OK = 0,
    DT_ERR_ARG,         /* a wrong option, value or combination of them */
    DT_ERR_DATA,        /* a file that is damaged, foreign, or does not fit */
    DT_ERR_NO_INPUT,    /* a file or folder that is not there or cannot be read */
    DT_ERR_UNAVAILABLE, /* something the machine lacks or does wrong: a device, a BLAS kernel */
    DT_ERR_INTERNAL,    /* a defect of dtrain */
    DT_ERR_MEMORY,      /* out of memory */
    DT_ERR_CREATE,      /* an output that cannot be created */
    DT_ERR_IO,          /* reading or writing failed half-way */
    DT_ERR_STOPPED,     /* stopped early, on request, with a checkpoint */
    DT_ERR_COMM,        /* a message between ranks failed */
    DT_ERR_DEVICE,      /* a device failed at work: what it held is lost, host memory is whole */
} dt_status;

/* The exit code for a status, after sysexits.h: 0, 64, 65, 66, 69, 70, 71, 73, 74, 75. */
int dt_status_exit_code(dt_status status);

/**
 * Keep an error as this thread's last one.
 *
 * @param code  anything but DT_OK
 * @param file  source file and line of the caller, shown at log level debug only
 * @param fmt   one sentence: the thing, the value, how to mend it; no newline at the end
 * @return code
 */
dt_status dt_error_raise(dt_status code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* This thread's last error: never NULL; "" and DT_OK if there was none. Valid until the next one.
 */
const char *dt_error_text(void);
const char *dt_error_location(void); /* "file.c:123" */
dt_status dt_error_code(void);

/* Forget the last error, after it has been dealt with. */
void dt_error_clear(void);

/* Keep an error that another rank or thread raised, unchanged. */
dt_status dt_error_adopt(dt_status code, const char *location, const char *text);

/* Raise an error and return it. */
#define DT_RAISE(code, ...) return dt_error_raise((code), __FILE__, __LINE__, __VA_ARGS__)

/* Return from this function with an error unless the condition holds. */
#define DT_REQUIRE(condition, code, ...)                                                           \
    do {                                                                                           \
        if (!(condition)) DT_RAISE(code, __VA_ARGS__);                                             \
    } while (0)

/* Pass an error on to the caller. */
#define DT_TRY(expression)                                                                         \
    do {                                                                                           \
        const dt_status dt_try_status = (expression);                                              \
        if (dt_try_status != DT_OK) return dt_try_status;                                          \
    } while (0)

/* The same in a function that has to give something back first: it has a variable `status` and a
 * label `done`. */
#define DT_TRY_DONE(expression)                                                                    \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != DT_OK) goto done;                                                            \
    } while (0)

#define DT_REQUIRE_DONE(condition, code, ...)                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            status = dt_error_raise((code), __FILE__, __LINE__, __VA_ARGS__);                      \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

#endif
