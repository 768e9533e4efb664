/* Writes texts as JSON (RFC 8259). */
#ifndef DTRAIN_JSON_H
#define DTRAIN_JSON_H

#include <stdio.h>

/* A string of JSON, quotes included. */
void dt_json_write_text(FILE *file, const char *text);

/* The same to standard output. */
void dt_json_print_text(const char *text);

#endif
