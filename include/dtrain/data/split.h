/* Which texts are trained on, and which are held out. */
#ifndef DTRAIN_SPLIT_H
#define DTRAIN_SPLIT_H

/* The splits never meet. DT_EVERY_TEXT: all that a source can write, whatever their split, where
 * they can be counted. */
typedef enum { DT_TRAIN, DT_VALIDATION, DT_TEST, DT_SPLITS, DT_EVERY_TEXT = DT_SPLITS } dt_split;

/* "train", "validation", "test"; "all". */
const char *dt_split_name(dt_split split);

#endif
