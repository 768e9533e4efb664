/* Turns a running text into a file of tokens, once for all processes that need it. */
#include "tokenize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "documents.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/work.h"
#include "dtrain/data/encoder.h"
#include "file.h"
#include "folders.h"
#include "vocabulary.h"

/* In --out. */
#define FOLDER "tokens"

/* What is wanted. */
typedef struct {
    const dt_config *config;
    const dt_tokenizer *given; /* NULL: the text's own */
    dt_tokenizer *own;         /* once the text has been read */
    dt_documents *documents;
    char digest[DT_FILE_DIGEST_MAX + 1]; /* of the text */
} job;

/* ---- encoding ---- */

/* Between the parts and documents of a text. */
typedef struct {
    dt_encoder *encoder;
    dt_tokens_writer *writer;
    dt_ids ids;
    int32_t end;           /* what stands before and behind documents; -1: nothing */
    bool open;             /* a document is being read */
    uint64_t offset;       /* of what is read of it, in its file */
    dt_document_piece was; /* the last piece */
    uint64_t documents;
} encoding;

static dt_status write_ids(encoding *e, dt_split split) {
    const dt_status status = dt_tokens_writer_add(e->writer, split, e->ids.id, e->ids.count);
    e->ids.count = 0;
    return status;
}

static dt_status feed(encoding *e, const char *bytes, size_t count, bool last) {
    const dt_status status = dt_encoder_feed(e->encoder, bytes, count, last, &e->ids);
    if (status != DT_ERR_DATA) return status;
    char what[512];
    const uint64_t at = e->offset + dt_encoder_taken(e->encoder);
    snprintf(what, sizeof what, "is no token of the model's vocabulary: %.400s", dt_error_text());
    return dt_documents_raise_byte(e->was.path, at, what);
}

/* All that is left of a document's part; with the end if the document ends there. */
static dt_status end_part(encoding *e, bool ends) {
    if (!e->open) return DT_OK;
    DT_TRY(feed(e, "", 0, true));
    if (ends && e->end >= 0) DT_TRY(dt_ids_append(&e->ids, e->end));
    return write_ids(e, e->was.split);
}

/* Where a document begins, the one before ends: one token says both. It says so twice where a part
 * ends with a document. */
static dt_status begin_piece(encoding *e, const dt_document_piece *piece) {
    const bool parts = !e->open || piece->split != e->was.split;
    if (!piece->begins && !parts) return DT_OK;
    DT_TRY(end_part(e, piece->begins));
    e->documents += piece->begins;
    if (piece->begins && parts && e->end >= 0) DT_TRY(dt_ids_append(&e->ids, e->end));
    e->open = true;
    e->offset = piece->offset;
    return DT_OK;
}

static dt_status encode_pieces(encoding *e, const job *j) {
    dt_documents_rewind(j->documents, "turning the text into tokens");
    for (;;) {
        dt_document_piece piece;
        bool found;
        DT_TRY(dt_documents_next(&piece, &found, j->documents));
        if (!found) return end_part(e, true);
        DT_TRY(begin_piece(e, &piece));
        e->was = piece;
        DT_TRY(feed(e, piece.bytes, piece.count, false));
        DT_TRY(write_ids(e, piece.split));
    }
}

/* The text may have been written to since it was read first. */
static dt_status check_same(const job *j) {
    char digest[DT_FILE_DIGEST_MAX + 1];
    dt_documents_digest(digest, j->documents);
    DT_REQUIRE(strcmp(digest, j->digest) == 0, DT_ERR_DATA,
               "%s is being written to; start again when it is complete", j->config->text);
    return DT_OK;
}

static dt_status encode_all(dt_tokens **tokens, const job *j, const dt_tokenizer *tokenizer,
                            int file, const char *path) {
    encoding e = {.end = dt_tokenizer_end(tokenizer)};
    dt_tokens_facts facts;
    dt_status status;
    *tokens = NULL;
    DT_TRY_DONE(dt_tokens_writer_create(&e.writer, file, path, tokenizer));
    DT_TRY_DONE(dt_encoder_create(&e.encoder, tokenizer));
    DT_TRY_DONE(encode_pieces(&e, j));
    DT_TRY_DONE(check_same(j));
    memset(&facts, 0, sizeof facts);
    memcpy(facts.digest, j->digest, sizeof facts.digest);
    facts.stamp = dt_documents_stamp(j->documents);
    facts.bytes = dt_documents_bytes(j->documents);
    facts.documents = e.documents;
    DT_TRY_DONE(dt_tokens_writer_finish(tokens, &e.writer, &facts));
done:
    dt_ids_destroy(&e.ids);
    dt_encoder_destroy(&e.encoder);
    dt_tokens_writer_destroy(&e.writer);
    return status;
}

