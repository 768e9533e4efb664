/* Which parameters are updated as whole matrices. */
#ifndef DTRAIN_OPTIM_MATRICES_H
#define DTRAIN_OPTIM_MATRICES_H

#include "dtrain/optim/optim.h"

/* Number of stacked matrices in a parameter; 0: it is updated element by element. */
size_t matrix_count(const dt_parameter *p, const dt_config *config);

#endif
