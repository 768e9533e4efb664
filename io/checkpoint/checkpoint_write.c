/* Writes a checkpoint to a temporary file, verifies it, and renames it over the old one. */
#include <stdio.h>
#include <string.h>

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "finite.h"
#include "hdf5_links.h"
#include "hdf5_read.h"
#include "hdf5_write.h"
#include "schema.h"

static const float *block_of(const dt_checkpoint *checkpoint, size_t block) {
    const float *const of[DT_BLOCKS] = {checkpoint->weights, checkpoint->m, checkpoint->v,
                                        checkpoint->iterate};
    return of[block];
}

/* ---- before anything is written ---- */

/* Scales of 16 bits do not hold every float32. */
static dt_status check_scales(const char *path, const dt_checkpoint *checkpoint) {
    for (size_t i = 0; i < checkpoint->layout.parameters; i++) {
        const dt_parameter *p = &checkpoint->layout.parameter[i];
        const char *bytes = (const char *)checkpoint->frozen + p->frozen_offset;
        const size_t at = dt_finite_elements(bytes, p->element, p->count);
        DT_REQUIRE(at == p->count, DT_ERR_DATA,
                   "%s is not written: element %zu of %s is too large for %s", path, at, p->name,
                   dt_quantised_name(p->element));
    }
    return DT_OK;
}

static dt_status check_finite(const char *path, const dt_checkpoint *checkpoint) {
    const dt_layout *layout = &checkpoint->layout;
    if (dt_checkpoint_is_quantised(checkpoint)) return check_scales(path, checkpoint);
    for (size_t block = 0; block < dt_schema_blocks(checkpoint); block++) {
        const float *x = block_of(checkpoint, block);
        DT_REQUIRE(x, DT_ERR_INTERNAL, "a checkpoint without %s", dt_block_path[block]);
        const size_t at = dt_finite_count(x, layout->count);
        if (at == layout->count) continue;
        size_t i = 0;
        while (i + 1 < layout->parameters && layout->parameter[i + 1].offset <= at) i++;
        DT_RAISE(DT_ERR_DATA,
                 "%s is not written: %s/%s is %g at element %zu; the training has diverged: lower "
                 "--lr, or go on from an earlier checkpoint",
                 path, dt_block_path[block], layout->parameter[i].name, (double)x[at],
                 at - layout->parameter[i].offset);
    }
    return DT_OK;
}

/* ---- the parts ---- */

static dt_status write_text(dt_hdf5_writer *writer, const char *path, const char *name,
                            const char *text) {
    return dt_hdf5_writer_attribute(writer, path, name, DT_TEXT(strlen(text)), text);
}

static dt_status write_attribute(void *writer, const dt_schema_attribute *attribute) {
    return dt_hdf5_writer_attribute(writer, attribute->path, attribute->name, attribute->type,
                                    attribute->bytes);
}

static dt_status write_attributes(dt_hdf5_writer *writer, const dt_checkpoint *checkpoint) {
    char created[32];
    dt_utc_now(created, sizeof created);
    const int64_t version = dt_checkpoint_is_quantised(checkpoint)    ? DT_CHECKPOINT_QUANTISED
                            : dt_checkpoint_is_adapter(checkpoint)    ? DT_CHECKPOINT_ADAPTER
                            : dt_tokenizer_bpe(checkpoint->tokenizer) ? DT_CHECKPOINT_BPE
                                                                      : DT_CHECKPOINT_PLAIN;
    DT_TRY(write_text(writer, "/", "format", DT_CHECKPOINT_FORMAT));
    DT_TRY(dt_hdf5_writer_attribute(writer, "/", "format_version", DT_INT64, &version));
    DT_TRY(write_text(writer, "/", "dtrain_version", DTRAIN_VERSION));
    DT_TRY(write_text(writer, "/", "created", created));
    char path[DT_STORED_PATH_MAX];
    for (size_t i = 0; i < DT_CHECKPOINT_GROUPS; i++) {
        snprintf(path, sizeof path, "/%s", dt_checkpoint_group[i]);
        DT_TRY(dt_hdf5_writer_group(writer, path));
    }
    return dt_schema_attributes(checkpoint, write_attribute, writer);
}

