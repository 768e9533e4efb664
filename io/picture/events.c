/* Writes what a run measures as events of TensorFlow. */
#define _GNU_SOURCE /* memmem */
#include "dtrain/picture/events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dtrain/core/host.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "dtrain/file/replace.h"
#include "dtrain/protobuf/message.h"
#include "record.h"

/* Fields of the messages. Source: event.proto, summary.proto, tensor.proto of TensorFlow, and
 * plugin_data.proto of TensorBoard. */
enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION = 7 };
enum { SESSION_STATUS = 1, SESSION_START = 1 };
enum { SUMMARY_VALUE = 1 };
enum { VALUE_TAG = 1, VALUE_NUMBER = 2, VALUE_TENSOR = 8, VALUE_METADATA = 9 };
enum { METADATA_PLUGIN = 1, METADATA_CLASS = 4, CLASS_TENSOR = 2, PLUGIN_NAME = 1 };
enum { TENSOR_TYPE = 1, TYPE_TEXT = 7, TENSOR_SHAPE = 2, TENSOR_TEXT = 8 };
enum { SHAPE_SIZE = 2, SIZE_COUNT = 1 };

#define TRAINING "train/"
static const char NAME[] = "events.out.tfevents.", VERSION[] = "brain.Event:2";

struct dt_events {
    int file;
    char path[DT_PATH_MAX];
    uint64_t size; /* bytes written */
    const dt_text_kind *kind;
    size_t kinds;
    bool bits_per_byte;
    /* Each part of a message that is being made, and records that are to be written. */
    dt_text part, value, summary, event, records;
};

/* ---- messages ---- */

static dt_status begin_event(dt_events *e, int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    dt_text_clear(&e->event);
    dt_text_clear(&e->summary);
    DT_TRY(
        dt_message_double(&e->event, EVENT_TIME, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec));
    return dt_message_whole(&e->event, EVENT_STEP, step);
}

/* A number of the event's summary. */
static dt_status add_number(dt_events *e, const char *tag, double number) {
    dt_text_clear(&e->value);
    DT_TRY(dt_message_text(&e->value, VALUE_TAG, tag));
    DT_TRY(dt_message_float(&e->value, VALUE_NUMBER, (float)number));
    return dt_message_inner(&e->summary, SUMMARY_VALUE, &e->value);
}

/* TensorBoard shows texts as Markdown, in which lines that are indented by four are shown as they
 * are. Bytes that are not UTF-8 become U+FFFD. */
static dt_status quote(dt_text *quoted, const char *text) {
    static const char INDENT[] = "    ", UNKNOWN[] = "\xef\xbf\xbd";
    size_t left = strlen(text), length;
    DT_TRY(dt_text_append(quoted, INDENT, strlen(INDENT)));
    for (; left > 0; text += length, left -= length) {
        length = dt_utf8_length(text, left);
        if (length == 0) {
            DT_TRY(dt_text_append(quoted, UNKNOWN, strlen(UNKNOWN)));
            length = 1;
            continue;
        }
        DT_TRY(dt_text_append(quoted, text, length));
        if (*text == '\n') DT_TRY(dt_text_append(quoted, INDENT, strlen(INDENT)));
    }
    return DT_OK;
}

/* A tensor of one text. */
static dt_status add_text(dt_events *e, const char *tag, const char *text) {
    dt_text quoted = {0}, tensor = {0};
    dt_status status;
    dt_text_clear(&e->value);
    dt_text_clear(&e->part);
    DT_TRY_DONE(quote(&quoted, text));
    DT_TRY_DONE(dt_message_text(&e->value, VALUE_TAG, tag));
    /* The shape: one dimension, of size 1. */
    static const unsigned char SIZE[] = {SIZE_COUNT << 3, 1};
    DT_TRY_DONE(dt_message_bytes(&e->part, SHAPE_SIZE, SIZE, sizeof SIZE));
    DT_TRY_DONE(dt_message_whole(&tensor, TENSOR_TYPE, TYPE_TEXT));
    DT_TRY_DONE(dt_message_inner(&tensor, TENSOR_SHAPE, &e->part));
    DT_TRY_DONE(dt_message_inner(&tensor, TENSOR_TEXT, &quoted));
    DT_TRY_DONE(dt_message_inner(&e->value, VALUE_TENSOR, &tensor));
    /* Which part of TensorBoard shows it. */
    dt_text_clear(&e->part);
    dt_text_clear(&tensor);
    DT_TRY_DONE(dt_message_text(&tensor, PLUGIN_NAME, "text"));
    DT_TRY_DONE(dt_message_inner(&e->part, METADATA_PLUGIN, &tensor));
    DT_TRY_DONE(dt_message_whole(&e->part, METADATA_CLASS, CLASS_TENSOR));
    DT_TRY_DONE(dt_message_inner(&e->value, VALUE_METADATA, &e->part));
    status = dt_message_inner(&e->summary, SUMMARY_VALUE, &e->value);
done:
    dt_text_destroy(&quoted);
    dt_text_destroy(&tensor);
    return status;
}

