/* What a rank tells the others about each of its shards in every step: one small message instead of
 * several. */
#ifndef DTRAIN_TRAINER_SHARED_H
#define DTRAIN_TRAINER_SHARED_H

enum {
    SHARED_LOSS,
    SHARED_SCORED,
    SHARED_TOKENS,
    SHARED_STOP,       /* at once: this step's gradients are not whole */
    SHARED_STOP_AFTER, /* after this step */
    SHARED_CHECKPOINT,
    SHARED_ASKED, /* for checkpoints by USR2, so far; the most counts */
    SHARED_FAILED,
    SHARED
};

#endif