static dt_status write_config(dt_hdf5_writer *writer, const dt_config *config) {
    char *ini = NULL;
    DT_TRY(dt_config_format(&ini, config, true));
    const dt_status status =
        dt_hdf5_writer_dataset(writer, "/config/ini", DT_TEXT(strlen(ini)), 0, NULL, ini);
    dt_memory_free(&ini);
    return status;
}

/* As a tokenizer.json, which other programs read, too. */
static dt_status write_bpe(dt_hdf5_writer *writer, const dt_tokenizer *tokenizer) {
    dt_text json = {0};
    dt_status status;
    DT_TRY_DONE(dt_tokenizer_store(&json, tokenizer));
    DT_TRY_DONE(dt_hdf5_writer_dataset(writer, "/tokenizer/json", DT_TEXT(json.length), 0, NULL,
                                       json.bytes));
done:
    dt_text_destroy(&json);
    return status;
}

static dt_status write_tokenizer(dt_hdf5_writer *writer, const dt_tokenizer *tokenizer) {
    if (dt_tokenizer_bpe(tokenizer)) return write_bpe(writer, tokenizer);
    const size_t count = dt_tokenizer_size(tokenizer);
    size_t longest = 1;
    for (size_t i = 0; i < count; i++) {
        longest = dt_max_size(longest, strlen(dt_tokenizer_token(tokenizer, (int32_t)i)));
    }
    char *text = NULL;
    DT_TRY(dt_memory_alloc(&text, count, longest, "the vocabulary"));
    for (size_t i = 0; i < count; i++) {
        const char *token = dt_tokenizer_token(tokenizer, (int32_t)i);
        memcpy(text + i * longest, token, strlen(token));
    }
    const dt_status status =
        dt_hdf5_writer_dataset(writer, "/tokenizer/vocab", DT_TEXT(longest), 1, &count, text);
    dt_memory_free(&text);
    return status;
}

static dt_status go_on(dt_checkpoint_needless *needless) {
    DT_REQUIRE(!needless || !needless(), DT_ERR_STOPPED, "the checkpoint has become needless");
    return DT_OK;
}

static dt_status write_block(dt_hdf5_writer *writer, const dt_checkpoint *checkpoint, size_t block,
                             dt_checkpoint_needless *needless) {
    const dt_layout *layout = &checkpoint->layout;
    char path[DT_STORED_PATH_MAX];
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *parameter = &layout->parameter[i];
        if (!dt_schema_has(checkpoint, parameter)) continue;
        DT_TRY(go_on(needless));
        const dt_stored_tensor tensor = dt_schema_tensor(parameter);
        const void *bytes = parameter->frozen
                                ? (const char *)checkpoint->frozen + parameter->frozen_offset
                                : (const char *)(block_of(checkpoint, block) + parameter->offset);
        snprintf(path, sizeof path, "%s/%s", dt_block_path[block], parameter->name);
        DT_TRY(
            dt_hdf5_writer_dataset(writer, path, tensor.type, tensor.rank, tensor.extent, bytes));
    }
    return DT_OK;
}

/* Texts are padded with NUL; bytes after their end in memory are not copied. */
static void gather(char *column, const dt_field *field, const char *rows, size_t count,
                   size_t row_size) {
    for (size_t i = 0; i < count; i++) {
        const char *value = rows + i * row_size + field->offset;
        const size_t size = field->type.kind == DT_STORED_TEXT
                                ? strnlen(value, field->type.size - 1)
                                : field->type.size;
        memcpy(column + i * field->type.size, value, size);
        memset(column + i * field->type.size + size, 0, field->type.size - size);
    }
}

static dt_status write_table(dt_hdf5_writer *writer, const dt_metrics *metrics,
                             const dt_table *of) {
    dt_status status = DT_OK;
    size_t rows;
    const char *row = dt_table_rows(metrics, of, &rows);
    for (size_t i = 0; i < of->columns && status == DT_OK; i++) {
        const dt_field *field = &of->column[i];
        char path[DT_STORED_PATH_MAX], *column = NULL;
        snprintf(path, sizeof path, "%s/%s", of->path, field->name);
        DT_TRY(dt_memory_alloc(&column, dt_max_size(rows, 1), field->type.size, "metrics"));
        gather(column, field, row, rows, of->row_size);
        status = dt_hdf5_writer_dataset(writer, path, field->type, 1, &rows, column);
        dt_memory_free(&column);
    }
    return status;
}