static dt_status end_event(dt_events *e) {
    if (e->summary.length) {
        DT_TRY(dt_message_inner(&e->event, EVENT_SUMMARY, &e->summary));
    }
    return dt_record_append(&e->records, &e->event);
}

/* ---- what is measured; steps are counted as updates made ---- */

static dt_status add_step(dt_events *e, const dt_train_row *row) {
    DT_TRY(begin_event(e, row->step + 1));
    DT_TRY(add_number(e, TRAINING "loss", row->loss));
    DT_TRY(add_number(e, TRAINING "learning_rate", row->lr));
    DT_TRY(add_number(e, TRAINING "gradient_norm", row->grad_norm));
    if (isfinite(row->joules)) DT_TRY(add_number(e, TRAINING "joules", row->joules));
    if (row->seconds > 0) {
        DT_TRY(add_number(e, TRAINING "tokens_per_second", (double)row->tokens / row->seconds));
    }
    return end_event(e);
}

static dt_status add_validation(dt_events *e, const dt_validation_row *row) {
    char tag[80];
    DT_TRY(begin_event(e, row->step));
    DT_TRY(add_number(e, "validation/loss", row->loss));
    DT_TRY(add_number(e, "validation/perplexity", row->perplexity));
    if (e->bits_per_byte && row->bits_per_byte > 0) {
        DT_TRY(add_number(e, "validation/bits_per_byte", row->bits_per_byte));
    }
    DT_TRY(add_number(e, "validation/token_accuracy", row->token_accuracy));
    DT_TRY(add_number(e, "validation/exact_match", row->exact_match));
    for (size_t i = 0; i < e->kinds; i++) {
        if (isnan(row->exact_match_of[i])) continue;
        snprintf(tag, sizeof tag, "validation/exact_match_%s", e->kind[i].name);
        DT_TRY(add_number(e, tag, row->exact_match_of[i]));
    }
    return end_event(e);
}

/* ---- the file ---- */

/* All of the records, or none. */
static dt_status write_records(dt_events *e) {
    char reason[128];
    const int error = dt_file_write(e->file, e->records.bytes, e->records.length, e->size);
    /* If this fails too, half a record is left, which readers pass over. */
    const bool cut = error && ftruncate(e->file, (off_t)e->size) == 0;
    if (!error) e->size += e->records.length;
    e->records.length = 0;
    DT_REQUIRE(!error, DT_ERR_IO, "cannot write %s%s: %s", e->path,
               cut ? "" : ", whose end is damaged", dt_file_reason(error, reason));
    return DT_OK;
}

/* The number of seconds in the name of an event file; -1: it is none. */
static int64_t seconds_in(const char *name) {
    if (strncmp(name, NAME, strlen(NAME)) != 0) return -1;
    return strtoll(name + strlen(NAME), NULL, 10);
}

/* The newest event file of a folder by the seconds in its name; "" and -1: there is none. */
static dt_status find_newest(char *path, size_t size, int64_t *seconds, const char *folder) {
    char reason[128];
    path[0] = '\0';
    *seconds = -1;
    DIR *entries = opendir(folder);
    DT_REQUIRE(entries, DT_ERR_CREATE, "cannot look into the folder %s: %s", folder,
               dt_file_reason(errno, reason));
    for (struct dirent *entry; (entry = readdir(entries));) {
        const int64_t of = seconds_in(entry->d_name);
        if (of <= *seconds) continue;
        *seconds = of;
        snprintf(path, size, "%s/%s", folder, entry->d_name);
    }
    closedir(entries);
    return DT_OK;
}

/* The last whole event of a file. */
typedef struct {
    int64_t step;
    bool training; /* of a step's training, so that its validation is not there */
} last_event;

/* Of no file, or one without events, step 0. */
static last_event find_last(const char *path) {
    unsigned char beginning[64]; /* with the first tag */
    size_t count;
    last_event last = {0};
    FILE *file = *path ? fopen(path, "re") : NULL;
    if (!file) return last;
    while (dt_record_next(file, beginning, sizeof beginning, &count)) {
        last.step = (int64_t)dt_message_find(beginning, count, EVENT_STEP);
        last.training = memmem(beginning, count, TRAINING, strlen(TRAINING)) != NULL;
    }
    fclose(file);
    return last;
}

