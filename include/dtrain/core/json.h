/* Writes texts as JSON (RFC 8259). */
#ifndef DTRAIN_JSON_H
#define DTRAIN_JSON_H

#include <stdio.h>

/* A string of JSON, quotes included. Bytes that are not UTF-8 become U+FFFD. */
void dt_json_write_text(FILE *file, const char *text);

/* The same to standard output. */
void dt_json_print_text(const char *text);

/* A number of JSON with so many digits: "null" where it is not finite, since JSON has no such
 * numbers. Returns text. */
enum { DT_JSON_NUMBER = 32 };
const char *dt_json_number(char text[DT_JSON_NUMBER], int digits, double value);

#endif
