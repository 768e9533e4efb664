/* Writes and reads checkpoints for the tests that are scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/log.h"
#include "fixture.h"

/* probe write FILE [WIDTH LAYERS [STEPS [SEED]]] */
static dt_status write_file(int count, char **word) {
    fixture_size size = FIXTURE_SMALL;
    if (count > 3) size.width = strtoul(word[3], NULL, 10);
    if (count > 4) size.layers = strtoul(word[4], NULL, 10);
    if (count > 5) size.steps = strtol(word[5], NULL, 10);
    if (count > 6) size.seed = strtoul(word[6], NULL, 10);
    dt_checkpoint checkpoint;
    fixture_create(&checkpoint, size);
    const dt_status status = dt_checkpoint_write(word[2], &checkpoint);
    if (status == DT_OK) printf("wrote %zu weights\n", checkpoint.layout.weights);
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* probe read FILE: everything in it */
static dt_status read_file(const char *path) {
    dt_checkpoint checkpoint;
    const dt_status status = dt_checkpoint_read(&checkpoint, path, DT_READ_ALL);
    if (status == DT_OK) printf("step %lld\n", (long long)checkpoint.state.step);
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

int main(int count, char **word) {
    if (count < 3) return 64;
    if (getenv("PROBE_DEBUG")) dt_log_open(DT_LOG_DEBUG, -1);
    const dt_status status =
        strcmp(word[1], "write") == 0 ? write_file(count, word) : read_file(word[2]);
    if (status != DT_OK) fprintf(stderr, "%s (%s)\n", dt_error_text(), dt_error_place());
    return dt_status_exit_code(status);
}