/* ---- where the files are ---- */

/* The file of a text in a vocabulary. */
static bool name_file(char path[DT_PATH_MAX], const job *j, const char *digest,
                      const char *vocabulary) {
    const dt_config *config = j->config;
    char key[2 * DT_PATH_MAX];
    snprintf(key, sizeof key, "%s %s %s %.17g %.17g %s", digest, config->tokenizer, vocabulary,
             config->validation_share, config->test_share, config->document_separator);
    const int length = snprintf(path, DT_PATH_MAX, "%s/" FOLDER "/%.16s.tokens", j->config->out,
                                dt_digest_of(key, strlen(key)).text);
    return j->config->out[0] && length < DT_PATH_MAX;
}

static dt_status vocabulary_digest(dt_digest *digest, const dt_tokenizer *tokenizer) {
    dt_text bytes = {0};
    const dt_status status = dt_tokenizer_store(&bytes, tokenizer);
    if (status == DT_OK) *digest = dt_digest_of(bytes.bytes, bytes.length);
    dt_text_destroy(&bytes);
    return status;
}

/* Also where the vocabulary is given, the text's own is looked for first: usually it is that. */
static dt_status find_file(dt_tokens **tokens, const job *j, const char *digest) {
    char path[DT_PATH_MAX];
    dt_digest vocabulary = {""};
    bool same = true;
    *tokens = NULL;
    if (!name_file(path, j, digest, "")) return DT_OK;
    DT_TRY(dt_tokens_open(tokens, path));
    if (!j->given) return DT_OK;
    dt_status status = DT_OK;
    if (*tokens) status = dt_tokens_have(&same, *tokens, j->given);
    if (status == DT_OK && *tokens && same) return DT_OK;
    dt_tokens_close(tokens);
    DT_TRY(status);
    DT_TRY(vocabulary_digest(&vocabulary, j->given));
    return name_file(path, j, digest, vocabulary.text) ? dt_tokens_open(tokens, path) : DT_OK;
}

/* ---- making one ---- */

