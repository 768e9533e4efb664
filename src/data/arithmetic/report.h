/* The tally of an evaluation, for people and as JSON. Private to src/data/arithmetic. */
#ifndef DTRAIN_ARITHMETIC_REPORT_H
#define DTRAIN_ARITHMETIC_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "dtrain/data/source.h"

/* Two panels for each operation: by lengths, by difficulty. */
extern const dt_grid_kind dt_tally_grid;

/* A section for each operation there are problems of: by lengths, by difficulty, what went wrong;
 * everything: by split, too. */
void dt_tally_print(FILE *out, const int64_t *tally, bool everything);

/* One object for each of them ("add": {"problems", "exact_match", "exact_text", "cells",
 * "by_carries", "splits", "wrong_steps", "wrong_copies", "wrong_answers"}), each with a comma
 * before it. DT_ERR_IO. */
dt_status dt_tally_write(FILE *out, const int64_t *tally);

#endif
