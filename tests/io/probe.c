/* Writes and reads checkpoints for the test scripts. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/log.h"
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

/* probe read FILE: reads everything, and checks that verification agrees */
static dt_status read_file(const char *path) {
    dt_checkpoint checkpoint;
    dt_verdict verdict;
    const dt_status verified = dt_checkpoint_verify(&verdict, path);
    const bool usable = !dt_verdict_refusal(&verdict);
    dt_verdict_clear(&verdict);
    const dt_status status = dt_checkpoint_read(&checkpoint, path, DT_READ_ALL);
    if (status == DT_OK) printf("step %lld\n", (long long)checkpoint.state.step);
    dt_checkpoint_destroy(&checkpoint);
    DT_REQUIRE(verified != DT_OK || usable == (status == DT_OK), DT_ERR_INTERNAL,
               "read says %d, verify %s", (int)status, usable ? "usable" : "unusable");
    return status;
}

/* Prints how a damaged file is treated: "noticed PART", "noticed-for-others PART" if dtrain itself
 * can read it, "harmless", or "wrong …". */
static void judge(const char *path, const dt_checkpoint *whole) {
    dt_checkpoint checkpoint;
    dt_verdict verdict;
    const dt_status read = dt_checkpoint_read(&checkpoint, path, DT_READ_ALL);
    const dt_status verified = dt_checkpoint_verify(&verdict, path);
    const dt_fault *refusal = dt_verdict_refusal(&verdict);
    if (verified != DT_OK || (read != DT_OK) != (refusal != NULL)) {
        printf("wrong: read gives %d, verify %d with %zu faults\n", (int)read, (int)verified,
               verdict.faults);
    } else if (read != DT_OK && read != DT_ERR_DATA) {
        printf("wrong: error %d: %s\n", (int)read, dt_error_text());
    } else if (read != DT_OK) {
        printf("noticed %s\n", refusal->part);
    } else if (!fixture_equal(&checkpoint, whole)) {
        printf("wrong: other contents\n");
    } else if (verdict.faults > 0) {
        printf("noticed-for-others %s\n", verdict.fault[0].part);
    } else {
        printf("harmless\n");
    }
    dt_checkpoint_destroy(&checkpoint);
    dt_verdict_clear(&verdict);
}

/* probe flips FILE DAMAGED: flips one bit at a time; each line of input is "OFFSET BIT". */
static dt_status flip_bits(const char *path, const char *damaged) {
    size_t size;
    char line[64], *rest;
    dt_checkpoint whole;
    const dt_status status = dt_checkpoint_read(&whole, path, DT_READ_ALL);
    unsigned char *bytes = fixture_load(&size, path);
    fixture_store(damaged, bytes, size);
    const int file = open(damaged, O_WRONLY | O_CLOEXEC);
    while (status == DT_OK && fgets(line, sizeof line, stdin)) {
        const size_t at = strtoul(line, &rest, 10), bit = strtoul(rest, NULL, 10);
        if (at >= size) break;
        const unsigned char flipped = (unsigned char)(bytes[at] ^ 1u << bit % 8);
        if (pwrite(file, &flipped, 1, (off_t)at) != 1) break;
        judge(damaged, &whole);
        if (pwrite(file, &bytes[at], 1, (off_t)at) != 1) break;
    }
    if (file >= 0) close(file);
    free(bytes);
    dt_checkpoint_destroy(&whole);
    return status;
}

int main(int count, char **word) {
    if (count < 3) return 64;
    if (getenv("PROBE_DEBUG")) dt_log_open(DT_LOG_DEBUG, -1);
    const dt_status status = strcmp(word[1], "write") == 0 ? write_file(count, word)
                             : strcmp(word[1], "flips") == 0 && count == 4
                                 ? flip_bits(word[2], word[3])
                                 : read_file(word[2]);
    if (status != DT_OK) fprintf(stderr, "%s (%s)\n", dt_error_text(), dt_error_location());
    return dt_status_exit_code(status);
}