static bool is_file(int file, const char *path) {
    struct stat x, y;
    return fstat(file, &x) == 0 && lstat(path, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static uint64_t size_of(int file) {
    struct stat info;
    return fstat(file, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* *error: of the system, if there are no locks. */
static dt_status wait_for_lock(int *error, int file) {
    static const struct timespec pause = {.tv_nsec = 20000000};
    for (;;) {
        *error = flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (*error != EWOULDBLOCK && *error != EINTR) return DT_OK;
        DT_TRY(dt_work_tell("waiting for the tokens", size_of(file), 0));
        nanosleep(&pause, NULL);
    }
}

/* Opens what will become the file, once no other process writes it; -1: that is not possible here.
 * *tokens: another process has made the file. */
static dt_status open_locked(int *file, dt_tokens **tokens, const char *temporary,
                             const char *path) {
    *tokens = NULL;
    for (;;) {
        *file = open(temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (*file < 0) return DT_OK;
        int error;
        dt_status status = wait_for_lock(&error, *file);
        if (!error && status == DT_OK) status = dt_tokens_open(tokens, path);
        const bool own = is_file(*file, temporary);
        if (!error && status == DT_OK && !*tokens && own) {
            if (ftruncate(*file, 0) == 0) return DT_OK;
            error = errno;
        }
        if ((*tokens || error) && own) unlink(temporary);
        close(*file);
        *file = -1;
        if (error || status != DT_OK || *tokens) return status;
    }
}

static void sync_folder(const char *path) {
    char folder[DT_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return;
    (void)fsync(file); /* without it, the file is at worst made again */
    close(file);
}

/* In the folder; nothing is made if that is not possible there. */
static dt_status make_named(dt_tokenized *out, const job *j, const dt_tokenizer *tokenizer,
                            const char *path) {
    char temporary[DT_PATH_MAX + 8];
    const char *name = strrchr(path, '/') + 1;
    int file = -1;
    size_t made;
    snprintf(temporary, sizeof temporary, "%.*s.%s.tmp", (int)(name - path), path, name);
    dt_status status = DT_OK;
    if (dt_folders_make(&made, path)) status = open_locked(&file, &out->tokens, temporary, path);
    if (file >= 0) {
        status = encode_all(&out->tokens, j, tokenizer, file, path);
        if (status == DT_OK && rename(temporary, path) != 0) {
            status = dt_error_raise(DT_ERR_CREATE, __FILE__, __LINE__, "cannot rename %s to %s: %s",
                                    temporary, path, strerror(errno));
            dt_tokens_close(&out->tokens);
        }
        if (status == DT_OK) {
            sync_folder(path);
            dt_tokens_unlock(out->tokens);
            snprintf(out->path, sizeof out->path, "%s", path);
            out->folders = made;
        } else {
            unlink(temporary);
        }
    }
    if (!out->tokens) dt_folders_remove(path, made);
    return status;
}

/* In a file without a name, which ends with the process. */
static dt_status make_unnamed(dt_tokenized *out, const job *j, const dt_tokenizer *tokenizer) {
    char path[DT_PATH_MAX];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.*s/dtrain-tokens.XXXXXX", DT_PATH_MAX - 32,
             folder && *folder ? folder : "/tmp");
    const int file = mkstemp(path);
    DT_REQUIRE(file >= 0, DT_ERR_CREATE, "cannot create %s: %s; set TMPDIR to a folder with room",
               path, strerror(errno));
    unlink(path);
    fcntl(file, F_SETFD, FD_CLOEXEC);
    return encode_all(&out->tokens, j, tokenizer, file, path);
}

static dt_status make(dt_tokenized *out, const job *j) {
    const bool own = !j->given || (j->own && dt_tokenizer_equal(j->given, j->own));
    const dt_tokenizer *tokenizer = j->given ? j->given : j->own;
    dt_digest vocabulary = {""};
    char path[DT_PATH_MAX];
    if (!own) DT_TRY(vocabulary_digest(&vocabulary, j->given));
    if (name_file(path, j, j->digest, vocabulary.text)) DT_TRY(make_named(out, j, tokenizer, path));
    return out->tokens ? DT_OK : make_unnamed(out, j, tokenizer);
}

/* ---- all ---- */

/* A file whose text has not been written to since. */
static dt_status find_unchanged(dt_tokens **tokens, const job *j) {
    DT_TRY(find_file(tokens, j, j->config->train_digest));
    const dt_digest stamp = dt_documents_stamp(j->documents);
    if (*tokens && strcmp(dt_tokens_about(*tokens)->stamp.text, stamp.text) != 0)
        dt_tokens_close(tokens);
    return DT_OK;
}

/* Another vocabulary may be in the file that has the same name. If there is none any more, the run
 * keeps what it has. */
static dt_status look_for_change(dt_tokenized *out, job *j) {
    bool same = true;
    char path[DT_PATH_MAX];
    if (!out->tokens || j->given || j->own || dt_vocabulary_learned(j->config) > 0) return DT_OK;
    const dt_status status = dt_vocabulary_find(&j->own, j->config, j->documents);
    if (status == DT_ERR_NO_INPUT) {
        dt_error_clear();
        return DT_OK;
    }
    DT_TRY(status);
    DT_TRY(dt_tokens_have(&same, out->tokens, j->own));
    if (same) return DT_OK;
    dt_tokens_close(&out->tokens);
    if (name_file(path, j, j->digest, "")) unlink(path);
    return DT_OK;
}

static dt_status find_or_make(dt_tokenized *out, job *j, bool reads) {
    if (!reads && j->config->train_digest[0]) DT_TRY(find_unchanged(&out->tokens, j));
    if (out->tokens) return DT_OK;
    DT_TRY(dt_vocabulary_create(&j->own, j->config, j->documents));
    dt_documents_digest(j->digest, j->documents);
    DT_TRY(dt_run_text_compare(j->config, j->digest, j->config->text, "text"));
    DT_TRY(find_file(&out->tokens, j, j->digest));
    DT_TRY(look_for_change(out, j));
    if (!out->tokens && !j->given && !j->own)
        DT_TRY(dt_vocabulary_find(&j->own, j->config, j->documents));
    if (!out->tokens) return make(out, j);
    const dt_digest stamp = dt_documents_stamp(j->documents);
    dt_tokens_keep_stamp(out->tokens, &stamp);
    return DT_OK;
}

dt_status dt_tokenize(dt_tokenized *tokenized, const dt_config *config,
                      const dt_tokenizer *tokenizer, bool reads) {
    job j = {.config = config, .given = tokenizer};
    dt_status status;
    memset(tokenized, 0, sizeof *tokenized);
    DT_TRY_DONE(dt_documents_open(&j.documents, config, !dt_vocabulary_is_bytes(config)));
    DT_TRY_DONE(find_or_make(tokenized, &j, reads));
done:
    dt_documents_close(&j.documents);
    dt_tokenizer_destroy(&j.own);
    return status;
}

void dt_tokenized_close(dt_tokenized *tokenized) { dt_tokens_close(&tokenized->tokens); }

void dt_tokenized_discard(dt_tokenized *tokenized) {
    dt_tokens_close(&tokenized->tokens);
    if (!tokenized->path[0]) return;
    unlink(tokenized->path);
    dt_folders_remove(tokenized->path, tokenized->folders);
}