/* TensorBoard reads the files of a folder by their names, so that a later one has a higher number,
 * also where clocks differ. */
static dt_status create_file(dt_events *e, const char *folder, int64_t newest) {
    char host[DT_HOST_MAX], reason[128];
    const int64_t now = time(NULL);
    dt_host_name(host);
    const int length = snprintf(e->path, sizeof e->path, "%s/%s%010" PRId64 ".%s.%ld", folder, NAME,
                                now > newest ? now : newest + 1, host, (long)getpid());
    DT_REQUIRE(length > 0 && (size_t)length < sizeof e->path, DT_ERR_CREATE,
               "cannot create an event file in %.80s…: the name is too long", folder);
    e->file = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    DT_REQUIRE(e->file >= 0, DT_ERR_CREATE, "cannot create %s: %s", e->path,
               dt_file_reason(errno, reason));
    return DT_OK;
}

/* The first step of which the new file has points: after that of the run, or earlier where a point
 * is missing. */
static int64_t first_step(const dt_events_begin *begin, const last_event *last) {
    const dt_metrics *m = begin->metrics;
    const int64_t step = begin->step;
    const bool validated =
        m->validation_count > 0 && m->validation[m->validation_count - 1].step == step;
    if (last->step < step) return last->step;
    if (last->step == step && last->training && validated) return step;
    /* A validation that earlier files may have is still to be made. */
    return validated ? step + 1 : step;
}

static dt_status write_if_many(dt_events *e) {
    enum { MANY = 1 << 16 };
    return e->records.length >= MANY ? write_records(e) : DT_OK;
}

static dt_status write_beginning(dt_events *e, const dt_events_begin *begin, int64_t first) {
    const dt_metrics *m = begin->metrics;
    static const unsigned char START[] = {SESSION_STATUS << 3, SESSION_START};
    DT_TRY(begin_event(e, 0));
    DT_TRY(dt_message_text(&e->event, EVENT_VERSION, VERSION));
    DT_TRY(end_event(e));
    DT_TRY(begin_event(e, first));
    DT_TRY(dt_message_bytes(&e->event, EVENT_SESSION, START, sizeof START));
    DT_TRY(end_event(e));
    size_t validation = 0;
    for (size_t i = 0; i < m->train_count; i++) {
        const int64_t step = m->train[i].step + 1;
        for (; validation < m->validation_count && m->validation[validation].step < step;
             validation++) {
            if (m->validation[validation].step >= first)
                DT_TRY(add_validation(e, &m->validation[validation]));
        }
        if (step >= first) DT_TRY(add_step(e, &m->train[i]));
        DT_TRY(write_if_many(e));
    }
    for (; validation < m->validation_count; validation++) {
        if (m->validation[validation].step >= first)
            DT_TRY(add_validation(e, &m->validation[validation]));
    }
    return write_records(e);
}

dt_status dt_events_open(dt_events **events, const dt_events_begin *begin) {
    char before[DT_PATH_MAX];
    int64_t newest;
    dt_status status;
    *events = NULL;
    dt_events *e = NULL;
    DT_TRY(dt_memory_alloc(&e, 1, sizeof *e, "events"));
    e->file = -1;
    e->kind = begin->kind;
    e->kinds = begin->kinds;
    e->bits_per_byte = begin->bits_per_byte;
    DT_TRY_DONE(find_newest(before, sizeof before, &newest, begin->folder));
    DT_TRY_DONE(create_file(e, begin->folder, newest));
    const last_event last = find_last(before);
    status = write_beginning(e, begin, first_step(begin, &last));
    if (status != DT_OK) unlink(e->path);
done:
    if (status == DT_OK) {
        *events = e;
    } else {
        dt_events_close(&e);
    }
    return status;
}

void dt_events_close(dt_events **events) {
    dt_events *e = *events;
    if (!e) return;
    if (e->file >= 0) close(e->file);
    dt_text *const bytes[] = {&e->part, &e->value, &e->summary, &e->event, &e->records};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) dt_text_destroy(bytes[i]);
    dt_memory_free(events);
}

dt_status dt_events_step(dt_events *e, const dt_train_row *row) {
    DT_TRY(add_step(e, row));
    return write_records(e);
}

dt_status dt_events_validation(dt_events *e, const dt_validation_row *row) {
    DT_TRY(add_validation(e, row));
    return write_records(e);
}

dt_status dt_events_text(dt_events *e, const char *name, int64_t step, const char *text) {
    DT_TRY(begin_event(e, step));
    DT_TRY(add_text(e, name, text));
    DT_TRY(end_event(e));
    return write_records(e);
}