static dt_status write_parts(dt_hdf5_writer *writer, const dt_checkpoint *checkpoint,
                             dt_checkpoint_needless *needless) {
    DT_TRY(write_attributes(writer, checkpoint));
    DT_TRY(write_config(writer, &checkpoint->config));
    DT_TRY(write_tokenizer(writer, checkpoint->tokenizer));
    for (size_t block = 0; block < dt_schema_blocks(checkpoint); block++)
        DT_TRY(write_block(writer, checkpoint, block, needless));
    for (size_t i = 0; i < DT_TABLES; i++) {
        dt_table table;
        dt_table_describe(&table, i, &checkpoint->config);
        DT_TRY(write_table(writer, checkpoint->metrics, &table));
    }
    return DT_OK;
}

static dt_status write_file(dt_digest *digest, int file, const char *path,
                            const dt_checkpoint *checkpoint, dt_checkpoint_needless *needless) {
    dt_hdf5_writer writer;
    dt_status status = dt_hdf5_writer_open(&writer, file, path);
    if (status == DT_OK) status = write_parts(&writer, checkpoint, needless);
    if (status == DT_OK) status = dt_hdf5_writer_finish(&writer, digest);
    dt_hdf5_writer_close(&writer);
    return status;
}

/* ---- afterwards ---- */

/* Read the file back with a reader that shares nothing with the writer but the digests. */
static dt_status read_back(const char *path, const dt_digest *digest,
                           dt_checkpoint_needless *needless) {
    dt_hdf5_file in;
    char found[DT_DIGEST_LENGTH];
    dt_status status = DT_OK;
    DT_TRY_DONE(dt_hdf5_open(&in, path, NULL));
    DT_TRY_DONE(dt_hdf5_walk(&in, dt_checkpoint_group, DT_CHECKPOINT_GROUPS));
    DT_TRY_DONE(dt_hdf5_verify(&in));
    DT_TRY_DONE(dt_hdf5_value(found, &in, "/", "digest", DT_TEXT(DT_DIGEST_LENGTH)));
    DT_REQUIRE_DONE(memcmp(found, digest->text, DT_DIGEST_LENGTH) == 0, DT_ERR_IO,
                    "%s is another file than the one just written", path);
    for (size_t i = 0; i < in.objects; i++) {
        DT_TRY_DONE(go_on(needless));
        if (!in.object[i].group) DT_TRY_DONE(dt_hdf5_bytes(NULL, &in, &in.object[i]));
    }
done:
    dt_hdf5_close(&in);
    return status;
}

dt_status dt_checkpoint_write(const char *path, const dt_checkpoint *checkpoint) {
    return dt_checkpoint_write_unless(path, checkpoint, NULL);
}

dt_status dt_checkpoint_write_unless(const char *path, const dt_checkpoint *checkpoint,
                                     dt_checkpoint_needless *needless) {
    const double start = dt_seconds_now();
    DT_TRY(check_finite(path, checkpoint));
    const double checked = dt_seconds_now();
    dt_replacement replacement = {.file = -1};
    dt_digest digest;
    dt_status status = DT_OK;
    DT_TRY_DONE(dt_replacement_open(&replacement, path));
    DT_TRY_DONE(write_file(&digest, replacement.file, path, checkpoint, needless));
    const double written = dt_seconds_now();
    DT_TRY_DONE(go_on(needless));
    DT_TRY_DONE(dt_replacement_sync(&replacement));
    const double synced = dt_seconds_now();
    status = read_back(replacement.temporary, &digest, needless);
    if (status == DT_ERR_DATA) {
        status = dt_error_raise(DT_ERR_IO, __FILE__, __LINE__,
                                "%s does not read back as it was written, and is not kept: %s",
                                path, dt_error_text());
    }
    DT_TRY_DONE(status);
    const double verified = dt_seconds_now();
    DT_TRY_DONE(dt_replacement_commit(&replacement));
    dt_log_debug("%s: looked for NaN %.3f s, written %.3f s, flushed %.3f s, verified %.3f s, "
                 "renamed %.3f s",
                 path, checked - start, written - checked, synced - written, verified - synced,
                 dt_seconds_now() - verified);
done:
    dt_replacement_discard(&replacement);
    return status;
}
