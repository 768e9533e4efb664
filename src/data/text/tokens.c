/* Files of tokens: a header, the vocabulary, and the ids in 16 or 32 bits. They are made and read
 * by the same kind of machine: one of another kind makes its own. */
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "dtrain/core/memory.h"

static const char MAGIC[16] = "dtrain tokens 1";

enum { ORDER = 0x01020304, PAGE = 4096, BLOCK = 1 << 20 };

typedef struct {
    char magic[sizeof MAGIC];
    uint32_t order, size; /* of the machine's bytes; of this header */
    uint32_t width;       /* bytes of an id */
    dt_tokens_facts facts;
    dt_digest tokenizer;
    uint64_t vocabulary;       /* tokens in it */
    uint64_t stored;           /* bytes of the vocabulary, behind this header */
    uint64_t first;            /* byte of the first id */
    uint64_t begin[DT_SPLITS]; /* ids before the part */
    dt_digest check;           /* of this header, with this empty */
} header;

struct dt_tokens {
    char path[DT_PATH_MAX];
    int file;
    header head;
};

static dt_digest check_of(const header *head) {
    header copy;
    memcpy(&copy, head, sizeof copy);
    memset(&copy.check, 0, sizeof copy.check);
    return dt_digest_of(&copy, sizeof copy);
}

/* Errno; 0: all is there. */
static int read_bytes(int file, void *to, size_t size, uint64_t offset) {
    size_t got;
    const int error = dt_bytes_read(&got, to, size, file, offset);
    return !error && got < size ? EIO : error;
}

/* ---- reading ---- */

static uint64_t ids_of(const header *head) {
    uint64_t all = 0;
    for (size_t split = 0; split < DT_SPLITS; split++) all += head->facts.tokens[split];
    return all;
}

static bool is_whole(const header *head, uint64_t size) {
    return memcmp(head->magic, MAGIC, sizeof MAGIC) == 0 && head->order == ORDER &&
           head->size == sizeof *head &&
           (head->width == sizeof(uint16_t) || head->width == sizeof(int32_t)) &&
           strcmp(head->check.text, check_of(head).text) == 0 &&
           size == head->first + ids_of(head) * head->width;
}

dt_status dt_tokens_open(dt_tokens **out, const char *path) {
    dt_tokens *t;
    struct stat info;
    *out = NULL;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return DT_OK;
    const dt_status status = dt_memory_alloc(&t, 1, sizeof *t, "a file of tokens");
    if (status != DT_OK) close(file);
    DT_TRY(status);
    t->file = file;
    snprintf(t->path, sizeof t->path, "%s", path);
    if (read_bytes(file, &t->head, sizeof t->head, 0) == 0 && fstat(file, &info) == 0 &&
        is_whole(&t->head, (uint64_t)info.st_size)) {
        *out = t;
    } else {
        dt_tokens_close(&t);
    }
    return DT_OK;
}

void dt_tokens_close(dt_tokens **tokens) {
    if (!*tokens) return;
    close((*tokens)->file);
    dt_memory_free(tokens);
}

const dt_tokens_facts *dt_tokens_about(const dt_tokens *t) { return &t->head.facts; }

static dt_status raise_damaged(const dt_tokens *t, int error) {
    DT_RAISE(error && error != EIO ? DT_ERR_IO : DT_ERR_DATA,
             "%s is damaged%s%s; delete it and start again, which computes it anew", t->path,
             error ? ": " : "", error ? strerror(error) : "");
}

dt_status dt_tokens_vocabulary(dt_tokenizer **tokenizer, const dt_tokens *t) {
    char *bytes = NULL;
    const size_t size = (size_t)t->head.stored;
    dt_status status;
    *tokenizer = NULL;
    DT_TRY_DONE(dt_memory_alloc(&bytes, size, 1, "the vocabulary"));
    const int error = read_bytes(t->file, bytes, size, sizeof t->head);
    if (error || strcmp(dt_digest_of(bytes, size).text, t->head.tokenizer.text) != 0)
        DT_TRY_DONE(raise_damaged(t, error));
    DT_TRY_DONE(dt_tokenizer_load(tokenizer, bytes, size));
done:
    dt_memory_free(&bytes);
    return status;
}

static dt_status store(dt_text *bytes, dt_digest *digest, const dt_tokenizer *tokenizer) {
    DT_TRY(dt_tokenizer_store(bytes, tokenizer));
    *digest = dt_digest_of(bytes->bytes, bytes->length);
    return DT_OK;
}

dt_status dt_tokens_have(bool *same, const dt_tokens *t, const dt_tokenizer *tokenizer) {
    dt_text bytes = {0};
    dt_digest digest;
    const dt_status status = store(&bytes, &digest, tokenizer);
    *same = status == DT_OK && strcmp(digest.text, t->head.tokenizer.text) == 0;
    dt_text_destroy(&bytes);
    return status;
}

void dt_tokens_unlock(dt_tokens *t) { flock(t->file, LOCK_UN); }

