/* What each token is to a number, so that other programs can tell positions and places. Private to
 * io/export. */
#ifndef DTRAIN_EXPORT_CLASSES_H
#define DTRAIN_EXPORT_CLASSES_H

#include "dtrain/data/tokenizer.h"

typedef enum {
    EXPORT_DIGIT = 1,
    EXPORT_CARRY = 2,  /* behind a digit it is part of the number, and no digit */
    EXPORT_ADDEND = 4, /* so it is behind a carry */
    EXPORT_MARK = 8,   /* a digit, too, but the first one of its number */
} export_class;

typedef struct {
    unsigned char *of; /* (count) by id: which of the classes */
    size_t count;
} export_classes;

dt_status export_classes_find(export_classes *classes, const dt_tokenizer *tokenizer);
void export_classes_destroy(export_classes *classes);

/* modeling_dtrain.py */
extern const char *const EXPORT_MODULE[];

#endif
