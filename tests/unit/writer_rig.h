/* A folder, signals and a clock that the tests of the writer decide about: when a write ends, fails
 * or takes long. */
#ifndef WRITER_RIG_H
#define WRITER_RIG_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

#include "dtrain/run/writer.h"

enum { RIG_FLOATS = 1000, RIG_FILES = 1024 };

typedef struct {
    int64_t step;
    size_t blocks, rows;
    char stopped[64];
    bool whole; /* all floats belong to the step */
} rig_file;

typedef struct {
    atomic_int stop_signal, checkpoints_asked, continues;
    sem_t wake;
    /* Protected by the lock. */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        rig_file file[RIG_FILES]; /* complete, in the order of writing */
        size_t files, begun, given_up;
        bool closed;    /* a write does not end */
        int failures;   /* so many of the next writes fail */
        double seconds; /* of clock time per write */
    } disk;
    struct {
        float floats[4][RIG_FLOATS];
        bool averaged;
        dt_metrics metrics;
        dt_run_state state;
        pthread_t loop;
        atomic_bool changing; /* the loop is changing it */
        atomic_bool wrong;    /* another thread has read it meanwhile */
    } run;
} writer_rig;

extern writer_rig rig;

/* Everything as at first, with a writer; its end. */
dt_writer *rig_begin(void);
void rig_end(dt_writer *w);
/* cmocka's teardown: a failed test leaves a thread that would disturb the next test. */
int rig_stop_after_a_failure(void **state);

void rig_view(dt_checkpoint *view, void *context);
void rig_advance(double seconds);           /* the clock */
void rig_pass(double seconds);              /* real time */
void rig_come(atomic_int *flag, int value); /* a signal, of those above */
void rig_close_disk(bool closed);

/* An update; half of one, during which no other thread may see the state; the other half. */
void rig_make_step(dt_writer *w);
void rig_change_half(void);
void rig_change_rest(void);
void rig_say_stopped(dt_writer *w, const char *why);
void rig_submit(dt_writer *w, bool expected);

/* Waits until so many writes have begun and so many files exist; at most a minute, since machines
 * may be busy. */
void rig_wait_for(size_t begun, size_t files);
size_t rig_files(void);
rig_file rig_file_at(size_t i);
void rig_expect_file(size_t i, int64_t step, const char *stopped);

#endif