void dt_tokens_keep_stamp(dt_tokens *t, const dt_digest *stamp) {
    if (strcmp(t->head.facts.stamp.text, stamp->text) == 0) return;
    t->head.facts.stamp = *stamp;
    t->head.check = check_of(&t->head);
    /* If it cannot be kept, later starts read the text again. */
    const int file = open(t->path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    (void)dt_bytes_write(file, &t->head, sizeof t->head, 0);
    close(file);
}

dt_status dt_tokens_read(int32_t *id, const dt_tokens *t, dt_split split, uint64_t first,
                         size_t count) {
    const header *head = &t->head;
    const size_t width = head->width;
    DT_REQUIRE(first + count <= head->facts.tokens[split], DT_ERR_INTERNAL,
               "tokens %" PRIu64 " … of the %" PRIu64 " of a part", first + count,
               head->facts.tokens[split]);
    /* Narrow ids stand at the end, so that they can be widened from the front. */
    char *bytes = (char *)id + count * (sizeof *id - width);
    const uint64_t at = head->first + (head->begin[split] + first) * width;
    const int error = read_bytes(t->file, bytes, count * width, at);
    if (error) return raise_damaged(t, error);
    for (size_t i = 0; i < count; i++) {
        uint16_t narrow = 0;
        if (width == sizeof narrow) {
            memcpy(&narrow, bytes + i * sizeof narrow, sizeof narrow);
            id[i] = narrow;
        }
        if (id[i] < 0 || (uint64_t)id[i] >= head->vocabulary) return raise_damaged(t, 0);
    }
    return DT_OK;
}

/* ---- writing ---- */

struct dt_tokens_writer {
    dt_tokens *tokens; /* what it is to become */
    char *block;
    size_t used;      /* bytes of the block */
    uint64_t written; /* ids, those in the block included */
    uint64_t at;      /* byte where the block will stand */
};

static dt_status check_written(const dt_tokens *t, int error) {
    DT_REQUIRE(error != ENOSPC && error != EDQUOT, DT_ERR_IO,
               "%s cannot be written: the disk is full; free some space or choose another --out",
               t->path);
    DT_REQUIRE(!error, DT_ERR_IO, "%s cannot be written: %s", t->path, strerror(error));
    return DT_OK;
}

static dt_status begin_file(dt_tokens *t, const dt_tokenizer *tokenizer) {
    dt_text vocabulary = {0};
    header *head = &t->head;
    dt_status status;
    DT_TRY_DONE(store(&vocabulary, &head->tokenizer, tokenizer));
    memcpy(head->magic, MAGIC, sizeof MAGIC);
    head->order = ORDER;
    head->size = sizeof *head;
    head->vocabulary = dt_tokenizer_size(tokenizer);
    head->width = head->vocabulary <= UINT16_MAX + 1 ? sizeof(uint16_t) : sizeof(int32_t);
    head->stored = vocabulary.length;
    head->first = dt_round_up(sizeof *head + vocabulary.length, PAGE);
    DT_TRY_DONE(check_written(
        t, dt_bytes_write(t->file, vocabulary.bytes, vocabulary.length, sizeof *head)));
done:
    dt_text_destroy(&vocabulary);
    return status;
}

dt_status dt_tokens_writer_create(dt_tokens_writer **out, int file, const char *path,
                                  const dt_tokenizer *tokenizer) {
    dt_tokens_writer *w = NULL;
    dt_status status;
    *out = NULL;
    DT_TRY_DONE(dt_memory_alloc(&w, 1, sizeof *w, "a file of tokens"));
    DT_TRY_DONE(dt_memory_alloc(&w->tokens, 1, sizeof *w->tokens, "a file of tokens"));
    w->tokens->file = file;
    snprintf(w->tokens->path, sizeof w->tokens->path, "%s", path);
    DT_TRY_DONE(dt_memory_alloc(&w->block, BLOCK, 1, "a file of tokens"));
    DT_TRY_DONE(begin_file(w->tokens, tokenizer));
    w->at = w->tokens->head.first;
    *out = w;
    w = NULL;
done:
    if (status != DT_OK && (!w || !w->tokens)) close(file);
    dt_tokens_writer_destroy(&w);
    return status;
}

void dt_tokens_writer_destroy(dt_tokens_writer **writer) {
    if (!*writer) return;
    dt_tokens_close(&(*writer)->tokens);
    dt_memory_free(&(*writer)->block);
    dt_memory_free(writer);
}

static dt_status flush(dt_tokens_writer *w) {
    DT_TRY(check_written(w->tokens, dt_bytes_write(w->tokens->file, w->block, w->used, w->at)));
    w->at += w->used;
    w->used = 0;
    return DT_OK;
}

dt_status dt_tokens_writer_add(dt_tokens_writer *w, dt_split split, const int32_t *id,
                               size_t count) {
    header *head = &w->tokens->head;
    if (head->facts.tokens[split] == 0) head->begin[split] = w->written;
    for (size_t i = 0; i < count; i++) {
        const uint16_t narrow = (uint16_t)id[i];
        if (w->used + sizeof *id > BLOCK) DT_TRY(flush(w));
        if (head->width == sizeof narrow) {
            memcpy(w->block + w->used, &narrow, sizeof narrow);
        } else {
            memcpy(w->block + w->used, &id[i], sizeof *id);
        }
        w->used += head->width;
    }
    head->facts.tokens[split] += count;
    w->written += count;
    return DT_OK;
}

dt_status dt_tokens_writer_finish(dt_tokens **tokens, dt_tokens_writer **writer,
                                  const dt_tokens_facts *facts) {
    dt_tokens_writer *w = *writer;
    dt_tokens *t = w->tokens;
    header *head = &t->head;
    uint64_t count[DT_SPLITS];
    memcpy(count, head->facts.tokens, sizeof count);
    DT_TRY(flush(w));
    head->facts = *facts;
    memcpy(head->facts.tokens, count, sizeof count);
    /* Without a token the file would end before its first one. */
    const int error = ftruncate(t->file, (off_t)w->at) == 0 ? 0 : errno;
    DT_TRY(check_written(t, error));
    head->check = check_of(head);
    DT_TRY(check_written(t, dt_bytes_write(t->file, head, sizeof *head, 0)));
    DT_TRY(check_written(t, fsync(t->file) == 0 ? 0 : errno));
    *tokens = t;
    w->tokens = NULL;
    dt_tokens_writer_destroy(writer);
    return DT_OK;
}
