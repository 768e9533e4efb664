/* The table of formats: what each refuses, and its files one after the other, each whole. */
#include "dtrain/export/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/data/source.h"
#include "dtrain/file/replace.h"
#include "formats.h"

static const export_format *const FORMATS[] = {&export_to_safetensors, &export_to_gguf,
                                               &export_to_onnx, &export_to_adapter};
const char dt_export_formats[] = "safetensors|gguf|onnx|adapter";

const char *const dt_export_quants[DT_QUANTS] = {
    [DT_QUANT_F32] = "f32", [DT_QUANT_Q8_0] = "q8_0", [DT_QUANT_Q4_0] = "q4_0"};

int32_t export_end(const dt_checkpoint *checkpoint) {
    const dt_source source = dt_source_for_asking(&checkpoint->config, checkpoint->tokenizer);
    return dt_source_end(&source);
}

static dt_status find_format(const export_format **format, const char *name) {
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
        *format = FORMATS[i];
        if (strcmp(name, FORMATS[i]->name) == 0) return DT_OK;
    }
    DT_RAISE(DT_ERR_ARG, "--format: \"%s\" is none of %s", name, dt_export_formats);
}

static dt_status path_of(char path[DT_PATH_MAX], const dt_export *to, const export_part *part) {
    const int length = snprintf(path, DT_PATH_MAX, "%s/%s", to->folder, part->name);
    DT_REQUIRE(length > 0 && length < DT_PATH_MAX, DT_ERR_CREATE,
               "cannot create %.80s…: the name is too long", to->folder);
    return DT_OK;
}

/* What all formats end with. */
static const export_part ABOUT[] = {{EXPORT_SETTINGS, export_write_settings},
                                    {"dtrain.json", export_write_facts},
                                    {"README.md", export_write_card},
                                    {NULL, NULL}};

/* All are looked for before the first is written. */
static dt_status check_absent(const dt_export *to, const export_part *part) {
    char path[DT_PATH_MAX];
    struct stat there;
    for (; part->name; part++) {
        DT_TRY(path_of(path, to, part));
        DT_REQUIRE(lstat(path, &there) != 0, DT_ERR_CREATE,
                   "%s is there already, and is not replaced; give another folder, or remove it",
                   path);
    }
    return DT_OK;
}

/* A stream of its own on the file of a replacement. */
static dt_status open_stream(FILE **stream, const dt_replacement *replacement) {
    char text[128];
    const int file = dup(replacement->file);
    *stream = file < 0 ? NULL : fdopen(file, "w");
    const int error = errno;
    if (!*stream && file >= 0) close(file);
    DT_REQUIRE(*stream, DT_ERR_CREATE, "cannot create %s: %s", replacement->path,
               dt_file_reason(error, text));
    return DT_OK;
}

static dt_status close_stream(FILE **stream, const dt_replacement *replacement) {
    char text[128];
    errno = 0;
    const bool failed = fflush(*stream) != 0 || ferror(*stream) != 0;
    const int error = errno;
    const bool closed = fclose(*stream) == 0;
    *stream = NULL;
    DT_REQUIRE(closed && !failed, DT_ERR_IO, "cannot write %s: %s", replacement->path,
               error ? dt_file_reason(error, text) : "is the disk full?");
    return DT_OK;
}

static dt_status write_part(const char *path, const dt_export *to, const export_part *part) {
    dt_replacement replacement = {.file = -1};
    FILE *stream = NULL;
    dt_status status;
    DT_TRY_DONE(dt_replacement_open(&replacement, path));
    DT_TRY_DONE(open_stream(&stream, &replacement));
    DT_TRY_DONE(part->write(stream, to));
    DT_TRY_DONE(close_stream(&stream, &replacement));
    DT_TRY_DONE(dt_replacement_sync(&replacement));
    DT_TRY_DONE(dt_replacement_commit(&replacement));
done:
    if (stream) fclose(stream);
    dt_replacement_discard(&replacement);
    return status;
}

static dt_status choose(const export_format **format, const dt_export *to) {
    DT_TRY(find_format(format, to->format));
    DT_REQUIRE(to->quant == DT_QUANT_F32 || *format == &export_to_gguf, DT_ERR_ARG,
               "--quant %s is for --format gguf; %s files hold float32",
               dt_export_quants[to->quant], (*format)->name);
    DT_TRY((*format)->check(to));
    DT_TRY(check_absent(to, (*format)->parts(to)));
    return check_absent(to, ABOUT);
}

dt_status dt_export_check(const dt_export *to) {
    const export_format *format;
    return choose(&format, to);
}

/* *done: how many of these parts are there. */
static dt_status write_parts(size_t *done, const dt_export *to, const export_part *part,
                             dt_export_written *written, void *context) {
    for (; part->name; part++, ++*done) {
        char path[DT_PATH_MAX];
        DT_TRY(path_of(path, to, part));
        DT_TRY(write_part(path, to, part));
        written(context, path);
    }
    return DT_OK;
}

static void remove_parts(const dt_export *to, const export_part *part, size_t done) {
    for (; done > 0; part++, done--) {
        char path[DT_PATH_MAX];
        if (path_of(path, to, part) == DT_OK) unlink(path);
    }
}

dt_status dt_export_write(const dt_export *to, dt_export_written *written, void *context) {
    const export_format *format;
    DT_TRY(choose(&format, to));
    size_t parts = 0, about = 0;
    dt_status status = write_parts(&parts, to, format->parts(to), written, context);
    if (status == DT_OK) status = write_parts(&about, to, ABOUT, written, context);
    if (status == DT_OK) return DT_OK;
    /* A part of a model would stand in the way of the next try. */
    remove_parts(to, format->parts(to), parts);
    remove_parts(to, ABOUT, about);
    return status;
}
