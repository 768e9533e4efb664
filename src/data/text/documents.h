/* The files of a running text, read from the first byte to the last, document by document. Private
 * to src/data/text. */
#ifndef DTRAIN_DOCUMENTS_H
#define DTRAIN_DOCUMENTS_H

#include "dtrain/core/config.h"
#include "dtrain/core/digest.h"
#include "dtrain/data/split.h"

/* A text where it stands. */
typedef struct dt_documents dt_documents;

/* Bytes of one document that belong to one part, in the order of the text. */
typedef struct {
    const char *bytes; /* until the next call */
    size_t count;
    dt_split split;
    bool begins;      /* a document begins with them */
    const char *path; /* of the file that they stand in */
    uint64_t offset;  /* in that file */
} dt_document_piece;

/**
 * Find the files that the settings name; of folders all regular ones, in the order of their names,
 * but hidden ones and those of --out. A document is a file; a line that is DT_END_OF_DOCUMENT or
 * --document-separator ends one, too. Of all bytes the last --test-share is for tests, and
 * --validation-share before it for validation, or else --validation-text.
 *
 * @param characters  no part begins within a character
 * @return DT_ERR_NO_INPUT
 */
dt_status dt_documents_open(dt_documents **documents, const dt_config *config, bool characters);
void dt_documents_close(dt_documents **documents);

/* Bytes of all files. */
uint64_t dt_documents_bytes(const dt_documents *documents);

/* What tells whether the files have been written to since, without reading them: of their sizes and
 * times. */
dt_digest dt_documents_stamp(const dt_documents *documents);

/* From the first byte on, again. what: is done with it, for people: "reading"; kept by reference.
 */
void dt_documents_rewind(dt_documents *documents, const char *what);

/* The next piece; *found: false at the end. DT_ERR_IO; DT_ERR_DATA: a file is being written to. */
dt_status dt_documents_next(dt_document_piece *piece, bool *found, dt_documents *documents);

/* Once all has been read: "SIZE-XXH3" of the bytes of all files, and where there are several also
 * of their sizes. */
void dt_documents_digest(char digest[DT_FILE_DIGEST_MAX + 1], const dt_documents *documents);

/* Raise DT_ERR_DATA: a byte at an offset of a file is not what is wanted.
 *
 * @param what  "belongs to no text in UTF-8; …" */
dt_status dt_documents_raise_byte(const char *path, uint64_t offset, const char *what);

#endif
